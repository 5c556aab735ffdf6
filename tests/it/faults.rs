//! The real binary through a proxy that cuts and corrupts, without its server, and on a full disk.
//!
//! The sizes are small here; the environment makes them large:
//!
//! - `OSSUP_CUT_MIB`: length of the upload that loses a connection for each quarter, at most a GiB, of it
//! - `OSSUP_OUTAGE_SECONDS`: for how long the server is gone

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::proxy::{Faults, Proxy};
use crate::support::{Finished, Server, World, finish};

const MIB: u64 = 1 << 20;

#[expect(clippy::disallowed_methods, reason = "the long runs are asked for by the environment")]
pub(crate) fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

#[test]
fn cut_connections_cost_no_more_than_the_parts_in_flight() {
    let length = setting("OSSUP_CUT_MIB", 48) * MIB;
    let mut world = World::new();
    let server = Server::start(&mut world, &["--discard"]);
    let every = (length / 4).min(1024 * MIB);
    let proxy = Proxy::start(&server.endpoint, Faults { cut_every: Some(every), ..Faults::default() });
    world.env("OSS_ENDPOINT", &proxy.endpoint);
    // Zeros do as well as any bytes on the wire, and need no disk.
    std::fs::File::create(world.path("disk.raw")).unwrap().set_len(length).unwrap();
    let value = world.json(&["upload", "disk.raw", "oss://images/x", "--no-inspect"]);
    assert_eq!(value["verified"], "crc64");
    assert!(proxy.cuts() >= length / every, "{} cuts", proxy.cuts());
    assert!(value["retries"].as_u64().unwrap() >= 1, "{value}");
    let (sent, seen) = (value["bytes_sent"].as_u64().unwrap(), proxy.bytes_up());
    let ratio = seen as f64 / length as f64;
    eprintln!("{length} bytes, {} cuts: {sent} sent, {seen} seen, {ratio:.4} times the file", proxy.cuts());
    if length >= 8 * 1024 * MIB {
        assert!(ratio <= 1.02, "the proxy saw {ratio} times the file");
        assert!((sent as f64 / seen as f64 - 1.0).abs() <= 0.01, "{sent} bytes sent, {seen} seen");
    }
    // What waits in a connection when it is cut is bounded, whatever the length.
    assert!(sent >= length && seen <= sent + 2 * MIB, "{sent} bytes sent, {seen} seen");
}

#[test]
fn answers_that_are_cut_change_nothing() {
    let mut world = World::new();
    let server = Server::start(&mut world, &[]);
    let proxy = Proxy::start(&server.endpoint, Faults { cut_answers_every: Some(2500), ..Faults::default() });
    world.env("OSS_ENDPOINT", &proxy.endpoint);
    world.file("disk.raw", 24 * MIB as usize, 1);
    let value = world.json(&["upload", "disk.raw", "oss://images/x", "--no-inspect", "--part-size=1MiB"]);
    assert_eq!(value["verified"], "crc64");
    assert!(value["parts"].as_u64().unwrap() >= 24, "{value}");
    assert!(proxy.cuts() > 1);
}

#[test]
fn a_flipped_bit_is_noticed_and_the_part_sent_again() {
    let mut world = World::new();
    let server = Server::start(&mut world, &[]);
    let proxy = Proxy::start(&server.endpoint, Faults { corrupt_at: Some(2 * MIB), ..Faults::default() });
    world.env("OSS_ENDPOINT", &proxy.endpoint);
    world.file("disk.raw", 4 * MIB as usize, 1);
    let value = world.json(&["upload", "disk.raw", "oss://images/x", "--no-inspect", "--part-size=4MiB"]);
    assert_eq!(value["verified"], "crc64");
    assert_eq!(value["bytes_sent"].as_u64().unwrap(), 8 * MIB);
}

#[test]
fn the_server_may_be_gone_and_come_back() {
    let outage = Duration::from_secs(setting("OSSUP_OUTAGE_SECONDS", 2));
    let mut world = World::new();
    let server = Server::start(&mut world, &[]);
    let proxy = Proxy::start(&server.endpoint, Faults::default());
    world.env("OSS_ENDPOINT", &proxy.endpoint);
    world.file("disk.raw", 6 * MIB as usize, 1);
    let args = ["upload", "disk.raw", "oss://images/x", "--no-inspect", "--part-size=1MiB", "--output=json"];
    let upload = world.command(&[&args[..], &["--bandwidth-limit=2MiB/s"]].concat()).spawn().unwrap();
    wait_until("half of the parts went out", || proxy.bytes_up() > 3 * MIB);
    drop(server);
    pause(outage);
    let server = Server::start(&mut world, &[]);
    proxy.retarget(&server.endpoint);
    let finished = finish(upload);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(finished.stdout.contains("crc64"), "{finished:?}");
}

