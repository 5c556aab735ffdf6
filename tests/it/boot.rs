//! Booting an image: the real binary with a program in QEMU's place, which plays what a console says.

use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Finished, World};

/// A console up to a login prompt.
const GOOD: &str = "GRUB loading.\\n[    0.000000] Linux version 6.1.0-28-cloud-amd64\\n\
    [    1.0] EXT4-fs (vda3): mounted filesystem with ordered data mode\\n\
    Welcome to Debian GNU/Linux 12 (bookworm)!\\n\\nweb login: ";

/// Puts a shell script in QEMU's place. Its arguments are in `arguments`, its process id in `pid`.
fn qemu(world: &World, script: &str) {
    let path = world.path("qemu-system-x86_64");
    let text = format!("#!/bin/sh\nprintf '%s\\n' \"$@\" > arguments\necho $$ > pid\n{script}\n");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    world.disk("disk.raw", 64 << 20, 1);
}

fn boot(world: &World, more: &[&str]) -> Finished {
    world.run(&[&["boot", "disk.raw", "--qemu=qemu-system-x86_64", "--no-kvm"], more].concat())
}

fn json(finished: &Finished) -> Value {
    serde_json::from_str(&finished.stdout).unwrap()
}

/// Whether the process that wrote `pid` still runs.
fn runs(world: &World) -> bool {
    let pid = std::fs::read_to_string(world.path("pid")).unwrap();
    std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).is_ok_and(|stat| !stat.contains(") Z "))
}

fn ends(world: &World) {
    let begun = Instant::now();
    while runs(world) {
        assert!(begun.elapsed() < Duration::from_secs(20), "it still runs");
        std::thread::yield_now();
    }
}

#[test]
fn a_prompt_is_reached_and_nothing_is_left() {
    let world = World::new();
    qemu(&world, &format!("printf '{GOOD}'; exec sleep 100"));
    let before = std::fs::read(world.path("disk.raw")).unwrap();
    let done = boot(&world, &["--until=login", "--console=console.log", "--output=json"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    let boot = &json(&done)["boots"][0];
    assert_eq!((&boot["outcome"], &boot["boot_mode"]), (&"boots".into(), &"BIOS".into()));
    let reached = boot["reached"].as_array().unwrap();
    let names: Vec<_> = reached.iter().map(|it| it["milestone"].as_str().unwrap()).collect();
    assert_eq!(names, ["loader", "kernel", "root", "init", "prompt"]);
    assert!(done.stderr.contains(" s  login prompt reached: web login:"), "{}", done.stderr);
    let console = std::fs::read_to_string(world.path("console.log")).unwrap();
    assert_eq!(console, GOOD.replace("\\n", "\n"));
    ends(&world);
    assert!(std::fs::read(world.path("disk.raw")).unwrap() == before);
}

#[test]
fn the_image_may_be_read_only_and_is_opened_as_the_base_of_an_overlay() {
    let world = World::new();
    qemu(&world, &format!("printf '{GOOD}'; exec sleep 100"));
    let disk = world.path("disk.raw");
    std::fs::set_permissions(&disk, std::fs::Permissions::from_mode(0o444)).unwrap();
    assert_eq!(boot(&world, &["--until=login", "--nvme"]).code, Some(0));
    let arguments = std::fs::read_to_string(world.path("arguments")).unwrap();
    let drive = format!("if=none,id=system,snapshot=on,format=raw,file={}", disk.display());
    assert!(arguments.lines().any(|line| line == drive), "{arguments}");
    assert!(arguments.contains("\nnvme,drive=system") && arguments.contains("product=Alibaba Cloud ECS"));
}

#[test]
fn where_it_stops_is_the_verdict_and_guest_text_moves_no_cursor() {
    let world = World::new();
    qemu(
        &world,
        "printf '[    0.0] Linux version 6.1\\n\\033]0;owned\\007ALERT!  UUID=\\302\\2331 does not exist.  Dropping to a shell!\\n(initramfs) '\
         \nexec sleep 100",
    );
    let done = boot(&world, &["--output=json"]);
    assert_eq!(done.code, Some(11), "{done:?}");
    let told = json(&done);
    assert_eq!(told["error"]["kind"], "does_not_boot");
    let boot = &told["boots"][0];
    assert_eq!(
        (&boot["outcome"], &boot["stop"]["cause"]),
        (&"does-not-boot".into(), &"initramfs-shell".into())
    );
    assert!(!done.stderr.contains(['\x1b', '\x07', '\u{9b}']), "{}", done.stderr);
    ends(&world);
}

#[test]
fn a_prompt_without_a_network_is_not_enough() {
    let world = World::new();
    qemu(&world, &format!("printf '{GOOD}'; exec sleep 100"));
    let done = boot(&world, &["--timeout=2s", "--output=json"]);
    assert_eq!(done.code, Some(11), "{done:?}");
    let boot = &json(&done)["boots"][0];
    assert_eq!((&boot["outcome"], &boot["stop"]["cause"]), (&"unreachable".into(), &"no-address".into()));
    assert!(done.stderr.contains("boots, but cannot be reached (BIOS, virtio)"), "{}", done.stderr);
}

/// The relay that QEMU is told to run joins a guest's connection to the metadata service.
#[test]
fn what_the_guest_asks_the_metadata_service_for_is_seen() {
    let world = World::new();
    qemu(
        &world,
        &format!(
            "for word in \"$@\"; do case $word in user,*) net=$word;; esac; done\n\
             relay=${{net#*-cmd:}}; relay=${{relay%%,hostfwd*}}\n\
             printf 'GET /2016-01-01/meta-data/ HTTP/1.1\\r\\nHost: 100.100.100.200\\r\\nConnection: close\\r\\n\\r\\n' \
             | $relay > answer\nprintf '{GOOD}'; exec sleep 100"
        ),
    );
    std::fs::write(world.path("user"), "#cloud-config\n").unwrap();
    let done = boot(&world, &["--timeout=10s", "--user-data=user", "--output=json"]);
    assert_eq!(done.code, Some(11), "{done:?}");
    let answer = std::fs::read_to_string(world.path("answer")).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("instance-id\n"), "{answer}");
    let boot = &json(&done)["boots"][0];
    assert_eq!(boot["stop"]["cause"], "no-ssh", "{boot}");
    assert!(boot["reached"].to_string().contains("data-source"), "{boot}");
}

#[test]
fn a_kill_ends_the_machine_too() {
    let world = World::new();
    qemu(&world, "printf 'GRUB loading.\\n'; exec sleep 100");
    let arguments = ["boot", "disk.raw", "--qemu=qemu-system-x86_64", "--no-kvm"];
    let mut child = world.command(&arguments).spawn().unwrap();
    let begun = Instant::now();
    while !world.path("pid").exists() || std::fs::read(world.path("pid")).unwrap().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it never began");
        std::thread::yield_now();
    }
    assert!(runs(&world));
    child.kill().unwrap();
    child.wait().unwrap();
    ends(&world);
}

