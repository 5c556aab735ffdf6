use super::*;
use crate::inside::facts::{BootEntry, BootFile, Initramfs};
use crate::inside::tools::Initramfs as Maker;

const BUILT_IN: Answer<Driver> = Answer::Found(Driver::BuiltIn);
const MODULE: Answer<Driver> = Answer::Found(Driver::Module);

fn drivers(initramfs: Answer<Initramfs>) -> Drivers {
    Drivers {
        virtio_blk: MODULE,
        virtio_pci: BUILT_IN,
        virtio_net: MODULE,
        nvme: BUILT_IN,
        fw_cfg: MODULE,
        initramfs,
    }
}

fn initramfs(seen: &[&'static str], missing: &[&'static str], unread: Option<&str>) -> Answer<Initramfs> {
    Answer::Found(Initramfs {
        file: "/boot/initrd.img-6.1.0-28-amd64".to_owned(),
        seen: seen.to_vec(),
        missing: missing.to_vec(),
        any_module: true,
        unread: unread.map(str::to_owned),
        ..Initramfs::default()
    })
}

fn healthy() -> Drivers {
    drivers(initramfs(&["virtio_blk"], &[], None))
}

fn entry(arguments: &[&str]) -> BootEntry {
    BootEntry {
        file: "/boot/grub/grub.cfg".to_owned(),
        line: 7,
        id: None,
        title: String::new(),
        is_default: true,
        kernel: Some(BootFile { name: "/vmlinuz".to_owned(), path: Answer::Absent }),
        release: None,
        initrds: Vec::new(),
        arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
        root: None,
        place: None,
    }
}

