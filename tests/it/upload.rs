//! Uploads to the embedded store and to the emulator.

use serde_json::Value;

use crate::support::{Server, World, append};

const MIB: usize = 1 << 20;

fn upload<'a>(image: &'a str, target: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["upload", image, target, "--no-inspect"], more].concat()
}

#[test]
fn an_upload_prints_its_url_and_what_was_verified() {
    let world = World::new();
    world.file("disk.raw", 3 * MIB + 5, 1);
    let local = world.local();
    let finished = world.ok(&upload("disk.raw", "oss://images/", &[&local]));
    assert_eq!(finished.stdout, "http://127.0.0.1:9000/images/disk.raw\n");
    assert!(finished.stderr.contains("no bucket `images` yet"), "{}", finished.stderr);
    assert!(finished.stderr.contains("verified by CRC-64"), "{}", finished.stderr);

    let value = world.json(&upload("disk.raw", "oss://images/a/", &[&local, "--part-size=1MiB"]));
    assert_eq!(value["key"], "a/disk.raw");
    assert_eq!(value["size"], 3 * MIB + 5);
    assert_eq!(value["parts"], 4);
    assert_eq!(value["resumed_parts"], 0);
    assert_eq!(value["bytes_sent"], 3 * MIB + 5);
    assert_eq!(value["verified"], "crc64");
    assert!(value["crc64"].is_string());
    for member in ["bucket", "url", "etag", "version_id", "retries", "seconds"] {
        assert!(value.get(member).is_some(), "{member}");
    }
}

#[test]
fn the_same_works_over_http() {
    let mut world = World::new();
    let _server = Server::start(&mut world, &[]);
    world.file("disk.raw", 5 * MIB, 2);
    let value = world.json(&upload("disk.raw", "oss://images/x y.raw", &[]));
    assert_eq!((&value["size"], &value["verified"]), (&Value::from(5 * MIB), &"crc64".into()));
    let value = world.json(&upload("disk.raw", "oss://images/v1.raw", &["--sign-version=v1"]));
    assert_eq!(value["verified"], "crc64");
}

#[test]
fn an_object_that_exists_is_kept_unless_it_is_the_same_or_may_be_replaced() {
    let world = World::new();
    let local = world.local();
    world.file("one.raw", MIB, 1);
    world.file("two.raw", MIB, 2);
    world.ok(&upload("one.raw", "oss://images/x.raw", &[&local]));
    let same = world.json(&upload("one.raw", "oss://images/x.raw", &[&local]));
    assert_eq!((&same["bytes_sent"], &same["parts"]), (&0.into(), &0.into()));
    let stderr = world.fails(9, &upload("two.raw", "oss://images/x.raw", &[&local]));
    assert!(stderr.contains("--overwrite"), "{stderr}");
    world.ok(&upload("two.raw", "oss://images/x.raw", &[&local, "--overwrite"]));
}

#[test]
fn impossible_part_sizes_and_empty_files_are_refused_with_the_reason() {
    let world = World::new();
    let local = world.local();
    world.file("disk.raw", 2 * MIB, 1);
    world.file("empty.raw", 0, 1);
    let stderr = world.fails(2, &upload("disk.raw", "oss://images/x", &[&local, "--part-size=10KiB"]));
    assert!(stderr.contains("100 KiB"), "{stderr}");
    let stderr = world.fails(2, &upload("disk.raw", "oss://images/x", &[&local, "--part-size=6GiB"]));
    assert!(stderr.contains("5 GiB"), "{stderr}");
    let empty = world.run(&upload("empty.raw", "oss://images/x", &[&local]));
    assert!(empty.code == Some(2) || empty.code == Some(3), "{empty:?}");
    assert!(empty.stderr.contains("empty"), "{empty:?}");
}

#[test]
fn what_the_service_refuses_has_its_code_and_request_id() {
    let mut world = World::new();
    let server = Server::start(&mut world, &[]);
    world.file("disk.raw", MIB, 1);
    let finished = world.run(&upload("disk.raw", "oss://nothing-here/x", &["--output=json"]));
    let error = &serde_json::from_str::<Value>(&finished.stdout).unwrap()["error"];
    assert_eq!(error["code"], "NoSuchBucket");
    assert!(error["request_id"].is_string());
    assert_eq!(finished.code.map(Value::from), Some(error["exit_code"].clone()));

    world.env("OSS_ACCESS_KEY_SECRET", "wrong");
    let stderr = world.fails(4, &upload("disk.raw", "oss://images/x", &[]));
    assert!(stderr.contains("SignatureDoesNotMatch") && stderr.contains("request id"), "{stderr}");
    assert!(!stderr.contains("wrong"), "{stderr}");
    drop(server);
}

