//! Over guests in memory, with the texts of the packages that they are named after.

use super::super::super::memory::{self, SYSTEMD};
use super::*;
use crate::finding::Finding;
use crate::fix::Fix;

type Text<'a> = (&'a str, &'a str);

const UNIT: &str = "[Service]\nType=oneshot\n[Install]\nWantedBy=cloud-init.target\n";
/// cloud-init 22.4.2 of Debian 12, as `mmdebstrap` installs it.
const DEBIAN: [Text<'_>; 12] = [
    ("/usr/bin/apt-get", "ELF"),
    (
        "/usr/lib/python3/dist-packages/cloudinit/version.py",
        "__VERSION__ = \"22.4.2\"\n_PACKAGED_VERSION = \"@@PACKAGED_VERSION@@\"\n",
    ),
    ("/usr/lib/cloud-init/ds-identify", "#!/bin/sh\n"),
    (
        "/etc/cloud/cloud.cfg",
        "users:\n   - default\ndisable_root: true\n# If you use datasource_list array, keep array items in a single line.\n\
         system_info:\n   distro: debian\n   paths:\n      cloud_dir: /var/lib/cloud/\n   ssh_svcname: ssh\n",
    ),
    (
        "/etc/cloud/cloud.cfg.d/05_logging.cfg",
        "_log:\n - &log_base |\n   [loggers]\n   keys=root\nlog_cfgs:\n - [ *log_base ]\n",
    ),
    ("/etc/cloud/cloud.cfg.d/README", "datasource_list: [None]"),
    ("/lib/systemd/system/cloud-init-local.service", UNIT),
    ("/lib/systemd/system/cloud-init.service", UNIT),
    ("/lib/systemd/system/cloud-config.service", UNIT),
    ("/lib/systemd/system/cloud-final.service", UNIT),
    (
        "/etc/systemd/system/cloud-init.target.wants/cloud-init-local.service",
        "-> /lib/systemd/system/cloud-init-local.service",
    ),
    (
        "/etc/systemd/system/cloud-init.target.wants/cloud-init.service",
        "-> /lib/systemd/system/cloud-init.service",
    ),
];