/// Judges a kernel that a boot loader certainly starts; `change` makes it another case.
fn with(drivers: &Drivers, change: impl FnOnce(&mut Judged<'_>)) -> Vec<Finding> {
    let patient = entry(&["ro", "nvme_core.io_timeout=4294967295"]);
    let mut judged = Judged {
        release: "6.1.0-28-amd64",
        is_certain: true,
        drivers,
        entry: Some(&patient),
        needs_fw_cfg: false,
        tools: Tools { initramfs: Some(Maker::Debian), loader: Some("update-grub"), ..Tools::default() },
        hint: None,
    };
    change(&mut judged);
    let mut findings = Findings::default();
    judge(&judged, &mut findings);
    findings.0
}

fn of(drivers: &Drivers) -> Vec<Finding> {
    with(drivers, |_| ())
}

fn severities(findings: &[Finding]) -> Vec<(Rule, Severity)> {
    findings.iter().map(|finding| (finding.rule, finding.severity)).collect()
}

#[test]
fn of_a_healthy_system_nothing_is_said() {
    assert_eq!(of(&healthy()), []);
    let built_in = Drivers { virtio_blk: BUILT_IN, ..drivers(Answer::Absent) };
    assert_eq!(severities(&of(&built_in)), [], "no initial RAM file system is needed");
}

#[test]
fn a_disk_driver_that_is_not_in_the_initramfs_stops_the_start() {
    let findings = of(&drivers(initramfs(&[], &["virtio_blk"], None)));
    assert_eq!(severities(&findings), [(Rule::GVirtio, Severity::Fix)]);
    assert_eq!(
        findings[0].message,
        "kernel 6.1.0-28-amd64 has virtio_blk as a module, and not in /boot/initrd.img-6.1.0-28-amd64: the system stops \
         before its root is mounted, since its disk is attached by virtio"
    );
    let Some(Fix::InGuest(commands)) = &findings[0].fix else { panic!("{findings:?}") };
    let commands = commands.join("\n");
    assert!(commands.contains("virtio_blk") && commands.contains("update-initramfs -u -k all"), "{commands}");
    assert!(!commands.contains("nvme") && !commands.contains("virtio_pci"), "what is built in is no module");
}

#[test]
fn a_disk_driver_that_does_not_exist_stops_the_start() {
    for lacking in [
        Drivers { virtio_pci: Answer::Absent, ..healthy() },
        Drivers { virtio_blk: Answer::Absent, ..healthy() },
    ] {
        let findings = of(&lacking);
        assert_eq!(severities(&findings), [(Rule::GVirtio, Severity::Fix)]);
        assert!(matches!(findings[0].fix, Some(Fix::Do(_))), "no command installs it everywhere");
    }
}

#[test]
fn what_is_not_certain_is_no_verdict() {
    let unread = initramfs(&[], &[], Some("it is compressed with lzo, which is not read"));
    let unread_state = Drivers { virtio_pci: Answer::Unread("damaged".to_owned()), ..healthy() };
    for open in [drivers(unread), drivers(Answer::Unread("it was not asked for".to_owned())), unread_state] {
        let findings = of(&open);
        assert_eq!(severities(&findings), [(Rule::GVirtio, Severity::Info)]);
        assert!(findings[0].message.contains("could not be told"), "{findings:?}");
    }
}

#[test]
fn a_lack_is_no_more_than_a_warning_where_it_may_not_matter() {
    let lack = || drivers(initramfs(&[], &["virtio_blk"], None));
    // Which of several kernels starts is not known.
    let uncertain = with(&lack(), |judged| judged.is_certain = false);
    assert_eq!(severities(&uncertain), [(Rule::GVirtio, Severity::Warn)]);
    // There may be one inside of the kernel.
    assert_eq!(severities(&of(&drivers(Answer::Absent))), [(Rule::GVirtio, Severity::Warn)]);
    // It holds no module at all, as one that a tool of its own kind made.
    let mut strange = lack();
    if let Answer::Found(initramfs) = &mut strange.initramfs {
        initramfs.any_module = false;
    }
    assert_eq!(severities(&of(&strange)), [(Rule::GVirtio, Severity::Warn)]);
}

#[test]
fn where_nvme_is_not_ready_it_must_not_be_declared() {
    let late = Drivers { nvme: MODULE, ..drivers(initramfs(&["virtio_blk"], &["nvme"], None)) };
    let findings = of(&late);
    assert_eq!(severities(&findings), [(Rule::GNvme, Severity::Info)]);
    assert!(findings[0].message.contains("must not be declared"));
    assert!(matches!(findings[0].fix, Some(Fix::InGuest(_))));
    let absent = of(&Drivers { nvme: Answer::Absent, ..healthy() });
    assert!(absent[0].message.contains("has no nvme, neither built in nor as a module"));
    let drivers = Drivers { nvme: Answer::Absent, ..healthy() };
    assert_eq!((drivers.is_virtio_ready(), drivers.is_nvme_ready()), (Some(true), Some(false)));
}

#[test]
fn the_patience_of_nvme_is_an_argument_of_the_kernel() {
    let told = |release: &'static str, arguments: &[&str]| {
        let entry = entry(arguments);
        let (mut found, drivers) = (Findings::default(), healthy());
        let tools = Tools { loader: Some("update-grub"), ..Tools::default() };
        let judged = Judged {
            release,
            is_certain: true,
            drivers: &drivers,
            entry: Some(&entry),
            needs_fw_cfg: false,
            tools,
            hint: None,
        };
        judge(&judged, &mut found);
        found.0.into_iter().find(|finding| finding.rule == Rule::GNvmeTo)
    };
    assert_eq!(told("6.1.0", &["nvme.io_timeout=4294967295"]), None);
    let finding = told("6.1.0", &["ro", "quiet"]).unwrap();
    assert!(finding.message.starts_with("/boot/grub/grub.cfg line 7"), "{finding:?}");
    assert!(matches!(finding.fix, Some(Fix::InGuest(_))));
    // The driver of an older kernel refuses the number, and then there is no disk.
    assert!(matches!(told("4.14.336", &[]).unwrap().fix, Some(Fix::Do(_))));
    assert!(matches!(told("3.10.0-1160.el7", &[]).unwrap().fix, Some(Fix::Do(_))));
}

#[test]
fn a_kernel_without_a_network_driver_has_no_network() {
    let findings = of(&Drivers { virtio_net: Answer::Absent, ..healthy() });
    assert_eq!(severities(&findings), [(Rule::GVnet, Severity::Warn)]);
    let unread = of(&Drivers { virtio_net: Answer::Unread("damaged".to_owned()), ..healthy() });
    assert_eq!(severities(&unread), []);
}

