use super::*;
use crate::inside::memory;

const UNIT: &str = "[Service]\nExecStart=/usr/sbin/sshd -D\n[Install]\nWantedBy=multi-user.target\n";
const MADE_KEYS: (&str, &str) = ("/etc/ssh/ssh_host_ed25519_key", "PRIVATE");
const CLOUD_INIT: (&str, &str) =
    ("/usr/lib/python3/dist-packages/cloudinit/version.py", "__VERSION__ = \"24.1\"\n");
const DEBIAN: &[(&str, &str)] = &[
    ("/sbin/init", "-> /lib/systemd/systemd"),
    ("/lib", "-> usr/lib"),
    ("/usr/lib/systemd/systemd", "ELF"),
    ("/usr/bin/apt-get", "ELF"),
    ("/etc/debian_version", "12.8\n"),
    ("/etc/machine-id", ""),
    ("/usr/sbin/sshd", "ELF"),
    ("/usr/lib/systemd/system/ssh.service", UNIT),
    // The package makes them, and disabling the service leaves them.
    ("/etc/init.d/ssh", "#!/bin/sh"),
    ("/etc/rc3.d/S01ssh", "-> ../init.d/ssh"),
];
const DEBIAN_WANTS: (&str, &str) =
    ("/etc/systemd/system/multi-user.target.wants/ssh.service", "-> /lib/systemd/system/ssh.service");
const RHEL: &[(&str, &str)] = &[
    ("/sbin/init", "-> ../lib/systemd/systemd"),
    ("/lib", "-> usr/lib"),
    ("/usr/lib/systemd/systemd", "ELF"),
    ("/usr/bin/dnf", "ELF"),
    ("/etc/machine-id", "uninitialized\n"),
    ("/usr/sbin/sshd", "ELF"),
    ("/usr/lib/systemd/system/sshd.service", "[Unit]\nWants=sshd-keygen.target\n[Install]\n"),
    ("/usr/lib/systemd/system/sshd-keygen.target", "[Unit]\n"),
    ("/usr/lib/systemd/system-preset/90-default.preset", "enable sshd.service\ndisable *\n"),
];
const ALPINE: &[(&str, &str)] = &[
    ("/sbin/init", "-> /bin/busybox"),
    ("/bin/busybox", "ELF"),
    ("/sbin/apk", "ELF"),
    ("/sbin/openrc-run", "ELF"),
    ("/usr/sbin/sshd", "ELF"),
    ("/etc/init.d/sshd", "start() { ssh-keygen -A; }\n"),
    ("/etc/runlevels/default/", ""),
];
const ALPINE_WANTS: (&str, &str) = ("/etc/runlevels/default/sshd", "-> /etc/init.d/sshd");

fn told(base: &[(&str, &str)], more: &[(&str, &str)]) -> Vec<String> {
    let found = memory::judged(check, &[base, more].concat());
    found.iter().map(ToString::to_string).collect()
}

#[test]
fn a_stock_image_gives_nothing_to_say() {
    let nothing: [String; 0] = [];
    assert_eq!(told(DEBIAN, &[DEBIAN_WANTS, CLOUD_INIT]), nothing);
    assert_eq!(told(DEBIAN, &[DEBIAN_WANTS, CLOUD_INIT, MADE_KEYS]), nothing, "cloud-init replaces them");
    assert_eq!(told(RHEL, &[]), nothing, "by its preset, and with keys that a target makes");
    assert_eq!(told(ALPINE, &[ALPINE_WANTS]), nothing);
    let arch = [
        ("/sbin/init", "-> ../lib/systemd/systemd"),
        ("/lib", "-> usr/lib"),
        ("/usr/lib/systemd/systemd", "ELF"),
        ("/etc/machine-id", "0123456789abcdef0123456789abcdef"),
        ("/usr/bin/sshd", "ELF"),
        ("/usr/lib/systemd/system/sshd.service", "[Unit]\nWants=sshdgenkeys.service\n[Install]\n"),
        (
            "/etc/systemd/system/multi-user.target.wants/sshd.service",
            "-> /usr/lib/systemd/system/sshd.service",
        ),
    ];
    assert_eq!(told(&arch, &[]), nothing);
    let suse =
        ("/usr/lib/systemd/system/sshd.service", "ExecStartPre=/usr/sbin/sshd-gen-keys-start\n[Install]\n");
    assert_eq!(told(&arch, &[suse]), nothing);
    let ubuntu = [
        ("/usr/lib/systemd/system/ssh.socket", "[Socket]\nListenStream=22\nAccept=no\n[Install]\n"),
        ("/etc/systemd/system/sockets.target.wants/ssh.socket", "-> /usr/lib/systemd/system/ssh.socket"),
        CLOUD_INIT,
    ];
    assert_eq!(told(DEBIAN, &ubuntu), nothing, "by its socket");
}

