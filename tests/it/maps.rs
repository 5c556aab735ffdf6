//! Maps of data beside images, and disks inside images.

use std::process::Stdio;

use serde_json::Value;

use crate::support::{Finished, Server, World, finish};

/// The image that the bmap file in `tests/data/maps` is of.
fn image() -> Vec<u8> {
    let mut image = vec![0; 1_049_600];
    image[..5000].fill(b'A');
    image[300_000..300_010].fill(b'B');
    image[1_049_000..].fill(b'C');
    image
}

fn world() -> World {
    let world = World::new();
    std::fs::write(world.path("image.raw"), image()).unwrap();
    let maps = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/maps");
    for name in ["image.bmap", "image.json"] {
        std::fs::copy(maps.join(name), world.path(name)).unwrap();
    }
    world
}

fn upload(world: &World, args: &[&str]) -> Finished {
    world.run(&[&["upload"], args, &["--no-inspect", "--output=json", &world.local()]].concat())
}

fn uploaded(world: &World, args: &[&str]) -> Value {
    let finished = upload(world, args);
    assert_eq!(finished.code, Some(0), "{args:?}: {finished:?}");
    serde_json::from_str(&finished.stdout).unwrap()
}

/// Uploads a file by way of a pipe.
fn piped(world: &World, name: &str, args: &[&str]) -> Finished {
    let local = world.local();
    let args = [&["upload", "-"], args, &["--no-inspect", "--output=json", &local]].concat();
    let file = std::fs::File::open(world.path(name)).unwrap();
    finish(world.command(&args).stdin(Stdio::from(file)).spawn().unwrap())
}

#[test]
fn a_mapped_image_becomes_the_same_object() {
    let world = world();
    for form in ["--as=as-is", "--as=qcow2"] {
        let key = |name: &str| format!("oss://images/{form}/{name}");
        let plain = uploaded(&world, &["image.raw", &key("plain"), form]);
        for map in ["--bmap=image.bmap", "--map=image.json"] {
            let mapped = uploaded(&world, &["image.raw", &key(map), form, map]);
            assert_eq!(mapped["crc64"], plain["crc64"], "{form} {map}");
        }
        let streamed = piped(&world, "image.raw", &[&key("pipe"), form, "--bmap=image.bmap"]);
        let streamed: Value = serde_json::from_str(&streamed.stdout).unwrap();
        assert_eq!(streamed["crc64"], plain["crc64"], "{form}");
    }
    let stderr = piped(&world, "image.raw", &["oss://images/x", "--map=image.json"]).stderr;
    assert!(stderr.contains("--map saves nothing"), "{stderr}");
}

#[test]
fn an_image_that_is_not_the_maps_becomes_no_object() {
    let world = world();
    let local = world.local();
    let mut other = image();
    other[100] = b'X';
    std::fs::write(world.path("other.raw"), &other).unwrap();
    std::fs::write(world.path("longer.raw"), [image(), vec![1; 8192]].concat()).unwrap();
    for form in ["--as=as-is", "--as=qcow2"] {
        for (name, says) in [("other.raw", "do not have the checksum"), ("longer.raw", "of another image")] {
            let args = ["oss://images/x", form, "--bmap=image.bmap", "--restart"];
            let from_file = upload(&world, &[&[name], &args[..]].concat());
            for finished in [from_file, piped(&world, name, &args)] {
                assert_eq!(finished.code, Some(6), "{finished:?}");
                assert!(finished.stderr.contains(says), "{name} {form}: {finished:?}");
            }
            assert!(world.run(&["inspect", "oss://images/x", &local]).stderr.contains("404"));
        }
    }
}

/// The server of the objects is one of files on the web, by presigned URLs.
#[test]
fn a_disk_that_went_as_qcow2_comes_out_of_it_again() {
    let mut world = World::new();
    let _server = Server::start(&mut world, &[]);
    let disk = world.disk("disk.raw", 6 << 20, 3);
    let raw = world.json(&["upload", "disk.raw", "oss://images/disk.raw"]);
    for compat in ["1.1", "0.10"] {
        let key = format!("oss://images/{compat}.qcow2");
        world.json(&["upload", "disk.raw", &key, "--as=qcow2", "--compat", compat]);
        let url = world.ok(&["url", &key, "--sign=1h"]).stdout;
        let back = format!("oss://images/{compat}.raw");
        let value = world.json(&["upload", url.trim(), &back, "--as=raw"]);
        assert_eq!((&value["crc64"], &value["form"]["format"]), (&raw["crc64"], &"raw".into()));
        assert_eq!(value["image_size"], disk.metadata().unwrap().len());
        let value = world.json(&["inspect", &key]);
        assert_eq!((&value["format"], &value["verdict"]), (&"qcow2".into(), &"good".into()));
    }
}

#[test]
fn the_disk_inside_an_image_needs_positions() {
    let world = World::new();
    let mut qcow2 = vec![0; 1 << 20];
    qcow2[..8].copy_from_slice(b"QFI\xfb\0\0\0\x03");
    std::fs::write(world.path("disk.qcow2"), qcow2).unwrap();
    let finished = piped(&world, "disk.qcow2", &["oss://images/x", "--as=raw"]);
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert!(
        finished.stderr.contains("passes once") && finished.stderr.contains("--as as-is"),
        "{finished:?}"
    );
}

#[test]
fn a_disk_without_zeros_is_published_as_it_is() {
    let world = World::new();
    let local = world.local();
    world.file("disk.raw", 2 << 20, 1);
    let stderr =
        world.run(&["publish", "disk.raw", "oss://images/", "--name=web", "--no-inspect", &local]).stderr;
    assert!(stderr.contains("uploaded oss://images/disk.raw: 2.0 MiB"), "{stderr}");
}
