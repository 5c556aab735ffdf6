//! Every command that `ossup inspect` prints is run on an image that causes it, and makes it better.
//!
//! With `OSSUP_IMAGE_DIR` set to a directory that `.ci/make-images.sh` filled, all of its images are tried, and every
//! program must be there. Without it, the small images of the repository are, and commands whose programs this machine
//! lacks are left out.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// Programs that advice names, each with a rule that names it. All of them are run where all tools are.
const ADVISED: [(&str, &str); 29] = [
    ("F-ARCHIVE", "7z"),
    ("F-ARCHIVE", "mkdir"),
    ("F-ARCHIVE", "tar"),
    ("F-ARCHIVE", "unzip"),
    ("F-COMPRESSED", "bzip2"),
    ("F-COMPRESSED", "gzip"),
    ("F-COMPRESSED", "lz4"),
    ("F-COMPRESSED", "xz"),
    ("F-COMPRESSED", "zstd"),
    ("F-FORMAT", "qemu-img"),
    ("Q-AUTO", "qemu-img"),
    ("Q-BACK", "qemu-img"),
    ("Q-CLB", "qemu-img"),
    ("Q-INC", "qemu-img"),
    ("Q-RORD", "qemu-img"),
    ("Q-SNAP", "qemu-img"),
    ("Q-VER", "qemu-img"),
    ("R-GPT", "sgdisk"),
    ("R-GPTB", "qemu-img"),
    ("R-GPTB", "sgdisk"),
    ("R-MIB", "qemu-img"),
    ("R-MIB", "sgdisk"),
    ("V-BLK", "qemu-img"),
    ("V-CHS", "qemu-img"),
    ("V-FIXLEN", "truncate"),
    ("V-MTE", "qemu-img"),
    ("V-QEMU", "qemu-img"),
    ("V-SIZE", "qemu-img"),
    ("V-SIZE", "sgdisk"),
];

/// A folder whose name a shell would take apart, with the images of another folder.
struct Scratch {
    folder: tempfile::TempDir,
    image: PathBuf,
}

impl Scratch {
    /// Copies `image`; the others, which it may need beside it, are linked.
    fn new(images: &Path, image: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("it's, a $(folder) ").tempdir().unwrap();
        for entry in fs::read_dir(images).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap();
            if name != image {
                std::os::unix::fs::symlink(&path, folder.path().join(name)).unwrap();
            }
        }
        let copy = folder.path().join(image);
        // Holes stay holes.
        let copied = Command::new("cp").arg("--sparse=always").arg(images.join(image)).arg(&copy).status();
        assert!(copied.unwrap().success(), "{image}");
        Self { folder, image: copy }
    }

    /// Everything that is in the folder, by name and, for what is no link, length.
    fn listing(&self) -> BTreeSet<(PathBuf, Option<u64>)> {
        let entries = fs::read_dir(self.folder.path()).unwrap().map(|entry| {
            let path = entry.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            (path, metadata.is_file().then_some(metadata.len()))
        });
        entries.collect()
    }
}

/// What is installed in an image is mended in the guest, and is not looked at here.
fn ossup(image: &Path) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_ossup"))
        .args(["inspect", "--as-is", "--no-guest", "--output", "json"])
        .arg(image)
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{}: {error}: {output:?}", image.display()))
}

/// The rules of findings that are at least so bad.
fn rules(report: &Value, severities: &[&str]) -> BTreeSet<String> {
    let findings = report["findings"].as_array().unwrap().iter();
    let bad = findings.filter(|finding| severities.contains(&finding["severity"].as_str().unwrap()));
    bad.map(|finding| finding["rule"].as_str().unwrap().to_owned()).collect()
}

const REFUSED: &[&str] = &["fix", "refuse"];
const WARNED: &[&str] = &["warn", "fix", "refuse"];

/// The programs that a command line of ours runs.
fn programs(command: &str) -> BTreeSet<&str> {
    command.split(" && ").map(|one| one.split(' ').next().unwrap()).collect()
}

fn is_there(program: &str) -> bool {
    shell(&format!("command -v {program}"), Path::new("/")).status.success()
}

fn shell(command: &str, folder: &Path) -> Output {
    // Partition tools are not in everybody's path.
    let script = format!("PATH=$PATH:/usr/sbin:/sbin; {command}");
    Command::new("sh").arg("-c").arg(script).current_dir(folder).output().unwrap()
}

