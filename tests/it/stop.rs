//! Signals, kills, and going on afterwards.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr};
use std::time::Duration;

use crate::support::{Finished, Server, World, finish, signal};

const MIB: usize = 1 << 20;
/// Length of an image that [`slow`] takes half a minute for: no machine is so busy that the signal comes too late.
const LONG: usize = 32 * MIB;

/// Arguments of an upload that is slow enough to be interrupted: 1 MiB parts at 1 MiB/s.
pub(crate) fn slow<'a>(world: &'a str, image: &'a str, target: &'a str) -> Vec<&'a str> {
    let mut args = vec!["upload", image, target, "--no-inspect", "--progress=json", "--part-size=1MiB"];
    args.extend(["--parallel=1", "--bandwidth-limit=1MiB/s"]);
    if !world.is_empty() {
        args.push(world);
    }
    args
}

/// Begins an upload and waits until a part is in.
fn begun(world: &World, args: &[&str]) -> (Child, BufReader<ChildStderr>) {
    part_in(world.command(args).spawn().unwrap())
}

/// Waits until a part is in.
fn part_in(mut child: Child) -> (Child, BufReader<ChildStderr>) {
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("part_done") {
        line.clear();
        assert!(stderr.read_line(&mut line).unwrap() > 0, "the upload ended before a part was in");
    }
    (child, stderr)
}

/// Begins an upload of which a part is in, and that goes on by itself.
pub(crate) fn running(world: &World, args: &[&str]) -> Child {
    let (child, mut stderr) = begun(world, args);
    std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
    child
}

/// Begins an upload and sends a signal once a part is in. Returns exit code and the rest of stderr.
pub(crate) fn stopped(world: &World, args: &[&str], name: &str) -> (Option<i32>, String) {
    stopped_child(world.command(args).spawn().unwrap(), name)
}

/// The same of an upload that is begun.
pub(crate) fn stopped_child(child: Child, name: &str) -> (Option<i32>, String) {
    let (child, mut stderr) = part_in(child);
    signal(&child, name);
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut stderr, &mut rest).unwrap();
    (finish(child).code, rest)
}

/// Whether the tests, and so the command too, ignore a signal: they run under `nohup`, or in the background.
fn is_ignored(number: u32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.is_some_and(|mask| u64::from_str_radix(mask.trim(), 16).unwrap() >> (number - 1) & 1 == 1)
}

/// Runs the command that a hint shows between backticks, as a shell understands it.
fn run_shown(world: &World, shown: &str) -> Finished {
    run_printed(world, shown, "resume", "--output=json")
}

/// Runs a command that is shown between backticks, as a shell understands it, with one option more.
pub(crate) fn run_printed(world: &World, shown: &str, name: &str, more: &str) -> Finished {
    let (_, rest) = shown.split_once(&format!("`ossup {name}")).expect(shown);
    let (args, _) = rest.split_once('`').expect(shown);
    let command = world.command(&[]);
    let line = format!("{} {name}{args} {more}", command.get_program().to_str().unwrap());
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &line]).env_clear().current_dir(command.get_current_dir().unwrap());
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let piped = std::process::Stdio::piped;
    finish(shell.stdin(std::process::Stdio::null()).stdout(piped()).stderr(piped()).spawn().unwrap())
}

/// Leaves an unfinished upload of `image` behind.
pub(crate) fn interrupted(world: &World, image: &str, target: &str) {
    let local = world.local();
    let (code, rest) = stopped(world, &slow(&local, image, target), "TERM");
    assert_eq!(code, Some(143), "{rest}");
}

#[test]
fn the_first_signal_keeps_the_parts_and_the_same_command_goes_on() {
    let world = World::new();
    let local = world.local();
    world.file("disk.raw", LONG, 1);
    for (name, number, code) in [("INT", 2, 130), ("TERM", 15, 143), ("HUP", 1, 129)] {
        if is_ignored(number) {
            continue;
        }
        let target = format!("oss://images/{name}.raw");
        let (got, rest) = stopped(&world, &slow(&local, "disk.raw", &target), name);
        assert_eq!(got, Some(code), "{rest}");
        assert!(rest.contains("same command again"), "{rest}");
        let value = world.json(&["upload", "disk.raw", &target, "--no-inspect", &local]);
        let resumed = value["resumed_parts"].as_u64().unwrap();
        assert!((1..32).contains(&resumed), "{value}");
        assert_eq!(value["bytes_sent"], LONG - resumed as usize * MIB, "finished parts are not sent again");
    }
}

#[test]
fn a_killed_upload_goes_on_too() {
    let mut world = World::new();
    let _server = Server::start(&mut world, &[]);
    world.file("disk.raw", LONG, 3);
    let (code, _) = stopped(&world, &slow("", "disk.raw", "oss://images/x"), "KILL");
    assert_eq!(code, None);
    let value = world.json(&["upload", "disk.raw", "oss://images/x", "--no-inspect"]);
    assert!(value["resumed_parts"].as_u64().unwrap() >= 1, "{value}");
    assert_eq!(value["verified"], "crc64");
}

