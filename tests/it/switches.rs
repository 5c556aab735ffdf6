//! Everything that the service is known to do oddly, one switch of the emulator at a time: each is survived, or
//! ends in the exit code and the advice that it deserves.

use ossup::emulator::EcsOptions;

use crate::support::{Server, World};

const MIB: u64 = 1 << 20;
const PUBLISH: [&str; 4] = ["publish", "disk.raw", "oss://images/", "--name=web-1"];

/// A switch: what the emulator is started with, and what must come of it.
type Switch = (&'static [&'static str], fn(&World));

const SWITCHES: &[Switch] = &[
    // The task is finished before its image is, and the image Available before it is usable.
    (&["--ecs=looks_before_available=4"], is_published),
    (&["--ecs=looks_before_usable=4"], is_published),
    (&["--ecs=finished_but_failed"], fails_and_says_how_to_try_again),
    (&["--ecs=forget_ended_tasks"], is_published_though_its_task_is_forgotten),
    (&["--ecs=task_id_field=ImportTaskId"], is_imported_and_followed),
    (&["--ecs=stringly_typed"], is_published),
    (&["--ecs=import_role=false", "--ecs=role_code=NoSetRoletoECSServiceAcount"], needs_the_role),
    (&["--ecs=import_role=false", "--ecs=role_code=NoSetRoletoECSServiceAccount"], needs_the_role),
    // 30 s that pass in 3: longer than the first try takes.
    (&["--ecs=import_role=false", "--ecs=role_propagation=30", "--speed=10"], waits_for_its_new_role),
    (&["--ecs=detection_risks"], tells_the_risks),
    (&["--ecs=paused"], is_published),
    (&["--faults=lost.json"], is_published),
    (&["--ecs=fuzzy_neighbours"], is_published),
    (&["--ecs=late_snapshot_ids"], is_published),
    (&["--ecs=cancel_leaves_image", "--speed=1", "--ecs=base_duration=600"], is_cancelled_without_a_trace),
    (&["--ecs=dry_run_code=DryRunOperation"], is_tried),
    (&["--ecs=dry_run_code=DRYRUN.SUCCESS"], is_tried),
    (&["--ecs=check_suffix"], needs_a_suffix),
    (&["--bucket=sealed,encryption=AES256"], is_published_with_a_warning),
    (&["--bucket=sealed,encryption=AES256", "--ecs=refuse_aes256"], is_refused_for_its_encryption),
    (&["--ecs=system_disk_gib=40-500"], needs_a_larger_disk),
    (&["--ecs=data_disk_gib=20-1000"], needs_a_larger_data_disk),
    (&["--ecs=image_quota=0"], meets_the_quota),
    (&["--ecs=running_limit=1"], is_published),
    (&["--ecs=copies_to_fail=1"], copies_at_the_second_try),
    (&["--ecs=vhd_not_copyable"], says_that_vhd_is_not_copied),
    (&["--ecs=images_in_use=web"], is_deleted_only_by_force),
    (&["--ecs=whole_names"], is_published),
    (&["--ecs=boot_duration=5", r#"--ecs=console="Linux version 6.1\nweb-1 login: ""#], boots),
    (&["--ecs=instance_quota=0"], has_no_room_for_a_boot_test),
    (&["--ecs=type_without_stock=ecs.g7.large"], finds_no_instance_of_the_type),
    (&["--ecs=foreign_image=web-1"], is_published),
    // An object that is not looked into fails later or never: the switch is for the emulator's own tests.
    (&["--ecs=probe=false"], is_published),
    (&["--ecs=bytes_per_second=1000000000", "--ecs=base_duration=1"], is_published),
];

#[test]
fn every_switch_is_survived_or_explained() {
    for some in SWITCHES.chunks(4) {
        std::thread::scope(|scope| {
            for (args, check) in some {
                let row = std::thread::Builder::new().name(args.join(" "));
                row.spawn_scoped(scope, move || {
                    let mut world = World::new();
                    world.disk("disk.raw", 64 * MIB, 1);
                    std::fs::write(world.path("lost.json"), LOST_ANSWER).unwrap();
                    // The switch's own speed comes last.
                    let speed =
                        if args.iter().any(|arg| arg.contains("--speed")) { None } else { Some("--speed=8") };
                    let args: Vec<&str> = args.iter().copied().chain(speed).collect();
                    let _server = Server::start(&mut world, &args);
                    check(&world);
                })
                .unwrap();
            }
        });
    }
}

#[test]
fn every_switch_has_a_row() {
    let rows: Vec<&str> = SWITCHES.iter().flat_map(|(args, _)| *args).copied().collect();
    for name in EcsOptions::names() {
        let flag = format!("--ecs={name}");
        assert!(rows.iter().any(|arg| arg.split_inclusive(&flag).next() == Some(&flag)), "{name}");
    }
}

/// The connection breaks after the record was made.
const LOST_ANSWER: &str = r#"{"rules": [{"operation": "ImportImage", "times": 1,
    "fault": {"kind": "reset", "when": "after_commit"}}]}"#;

