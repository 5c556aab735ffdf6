//! Results on stdout, in text or JSON; status lines on stderr.

use std::io::{self, IsTerminal as _, Write};

use super::text::{json_line, printable_lines};
use super::{Form, SCHEMA, printable, terminal};
use crate::args::{OutputArgs, OutputFormat};
use crate::failure::{Failure, Kind};

/// Where results and status lines go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
    quiet: bool,
    verbose: u8,
    progress: Form,
}

impl Output {
    pub(crate) fn new(args: &OutputArgs) -> Self {
        Self {
            json: args.output == OutputFormat::Json,
            quiet: args.quiet,
            verbose: args.verbose,
            progress: Form::choose(args.progress, args.quiet, terminal::is_terminal()),
        }
    }

    /// Returns the format of the progress.
    pub(crate) fn progress(&self) -> Form {
        self.progress
    }

    /// Prints a result: the object with its schema, or the text, which ends without a line end.
    ///
    /// # Errors
    ///
    /// When stdout cannot be written; a closed reader is not an error.
    pub(crate) fn print(&self, object: serde_json::Value, text: &str) -> Result<(), Failure> {
        self.object(object)?;
        self.text(text)
    }

    /// Prints a result if JSON is requested.
    ///
    /// # Errors
    ///
    /// As [`Output::print`].
    pub(crate) fn object(&self, mut object: serde_json::Value) -> Result<(), Failure> {
        if !self.json {
            return Ok(());
        }
        if let Some(json_fields) = object.as_object_mut() {
            json_fields.insert("schema".to_owned(), SCHEMA.into());
        }
        print(&json_line(&object))
    }

    /// Prints a result, or a part of it, if text is requested. Every result is printed here, so that foreign text in it
    /// cannot move the cursor.
    ///
    /// # Errors
    ///
    /// As [`Output::print`].
    pub(crate) fn text(&self, text: &str) -> Result<(), Failure> {
        if self.json || text.is_empty() { Ok(()) } else { print(&printable_lines(text)) }
    }

    /// Prints a status line for people to stderr, unless `--quiet` is set.
    pub(crate) fn status(&self, text: impl AsRef<str>) {
        if let Some(line) = self.remark_line(text.as_ref()) {
            terminal::write(line.as_bytes());
        }
    }

    /// Returns a status line, if it is wanted.
    pub(super) fn remark_line(&self, text: &str) -> Option<String> {
        if self.progress == Form::Json {
            let event = serde_json::json!({"schema": SCHEMA, "event": "notice", "text": text});
            return Some(format!("{}\n", json_line(&event)));
        }
        (!self.quiet).then(|| format!("{}\n", printable(text)))
    }

    /// Prints a warning to stderr, unless `--quiet` is set.
    pub(crate) fn warning(&self, text: impl AsRef<str>) {
        let text = text.as_ref();
        if self.progress == Form::Json {
            self.status(format!("warning: {text}"));
        } else if !self.quiet {
            terminal::write(format!("{} {}\n", terminal::Label::Warning, printable(text)).as_bytes());
        }
    }

    /// Prints a status line that only `-v` shows.
    pub(crate) fn verbose(&self, text: impl AsRef<str>) {
        if self.verbose > 0 {
            self.status(text);
        }
    }

    /// Prints a failure: text to stderr, and the object to stdout if JSON is requested.
    pub(crate) fn failure(&self, failure: &Failure) {
        if self.json {
            print_json(&failure.json());
        }
        terminal::write(failure.text().as_bytes());
    }
}

/// Prints the object of a failure. If stdout is closed, the exit code still reports it.
pub(crate) fn print_json(object: &serde_json::Value) {
    let _ = print(&json_line(object));
}

fn print(line: &str) -> Result<(), Failure> {
    let print = || {
        terminal::flush();
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{line}").and_then(|()| stdout.flush())
    };
    // Stdout is often the same terminal: a result after a bar would be erased by the bar's next drawing. Anything
    // else may not be read, and status lines must not wait for that.
    let printed = if io::stdout().is_terminal() { terminal::without_bars(print) } else { print() };
    match printed {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::from_error(Kind::Other, &error).hint("cannot write to stdout"))
        }
        _ => Ok(()),
    }
}
