use std::time::Duration;

use super::backoff::Backoff;
use crate::protocol::RetryClass;

/// "Few" in the service's error tables: this many attempts in all.
const FEW_ATTEMPTS: u32 = 3;
/// How often a clock is corrected without a wait before it.
const FIXES_AT_ONCE: u32 = 2;

/// What happens after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Wait and send again.
    Again(Duration),
    /// Wait, correct the clock, and send again at once.
    FixClock(Duration),
    /// Ask for other credentials, then send again at once.
    Refresh,
    /// Stop.
    GiveUp,
}

/// The failed attempts of one request so far.
///
/// Counts limit only what the service's tables limit; everything else is limited by the time without progress.
#[derive(Debug, Clone, Copy, Default)]
pub struct RetryState {
    retries: u32,
    few: u32,
    reread: bool,
    clock_fixes: u32,
    refreshed: bool,
}

impl RetryState {
    /// Decides what follows an attempt that failed with `action`.
    ///
    /// `budget_left` is the rest of the time without progress that is allowed; `throw` is between 0 and 1;
    /// `asked` is what the service asked to wait.
    pub fn next(
        &mut self,
        action: RetryClass,
        budget_left: Duration,
        throw: f64,
        asked: Option<Duration>,
    ) -> Decision {
        let backoff = match action {
            RetryClass::Retry => Backoff::NORMAL,
            RetryClass::Throttled => Backoff::THROTTLED,
            RetryClass::RetryFew => {
                self.few += 1;
                if self.few >= FEW_ATTEMPTS {
                    return Decision::GiveUp;
                }
                Backoff::NORMAL
            }
            RetryClass::RetryOnce => {
                if std::mem::replace(&mut self.reread, true) {
                    return Decision::GiveUp;
                }
                Backoff::NORMAL
            }
            // A clock that was set once may be set again, and back.
            RetryClass::FixClock if !budget_left.is_zero() => {
                self.clock_fixes += 1;
                let delay = match self.clock_fixes.saturating_sub(FIXES_AT_ONCE) {
                    0 => Duration::ZERO,
                    retry => Backoff::NORMAL.delay(retry, throw).min(budget_left),
                };
                return Decision::FixClock(delay);
            }
            RetryClass::RefreshCredentials if !self.refreshed => {
                self.refreshed = true;
                return Decision::Refresh;
            }
            RetryClass::FixClock
            | RetryClass::RefreshCredentials
            | RetryClass::OtherEndpoint
            | RetryClass::Settle
            | RetryClass::Never => return Decision::GiveUp,
        };
        if budget_left.is_zero() {
            return Decision::GiveUp;
        }
        self.retries += 1;
        // The last wait ends with the budget, so that the budget's last moment is still tried.
        let delay = backoff.delay(self.retries, throw).max(asked.unwrap_or_default());
        Decision::Again(delay.min(budget_left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(1800);

    #[test]
    fn time_limits_plain_retries_and_nothing_else() {
        let mut state = RetryState::default();
        for _ in 0..500 {
            assert!(matches!(state.next(RetryClass::Retry, LONG, 0.5, None), Decision::Again(_)));
        }
        let rest = Duration::from_millis(3);
        assert_eq!(state.next(RetryClass::Retry, rest, 0.9, None), Decision::Again(rest));
        assert_eq!(state.next(RetryClass::Retry, Duration::ZERO, 0.9, None), Decision::GiveUp);
    }

    #[test]
    fn counted_actions_stop_at_their_count() {
        for (action, again) in [
            (RetryClass::RetryFew, 2),
            (RetryClass::RetryOnce, 1),
            (RetryClass::RefreshCredentials, 1),
            (RetryClass::Never, 0),
            (RetryClass::OtherEndpoint, 0),
            (RetryClass::Settle, 0),
        ] {
            let mut state = RetryState::default();
            let mut count = 0;
            while state.next(action, LONG, 0.5, None) != Decision::GiveUp {
                count += 1;
            }
            assert_eq!(count, again, "{action:?}");
        }
    }

    #[test]
    fn a_clock_is_corrected_as_often_as_it_is_set() {
        let mut state = RetryState::default();
        for count in 1..500 {
            let Decision::FixClock(delay) = state.next(RetryClass::FixClock, LONG, 0.5, None) else {
                panic!("given up after {count}");
            };
            assert_eq!(delay.is_zero(), count <= FIXES_AT_ONCE, "{count}");
        }
        assert_eq!(state.next(RetryClass::FixClock, Duration::ZERO, 0.5, None), Decision::GiveUp);
    }

    #[test]
    fn what_the_service_asks_to_wait_is_waited() {
        let asked = Some(Duration::from_secs(7));
        assert_eq!(
            RetryState::default().next(RetryClass::Throttled, LONG, 0.1, asked),
            Decision::Again(Duration::from_secs(7))
        );
    }
}
