//! Open uploads: listed, aborted, collected; and buckets.

use serde_json::Value;

use crate::stop::{interrupted, run_printed, running, slow, stopped};
use crate::support::{Server, World, finish};

const MIB: usize = 1 << 20;

#[test]
fn open_uploads_are_listed_with_what_they_hold_and_aborted() {
    let world = World::new();
    let local = world.local();
    world.file("disk.raw", 4 * MIB, 1);
    interrupted(&world, "disk.raw", "oss://images/web/x");
    let value = world.json(&["list", "oss://images/web/", &local]);
    let upload = &value["uploads"][0];
    assert_eq!(
        (&upload["key"], &upload["local"], &upload["remote"]),
        (&"web/x".into(), &true.into(), &true.into())
    );
    assert!(upload["bytes"].as_u64().unwrap() >= MIB as u64, "{value}");
    assert_eq!(upload["active"], false);
    let table = world.ok(&["list", &local]).stdout;
    assert!(table.starts_with("OBJECT ") && table.contains("interrupted"), "{table}");
    assert!(table.contains(world.path("disk.raw").to_str().unwrap()), "{table}");
    assert!(world.json(&["list", "oss://images/other", &local])["uploads"].as_array().unwrap().is_empty());

    let stderr = world.fails(2, &["abort", "oss://images/web/x", &local]);
    assert!(stderr.contains("--yes"), "{stderr}");
    world.ok(&["abort", "oss://images/web/x", "--yes", &local]);
    assert!(world.json(&["list", "oss://images", &local])["uploads"].as_array().unwrap().is_empty());
    assert!(world.json(&["list", &local])["uploads"].as_array().unwrap().is_empty());
    world.fails(1, &["abort", "oss://images/web/x", "--yes", &local]);
}

/// Parts of an upload that is known nowhere any more cost money until somebody looks.
#[test]
fn what_a_lost_state_folder_knew_is_named_and_the_shown_command_aborts_it() {
    let world = World::new();
    let local = world.local();
    world.file("disk.raw", 3 * MIB, 1);
    interrupted(&world, "disk.raw", "oss://images/x");
    std::fs::remove_dir_all(world.path("store/ossup-state")).unwrap();
    let said = world.ok(&["upload", "disk.raw", "oss://images/x", "--no-inspect", &local]).stderr;
    assert!(
        said.contains("another upload of `oss://images/x` is open") && said.contains("--adopt="),
        "{said}"
    );
    assert_eq!(world.json(&["list", "oss://images", &local])["uploads"].as_array().unwrap().len(), 1);
    let aborted = run_printed(&world, &said, "abort", "--yes");
    assert_eq!(aborted.code, Some(0), "{aborted:?}");
    assert!(world.json(&["list", "oss://images", &local])["uploads"].as_array().unwrap().is_empty());
}

/// Asks until there is an answer; ages are whole seconds of real time.
fn eventually<T>(ask: impl Fn() -> Option<T>) -> T {
    let began = std::time::Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(began.elapsed().as_secs() < 60, "it never came true");
    }
}

/// By a local clock that is days ahead, what another machine has just begun would be old.
#[test]
fn gc_goes_by_the_clock_of_the_service() {
    let mut world = World::new();
    let plan = r#"{"rules": [{"operation": "ListMultipartUploads", "attempts": [2, 2], "fault":
        {"kind": "response_header", "name": "date", "value": "Thu, 01 Jan 2099 00:00:00 GMT"}}]}"#;
    std::fs::write(world.path("faults.json"), plan).unwrap();
    let _server = Server::start(&mut world, &["--faults", "faults.json"]);
    world.file("disk.raw", 3 * MIB, 1);
    assert_eq!(stopped(&world, &slow("", "disk.raw", "oss://images/x"), "TERM").0, Some(143));
    let old = |value: Value| value["would_abort"].as_array().unwrap().len();
    let gc = ["gc", "oss://images", "--older-than=7d", "--dry-run"];
    assert_eq!([old(world.json(&gc)), old(world.json(&gc))], [1, 0]);
}

