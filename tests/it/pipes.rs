//! Images that pass once: standard input, named pipes, what is unpacked on the way.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::stop::stopped_child;
use crate::support::{Finished, Server, World, finish, noise};

const MIB: usize = 1 << 20;

/// Starts a command that gets these bytes from a pipe. A thread writes them: the command may read them slowly, or stop.
pub(crate) fn piped(world: &World, args: &[&str], bytes: &[u8]) -> Child {
    let mut child = world.command(args).stdin(Stdio::piped()).spawn().unwrap();
    let (mut pipe, bytes) = (child.stdin.take().unwrap(), bytes.to_vec());
    std::thread::spawn(move || pipe.write_all(&bytes));
    child
}

fn run(world: &World, args: &[&str], bytes: &[u8]) -> Finished {
    finish(piped(world, args, bytes))
}

fn json(world: &World, args: &[&str], bytes: &[u8]) -> Value {
    let finished = run(world, &[args, &["--output=json"]].concat(), bytes);
    assert_eq!(finished.code, Some(0), "{args:?}: {finished:?}");
    serde_json::from_str(&finished.stdout).unwrap()
}

fn fails(world: &World, code: i32, args: &[&str], bytes: &[u8]) -> String {
    let finished = run(world, args, bytes);
    assert_eq!(finished.code, Some(code), "{args:?}: {finished:?}");
    assert!(!finished.stderr.contains("panicked"), "{finished:?}");
    finished.stderr
}

/// A disk that ECS would take, with zeros in it.
fn disk(world: &World) -> Vec<u8> {
    std::fs::read(world.disk("disk.raw", 6 << 20, 1)).unwrap()
}

/// The CRC-64 of the object that a file becomes.
fn crc64(world: &World, args: &[&str]) -> Value {
    let local = world.local();
    world.json(&[&["upload"], args, &["--no-inspect", &local]].concat())["crc64"].clone()
}

#[test]
fn a_pipe_becomes_an_object_of_its_bytes() {
    let world = World::new();
    let local = world.local();
    let bytes = noise(5 * MIB + 3, 1);
    std::fs::write(world.path("file.raw"), &bytes).unwrap();
    let expected = crc64(&world, &["file.raw", "oss://images/file.raw"]);
    let value = json(&world, &["upload", "-", "oss://images/pipe.raw", "--no-inspect", &local], &bytes);
    assert_eq!((&value["crc64"], &value["size"]), (&expected, &bytes.len().into()));
    assert_eq!((&value["verified"], &value["form"]), (&"crc64".into(), &serde_json::json!({})));

    let stderr = fails(&world, 2, &["upload", "-", "oss://images/", "--no-inspect", &local], &bytes);
    assert!(stderr.contains("give the object key"), "{stderr}");
}

