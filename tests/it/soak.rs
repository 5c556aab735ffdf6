//! Uploads that survive kills of client and server at random moments, and random faults, on every way from an image to
//! an object.
//!
//! `OSSUP_SOAK_KILLS` says how many kills; `OSSUP_SOAK_SEED` repeats a run.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::faults::{pause, setting};
use crate::pipes::piped;
use crate::proxy::{Faults, Proxy};
use crate::support::{Server, World, finish, noise, signal};
use crate::web::Site;

const MIB: u64 = 1 << 20;
const LENGTH: u64 = 16 * MIB;
/// How much of it is zeros, which a conversion does not send.
const ZEROS: u64 = 2 * MIB;
const PART: u64 = MIB;
const PARALLEL: u64 = 4;
/// Most that a request has beside a part's bytes; the longest is the list of a Complete.
const HEAD: u64 = 4 << 10;
/// More bytes of the proxy than this towards the server, and a connection is cut.
const CUT_EVERY: u64 = 7 * MIB;
/// And more than this, and a bit of a part is flipped.
const CORRUPT_EVERY: u64 = 5 * MIB;

/// A way from an image to an object.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    File,
    /// A file that goes as QCOW2.
    Converted,
    Piped,
    /// A compressed image through a pipe, that goes as QCOW2.
    Packed,
    /// A file that is compressed otherwise, and goes as QCOW2.
    PackedFile,
    /// From a web server, by ranges.
    Web,
}

const WAYS: [Way; 6] = [Way::File, Way::Converted, Way::Piped, Way::Packed, Way::PackedFile, Way::Web];

/// An image, and where it is.
struct Image {
    bytes: Vec<u8>,
    packed: Vec<u8>,
    url: String,
    converted: Vec<u8>,
}

impl Image {
    fn new(world: &World, server: &Server, seed: u64) -> Self {
        let mut bytes = noise(LENGTH as usize, seed);
        bytes[5 * MIB as usize..][..ZEROS as usize].fill(0);
        std::fs::write(world.path("disk.raw"), &bytes).unwrap();
        let gzip = Command::new("gzip").args(["-1", "-c"]).arg(world.path("disk.raw")).output().unwrap();
        assert!(gzip.status.success());
        let mut zstd = vec![0; zstd_safe::compress_bound(bytes.len())];
        let length = zstd_safe::compress(&mut zstd[..], &bytes, 1).unwrap();
        std::fs::write(world.path("disk.raw.zst"), &zstd[..length]).unwrap();
        let endpoint = format!("--endpoint={}", server.endpoint);
        let to = "oss://images/undisturbed";
        world.ok(&["upload", "disk.raw", to, "--no-inspect", "--as=qcow2", "--no-resume", &endpoint]);
        let converted = read_back(world, to);
        Self { bytes, packed: gzip.stdout, url: Site::start(world, true).url("disk.raw"), converted }
    }

    /// Returns the object that it becomes.
    fn object(&self, way: Way) -> &[u8] {
        match way {
            Way::File | Way::Piped | Way::Web => &self.bytes,
            Way::Converted | Way::Packed | Way::PackedFile => &self.converted,
        }
    }

    fn start(&self, world: &World, way: Way, target: &str) -> Child {
        let (source, form) = match way {
            Way::File => ("disk.raw", "--as=as-is"),
            Way::Converted => ("disk.raw", "--as=qcow2"),
            Way::Piped => ("-", "--as=as-is"),
            Way::Packed => ("-", "--as=qcow2"),
            Way::PackedFile => ("disk.raw.zst", "--as=qcow2"),
            Way::Web => (self.url.as_str(), "--as=as-is"),
        };
        let common = ["--no-inspect", "--part-size=1MiB", "--parallel=4", "--bandwidth-limit=12MiB/s"];
        let args = [&["upload", source, target, form], &common[..]].concat();
        match way {
            Way::Piped => piped(world, &args, &self.bytes),
            Way::Packed => piped(world, &args, &self.packed),
            _ => world.command(&args).spawn().unwrap(),
        }
    }
}

