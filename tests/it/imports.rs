//! Imports: alone, in one with the upload, waited for, cancelled, copied, shared.

use serde_json::Value;

use crate::support::{Server, World, finish, signal};

const MIB: u64 = 1 << 20;

/// A world with an uploaded disk in the embedded store.
fn uploaded() -> (World, String) {
    let world = World::new();
    let local = world.local();
    world.disk("disk.raw", 64 * MIB, 1);
    world.ok(&["upload", "disk.raw", "oss://images/", &local]);
    (world, local)
}

#[test]
fn a_platform_that_is_not_listed_is_refused_before_the_first_byte() {
    let world = World::new();
    let local = world.local();
    world.disk("disk.raw", 64 * MIB, 1);
    let publish = ["publish", "disk.raw", "oss://images/", "--name=web-1", "--platform=Ubunto", &local];
    let stderr = world.fails(2, &publish);
    for said in ["`Ubunto`", "--platform Ubuntu", "ossup image platforms", "--force"] {
        assert!(stderr.contains(said), "{said}: {stderr}");
    }
    let stderr = world.fails(2, &["list", "oss://images", &local]);
    assert!(stderr.contains("NoSuchBucket"), "nothing was sent: {stderr}");
    let stderr = world.fails(7, &[&publish[..], &["--force"]].concat());
    assert!(stderr.contains("`InvalidPlatform.Malformed`"), "the service is asked: {stderr}");
    let listed = world.ok(&["image", "platforms"]).stdout;
    assert!(listed.lines().any(|line| line == "Rocky Linux"), "{listed}");
    assert_eq!(world.json(&["image", "platforms"])["platforms"][0]["os_type"], "linux");
}

#[test]
fn sizes_and_architectures_may_be_written_as_elsewhere() {
    let (world, local) = uploaded();
    let import = ["import", "oss://images/disk.raw", "--name=web-1", "--dry-run", &local];
    let asked = world.json(&[&import[..], &["--disk-size=40GiB", "--architecture=amd64"]].concat());
    assert_eq!(asked["request"]["DiskDeviceMapping.1.DiskImageSize"], "40", "{asked}");
    assert_eq!(asked["request"]["Architecture"], "x86_64", "{asked}");
    let stderr = world.fails(2, &[&import[..], &["--disk-size=40.5GiB"]].concat());
    assert!(stderr.contains("whole GiB"), "{stderr}");
}

#[test]
fn a_boot_mode_that_could_not_be_seen_is_left_to_the_service_with_a_warning() {
    let (world, local) = uploaded();
    let import = ["import", "oss://images/disk.raw", "--name=web-1", "--dry-run", "--no-inspect", &local];
    let finished = world.ok(&[&import[..], &["--output=json"]].concat());
    assert!(finished.stderr.contains("--boot-mode"), "{}", finished.stderr);
    assert!(!finished.stdout.contains("BootMode"), "{}", finished.stdout);
    let asked = world.ok(&[&import[..], &["--boot-mode=UEFI"]].concat());
    assert!(!asked.stderr.contains("cannot tell"), "{}", asked.stderr);
}