#[test]
fn a_named_pipe_is_read_like_standard_input() {
    let world = World::new();
    let local = world.local();
    let bytes = disk(&world);
    let expected = crc64(&world, &["disk.raw", "oss://images/file.raw"]);
    let pipe = world.path("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let args = ["upload", "pipe", "oss://images/pipe.raw", "--output=json", &local];
    let child = world.command(&args).spawn().unwrap();
    File::options().write(true).open(&pipe).unwrap().write_all(&bytes).unwrap();
    let finished = finish(child);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(serde_json::from_str::<Value>(&finished.stdout).unwrap()["crc64"], expected);
}

/// Uploads a pipe.
const UPLOAD: [&str; 5] = ["upload", "-", "oss://images/x", "--no-inspect", "--part-size=1MiB"];

/// Begins to upload a pipe, stops that by a signal after a part or more, and returns the exit code.
fn stopped_upload(world: &World, bytes: &[u8], signal: &str) -> Option<i32> {
    let slow = ["--progress=json", "--parallel=1", "--bandwidth-limit=2MiB/s"];
    let child = piped(world, &[&UPLOAD[..], &slow].concat(), bytes);
    stopped_child(child, signal).0
}

#[test]
fn a_killed_upload_of_a_pipe_goes_on_and_sends_nothing_twice() {
    let mut world = World::new();
    let _server = Server::start(&mut world, &[]);
    let bytes = noise(16 * MIB, 7);
    assert_eq!(stopped_upload(&world, &bytes, "KILL"), None);
    let value = json(&world, &UPLOAD, &bytes);
    let resumed = value["resumed_parts"].as_u64().unwrap() as usize;
    assert!(resumed >= 1, "{value}");
    assert_eq!(value["bytes_sent"], bytes.len() - resumed * MIB, "finished parts are not sent again");
    std::fs::write(world.path("file.raw"), &bytes).unwrap();
    let file = world.json(&["upload", "file.raw", "oss://images/file", "--no-inspect"]);
    assert_eq!(value["crc64"], file["crc64"]);
}

#[test]
fn another_stream_is_refused_before_anything_is_completed() {
    let mut world = World::new();
    let _server = Server::start(&mut world, &[]);
    assert_eq!(stopped_upload(&world, &noise(16 * MIB, 7), "TERM"), Some(143));
    let stderr = fails(&world, 6, &UPLOAD, &noise(16 * MIB, 8));
    assert!(stderr.contains("differs") && stderr.contains("--restart"), "{stderr}");
    assert!(world.run(&["inspect", "oss://images/x"]).stderr.contains("NoSuchKey"));
    let value = json(&world, &[&UPLOAD[..], &["--restart"]].concat(), &noise(16 * MIB, 8));
    assert_eq!(value["resumed_parts"], 0);
}

#[test]
fn what_was_promised_of_a_pipe_is_held_against_it() {
    let world = World::new();
    let local = world.local();
    let bytes = noise(2 * MIB + 5, 3);
    let size = format!("--expected-size={}", bytes.len());
    let args = |more: &'static [&str]| {
        [&["upload", "-", "oss://images/x", "--no-inspect", &local, &size], more].concat()
    };
    // A hint is no promise.
    json(&world, &[&args(&[])[..], &["--overwrite"]].concat(), &bytes[1..]);
    for (wrong, says) in
        [(&bytes[1..], "ended after 2097156 bytes"), (&[&bytes[..], b"x"].concat(), "more than")]
    {
        let stderr = fails(&world, 6, &args(&["--exact-size", "--overwrite", "--restart"]), wrong);
        assert!(stderr.contains(says) && stderr.contains("no object is made"), "{stderr}");
    }
    json(&world, &args(&["--exact-size", "--overwrite", "--restart"]), &bytes);

    let sha256 = sha256(&world, &bytes);
    let right = format!("--sha256={sha256}");
    let wrong = format!("--sha256={}", sha256.replace(['1', '2', '3'], "0"));
    let to = ["upload", "-", "oss://images/y", "--no-inspect", &local];
    let stderr = fails(&world, 6, &[&to[..], &[&wrong]].concat(), &bytes);
    assert!(stderr.contains(&sha256), "{stderr}");
    assert!(world.run(&["inspect", "oss://images/y", &local]).stderr.contains("404"));
    json(&world, &[&to[..], &[&right]].concat(), &bytes);
}

/// Computes a checksum with the system's own program.
fn sha256(world: &World, bytes: &[u8]) -> String {
    let path = world.path("summed");
    std::fs::write(&path, bytes).unwrap();
    let output = Command::new("sha256sum").arg(&path).output().unwrap();
    String::from_utf8(output.stdout).unwrap()[..64].to_owned()
}

#[test]
fn packed_images_are_unpacked_from_files_and_from_pipes() {
    let world = World::new();
    let local = world.local();
    let bytes = disk(&world);
    let expected = crc64(&world, &["disk.raw", "oss://images/file.qcow2", "--as=qcow2"]);
    let raw = crc64(&world, &["disk.raw", "oss://images/file.raw"]);
    let piped_raw = ["upload", "-", "oss://images/pipe.qcow2", "--as=qcow2", &local];
    assert_eq!(json(&world, &piped_raw, &bytes)["crc64"], expected);
    for (name, key) in pack(&world) {
        let packed = std::fs::read(world.path(&name)).unwrap();
        let file = format!("oss://images/{name}/");
        let value = world.json(&["upload", &name, &file, "--as=qcow2", &local]);
        assert_eq!((&value["crc64"], &value["image_size"]), (&expected, &bytes.len().into()), "{name}");
        assert_eq!(value["key"], format!("{name}/{key}.qcow2"));
        let pipe = format!("oss://images/pipe/{name}.qcow2");
        let value = json(&world, &["upload", "-", &pipe, "--as=qcow2", &local], &packed);
        assert_eq!(value["crc64"], expected, "{name}");
        let inside = format!("oss://images/raw/{name}.raw");
        assert_eq!(json(&world, &["upload", "-", &inside, &local], &packed)["crc64"], raw, "{name}");

        let as_is = format!("oss://images/as-is/{name}");
        let value = world.json(&["upload", &name, &as_is, "--as-is", "--no-inspect", &local]);
        assert_eq!(value["size"], packed.len());
        let cut = &packed[..packed.len() - 1];
        let key = format!("oss://images/cut/{name}");
        let stderr = fails(&world, 6, &["upload", "-", &key, "--no-inspect", &local], cut);
        assert!(stderr.contains("ends too early"), "{name}: {stderr}");
        assert!(world.run(&["inspect", &key, &local]).stderr.contains("404"));
    }
}

