//! The programs that a distribution is kept with, so that remedies can be given as commands.

use super::tree::Tree;
use super::volume::Reason;

/// What a guest has to mend itself with. What could not be told is not there: then no command is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tools {
    pub(super) initramfs: Option<Initramfs>,
    pub(super) packages: Option<Packages>,
    pub(super) services: Services,
    /// Writes the configuration of the boot loader.
    pub(super) loader: Option<&'static str>,
    /// Whether `grubby` is there, which changes the arguments of kernels where GRUB takes its entries from files.
    pub(super) grubby: bool,
}

/// What makes the initial RAM file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Initramfs {
    /// `update-initramfs` of Debian and Ubuntu.
    Debian,
    /// RHEL and its relatives, SUSE, Fedora.
    Dracut,
    /// Arch.
    Mkinitcpio,
    /// Alpine.
    Mkinitfs,
    /// RHEL 5 and older, SLES 11.
    Mkinitrd,
}

/// What installs packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packages {
    Apt,
    Dnf,
    Yum,
    Zypper,
    Pacman,
    Apk,
}

/// What starts services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Services {
    Systemd,
    OpenRc,
    #[default]
    SysV,
}

impl Tools {
    pub(super) fn of(tree: &mut Tree) -> Result<Self, Reason> {
        let initramfs = [
            ("/usr/sbin/update-initramfs", Initramfs::Debian),
            ("/usr/bin/dracut", Initramfs::Dracut),
            ("/sbin/dracut", Initramfs::Dracut),
            ("/usr/bin/mkinitcpio", Initramfs::Mkinitcpio),
            ("/sbin/mkinitfs", Initramfs::Mkinitfs),
            ("/sbin/mkinitrd", Initramfs::Mkinitrd),
        ];
        let packages = [
            ("/usr/bin/apt-get", Packages::Apt),
            ("/usr/bin/dnf", Packages::Dnf),
            ("/usr/bin/yum", Packages::Yum),
            ("/usr/bin/zypper", Packages::Zypper),
            ("/usr/bin/pacman", Packages::Pacman),
            ("/sbin/apk", Packages::Apk),
        ];
        let services = [
            ("/usr/lib/systemd/systemd", Services::Systemd),
            ("/lib/systemd/systemd", Services::Systemd),
            ("/sbin/openrc-run", Services::OpenRc),
        ];
        let loader = [
            ("/usr/sbin/update-grub", "update-grub"),
            ("/usr/sbin/grub2-mkconfig", "grub2-mkconfig -o /boot/grub2/grub.cfg"),
            ("/usr/bin/grub-mkconfig", "grub-mkconfig -o /boot/grub/grub.cfg"),
            ("/usr/sbin/grub-mkconfig", "grub-mkconfig -o /boot/grub/grub.cfg"),
        ];
        Ok(Self {
            initramfs: first(tree, &initramfs)?,
            packages: first(tree, &packages)?,
            services: first(tree, &services)?.unwrap_or_default(),
            loader: first(tree, &loader)?,
            grubby: tree.has("/usr/sbin/grubby")? || tree.has("/sbin/grubby")?,
        })
    }

    /// Returns the commands that put modules into the initial RAM file system of every kernel.
    pub(super) fn add_to_initramfs(&self, modules: &[&str]) -> Vec<String> {
        let all = modules.join(" ");
        match self.initramfs {
            Some(Initramfs::Debian) => {
                let add = modules.iter().map(|module| {
                    format!(
                        "grep -qx {module} /etc/initramfs-tools/modules || echo {module} >> /etc/initramfs-tools/modules"
                    )
                });
                add.chain(["update-initramfs -u -k all".to_owned()]).collect()
            }
            Some(Initramfs::Dracut) => vec![
                format!("echo 'add_drivers+=\" {all} \"' > /etc/dracut.conf.d/ecs.conf"),
                "dracut -f --regenerate-all".to_owned(),
            ],
            Some(Initramfs::Mkinitcpio) => vec![
                format!(
                    "mkdir -p /etc/mkinitcpio.conf.d; echo 'MODULES+=({all})' > /etc/mkinitcpio.conf.d/ecs.conf"
                ),
                "mkinitcpio -P".to_owned(),
            ],
            Some(Initramfs::Mkinitfs) => vec![
                "grep -q virtio /etc/mkinitfs/mkinitfs.conf || sed -i 's/^features=\"/&virtio nvme /' \
                 /etc/mkinitfs/mkinitfs.conf"
                    .to_owned(),
                "for kernel in /lib/modules/*; do mkinitfs \"${kernel##*/}\"; done".to_owned(),
            ],
            Some(Initramfs::Mkinitrd) => {
                let with: Vec<_> = modules.iter().map(|module| format!("--with={module}")).collect();
                vec![format!(
                    "for kernel in /lib/modules/*; do mkinitrd -f {} \"/boot/initrd-${{kernel##*/}}.img\" \
                     \"${{kernel##*/}}\"; done",
                    with.join(" ")
                )]
            }
            None => Vec::new(),
        }
    }

    /// Returns the commands that give an argument to every kernel.
    pub(super) fn add_to_kernel(&self, argument: &str, value: &str) -> Vec<String> {
        if self.grubby {
            return vec![format!("grubby --update-kernel=ALL --args={argument}={value}")];
        }
        let Some(loader) = self.loader else { return Vec::new() };
        let add = format!(
            "grep -q {argument}= /etc/default/grub || echo 'GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX \
             {argument}={value}\"' >> /etc/default/grub"
        );
        vec![add, loader.to_owned()]
    }

    /// Returns the command that installs a package, which has the same name everywhere.
    pub(super) fn install(&self, package: &str) -> Option<String> {
        Some(match self.packages? {
            Packages::Apt => format!("apt-get install -y {package}"),
            Packages::Dnf => format!("dnf install -y {package}"),
            Packages::Yum => format!("yum install -y {package}"),
            Packages::Zypper => format!("zypper --non-interactive install {package}"),
            Packages::Pacman => format!("pacman -S --noconfirm --needed {package}"),
            Packages::Apk => format!("apk add {package}"),
        })
    }

    /// Returns the command that installs an SSH server.
    pub(super) fn install_ssh_server(&self) -> Option<String> {
        let package = match self.packages? {
            Packages::Apt | Packages::Dnf | Packages::Yum => "openssh-server",
            Packages::Zypper | Packages::Pacman | Packages::Apk => "openssh",
        };
        self.install(package)
    }

    /// Returns the command that removes a package.
    pub(super) fn remove(&self, package: &str) -> Option<String> {
        Some(match self.packages? {
            Packages::Apt => format!("apt-get purge -y {package}"),
            Packages::Dnf => format!("dnf remove -y {package}"),
            Packages::Yum => format!("yum remove -y {package}"),
            Packages::Zypper => format!("zypper --non-interactive remove {package}"),
            Packages::Pacman => format!("pacman -R --noconfirm {package}"),
            Packages::Apk => format!("apk del {package}"),
        })
    }

    /// Returns the command that has a service started with the system.
    pub(super) fn enable(&self, service: &str) -> String {
        match self.services {
            Services::Systemd => format!("systemctl unmask {service}; systemctl enable {service}"),
            Services::OpenRc => format!("rc-update add {service} default"),
            Services::SysV => format!("chkconfig {service} on"),
        }
    }
}

fn first<T: Copy>(tree: &mut Tree, signs: &[(&str, T)]) -> Result<Option<T>, Reason> {
    for (path, tool) in signs {
        if tree.has(path)? {
            return Ok(Some(*tool));
        }
    }
    Ok(None)
}