#[test]
fn publish_uploads_imports_and_waits() {
    let world = World::new();
    let local = world.local();
    world.disk("disk.raw", 64 * MIB, 1);
    world.disk("data.raw", 64 * MIB, 2);
    let value = world.json(&[
        "publish",
        "disk.raw",
        "oss://images/web/",
        "--name=web-1",
        "--data-disk=data.raw",
        "--copy-to=eu-central-1,us-west-1",
        "--share-with=1234567890",
        "--tag=team=web",
        "--manifest=record.json",
        &local,
    ]);
    assert_eq!((&value["status"], &value["verified"]), (&"Available".into(), &"crc64".into()), "{value}");
    assert_eq!(value["images"].as_array().unwrap().len(), 3);
    let record: Value = serde_json::from_slice(&std::fs::read(world.path("record.json")).unwrap()).unwrap();
    assert_eq!(record["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(record["image_id"], value["image_id"]);

    let shown = world.json(&["image", "show", value["image_id"].as_str().unwrap(), &local]);
    assert_eq!((&shown["name"], &shown["boot_mode"]), (&"web-1".into(), &"BIOS".into()));
    assert_eq!(shown["shared_with"][0], "1234567890");
    let copies = world.json(&["image", "list", &local, "--region=eu-central-1"]);
    assert_eq!(copies["images"][0]["name"], "web-1");
    assert_eq!(world.json(&["list", "oss://images", &local])["uploads"], Value::Array(Vec::new()));
}

#[test]
fn import_returns_after_the_submission_and_wait_follows_it() {
    let (world, local) = uploaded();
    let object = "oss://images/disk.raw";
    let value = world.json(&["import", object, "--name=web-1", &local]);
    let (task, image) = (value["task_id"].as_str().unwrap(), value["image_id"].as_str().unwrap());
    assert_eq!(value["status"], "Creating");
    let again = world.json(&["import", object, "--name=web-1", &local]);
    assert_eq!(again["image_id"], value["image_id"], "the same command makes no second image");
    let waited = world.json(&["image", "wait", task, &local]);
    assert_eq!((&waited["image_id"], &waited["status"]), (&image.into(), &"Available".into()));
    assert_eq!(world.ok(&["image", "wait", image, &local]).stdout.trim(), image);

    let shared = world.ok(&["image", "share", image, "--with=1000000042,1000000043", &local]).stderr;
    assert!(shared.contains("is shared with 1000000042, 1000000043; now shared with: "), "{shared}");
    let shown = world.ok(&["image", "show", image, &local]).stdout;
    assert!(shown.contains("shared with    1000000042, 1000000043\n") && !shown.contains('['), "{shown}");
    let left = world.ok(&["image", "unshare", image, "--with=1000000042", &local]).stdout;
    assert_eq!(left, "1000000043\n");
    world.ok(&["image", "unshare", image, "--with=1000000043", &local]);
    world.fails(2, &["image", "delete", image, &local]);
    world.ok(&["image", "delete", image, "--yes", &local]);
    assert!(world.json(&["image", "list", &local])["images"].as_array().unwrap().is_empty());
}

#[test]
fn a_taken_name_is_refused_before_anything_is_sent() {
    let (world, local) = uploaded();
    world.ok(&["import", "oss://images/disk.raw", "--name=web-1", "--wait", &local]);
    world.disk("other.raw", 64 * MIB, 2);
    let stderr = world.fails(7, &["publish", "other.raw", "oss://images/", "--name=web-1", &local]);
    assert!(stderr.contains("taken") && stderr.contains("ossup image delete"), "{stderr}");
    let gone = world.run(&["inspect", "oss://images/other.raw", &local]);
    assert!(gone.stderr.contains("404") || gone.stderr.contains("NoSuchKey"), "{gone:?}");
}

#[test]
fn what_follows_an_import_implies_the_wait_for_it() {
    let (world, local) = uploaded();
    let args = ["import", "oss://images/disk.raw", "--name=web-1", "--copy-to=us-west-1", &local];
    let value = world.json(&args);
    assert_eq!(value["images"].as_array().unwrap().len(), 2, "{value}");
    // Every line has the same form, so that a script can read them.
    let lines = world.ok(&args).stdout;
    let regions: Vec<_> = lines.lines().filter_map(|line| line.split_once('\t')).map(|(_, r)| r).collect();
    assert_eq!(regions, ["cn-hangzhou", "us-west-1"], "{lines}");
}

#[test]
fn bad_requests_are_refused_with_the_rule() {
    let (world, local) = uploaded();
    let object = "oss://images/disk.raw";
    for (args, code, part) in [
        (&["--name=1web"][..], 2, "name"),
        (&["--name=web", "--architecture=arm64", "--boot-mode=BIOS"][..], 2, "UEFI"),
        (&["--name=web", "--boot-mode=UEFI"][..], 3, "UEFI"),
        (&["--name=web", "--format=QCOW2"][..], 3, "QCOW2"),
        (&["--name=web", "--timeout=1h"][..], 2, "--wait"),
    ] {
        let finished = world.run(&[&["import", object, &local], args].concat());
        assert!(finished.code == Some(code) || finished.code == Some(3), "{args:?}: {finished:?}");
        assert!(finished.stderr.contains(part), "{args:?}: {finished:?}");
    }
    assert!(world.json(&["image", "list", &local])["images"].as_array().unwrap().is_empty());
}

#[test]
fn a_dry_run_shows_the_request_and_makes_nothing() {
    let (world, local) = uploaded();
    let shown = world.ok(&["import", "oss://images/disk.raw", "--name=web-1", "--dry-run", &local]).stdout;
    assert!(
        shown.contains("DiskDeviceMapping.1.OSSObject=disk.raw") && shown.contains("Format=RAW"),
        "{shown}"
    );
    assert!(world.json(&["image", "list", &local])["images"].as_array().unwrap().is_empty());
}

#[test]
fn a_wait_that_ends_early_leaves_the_import_going_and_cancel_ends_it() {
    let mut world = World::new();
    // Here an import takes its real time.
    let _server = Server::start(&mut world, &[]);
    world.disk("disk.raw", 64 * MIB, 1);
    world.ok(&["upload", "disk.raw", "oss://images/"]);
    let args = ["import", "oss://images/disk.raw", "--name=web-1", "--wait", "--timeout=1s", "--create-role"];
    let stderr = world.fails(8, &args);
    assert!(stderr.contains("ossup image wait t-"), "{stderr}");
    let list = world.json(&["image", "list"]);
    let image = list["images"][0]["image_id"].as_str().unwrap();
    let shown = world.json(&["image", "show", image]);
    assert!(shown["task_id"].as_str().unwrap().starts_with("t-"), "{shown}");
    // By the image's id, as the hint of a task that is not known says it.
    let cancelled = world.json(&["image", "cancel", image]);
    assert_eq!(cancelled["task_id"], shown["task_id"]);
    assert!(world.json(&["image", "list"])["images"].as_array().unwrap().is_empty());
}

#[test]
fn a_stopped_wait_cancels_nothing_and_says_so() {
    use std::io::{BufRead, BufReader, Read};

    let mut world = World::new();
    let _server = Server::start(&mut world, &[]);
    world.disk("disk.raw", 64 * MIB, 1);
    world.ok(&["upload", "disk.raw", "oss://images/"]);
    let args =
        ["import", "oss://images/disk.raw", "--name=web-1", "--wait", "--progress=json", "--create-role"];
    let mut child = world.command(&args).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("submitted") {
        line.clear();
        assert!(stderr.read_line(&mut line).unwrap() > 0, "the import ended before it began");
    }
    signal(&child, "TERM");
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    assert_eq!(finish(child).code, Some(143), "{rest}");
    assert!(rest.contains("ossup image wait t-") && rest.contains("the import continues"), "{rest}");
    let again = world.json(&["import", "oss://images/disk.raw", "--name=web-1", "--wait"]);
    assert_eq!(again["status"], "Available");
    assert_eq!(world.json(&["image", "list"])["images"].as_array().unwrap().len(), 1);
}

/// An import that ECS would refuse must not cost an upload first.
#[test]
fn no_part_of_an_image_that_ecs_refuses_is_sent() {
    let data = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/images");
    let table = std::fs::read_to_string(data.join("expected.txt")).unwrap();
    let world = World::new();
    let local = world.local();
    let mut refused = 0;
    for line in table.lines() {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let [name, .., verdict, _] = columns[..columns.len().min(6)] else { continue };
        // An image with a star is made in larger runs only, and is not packed here.
        if verdict != "refused" || name.starts_with('*') {
            continue;
        }
        let packed = std::fs::File::open(data.join(format!("{name}.gz"))).unwrap();
        let mut plain = std::fs::File::create(world.path(name)).unwrap();
        std::io::copy(&mut flate2::read::GzDecoder::new(packed), &mut plain).unwrap();
        // What is inside of a packed one may well be an image.
        let form = if name.starts_with("packed") { "--as=as-is" } else { "--as=auto" };
        let args = ["publish", name, "oss://images/", "--name=web-1", "--progress=json", form, &local];
        let said = world.fails(3, &args);
        assert!(!said.contains("part_started") && !said.contains("\"opened\""), "{name}: {said}");
        std::fs::remove_file(world.path(name)).unwrap();
        refused += 1;
    }
    assert!(refused > 30, "only {refused} images are refused");
}

/// What was typed and is not so is found before anything is sent, by whichever command it is typed to.
#[test]
fn a_contradiction_with_the_image_is_told_before_anything_is_sent() {
    let (world, local) = uploaded();
    world.disk("other.raw", 64 * MIB, 2);
    world.disk("large.raw", 6 << 30, 3);
    std::fs::File::create(world.path("huge.raw")).unwrap().set_len(2049 << 30).unwrap();
    let publish = ["publish", "other.raw", "oss://images/", "--name=web", "--progress=json"];
    let import = ["import", "oss://images/disk.raw", "--name=web"];
    let large = ["publish", "large.raw", "oss://images/", "--name=web", "--progress=json"];
    for (command, args, rule) in [
        (&publish[..], &["--boot-mode=UEFI"][..], "R-BOOT"),
        (&import, &["--boot-mode=UEFI"], "R-BOOT"),
        (&publish, &["--architecture=arm64"], "R-BOOT"),
        (&import, &["--architecture=arm64"], "R-BOOT"),
        (&publish, &["--os-type=windows"], "S-WIN"),
        (&import, &["--os-type=windows"], "S-WIN"),
        (&publish, &["--platform=Windows Server 2022"], "S-WIN"),
        (&import, &["--platform=Windows Server 2022"], "S-WIN"),
        (&publish, &["--format=vhd"], "F-FORMAT"),
        (&import, &["--format=vhd"], "F-FORMAT"),
        (&publish, &["--disk-size=2049"], "F-SIZE"),
        (&import, &["--disk-size=2049"], "F-SIZE"),
        (&large, &["--disk-size=5"], "F-SIZE"),
        (&publish, &["--data-disk=huge.raw"], "F-SIZE"),
        // The key is all that is typed to an upload; the service checks it, but not always.
        (&["upload", "other.raw", "oss://images/other.vhd", "--strict"], &[], "F-SUFFIX"),
    ] {
        let stderr = world.fails(3, &[command, args, &[&local]].concat());
        assert!(stderr.contains(&format!("[{rule}]")), "{command:?} {args:?}: {stderr}");
        assert!(!stderr.contains("part_started") && !stderr.contains("\"opened\""), "{args:?}: {stderr}");
    }
    // Without a look at the image, what contradicts itself is found.
    for (args, fix) in [
        (&["--platform=Ubuntu", "--os-type=windows"], "--os-type linux"),
        (&["--architecture=arm64", "--boot-mode=BIOS"], "--boot-mode UEFI"),
    ] {
        let stderr = world.fails(2, &[&publish[..], args, &["--no-inspect", &local]].concat());
        assert!(stderr.contains(fix), "{args:?}: {stderr}");
    }
    assert!(world.json(&["list", "oss://images", &local])["uploads"].as_array().unwrap().is_empty());
    assert!(world.json(&["image", "list", &local])["images"].as_array().unwrap().is_empty());
}

/// The account is looked at before the first byte; what may not be looked at is a warning.
#[test]
fn what_ecs_would_refuse_of_the_bucket_costs_no_upload() {
    let mut world = World::new();
    let denied = |operation: &str| {
        format!(
            r#"{{"operation": "{operation}", "times": 1, "fault": {{"kind": "status", "status": 403, "code": "Forbidden.RAM"}}}}"#
        )
    };
    let rules = ["GetCallerIdentity", "GetRole"].map(denied).join(", ");
    std::fs::write(world.path("denied.json"), format!(r#"{{"rules": [{rules}]}}"#)).unwrap();
    let buckets =
        ["--bucket=foreign,owner=4242", "--bucket=sealed,encryption=KMS", "--bucket=cold,class=Archive"];
    let server = Server::start(&mut world, &[&buckets[..], &["--speed=40"]].concat());
    world.disk("disk.raw", 64 * MIB, 1);
    let publish =
        |bucket: &str| ["publish", "disk.raw", bucket, "--name=web", "--progress=json"].map(str::to_owned);
    for (bucket, code, part) in [
        ("oss://foreign/", 7, "belongs to account 4242"),
        ("oss://sealed/", 7, "encrypts its objects (KMS)"),
        ("oss://nowhere/", 2, "there is no bucket"),
    ] {
        let args = publish(bucket);
        let stderr = world.fails(code, &args.each_ref().map(String::as_str));
        assert!(stderr.contains(part) && !stderr.contains("part_started"), "{bucket}: {stderr}");
    }
    // The object asks for Standard itself.
    let cold = publish("oss://cold/");
    assert!(world.ok(&cold.each_ref().map(String::as_str)).stderr.contains("of class Archive"));
    drop(server);

    let mut world = world;
    let _server = Server::start(&mut world, &["--speed=40", "--faults=denied.json"]);
    let args = ["publish", "disk.raw", "oss://images/", "--name=web-2", "--progress=json"];
    let stderr = world.ok(&args).stderr;
    assert!(stderr.contains("whose the bucket is could not be checked"), "{stderr}");
    assert!(stderr.contains("the role for imports could not be checked"), "{stderr}");
}

#[test]
fn mistakes_about_what_follows_the_import_come_before_the_first_byte() {
    let world = World::new();
    let local = world.local();
    world.disk("disk.raw", 64 * MIB, 1);
    for (mistake, said) in [
        ("--copy-to=us-wst-1", "there is no region `us-wst-1`"),
        ("--copy-to=us-wst-1", "did you mean us-west-1?"),
        ("--share-with=abc", "a number such as"),
        ("--manifest=/nonexistent/record.json", "/nonexistent/record.json"),
    ] {
        let args = ["publish", "disk.raw", "oss://images/", "--name=web-1", "--create-role", mistake, &local];
        let stderr = world.fails(2, &args);
        assert!(stderr.contains(said), "{stderr}");
        assert!(!stderr.contains(".tmp"), "{stderr}");
    }
    let args = ["import", "oss://images/disk.raw", "--name=web-1", "--timeout=1s", &local];
    assert!(world.fails(2, &args).contains("--wait"));
}

#[test]
fn an_image_is_copied_nowhere_if_one_of_the_regions_does_not_exist() {
    let (world, local) = uploaded();
    let args = ["import", "oss://images/disk.raw", "--name=web-1", "--create-role", "--wait", &local];
    let value = world.json(&args);
    let id = value["image_id"].as_str().unwrap();
    let stderr = world.fails(2, &["image", "copy", id, "--to=eu-central-1,cn-shangai", &local]);
    assert!(stderr.contains("there is no region `cn-shangai`"), "{stderr}");
    assert!(stderr.contains("did you mean cn-shanghai?"), "{stderr}");
    let images = world.json(&["image", "list", "--region=eu-central-1", &local]);
    assert_eq!(images["images"], serde_json::json!([]), "{images}");
}

#[test]
fn a_deletion_says_what_it_deleted_and_of_what_is_not_there_that_it_is_not() {
    let (world, local) = uploaded();
    let args = ["import", "oss://images/disk.raw", "--name=web-1", "--create-role", "--wait", &local];
    let image = world.ok(&args).stdout.trim().to_owned();
    let elsewhere = ["image", "delete", &image, "--yes", "--region=eu-central-1", &local];
    assert!(world.fails(2, &elsewhere).contains("eu-central-1"));
    let deleted = world.ok(&["image", "delete", &image, "--yes", &local]);
    assert!(deleted.stderr.contains(&format!("image {image} (web-1)")), "{deleted:?}");
    world.fails(2, &["image", "delete", &image, "--yes", &local]);
}

#[test]
fn an_interrupted_publish_is_listed() {
    let mut world = World::new();
    let _server = Server::start(&mut world, &["--ecs=paused"]);
    world.disk("disk.raw", 64 * MIB, 1);
    world.fails(8, &["publish", "disk.raw", "oss://images/", "--name=web-1", "--timeout=1s"]);
    let value = world.json(&["list"]);
    let publish = &value["publishes"][0];
    assert_eq!((&publish["name"], &publish["active"]), (&"web-1".into(), &false.into()), "{value}");
    assert_eq!(publish["waits_for"][0], "cn-hangzhou");
    let table = world.ok(&["list"]).stdout;
    assert!(table.starts_with("PUBLISH ") && table.contains("interrupted"), "{table}");
    assert!(table.contains(publish["image_id"].as_str().unwrap()), "{table}");
    assert!(world.json(&["list", "oss://images/other"])["publishes"].as_array().unwrap().is_empty());
}
