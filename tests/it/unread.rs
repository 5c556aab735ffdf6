//! Standard error that nobody reads: a full pipe behind which a supervisor sleeps.

use std::io::{PipeReader, Write};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::stop::slow;
use crate::support::{World, finish, signal};

/// Long enough for the most loaded machine, and far shorter than for ever.
const LIMIT: Duration = Duration::from_secs(120);

/// Starts a command whose stderr is a pipe that is full.
fn unread(world: &World, args: &[&str]) -> (Child, PipeReader) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    for piece in [4096, 1] {
        while writer.write(&vec![b'.'; piece]).is_ok() {}
    }
    rustix::io::ioctl_fionbio(&writer, false).unwrap();
    (world.command(args).stderr(Stdio::from(writer)).spawn().unwrap(), reader)
}

#[expect(clippy::disallowed_methods, reason = "another process is watched")]
fn pause() {
    std::thread::sleep(Duration::from_millis(20));
}

fn ended(mut child: Child) -> Option<i32> {
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if began.elapsed() > LIMIT {
            child.kill().unwrap();
            panic!("it still runs");
        }
        pause();
    }
    finish(child).code
}

#[test]
fn an_unread_stderr_holds_up_no_upload() {
    let world = World::new();
    world.file("disk.raw", 3 << 20, 1);
    let local = world.local();
    for progress in ["--progress=json", "--progress=plain", "-vv"] {
        let target = format!("oss://images/{progress}");
        let args = ["upload", "disk.raw", &target, "--no-inspect", "--part-size=1MiB", progress, &local];
        let (child, _reader) = unread(&world, &args);
        assert_eq!(ended(child), Some(0), "{progress}");
    }
}

#[test]
fn an_unread_stderr_holds_up_no_signal() {
    let world = World::new();
    world.file("disk.raw", 32 << 20, 1);
    let local = world.local();
    let (child, _reader) = unread(&world, &slow(&local, "disk.raw", "oss://images/x"));
    let uploads = world.path("store/ossup-state/uploads");
    let began = Instant::now();
    while !std::fs::read_dir(&uploads).is_ok_and(|mut found| found.next().is_some()) {
        assert!(began.elapsed() < LIMIT, "it never began");
        pause();
    }
    signal(&child, "TERM");
    assert_eq!(ended(child), Some(143));
    let value = world.json(&["upload", "disk.raw", "oss://images/x", "--no-inspect", &local]);
    assert_eq!(value["verified"], "crc64");
}

#[test]
fn a_failure_of_which_nobody_reads_ends_all_the_same() {
    let world = World::new();
    let (child, _reader) = unread(&world, &["upload", "missing.raw", "oss://images/x", &world.local()]);
    assert_eq!(ended(child), Some(2));
}
