//! What is wrong with a file, and where.

use std::fmt;
use std::ops::Range;

/// How many letters of a word may be wrong, missing, or exchanged for another one to be suggested.
const SLIPS: usize = 2;

/// Something in a file that cannot be, with its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub struct FileError {
    /// The line, from 1.
    pub line: usize,
    /// The character of the line, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What was probably meant.
    pub meant: Option<String>,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)?;
        match &self.meant {
            Some(meant) => write!(f, "; did you mean `{meant}`?"),
            None => Ok(()),
        }
    }
}

/// A text whose places are told by line and column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places<'a>(pub(super) &'a str);

impl Places<'_> {
    /// Returns an error at these bytes of the text.
    pub(super) fn wrong(self, at: Range<usize>, message: impl Into<String>) -> FileError {
        let mut start = at.start.min(self.0.len());
        while !self.0.is_char_boundary(start) {
            start -= 1;
        }
        let before = &self.0[..start];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        FileError {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message: message.into(),
            meant: None,
        }
    }

    /// Returns what the reader of TOML found, in our words where it is about a word.
    pub(super) fn of_toml(self, error: &toml::de::Error) -> FileError {
        let message = error.message().trim_end();
        // As serde has it: "unknown field `x`, expected one of `a`, `b`".
        let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
        let kind = [("unknown field", "key"), ("unknown variant", "value")];
        let kind = kind.into_iter().find(|(begins, _)| message.starts_with(begins));
        let at = error.span().unwrap_or_default();
        let (Some((_, kind)), [typed, known @ ..]) = (kind, quoted.as_slice()) else {
            return self.wrong(at, message);
        };
        let meant = closest(typed, known.iter().copied()).map(str::to_owned);
        let list = match (&meant, known.len()) {
            (None, 1..=6) => format!("; it is one of {}", known.join(", ")),
            _ => String::new(),
        };
        FileError { meant, ..self.wrong(at, format!("unknown {kind} `{typed}`{list}")) }
    }
}

/// Returns the word that was probably meant.
pub(super) fn closest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |word: &&str| strsim::damerau_levenshtein(&word.to_lowercase(), &typed.to_lowercase());
    let most = if typed.chars().count() < 4 { 1 } else { SLIPS };
    known.into_iter().min_by_key(distance).filter(|word| distance(word) <= most)
}
