//! What is installed on a disk.

use std::io::Read as _;

use crate::support::World;

const TITLE: &[u8] = b"Debian GNU/Linux 12 (bookworm)";

/// Writes a disk with a small Debian on ext4 that calls itself something else, of the same length.
fn debian(world: &World, title: &[u8]) {
    let packed = include_bytes!("../data/images/guest-ext4.raw.gz").as_slice();
    let mut image = Vec::new();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut image).unwrap();
    let at = image.windows(TITLE.len()).position(|window| window == TITLE).unwrap();
    image[at..at + title.len()].copy_from_slice(title);
    std::fs::write(world.path("disk.raw"), image).unwrap();
}

#[test]
fn inspect_tells_first_what_is_installed() {
    let world = World::new();
    debian(&world, TITLE);
    let text = world.ok(&["inspect", "disk.raw"]).stdout;
    let lines: Vec<_> = text.lines().collect();
    assert!(
        lines[1].contains(
            "Debian GNU/Linux 12 (bookworm), kernel 6.1.0-28-cloud-amd64 (and 1 more), x86_64, UEFI+BIOS"
        ),
        "{text}"
    );
    assert!(lines[2].contains("virtio_blk a module") && lines[2].contains("cloud-init 22.4.2"), "{text}");
    assert!(lines[3].contains("root on partition 3 (ext4 UUID=11111111-"), "{text}");
    assert!(lines[3].contains("UUID=99999999-2222-3333-4444-555555555555 for /srv old (line 4)"), "{text}");
    assert!(lines[4].starts_with("format "), "three lines, and no more: {text}");
    let system = &world.json(&["inspect", "disk.raw"])["guest"]["system"]["found"];
    assert_eq!(system["platform"], "Debian");
    assert_eq!(system["os"]["found"]["version_id"], "12");
    assert_eq!(system["fstab"]["found"][2]["place"], "absent");
    assert_eq!(system["kernels"]["found"][0]["drivers"]["initramfs"]["unread"], "not looked at");
}

#[test]
fn what_a_guest_calls_itself_is_no_command_for_the_terminal() {
    let world = World::new();
    debian(&world, b"\x1b[2J\x1b]0;owned\x07\xc2\x9b");
    for format in ["text", "json"] {
        let out = world.ok(&["inspect", "disk.raw", "--output", format]).stdout;
        assert!(out.contains("owned") && !out.contains(['\x1b', '\x07', '\u{9b}']), "{out:?}");
    }
}

#[test]
fn what_passes_once_or_lies_on_a_bucket_is_said_not_to_be_looked_at() {
    let world = World::new();
    let local = world.local();
    debian(&world, TITLE);
    world.ok(&["upload", "disk.raw", "oss://images/disk.raw", "--as", "as-is", &local]);
    let object = world.json(&["inspect", "oss://images/disk.raw", &local]);
    assert!(object["guest"]["system"]["unread"].as_str().unwrap().contains("not looked at"), "{object}");
    let data = world.json(&["inspect", "disk.raw", "--role", "data"]);
    assert!(data["guest"].is_null(), "{data}");
}
