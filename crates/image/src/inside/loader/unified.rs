//! Unified kernel images: a kernel with its arguments and its initial RAM file system, which firmware starts as one program.
//! Their sections are those of the specification "Unified Kernel Image" of the UAPI group.

use super::super::tree::Tree;
use super::super::volume::{OpenFile, Read};
use super::menu::{Item, Start};
use super::program::Program;
use crate::read::le16;

/// Most bytes of the arguments.
const LONGEST: u32 = 16 << 10;

/// Reads the entry that an image makes; `None` if it is another program. `file` is below `point`, where the partition is
/// mounted.
pub(super) fn read(tree: &mut Tree, point: &str, file: &str) -> Read<Item> {
    let Some(mut open) = tree.open(file)? else { return Ok(None) };
    let program = Program::of(&mut open)?;
    // What has no kernel in it is a loader.
    if !program.is_unified() {
        return Ok(None);
    }
    let mut text = |name: &[u8]| {
        let Some((at, length)) = program.section(name) else { return Ok(String::new()) };
        let mut bytes = vec![0; length.min(LONGEST) as usize];
        let length = open.read_at(at, &mut bytes)?;
        let text = bytes[..length].split(|byte| *byte == 0).next().unwrap_or_default();
        Ok::<_, String>(String::from_utf8_lossy(text).into_owned())
    };
    let arguments = text(b".cmdline")?.split_whitespace().map(str::to_owned).collect();
    let told = text(b".uname")?.trim().to_owned();
    let release = match told.is_empty() {
        false => Some(told),
        true => release(&program, &mut open)?,
    };
    let name = file.rsplit('/').next().unwrap_or(file).to_owned();
    let kernel = file.strip_prefix(point).unwrap_or(file).to_owned();
    // What it starts is in it.
    let initrds = vec![kernel.clone()];
    let start = Start { file: file.to_owned(), line: 1, kernel: Some(kernel), release, initrds, arguments };
    Ok(Some(Item { id: Some(name.clone()), title: name, starts: vec![start], ..Item::default() }))
}

/// Returns the release that a kernel for x86 has in its header ("The Linux/x86 Boot Protocol": `kernel_version`).
fn release(program: &Program, open: &mut OpenFile<'_>) -> Read<String> {
    const HEADER: u64 = 0x200;
    let Some((at, _)) = program.section(b".linux") else { return Ok(None) };
    let mut header = [0; 16];
    if open.read_at(at + HEADER, &mut header)? < header.len() || &header[2..6] != b"HdrS" {
        return Ok(None);
    }
    let mut text = [0; 128];
    let length = open.read_at(at + HEADER + u64::from(le16(&header, 14)), &mut text)?;
    let text = text[..length].split(|byte| *byte == 0 || *byte == b' ').next().unwrap_or_default();
    Ok(std::str::from_utf8(text).ok().filter(|release| !release.is_empty()).map(str::to_owned))
}
