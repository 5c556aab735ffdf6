//! Images from a web server, with ranges and without.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::support::World;

const MIB: usize = 1 << 20;

/// A web server for files of a world's folder. It ends with the process.
pub(crate) struct Site {
    url: String,
    /// The heads of the requests that came.
    seen: Arc<Mutex<Vec<String>>>,
}

impl Site {
    pub(crate) fn start(world: &World, ranges: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://user:secret@{}", listener.local_addr().unwrap());
        let (folder, seen) = (world.path(""), Arc::new(Mutex::new(Vec::new())));
        let heads = Arc::clone(&seen);
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let (folder, heads) = (folder.clone(), Arc::clone(&heads));
                // One that was broken off is of no interest.
                std::thread::spawn(move || drop(serve(connection, &folder, ranges, &heads)));
            }
        });
        Self { url, seen }
    }

    pub(crate) fn url(&self, name: &str) -> String {
        format!("{}/{name}?token=hidden", self.url)
    }
}

fn serve(
    connection: TcpStream,
    folder: &std::path::Path,
    ranges: bool,
    heads: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(connection.try_clone()?);
    let mut connection = connection;
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if lines.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        let name = head.split([' ', '?']).nth(1).unwrap_or_default().trim_start_matches('/').to_owned();
        let range = head.to_ascii_lowercase().lines().find_map(|line| {
            let (start, end) = line.strip_prefix("range: bytes=")?.split_once('-')?;
            Some((start.parse::<usize>().ok()?, end.trim().parse::<usize>().unwrap_or(usize::MAX)))
        });
        heads.lock().unwrap().push(head);
        let Ok(bytes) = std::fs::read(folder.join(&name)) else {
            connection.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")?;
            continue;
        };
        let (status, part) = match range.filter(|_| ranges) {
            Some((start, end)) => {
                let end = end.saturating_add(1).min(bytes.len());
                let of = format!("content-range: bytes {start}-{}/{}\r\n", end - 1, bytes.len());
                (format!("206 Partial Content\r\n{of}"), &bytes[start..end])
            }
            None => ("200 OK\r\n".to_owned(), &bytes[..]),
        };
        let head = format!("HTTP/1.1 {status}etag: \"1\"\r\ncontent-length: {}\r\n\r\n", part.len());
        connection.write_all(head.as_bytes())?;
        connection.write_all(part)?;
    }
}

/// Uploads without the checks, and returns the report.
fn upload(world: &World, args: &[&str]) -> Value {
    let local = world.local();
    world.json(&[&["upload"], args, &["--no-inspect", &local]].concat())
}

#[test]
fn an_image_on_the_web_becomes_the_same_object_as_the_file() {
    let world = World::new();
    world.disk("disk.raw", 6 << 20, 1);
    crate::pipes::pack(&world);
    let raw = upload(&world, &["disk.raw", "oss://images/disk.raw"])["crc64"].clone();
    let qcow2 = upload(&world, &["disk.raw", "oss://images/disk.qcow2", "--as=qcow2"])["crc64"].clone();
    for ranges in [true, false] {
        let site = Site::start(&world, ranges);
        let to = format!("oss://images/web-{ranges}/");
        let value = upload(&world, &[&site.url("disk.raw"), &to]);
        assert_eq!((&value["crc64"], &value["key"]), (&raw, &format!("web-{ranges}/disk.raw").into()));
        let value = upload(&world, &[&site.url("disk.raw"), &to, "--as=qcow2"]);
        assert_eq!((&value["crc64"], &value["key"]), (&qcow2, &format!("web-{ranges}/disk.qcow2").into()));
        for name in ["disk.raw.gz", "web.tar.gz"] {
            let key = format!("{to}{name}.qcow2");
            assert_eq!(upload(&world, &[&site.url(name), &key, "--as=qcow2"])["crc64"], qcow2, "{name}");
        }
        let value = upload(&world, &[&site.url("disk.raw.gz"), &format!("{to}packed"), "--as-is"]);
        assert_eq!(value["size"], std::fs::metadata(world.path("disk.raw.gz")).unwrap().len());
        let seen = site.seen.lock().unwrap();
        assert!(seen.iter().all(|head| head.contains("token=hidden") && !head.contains("x-oss")), "{seen:?}");
    }
}