#[test]
fn requests_are_logged_one_line_each() {
    let mut world = World::new();
    let server = Server::start(&mut world, &[]);
    world.file("disk.raw", MIB, 1);
    let finished =
        world.ok(&upload("disk.raw", "oss://images/x", &["-v", "--parallel=1", "--part-size=1MiB"]));
    let lines: Vec<_> = finished.stderr.lines().filter(|line| line.contains("attempt=1")).collect();
    // The state folder is new, so it may be that another one was lost: other open uploads of the key are looked for.
    let operations =
        ["InitiateMultipartUpload", "ListMultipartUploads", "UploadPart", "CompleteMultipartUpload"];
    assert_eq!(lines.len(), operations.len(), "{}", finished.stderr);
    for (line, operation) in lines.iter().zip(operations) {
        let all = [operation, "ms=", "status=200", "request_id="];
        assert!(all.iter().all(|part| line.contains(part)), "{line}");
    }
    assert!(!finished.stderr.contains(&server.access_key_secret));
}

#[test]
fn progress_as_json_is_one_event_a_line() {
    let world = World::new();
    world.file("disk.raw", 2 * MIB, 1);
    let local = world.local();
    let finished = world.ok(&upload(
        "disk.raw",
        "oss://images/x",
        &[&local, "--progress=json", "--part-size=1MiB", "--parallel=1"],
    ));
    let events: Vec<Value> =
        finished.stderr.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let count = |name: &str| events.iter().filter(|event| event["event"] == name).count();
    assert_eq!((count("opened"), count("part_done"), count("completed")), (1, 2, 1), "{events:?}");
}

#[test]
fn quiet_prints_the_url_alone() {
    let world = World::new();
    world.file("disk.raw", MIB, 1);
    let local = world.local();
    let finished = world.ok(&upload("disk.raw", "oss://images/x", &[&local, "-q"]));
    assert_eq!(finished.stderr, "");
    assert_eq!(finished.stdout.lines().count(), 1);
}

#[test]
fn an_image_that_changed_since_the_upload_began_is_refused_with_the_way_out() {
    let world = World::new();
    let local = world.local();
    let image = world.file("disk.raw", 4 * MIB, 1);
    crate::stop::interrupted(&world, "disk.raw", "oss://images/x");
    append(&image, b"more");
    let stderr = world.fails(6, &upload("disk.raw", "oss://images/x", &[&local]));
    assert!(stderr.contains("as it was before it changed") && stderr.contains("--restart"), "{stderr}");
    let value = world.json(&upload("disk.raw", "oss://images/x", &[&local, "--restart"]));
    assert_eq!(value["size"], 4 * MIB + 4);
    assert_eq!(value["resumed_parts"], 0);
}

#[test]
fn an_image_of_another_time_goes_on_once_its_parts_were_compared() {
    let world = World::new();
    let local = world.local();
    let image = world.file("disk.raw", 4 * MIB, 1);
    crate::stop::interrupted(&world, "disk.raw", "oss://images/x");
    let file = std::fs::File::options().write(true).open(&image).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    let stderr = world.fails(6, &upload("disk.raw", "oss://images/x", &[&local]));
    assert!(stderr.contains("--verify-resume"), "{stderr}");
    let value = world.json(&upload("disk.raw", "oss://images/x", &[&local, "--verify-resume"]));
    assert!(value["resumed_parts"].as_u64().unwrap() > 0, "{value}");
    assert_eq!(value["verified"], "crc64");
}

#[test]
fn a_wrong_region_leads_to_the_right_one_and_to_no_other_service() {
    let world = World::new();
    let local = world.local();
    world.file("disk.raw", MIB, 1);
    world.ok(&upload("disk.raw", "oss://images/x", &[&local]));
    let stderr = world.fails(2, &upload("disk.raw", "oss://images/y", &[&local, "--region=cn-hangzou"]));
    assert!(stderr.contains("pass --region cn-hangzhou"), "{stderr}");
    assert!(!stderr.contains("--endpoint oss-"), "{stderr}");
}

#[test]
fn an_object_that_is_not_there_is_named() {
    let mut world = World::new();
    let _server = Server::start(&mut world, &[]);
    let stderr = world.fails(1, &["inspect", "oss://images/nothing.raw"]);
    assert!(stderr.contains("`oss://images/nothing.raw`") && stderr.contains("NoSuchKey"), "{stderr}");
}

