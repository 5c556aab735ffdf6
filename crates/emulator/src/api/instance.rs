//! What is kept of an instance, and how it shows at a moment.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::clock::Millis;
use super::entry::Token;

/// An instance that RunInstances made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Instance {
    pub(super) id: String,
    pub(super) region: String,
    pub(super) name: String,
    /// The image that its system disk is a copy of.
    pub(super) image: String,
    pub(super) os_type: String,
    pub(super) instance_type: String,
    pub(super) vswitch: String,
    pub(super) security_group: String,
    pub(super) tags: Vec<(String, String)>,
    pub(super) created: Timestamp,
    /// When it was made, on the clock of imports: it starts on that.
    pub(super) since: Millis,
    /// When it is released without being asked, by the time of day.
    pub(super) release_at: Option<Timestamp>,
    /// Whether it is gone.
    pub(super) released: bool,
    /// What it says on its serial line, in the end.
    pub(super) console: Vec<String>,
    /// The call that made it, to be answered again.
    pub(super) token: Option<Token>,
}

/// What share of a start shows it in each of these states, in percent, one after the other; then it runs.
const STATES: [(u64, &str); 2] = [(10, "Pending"), (20, "Starting")];

impl Instance {
    /// Returns how much of the start has passed, in percent.
    fn percent(&self, now: Millis, start: Duration) -> u64 {
        let start = u64::try_from(start.as_millis()).unwrap_or(u64::MAX).max(1);
        (now.saturating_sub(self.since).saturating_mul(100) / start).min(100)
    }

    /// Returns its state as DescribeInstances shows it.
    pub(super) fn status(&self, now: Millis, start: Duration) -> &'static str {
        let percent = self.percent(now, start);
        STATES.iter().find(|(until, _)| percent < *until).map_or("Running", |(_, state)| state)
    }

    /// Returns what it has said so far, a line at a time.
    pub(super) fn said(&self, now: Millis, start: Duration) -> String {
        let silent = STATES[STATES.len() - 1].0;
        let percent = self.percent(now, start).saturating_sub(silent);
        let lines = self.console.len() as u64 * percent / (100 - silent);
        let said = self.console.iter().take(usize::try_from(lines).unwrap_or_default());
        let mut text: String = said.flat_map(|line| [line.as_str(), "\r\n"]).collect();
        // A prompt waits at its end.
        if text.ends_with(" \r\n") {
            text.truncate(text.len() - 2);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_silent_until_it_runs_and_then_says_line_after_line() {
        let console = ["a", "b", "c", "login: "].map(str::to_owned).to_vec();
        let instance = Instance {
            id: "i-1".to_owned(),
            region: "cn-hangzhou".to_owned(),
            name: String::new(),
            image: "m-1".to_owned(),
            os_type: "linux".to_owned(),
            instance_type: "ecs.g7.large".to_owned(),
            vswitch: "vsw-1".to_owned(),
            security_group: "sg-1".to_owned(),
            tags: Vec::new(),
            created: Timestamp::UNIX_EPOCH,
            since: 1000,
            release_at: None,
            released: false,
            console,
            token: None,
        };
        let start = Duration::from_secs(10);
        let at = |seconds: u64| {
            let now = 1000 + seconds * 1000;
            (instance.status(now, start), instance.said(now, start))
        };
        assert_eq!(at(0), ("Pending", String::new()));
        assert_eq!(at(1), ("Starting", String::new()));
        assert_eq!(at(6), ("Running", "a\r\nb\r\n".to_owned()));
        assert_eq!(at(60), ("Running", "a\r\nb\r\nc\r\nlogin: ".to_owned()));
    }
}