#[test]
fn a_disabled_server_is_told_though_links_of_runlevels_are_left() {
    let enable = "systemctl unmask ssh; systemctl enable ssh";
    assert_eq!(
        told(DEBIAN, &[CLOUD_INIT]),
        [format!(
            "warn G-SSHD: ssh.service is installed but not enabled: no SSH server starts at boot; {enable}"
        )]
    );
    assert_eq!(
        told(ALPINE, &[]),
        ["warn G-SSHD: sshd.service is installed but not enabled: no SSH server starts at boot; \
          rc-update add sshd default"]
    );
    let installed = ("/etc/machine-id", "0123456789abcdef0123456789abcdef");
    assert!(told(RHEL, &[installed])[0].contains("systemctl enable sshd"));
}

#[test]
fn a_masked_server_is_told_though_it_is_wanted() {
    let mask = ("/etc/systemd/system/ssh.service", "-> /dev/null");
    let socket = ("/usr/lib/systemd/system/ssh.socket", "[Socket]\n[Install]\n");
    let wants =
        ("/etc/systemd/system/sockets.target.wants/ssh.socket", "-> /usr/lib/systemd/system/ssh.socket");
    for more in [&[mask, DEBIAN_WANTS][..], &[mask, socket, wants]] {
        assert_eq!(
            told(DEBIAN, more),
            [
                "warn G-SSHD: ssh.service is masked by /etc/systemd/system/ssh.service: no SSH server starts at boot; \
              systemctl unmask ssh; systemctl enable ssh"
            ]
        );
    }
}

#[test]
fn a_file_of_debian_keeps_the_server_off() {
    let off = ("/etc/ssh/sshd_not_to_be_run", "");
    assert_eq!(
        told(DEBIAN, &[DEBIAN_WANTS, CLOUD_INIT, off]),
        ["warn G-SSHD: /etc/ssh/sshd_not_to_be_run keeps the SSH server off: no SSH server starts at boot; \
          rm -f /etc/ssh/sshd_not_to_be_run"]
    );
    let keys = [("/etc/ssh/ssh_host_rsa_key", ""), off, CLOUD_INIT];
    assert!(told(RHEL, &keys).is_empty(), "only Debian's units look for it");
}

#[test]
fn a_system_without_a_server_is_told_how_to_get_one() {
    let bare = &DEBIAN[..5];
    assert_eq!(
        told(bare, &[]),
        ["warn G-SSHD: no SSH server is installed: no SSH server starts at boot; \
          apt-get install -y openssh-server"]
    );
    assert!(told(&ALPINE[..4], &[("/etc/runlevels/default/", "")])[0].ends_with("apk add openssh"));
    assert!(told(bare, &[("/usr/sbin/sshd", "")])[0].contains("nothing that starts it"));
}

#[test]
fn dropbear_is_a_server_too() {
    let base = &ALPINE[..4];
    let dropbear = [
        ("/usr/sbin/dropbear", "ELF"),
        ("/etc/init.d/dropbear", ""),
        ("/etc/runlevels/default/dropbear", "-> /etc/init.d/dropbear"),
    ];
    assert!(told(base, &dropbear).is_empty());
}

