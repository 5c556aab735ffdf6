//! The folder of the embedded store and of the emulator.

use std::fs;
use std::process::Command;

use crate::support::{Server, World};

const MIB: usize = 1 << 20;

#[test]
fn a_folder_of_other_files_is_refused_as_a_store_by_every_command() {
    let world = World::new();
    world.file("disk.raw", MIB, 1);
    let names = ["blobs/thesis.txt", "buckets/terraform/main.tf", "buckets/notes.tmp"];
    for name in names {
        let path = world.path("project").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, name).unwrap();
    }
    let project = world.path("project");
    let local = format!("--endpoint=local:{}", project.display());
    for args in [
        &["upload", "disk.raw", "oss://images/x", "--no-inspect", &local][..],
        &["list", "oss://images", &local],
        &["emulator", "--listen=127.0.0.1:0", "--data", project.to_str().unwrap()],
    ] {
        let stderr = world.fails(2, args);
        assert!(stderr.contains("is not empty and is not a store"), "{stderr}");
        assert!(stderr.contains(&project.join("ossup-store").display().to_string()), "{stderr}");
    }
    for name in names {
        assert_eq!(fs::read_to_string(project.join(name)).unwrap(), name);
    }
    assert_eq!(fs::read_dir(project).unwrap().count(), 2);
}

#[test]
fn an_emulator_has_the_key_pair_of_its_folder() {
    let mut world = World::new();
    world.file("disk.raw", MIB, 1);
    let first = Server::start(&mut world, &[]);
    world.ok(&["upload", "disk.raw", "oss://images/x", "--no-inspect"]);
    let keys = (first.access_key_id.clone(), first.access_key_secret.clone());
    drop(first);
    let second = Server::start(&mut world, &[]);
    assert_eq!((second.access_key_id.clone(), second.access_key_secret.clone()), keys);
    let other = Server::start(&mut World::new(), &[]);
    assert_ne!((other.access_key_id.clone(), other.access_key_secret.clone()), keys);
}

#[test]
fn a_store_on_a_full_disk_can_be_read() {
    let world = World::new();
    world.file("disk.raw", MIB, 1);
    world.ok(&["upload", "disk.raw", "oss://images/x", "--no-inspect", &world.local()]);
    // No file may grow, as on a full disk.
    let script = "trap '' XFSZ; ulimit -f 0; exec \"$0\" bucket show oss://images \"$1\"";
    let mut shell = Command::new("sh");
    shell.args(["-c", script, env!("CARGO_BIN_EXE_ossup"), &world.local()]);
    let output = shell.env_clear().env("HOME", world.path("")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("can be read"), "{output:?}");
}