fn judged(files: &[Text<'_>]) -> Vec<Finding> {
    memory::judged(check, &[&SYSTEMD, files].concat())
}

/// Returns what is said of Debian with more files, which come in the place of those of the same name.
fn debian(more: &[Text<'_>]) -> Vec<Finding> {
    judged(&[&DEBIAN, more].concat())
}

#[track_caller]
fn only(findings: Vec<Finding>, rule: Rule, says: &str) -> Vec<String> {
    let [finding] = &findings[..] else { panic!("{findings:#?}") };
    assert_eq!((finding.rule, finding.severity), (rule, Severity::Warn), "{finding}");
    assert!(finding.message.contains(says), "{finding}");
    match &finding.fix {
        Some(Fix::InGuest(commands)) => commands.clone(),
        _ => Vec::new(),
    }
}

#[test]
fn stock_images_of_each_distribution_are_well() {
    let wanted = "/etc/systemd/system/cloud-init.target.wants/cloud-init-local.service";
    let unit = ("/usr/lib/systemd/system/cloud-init-local.service", UNIT);
    let link = (wanted, "-> /usr/lib/systemd/system/cloud-init-local.service");
    assert_eq!(debian(&[]), []);
    let ubuntu = (
        "/etc/cloud/cloud.cfg.d/90_dpkg.cfg",
        "# to update this file, run dpkg-reconfigure cloud-init\ndatasource_list: [ NoCloud, ConfigDrive, OpenNebula, \
         DigitalOcean, Azure, AltCloud, OVF, MAAS, GCE, OpenStack, CloudSigma, SmartOS, Bigstep, Scaleway, AliYun, Ec2, \
         CloudStack, Hetzner, IBMCloud, Oracle, Exoscale, RbxCloud, UpCloud, VMware, Vultr, LXD, NWCS, Akamai, WSL, None ]\n",
    );
    assert_eq!(debian(&[ubuntu]), []);
    let rocky = [
        ("/usr/bin/dnf", "ELF"),
        (
            "/usr/lib/python3.9/site-packages/cloudinit/version.py",
            "__VERSION__ = \"23.4\"\n_PACKAGED_VERSION = '23.4-7.el9_4.8.0.1'\n",
        ),
        (
            "/etc/cloud/cloud.cfg",
            "users:\n - default\n\ndisable_root: true\nmount_default_fields: [~, ~, 'auto', \
             'defaults,nofail,x-systemd.requires=cloud-init.service', '0', '2']\nresize_rootfs_tmp: /dev\n\
             ssh_pwauth:   false\nsystem_info:\n  distro: rhel\n  network:\n    renderers: ['sysconfig', 'eni', 'netplan']\n",
        ),
        unit,
        link,
    ];
    assert_eq!(judged(&rocky), []);
    let first_boot = [("/etc/machine-id", ""), ("/etc/machine-id", "uninitialized\n")];
    let preset = ("/usr/lib/systemd/system-preset/90-default.preset", "enable cloud-init-local.service\n");
    assert_eq!(judged(&[&rocky[..4], &first_boot, &[preset]].concat()), []);
    let arch = [
        ("/usr/bin/pacman", "ELF"),
        (
            "/usr/lib/python3.13/site-packages/cloudinit/version.py",
            "__VERSION__ = \"25.1.4\"\n_PACKAGED_VERSION = \"@@PACKAGED_VERSION@@\"\n",
        ),
        ("/etc/cloud/cloud.cfg", "users:\n  - default\n"),
        ("/usr/lib/systemd/system/cloud-init-main.service", UNIT),
        (
            "/etc/systemd/system/cloud-init.target.wants/cloud-init-main.service",
            "-> /usr/lib/systemd/system/cloud-init-main.service",
        ),
    ];
    assert_eq!(judged(&arch), []);
    let suse = [
        ("/usr/bin/zypper", "ELF"),
        (
            "/usr/lib/python3.6/site-packages/cloudinit/version.py",
            "__VERSION__ = \"23.3\"\n_PACKAGED_VERSION = '23.3-150100.8.85.4'\n",
        ),
        ("/etc/cloud/cloud.cfg", "users:\n   - default\n"),
        unit,
        link,
    ];
    assert_eq!(judged(&suse), []);
}

const ALPINE: [Text<'_>; 6] = [
    ("/sbin/init", "-> /bin/busybox"),
    ("/bin/busybox", "ELF"),
    ("/sbin/openrc-run", "ELF"),
    ("/sbin/apk", "ELF"),
    ("/etc/init.d/cloud-init", "#!/sbin/openrc-run\n"),
    ("/usr/lib/python3.12/site-packages/cloudinit/version.py", "__VERSION__ = \"24.4\"\n"),
];

#[test]
fn of_alpine_a_runlevel_has_to_have_it() {
    let level = ("/etc/runlevels/default/cloud-init", "-> /etc/init.d/cloud-init");
    assert_eq!(memory::judged(check, &[&ALPINE[..], &[level]].concat()), []);
    let empty = ("/etc/runlevels/default/", "");
    let commands = only(
        memory::judged(check, &[&ALPINE[..], &[empty]].concat()),
        Rule::GCiOff,
        "nothing starts its services",
    );
    assert_eq!(commands, ["setup-cloud-init"]);
}

#[test]
fn what_the_installer_of_ubuntu_leaves_is_the_last_that_cloud_init_does() {
    let files = [
        (
            "/etc/cloud/cloud.cfg.d/90_dpkg.cfg",
            "# to update this file, run dpkg-reconfigure cloud-init\ndatasource_list: [ NoCloud, AliYun, None ]\n",
        ),
        (
            "/etc/cloud/cloud.cfg.d/99-installer.cfg",
            "datasource:\n  None:\n    metadata:\n      instance-id: c69a6d14\n    userdata_raw: \"#cloud-config\\ngrowpart: {mode: 'off'}\\n\
             users:\\n- {name: a, passwd: secret}\\n\"\ndatasource_list: [None]\n",
        ),
        ("/etc/cloud/ds-identify.cfg", "# Automatically generated\npolicy: enabled\n"),
        (
            "/etc/cloud/cloud.cfg.d/subiquity-disable-cloudinit-networking.cfg",
            "network: {config: disabled}\n",
        ),
    ];
    let commands = only(
        debian(&files),
        Rule::GCiDs,
        "99-installer.cfg line 6 says datasource_list: [None], as the installer of Ubuntu leaves it: cloud-init sees no ECS",
    );
    assert_eq!(
        commands,
        [
            "rm -f /etc/cloud/cloud.cfg.d/99-installer.cfg \
             /etc/cloud/cloud.cfg.d/subiquity-disable-cloudinit-networking.cfg",
            "cloud-init clean",
        ]
    );
}

#[test]
fn a_list_without_ecs_finds_nothing_in_either_form() {
    let file = "/etc/cloud/cloud.cfg.d/91-x.cfg";
    for list in ["[ Ec2, None ]", "['NoCloud']", "[Azure]", "[]", "[ConfigDrive, NoCloud, None]"] {
        let text = format!("datasource_list: {list}\n");
        let commands = only(debian(&[(file, &text)]), Rule::GCiDs, "cloud-init sees no ECS");
        assert_eq!(
            commands[0],
            "echo 'datasource_list: [ AliYun, None ]' > /etc/cloud/cloud.cfg.d/zz-ecs.cfg"
        );
    }
    for list in ["[AliYun]", "[ Aliyun, None ]", "[\"ALIYUN\"]", "[Ec2, AliYun]", "\n  - AliYun\n  - None"] {
        let text = format!("datasource_list: {list}\n");
        assert_eq!(debian(&[(file, &text)]), [], "{list}");
    }
    let block = (file, "a: 1\ndatasource_list:\n  - Ec2\n  - None\n");
    only(debian(&[block]), Rule::GCiDs, "line 2 says datasource_list: [Ec2, None] in lines of their own");
    let alone = ("/etc/cloud/ds-identify.cfg", "policy: enabled\n");
    only(debian(&[block, alone]), Rule::GCiDs, "cloud-init sees no ECS");
}

#[test]
fn the_last_file_in_order_of_bytes_decides() {
    let ecs = "datasource_list: [AliYun]\n";
    let other = "datasource_list: [Ec2]\n";
    let of = |name: &str| format!("/etc/cloud/cloud.cfg.d/{name}");
    let (early, late, upper) = (of("50-a.cfg"), of("60-a.cfg"), of("Z.cfg"));
    assert_eq!(debian(&[(&early, other), (&late, ecs)]), []);
    only(debian(&[(&early, ecs), (&late, other)]), Rule::GCiDs, "60-a.cfg line 1");
    only(debian(&[(&upper, other), ("/etc/cloud/cloud.cfg", ecs)]), Rule::GCiDs, "Z.cfg");
    assert_eq!(debian(&[("/etc/cloud/cloud.cfg", other), (&early, ecs)]), []);
    let last = of("zzz.cfg");
    let commands = only(debian(&[(&last, other)]), Rule::GCiDs, "zzz.cfg");
    assert!(commands[0].starts_with("sed -i ") && commands[0].ends_with("/zzz.cfg"), "{commands:?}");
    let hostile = of("zzz$(reboot).cfg");
    assert!(only(debian(&[(&hostile, other)]), Rule::GCiDs, "zzz").is_empty());
}

#[test]
fn what_is_no_list_is_said_not_to_be_read() {
    for text in ["datasource_list: {a: b}\n", "datasource_list: [Ec2\n", "a: &a [Ec2]\ndatasource_list: *a\n"]
    {
        let mut tree =
            memory::tree(&[&SYSTEMD[..], &DEBIAN, &[("/etc/cloud/cloud.cfg.d/91.cfg", text)]].concat());
        let (findings, unread) = memory::judged_tree(check, &mut tree);
        assert_eq!(findings, [], "{text}");
        assert!(unread.unwrap_err().contains("91.cfg"), "{text}");
    }
}

#[test]
fn ds_identify_may_have_one_source_or_none() {
    let file = "/etc/cloud/ds-identify.cfg";
    let commands =
        only(debian(&[(file, "# x\n  datasource: Ec2\n")]), Rule::GCiDs, "line 2 says datasource: Ec2");
    assert_eq!(commands[0], "sed -i '/^[[:space:]]*datasource[[:space:]]*:/d' /etc/cloud/ds-identify.cfg");
    assert_eq!(debian(&[(file, "datasource: AliYun\n")]), []);
    assert_eq!(debian(&[(file, "policy: search,found=all,maybe=none,notfound=disabled\n")]), []);
    only(debian(&[(file, "policy: disabled\n")]), Rule::GCiOff, "line 1 says policy: disabled");
}

#[test]
fn what_keeps_it_off_is_named() {
    let file = ("/etc/cloud/cloud-init.disabled", "");
    let commands = only(debian(&[file]), Rule::GCiOff, "off, since /etc/cloud/cloud-init.disabled is there");
    assert_eq!(commands, ["rm -f /etc/cloud/cloud-init.disabled"]);
    let masked = [
        ("/etc/systemd/system/cloud-init.service", "-> /dev/null"),
        ("/etc/systemd/system/cloud-final.service", "-> /dev/null"),
    ];
    let commands = only(debian(&masked), Rule::GCiOff, "masked by /etc/systemd/system/cloud-init.service");
    assert_eq!(commands[0], "systemctl unmask cloud-init.service cloud-final.service");
    only(judged(&DEBIAN[..10]), Rule::GCiOff, "nothing starts its services");
    let cached = ("/etc/cloud/cloud.cfg.d/91.cfg", "manual_cache_clean: True\n");
    let commands = only(debian(&[cached]), Rule::GCiOff, "91.cfg line 1 says manual_cache_clean: true");
    assert_eq!(commands.len(), 2);
    assert_eq!(debian(&[("/etc/cloud/cloud.cfg.d/91.cfg", "manual_cache_clean: false\n")]), []);
}

#[test]
fn only_the_kernel_that_is_started_turns_it_off() {
    let grub = |argument: &str| {
        format!(
            "set default=0\nmenuentry 'Debian' {{\n\tlinux /vmlinuz root=UUID=a ro {argument}\n}}\n\
             menuentry 'other' {{\n\tlinux /vmlinuz.old root=UUID=a cloud-init=disabled\n}}\n"
        )
    };
    assert_eq!(debian(&[("/boot/grub/grub.cfg", &grub("quiet"))]), []);
    only(
        debian(&[("/boot/grub/grub.cfg", &grub("cloud-init=disabled"))]),
        Rule::GCiOff,
        "/boot/grub/grub.cfg line 3 has the argument cloud-init=disabled",
    );
}

#[test]
fn what_is_too_old_or_not_there_sets_nothing_up() {
    let version = "/usr/lib/python3/dist-packages/cloudinit/version.py";
    only(
        debian(&[(version, "__VERSION__ = \"0.7.9\"\n")]),
        Rule::GCiVer,
        "cloud-init 0.7.9 in /usr/lib/python3/",
    );
    let commands = only(judged(&[("/usr/bin/apt-get", "")]), Rule::GCiVer, "cloud-init is not installed");
    assert_eq!(commands, ["apt-get install -y cloud-init"]);
    let commands = only(judged(&[("/usr/bin/pacman", "")]), Rule::GCiVer, "is not installed");
    assert_eq!(commands.len(), 2, "Arch enables nothing by itself: {commands:?}");
    assert_eq!(only(judged(&[]), Rule::GCiVer, "is not installed"), [""; 0]);
    for os in ["ID=flatcar\n", "ID=fedora\nVARIANT_ID=coreos\n"] {
        assert_eq!(judged(&[("/etc/os-release", os)]), [], "{os}");
    }
}

#[test]
fn facts_tell_what_others_may_rely_on() {
    let facts = |more: &[Text<'_>]| {
        let mut tree = memory::tree(&[&SYSTEMD[..], &DEBIAN, more].concat());
        memory::system(&mut tree).cloud_init.found().unwrap().clone()
    };
    let well = facts(&[]);
    assert_eq!((well.version.as_deref(), well.works()), (Some("22.4.2"), Told::Yes));
    assert!(well.sets_up_network.is_yes());
    let off = facts(&[("/etc/cloud/cloud-init.disabled", "")]);
    assert!(matches!(off.works(), Told::No(reason) if reason.contains("cloud-init.disabled")));
    let blind =
        facts(&[("/etc/cloud/cloud.cfg.d/9.cfg", "datasource_list: [None]\nnetwork: {config: disabled}\n")]);
    assert!(matches!(blind.works(), Told::No(reason) if reason.contains("9.cfg line 1")));
    assert!(matches!(blind.sets_up_network, Told::No(reason) if reason.contains("9.cfg line 2")));
    let unread = facts(&[("/etc/cloud/cloud.cfg.d/9.cfg", "datasource_list: {\n")]);
    assert!(matches!(unread.works(), Told::Unread(_)));
}

/// A menu of GRUB whose kernel has this argument.
fn menu(argument: &str) -> String {
    format!("menuentry a {{\n linux /boot/vmlinuz-1 root=UUID=a {argument} quiet\n}}\n")
}

#[test]
fn an_argument_of_the_kernel_comes_before_every_list() {
    let of = |argument: &str, more: &[Text<'_>]| {
        let menu = menu(argument);
        debian(&[&[("/boot/grub/grub.cfg", &*menu)], more].concat())
    };
    let none = ("/etc/cloud/cloud.cfg.d/99-installer.cfg", "datasource_list: [None]\n");
    for (argument, key) in [
        ("'ds=nocloud;s=file:///seed/'", "ds with nocloud"),
        ("ds=openstack", "ds with openstack"),
        ("ci.ds=Ec2", "ci.ds with Ec2"),
        ("ci.datasource=Azure", "ci.datasource with Azure"),
    ] {
        let commands = only(of(argument, &[]), Rule::GCiDs, key);
        assert!(commands[0].contains("=[^"), "{commands:?}");
        only(of(argument, &[none]), Rule::GCiDs, key);
    }
    for argument in
        ["'cc: {datasource_list: [NoCloud, \"Ec2\"]} end_cc'", "\"cc:datasource_list: [NoCloud,Ec2]\""]
    {
        assert_eq!(only(of(argument, &[]), Rule::GCiDs, "cc: with NoCloud, Ec2"), [""; 0]);
    }
    for argument in ["ds=aliyun", "ci.ds=AliYun", "'cc:{datasource_list: [AliYun]}'"] {
        assert_eq!(of(argument, &[none]), [], "{argument}");
    }
    for argument in ["ds=", "'cc:{manage_etc_hosts: true}'", "ads=nocloud"] {
        assert_eq!(of(argument, &[]), [], "{argument}");
        only(of(argument, &[none]), Rule::GCiDs, "as the installer of Ubuntu leaves it");
    }
}

#[test]
fn data_in_the_image_come_before_those_of_ecs_where_no_list_leaves_them_out() {
    let seed: [Text<'_>; 2] = [
        ("/var/lib/cloud/seed/nocloud/meta-data", "instance-id: a\n"),
        ("/var/lib/cloud/seed/nocloud/user-data", "#cloud-config\n"),
    ];
    let list = |text| ("/etc/cloud/cloud.cfg.d/90_dpkg.cfg", text);
    let with = |more: Text<'_>| debian(&[seed[0], seed[1], more]);
    let commands =
        only(debian(&seed), Rule::GCiDs, "/var/lib/cloud/seed/nocloud has meta-data and user-data");
    assert_eq!(commands[0], "rm -rf /var/lib/cloud/seed/nocloud");
    only(with(list("datasource_list: [NoCloud, AliYun, None]\n")), Rule::GCiDs, "takes them before");
    assert_eq!(with(list("datasource_list: [AliYun, NoCloud, None]\n")), []);
    assert_eq!(with(list("datasource_list: [AliYun, None]\n")), []);
    assert_eq!(debian(&seed[..1]), [], "it has to have both");
}

#[test]
fn what_a_loader_that_is_not_known_may_say_takes_no_verdict_back() {
    let unknown = ("/etc/lilo.conf", "image=/boot/vmlinuz\n");
    let judged = |more: &[Text<'_>]| {
        let mut tree = memory::tree(&[&SYSTEMD[..], &DEBIAN, &[unknown][..], more].concat());
        memory::judged_tree(check, &mut tree).0
    };
    assert_eq!(judged(&[("/etc/cloud/cloud.cfg.d/90.cfg", "datasource_list: [AliYun, None]\n")]), []);
    only(
        judged(&[("/etc/cloud/cloud.cfg.d/90.cfg", "datasource_list: [Ec2, None]\n")]),
        Rule::GCiDs,
        "[Ec2, None]",
    );
}

#[test]
fn ignition_takes_the_user_data_of_ecs_on_no_other_platform() {
    let of = |platform: &str, more: &[Text<'_>]| {
        let os = ("/etc/os-release", "ID=fedora\nVARIANT_ID=coreos\n");
        let entry = format!("linux /vmlinuz\noptions {platform} $ignition_firstboot\n");
        judged(&[&[os, ("/boot/loader/entries/a.conf", &*entry)], more].concat())
    };
    let first = ("/boot/ignition.firstboot", "");
    assert_eq!(of("ignition.platform.id=aliyun", &[first]), []);
    only(
        of("ignition.platform.id=qemu", &[first]),
        Rule::GCiDs,
        "line 2 names the platform qemu, not aliyun",
    );
    let later = of("ignition.platform.id=qemu", &[]);
    assert_eq!((later.len(), later[0].severity), (1, Severity::Info), "it was set up before");
    assert_eq!(of("", &[first]), [], "what is not told is no defect");
}
