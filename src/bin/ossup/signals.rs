//! Signals: the first asks to stop gently, the second stops at once.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::failure::{Failure, Kind, Signal};
use crate::ui::{Output, terminal};

/// What was asked of the process so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop {
    token: CancellationToken,
    signal: Arc<Mutex<Option<Signal>>>,
}

impl Stop {
    /// Listens for signals from now on.
    ///
    /// # Errors
    ///
    /// When the system refuses the handlers.
    pub(crate) fn listen(output: Output) -> std::io::Result<Self> {
        let stop = Self::default();
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        // `nohup` means that the end of the terminal shall not end the upload.
        let mut hangup = if hangup_is_ignored() { None } else { Some(signal(SignalKind::hangup())?) };
        let shared = stop.clone();
        tokio::spawn(async move {
            loop {
                let hung_up = async {
                    match &mut hangup {
                        Some(signal) => signal.recv().await,
                        None => std::future::pending().await,
                    }
                };
                let signal = tokio::select! {
                    _ = interrupt.recv() => Signal::Interrupt,
                    _ = terminate.recv() => Signal::Terminate,
                    _ = hung_up => Signal::Hangup,
                };
                if shared.signal().is_some() {
                    terminal::end_bars();
                    output.remark("stopped at once; what was acknowledged is kept");
                    std::process::exit(i32::from(Kind::Interrupted(signal).exit_code()));
                }
                *shared.signal.lock().unwrap_or_else(PoisonError::into_inner) = Some(signal);
                output.remark("stopping; once more stops at once");
                shared.token.cancel();
            }
        });
        Ok(stop)
    }

    /// Returns the token that the first signal cancels.
    pub(crate) fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// Returns the failure of a command that was asked to stop.
    pub(crate) fn failure(&self, message: impl Into<String>) -> Failure {
        // Without a signal something else cancelled, which counts as an interruption too.
        let signal = self.signal().unwrap_or(Signal::Interrupt);
        Failure::new(Kind::Interrupted(signal), message)
    }

    /// Runs a future that needs no gentle end: the first signal drops it.
    pub(crate) async fn or<T>(&self, future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        tokio::select! {
            result = future => result,
            () = self.token.cancelled() => Err(self.failure("stopped")),
        }
    }

    fn signal(&self) -> Option<Signal> {
        *self.signal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether SIGHUP was ignored when the process began, where the system tells.
fn hangup_is_ignored() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores_hangup(&status))
}

fn ignores_hangup(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ignored_hangup_is_seen() {
        assert!(ignores_hangup("Name:\tx\nSigIgn:\t0000000000001001\nSigCgt:\t0\n"));
        assert!(!ignores_hangup("SigIgn:\t0000000000001000\n"));
        assert!(!ignores_hangup("SigIgn:\tzz\n") && !ignores_hangup(""));
    }

    #[tokio::test]
    async fn a_cancelled_command_fails_as_interrupted() {
        let stop = Stop::default();
        stop.token().cancel();
        let failure = stop.or(std::future::pending::<Result<(), Failure>>()).await.unwrap_err();
        assert_eq!(failure.kind, Kind::Interrupted(Signal::Interrupt));
    }
}
