//! Block devices as images. Making one takes a system that lets the tests have loop devices.

#![cfg(target_os = "linux")]

use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Command;

use crate::support::World;

/// A loop device, given back when it is dropped.
struct Loop(String);

impl Loop {
    fn over(file: &Path) -> Option<Self> {
        let output = Command::new("losetup").args(["--find", "--show"]).arg(file).output().ok()?;
        let name = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        output.status.success().then_some(Self(name))
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("losetup").args(["--detach", &self.0]).status();
    }
}

#[test]
fn a_device_in_use_is_refused_and_read_on_demand_alone() {
    let world = World::new();
    let file = world.disk("device.img", 64 << 20, 1);
    let Some(device) = Loop::over(&file) else { return eprintln!("no loop devices here") };
    let local = world.local();
    let upload = ["upload", &device.0, "oss://images/disk.raw", "--no-inspect", &local];

    let free = world.json(&upload);
    assert_eq!((&free["size"], &free["source_in_use"]), (&(64 << 20).into(), &false.into()));

    let exclusive = rustix::fs::OFlags::EXCL.bits().cast_signed();
    let holder = std::fs::File::options().read(true).custom_flags(exclusive).open(&device.0).unwrap();
    let stderr = world.fails(3, &upload);
    assert!(stderr.contains("is in use: another program holds it"), "{stderr}");
    assert!(stderr.contains("--allow-busy"), "{stderr}");
    world.ok(&["inspect", &device.0]);

    let busy = world.ok(&[&upload[..], &["--allow-busy", "--overwrite"]].concat());
    assert!(busy.stderr.contains("may mix bytes from different moments"), "{busy:?}");
    drop(holder);
}