fn images(world: &World, region: &str) -> Vec<(String, String)> {
    let list = world.json(&["image", "list", "--region", region]);
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let images = list["images"].as_array().unwrap().iter();
    images.map(|image| (text(&image["name"]), text(&image["status"]))).collect()
}

/// A publish with a boot test.
fn tested() -> Vec<&'static str> {
    let place = ["--instance-type=ecs.g7.large", "--vswitch=vsw-emulated", "--security-group=sg-emulated"];
    [&PUBLISH[..], &["--boot-test"], &place].concat()
}

fn boots(world: &World) {
    assert_eq!(world.json(&tested())["boot_tested"], true);
}

fn has_no_room_for_a_boot_test(world: &World) {
    let stderr = world.fails(7, &tested());
    assert!(stderr.contains("nothing is sent") && stderr.contains("QuotaExceed"), "{stderr}");
}

fn finds_no_instance_of_the_type(world: &World) {
    let stderr = world.fails(7, &tested());
    assert!(stderr.contains("nothing is sent") && stderr.contains("OperationDenied.NoStock"), "{stderr}");
}

fn is_deleted_only_by_force(world: &World) {
    is_published(world);
    let delete = ["image", "delete", "web-1", "--yes", "--withdraw"];
    let stderr = world.fails(9, &delete);
    assert!(stderr.contains("instances use image") && stderr.contains("--force"), "{stderr}");
    world.ok(&[&delete[..], &["--force"]].concat());
}

fn is_published(world: &World) {
    let value = world.json(&[&PUBLISH[..], &["--copy-to=us-west-1", "--share-with=1000000042"]].concat());
    assert_eq!(value["status"], "Available", "{value}");
    for region in ["cn-hangzhou", "us-west-1"] {
        assert_eq!(images(world, region), [("web-1".to_owned(), "Available".to_owned())], "{region}");
    }
    let shown = world.json(&["image", "show", value["image_id"].as_str().unwrap()]);
    assert_eq!((&shown["shared_with"][0], &shown["size_gib"]), (&"1000000042".into(), &5.into()), "{shown}");
}

fn is_imported_and_followed(world: &World) {
    world.ok(&["upload", "disk.raw", "oss://images/"]);
    let task = world.ok(&["import", "oss://images/disk.raw", "--name=web-1"]).stdout;
    assert!(task.starts_with("t-"), "{task}");
    let image = world.ok(&["image", "wait", task.trim()]).stdout;
    assert!(image.starts_with("m-"), "{image}");
}

fn is_published_though_its_task_is_forgotten(world: &World) {
    is_published(world);
    let task = world.json(&[&PUBLISH[..], &["--copy-to=us-west-1"]].concat())["task_id"].clone();
    let stderr = world.fails(2, &["image", "wait", task.as_str().unwrap()]);
    assert!(stderr.contains("ossup image list"), "{stderr}");
}

fn fails_and_says_how_to_try_again(world: &World) {
    let stderr = world.fails(7, &PUBLISH);
    assert!(stderr.contains("failed at 40 %") && stderr.contains("`ImportImageFailed`"), "{stderr}");
    let (_, command) = stderr.split_once("`ossup image delete ").unwrap();
    let image = command.split('`').next().unwrap();
    world.ok(&["image", "delete", image, "--yes"]);
    // The same end once more, but no other: the name is free and the object is there.
    let stderr = world.fails(7, &PUBLISH);
    assert!(stderr.contains("failed at 40 %"), "{stderr}");
}

fn needs_the_role(world: &World) {
    // Found by looking at RAM, before anything is sent.
    let stderr = world.fails(4, &PUBLISH);
    assert!(
        stderr.contains("--create-role") && stderr.contains("https://ram.console.aliyun.com/"),
        "{stderr}"
    );
    assert!(world.json(&["list", "oss://images"])["uploads"].as_array().unwrap().is_empty());
    // Found by the import, in either spelling.
    world.ok(&["upload", "disk.raw", "oss://images/"]);
    let stderr = world.fails(4, &["import", "oss://images/disk.raw", "--name=web-1", "--dry-run"]);
    assert!(stderr.contains("`NoSetRoletoECSServiceAc") && stderr.contains("--create-role"), "{stderr}");
    world.ok(&[&PUBLISH[..], &["--create-role"]].concat());
}

