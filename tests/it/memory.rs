//! Peak memory of the command, whatever the sizes of file and parts.

use std::os::unix::fs::FileExt;
use std::process::Child;
use std::time::Duration;

use crate::pipes::piped;
use crate::support::{Server, World, finish, noise};

const MIB: u64 = 1 << 20;

/// Returns the peak resident memory of a process in KiB, looked at until it ends.
fn peak_kib(child: &mut Child) -> u64 {
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
        peak = peak.max(kib.unwrap_or_default());
        pause();
    }
    peak
}

#[expect(clippy::disallowed_methods, reason = "another process is watched")]
fn pause() {
    std::thread::sleep(Duration::from_millis(5));
}

#[test]
#[cfg(target_os = "linux")]
fn memory_stays_flat_at_16_and_at_64_connections() {
    let mut world = World::new();
    let _server = Server::start(&mut world, &["--discard"]);
    let length = 512 * MIB;
    std::fs::File::create(world.path("disk.raw")).unwrap().set_len(length).unwrap();
    // Of it, some 15 MiB are pages of the program itself, as it is built for tests.
    for (parallel, limit_mib) in [("--parallel=16", 40), ("--parallel=64", 64)] {
        for part_size in ["--part-size=1MiB", "--part-size=64MiB"] {
            let target = format!("oss://images/{parallel}{part_size}");
            let args = ["upload", "disk.raw", &target, "--no-inspect", "--quiet", parallel, part_size];
            let mut upload = world.command(&args).spawn().unwrap();
            let peak = peak_kib(&mut upload);
            let finished = finish(upload);
            assert_eq!(finished.code, Some(0), "{finished:?}");
            assert!(peak > 0 && peak <= limit_mib << 10, "{parallel} {part_size}: {peak} KiB");
        }
    }
}

#[test]
#[cfg(target_os = "linux")]
fn memory_stays_flat_while_a_disk_is_converted() {
    let mut world = World::new();
    let _server = Server::start(&mut world, &["--discard"]);
    let disk = std::fs::File::create(world.path("disk.raw")).unwrap();
    disk.set_len(64 << 30).unwrap();
    // Data in one piece, and in as many as there can be.
    let data = noise(16 << 20, 1);
    disk.write_all_at(&data, 1 << 30).unwrap();
    for (index, cluster) in data.chunks(64 << 10).enumerate() {
        disk.write_all_at(cluster, (2 << 30) + index as u64 * (128 << 10)).unwrap();
    }
    let args = ["upload", "disk.raw", "oss://images/x", "--no-inspect", "--quiet", "--as=qcow2"];
    let mut upload = world.command(&args).spawn().unwrap();
    let peak = peak_kib(&mut upload);
    let finished = finish(upload);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(peak > 0 && peak <= 64 << 10, "{peak} KiB");
}

#[test]
#[cfg(target_os = "linux")]
fn a_stream_is_held_in_the_memory_that_it_is_given() {
    let mut world = World::new();
    let _server = Server::start(&mut world, &["--discard"]);
    let bytes = noise(160 << 20, 1);
    for form in ["--as=as-is", "--as=qcow2"] {
        let target = format!("oss://images/{form}");
        // Far slower than the pipe, so that all of the memory is used.
        let limits = ["--max-memory=32MiB", "--bandwidth-limit=80MiB/s"];
        let args = [&["upload", "-", &target, form, "--no-inspect", "--quiet"], &limits[..]].concat();
        let mut upload = piped(&world, &args, &bytes);
        let peak = peak_kib(&mut upload);
        let finished = finish(upload);
        assert_eq!(finished.code, Some(0), "{finished:?}");
        assert!(peak > 0 && peak <= (32 + 64) << 10, "{form}: {peak} KiB");
    }
}
