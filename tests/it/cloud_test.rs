//! The boot test in an instance, as its user sees it.

use std::io::{BufRead, BufReader, Read};

use crate::guests::{HARD, debian};
use crate::support::{Server, World, finish, signal};

const IN: [&str; 3] =
    ["--instance-type=ecs.g7.large", "--vswitch=vsw-emulated", "--security-group=sg-emulated"];
const PUBLISH: [&str; 5] = ["publish", "disk.raw", "oss://images/", "--name=web-1", "--boot-test"];

fn world(args: &[&str]) -> (World, Server) {
    let mut world = World::new();
    let server = Server::start(&mut world, &[&["--speed=64"], args].concat());
    (world, server)
}

#[test]
fn an_image_that_boots_in_an_instance_is_published() {
    let (world, _server) = world(&[]);
    debian(&world, &[]);
    let published = world.json(&[&PUBLISH[..], &IN].concat());
    assert_eq!(published["boot_tested"], true);
    assert_eq!(published["boot_test"]["outcome"], "boots");
    let finished = world.ok(&[&["image", "boot-test", "web-1"], &IN[..]].concat());
    assert!(finished.stdout.contains(": boots, login prompt after "), "{finished:?}");
    for said in ["runs the image; it is released by ", "kernel started", "login prompt reached", "is deleted"]
    {
        assert!(finished.stderr.contains(said), "{said}: {}", finished.stderr);
    }
}

#[test]
fn an_image_that_does_not_boot_in_one_is_explained_and_kept_to_oneself() {
    let (world, _server) = world(&[]);
    debian(&world, &[HARD]);
    let said = world.fails(11, &[&PUBLISH[..], &IN, &["--force", "--copy-to=us-west-1"]].concat());
    assert!(said.contains("does not boot in an instance of type ecs.g7.large"), "{said}");
    assert!(said.contains("emergency mode") && said.contains("[G-FSTAB]"), "{said}");
    assert!(said.contains("is kept"), "{said}");
    assert_eq!(world.json(&["image", "list"])["images"].as_array().unwrap().len(), 1);
    let elsewhere = world.json(&["image", "list", "--region=us-west-1"]);
    assert!(elsewhere["images"].as_array().unwrap().is_empty(), "{elsewhere}");
}

#[test]
fn what_a_test_needs_is_named_before_anything_is_sent() {
    let (world, _server) = world(&["--ecs=type_without_stock=ecs.g7.large"]);
    world.disk("disk.raw", 64 << 20, 1);
    let said = world.fails(2, &[&PUBLISH[..], &["--vswitch=vsw-1"]].concat());
    assert!(said.contains("needs --instance-type TYPE and --security-group ID too"), "{said}");
    let said = world.fails(2, &[&PUBLISH[..4], &IN].concat());
    assert!(said.contains("--instance-type is of a boot test, which is not asked for"), "{said}");
    let said = world.fails(2, &[&PUBLISH[..], &IN, &["--boot-nvme"]].concat());
    assert!(said.contains("--boot-nvme does nothing with --boot-test=cloud"), "{said}");
    let said = world.fails(7, &[&PUBLISH[..], &IN].concat());
    assert!(said.contains("nothing is sent") && said.contains("OperationDenied.NoStock"), "{said}");
    assert!(world.json(&["image", "list"])["images"].as_array().unwrap().is_empty());
}

#[test]
fn a_signal_in_mid_test_deletes_the_instance_and_the_same_command_goes_on() {
    let (world, _server) = world(&[r#"--ecs=console="Linux version 6.1\nwaits""#]);
    world.disk("disk.raw", 64 << 20, 1);
    let arguments = [&PUBLISH[..], &IN].concat();
    let mut child = world.command(&arguments).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("kernel started") {
        line.clear();
        assert!(stderr.read_line(&mut line).unwrap() > 0, "it ended before the instance ran");
    }
    signal(&child, "TERM");
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    assert_eq!(finish(child).code, Some(143), "{rest}");
    assert!(rest.contains("is deleted") && rest.contains("the boot test was stopped"), "{rest}");
    assert_eq!(world.json(&["image", "list"])["images"][0]["status"], "Available");
    // No instance is left of it: the image can be deleted.
    world.ok(&["image", "delete", "web-1", "--yes"]);
}
