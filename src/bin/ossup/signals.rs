//! Signals: the first asks to stop gently, the second stops at once.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ossup::CancellationToken;
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};
use tokio::time::Instant;

use crate::failure::{Failure, Kind, Signal};
use crate::ui::{Output, terminal};

/// Signals that follow the first within this time belong to it: `timeout` and shells signal a process, and then
/// its group.
const ONE_REQUEST: Duration = Duration::from_secs(1);

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
        // Reaching a file's size limit (`ulimit -f`) must fail that write and not end the process. The listener is
        // dropped: it only replaces the signal's default action.
        drop(signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?);
        let mut interrupt = unless_ignored(SignalKind::interrupt())?;
        let mut terminate = Some(signal(SignalKind::terminate())?);
        let mut hangup = unless_ignored(SignalKind::hangup())?;
        let shared = stop.clone();
        tokio::spawn(async move {
            let mut first: Option<Instant> = None;
            loop {
                let signal = tokio::select! {
                    () = next(&mut interrupt) => Signal::Interrupt,
                    () = next(&mut terminate) => Signal::Terminate,
                    () = next(&mut hangup) => Signal::Hangup,
                };
                match first {
                    Some(first) if first.elapsed() < ONE_REQUEST => {}
                    Some(_) => {
                        let signal = shared.signal().unwrap_or(signal);
                        terminal::end_bars();
                        output.status("stopped at once; acknowledged parts are kept");
                        terminal::flush();
                        std::process::exit(i32::from(Kind::Interrupted(signal).exit_code()));
                    }
                    None => {
                        first = Some(Instant::now());
                        *shared.signal.lock().unwrap_or_else(PoisonError::into_inner) = Some(signal);
                        output.status("stopping; a second signal stops at once");
                        shared.token.cancel();
                    }
                }
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

    /// Runs a future that needs no gentle stop: the first signal drops it.
    pub(crate) async fn or<T>(&self, future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        tokio::select! {
            result = future => result,
            () = self.token.cancelled() => Err(self.failure("stopped")),
        }
    }

    /// Whether a signal has come.
    pub(crate) fn is_asked(&self) -> bool {
        self.signal().is_some()
    }

    fn signal(&self) -> Option<Signal> {
        *self.signal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for the next signal of a stream; for ever where there is none.
async fn next(stream: &mut Option<Stream>) {
    if let Some(stream) = stream
        && stream.recv().await.is_some()
    {
        return;
    }
    std::future::pending().await
}

/// Listens for a signal, unless it was ignored when the process started: `nohup` does that with SIGHUP, and a shell
/// without job control with the SIGINT of what runs in the background. The process is then meant to continue.
fn unless_ignored(kind: SignalKind) -> std::io::Result<Option<Stream>> {
    let ignored = std::fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores(&status, kind));
    if ignored { Ok(None) } else { signal(kind).map(Some) }
}

/// Whether a process of this status ignores a signal, where the system reports that.
fn ignores(status: &str, kind: SignalKind) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (kind.as_raw_value() - 1) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ignored_signal_is_seen() {
        let (hangup, interrupt) = (SignalKind::hangup(), SignalKind::interrupt());
        for (status, ignored) in [
            ("Name:\tx\nSigIgn:\t0000000000001001\nSigCgt:\t0\n", [true, false]),
            ("SigIgn:\t0000000000001006\n", [false, true]),
            ("SigIgn:\t0000000000001000\n", [false, false]),
            ("SigIgn:\tzz\n", [false, false]),
            ("", [false, false]),
        ] {
            assert_eq!([ignores(status, hangup), ignores(status, interrupt)], ignored, "{status}");
        }
    }

    #[tokio::test]
    async fn a_cancelled_command_fails_as_interrupted() {
        let stop = Stop::default();
        stop.token().cancel();
        let failure = stop.or(std::future::pending::<Result<(), Failure>>()).await.unwrap_err();
        assert_eq!(failure.kind, Kind::Interrupted(Signal::Interrupt));
    }
}
