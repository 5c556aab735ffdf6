//! Unified kernel images: a kernel with its arguments and its initial RAM file system, which firmware starts as one program.
//! Their sections are those of the specification "Unified Kernel Image" of the UAPI group.

use super::super::tree::Tree;
use super::super::volume::Read;
use super::menu::{Item, Start};
use super::program::Program;

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
    let name = file.rsplit('/').next().unwrap_or(file).to_owned();
    let kernel = file.strip_prefix(point).unwrap_or(file).to_owned();
    let start =
        Start { file: file.to_owned(), line: 1, kernel: Some(kernel), initrds: Vec::new(), arguments };
    Ok(Some(Item { id: Some(name.clone()), title: name, starts: vec![start], ..Item::default() }))
}
