//! Over guests in memory, with the texts that distributions and installers write.

use super::super::super::memory::{self, SYSTEMD};
use super::*;
use crate::finding::Finding;

type Text<'a> = (&'a str, &'a str);

const UNIT: &str = "[Service]\n[Install]\nWantedBy=multi-user.target\n";
const NETWORKD: [Text<'_>; 2] = [
    ("/usr/lib/systemd/system/systemd-networkd.service", UNIT),
    ("/etc/systemd/system/multi-user.target.wants/systemd-networkd.service", ""),
];
const MANAGER: [Text<'_>; 2] = [
    ("/usr/lib/systemd/system/NetworkManager.service", UNIT),
    ("/etc/systemd/system/multi-user.target.wants/NetworkManager.service", ""),
];
const WAITS: Text<'_> = ("/usr/lib/NetworkManager/conf.d/00-server.conf", "[main]\nno-auto-default=*\n");
const CLOUD_INIT: [Text<'_>; 3] = [
    ("/usr/lib/python3/dist-packages/cloudinit/version.py", "__VERSION__ = \"22.4.2\"\n"),
    ("/lib/systemd/system/cloud-init-local.service", UNIT),
    ("/etc/systemd/system/cloud-init.target.wants/cloud-init-local.service", ""),
];

fn judged(parts: &[&[Text<'_>]]) -> Vec<Finding> {
    memory::judged(check, &[&SYSTEMD, &parts.concat()[..]].concat())
}

fn told(findings: &[Finding]) -> Vec<(Rule, Severity)> {
    findings.iter().map(|finding| (finding.rule, finding.severity)).collect()
}

#[track_caller]
fn only(findings: &[Finding], rule: Rule, severity: Severity, says: &str) {
    assert_eq!(told(findings), [(rule, severity)], "{findings:#?}");
    assert!(findings[0].message.contains(says), "{}", findings[0]);
}

#[test]
fn stock_images_get_their_address() {
    let netplan = |text| ("/etc/netplan/90-default.yaml", text);
    let debian = netplan(
        "network:\n    version: 2\n    ethernets:\n        all-en:\n            match:\n                name: en*\n            \
         dhcp4: true\n            dhcp6: true\n        all-eth:\n            match:\n                name: eth*\n            dhcp4: true\n",
    );
    assert_eq!(judged(&[&[debian]]), []);
    let debian_11 = [
        (
            "/etc/network/interfaces",
            "source-directory /etc/network/interfaces.d\nauto lo\niface lo inet loopback\n",
        ),
        ("/etc/network/cloud-ifupdown-helper", "#!/bin/sh\n"),
    ];
    assert_eq!(judged(&[&debian_11]), []);
    assert_eq!(judged(&[&CLOUD_INIT]), [], "mmdebstrap with cloud-init");
    assert_eq!(judged(&[&MANAGER]), [], "NetworkManager makes a configuration by itself");
    let rocky = (
        "/etc/sysconfig/network-scripts/ifcfg-eth0",
        "BOOTPROTO=dhcp\nDEVICE=eth0\nONBOOT=yes\nTYPE=Ethernet\n",
    );
    assert_eq!(judged(&[&[rocky]]), []);
    let suse = ("/etc/sysconfig/network/ifcfg-eth0", "BOOTPROTO='dhcp'\nMTU=''\nSTARTMODE='auto'\n");
    assert_eq!(judged(&[&[suse]]), []);
    let arch =
        ("/etc/systemd/network/20-ethernet.network", "[Match]\nName=en*\nName=eth*\n\n[Network]\nDHCP=yes\n");
    assert_eq!(judged(&[&NETWORKD, &[arch]]), []);
    let alpine = [
        ("/sbin/init", "-> /bin/busybox"),
        ("/bin/busybox", "ELF"),
        ("/etc/runlevels/boot/", ""),
        ("/etc/network/interfaces", "auto lo\niface lo inet loopback\n\nauto eth0\niface eth0 inet dhcp\n"),
    ];
    assert_eq!(memory::judged(check, &alpine), []);
}

#[test]
fn a_fixed_address_is_found_in_the_files_of_each_program() {
    let cases: [(&[Text<'_>], &str); 6] = [
        (
            &[(
                "/etc/netplan/00-installer-config.yaml",
                "network:\n  ethernets:\n    ens33:\n      addresses:\n      - 10.0.0.5/24\n      dhcp4: false\n  version: 2\n",
            )],
            "00-installer-config.yaml line 3 has the fixed address 10.0.0.5/24 for ens33: ECS gives its addresses by DHCP",
        ),
        (
            &[(
                "/etc/network/interfaces",
                "auto lo\niface lo inet loopback\nallow-hotplug ens33\niface ens33 inet static\n\taddress 10.0.0.5/24\n\tgateway 10.0.0.1\n",
            )],
            "/etc/network/interfaces line 4 has the fixed address 10.0.0.5/24 for ens33",
        ),
        (
            &[
                NETWORKD[0],
                NETWORKD[1],
                ("/etc/systemd/network/10.network", "[Match]\nName=ens33\n[Network]\nAddress=10.0.0.5/24\n"),
            ],
            "10.network line 4 has the fixed address 10.0.0.5/24",
        ),
        (
            &[(
                "/etc/sysconfig/network-scripts/ifcfg-ens192",
                "DEVICE=ens192\nBOOTPROTO=none\nIPADDR=10.0.0.5\nONBOOT=yes\n",
            )],
            "ifcfg-ens192 line 3 has the fixed address 10.0.0.5 for ens192",
        ),
        (
            &[(
                "/etc/sysconfig/network/ifcfg-eth0",
                "BOOTPROTO='static'\nIPADDR='10.0.0.5/24'\nSTARTMODE='auto'\n",
            )],
            "ifcfg-eth0 line 2 has the fixed address 10.0.0.5/24 for eth0",
        ),
        (
            &[
                MANAGER[0],
                MANAGER[1],
                WAITS,
                (
                    "/etc/NetworkManager/system-connections/ens192.nmconnection",
                    "[connection]\nid=ens192\ntype=ethernet\ninterface-name=ens192\n\n[ipv4]\naddress1=10.0.0.5/24\nmethod=manual\n",
                ),
            ],
            "ens192.nmconnection line 8 has the fixed address for ens192",
        ),
    ];
    for (files, says) in cases {
        only(&judged(&[files]), Rule::GDhcp, Severity::Warn, says);
    }
    only(&judged(&[]), Rule::GDhcp, Severity::Warn, "nothing configures the network");
}

#[test]
fn what_is_bound_to_the_old_machine_is_found() {
    let cases: [(&[Text<'_>], &str); 5] = [
        (
            &[(
                "/etc/netplan/00-installer-config.yaml",
                "network: {version: 2, ethernets: {ens33: {dhcp4: true}}}\n",
            )],
            "for ens33 alone",
        ),
        (
            &[(
                "/etc/netplan/1.yaml",
                "network:\n  ethernets:\n    a:\n      match: {macaddress: '52:54:00:12:34:56'}\n      dhcp4: yes\n",
            )],
            "1.yaml line 3 is for the hardware address 52:54:00:12:34:56",
        ),
        (
            &[(
                "/etc/sysconfig/network-scripts/ifcfg-eth0",
                "DEVICE=eth0\nHWADDR=52:54:00:12:34:56\nBOOTPROTO=dhcp\n",
            )],
            "52:54:00:12:34:56",
        ),
        (
            &[
                MANAGER[0],
                MANAGER[1],
                WAITS,
                (
                    "/etc/NetworkManager/system-connections/a.nmconnection",
                    "[connection]\ntype=ethernet\n[ethernet]\nmac-address=52:54:00:12:34:56\n[ipv4]\nmethod=auto\n",
                ),
            ],
            "a.nmconnection line 6 is for the hardware address 52:54:00:12:34:56",
        ),
        (
            &[(
                "/etc/udev/rules.d/70-persistent-net.rules",
                "# PCI device\nSUBSYSTEM==\"net\", ACTION==\"add\", DRIVERS==\"?*\", ATTR{address}==\"52:54:00:12:34:56\", ATTR{type}==\"1\", KERNEL==\"eth*\", NAME=\"eth0\"\n",
            )],
            "70-persistent-net.rules line 2 keeps eth0",
        ),
    ];
    for (files, says) in cases {
        let findings = judged(&[files]);
        let (rule, severity) = told(&findings)[0];
        assert_eq!((rule, severity), (Rule::GNicName, Severity::Warn));
        assert!(findings[0].message.contains(says), "{}", findings[0]);
        assert!(
            told(&judged(&[files, &CLOUD_INIT])).is_empty(),
            "cloud-init configures what there is: {says}"
        );
    }
}

#[test]
fn where_cloud_init_works_only_what_is_in_its_way_counts() {
    let other = ("/etc/netplan/1.yaml", "network:\n  ethernets:\n    ens33: {addresses: [10.0.0.5/24]}\n");
    only(&judged(&[&CLOUD_INIT, &[other]]), Rule::GDhcp, Severity::Info, "on ECS it is for no interface");
    let same = ("/etc/netplan/1.yaml", "network:\n  ethernets:\n    eth0: {addresses: [10.0.0.5/24]}\n");
    only(&judged(&[&CLOUD_INIT, &[same]]), Rule::GDhcp, Severity::Warn, "in the way");
    let own = (
        "/etc/netplan/50-cloud-init.yaml",
        "# This file is generated from information provided by the datasource by cloud-init\nnetwork:\n  ethernets:\n    eth0: {addresses: [10.0.0.5/24]}\n",
    );
    assert_eq!(judged(&[&CLOUD_INIT, &[own]]), []);
    let off = ("/etc/cloud/cloud.cfg.d/9.cfg", "network: {config: disabled}\n");
    only(
        &judged(&[&CLOUD_INIT, &[own, off]]),
        Rule::GDhcp,
        Severity::Warn,
        "has the fixed address 10.0.0.5/24",
    );
}

#[test]
fn what_could_not_be_read_gives_no_warning() {
    let broken = ("/etc/netplan/1.yaml", "network: [\n");
    let mut tree = memory::tree(&[&SYSTEMD[..], &[broken]].concat());
    let (findings, unread) = memory::judged_tree(check, &mut tree);
    assert!(findings.iter().all(|finding| finding.severity == Severity::Info), "{findings:?}");
    assert!(unread.unwrap_err().contains("/etc/netplan/1.yaml"));
}

#[test]
fn what_a_profile_keeps_secret_is_never_told() {
    let profile = (
        "/etc/NetworkManager/system-connections/a.nmconnection",
        "[connection]\ntype=ethernet\n[802-1x]\npassword=hunter2\n[ipv4]\nmethod=manual\naddress1=10.9.8.7/24\n",
    );
    let said = format!("{:?}", judged(&[&MANAGER, &[profile]]));
    assert!(
        said.contains("a.nmconnection") && !said.contains("hunter2") && !said.contains("10.9.8.7"),
        "{said}"
    );
}

/// A system of systemd that names interfaces by their slots unless its kernel is told otherwise.
fn naming(arguments: &str, more: &[Text<'_>]) -> Vec<Finding> {
    let menu = format!("menuentry a {{\n linux /vmlinuz root=UUID=a {arguments}\n}}\n");
    let own = [("/usr/lib/systemd/network/99-default.link", "[Link]\n"), ("/boot/grub/grub.cfg", &*menu)];
    judged(&[&own, more])
}

#[test]
fn the_argument_of_the_kernel_tells_whether_the_interface_is_eth0() {
    let netplan = |name: &str, rest: &str| format!("network:\n  ethernets:\n    {name}: {rest}\n");
    let told = |arguments: &str, name: &str, rest: &str| {
        let text = netplan(name, rest);
        naming(arguments, &[("/etc/netplan/1.yaml", &text)])
    };
    let (dhcp, fixed) = ("{dhcp4: true}", "{addresses: [10.0.0.5/24]}");
    let off = "net.ifnames=0 biosdevname=0";
    assert_eq!(told(off, "eth0", dhcp), []);
    for name in ["ens3", "enp1s0"] {
        only(
            &told(off, name, dhcp),
            Rule::GNicName,
            Severity::Warn,
            "with net.ifnames=0 an instance on ECS has eth0",
        );
        only(
            &told("quiet", name, dhcp),
            Rule::GNicName,
            Severity::Warn,
            "need not have an interface of that name",
        );
        only(&told(off, name, fixed), Rule::GDhcp, Severity::Warn, "has the fixed address 10.0.0.5/24");
    }
    only(&told("quiet", "eth0", dhcp), Rule::GNicName, Severity::Warn, "without net.ifnames=0");
    only(
        &told("quiet", "eth0", fixed),
        Rule::GDhcp,
        Severity::Warn,
        "has the fixed address 10.0.0.5/24 for eth0",
    );
    for (arguments, pattern, is_well) in
        [(off, "en*", false), (off, "e*", true), ("quiet", "en*", true), ("quiet", "eth*", false)]
    {
        let text = format!(
            "network:\n  ethernets:\n    a:\n      match: {{name: '{pattern}'}}\n      dhcp4: true\n"
        );
        let found = naming(arguments, &[("/etc/netplan/1.yaml", &text)]);
        assert_eq!(found.is_empty(), is_well, "{arguments} {pattern} {found:?}");
    }
}

#[test]
fn names_that_something_else_may_give_are_not_judged() {
    let eth0 = ("/etc/sysconfig/network-scripts/ifcfg-eth0", "DEVICE=eth0\nBOOTPROTO=dhcp\nONBOOT=yes\n");
    assert_eq!(naming("quiet", &[eth0]).len(), 1);
    for other in [
        ("/etc/udev/rules.d/80-net-setup-link.rules", "-> /dev/null"),
        ("/etc/systemd/network/99-default.link", "-> /dev/null"),
        ("/etc/systemd/network/10-eth.link", "[Match]\n"),
        ("/etc/udev/rules.d/70-persistent-net.rules", ""),
    ] {
        assert_eq!(naming("quiet", &[eth0, other]), [], "{other:?}");
    }
    assert_eq!(naming("net.ifnames=1", &[eth0]), []);
    assert_eq!(judged(&[&[eth0]]), [], "no rule that names by slot is there");
}

#[test]
fn a_fixed_address_of_dhcpcd_is_in_the_way_of_what_it_would_ask_for() {
    let own = [
        ("/usr/lib/systemd/system/dhcpcd.service", UNIT),
        ("/etc/systemd/system/multi-user.target.wants/dhcpcd.service", ""),
    ];
    let told = |text| judged(&[&own, &[("/etc/dhcpcd.conf", text)]]);
    let said =
        "/etc/dhcpcd.conf line 3 has the fixed address 192.168.0.10/24 for eth0: on ECS it is in the way";
    let text = "hostname\ninterface eth0\nstatic ip_address=192.168.0.10/24\nstatic routers=192.168.0.1\n";
    only(&told(text), Rule::GDhcp, Severity::Warn, said);
    only(&told("static ip_address=10.0.0.5/24\n"), Rule::GDhcp, Severity::Warn, "for any interface");
    let other = "interface ens33\nstatic ip_address=10.0.0.5/24\n";
    only(&told(other), Rule::GDhcp, Severity::Info, "on ECS it is for no interface");
    for none in [
        "",
        "#interface eth0\n#static ip_address=192.168.0.10/24\n",
        "interface eth0\nstatic domain_name_servers=1.1.1.1\n",
        "profile static_eth0\nstatic ip_address=192.168.1.23/24\ninterface eth0\nfallback static_eth0\n",
    ] {
        assert_eq!(told(none), [], "{none}");
    }
}
