//! What it costs to send a disk as QCOW2: one that is mostly holes compared with its data alone, and one of written
//! zeros, of which nothing is sent.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::options::Options;
use crate::server::Server;
use crate::target::Target;
use crate::{Contender, Fallible, cost, print, upload};

/// The share of a disk that is data, in percent.
const DATA: u64 = 21;
/// In as many pieces.
const EXTENTS: u64 = 32;

/// Compares disks of the size that was asked for, over HTTP with a server that throws bytes away.
pub(crate) fn compare(options: &Options) -> Fallible<()> {
    let folder = tempfile::Builder::new().prefix("ossup-bench-").tempdir_in(&options.dir)?;
    let server = Server::null(folder.path(), false)?;
    let target = Target::new(options, Some(&server))?;
    let (data, disk) = (folder.path().join("data.raw"), folder.path().join("disk.raw"));
    spread(&data, &disk, options.size)?;
    println!("\n{} GiB of which {DATA} % are data, {} rounds", options.gib(), options.rounds);
    let contenders = [("its data alone", data.as_path(), "--as=as-is"), ("as QCOW2", &disk, "--as=qcow2")];
    rounds(options, &target, folder.path(), options.gib(), &contenders)?;
    std::fs::remove_file(data)?;
    std::fs::remove_file(&disk)?;
    zeros(&disk, options.size / 2)?;
    println!("\n{} GiB of written zeros in the page cache", options.gib() / 2.0);
    rounds(options, &target, folder.path(), options.gib() / 2.0, &[("as QCOW2", &disk, "--as=qcow2")])
}

fn rounds(
    options: &Options,
    target: &Target,
    folder: &Path,
    gib: f64,
    contenders: &[(&str, &Path, &str)],
) -> Fallible<()> {
    let named = contenders.iter().map(|(name, ..)| (*name).to_owned());
    let mut all: Vec<Contender> =
        named.map(|name| Contender { name, costs: Vec::new(), failed: None }).collect();
    for round in 0..=options.rounds {
        for (contender, (_, image, form)) in all.iter_mut().zip(contenders) {
            let cost = cost::measure(&mut upload(options, target, image, folder, round, &[form]), None)?;
            // The first round warms caches and is not counted.
            contender.costs.extend((round > 0).then_some(cost));
        }
    }
    print(&all, gib);
    Ok(())
}

/// Writes data, and a disk that holds the same in pieces between holes.
fn spread(data: &Path, disk: &Path, size: u64) -> Fallible<()> {
    let (mut data, disk) = (File::create(data)?, File::create(disk)?);
    disk.set_len(size)?;
    let extent = (size * DATA / 100 / EXTENTS) >> 20;
    let mut random = fastrand::Rng::with_seed(1);
    let mut block = vec![0u8; 1 << 20];
    for index in 0..EXTENTS {
        for mib in 0..extent {
            random.fill(&mut block);
            data.write_all(&block)?;
            disk.write_all_at(&block, size / EXTENTS * index + (mib << 20))?;
        }
    }
    data.sync_all()?;
    Ok(disk.sync_all()?)
}

fn zeros(path: &Path, size: u64) -> Fallible<()> {
    let mut file = File::create(path)?;
    let block = vec![0u8; 1 << 20];
    for _ in 0..size >> 20 {
        file.write_all(&block)?;
    }
    Ok(file.sync_all()?)
}
