use std::collections::VecDeque;

use super::cause::Cause;
use super::milestone::Milestone;
use super::sentences::{Meaning, of_line, of_prompt};

/// Longest line that is kept, in bytes; the rest of a longer one is dropped.
const LONGEST_LINE: usize = 1024;
/// Most lines that are kept to be shown.
const LAST_LINES: usize = 12;
/// Most clues that are kept: the first of them, since others follow from those.
const MOST_CLUES: usize = 6;

/// What was seen on the console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// The system came so far, as this line says.
    Reached(Milestone, String),
    /// The system stopped, as this line says.
    Stopped(Cause, String),
}

/// Reads what comes from a serial line. Escape sequences are taken out; memory is bounded, whatever comes.
#[derive(Debug, Default)]
pub struct Console {
    line: Vec<u8>,
    escape: Escape,
    /// Whether the line that is not at its end was understood already.
    is_told: bool,
    last: VecDeque<String>,
    clues: Vec<String>,
    loader_clue: bool,
    in_system: bool,
}

/// Where in an escape sequence the next byte is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Escape {
    #[default]
    No,
    /// Behind ESC.
    Begun,
    /// Behind `ESC [`, until a letter.
    Control,
    /// Behind `ESC ]`, until BEL or another ESC.
    Title,
}

impl Console {
    /// Takes the next bytes and tells what they say. A milestone may be told more than once.
    pub fn read(&mut self, bytes: &[u8]) -> Vec<Seen> {
        let mut seen = Vec::new();
        for &byte in bytes {
            self.byte(byte, &mut seen);
        }
        // A prompt has no line end.
        if !self.is_told {
            let line = shown(&self.line);
            if let Some(meaning) = of_prompt(&line) {
                self.is_told = true;
                self.understand(meaning, &line, &mut seen);
            }
        }
        seen
    }

    fn byte(&mut self, byte: u8, seen: &mut Vec<Seen>) {
        match (self.escape, byte) {
            (Escape::No, 0x1b) => self.escape = Escape::Begun,
            (Escape::No, b'\n' | b'\r') => self.end_line(seen),
            (Escape::No, b'\t') => self.push(b' '),
            (Escape::No, 0x08) => drop(self.line.pop()),
            (Escape::No, 0..0x20 | 0x7f) => {}
            (Escape::No, _) => self.push(byte),
            (Escape::Begun, b'[') => self.escape = Escape::Control,
            (Escape::Begun, b']') => self.escape = Escape::Title,
            (Escape::Begun, _) => self.escape = Escape::No,
            (Escape::Control, 0x40..=0x7e) => {
                self.escape = Escape::No;
                // What moves the cursor begins another line; a menu is drawn so.
                if matches!(byte, b'H' | b'f' | b'J') {
                    self.end_line(seen);
                }
            }
            (Escape::Control, 0x1b) | (Escape::Title, 0x1b) => self.escape = Escape::Begun,
            (Escape::Title, 0x07) => self.escape = Escape::No,
            (Escape::Control | Escape::Title, _) => {}
        }
    }

    fn push(&mut self, byte: u8) {
        if self.line.len() < LONGEST_LINE {
            self.line.push(byte);
        }
    }

    fn end_line(&mut self, seen: &mut Vec<Seen>) {
        let line = shown(&self.line);
        self.line.clear();
        if line.trim().is_empty() {
            return;
        }
        if !std::mem::take(&mut self.is_told)
            && let Some(meaning) = of_line(&line)
        {
            self.understand(meaning, &line, seen);
        }
        if self.last.len() == LAST_LINES {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }

    fn understand(&mut self, meaning: Meaning, line: &str, seen: &mut Vec<Seen>) {
        let line = line.trim().to_owned();
        match meaning {
            Meaning::Reached(milestone) => {
                self.in_system |= milestone >= Milestone::Init;
                self.loader_clue &= milestone < Milestone::Kernel;
                seen.push(Seen::Reached(milestone, line));
            }
            Meaning::Stopped(cause) => {
                // The initramfs may have a systemd of its own, which stops with the same words.
                let cause = match cause {
                    Cause::EmergencyMode | Cause::RescueMode if !self.in_system => Cause::InitramfsShell,
                    cause => cause,
                };
                seen.push(Seen::Stopped(cause, line));
            }
            Meaning::Clue | Meaning::LoaderClue => {
                self.loader_clue |= meaning == Meaning::LoaderClue;
                if self.clues.len() < MOST_CLUES && !self.clues.contains(&line) {
                    self.clues.push(line);
                }
            }
        }
    }

    /// Returns the lines that may explain a stop, in the order in which they came.
    pub fn clues(&self) -> &[String] {
        &self.clues
    }

    /// Whether the boot loader could not load something, and no kernel was heard of since.
    pub fn is_loader_in_trouble(&self) -> bool {
        self.loader_clue
    }

    /// Returns the last lines.
    pub fn last_lines(&self) -> Vec<String> {
        let open = (!self.line.is_empty()).then(|| shown(&self.line));
        self.last.iter().cloned().chain(open).collect()
    }
}

/// Returns a line as text, with U+FFFD for what is no UTF-8 and for control characters beyond ASCII.
fn shown(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
#[path = "console_tests.rs"]
mod tests;