#[test]
fn random_kills_end_in_the_same_bytes() {
    let kills = setting("OSSUP_SOAK_KILLS", 10);
    // Few kills are shared by all ways.
    let most_of_one = if kills > 50 { 4 } else { 2 };
    let mut dice = Dice(setting("OSSUP_SOAK_SEED", fresh_seed()) | 1);
    let seed = dice.0;
    eprintln!("OSSUP_SOAK_SEED={seed}");
    let mut world = World::new();
    let mut server = Server::start(&mut world, &[]);
    let image = Image::new(&world, &server, seed);
    drop(server);
    server = faulty(&mut world, &mut dice);
    let faults =
        Faults { cut_every: Some(CUT_EVERY), corrupt_every: Some(CORRUPT_EVERY), ..Faults::default() };
    let proxy = Proxy::start(&server.endpoint, faults);
    world.env("OSS_ENDPOINT", &proxy.endpoint);
    let (mut killed, mut uploads, mut sent, mut resent) = (0, 0, 0, 0);
    // One upload survives some kills; further ones, of other keys and on other ways, make up the number.
    while killed < kills || uploads < WAYS.len() {
        let way = WAYS[uploads % WAYS.len()];
        let (target, object) = (format!("oss://images/{uploads}"), image.object(way));
        let (length, context) = (object.len() as u64, format!("seed {seed}: {way:?}"));
        uploads += 1;
        let before = Counts::of(&proxy);
        let (mut here, mut finished) = (0, false);
        while !finished {
            let mut upload = image.start(&world, way, &target);
            if killed >= kills || here >= most_of_one {
                let done = finish(upload);
                assert_eq!(done.code, Some(0), "{context}: {done:?}");
                break;
            }
            pause(Duration::from_millis(100 + dice.roll(1200)));
            if let Some(status) = upload.try_wait().unwrap() {
                assert!(status.success(), "{context}: {:?}", finish(upload));
                break;
            }
            (killed, here) = (killed + 1, here + 1);
            if dice.roll(2) == 0 {
                signal(&upload, "KILL");
                finish(upload);
            } else {
                drop(server);
                server = faulty(&mut world, &mut dice);
                proxy.retarget(&server.endpoint);
                world.env("OSS_ENDPOINT", &proxy.endpoint);
                let done = finish(upload);
                assert_eq!(done.code, Some(0), "{context}: {done:?}");
                finished = true;
            }
        }
        let counted = Counts::of(&proxy).since(&before);
        let again = counted.up.saturating_sub(length + counted.requests * HEAD);
        // What lands after its client gave it up may overlap a part that is in, of which the rest goes out once more.
        let overlapped = (here + 1) * PART;
        assert!(again <= counted.in_vain + overlapped, "{context}: {again} bytes sent again, {counted:?}");
        // Nor was more in flight than may be: all parts at a kill, and one at a cut or a fault.
        let most = here * PARALLEL + counted.cuts + counted.requests.saturating_sub(length / PART);
        assert!(counted.in_vain <= most * (PART + HEAD), "{context}: {here} kills, {counted:?}");
        (sent, resent) = (sent + length, resent + again);
        assert!(read_back(&world, &target) == object, "{context}: {target}");
    }
    eprintln!("{killed} kills, {uploads} uploads, {resent} of {sent} bytes sent again");
    // A kill between Initiate and its record leaves an upload that nobody knows, and that holds nothing.
    let open = world.json(&["list", "oss://images"]);
    let left = open["uploads"].as_array().unwrap();
    assert!(
        left.iter().all(|upload| upload["parts"] == 0 && upload["local"] == false),
        "seed {seed}: {open}"
    );
    assert!(left.len() as u64 <= killed, "seed {seed}: {open}");
}

/// What the proxy counted.
#[derive(Debug, Clone, Copy)]
struct Counts {
    up: u64,
    requests: u64,
    in_vain: u64,
    cuts: u64,
}

impl Counts {
    fn of(proxy: &Proxy) -> Self {
        let (up, requests) = (proxy.bytes_up(), proxy.requests());
        Self { up, requests, in_vain: proxy.bytes_in_vain(), cuts: proxy.cuts() }
    }

    fn since(&self, before: &Self) -> Self {
        Self {
            up: self.up - before.up,
            requests: self.requests - before.requests,
            in_vain: self.in_vain - before.in_vain,
            cuts: self.cuts - before.cuts,
        }
    }
}

/// Starts an emulator where now and then a request is refused or its answer is lost.
///
/// Not that of Initiate: an upload that nobody knows is left behind then, as `docs/reliability.md` says.
fn faulty(world: &mut World, dice: &mut Dice) -> Server {
    let rule = |operation: &str, probability: f64, fault: &str| {
        format!(r#"{{"operation": "{operation}", "probability": {probability}, "fault": {{{fault}}}}}"#)
    };
    let refused = r#""kind": "status", "status": 503, "code": "ServiceUnavailable", "when": "before_commit""#;
    let rules = [
        rule("UploadPart", 0.03, r#""kind": "reset", "when": "after_commit""#),
        rule("UploadPart", 0.03, r#""kind": "reset", "when": {"body_byte": 300000}"#),
        rule("UploadPart", 0.03, refused),
        rule("ListParts", 0.1, r#""kind": "truncate_response", "bytes": 100"#),
        rule("CompleteMultipartUpload", 0.2, r#""kind": "reset", "when": "after_commit""#),
        rule("CompleteMultipartUpload", 0.2, r#""kind": "status", "status": 500, "code": "InternalError""#),
    ];
    let plan = format!(r#"{{"seed": {}, "rules": [{}]}}"#, dice.roll(1 << 30), rules.join(", "));
    let file = world.path("faults.json");
    std::fs::write(&file, plan).unwrap();
    Server::start(world, &["--faults", file.to_str().unwrap()])
}

/// Reads an object by its presigned URL.
fn read_back(world: &World, target: &str) -> Vec<u8> {
    let url = world.ok(&["url", target, "--sign=10m"]).stdout;
    let (host, path) = url.trim().strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer[..200]));
    let head = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    answer.split_off(head + 4)
}

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

#[expect(clippy::disallowed_methods, reason = "a seed that differs from run to run, and is printed")]
fn fresh_seed() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64
}