#[test]
fn another_port_and_no_passwords_are_worth_knowing() {
    let main = "# Port 1\nInclude /etc/ssh/sshd_config.d/*.conf\nPort 22\nPasswordAuthentication yes\n\
                Match User git\nPort 5\n";
    let included = ("/etc/ssh/sshd_config.d/60-cloudimg-settings.conf", "passwordauthentication=no\n");
    let found = told(DEBIAN, &[DEBIAN_WANTS, CLOUD_INIT, ("/etc/ssh/sshd_config", main), included]);
    assert_eq!(found.len(), 1);
    assert!(
        found[0]
            .starts_with("info G-SSHD: /etc/ssh/sshd_config.d/60-cloudimg-settings.conf line 1: SSH lets"),
        "{found:?}"
    );
    let other = ("/etc/ssh/sshd_config", "Port 2222\nPort 2223\nMatch all\nPasswordAuthentication no\n");
    let found = told(DEBIAN, &[DEBIAN_WANTS, CLOUD_INIT, other]);
    assert_eq!(
        found,
        ["info G-SSHD: /etc/ssh/sshd_config line 1: the SSH server listens on port 2222 and not on 22: \
          the security group has to let that in"]
    );
    let suse = ("/usr/etc/ssh/sshd_config", "Port 2222\n");
    assert_eq!(told(DEBIAN, &[DEBIAN_WANTS, CLOUD_INIT, suse]).len(), 1);
    let own = ("/etc/ssh/sshd_config", "\n");
    assert_eq!(told(DEBIAN, &[DEBIAN_WANTS, CLOUD_INIT, suse, own]).len(), 0);
}

#[test]
fn host_keys_that_nothing_replaces_are_the_same_for_every_instance() {
    let same = "every instance has the same SSH host keys";
    let found = told(DEBIAN, &[DEBIAN_WANTS, MADE_KEYS]);
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("info G-SSHKEY: /etc/ssh/ssh_host_ed25519_key") && found[0].ends_with(same));
    let found = told(RHEL, &[MADE_KEYS, ("/etc/ssh/ssh_host_rsa_key", "")]);
    assert!(found[0].contains("and others") && found[0].ends_with("rm -f /etc/ssh/ssh_host_*"), "{found:?}");
    let off = [
        ("/etc/cloud/cloud-init.disabled", ""),
        ("/etc/cloud/cloud.cfg.d/99-keep.cfg", "ssh_deletekeys: false\n"),
        ("/etc/systemd/system/cloud-init.service", "-> /dev/null"),
    ];
    for off in off {
        let found = told(DEBIAN, &[DEBIAN_WANTS, MADE_KEYS, CLOUD_INIT, off]);
        assert!(found[0].contains(same), "{off:?}");
    }
    let told_twice = [("/etc/cloud/cloud.cfg", "ssh_deletekeys:   1\n"), off[1]];
    assert_eq!(told(DEBIAN, &[&[DEBIAN_WANTS, MADE_KEYS, CLOUD_INIT], &told_twice[..]].concat()).len(), 1);
    assert_eq!(told(DEBIAN, &[DEBIAN_WANTS, MADE_KEYS, CLOUD_INIT, told_twice[0]]).len(), 0);
}

#[test]
fn a_server_without_keys_does_not_start_unless_something_makes_them() {
    assert_eq!(
        told(DEBIAN, &[DEBIAN_WANTS]),
        ["warn G-SSHD: there are no SSH host keys in /etc/ssh, and nothing makes them at boot: \
          the SSH server does not start; ssh-keygen -A"]
    );
    let maker = ("/usr/lib/systemd/system/sshd-keygen.service", "[Service]\n");
    assert!(told(DEBIAN, &[DEBIAN_WANTS, maker]).is_empty());
}

#[test]
fn what_cannot_be_read_is_not_judged() {
    let mut tree = memory::tree(DEBIAN);
    tree.mount("/etc/systemd", Err("the disk is away".to_owned()));
    let (found, unread) = memory::judged_tree(check, &mut tree);
    assert_eq!((found.len(), unread), (0, Err("the disk is away".to_owned())));
}
