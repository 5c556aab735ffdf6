//! Peak memory of the command, whatever the sizes of file and parts.

use std::os::unix::fs::FileExt;
use std::process::Child;
use std::time::Duration;

use crate::guests::debian;
use crate::pipes::piped;
use crate::stop::running;
use crate::support::{Server, World, finish, noise, signal};

const MIB: u64 = 1 << 20;

/// Returns the peak resident memory of a process in KiB, looked at until it ends.
fn peak_kib(child: &mut Child) -> u64 {
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        peak = peak.max(peak_by_now(child));
        pause();
    }
    peak
}

/// Returns the peak resident memory of a process in KiB so far; 0 once it has ended.
fn peak_by_now(child: &Child) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or_default()
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

/// Writes a QCOW2 of 2 TiB. Of an eighth of it, all tables are there and full: mostly clusters that read as zeros.
fn large_qcow2(world: &World) {
    const CLUSTER: u64 = 64 << 10;
    const TABLES: u64 = 512;
    let header: Vec<u8> = [
        &0x5146_49fb_0000_0003_u64.to_be_bytes()[..],
        &[0; 12],
        &16_u32.to_be_bytes(),
        &(2_u64 << 40).to_be_bytes(),
        &[0; 4],
        &4096_u32.to_be_bytes(),
        &CLUSTER.to_be_bytes(),
        &(2 * CLUSTER).to_be_bytes(),
        &1_u32.to_be_bytes(),
        &[0; 36],
        &4_u32.to_be_bytes(),
        &104_u32.to_be_bytes(),
    ]
    .concat();
    let file = std::fs::File::create(world.path("disk.qcow2")).unwrap();
    file.write_all_at(&header, 0).unwrap();
    let in_use = |cluster: u64| ((cluster * CLUSTER) | (1 << 63)).to_be_bytes();
    let mut data = 4 + TABLES;
    for table in 0..TABLES {
        file.write_all_at(&in_use(4 + table), CLUSTER + 8 * table).unwrap();
        let mut entries = 1_u64.to_be_bytes().repeat(8192);
        // Data in as many pieces as there can be, and here and there.
        let pieces = if table == 0 { 256 } else { 1 };
        for entry in (0..2 * pieces).step_by(2) {
            entries[8 * entry..][..8].copy_from_slice(&in_use(data));
            file.write_all_at(&noise(CLUSTER as usize, data), data * CLUSTER).unwrap();
            data += 1;
        }
        file.write_all_at(&entries, (4 + table) * CLUSTER).unwrap();
    }
    file.write_all_at(&(3 * CLUSTER).to_be_bytes(), 2 * CLUSTER).unwrap();
    // One of each, of all clusters that are there.
    file.write_all_at(&1_u16.to_be_bytes().repeat(data as usize), 3 * CLUSTER).unwrap();
}

#[test]
#[cfg(target_os = "linux")]
fn memory_stays_flat_over_the_tables_of_a_disk_of_2_tib() {
    let mut world = World::new();
    let _server = Server::start(&mut world, &["--discard"]);
    large_qcow2(&world);
    for args in [&["--as=as-is", "--force"][..], &["--as=qcow2", "--force"], &["--as=raw", "--dry-run"]] {
        let target = format!("oss://images/{}", args[0]);
        let mut upload =
            world.command(&[&["upload", "disk.qcow2", &target, "--quiet"], args].concat()).spawn().unwrap();
        let peak = peak_kib(&mut upload);
        let finished = finish(upload);
        assert_eq!(finished.code, Some(0), "{finished:?}");
        assert!(peak > 0 && peak <= 64 << 10, "{args:?}: {peak} KiB");
    }
    // All of it would take long.
    let args = ["upload", "disk.qcow2", "oss://images/raw", "--as=raw", "--no-inspect", "--progress=json"];
    let upload = running(&world, &args);
    let peak = peak_by_now(&upload);
    signal(&upload, "KILL");
    finish(upload);
    assert!(peak > 0 && peak <= 64 << 10, "{peak} KiB");
}

#[test]
#[cfg(target_os = "linux")]
fn what_is_held_of_a_stream_to_be_looked_into_stays_within_bounds() {
    let mut world = World::new();
    let _server = Server::start(&mut world, &["--discard"]);
    debian(&world, &[]);
    let mut bytes = std::fs::read(world.path("disk.raw")).unwrap();
    // Its last partition is followed by data that are few enough, and by more.
    for more in [20 << 20, 160 << 20] {
        bytes.extend(noise(more, more as u64));
        let limits = ["--max-memory=256MiB", "--bandwidth-limit=80MiB/s"];
        let target = format!("oss://images/{more}");
        let args = [&["upload", "-", &target, "--output=json", "--quiet", "--force"], &limits[..]].concat();
        let mut upload = piped(&world, &args, &bytes);
        let peak = peak_kib(&mut upload);
        let finished = finish(upload);
        assert_eq!(finished.code, Some(0), "{finished:?}");
        assert!(peak > 0 && peak <= (256 + 64) << 10, "{more}: {peak} KiB");
        let unread =
            serde_json::from_str::<serde_json::Value>(&finished.stdout).unwrap()["guest_unread"].clone();
        assert_eq!(unread.is_null(), more == 20 << 20, "{unread}");
    }
}