/// Packs `disk.raw` with the programs of this machine. Returns the files, and what is inside by its name.
pub(crate) fn pack(world: &World) -> Vec<(String, &'static str)> {
    let lines = [
        ("disk.raw.gz", "gzip -c disk.raw > disk.raw.gz", "disk"),
        ("disk.raw.xz", "xz -0 -c disk.raw > disk.raw.xz", "disk"),
        ("disk.raw.zst", "zstd -q -1 -c disk.raw > disk.raw.zst", "disk"),
        ("web.tar.gz", "tar -czf web.tar.gz disk.raw", "disk"),
    ];
    let folder = world.path("disk.raw").parent().map(Path::to_owned).unwrap();
    let mut packed = Vec::new();
    for (name, line, key) in lines {
        let made = Command::new("sh").args(["-c", line]).current_dir(&folder).stderr(Stdio::null()).status();
        // Not every machine has each of them.
        if made.is_ok_and(|status| status.success()) {
            packed.push((name.to_owned(), key));
        }
    }
    assert!(packed.len() >= 2, "gzip and tar are everywhere");
    packed
}

#[test]
fn a_published_pipe_goes_as_qcow2_and_so_does_a_file_that_is_mostly_zeros() {
    let world = World::new();
    let local = world.local();
    let bytes = disk(&world);
    let expected = crc64(&world, &["disk.raw", "oss://images/file.qcow2", "--as=qcow2"]);
    let args = ["publish", "disk.raw", "oss://images/", "--name=file", &local];
    let finished = world.ok(&[&args[..], &["--output=json"]].concat());
    let value: Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!((&value["crc64"], &value["key"]), (&expected, &"disk.qcow2".into()));
    assert!(finished.stderr.contains("goes as QCOW2, which saves about 93 %"), "{}", finished.stderr);
    let pipe = ["publish", "-", "oss://images/pipe.qcow2", "--name=pipe", "--manifest=m.json", &local];
    let value = json(&world, &pipe, &bytes);
    assert_eq!(value["crc64"], expected);
    let manifest: Value = serde_json::from_slice(&std::fs::read(world.path("m.json")).unwrap()).unwrap();
    assert_eq!(
        (&manifest["sha256"], &manifest["source"]),
        (&sha256(&world, &bytes).into(), &"standard input".into())
    );
}

#[test]
fn a_stream_that_ecs_would_refuse_becomes_no_object() {
    let world = World::new();
    let local = world.local();
    let mut bytes = disk(&world);
    // By its end: a GPT without its backup; by its beginning: a page.
    let stderr = fails(&world, 3, &["upload", "-", "oss://images/x.raw", &local], b"<html>404</html>");
    assert!(stderr.contains("--force"), "{stderr}");
    bytes.truncate(3 * MIB);
    let stderr = fails(&world, 3, &["publish", "-", "oss://images/x.qcow2", "--name=web", &local], &bytes);
    assert!(stderr.contains("`standard input` is refused") && stderr.contains("are deleted"), "{stderr}");
    assert!(world.run(&["inspect", "oss://images/x.qcow2", &local]).stderr.contains("404"));
    assert!(world.json(&["list", "oss://images", &local])["uploads"].as_array().unwrap().is_empty());
    let vmdk = [b"KDMV\x01\0\0\0".as_slice(), &[0; 4096]].concat();
    let stderr = fails(&world, 3, &["upload", "-", "oss://images/x.vmdk", &local], &vmdk);
    assert!(stderr.contains("VMDK"), "{stderr}");
}

#[test]
fn an_upload_goes_on_in_the_form_in_which_it_was_begun() {
    let world = World::new();
    let local = world.local();
    let bytes = noise(16 * MIB, 5);
    let common = ["upload", "-", "oss://images/x.qcow2", "--no-inspect", "--part-size=1MiB", &local];
    let slow = ["--as=qcow2", "--progress=json", "--parallel=1", "--bandwidth-limit=2MiB/s"];
    let child = piped(&world, &[&common[..], &slow].concat(), &bytes);
    assert_eq!(stopped_child(child, "TERM").0, Some(143));
    let stderr = fails(&world, 2, &common, &bytes);
    assert!(stderr.contains("--as qcow2") && stderr.contains("--restart"), "{stderr}");
    let value = json(&world, &[&common[..], &["--as=auto"]].concat(), &bytes);
    assert!(value["resumed_parts"].as_u64().unwrap() >= 1, "{value}");
    assert_eq!(value["form"]["format"]["qcow2"]["compat"], "1.1");
}
