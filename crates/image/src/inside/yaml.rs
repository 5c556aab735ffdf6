//! YAML, in which cloud-init and netplan are configured: a bounded tree that knows its lines.
//!
//! `saphyr-parser` gives events one by one, so that depth and number of what is built are bounded here. It has no `unsafe`
//! code, and neither panicked nor took long on millions of damaged texts.

use std::borrow::Cow;

use saphyr_parser::{Event, Parser, Span};

use super::volume::Reason;

/// Longest text that is parsed, in bytes. Some texts take a time that grows with the square of their length.
const LONGEST: usize = 64 << 10;
/// Most values in a text.
const MOST_NODES: usize = 10_000;
/// Most lists and mappings around a value.
const DEEPEST: usize = 32;

/// A value, and where it begins.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Node {
    /// The number of its line, from 1 on.
    pub(super) line: usize,
    pub(super) value: Value,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// A string, number, truth value or nothing, as it is written.
    Scalar(String),
    List(Vec<Node>),
    /// Keys that are scalars, with their lines, and their values.
    Map(Vec<(String, Node)>),
    /// What is written elsewhere, by an alias or a merge.
    Elsewhere,
}

impl Node {
    /// Returns what a mapping has for a key: the last, as the programs in Python take it.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().rev().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    /// Returns the keys of a mapping and their values.
    pub(super) fn entries(&self) -> &[(String, Self)] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// Returns the items of a list.
    pub(super) fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// Returns what is written, if it is a scalar.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the truth value that is written, in any of the spellings of YAML 1.1.
    pub(super) fn truth(&self) -> Option<bool> {
        match &*self.text()?.to_ascii_lowercase() {
            "true" | "yes" | "on" | "y" => Some(true),
            "false" | "no" | "off" | "n" => Some(false),
            _ => None,
        }
    }
}

/// Parses the first document of a text.
pub(super) fn parse(bytes: &[u8]) -> Result<Node, Reason> {
    if bytes.len() > LONGEST {
        return Err(format!("YAML of more than {} KiB", LONGEST >> 10));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "it is no UTF-8".to_owned())?;
    let mut builder = Builder { parser: Parser::new_from_str(text), nodes: 0 };
    loop {
        match builder.next()? {
            (Event::StreamEnd, _) => return Ok(Node { line: 1, value: Value::Map(Vec::new()) }),
            (Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd, _) => {}
            (event, span) => return builder.node(event, span, 0),
        }
    }
}

struct Builder<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    nodes: usize,
}

impl<'a> Builder<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Reason> {
        match self.parser.next() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(format!("line {} is no YAML", error.marker().line())),
            None => Err("it ends early".to_owned()),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Reason> {
        self.nodes += 1;
        if depth > DEEPEST || self.nodes > MOST_NODES {
            return Err("YAML that is deeper or larger than a configuration".to_owned());
        }
        let line = span.start.line();
        let value = match event {
            Event::Scalar(text, ..) => Value::Scalar(Cow::into_owned(text)),
            Event::SequenceStart(..) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break Value::List(items),
                        (event, span) => items.push(self.node(event, span, depth + 1)?),
                    }
                }
            }
            Event::MappingStart(..) => {
                let mut entries = Vec::new();
                loop {
                    let key = match self.next()? {
                        (Event::MappingEnd, _) => break Value::Map(entries),
                        (event, span) => self.node(event, span, depth + 1)?,
                    };
                    let (event, span) = self.next()?;
                    let mut node = self.node(event, span, depth + 1)?;
                    // A mapping or list in block form begins a line below its key, which is what people look for.
                    node.line = key.line;
                    if let Value::Scalar(key) = key.value {
                        entries.push((key, node));
                    }
                }
            }
            _ => Value::Elsewhere,
        };
        Ok(Node { line, value })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_forms_are_the_same_and_values_have_the_lines_of_their_keys() {
        let block = parse(b"# comment\na:\n  - b\n  - 'c'\nd: {e: yes}\n").unwrap();
        let flow = parse(b"\n{a: [b, \"c\"],\n\n\nd: {e: on}}\n").unwrap();
        for tree in [&block, &flow] {
            let items: Vec<_> = tree.get("a").unwrap().items().iter().filter_map(Node::text).collect();
            assert_eq!(items, ["b", "c"]);
            assert_eq!(tree.get("d").unwrap().get("e").unwrap().truth(), Some(true));
        }
        let lines = |tree: &Node| ["a", "d"].map(|key| tree.get(key).unwrap().line);
        assert_eq!((lines(&block), lines(&flow)), ([2, 5], [2, 5]));
    }

    #[test]
    fn what_is_no_configuration_is_an_error_and_nothing_is_none() {
        assert_eq!(parse(b"").unwrap().entries(), []);
        assert_eq!(parse(b"# only a comment\n---\n").unwrap().get("a"), None);
        assert_eq!(parse(b"a: *b").ok().as_ref().and_then(|tree| tree.get("a")), None, "no such anchor");
        assert_eq!(parse(b"b: &b c\na: *b").unwrap().get("a").unwrap().value, Value::Elsewhere);
        for text in [&b"a: [b"[..], b"\xff", &[b'['; 70_000], &b"- ".repeat(100), &b"- a\n".repeat(10_001)] {
            assert!(parse(text).is_err());
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_tree_or_an_error(parts in prop::collection::vec("[a\\[\\]{}:, \n\t&*!|>'\"?%#-]{1,4}", 0..40)) {
            let _ = parse(parts.concat().as_bytes());
        }
    }
}
