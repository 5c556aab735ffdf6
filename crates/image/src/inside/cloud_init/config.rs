//! What cloud-init is configured to do, as its files in `/etc/cloud` say.

use super::super::text::shown;
use super::super::tree::Tree;
use super::super::volume::{Read, Reason};
use super::super::yaml::{self, Node, Value};

const MAIN: &str = "/etc/cloud/cloud.cfg";
const MORE: &str = "/etc/cloud/cloud.cfg.d";
/// Most files that are read.
const MOST_FILES: usize = 64;
/// Most bytes of one that are read.
const LONGEST: usize = 256 << 10;

/// A value, and where it is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::inside) struct Setting<T> {
    pub(in crate::inside) file: String,
    /// From 1 on.
    pub(in crate::inside) line: usize,
    pub(in crate::inside) value: T,
}

/// A `datasource_list`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::inside) struct Sources {
    pub(in crate::inside) names: Vec<String>,
    /// Whether it is in the one line of its key, where `ds-identify` reads it too.
    pub(in crate::inside) is_one_line: bool,
}

/// What is said of `network`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::inside) enum Network {
    /// Not to configure it.
    Disabled,
    /// How to, which comes before what a data source says.
    Own,
}

/// What all files together say. What is in no file is `None`, and what one of them says that could not be read is an
/// error, unless a later one decides.
#[derive(Debug)]
pub(super) struct Config {
    pub(super) sources: Read<Setting<Sources>>,
    pub(super) network: Read<Setting<Network>>,
    pub(super) keeps_cache: Read<Setting<()>>,
}

/// Reads the files in the order in which the last decides.
pub(super) fn read(tree: &mut Tree) -> Config {
    let mut config = Config { sources: Ok(None), network: Ok(None), keeps_cache: Ok(None) };
    let more = tree.list(MORE).map(Option::unwrap_or_default);
    let mut files = vec![Ok(MAIN.to_owned())];
    match more {
        Ok(names) => {
            let names = names.into_iter().filter(|name| name.ends_with(b".cfg"));
            files.extend(names.take(MOST_FILES).map(|name| match String::from_utf8(name) {
                Ok(name) => Ok(format!("{MORE}/{name}")),
                Err(_) => Err(format!("a name in {MORE} is no text")),
            }));
        }
        Err(reason) => files.push(Err(reason)),
    }
    for file in files {
        match file.and_then(|file| Ok((tree.read(&file, LONGEST)?, file))) {
            Ok((None, _)) => {}
            Ok((Some(text), file)) => config.take(&shown(file.as_bytes()), &text),
            Err(reason) => config.miss(&reason),
        }
    }
    config
}

impl Config {
    /// Takes what a file says in place of what those before it said.
    fn take(&mut self, file: &str, text: &[u8]) {
        let names = |key: &str| text.windows(key.len()).any(|part| part == key.as_bytes());
        if !["datasource_list", "network", "manual_cache_clean"].iter().any(|key| names(key)) {
            return;
        }
        let tree = yaml::parse(text).map_err(|reason| format!("{file}: {reason}"));
        let root = tree.as_ref().map_err(Clone::clone);
        if names("datasource_list") {
            put(&mut self.sources, file, root.clone(), "datasource_list", sources);
        }
        if names("network") {
            put(&mut self.network, file, root.clone(), "network", network);
        }
        if names("manual_cache_clean") {
            put(&mut self.keeps_cache, file, root, "manual_cache_clean", |node| {
                node.truth()
                    .map(|keeps| keeps.then_some(()))
                    .ok_or("manual_cache_clean is neither true nor false")
            });
        }
    }

    fn miss(&mut self, reason: &Reason) {
        self.sources = Err(reason.clone());
        self.network = Err(reason.clone());
        self.keeps_cache = Err(reason.clone());
    }
}

/// Puts what a file says of a key in the place of what was said before. A key that it does not have changes nothing.
fn put<T>(
    place: &mut Read<Setting<T>>,
    file: &str,
    root: Result<&Node, Reason>,
    key: &str,
    meaning: impl Fn(&Node) -> Result<Option<T>, &'static str>,
) {
    let node = match root.map(|root| root.get(key)) {
        Ok(None) => return,
        Ok(Some(node)) => node,
        Err(reason) => {
            *place = Err(reason);
            return;
        }
    };
    *place = match meaning(node) {
        Ok(value) => Ok(value.map(|value| Setting { file: file.to_owned(), line: node.line, value })),
        Err(reason) => Err(format!("{file} line {}: {reason}", node.line)),
    };
}

fn sources(node: &Node) -> Result<Option<Sources>, &'static str> {
    let unusual = "datasource_list is no list of names";
    let Value::List(items) = &node.value else { return Err(unusual) };
    let names = items.iter().map(|item| item.text().map(str::to_owned));
    let names = names.collect::<Option<_>>().ok_or(unusual)?;
    let is_one_line = items.iter().all(|item| item.line == node.line);
    Ok(Some(Sources { names, is_one_line }))
}

fn network(node: &Node) -> Result<Option<Network>, &'static str> {
    match (&node.value, node.get("config")) {
        (Value::Map(_), Some(config)) if config.text() == Some("disabled") => Ok(Some(Network::Disabled)),
        (Value::Map(entries), _) if !entries.is_empty() => Ok(Some(Network::Own)),
        (Value::Scalar(_) | Value::Map(_), _) => Ok(None),
        _ => Err("network is no mapping"),
    }
}
