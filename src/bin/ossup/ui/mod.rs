//! All that is shown: results on stdout, progress and errors on stderr.

pub(crate) mod advice;
mod ask;
mod bar;
mod events;
mod import_progress;
mod log;
mod meter;
mod output;
mod progress;
mod stderr;
mod table;
pub(crate) mod terminal;
mod text;
mod trouble;

pub(crate) use ask::confirm;
pub(crate) use import_progress::ImportsShown;
pub(crate) use output::{Output, print_json};
pub(crate) use progress::{Form, Progress};
pub(crate) use table::Table;
pub(crate) use text::{bytes, counted, duration, of, parts, printable, printable_lines, quoted, word};
pub(crate) use trouble::retries;

/// Version of the form of all JSON objects. Fields may be added without a new version.
pub(crate) const SCHEMA: u32 = 1;

/// Starts the log, and says on stderr what could not be written there.
pub(crate) fn start(output: Output, verbose: u8) {
    stderr::report_lost_lines(output);
    log::log(verbose);
}