#[test]
fn passwords_from_outside_need_fw_cfg_on_some_platforms() {
    let lack = Drivers { fw_cfg: Answer::Absent, ..healthy() };
    assert_eq!(severities(&of(&lack)), [(Rule::GFwcfg, Severity::Info)]);
    let needed = with(&lack, |judged| judged.needs_fw_cfg = true);
    assert_eq!(severities(&needed), [(Rule::GFwcfg, Severity::Warn)]);
    for platform in BY_FW_CFG {
        assert!(crate::request::PLATFORMS.contains(&platform), "{platform}");
    }
}

#[test]
fn kernels_before_2_6_32_are_too_old() {
    let is_old = |release| {
        let findings = with(&healthy(), |judged| judged.release = release);
        severities(&findings).contains(&(Rule::GMoc, Severity::Info))
    };
    assert!(is_old("2.6.18-398.el5"));
    for release in ["2.6.32-754.el6", "6.1.0-28-amd64", "5.10", "custom"] {
        assert!(!is_old(release), "{release}");
    }
}

#[test]
fn it_is_told_which_kernel_is_looked_at_and_why() {
    assert!(told("6.1.0", true, 1).ends_with("the only one with modules"));
    assert!(told("6.1.0", true, 2).contains("the boot loader starts it of 2"));
    assert!(told("6.1.0", false, 2).contains("the newest of 2"));
}

/// Makes the files of a system with one kernel, of which virtio_blk and virtio_net are modules and the initial RAM file
/// system holds these modules.
fn files(release: &str, initramfs: &str, held: &[&str], more: &[(&str, &str)]) -> Vec<(String, String)> {
    let held: Vec<_> =
        held.iter().map(|name| format!("usr/lib/modules/{release}/kernel/drivers/{name}.ko.xz")).collect();
    let held: Vec<_> = held.iter().map(|name| (&**name, b"module".as_slice())).collect();
    let archive = String::from_utf8(crate::inside::initramfs::fixture::archive(&held)).unwrap();
    let folder = format!("/lib/modules/{release}");
    let mut files = vec![
        ("/etc/os-release".to_owned(), "ID=any\n".to_owned()),
        (format!("{folder}/modules.builtin"), "kernel/virtio/virtio_pci.ko\nkernel/nvme.ko\n".to_owned()),
        (
            format!("{folder}/modules.dep"),
            "kernel/virtio_blk.ko.xz:\nkernel/virtio_net.ko.xz:\nkernel/qemu_fw_cfg.ko:\nkernel/vmw.ko:\n"
                .to_owned(),
        ),
        (initramfs.to_owned(), archive),
    ];
    files.extend(more.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())));
    files
}

fn judged_files(files: &[(String, String)]) -> Vec<Finding> {
    let files: Vec<_> = files.iter().map(|(path, text)| (&**path, &**text)).collect();
    let findings = crate::inside::memory::judged(check, &files);
    let (told, others): (Vec<_>, Vec<_>) =
        findings.into_iter().partition(|finding| finding.rule == Rule::GKernel);
    assert_eq!(told.len(), 1);
    others
}

