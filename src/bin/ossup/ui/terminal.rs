//! Standard error, which bars, log lines and status lines share.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use console::{Style, Term};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};

use super::stderr;
use super::text::escaped;

/// How long the end of the program waits for a reader that does not read.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long anything else waits for one.
const MOMENT: Duration = Duration::from_millis(300);
/// How often a bar is drawn at most, in frames per second.
const FRAMES: u8 = 20;

/// All bars of the process. Everything else that is written to stderr goes above them.
static BARS: LazyLock<MultiProgress> = LazyLock::new(|| {
    let hidden = ProgressDrawTarget::stderr().is_hidden();
    MultiProgress::with_draw_target(match hidden {
        true => ProgressDrawTarget::hidden(),
        false => ProgressDrawTarget::term_like_with_hz(Box::new(Canvas::default()), FRAMES),
    })
});

/// Returns a place for a line of progress below those that there are.
pub(crate) fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{msg}").expect("the template is well-formed");
    BARS.add(ProgressBar::new(1).with_style(style))
}

/// Removes a line of progress.
pub(crate) fn end_bar(bar: &ProgressBar) {
    bar.finish_and_clear();
    BARS.remove(bar);
}

/// Returns how many columns a line of progress may have: one less than the terminal, which wraps a full line.
pub(crate) fn width() -> usize {
    usize::from(Term::stderr().size().1).saturating_sub(1).max(1)
}

/// Removes the bars for good, and what a terminal shows of the key that ended the program.
pub(crate) fn end_bars() {
    let _ = BARS.clear();
    if is_terminal() {
        stderr::push(b"\r");
    }
}

/// Whether stderr is a terminal.
pub(crate) fn is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Removes the bars while `work` writes to the terminal.
pub(crate) fn without_bars<T>(work: impl FnOnce() -> T) -> T {
    BARS.suspend(work)
}

/// Writes to stderr, above the bars, without waiting for its reader.
pub(crate) fn write(text: &[u8]) {
    without_bars(|| stderr::push(text));
}

/// Waits a moment for what was written to be read, so that what comes by another way comes after it.
pub(crate) fn flush() {
    stderr::drain(MOMENT, &|| false);
}

/// Waits until the last lines are read: at a terminal, which may be halted, until `stopped`; at anything else not
/// for long.
pub(crate) fn finish(stopped: &dyn Fn() -> bool) {
    let patience = if is_terminal() { Duration::MAX } else { PATIENCE };
    if !stderr::drain(patience, stopped) {
        stderr::drain(MOMENT, &|| false);
    }
}

/// Whether stderr shows colours: a terminal does, unless `NO_COLOR` or `CLICOLOR=0` is set; `CLICOLOR_FORCE` asks
/// for them anywhere.
pub(crate) fn has_colours() -> bool {
    console::colors_enabled_stderr()
}

/// The word that starts a line on stderr, in its colour.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Label {
    Error,
    Warning,
    Hint,
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, style) = match self {
            Self::Error => ("error:", Style::new().red()),
            Self::Warning => ("warning:", Style::new().yellow()),
            Self::Hint => ("hint:", Style::new().cyan()),
        };
        style.for_stderr().bold().apply_to(word).fmt(f)
    }
}

/// A writer for log lines.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        // The colours are those of the log itself; it escapes those of others.
        let kept: &[char] = if has_colours() { &['\n', '\t', '\x1b'] } else { &['\n', '\t'] };
        write(escaped(&String::from_utf8_lossy(buffer), kept).as_bytes());
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What bars are drawn on: collects a frame and hands it over as a whole.
#[derive(Debug, Default)]
struct Canvas(Mutex<String>);

impl Canvas {
    fn add(&self, text: &str) -> io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_str(text);
        Ok(())
    }

    fn step(&self, count: usize, direction: char) -> io::Result<()> {
        if count == 0 { Ok(()) } else { self.add(&format!("\x1b[{count}{direction}")) }
    }
}

impl TermLike for Canvas {
    fn width(&self) -> u16 {
        Term::stderr().size().1
    }

    fn height(&self) -> u16 {
        Term::stderr().size().0
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.step(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.step(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.step(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.step(n, 'D')
    }

    fn write_line(&self, s: &str) -> io::Result<()> {
        self.add(s)?;
        self.add("\n")
    }

    fn write_str(&self, s: &str) -> io::Result<()> {
        self.add(s)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.add("\r\x1b[2K")
    }

    fn flush(&self) -> io::Result<()> {
        let frame = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if !frame.is_empty() {
            stderr::push(frame.as_bytes());
        }
        Ok(())
    }
}
