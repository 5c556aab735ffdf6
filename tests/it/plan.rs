//! What would be done is shown, and nothing is done.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use crate::stop::interrupted;
use crate::support::{Server, World, finish};

const MIB: usize = 1 << 20;

/// Returns every file below a folder, with its contents, and every folder. The store's clock ticks whatever is done.
fn tree(folder: &Path) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let mut tree = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.ends_with("records/clock") {
            continue;
        }
        if path.is_dir() {
            tree.extend(self::tree(&path));
            tree.push((path, None));
        } else {
            let contents = std::fs::read(&path).unwrap();
            tree.push((path, Some(contents)));
        }
    }
    tree.sort();
    tree
}

fn assert_same(before: &[(PathBuf, Option<Vec<u8>>)], after: &[(PathBuf, Option<Vec<u8>>)]) {
    let changed: Vec<_> =
        after.iter().filter(|entry| !before.contains(entry)).map(|(path, _)| path).collect();
    assert!(changed.is_empty() && before.len() == after.len(), "made or changed: {changed:?}");
}

#[test]
fn a_dry_run_shows_what_the_run_then_sends_and_makes_nothing() {
    let world = World::new();
    let local = world.local();
    world.file("other", MIB, 1);
    world.ok(&["upload", "other", "oss://images/", "--no-inspect", &local]);
    world.disk("disk.raw", 12 << 20, 1);
    let before = tree(&world.path(""));
    let upload = ["upload", "disk.raw", "oss://images/", "--part-size=1MiB", &local];
    let planned = world.json(&[&upload[..], &["--dry-run", "--bandwidth-limit=1MiB/s"]].concat());
    let text = world.ok(&[&upload[..], &["--dry-run"]].concat()).stdout;
    let publish = ["publish", "disk.raw", "oss://images/", "--name=web", &local];
    let published = world.json(&[&publish[..], &["--dry-run"]].concat());
    assert_same(&before, &tree(&world.path("")));

    assert_eq!(planned["dry_run"], true);
    let plan = &planned["uploads"][0];
    assert_eq!((&plan["image_bytes"], &plan["existing"]["state"]), (&(12 * MIB).into(), &"nothing".into()));
    assert_eq!((&plan["parts"]["least"], &plan["parts"]["most"]), (&12.into(), &12.into()));
    assert_eq!((&plan["seconds"], &plan["verdict"]), (&12.0.into(), &"good".into()));
    assert!(plan["zero_bytes"]["least"].as_u64() > Some(11 * MIB as u64), "{plan}");
    for line in [
        "image           disk.raw",
        "to send         12.0 MiB",
        "in              12 parts",
        "exists          nothing",
    ] {
        assert!(text.contains(line), "{text}");
    }
    let sent = world.json(&upload);
    assert_eq!(plan["bytes_to_send"]["likely"], sent["bytes_sent"]);

    let plan = &published["uploads"][0];
    assert_eq!(plan["key"], "disk.qcow2");
    assert_eq!(published["request"]["DiskDeviceMapping.1.Format"], "QCOW2");
    let object = world.json(&publish);
    assert_eq!((&plan["object_bytes"]["likely"], &plan["form"]), (&object["size"], &object["form"]));
}

#[test]
fn what_an_earlier_run_left_is_shown_and_kept() {
    let world = World::new();
    let local = world.local();
    world.file("disk.raw", 4 * MIB, 1);
    interrupted(&world, "disk.raw", "oss://images/x");
    let before = tree(&world.path(""));
    let upload = ["upload", "disk.raw", "oss://images/x", "--no-inspect", &local];
    let planned = world.json(&[&upload[..], &["--dry-run"]].concat());
    assert_same(&before, &tree(&world.path("")));
    let present = planned["uploads"][0]["present"].clone();
    assert!(present["upload_id"].is_string() && present["parts"].as_u64() > Some(0), "{planned}");
    let report = world.json(&upload);
    assert_eq!(
        (&report["resumed_parts"], &report["bytes_sent"]),
        (&present["parts"], &planned["uploads"][0]["bytes_to_send"]["likely"])
    );
}

#[test]
fn nothing_of_a_pipe_is_read_to_plan() {
    let world = World::new();
    let local = world.local();
    for command in [&["upload", "-", "oss://images/x"][..], &["publish", "-", "oss://images/x", "--name=web"]]
    {
        let args = [command, &["--dry-run", "--expected-size=1GiB", "--output=json", &local]].concat();
        // Nothing comes out of the pipe, and it is not closed.
        let mut child = world.command(&args).stdin(Stdio::piped()).spawn().unwrap();
        let pipe = child.stdin.take();
        let finished = finish(child);
        drop(pipe);
        assert_eq!(finished.code, Some(0), "{finished:?}");
        let planned: Value = serde_json::from_str(&finished.stdout).unwrap();
        let plan = &planned["uploads"][0];
        assert_eq!((&plan["image_bytes"], &plan["findings"]), (&Value::Null, &Value::Null));
    }
}

#[test]
fn what_would_be_refused_has_the_same_exit_code() {
    let mut world = World::new();
    let _server = Server::start(&mut world, &[]);
    world.file("noise.raw", MIB, 1);
    world.disk("disk.raw", 8 << 20, 1);
    let upload = |image: &'static str, more: &[&'static str]| {
        [&["upload", image, "oss://images/x", "--dry-run"], more].concat()
    };
    std::fs::write(world.path("vmware.vmdk"), [b"KDMV\x01\0\0\0", &[0; MIB][..]].concat()).unwrap();
    world.fails(3, &upload("vmware.vmdk", &[]));
    world.fails(2, &upload("disk.raw", &["--part-size=1KiB"]));
    world.fails(2, &upload("disk.raw", &["--probe", "--output=xml"]));
    let stderr = world.fails(2, &["upload", "disk.raw", "oss://no-such-bucket/", "--dry-run"]);
    assert!(stderr.contains("ossup bucket create"), "{stderr}");
    world.ok(&["upload", "noise.raw", "oss://images/x", "--no-inspect"]);
    let stderr = world.fails(9, &upload("disk.raw", &[]));
    assert!(stderr.contains("--overwrite"), "{stderr}");
    let replaced = world.json(&upload("disk.raw", &["--overwrite"]));
    assert_eq!(replaced["uploads"][0]["existing"]["state"], "replaced");
    world.fails(2, &["upload", "disk.raw", "oss://images/y", "--probe"]);
}