#[test]
fn each_distribution_has_its_initramfs_and_its_remedy() {
    let entry = |kernel: &str, initrd: &str| {
        format!(
            "menuentry 'Linux' {{\n  linux /boot/{kernel} root=/dev/vda1 nvme_core.io_timeout=4294967295\n  initrd /boot/{initrd}\n}}\n"
        )
    };
    let grub = |kernel, initrd| ("/boot/grub/grub.cfg", entry(kernel, initrd));
    let grub2 = |kernel, initrd| ("/boot/grub2/grub.cfg", entry(kernel, initrd));
    for (release, image, initramfs, tool, (cfg, text), remedy) in [
        (
            "6.1.0-28-amd64",
            "/boot/vmlinuz-6.1.0-28-amd64",
            "/boot/initrd.img-6.1.0-28-amd64",
            "/usr/sbin/update-initramfs",
            grub("vmlinuz-6.1.0-28-amd64", "initrd.img-6.1.0-28-amd64"),
            "update-initramfs -u -k all",
        ),
        (
            "5.14.0-427.el9.x86_64",
            "/boot/vmlinuz-5.14.0-427.el9.x86_64",
            "/boot/initramfs-5.14.0-427.el9.x86_64.img",
            "/usr/bin/dracut",
            grub2("vmlinuz-5.14.0-427.el9.x86_64", "initramfs-5.14.0-427.el9.x86_64.img"),
            "dracut -f --regenerate-all",
        ),
        (
            "6.4.0-150600.21-default",
            "/boot/vmlinuz-6.4.0-150600.21-default",
            "/boot/initrd-6.4.0-150600.21-default",
            "/usr/bin/dracut",
            grub2("vmlinuz-6.4.0-150600.21-default", "initrd-6.4.0-150600.21-default"),
            "dracut -f --regenerate-all",
        ),
        (
            "6.9.1-arch1-1",
            "/boot/vmlinuz-linux",
            "/boot/initramfs-linux.img",
            "/usr/bin/mkinitcpio",
            grub("vmlinuz-linux", "initramfs-linux.img"),
            "mkinitcpio -P",
        ),
        (
            "6.6.31-0-virt",
            "/boot/vmlinuz-virt",
            "/boot/initramfs-virt",
            "/sbin/mkinitfs",
            grub("vmlinuz-virt", "initramfs-virt"),
            "mkinitfs \"${kernel##*/}\"",
        ),
    ] {
        let package = format!("/lib/modules/{release}/pkgbase");
        let with = |held: &[&str], is_named: bool| {
            let mut more = vec![(image, "MZ"), (tool, ""), (&*package, "linux\n")];
            more.extend(is_named.then_some((cfg, &*text)));
            judged_files(&files(release, initramfs, held, &more))
        };
        assert_eq!(with(&["virtio_blk", "vmw"], true), [], "{release}");
        assert_eq!(with(&["virtio-blk"], false), [], "{release}: by its usual name");
        let findings = with(&["vmw"], true);
        assert_eq!(severities(&findings), [(Rule::GVirtio, Severity::Fix)], "{release}");
        assert!(findings[0].message.contains(initramfs), "{findings:?}");
        let Some(Fix::InGuest(commands)) = &findings[0].fix else { panic!("{findings:?}") };
        assert!(commands.iter().any(|command| command.contains(remedy)), "{commands:?}");
        let other_named = with(&["vmw"], false);
        assert_eq!(other_named[0].severity, Severity::Fix, "{release}: the only kernel needs no entry");
    }
}

#[test]
fn the_kernel_that_the_loader_starts_decides_and_not_a_newer_one() {
    let (old, new) = ("6.1.0-9-amd64", "6.1.0-28-amd64");
    let entries = format!(
        "set default=1\nmenuentry 'new' {{\n linux /boot/vmlinuz-{new} nvme_core.io_timeout=9\n initrd /boot/initrd.img-{new}\n}}\n\
         menuentry 'old' {{\n linux /boot/vmlinuz-{old} nvme_core.io_timeout=9\n initrd /boot/initrd.img-{old}\n}}\n"
    );
    let both = |held_by_new: &[&str], held_by_old: &[&str]| {
        let (initrd_new, initrd_old) = (format!("/boot/initrd.img-{new}"), format!("/boot/initrd.img-{old}"));
        let mut all = files(new, &initrd_new, held_by_new, &[("/boot/grub/grub.cfg", &entries)]);
        all.extend(files(old, &initrd_old, held_by_old, &[]));
        for kernel in [new, old] {
            all.push((format!("/boot/vmlinuz-{kernel}"), "MZ".to_owned()));
        }
        judged_files(&all)
    };
    assert_eq!(both(&["vmw"], &["virtio_blk"]), []);
    let findings = both(&["virtio_blk"], &["vmw"]);
    assert_eq!(severities(&findings), [(Rule::GVirtio, Severity::Fix)]);
    assert!(findings[0].message.contains(old));
}

#[test]
fn a_hint_says_what_to_expect_where_nothing_could_be_read() {
    let release = "6.1.0-28-amd64";
    let name = format!("/boot/initrd.img-{release}");
    let hinted = |conf: &str| {
        let mut all = files(release, &name, &[], &[("/etc/initramfs-tools/initramfs.conf", conf)]);
        all[3].1 = "something that is no archive".to_owned();
        let findings = judged_files(&all);
        assert_eq!(severities(&findings), [(Rule::GVirtio, Severity::Info)]);
        findings[0].message.clone()
    };
    assert!(
        hinted("MODULES=most\n")
            .ends_with("probably it has, since /etc/initramfs-tools/initramfs.conf says MODULES=most")
    );
    assert!(hinted("MODULES=dep\n").contains("perhaps not"));
    assert!(hinted("").ends_with("not known"));
}
