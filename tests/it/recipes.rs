//! The pages under `docs/recipes` do what they say: their shell blocks run, in order, against the emulator.
//!
//! A block of kind `sh` runs. One that cannot run here has a comment before it that says why:
//! `<!-- not run: needs a cluster -->`. What a page takes as given (a file, a variable) is made by [`PREPARATIONS`].

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::guests::debian;
use crate::support::{Server, World, finish};

const MIB: u64 = 1 << 20;

/// What has to be there before a page's first block: its name, options of the emulator, and a script in the folder where
/// the page runs. There is always `disk.raw`.
const PREPARATIONS: &[(&str, &[&str], &str)] = &[
    (
        "from-an-archive",
        &[],
        r#"
        tar -czf disk.tar.gz disk.raw
        mkdir a b stemcell
        cp --sparse=always disk.raw b
        ln disk.raw a/other.raw
        tar -cf several.tar a/other.raw b/disk.raw
        ln disk.raw root.img
        tar -czf stemcell/image.tgz root.img
        tar -cf outer.tar stemcell
        ossup upload disk.raw oss://images/source.raw --quiet
        SOURCE=$(ossup url oss://images/source.raw --sign 1h)
        "#,
    ),
    (
        "data-disk-snapshot",
        // Nothing starts from such a disk, which the emulator would refuse.
        &["--ecs=probe=false"],
        r#"
        truncate -s 32M data.raw
        head -c 100000 /dev/urandom | dd of=data.raw bs=1M seek=1 conv=notrunc status=none
        # One partition, of sectors 2048 to 65535, in a table as every tool writes it.
        printf '\0\0\0\0\203\0\0\0\0\010\0\0\0\370\0\0' | dd of=data.raw bs=1 seek=446 conv=notrunc status=none
        printf '\125\252' | dd of=data.raw bs=1 seek=510 conv=notrunc status=none
        "#,
    ),
    ("boot-test", &[], "VSWITCH=vsw-emulated GROUP=sg-emulated"),
    // As by a job on another machine that was ended.
    (
        "in-ci",
        &[],
        "! OSSUP_STATE_DIR=elsewhere timeout -s KILL 2 ossup upload disk.raw oss://images/other.raw --bandwidth-limit 8MiB/s",
    ),
];

fn recipes() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/recipes")
}

/// A block of shell, and why it does not run, if it does not.
#[derive(Debug, PartialEq, Eq)]
struct Block {
    text: String,
    skipped: Option<String>,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut skipped = None;
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if line.starts_with("```") {
            let text: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
            if line == "```sh" {
                blocks.push(Block { text: text.join("\n"), skipped: skipped.take() });
            }
        } else if let Some(reason) = line.strip_prefix("<!-- not run: ") {
            skipped = Some(reason.trim_end_matches(" -->").to_owned());
        } else if !line.is_empty() {
            skipped = None;
        }
    }
    blocks
}

/// Runs what a page says, and returns how many blocks ran.
fn follow(page: &Path) -> usize {
    let name = page.file_stem().unwrap().to_str().unwrap();
    let text = fs::read_to_string(page).unwrap();
    let blocks: Vec<_> = blocks(&text).into_iter().filter(|block| block.skipped.is_none()).collect();
    if blocks.is_empty() {
        return 0;
    }
    let mut world = World::new();
    match name {
        // A system has to be on it.
        "boot-test" => debian(&world, &[]),
        _ => drop(world.disk("disk.raw", 64 * MIB, 1)),
    }
    let (_, options, prepared) = PREPARATIONS.iter().find(|(of, ..)| *of == name).unwrap_or(&("", &[], ""));
    let common = ["--quiet", "--speed=1000"];
    let _server = Server::start(&mut world, &[&common[..], options].concat());
    let body: Vec<_> = blocks.iter().map(|block| block.text.as_str()).collect();
    let script = format!("set -euo pipefail\n{prepared}\nset -x\n{}\n", body.join("\n"));
    let binary = Path::new(env!("CARGO_BIN_EXE_ossup")).parent().unwrap().display().to_string();
    // As a person would run it: the shell in the folder, and `ossup` on the path.
    let ours = world.command(&[]);
    let mut shell = Command::new("bash");
    shell.args(["-c", &script]).env_clear().current_dir(world.path(""));
    shell.envs(ours.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.env("PATH", format!("{binary}:/usr/local/bin:/usr/bin:/bin"));
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let finished = finish(shell.spawn().unwrap());
    assert_eq!(finished.code, Some(0), "{name}\n{}\n{}", finished.stdout, finished.stderr);
    blocks.len()
}

fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<_> = fs::read_dir(recipes()).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.sort();
    pages
}

#[test]
fn every_recipe_does_what_it_says() {
    let pages = pages();
    let ran: usize = std::thread::scope(|scope| {
        let running: Vec<_> = pages.iter().map(|page| scope.spawn(move || follow(page))).collect();
        running.into_iter().map(|page| page.join().unwrap()).sum()
    });
    assert!(ran >= 20, "{ran}");
}

#[test]
fn a_recipe_whose_block_does_not_run_says_why() {
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for block in blocks(&text) {
            let reason = block.skipped.unwrap_or_else(|| "it runs".to_owned());
            assert!(reason.split_whitespace().count() > 1, "{}: {reason}", page.display());
        }
        let untried = text.lines().find(|line| line.starts_with("    ossup"));
        assert_eq!(untried, None, "{}: a command outside of a `sh` block is not tried", page.display());
    }
}

/// `README.md` there lists the public pipelines, each with the page that does its work.
#[test]
fn each_pipeline_has_a_recipe() {
    let index = fs::read_to_string(recipes().join("README.md")).unwrap();
    let rows: Vec<_> = index.lines().filter(|line| line.starts_with("| ") && line.contains("](")).collect();
    let pipelines = rows.iter().filter(|row| row[2..].starts_with(|c: char| c.is_ascii_digit())).count();
    assert_eq!(pipelines, 23, "{index}");
    for row in rows {
        for link in row.split("](").skip(1) {
            let target = link.split([')', '#']).next().unwrap();
            assert!(target.starts_with("http") || recipes().join(target).exists(), "{row}");
        }
    }
    for page in pages() {
        let name = page.file_name().unwrap().to_str().unwrap();
        assert!(name == "README.md" || index.contains(&format!("({name}")), "{name} is not in the index");
    }
}

#[test]
fn a_block_is_skipped_only_by_the_comment_before_it() {
    let page = "```sh\na\n```\n<!-- not run: no cloud -->\n\n```sh\nb\nc\n```\n<!-- not run: x -->\ntext\n```sh\nd\n```\n```toml\ne\n```";
    let skipped: Vec<_> = blocks(page).into_iter().map(|block| (block.text, block.skipped)).collect();
    let expected = [("a", None), ("b\nc", Some("no cloud")), ("d", None)];
    assert_eq!(skipped, expected.map(|(text, why)| (text.to_owned(), why.map(str::to_owned))));
}