#[test]
fn a_refusal_is_printed_once() {
    let world = World::new();
    world.file("empty.raw", 0, 1);
    let stderr = world.fails(3, &["upload", "empty.raw", "oss://images/x", &world.local()]);
    assert_eq!(stderr.matches("the file is empty").count(), 1, "{stderr}");
    assert!(!stderr.contains("hint"), "nothing helps: {stderr}");
    let inspected = world.run(&["inspect", "empty.raw", "--output=json"]);
    let object: Value = serde_json::from_str(&inspected.stdout).unwrap();
    assert_eq!((&object["verdict"], &object["error"]["exit_code"]), (&"refused".into(), &3.into()));
}

#[test]
fn an_image_that_ecs_would_refuse_is_not_sent() {
    let world = World::new();
    let local = world.local();
    std::fs::write(world.path("error.html"), "<html>404 not found</html>").unwrap();
    let stderr = world.fails(3, &["upload", "error.html", "oss://images/x.raw", &local]);
    assert!(stderr.contains("--force"), "{stderr}");
    let stderr = world.fails(2, &["list", "oss://images", &local]);
    assert!(stderr.contains("NoSuchBucket"), "no request was made: {stderr}");
    world.ok(&["upload", "error.html", "oss://images/x.raw", &local, "--force"]);
    world.disk("disk.raw", 64 << 20, 1);
    let value = world.json(&["upload", "disk.raw", "oss://images/disk.raw", &local]);
    assert_eq!(value["verified"], "crc64");
}

#[test]
fn any_disk_is_uploaded_whatever_it_is_for() {
    let world = World::new();
    let local = world.local();
    let mut bare = vec![0; MIB];
    bare[1080..1082].copy_from_slice(&[0x53, 0xEF]);
    let mut windows = vec![0; 4 * MIB];
    windows[..3].copy_from_slice(b"\xEB\x63\x90");
    windows[446..462].copy_from_slice(&[0x80, 0, 0, 0, 7, 0, 0, 0, 0, 8, 0, 0, 0, 16, 0, 0]);
    windows[510..512].copy_from_slice(&[0x55, 0xAA]);
    windows[MIB + 3..MIB + 11].copy_from_slice(b"NTFS    ");
    for (name, disk) in [("data.raw", &bare), ("windows.raw", &windows)] {
        std::fs::write(world.path(name), disk).unwrap();
        world.ok(&["upload", name, "oss://images/", &local]);
    }
    world.fails(3, &["inspect", "data.raw"]);
    world.ok(&["inspect", "data.raw", "--role=data"]);
    world.ok(&["inspect", "windows.raw"]);
    world.ok(&["inspect", "windows.raw", "--os-type=windows", "--strict"]);
    let stderr = world.fails(3, &["inspect", "windows.raw", "--os-type=linux"]);
    assert!(stderr.contains("--os-type windows --platform 'Other Windows'"), "{stderr}");
}

#[test]
fn inspect_tells_the_same_of_a_file_and_of_its_object() {
    let world = World::new();
    let local = world.local();
    world.disk("disk.raw", 64 << 20, 1);
    let file = world.json(&["inspect", "disk.raw"]);
    assert_eq!((&file["verdict"], &file["partition_table"]), (&"good".into(), &"mbr".into()), "{file}");
    world.ok(&["upload", "disk.raw", "oss://images/disk.raw", &local]);
    let object = world.json(&["inspect", "oss://images/disk.raw", &local]);
    for member in ["verdict", "virtual_size", "partitions", "boot"] {
        assert_eq!(file[member], object[member], "{member}");
    }
    let text = world.ok(&["inspect", "disk.raw"]).stdout;
    assert!(text.contains("virtual size    64.0 MiB") && text.contains("ext4, active"), "{text}");
}

#[test]
fn several_images_go_into_a_folder_one_after_the_other() {
    let world = World::new();
    let local = world.local();
    world.file("a.raw", 300_000, 1);
    world.file("b.raw", 200_000, 2);
    let args = ["upload", "a.raw", "b.raw", "oss://images/web/", "--no-inspect", &local];
    let value = world.json(&args);
    let keys: Vec<_> = value["uploads"].as_array().unwrap().iter().map(|one| one["key"].clone()).collect();
    assert_eq!(keys, ["web/a.raw", "web/b.raw"]);
    assert_eq!(world.ok(&args).stdout.lines().count(), 2);
    let stderr = world.fails(2, &["upload", "a.raw", "b.raw", "oss://images/x", "--no-inspect", &local]);
    assert!(stderr.contains("end the destination with /"), "{stderr}");
    let stderr = world.fails(2, &["upload", "a.raw", "./a.raw", "oss://images/", "--no-inspect", &local]);
    assert!(stderr.contains("two images would become"), "{stderr}");
    world.fails(2, &["upload", "a.raw", "none.raw", "oss://images/late/", "--no-inspect", &local]);
    assert!(
        world.run(&["inspect", "oss://images/late/a.raw", &local]).stderr.contains("404"),
        "nothing is sent"
    );
}