#[test]
fn gc_aborts_what_is_old_alone() {
    let world = World::new();
    let local = world.local();
    world.file("disk.raw", 3 * MIB, 1);
    interrupted(&world, "disk.raw", "oss://images/x");
    let kept = world.json(&["gc", "oss://images", "--older-than=1h", "--yes", &local]);
    assert!(kept["aborted"].as_array().unwrap().is_empty());
    for (refused, why) in
        [("7", "needs a unit: 7s, 7m, 7h or 7d"), ("0", "needs a unit"), ("0s", "of any age")]
    {
        let stderr = world.fails(2, &["gc", "oss://images", "--older-than", refused, "--yes", &local]);
        assert!(stderr.contains(why), "{stderr}");
    }
    let shown = eventually(|| {
        let shown = world.json(&["gc", "oss://images", "--older-than=1s", "--dry-run", &local]);
        (shown["would_abort"].as_array().unwrap().len() == 1).then_some(shown)
    });
    assert_eq!((&shown["dry_run"], shown.get("aborted")), (&true.into(), None), "{shown}");
    let stderr = world.fails(2, &["gc", "oss://images", "--older-than=1s", &local]);
    assert!(stderr.contains("--yes"), "{stderr}");
    let gone = world.json(&["gc", "oss://images", "--older-than=1s", "--yes", &local]);
    assert_eq!(gone["aborted"], shown["would_abort"]);
    assert_eq!(gone["aborted"].as_array().unwrap().len(), 1);
    assert!(gone["bytes"].as_u64().unwrap() >= MIB as u64);
    assert!(world.json(&["list", &local])["uploads"].as_array().unwrap().is_empty(), "forgotten here too");
}

#[test]
fn gc_leaves_alone_what_another_process_drives() {
    let mut world = World::new();
    let _server = Server::start(&mut world, &[]);
    world.file("disk.raw", 6 * MIB, 1);
    let child = running(&world, &slow("", "disk.raw", "oss://images/x"));
    assert_eq!(world.json(&["list"])["uploads"][0]["active"], true);
    let value = world.json(&["gc", "oss://images", "--older-than=1ms", "--yes"]);
    assert!(value["aborted"].as_array().unwrap().is_empty(), "{value}");
    let stderr = world.fails(9, &["abort", "oss://images/x", "--yes"]);
    assert!(stderr.contains("another process"), "{stderr}");
    assert_eq!(finish(child).code, Some(0));
}

#[test]
fn an_upload_id_that_is_not_there_is_no_success() {
    let world = World::new();
    let local = world.local();
    world.file("disk.raw", 3 * MIB, 1);
    interrupted(&world, "disk.raw", "oss://images/x");
    let stderr = world.fails(1, &["abort", "oss://images/x", "--upload-id=TYPO", "--yes", &local]);
    assert!(stderr.contains("no open upload TYPO") && stderr.contains("NoSuchUpload"), "{stderr}");
    assert_eq!(world.json(&["list", "oss://images", &local])["uploads"].as_array().unwrap().len(), 1);
}

#[test]
fn buckets_are_made_and_shown() {
    let mut world = World::new();
    let server = Server::start(&mut world, &[]);
    world.ok(&["bucket", "create", "oss://fresh-bucket"]);
    let again = world.ok(&["bucket", "create", "fresh-bucket"]);
    assert!(again.stderr.contains("already exists and is yours"), "{again:?}");
    assert!(world.ok(&["bucket", "show", "fresh-bucket"]).stdout.contains("cn-hangzhou"));
    let value = world.json(&["bucket", "show", "oss://fresh-bucket"]);
    assert_eq!((&value["bucket"], &value["region"]), (&"fresh-bucket".into(), &"cn-hangzhou".into()));
    world.fails(2, &["bucket", "show", "oss://fresh-bucket/key"]);
    assert!(server.endpoint.starts_with("http://127.0.0.1:"));
}
