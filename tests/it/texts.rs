//! The texts of errors, as snapshots: one file for each exit code. `docs/development.md` says how to accept a change.

use std::fmt::Write as _;

use crate::stop::{interrupted, running, slow};
use crate::support::{Finished, Server, World, finish, signal};

const MIB: u64 = 1 << 20;

/// Collects commands and what they print to stderr, without what differs from run to run.
struct Texts {
    text: String,
    known: Vec<(String, &'static str)>,
}

impl Texts {
    fn new(world: &World, endpoint: Option<&str>) -> Self {
        let mut known =
            vec![(world.path("").display().to_string().trim_end_matches('/').to_owned(), "[DIR]")];
        known.extend(endpoint.map(|endpoint| (endpoint.to_owned(), "[ENDPOINT]")));
        known.extend(endpoint.map(|endpoint| (endpoint.trim_start_matches("http://").to_owned(), "[HOST]")));
        Self { text: String::new(), known }
    }

    /// Runs a command that must fail with this exit code, and keeps what it says.
    fn fails(&mut self, world: &World, code: i32, args: &[&str]) {
        let finished = world.run(args);
        self.keep(code, args, &finished);
    }

    fn keep(&mut self, code: i32, args: &[&str], finished: &Finished) {
        assert_eq!(finished.code, Some(code), "{args:?}: {finished:?}");
        let args: Vec<_> = args.iter().filter(|arg| !arg.starts_with("--endpoint=local:")).copied().collect();
        let shown = self.masked(&finished.stderr);
        let _ = write!(self.text, "$ ossup {}\n{shown}\n", args.join(" "));
    }

    fn masked(&self, text: &str) -> String {
        let mut text = text.lines().map(|line| without_counts(line) + "\n").collect::<String>();
        for (found, name) in &self.known {
            text = text.replace(found, name);
        }
        let mut shown = String::new();
        let mut word = String::new();
        for c in text.chars().chain(['\0']) {
            if c.is_ascii_alphanumeric() || c == '-' {
                word.push(c);
                continue;
            }
            shown.push_str(mask(&word).unwrap_or(&word));
            word.clear();
            shown.extend((c != '\0').then_some(c));
        }
        shown
    }

