//! Which image is the result: never one that only has the right name.

use crate::support::{Server, World};

const MIB: u64 = 1 << 20;
const OPTIONS: [&str; 5] =
    ["--name=web-1", "--platform=Ubuntu", "--disk-size=40", "--format=RAW", "--no-inspect"];

fn world(args: &[&str]) -> (World, Server) {
    let mut world = World::new();
    world.disk("disk.raw", 8 * MIB, 1);
    let server = Server::start(&mut world, &[&["--speed=1000", "--ecs=base_duration=1"], args].concat());
    (world, server)
}

#[test]
fn the_same_command_on_a_changed_object_never_names_the_old_image() {
    let (world, _server) = world(&[]);
    let publish =
        [&["publish", "disk.raw", "oss://images/", "--overwrite", "--delete-object"], &OPTIONS[..]].concat();
    let first = world.json(&publish);
    world.disk("disk.raw", 9 * MIB, 2);
    for _ in 0..2 {
        let stderr = world.fails(7, &publish);
        let advice =
            format!("ossup image delete {} --region cn-hangzhou", first["image_id"].as_str().unwrap());
        assert!(stderr.contains("taken by") && stderr.contains(&advice), "{stderr}");
    }
    world.ok(&["inspect", "oss://images/disk.raw"]);
    // As advised.
    world.ok(&["image", "delete", first["image_id"].as_str().unwrap(), "--region=cn-hangzhou", "--yes"]);
    let second = world.json(&publish);
    assert_ne!(second["image_id"], first["image_id"]);
    assert_eq!(second["deleted"][0], "oss://images/disk.raw");
}

#[test]
fn importing_another_object_of_the_same_key_never_names_the_old_image() {
    let (world, _server) = world(&[]);
    let import = [&["import", "oss://images/disk.raw", "--wait"], &OPTIONS[..]].concat();
    world.ok(&["upload", "disk.raw", "oss://images/"]);
    let first = world.json(&import);
    assert_eq!(world.json(&import)["image_id"], first["image_id"]);
    world.disk("disk.raw", 9 * MIB, 2);
    world.ok(&["upload", "disk.raw", "oss://images/", "--overwrite"]);
    for _ in 0..2 {
        assert!(world.fails(7, &import).contains("taken by"));
    }
}

#[test]
fn a_copy_of_the_old_image_is_not_taken_for_a_copy_of_the_new_one() {
    let (world, _server) = world(&[]);
    let publish =
        [&["publish", "disk.raw", "oss://images/", "--overwrite", "--copy-to=us-west-1"], &OPTIONS[..]]
            .concat();
    let first = world.json(&publish);
    world.disk("disk.raw", 9 * MIB, 2);
    world.ok(&["image", "delete", first["image_id"].as_str().unwrap(), "--region=cn-hangzhou", "--yes"]);
    let stderr = world.fails(7, &publish);
    let copy = first["images"][1]["image_id"].as_str().unwrap();
    assert!(stderr.contains(&format!("ossup image delete {copy} --region us-west-1")), "{stderr}");
    world.ok(&["image", "delete", copy, "--region=us-west-1", "--yes"]);
    assert_eq!(world.json(&publish)["images"].as_array().unwrap().len(), 2);
}
