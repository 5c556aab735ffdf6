//! The cost of an upload compared with the least that it can cost on this machine, in one run.
//!
//!     cargo bench --bench throughput -- [OPTION …] [-- FLAG OF ossup upload …]
//!
//! Runs A, B, C, A, B, C …: the *floor* (threads that read a block, take its CRC-64 and write it to a socket; no
//! retries, no state), `ossup upload`, and the peers that are installed, each as a process of its own, and prints
//! wall time, CPU seconds per GiB, peak memory, and the ratios round by round. Machines are noisy: quote medians
//! of ratios. Linux only: what a process costs is read from `/proc`.
//!
//! With `--convert` the contenders are a disk that goes as QCOW2 and its data alone; see [`convert`].
//!
//! Without `--endpoint` all send to servers that this program starts: one that throws bytes away as cheaply as
//! the system can, over HTTP and over HTTPS, and `ossup emulator --discard`. What the server itself costs is
//! printed too, for it shares the machine. With `--endpoint` the key pair comes from `OSS_ACCESS_KEY_ID` and
//! `OSS_ACCESS_KEY_SECRET`; objects named `ossup-bench-*` are left in the bucket.

#![expect(clippy::print_stdout, reason = "a program that prints what it measured")]
#![expect(
    clippy::disallowed_methods,
    reason = "a program: it reads the environment, sleeps and takes the time"
)]

mod convert;
mod cost;
mod floor;
mod options;
mod peers;
mod server;
mod target;

use std::error::Error;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use cost::{Cost, spread};
use options::{Case, Options};
use server::Server;
use target::Target;

type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

const GIB: u64 = 1 << 30;

fn main() -> Fallible<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [floor::ROLE, file, threads, ca @ ..] => {
            floor::run(Path::new(file), threads.parse()?, ca.first().map(Path::new))
        }
        [server::ROLE, identity @ ..] => server::run(identity),
        _ => match Options::parse(&arguments)? {
            options if options.convert => convert::compare(&options),
            options => compare(&options),
        },
    }
}

fn compare(options: &Options) -> Fallible<()> {
    let folder = tempfile::Builder::new().prefix("ossup-bench-").tempdir_in(&options.dir)?;
    let image = folder.path().join("image.raw");
    fill(&image, options.size)?;
    for case in options.cases() {
        let server = match &case {
            Case::Null => Some(Server::null(folder.path(), false)?),
            Case::NullTls => Some(Server::null(folder.path(), true)?),
            Case::Emulator => Some(Server::emulator(folder.path())?),
            Case::Endpoint => None,
        };
        let target = Target::new(options, server.as_ref())?;
        println!("\n{case}, {} GiB, {} rounds", options.gib(), options.rounds);
        let sent = rounds(options, &case, &target, &image, folder.path())?;
        if let Some(server) = server {
            println!("the server itself: {:.3} CPU s per GiB", server.cpu()? / (sent as f64 / GIB as f64));
        }
    }
    Ok(())
}

/// What is measured beside the floor.
struct Contender {
    name: String,
    costs: Vec<Cost>,
    failed: Option<String>,
}

/// Runs all rounds, prints what they took, and returns how many bytes were sent.
fn rounds(options: &Options, case: &Case, target: &Target, image: &Path, folder: &Path) -> Fallible<u64> {
    let peers = peers::installed(options, case, target);
    let names =
        ["floor", "ossup"].map(str::to_owned).into_iter().chain(peers.iter().map(|p| p.name.to_owned()));
    let mut all: Vec<Contender> =
        names.map(|name| Contender { name, costs: Vec::new(), failed: None }).collect();
    let mut sent = 0;
    // The first round warms caches and is not counted.
    for round in 0..=options.rounds {
        for (index, contender) in all.iter_mut().enumerate().filter(|(_, c)| c.failed.is_none()) {
            let measured = match index {
                0 => floor::measure(options, target, image),
                1 => cost::measure(&mut upload(options, target, image, folder, round, &[]), None),
                _ => cost::measure(&mut peers[index - 2].command(target, image), None),
            };
            match measured {
                Ok(_) if round == 0 => sent += options.size,
                Ok(cost) => {
                    sent += options.size;
                    contender.costs.push(cost);
                }
                // A peer may not work with the server; the other two must.
                Err(error) if index >= 2 => contender.failed = Some(error.to_string()),
                Err(error) => return Err(error),
            }
        }
    }
    print(&all, options.gib());
    Ok(sent)
}

fn print(all: &[Contender], gib: f64) {
    let Some((floor, _)) = all.split_first() else { return };
    println!(
        "                      wall s (min)   GiB/s  CPU s/GiB (min)   MiB peak (max)   × wall (min)   × CPU (min) of floor"
    );
    for Contender { name, costs, failed } in all {
        if let Some(reason) = failed {
            println!("{name:20} failed: {reason}");
            continue;
        }
        let (wall_min, wall, _) = spread(costs.iter().map(|cost| cost.wall));
        let (cpu_min, cpu, _) = spread(costs.iter().map(|cost| cost.cpu / gib));
        let (_, peak, peak_max) = spread(costs.iter().map(|cost| cost.peak_kib as f64 / 1024.0));
        let pairs = || floor.costs.iter().zip(costs);
        let (wall_ratio_min, wall_ratio, _) = spread(pairs().map(|(floor, this)| this.wall / floor.wall));
        let (cpu_ratio_min, cpu_ratio, _) = spread(pairs().map(|(floor, this)| this.cpu / floor.cpu));
        println!(
            "{name:20} {wall:7.2} ({wall_min:.2}) {:7.2}  {cpu:8.3} ({cpu_min:.3}) {peak:10.0} ({peak_max:.0}) {wall_ratio:10.2} ({wall_ratio_min:.2}) {cpu_ratio:10.2} ({cpu_ratio_min:.2})",
            gib / wall
        );
    }
}

fn upload(
    options: &Options,
    target: &Target,
    image: &Path,
    folder: &Path,
    round: usize,
    flags: &[&str],
) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ossup"));
    command
        .args(["upload", "--no-inspect", "--overwrite", "--progress", "none", "--quiet"])
        .args(["--region", target.region.as_str(), "--endpoint", &target.endpoint.to_string(), "--state-dir"])
        .arg(folder.join("state"))
        .args(target.ca_file.iter().flat_map(|file| [OsStr::new("--ca-file"), file.as_os_str()]))
        .args(flags)
        .args(&options.flags)
        .arg(image)
        .arg(format!("oss://{}/ossup-bench-{}", target.bucket, round % 2))
        .envs(target.environment());
    command
}

/// Writes bytes without pattern: nothing on the way may be saved by zeros.
fn fill(path: &Path, size: u64) -> Fallible<()> {
    let mut file = File::create(path)?;
    let mut random = fastrand::Rng::with_seed(1);
    let mut block = vec![0u8; 1 << 20];
    let mut left = size;
    while left > 0 {
        random.fill(&mut block);
        let count = left.min(block.len() as u64) as usize;
        file.write_all(&block[..count])?;
        left -= count as u64;
    }
    // Writing it back in the middle of a measurement would be measured too.
    Ok(file.sync_all()?)
}
