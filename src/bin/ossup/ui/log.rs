//! The log on stderr: one line per request with `-v`, more with `-vv`.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::terminal::{LogWriter, has_colours};

/// Starts the log. Without `-v` there are only warnings.
pub(super) fn log(verbose: u8) {
    let targets = Targets::new();
    let targets = match verbose {
        0 => targets.with_target("ossup", LevelFilter::WARN),
        1 => targets.with_target("ossup", LevelFilter::WARN).with_target("ossup::request", LevelFilter::INFO),
        _ => targets.with_target("ossup", LevelFilter::TRACE),
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(has_colours())
        .with_target(false)
        .with_writer(|| LogWriter);
    tracing_subscriber::registry().with(targets).with(lines).init();
}
