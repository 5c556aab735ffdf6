//! What comes before the list of data sources: arguments of the kernel, and data that lie in the image itself. As
//! `tools/ds-identify` of cloud-init and "Kernel command line" of its documentation have it.

use super::super::facts::{Answer, BootEntry};
use super::super::text::shown;
use super::super::tree::Tree;
use super::super::volume::{Read, Reason};

/// Arguments that name one data source.
const NAMING: [&str; 3] = ["ci.datasource", "ci.ds", "ds"];
/// Where data for NoCloud lie, all of these files.
const SEEDS: [&str; 2] = ["/var/lib/cloud/seed/nocloud", "/var/lib/cloud/seed/nocloud-net"];
const SEED: [&str; 2] = ["meta-data", "user-data"];

/// What decides before any list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::inside) enum Elsewhere {
    /// An argument of the kernel, in this line of the boot loader's configuration, and the data sources that it names.
    Argument { file: String, line: usize, key: &'static str, names: Vec<String> },
    /// A folder with data for NoCloud.
    Seed(&'static str),
}

impl Elsewhere {
    /// Says what was found where.
    pub(in crate::inside) fn because(&self) -> String {
        match self {
            Self::Argument { file, line, key, names } => {
                let names = shown(names.join(", ").as_bytes());
                format!("{file} line {line} has the argument {key} with {names}")
            }
            Self::Seed(folder) => format!("{folder} has meta-data and user-data"),
        }
    }
}

/// Looks at the arguments of the kernel that is started.
pub(super) fn argument(entries: &Answer<Vec<BootEntry>>) -> Read<Elsewhere> {
    let entries = match entries {
        Answer::Found(entries) => entries,
        Answer::Absent => return Ok(None),
        Answer::Unread(reason) => return Err(reason.clone()),
    };
    let Some(entry) = entries.iter().find(|entry| entry.is_default) else { return Ok(None) };
    let named = NAMING.into_iter().find_map(|key| {
        let value = entry.argument(key)?.trim_matches(['"', '\'']);
        // What follows is for the data source itself.
        let name = value.split(';').next().filter(|name| !name.is_empty())?;
        Some((key, vec![name.to_owned()]))
    });
    let Some((key, names)) = named.or_else(|| listed(&entry.arguments)) else { return Ok(None) };
    Ok(Some(Elsewhere::Argument { file: entry.file.clone(), line: entry.line, key, names }))
}

/// Returns the list of a configuration that is an argument itself, and may be several words.
fn listed(arguments: &[String]) -> Option<(&'static str, Vec<String>)> {
    let from = arguments.iter().position(|word| word.starts_with("cc:"))?;
    let text = arguments[from..].join(" ");
    let (_, rest) = text.rsplit_once("datasource_list")?;
    let list = rest.split(']').next()?.rsplit_once('[')?.1;
    let names = list.split(',').map(|name| name.trim().trim_matches(['"', '\'']).to_owned());
    Some(("cc:", names.filter(|name| !name.is_empty()).collect()))
}

/// Looks for data in the image.
pub(super) fn seed(tree: &mut Tree) -> Read<Elsewhere> {
    for folder in SEEDS {
        let all = SEED
            .iter()
            .try_fold(true, |all, file| Ok::<_, Reason>(all && tree.has(&format!("{folder}/{file}"))?))?;
        if all {
            return Ok(Some(Elsewhere::Seed(folder)));
        }
    }
    Ok(None)
}
