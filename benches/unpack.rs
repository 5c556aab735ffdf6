//! Unpacking compared with the formats' own programs, in one run.
//!
//!     cargo bench --bench unpack -- [PROGRAM …]
//!
//! Packs 128 MiB of what a disk image looks like (text, numbers, zeros) with each program that is installed, and
//! then in turns unpacks it here and with the program (`zstd -dc`, `xz -dc -T2`, …), both into nothing. Machines are
//! noisy: what counts is the ratio of the medians. `zstd` and `lz4` read and write on threads of their own; pinned to
//! one processor (`taskset -c 0`), the ratio is that of the work.

#![expect(clippy::print_stdout, reason = "a program that prints what it measured")]

use std::error::Error;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ossup::unpack::{Options, open};

const SIZE: usize = 128 << 20;
const ROUNDS: usize = 5;
/// What the transfer reads at once.
const BLOCK: usize = 256 << 10;

/// A program, how it packs and how it unpacks.
const PROGRAMS: [(&str, &[&str], &[&str]); 5] = [
    ("zstd", &["-qc", "-3"], &["-qdc"]),
    ("xz", &["-c", "-1", "-T2", "--block-size=8MiB"], &["-dc", "-T2"]),
    ("gzip", &["-c", "-1"], &["-dc"]),
    ("bzip2", &["-c", "-1"], &["-dc"]),
    ("lz4", &["-qc"], &["-qdc"]),
];

fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let plain = directory.path().join("plain");
    std::fs::write(&plain, image())?;
    let chosen: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    for (program, pack, unpack) in PROGRAMS {
        if !chosen.is_empty() && !chosen.iter().any(|name| name == program) {
            continue;
        }
        let packed = directory.path().join(program);
        let packing = Command::new(program).args(pack).arg(&plain).stdout(File::create(&packed)?).status();
        if !packing.is_ok_and(|status| status.success()) {
            println!("{program:>6}: not installed");
            continue;
        }
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            ours.push(unpacked_here(&packed)?);
            theirs.push(timed(|| {
                let status =
                    Command::new(program).args(unpack).arg(&packed).stdout(Stdio::null()).status()?;
                if status.success() { Ok(()) } else { Err(format!("{program}: {status}").into()) }
            })?);
        }
        let (ours, theirs) = (median(ours), median(theirs));
        println!(
            "{program:>6}: {:.2} of the program's speed ({:.0} MiB/s and {:.0} MiB/s)",
            theirs.as_secs_f64() / ours.as_secs_f64(),
            rate(ours),
            rate(theirs),
        );
    }
    Ok(())
}

fn unpacked_here(packed: &Path) -> Result<Duration, Box<dyn Error>> {
    timed(|| {
        let mut unpacked = open(File::open(packed)?, &Options::new(u64::MAX).with_threads(2))?;
        let mut block = vec![0; BLOCK];
        let mut length = 0;
        loop {
            match unpacked.read(&mut block)? {
                0 => break,
                read => length += read,
            }
        }
        assert_eq!(length, SIZE);
        Ok(())
    })
}

fn timed(work: impl FnOnce() -> Result<(), Box<dyn Error>>) -> Result<Duration, Box<dyn Error>> {
    let begin = Instant::now();
    work()?;
    Ok(begin.elapsed())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn rate(time: Duration) -> f64 {
    SIZE as f64 / f64::from(1 << 20) / time.as_secs_f64()
}

/// Bytes that compress about as well as a disk image with data: lines of text, numbers, runs of zeros.
fn image() -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(0);
    let mut image = Vec::with_capacity(SIZE + (64 << 10));
    while image.len() < SIZE {
        match random.u8(..8) {
            0..4 => {
                for _ in 0..random.usize(1..200) {
                    let line = format!("/usr/lib/{:x}/module-{}.so\n", random.u16(..), random.u8(..));
                    image.extend_from_slice(line.as_bytes());
                }
            }
            4..6 => image.extend((0..random.usize(1..4096)).map(|_| random.u8(..))),
            6 => (0..random.u32(1..2000)).for_each(|n| image.extend_from_slice(&n.to_le_bytes())),
            _ => image.resize(image.len() + random.usize(1..16384), 0),
        }
    }
    image.truncate(SIZE);
    image
}
