//! The log on stderr: one line a request with `-v`, more with `-vv`.

use tracing_subscriber::EnvFilter;

use super::terminal::{LogWriter, is_terminal};

/// Starts the log. Without `-v` there are only warnings.
pub(crate) fn log(verbose: u8) {
    let filter = match verbose {
        0 => "ossup=warn",
        1 => "ossup=warn,ossup::request=info",
        _ => "ossup=trace",
    };
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_ansi(is_terminal())
        .with_target(false)
        .with_writer(|| LogWriter)
        .init();
}