fn waits_for_its_new_role(world: &World) {
    let value = world.json(&[&PUBLISH[..], &["--create-role"]].concat());
    assert_eq!(value["status"], "Available", "{value}");
}

fn tells_the_risks(world: &World) {
    let finished = world.ok(&[&PUBLISH[..], &["--detection"]].concat());
    assert!(finished.stderr.contains("risk") && finished.stderr.contains("GUESTOS."), "{finished:?}");
}

fn is_cancelled_without_a_trace(world: &World) {
    world.ok(&["upload", "disk.raw", "oss://images/"]);
    let task = world.ok(&["import", "oss://images/disk.raw", "--name=web-1"]).stdout;
    let said = world.ok(&["image", "cancel", task.trim()]).stderr;
    assert!(said.contains("the object is untouched"), "{said}");
    assert!(images(world, "cn-hangzhou").is_empty());
}

fn is_tried(world: &World) {
    world.ok(&["upload", "disk.raw", "oss://images/"]);
    let value = world.json(&["import", "oss://images/disk.raw", "--name=web-1", "--dry-run"]);
    assert_eq!(value["dry_run"], true);
    assert!(images(world, "cn-hangzhou").is_empty());
}

fn is_published_with_a_warning(world: &World) {
    let stderr = world.ok(&["publish", "disk.raw", "oss://sealed/", "--name=web-1"]).stderr;
    assert!(stderr.contains("warning") && stderr.contains("(AES256)"), "{stderr}");
}

fn is_refused_for_its_encryption(world: &World) {
    let stderr = world.fails(7, &["publish", "disk.raw", "oss://sealed/", "--name=web-1"]);
    assert!(stderr.contains("`InvalidOSSBucket.EncryptUnsupported`"), "{stderr}");
}

fn needs_a_suffix(world: &World) {
    let stderr = world.fails(7, &["publish", "disk.raw", "oss://images/disk.bin", "--name=web-1"]);
    assert!(stderr.contains("`UnsupportedSuffix.OSSObject`") && stderr.contains(".qcow2"), "{stderr}");
    is_published(world);
}

fn needs_a_larger_disk(world: &World) {
    let stderr = world.fails(7, &PUBLISH);
    assert!(stderr.contains("`InvalidImageSize`") && stderr.contains("--disk-size"), "{stderr}");
    world.ok(&[&PUBLISH[..], &["--disk-size=40"]].concat());
}

fn needs_a_larger_data_disk(world: &World) {
    world.disk("data.raw", 64 * MIB, 2);
    let stderr = world.fails(7, &[&PUBLISH[..], &["--data-disk=data.raw"]].concat());
    assert!(stderr.contains("`InvalidDataDiskSize`"), "{stderr}");
}

fn meets_the_quota(world: &World) {
    let stderr = world.fails(7, &PUBLISH);
    assert!(stderr.contains("`QuotaExceed.Image`") && stderr.contains("delete some"), "{stderr}");
}

fn copies_at_the_second_try(world: &World) {
    let publish = [&PUBLISH[..], &["--copy-to=us-west-1"]].concat();
    let stderr = world.fails(7, &publish);
    assert!(stderr.contains("run the same command again"), "{stderr}");
    world.ok(&publish);
    assert_eq!(images(world, "us-west-1"), [("web-1".to_owned(), "Available".to_owned())]);
}

fn says_that_vhd_is_not_copied(world: &World) {
    let disk = std::fs::read(world.path("disk.raw")).unwrap();
    std::fs::write(world.path("disk.vhd"), fixed_vhd(disk)).unwrap();
    let publish = ["publish", "disk.vhd", "oss://images/", "--name=web-1", "--copy-to=us-west-1"];
    let stderr = world.fails(7, &publish);
    assert!(stderr.contains("`InvalidOperation.VhdImageUnsupported`"), "{stderr}");
    assert!(stderr.contains("QCOW2"), "{stderr}");
}

/// A disk with the footer that makes it a fixed VHD.
fn fixed_vhd(mut disk: Vec<u8>) -> Vec<u8> {
    let length = disk.len() as u64;
    let mut footer = [0u8; 512];
    footer[..8].copy_from_slice(b"conectix");
    footer[11] = 2;
    footer[12..16].copy_from_slice(&[0, 1, 0, 0]);
    footer[16..24].fill(0xff);
    footer[28..32].copy_from_slice(b"qem2");
    footer[40..48].copy_from_slice(&length.to_be_bytes());
    footer[48..56].copy_from_slice(&length.to_be_bytes());
    footer[60..64].copy_from_slice(&2u32.to_be_bytes());
    let sum = !footer.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    footer[64..68].copy_from_slice(&sum.to_be_bytes());
    disk.extend_from_slice(&footer);
    disk
}