#[test]
fn what_is_missing_is_said_with_the_packages_that_have_it() {
    let mut world = World::new();
    world.disk("disk.raw", 64 << 20, 1);
    world.env("PATH", "/nonexistent");
    let said = world.fails(2, &["boot", "disk.raw"]);
    assert!(
        said.contains("`qemu-system-x86_64` is not installed") && said.contains("qemu-system-x86 ovmf"),
        "{said}"
    );
    qemu(&world, "echo 'qemu: no such thing' >&2; exit 1");
    let said = world.fails(1, &["boot", "disk.raw", "--qemu=qemu-system-x86_64", "--no-kvm"]);
    assert!(said.contains("ended at once: qemu: no such thing"), "{said}");
    std::fs::write(world.path("code"), "x").unwrap();
    let uefi = ["boot", "disk.raw", "--qemu=qemu-system-x86_64", "--boot-mode=uefi", "--firmware=code"];
    assert!(world.fails(2, &uefi).contains("no UEFI firmware with variables beside it"));
}

#[test]
fn an_image_that_does_not_boot_is_not_published() {
    let mut world = World::new();
    qemu(&world, "printf 'No bootable device.\\n'; exec sleep 100");
    let folder = world.path("").display().to_string();
    world.env("PATH", &format!("{folder}:/usr/bin:/bin"));
    let local = world.local();
    let arguments = [
        "publish",
        "disk.raw",
        "oss://images/",
        "--name=web-1",
        "--boot-test=local",
        local.as_str(),
        "--as=as-is",
    ];
    let said = world.fails(11, &arguments);
    assert!(said.contains("does not boot (BIOS, virtio): the firmware finds nothing to boot"), "{said}");
    let kept = walk(&world.path("store"));
    assert!(!kept.iter().any(|file| file.contains("disk.raw")), "{kept:?}");
}

/// Returns all files below a folder.
fn walk(folder: &std::path::Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries
        .flat_map(|entry| {
            let path = entry.unwrap().path();
            if path.is_dir() { walk(&path) } else { vec![path.display().to_string()] }
        })
        .collect()
}