/// Runs the advice of each finding of an image, each on a copy of its own. Returns what was run.
fn follow(images: &Path, image: &str, all_tools: bool) -> BTreeSet<(String, String)> {
    let mut run = BTreeSet::new();
    let before = ossup(&images.join(image));
    let commands = before["findings"].as_array().unwrap().iter().filter(|each| each["fix_kind"] == "command");
    for rule in commands.map(|finding| finding["rule"].as_str().unwrap()) {
        let scratch = Scratch::new(images, image);
        let before = ossup(&scratch.image);
        let finding =
            before["findings"].as_array().unwrap().iter().find(|each| each["rule"] == *rule).unwrap();
        let command = finding["fix"].as_str().unwrap();
        let missing: Vec<_> = programs(command).into_iter().filter(|program| !is_there(program)).collect();
        if !missing.is_empty() {
            assert!(!all_tools, "{image}: {missing:?} of `{command}` is not installed");
            continue;
        }
        let listed = scratch.listing();
        let output = shell(command, scratch.folder.path());
        assert!(output.status.success(), "{image}: `{command}`: {output:?}");
        let result = PathBuf::from(finding["fix_makes"].as_str().unwrap());
        let in_place = result == scratch.image;
        for (path, length) in &listed {
            let now = path.symlink_metadata().ok().map(|now| now.is_file().then_some(now.len()));
            assert!(in_place || now == Some(*length), "{image}: `{command}` changed {}", path.display());
        }
        let result = if result.is_dir() {
            let inside: Vec<_> = fs::read_dir(&result).unwrap().map(|entry| entry.unwrap().path()).collect();
            let [file] = inside.as_slice() else { panic!("{inside:?}") };
            file.clone()
        } else {
            result
        };
        let after = ossup(&result);
        assert!(
            !rules(&after, WARNED).contains(rule),
            "{image}: {rule} is still there after `{command}`: {after:#}"
        );
        let of_unpacked = ["F-COMPRESSED", "F-ARCHIVE"].contains(&rule);
        for severities in [REFUSED, WARNED] {
            let allowed = rules(&before, WARNED);
            let new: Vec<_> =
                rules(&after, severities).into_iter().filter(|rule| !allowed.contains(rule)).collect();
            let new: Vec<_> = new.iter().filter(|new| !(of_unpacked && *new == "F-ARCHIVE")).collect();
            assert!(new.is_empty(), "{image}: {new:?} is new after `{command}`");
        }
        run.extend(programs(command).into_iter().map(|program| (rule.to_owned(), program.to_owned())));
    }
    run
}

#[test]
fn every_printed_command_makes_the_image_better() {
    #[expect(clippy::disallowed_methods, reason = "whoever made the images says here where they are")]
    let given = std::env::var_os("OSSUP_IMAGE_DIR").map(PathBuf::from);
    let unpacked = tempfile::tempdir().unwrap();
    let images = match &given {
        Some(folder) => folder.canonicalize().unwrap(),
        None => {
            unpack_all(unpacked.path());
            unpacked.path().to_owned()
        }
    };
    let mut names: Vec<String> = fs::read_dir(&images)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let mut run = BTreeSet::new();
    for name in names {
        run.extend(follow(&images, &name, given.is_some()));
    }
    let advised: BTreeSet<_> =
        ADVISED.iter().map(|(rule, program)| ((*rule).to_owned(), (*program).to_owned())).collect();
    let unknown: Vec<_> = run.difference(&advised).collect();
    assert!(unknown.is_empty(), "not in the list: {unknown:?}");
    if given.is_some() {
        let never: Vec<_> = advised.difference(&run).collect();
        assert!(never.is_empty(), "no image causes the advice of {never:?}");
    } else {
        assert!(run.contains(&("V-FIXLEN".to_owned(), "truncate".to_owned())), "{run:?}");
    }
}

/// Unpacks the small images. Blocks of zeros stay holes.
fn unpack_all(folder: &Path) {
    use std::os::unix::fs::FileExt;

    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/images");
    for entry in fs::read_dir(data).unwrap() {
        let path = entry.unwrap().path();
        let Some(name) = path.file_name().unwrap().to_str().unwrap().strip_suffix(".gz") else { continue };
        let packed = fs::File::open(&path).unwrap();
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(packed).read_to_end(&mut plain).unwrap();
        let file = fs::File::create(folder.join(name)).unwrap();
        file.set_len(plain.len() as u64).unwrap();
        for (index, block) in plain.chunks(4096).enumerate() {
            if block.iter().any(|byte| *byte != 0) {
                file.write_all_at(block, index as u64 * 4096).unwrap();
            }
        }
    }
}
