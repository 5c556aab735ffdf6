//! Each example does what it says. `cargo test` builds them beside the binary.

use std::path::Path;
use std::process::Command;

use crate::support::World;

/// Runs an example and returns its stdout.
fn example(name: &str, args: &[&str]) -> String {
    let path = Path::new(env!("CARGO_BIN_EXE_ossup")).with_file_name("examples").join(name);
    assert!(path.exists(), "the examples are built by `cargo test` without a target, or `--examples`");
    let output = Command::new(path).args(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn upload_prints_the_url() {
    let world = World::new();
    let file = world.file("disk.raw", 5_000_000, 1);
    let store = world.path("store");
    let printed =
        example("upload", &[file.to_str().unwrap(), "oss://images/disk.raw", store.to_str().unwrap()]);
    assert!(printed.contains("5000000 bytes in"), "{printed}");
    assert!(printed.contains("/images/disk.raw"), "{printed}");
}

#[test]
fn resume_sends_no_part_twice() {
    let world = World::new();
    let file = world.file("disk.raw", 8 << 20, 1);
    let store = world.path("store");
    let printed =
        example("resume", &[file.to_str().unwrap(), "oss://images/disk.raw", store.to_str().unwrap()]);
    assert!(printed.contains("stopped: "), "{printed}");
    assert!(printed.contains("8 parts, of which "), "{printed}");
    assert!(!printed.contains("of which 0 "), "{printed}");
}

#[test]
fn import_waits_for_the_image() {
    let world = World::new();
    let file = world.disk("disk.raw", 64 << 20, 1);
    let store = world.path("store");
    let printed = example(
        "import",
        &[file.to_str().unwrap(), "oss://images/disk.raw", "web-1", store.to_str().unwrap()],
    );
    assert!(printed.contains("is available in cn-hangzhou"), "{printed}");
}