#[expect(clippy::disallowed_methods, reason = "the faults come at random moments of real time")]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}

fn wait_until(what: &str, done: impl Fn() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(60), "waited in vain until {what}");
        pause(Duration::from_millis(20));
    }
}

#[test]
fn a_fault_file_makes_the_emulator_lose_the_answer_to_complete() {
    let mut world = World::new();
    let plan = r#"{"rules": [{"operation": "CompleteMultipartUpload", "times": 1,
        "fault": {"kind": "reset", "when": "after_commit"}}]}"#;
    let file = world.path("faults.json");
    std::fs::write(&file, plan).unwrap();
    let _server = Server::start(&mut world, &["--faults", file.to_str().unwrap()]);
    world.file("disk.raw", 300_000, 1);
    let finished = world.ok(&["upload", "disk.raw", "oss://images/disk.raw", "--no-inspect", "-v"]);
    let said = &finished.stderr;
    let complete = |outcome: &str, attempt: u32| {
        let start = format!("{outcome} operation=\"CompleteMultipartUpload\" attempt={attempt} ");
        said.lines().find(|line| line.contains(&start)).unwrap_or_else(|| panic!("{start}: {said}"))
    };
    complete("failed", 1);
    assert!(complete("refused", 2).contains("NoSuchUpload"));
    assert!(said.contains("verified by CRC-64"), "{said}");

    std::fs::write(&file, r#"{"rules": [{"fault": {"kind": "explode"}}]}"#).unwrap();
    let stderr = world.fails(2, &["emulator", "--listen=127.0.0.1:0", "--faults", file.to_str().unwrap()]);
    assert!(stderr.contains("faults.json") && stderr.contains("explode"), "{stderr}");
}

/// Runs an upload whose files may not grow beyond so many blocks of 512 bytes: what a full disk is to it.
fn with_file_limit(world: &World, blocks: u32, args: &[&str]) -> Finished {
    let line = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
    let command = world.command(args);
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &line, "sh"]).arg(command.get_program()).args(args).env_clear();
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.current_dir(command.get_current_dir().unwrap());
    finish(shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
}

#[test]
fn a_disk_that_fills_up_does_not_end_the_upload() {
    let mut world = World::new();
    let _server = Server::start(&mut world, &[]);
    world.file("disk.raw", 40 * MIB as usize, 1);
    // The checkpoint fits and the journal of 40 parts does not.
    let args = ["upload", "disk.raw", "oss://images/x", "--no-inspect", "--part-size=1MiB"];
    let finished = with_file_limit(&world, 3, &args);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(finished.stderr.contains("can no longer be resumed from here"), "{finished:?}");
    assert_eq!(finished.stderr.matches("journal").count(), 1, "said once: {finished:?}");
    assert!(finished.stderr.contains("verified by CRC-64"), "{finished:?}");
}

#[test]
fn a_state_folder_that_cannot_be_written_ends_it_before_the_first_byte() {
    let mut world = World::new();
    let server = Server::start(&mut world, &[]);
    let proxy = Proxy::start(&server.endpoint, Faults::default());
    world.env("OSS_ENDPOINT", &proxy.endpoint);
    world.file("disk.raw", MIB as usize, 1);
    world.file("occupied", 1, 1);
    let upload = ["upload", "disk.raw", "oss://images/x", "--no-inspect"];
    let elsewhere = [&upload[..], &["--state-dir=occupied"]].concat();
    let stderr = world.fails(1, &elsewhere);
    assert!(stderr.contains("state directory") && stderr.contains("--no-resume"), "{stderr}");
    // The folder can be made and holds nothing: a disk without room.
    let finished = with_file_limit(&world, 0, &upload);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains("--no-resume"), "{finished:?}");
    assert_eq!(proxy.bytes_up(), 0);
    world.ok(&[&elsewhere[..], &["--no-resume"]].concat());
}

#[test]
fn an_object_of_other_bytes_is_named_as_suspect_and_not_imported() {
    let mut world = World::new();
    let plan = r#"{"rules": [{"operation": "CompleteMultipartUpload", "fault": {"kind": "wrong_crc"}}]}"#;
    std::fs::write(world.path("faults.json"), plan).unwrap();
    let _server = Server::start(&mut world, &["--faults", "faults.json"]);
    world.disk("disk.raw", 64 * MIB, 1);
    let stderr = world.fails(6, &["publish", "disk.raw", "oss://images/", "--name=web-1"]);
    assert!(stderr.contains("`oss://images/disk.qcow2` is corrupt"), "{stderr}");
    assert!(stderr.contains("do not import"), "{stderr}");
    assert!(world.json(&["image", "list"])["images"].as_array().unwrap().is_empty());
}