    fn assert(&self, name: &str) {
        insta::with_settings!({
            snapshot_path => concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshots/errors"),
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, { insta::assert_snapshot!(name, self.text.trim_end()); });
    }
}

/// Returns words without the numbers that depend on the machine's pace, and without process, host and time.
fn without_counts(line: &str) -> String {
    const COUNTED: [&str; 5] = ["attempts", "s", "ms", "part", "parts"];
    let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    for i in 1..words.len() {
        let (before, after) = words.split_at_mut(i);
        let (before, word) = (&mut before[i - 1], &mut after[0]);
        if COUNTED.contains(&word.trim_end_matches([';', ',', ':'])) && before.parse::<f64>().is_ok() {
            "[N]".clone_into(before);
        }
        if before == "process" && word.parse::<u32>().is_ok() {
            "[PID]".clone_into(word);
        }
        if word == "since" {
            "`[HOST]`".clone_into(before);
        }
        if before == "since" && word.starts_with("20") {
            "[TIME]".clone_into(word);
        }
    }
    words.join(" ").replace("[N] part is kept", "[N] parts are kept")
}

/// Returns what stands for an id in a snapshot.
fn mask(word: &str) -> Option<&'static str> {
    let digits = |text: &str| text.len() >= 6 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let hex = word.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    match word.split_once('-') {
        Some(("m", rest)) if digits(rest) && rest.contains(char::is_numeric) => Some("m-[ID]"),
        Some(("s", rest)) if digits(rest) && rest.contains(char::is_numeric) => Some("s-[ID]"),
        Some(("t", rest)) if digits(rest) && rest.contains(char::is_numeric) => Some("t-[ID]"),
        _ if hex && word.len() >= 24 => Some("[ID]"),
        _ => None,
    }
}

/// A world with the bucket `images` of an emulator, and a disk.
fn world(args: &[&str]) -> (World, Server, Texts) {
    let mut world = World::new();
    let server = Server::start(&mut world, args);
    world.disk("disk.raw", 64 * MIB, 1);
    let texts = Texts::new(&world, Some(&server.endpoint));
    (world, server, texts)
}

/// A world whose emulator follows a plan of faults.
fn faulty(rules: &str, args: &[&str]) -> (World, Server, Texts) {
    let mut world = World::new();
    let file = world.path("faults.json");
    std::fs::write(&file, format!(r#"{{"rules": [{rules}]}}"#)).unwrap();
    let server = Server::start(&mut world, &[args, &["--faults", file.to_str().unwrap()]].concat());
    world.disk("disk.raw", 64 * MIB, 1);
    let texts = Texts::new(&world, Some(&server.endpoint));
    (world, server, texts)
}

#[test]
fn other_errors_read_so() {
    let (world, _server, mut texts) = world(&[]);
    for args in [
        &["abort", "oss://images/x", "--yes"][..],
        &["resume", "oss://images/x"],
        &["inspect", "oss://images/nothing.raw"],
    ] {
        texts.fails(&world, 1, args);
    }
    texts.assert("1");
}

#[test]
fn usage_errors_of_the_service_read_so() {
    let (world, _server, mut texts) = world(&[]);
    for args in [
        &["upload", "disk.raw", "oss://no-such-bucket/", "--no-inspect"][..],
        &["upload", "disk.raw", "oss://images/", "--adopt", "--no-inspect"],
        &["image", "show", "m-nothing"],
        &["bucket", "show", "oss://no-such-bucket"],
        &["list", "oss://images", "--region=eu-central-1"],
        &["image", "list", "--region=eu-centrall-1"],
    ] {
        texts.fails(&world, 2, args);
    }
    texts.assert("2-service");
}

#[test]
fn usage_errors_read_so() {
    let world = World::new();
    world.file("disk.raw", 1000, 1);
    let mut texts = Texts::new(&world, None);
    for args in [
        &["frobnicate"][..],
        &["upload"],
        &["cp", "disk.raw", "oss://images/x"],
        &["upload", "disk.raw", "images/x"],
        &["upload", "disk.raw", "oss://Images/x"],
        &["upload", "disk.raw", "oss://images/x"],
        &["upload", "disk.raw", "oss://images/x", "--part-size=1X"],
        &["upload", "disk.raw", "oss://images/x", "--parallel=0"],
        &["upload", "disk.raw", "oss://images/x", "--bandwidth-limit=1K"],
        &["upload", "disk.raw", "oss://images/x", "--endpoint=foo"],
        &["upload", "disk.raw", "oss://images/x", "--region=cn hangzhou"],
        &["upload", "nothing.raw", "oss://images/x", "--region=cn-hangzhou"],
        &["upload", ".", "oss://images/x", "--region=cn-hangzhou"],
        &["upload", "disk.raw", "oss://images/x", "--exact-size", "--region=cn-hangzhou"],
        &["upload", "a.raw", "b.raw", "oss://images/"],
        &["upload", "disk.raw", "oss://images/x", "--endpoint=https://images.oss-cn-beijing.aliyuncs.com"],
        &["upload", "disk.raw", "oss://images/x", "--endpoint=https://oss.example.com"],
        &["import", "oss://images/x", "--name=a", "--boot-mode=grub"],
        &["import", "oss://images/x", "--name=a", "--license=free"],
        &["import", "oss://images/x", "--name=a", "--format=iso"],
        &["gc", "oss://images"],
        &["abort", "oss://images/x", "--upload-id="],
        &["bucket", "show", "images/x", "--region=cn-hangzhou"],
        &["image", "share", "m-1", "--with=me"],
        &["emulator", "--listen=somewhere"],
        &["emulator", "--bucket=images,colour=red"],
        &["emulator", "--ecs=finished"],
    ] {
        texts.fails(&world, 2, args);
    }
    texts.assert("2");
}

#[test]
fn refused_images_read_so() {
    let (world, _server, mut texts) = world(&[]);
    world.file("noise.raw", 2_000_000, 1);
    world.file("empty.raw", 0, 1);
    texts.fails(&world, 3, &["inspect", "noise.raw"]);
    texts.fails(&world, 3, &["publish", "noise.raw", "oss://images/", "--name=web-1"]);
    texts.fails(&world, 3, &["publish", "empty.raw", "oss://images/", "--name=web-1"]);
    texts.assert("3");
}

#[test]
fn refused_credentials_read_so() {
    let mut world = World::new();
    world.file("disk.raw", 1000, 1);
    let upload = ["upload", "disk.raw", "oss://images/x", "--no-inspect"];
    let mut texts = Texts::new(&world, None);
    texts.fails(&world, 4, &[&upload[..], &["--region=cn-hangzhou"]].concat());
    let server = Server::start(&mut world, &[]);
    let mut shown = Texts::new(&world, Some(&server.endpoint));
    world.env("OSS_ACCESS_KEY_SECRET", "wrong");
    shown.fails(&world, 4, &upload);
    world.env("OSS_ACCESS_KEY_ID", "unknown");
    shown.fails(&world, 4, &upload);
    texts.text += &shown.text;
    drop(server);
    let (world, _server, mut shown) = self::world(&["--ecs=import_role=false"]);
    world.ok(&["upload", "disk.raw", "oss://images/", "--quiet"]);
    shown.fails(&world, 4, &["import", "oss://images/disk.raw", "--name=web-1", "--quiet"]);
    texts.text += &shown.text;
    texts.assert("4");
}

#[test]
fn a_network_that_gives_up_reads_so() {
    let rule = r#"{"operation": "UploadPart", "fault": {"kind": "status", "status": 503,
        "code": "ServiceUnavailable"}}"#;
    let (mut world, server, mut texts) = faulty(rule, &[]);
    world.file("small.raw", 90_000, 1);
    let upload = ["upload", "small.raw", "oss://images/x", "--no-inspect", "--quiet", "--retry-timeout=1s"];
    texts.fails(&world, 5, &upload);
    drop(server);
    world.env("OSS_ENDPOINT", "http://127.0.0.1:1");
    texts.fails(&world, 5, &upload);
    texts.assert("5");
}

#[test]
fn a_source_that_changed_reads_so() {
    let world = World::new();
    let local = world.local();
    world.file("disk.raw", 32 * MIB as usize, 1);
    interrupted(&world, "disk.raw", "oss://images/x");
    world.file("disk.raw", 32 * MIB as usize, 2);
    let mut texts = Texts::new(&world, None);
    texts.fails(&world, 6, &["upload", "disk.raw", "oss://images/x", "--no-inspect", "--quiet", &local]);
    world.file("disk.raw", 31 * MIB as usize, 2);
    texts.fails(&world, 6, &["upload", "disk.raw", "oss://images/x", "--no-inspect", "--quiet", &local]);
    texts.assert("6");
}

#[test]
fn refused_and_failed_imports_read_so() {
    let (world, _server, mut texts) = world(&[]);
    world.ok(&["upload", "disk.raw", "oss://images/", "--quiet"]);
    world.ok(&["import", "oss://images/disk.raw", "--name=web-1", "--quiet", "--wait"]);
    world.disk("other.raw", 64 * MIB, 2);
    texts.fails(&world, 7, &["publish", "other.raw", "oss://images/", "--name=web-1", "--quiet"]);
    texts.assert("7");
}

#[test]
fn what_is_in_the_way_of_a_boot_test_reads_so() {
    let (world, _server, mut texts) =
        world(&["--speed=1000", "--ecs=type_without_stock=ecs.g6.large", "--ecs=console=GRUB loading."]);
    let publish = ["publish", "disk.raw", "oss://images/", "--name=web-1", "--quiet"];
    let place = ["--vswitch=vsw-emulated", "--security-group=sg-emulated"];
    texts.fails(&world, 2, &[&publish[..], &["--boot-test"]].concat());
    texts.fails(&world, 2, &[&publish[..], &["--boot-test=local", "--vswitch=vsw-1"]].concat());
    texts.fails(&world, 2, &[&publish[..], &["--instance-type=ecs.g7.large"]].concat());
    for (kind, group) in [("ecs.g6.large", place[1]), ("ecs.g7.large", "--security-group=sg-elsewhere")] {
        let kind = format!("--instance-type={kind}");
        texts.fails(&world, 7, &[&publish[..], &["--boot-test", &kind, place[0], group]].concat());
    }
    world.ok(&publish);
    let test = ["image", "boot-test", "web-1", "--quiet", place[0], place[1], "--instance-type=ecs.g7.large"];
    texts.fails(&world, 11, &[&test[..], &["--boot-timeout=1s"]].concat());
    texts.fails(&world, 2, &[&test[..], &["--boot-timeout=7h"]].concat());
    texts.assert("boot-test");
}

#[test]
fn a_wait_that_ended_reads_so() {
    let (world, _server, mut texts) = world(&["--ecs=paused"]);
    let publish = ["publish", "disk.raw", "oss://images/", "--name=web-1", "--timeout=1s", "--quiet"];
    texts.fails(&world, 8, &publish);
    texts.assert("8");
}

#[test]
fn what_is_in_the_way_reads_so() {
    let (mut world, server, mut texts) = world(&[]);
    world.ok(&["upload", "disk.raw", "oss://images/x"]);
    world.file("other.raw", 6 * MIB as usize, 2);
    texts.fails(&world, 9, &["upload", "other.raw", "oss://images/x", "--no-inspect", "--quiet"]);
    world.env("OSS_ENDPOINT", &server.endpoint);
    let child = running(&world, &slow("", "other.raw", "oss://images/y"));
    texts.fails(&world, 9, &["upload", "other.raw", "oss://images/y", "--no-inspect", "--quiet"]);
    signal(&child, "INT");
    finish(child);
    texts.assert("9");
}

#[test]
fn an_interruption_reads_so() {
    let world = World::new();
    let local = world.local();
    world.file("disk.raw", 32 * MIB as usize, 1);
    let args = [&slow(&local, "disk.raw", "oss://images/x")[..], &["--quiet"]].concat();
    let (code, rest) = crate::stop::stopped(&world, &args, "INT");
    assert_eq!(code, Some(130), "{rest}");
    // The events before it are those of the run.
    let text: Vec<_> = rest.lines().filter(|line| !line.starts_with('{')).collect();
    let mut texts = Texts::new(&world, None);
    texts.text = texts.masked(&text.join("\n"));
    texts.assert("130");
}

#[test]
fn foreign_text_reaches_no_terminal_raw() {
    let escape = '\u{1b}';
    let name = format!("a{escape}[2J\u{9b}1m.raw");
    let world = World::new();
    let local = world.local();
    world.disk(&name, 64 * MIB, 1);
    for args in [
        &["upload", &name, "oss://images/", "--no-inspect", &local][..],
        &["upload", &name, &format!("oss://images/y/{name}"), "--no-inspect", "-vv", &local],
        &["inspect", &name],
        &["inspect", &format!("{name}.none")],
        &["list", &format!("oss://{name}")],
        &["upload", &name, "oss://images/x", &format!("--part-size={name}")],
    ] {
        let Finished { stdout, stderr, .. } = world.run(args);
        assert!(!stdout.contains(escape) && !stderr.contains(escape), "{args:?}: {stdout:?} {stderr:?}");
        assert!(!stdout.contains('\u{9b}') && !stderr.contains('\u{9b}'), "{args:?}");
    }
}

#[test]
fn colours_are_for_terminals_and_as_the_user_wants_them() {
    let mut world = World::new();
    let args = ["resume", "oss://images/x"];
    assert!(world.fails(1, &args).starts_with("error: no unfinished"));
    world.env("CLICOLOR_FORCE", "1");
    let coloured = world.fails(1, &args);
    assert!(coloured.contains('\u{1b}') && coloured.contains("error:"), "{coloured:?}");
    world.env("CLICOLOR_FORCE", "0");
    assert!(!world.fails(1, &args).contains('\u{1b}'));
}

#[tokio::test]
async fn what_is_done_with_images_after_their_import_reads_so() {
    let mut world = World::new();
    crate::manage::upload_disk(&world);
    crate::manage::a_few_images(&world).await;
    let server = Server::start(&mut world, &["--ecs=images_in_use=used", "--ecs=foreign_image=theirs"]);
    let mut texts = Texts::new(&world, Some(&server.endpoint));
    for (code, args) in [
        (2, &["image", "publish", "web-9"][..]),
        (2, &["image", "publish", "web-9", "--all-regions"]),
        (2, &["image", "untag", "m-000000000000foreign0", "stage"]),
        (2, &["image", "publish", "web-retired"]),
        (2, &["image", "deprecate", "web-1", "--replaced-by=web-retired"]),
        (2, &["image", "deprecate", "web-public"]),
        (9, &["image", "delete", "web-used", "--yes"]),
        (9, &["image", "delete", "web-public", "--yes"]),
        (2, &["image", "delete", "family:db", "--all-regions"]),
        (2, &["image", "prune", "--family=web", "--keep=1", "--all-regions", "--keep-tag=stage=prod"]),
        (2, &["image", "prune", "--keep=1"]),
        (2, &["image", "list", "--all-regions", "--except=us-west1"]),
    ] {
        texts.fails(&world, code, args);
    }
    for args in [
        &["image", "publish", "web-1"][..],
        &["image", "deprecate", "web-1", "--yes"],
        &["image", "delete", "web-1", "--snapshots", "--yes"],
        &["image", "prune", "--family=web", "--keep=1", "--yes"],
    ] {
        let finished = world.ok(args);
        texts.keep(0, args, &finished);
    }
    texts.assert("images");
}
