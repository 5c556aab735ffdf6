//! Standard error, which bars, log lines and remarks share.

use std::io::{self, IsTerminal, Write};
use std::sync::LazyLock;

use indicatif::MultiProgress;

/// All bars of the process. Everything else that is written to stderr steps between them.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Returns the place for bars.
pub(crate) fn bars() -> &'static MultiProgress {
    &BARS
}

/// Takes the bars away for good, and what a terminal shows of the key that ended the program.
pub(crate) fn end_bars() {
    let _ = BARS.clear();
    if is_terminal() {
        let _ = io::stderr().lock().write_all(b"\r");
    }
}

/// Whether stderr is a terminal.
pub(crate) fn is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Takes the bars away while `work` writes to the terminal.
pub(crate) fn without_bars<T>(work: impl FnOnce() -> T) -> T {
    BARS.suspend(work)
}

/// Writes to stderr, above the bars. If stderr is gone there is nobody to tell.
pub(crate) fn write(text: &[u8]) {
    without_bars(|| {
        let _ = io::stderr().lock().write_all(text);
    });
}

/// A writer for log lines.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        write(buffer);
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