#[test]
fn resume_without_arguments_finishes_everything() {
    let world = World::new();
    let local = world.local();
    world.file("one.raw", LONG, 1);
    world.file("two.raw", LONG, 2);
    interrupted(&world, "one.raw", "oss://images/one");
    interrupted(&world, "two.raw", "oss://images/two");
    assert_eq!(world.json(&["list", &local])["uploads"].as_array().unwrap().len(), 2);
    let value = world.json(&["resume", &local]);
    let uploads = value["uploads"].as_array().unwrap();
    assert_eq!(uploads.len(), 2);
    assert!(uploads.iter().all(|upload| upload["resumed_parts"].as_u64().unwrap() >= 1), "{value}");
    assert!(world.json(&["list", &local])["uploads"].as_array().unwrap().is_empty());
}

/// Of several, one is gone from the bucket and one is driven by another process: the rest is finished, exit code 0.
#[test]
fn resume_without_arguments_skips_what_is_gone_or_driven() {
    let mut world = World::new();
    let _server = Server::start(&mut world, &[]);
    for name in ["gone", "mine"] {
        let file = format!("{name}.raw");
        world.file(&file, LONG, 1);
        let target = format!("oss://images/{name}");
        assert_eq!(stopped(&world, &slow("", &file, &target), "TERM").0, Some(143));
    }
    world.file("driven.raw", LONG, 2);
    // Another machine's state folder: this one still believes in the upload.
    world.ok(&["abort", "oss://images/gone", "--yes", "--state-dir=elsewhere"]);
    let child = running(&world, &slow("", "driven.raw", "oss://images/driven"));
    let value = world.json(&["resume"]);
    assert_eq!(value["uploads"].as_array().unwrap().len(), 1, "{value}");
    assert_eq!(value["uploads"][0]["key"], "mine");
    let skipped: Vec<_> = value["skipped"].as_array().unwrap().iter().collect();
    assert_eq!([&skipped[0]["key"], &skipped[1]["key"]], ["driven", "gone"], "{value}");
    assert!(skipped[0]["reason"].as_str().unwrap().contains("another process"), "{value}");
    assert!(skipped[1]["reason"].as_str().unwrap().contains("ossup resume oss://images/gone"), "{value}");
    signal(&child, "KILL");
    finish(child);
    let value = world.json(&["resume", "oss://images/gone"]);
    assert_eq!(value["uploads"][0]["resumed_parts"], 0, "asked for by name it is sent again: {value}");
}

#[test]
fn an_upload_that_cannot_be_resumed_hides_none_that_can() {
    let world = World::new();
    let local = world.local();
    world.file("one.raw", LONG, 1);
    interrupted(&world, "one.raw", "oss://images/one");
    let damaged = world.path("store/ossup-state/uploads/damaged");
    std::fs::create_dir(&damaged).unwrap();
    std::fs::write(damaged.join("checkpoint.json"), "{").unwrap();
    let listed = world.json(&["list", &local]);
    assert_eq!(listed["uploads"].as_array().unwrap().len(), 1);
    assert!(listed["unreadable"][0].as_str().unwrap().ends_with("is damaged"), "{listed}");
    let resumed = world.run(&["resume", &local, "--output=json"]);
    let value: serde_json::Value = serde_json::from_str(&resumed.stdout).unwrap();
    assert_eq!((resumed.code, value["error"]["exit_code"].as_u64()), (Some(1), Some(1)));
    assert_eq!(value["uploads"][0]["key"], "one", "what was finished is said all the same");
}

#[test]
fn a_second_process_is_told_who_drives_the_upload() {
    let mut world = World::new();
    let _server = Server::start(&mut world, &[]);
    world.file("disk.raw", 4 * MIB, 1);
    let child = running(&world, &slow("", "disk.raw", "oss://images/x"));
    let stderr = world.fails(9, &["upload", "disk.raw", "oss://images/x", "--no-inspect"]);
    assert!(stderr.contains(&format!("process {}", child.id())), "{stderr}");
    assert_eq!(finish(child).code, Some(0), "the first one is not disturbed");
}

#[test]
fn resume_knows_the_endpoint_by_itself_and_asks_for_credentials_anew() {
    let mut world = World::new();
    let _server = Server::start(&mut world, &[]);
    world.file("disk.raw", LONG, 3);
    stopped(&world, &slow("", "disk.raw", "oss://images/x"), "TERM");
    world.env("OSS_ENDPOINT", "");
    world.env("OSS_REGION", "");
    let value = world.json(&["resume"]);
    assert!(value["uploads"][0]["resumed_parts"].as_u64().unwrap() >= 1, "{value}");
    assert_eq!(value["uploads"][0]["verified"], "crc64");
}