#[test]
fn what_is_served_by_ranges_is_judged_before_anything_is_sent() {
    let world = World::new();
    let local = world.local();
    // The partition reaches behind the end, which a stream shows when it ends.
    let disk = world.disk("disk.raw", 6 << 20, 1);
    std::fs::File::options().write(true).open(disk).unwrap().set_len(3 << 20).unwrap();
    for ranges in [true, false] {
        let site = Site::start(&world, ranges);
        let key = format!("oss://images/{ranges}.qcow2");
        let args = ["publish", &site.url("disk.raw"), &key, "--name=web", "--progress=json", &local];
        let stderr = world.fails(3, &args);
        assert_eq!(stderr.contains("\"opened\""), !ranges, "{stderr}");
        assert!(world.run(&["inspect", &key, &local]).stderr.contains("404"));
    }
}

#[test]
fn what_the_web_says_is_told_without_the_secrets_of_the_url() {
    let world = World::new();
    let local = world.local();
    let site = Site::start(&world, true);
    std::fs::write(world.path("page.raw"), "<!doctype html><html>moved</html>").unwrap();
    for (name, code, says) in [("none.raw", 1, "404"), ("page.raw", 3, "refused")] {
        let stderr = world.fails(code, &["upload", &site.url(name), "oss://images/x.raw", "-v", &local]);
        assert!(stderr.contains(says), "{stderr}");
        assert!(!stderr.contains("secret") && !stderr.contains("hidden"), "{stderr}");
    }
}

#[test]
fn checksum_files_beside_an_image_are_believed() {
    let world = World::new();
    let local = world.local();
    let bytes = std::fs::read(world.file("disk.raw", 2 * MIB, 4)).unwrap();
    crate::pipes::pack(&world);
    let site = Site::start(&world, true);
    let sum = |name: &str| {
        let output = std::process::Command::new("sha256sum").arg(world.path(name)).output().unwrap();
        String::from_utf8(output.stdout).unwrap()[..64].to_owned()
    };
    let (content, packed) = (sum("disk.raw"), sum("disk.raw.gz"));
    std::fs::write(world.path("SHA256SUMS"), format!("{packed}  disk.raw.gz\n{content} *disk.raw\n"))
        .unwrap();
    let sums = format!("--sha256-file={}", site.url("SHA256SUMS"));
    for (name, of) in [
        ("disk.raw", "fetched"),
        ("disk.raw", "content"),
        ("disk.raw.gz", "fetched"),
        ("disk.raw.gz", "content"),
    ] {
        let (of, key) = (format!("--sha256-of={of}"), format!("oss://images/{name}-{of}"));
        let value = upload(&world, &[&site.url(name), &key, &sums, &of]);
        assert_eq!(value["size"], bytes.len());
        upload(&world, &[name, &format!("{key}-file"), "--sha256-file=SHA256SUMS", &of]);
    }
    std::fs::write(world.path("SHA256SUMS"), format!("{content}  disk.raw.gz\n{packed} *disk.raw\n"))
        .unwrap();
    for name in ["disk.raw", "disk.raw.gz"] {
        for source in [name.to_owned(), site.url(name)] {
            let args = ["upload", &source, "oss://images/wrong", "--no-inspect", "--restart", &sums, &local];
            let stderr = world.fails(6, &args);
            assert!(stderr.contains("SHA-256") && stderr.contains(&content), "{stderr}");
            assert!(world.run(&["inspect", "oss://images/wrong", &local]).stderr.contains("404"));
        }
    }
}
