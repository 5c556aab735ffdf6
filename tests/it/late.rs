//! Images that pass once, and what is seen of them by their end: from memory, or else on the bucket.

use serde_json::Value;

use crate::guests::{HARD, debian};
use crate::pipes::piped;
use crate::support::{Finished, Server, World, finish};

/// So little memory that the data of the disk are not held while they pass.
const LITTLE: &str = "--max-memory=2MiB";
const PUBLISH: [&str; 4] = ["publish", "-", "oss://images/pipe.raw", "--name=web"];

/// Runs a command that gets the disk from a pipe.
fn run(world: &World, args: &[&[&str]]) -> Finished {
    let bytes = std::fs::read(world.path("disk.raw")).unwrap();
    finish(piped(world, &args.concat(), &bytes))
}

fn json(world: &World, args: &[&[&str]]) -> (Value, String) {
    let finished = run(world, &[&args.concat(), &["--output=json"]]);
    assert_eq!(finished.code, Some(0), "{args:?}: {finished:?}");
    (serde_json::from_str(&finished.stdout).unwrap(), finished.stderr)
}

/// The ids of the images that are there.
fn images(world: &World, local: &str) -> Vec<String> {
    let list = world.json(&["image", "list", "--region=cn-hangzhou", local]);
    let images = list["images"].as_array().unwrap().iter();
    images.map(|image| image["image_id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_import_of_a_stream_asks_for_what_the_disk_says() {
    let world = World::new();
    let local = world.local();
    debian(&world, &[]);
    for (memory, requests) in [(&[LITTLE][..], 1..=64), (&[], 0..=0)] {
        for form in ["--as=as-is", "--as=auto"] {
            let name = format!("--name=web-{}-{}", memory.len(), form.len());
            let all = [&PUBLISH[..3], &["--overwrite", "-v", &name, form, &local], memory];
            let (value, stderr) = json(&world, &all);
            let asked = stderr.lines().find(|line| line.contains("asks for what the image says")).unwrap();
            for param in ["OSType=linux", "Platform=Debian", "NvmeSupport=supported", "DiskImageSize=5"] {
                assert!(asked.contains(param), "{asked}");
            }
            assert_eq!(value["guest_unread"], Value::Null);
            let looked = stderr.lines().filter(|line| line.contains("GetObject")).count();
            assert!(requests.contains(&looked), "{looked}: {stderr}");
            let shown = world.json(&["image", "show", value["image_id"].as_str().unwrap(), &local]);
            assert_eq!((&shown["platform"], &shown["os_type"]), (&"Debian".into(), &"linux".into()));
        }
    }
}

#[test]
fn a_run_that_follows_looks_and_asks_no_more() {
    let world = World::new();
    let local = world.local();
    debian(&world, &[]);
    let publish: [&[&str]; 2] = [&PUBLISH, &[LITTLE, "-v", &local]];
    let (first, _) = json(&world, &publish);
    let (again, stderr) = json(&world, &[&publish.concat(), &["--deep"]]);
    assert_eq!((&again["image_id"], &again["bytes_sent"]), (&first["image_id"], &0.into()));
    assert!(!stderr.contains("GetObject") && !stderr.contains("asks for"), "{stderr}");
}

#[test]
fn what_certainly_does_not_start_is_not_imported_and_stays_on_the_bucket() {
    let world = World::new();
    let local = world.local();
    debian(&world, &[HARD]);
    let publish: [&[&str]; 2] = [&PUBLISH, &[LITTLE, &local]];
    for _ in 0..2 {
        let finished = run(&world, &publish);
        assert_eq!(finished.code, Some(3), "{finished:?}");
        for said in ["`oss://images/pipe.raw` is refused", "/etc/fstab line 4", "the object stays", "--force"]
        {
            assert!(finished.stderr.contains(said), "{said}: {finished:?}");
        }
        assert!(!finished.stderr.contains("are deleted"), "{finished:?}");
        assert!(images(&world, &local).is_empty());
    }
    world.ok(&["inspect", "oss://images/pipe.raw", "--no-guest", &local]);
    // Another image in its place is another publish.
    debian(&world, &[]);
    let (mended, _) = json(&world, &[&publish.concat(), &["--overwrite"]]);
    assert_eq!(images(&world, &local), [mended["image_id"].as_str().unwrap()]);

    debian(&world, &[HARD]);
    let other: [&[&str]; 2] =
        [&["publish", "-", "oss://images/other.raw", "--name=other"], &[LITTLE, &local]];
    assert_eq!(run(&world, &other).code, Some(3));
    let (forced, stderr) = json(&world, &[&other.concat(), &["--force"]]);
    assert_eq!(forced["bytes_sent"], 0, "{forced}");
    assert!(stderr.contains("/etc/fstab line 4") && stderr.contains("Platform=Debian"), "{stderr}");
    let unseen: [&[&str]; 2] =
        [&["publish", "-", "oss://images/unseen.raw", "--name=unseen"], &[LITTLE, &local]];
    let (_, stderr) = json(&world, &[&unseen.concat(), &["--no-inspect"]]);
    assert!(!stderr.contains("asks for") && !stderr.contains("fstab"), "{stderr}");
}

#[test]
fn of_a_stream_whose_data_are_few_nothing_is_completed_that_does_not_start() {
    let world = World::new();
    let local = world.local();
    debian(&world, &[HARD]);
    for command in [&PUBLISH[..], &["upload", "-", "oss://images/pipe.raw"]] {
        let finished = run(&world, &[command, &[&local]]);
        assert_eq!(finished.code, Some(3), "{finished:?}");
        let said = ["`standard input` is refused", "/etc/fstab line 4", "are deleted"];
        assert!(said.iter().all(|said| finished.stderr.contains(said)), "{finished:?}");
        assert!(world.run(&["inspect", "oss://images/pipe.raw", &local]).stderr.contains("404"));
        assert!(world.json(&["list", "oss://images", &local])["uploads"].as_array().unwrap().is_empty());
    }
}

#[test]
fn that_nobody_may_look_into_an_object_is_said_and_stops_no_import() {
    let mut world = World::new();
    let plan = r#"{"rules": [{"operation": "GetObject",
        "fault": {"kind": "status", "status": 403, "code": "AccessDenied"}}]}"#;
    std::fs::write(world.path("faults.json"), plan).unwrap();
    let _server = Server::start(&mut world, &["--speed=1e8", "--faults", "faults.json"]);
    debian(&world, &[HARD]);
    let (value, stderr) = json(&world, &[&PUBLISH, &[LITTLE, "--as=as-is", "--create-role"]]);
    let lines: Vec<_> = stderr.lines().filter(|line| line.contains("nobody looked into")).collect();
    assert!(lines.len() == 1 && lines[0].contains("AccessDenied"), "{stderr}");
    assert!(value["guest_unread"].as_str().unwrap().contains("AccessDenied"), "{value}");
    assert!(stderr.contains("DiskImageSize=5"), "what passed is known: {stderr}");
    assert_eq!(value["status"], "Available");
}

#[test]
fn an_upload_says_that_nobody_looked_into_a_stream() {
    let world = World::new();
    let local = world.local();
    debian(&world, &[]);
    let upload = ["upload", "-", "oss://images/pipe.raw", "--overwrite", &local];
    let (value, stderr) = json(&world, &[&upload, &[LITTLE]]);
    let said = "the system on the disk is not known: not looked at: the image passes once";
    assert!(stderr.contains(said) && stderr.contains("`ossup inspect oss://images/pipe.raw`"), "{stderr}");
    assert!(value["guest_unread"].as_str().unwrap().contains("256.0 KiB"), "{value}");
    for seen in [&[][..], &[LITTLE, "--no-guest"], &[LITTLE, "--no-inspect"]] {
        let (value, stderr) = json(&world, &[&upload, seen]);
        assert!(value["guest_unread"].is_null() && !stderr.contains("not known"), "{seen:?}: {stderr}");
    }
}