#[test]
fn the_command_that_is_shown_resumes_wherever_the_state_is() {
    let mut world = World::new();
    world.file("disk.raw", 4 * MIB, 1);
    let resumes = |world: &World, args: &[&str]| {
        let (code, rest) = stopped(world, args, "TERM");
        assert_eq!(code, Some(143), "{rest}");
        let text = rest.replace("\\u0027", "'");
        let finished = run_shown(world, &text);
        assert_eq!(finished.code, Some(0), "{text} {finished:?}");
        let value: serde_json::Value = serde_json::from_str(&finished.stdout).unwrap();
        assert!(value["uploads"][0]["resumed_parts"].as_u64().unwrap() >= 1, "{value}");
    };
    let local = format!("--endpoint=local:{}", world.path("my store").display());
    resumes(&world, &slow(&local, "disk.raw", "oss://images/it's a key"));
    let _server = Server::start(&mut world, &[]);
    resumes(&world, &slow("--state-dir=elsewhere", "disk.raw", "oss://images/x"));
}

/// An emulator in which the second of the three parts of an upload never arrives, and that upload, whose first
/// part is in.
fn stuck(world: &mut World) -> (Server, Child, BufReader<ChildStderr>) {
    // Of 3 MiB in parts of 1 MiB the second has this number.
    let plan = r#"{"rules": [{"operation": "UploadPart", "part": 9, "fault": {"kind": "stall"}}]}"#;
    std::fs::write(world.path("faults.json"), plan).unwrap();
    let server = Server::start(world, &["--faults", "faults.json"]);
    world.file("disk.raw", 3 * MIB, 1);
    let args = ["upload", "disk.raw", "oss://images/x", "--no-inspect", "--progress=json"];
    let (child, stderr) = begun(world, &[&args[..], &["--part-size=1MiB", "--parallel=1"]].concat());
    (server, child, stderr)
}

fn wait_for(stderr: &mut BufReader<ChildStderr>, words: &str) {
    let mut line = String::new();
    while !line.contains(words) {
        line.clear();
        assert!(stderr.read_line(&mut line).unwrap() > 0, "it ended before `{words}`");
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a second signal is one that comes a second later")]
fn a_second_signal_ends_it_at_once() {
    let mut world = World::new();
    let (server, child, mut stderr) = stuck(&mut world);
    signal(&child, "TERM");
    wait_for(&mut stderr, "a second signal stops at once");
    std::thread::sleep(Duration::from_millis(1100));
    signal(&child, "TERM");
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut stderr, &mut rest).unwrap();
    assert_eq!(finish(child).code, Some(143), "{rest}");
    assert!(rest.contains("stopped at once"), "{rest}");
    drop(server);
    let _server = Server::start(&mut world, &[]);
    let value = world.json(&["upload", "disk.raw", "oss://images/x", "--no-inspect"]);
    assert_eq!(value["resumed_parts"], 1, "{value}");
}

/// `timeout` signals its child and then the group; a shell signals all of a pipeline.
#[test]
fn signals_within_a_moment_are_one() {
    let mut world = World::new();
    let (_server, child, mut stderr) = stuck(&mut world);
    let line = format!("kill -TERM {0}; kill -TERM {0}; kill -HUP {0}", child.id());
    assert!(std::process::Command::new("sh").args(["-c", &line]).status().unwrap().success());
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut stderr, &mut rest).unwrap();
    let code = finish(child).code;
    assert!(matches!(code, Some(129 | 143)), "whichever comes first: {code:?} {rest}");
    assert!(!rest.contains("stopped at once") && rest.contains("same command again"), "{rest}");
}

#[cfg(target_os = "linux")]
#[test]
fn an_interrupt_that_was_ignored_at_the_start_stays_ignored() {
    let mut world = World::new();
    let _server = Server::start(&mut world, &[]);
    world.file("disk.raw", 4 * MIB, 1);
    let command = world.command(&slow("", "disk.raw", "oss://images/x"));
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "trap '' INT; exec \"$0\" \"$@\""]).arg(command.get_program()).args(command.get_args());
    shell.env_clear().current_dir(command.get_current_dir().unwrap());
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let piped = std::process::Stdio::piped;
    let mut child = shell.stdin(std::process::Stdio::null()).stdout(piped()).stderr(piped()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    wait_for(&mut stderr, "part_done");
    signal(&child, "INT");
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut stderr, &mut rest).unwrap();
    assert_eq!(finish(child).code, Some(0), "{rest}");
}

#[test]
fn every_upload_that_cannot_be_resumed_is_named() {
    let world = World::new();
    let local = world.local();
    for name in ["a.raw", "b.raw"] {
        let image = world.file(name, 3 * MIB, 1);
        interrupted(&world, name, &format!("oss://images/{name}"));
        std::fs::remove_file(image).unwrap();
    }
    let stderr = world.fails(2, &["resume", &local]);
    for name in ["a.raw", "b.raw"] {
        let said = format!("cannot resume the upload of `oss://images/{name}`");
        assert_eq!(stderr.matches(&said).count(), 1, "{stderr}");
    }
    assert!(!stderr.contains("\\u{"), "{stderr}");
}
