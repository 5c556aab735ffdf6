use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::Fetch;
use crate::clock::Clock;
use crate::credentials::{BoxFuture, Credentials, CredentialsError, CredentialsProvider};

/// Credentials are renewed when this much of their life is left, or a fifth of it if that is less: the service's
/// limit for a part in flight is when it begins, so a margin for the parts on their way suffices.
const RENEW_BEFORE: Duration = Duration::from_secs(300);
/// After a renewal failed, the old credentials are used for this long before it is tried again.
const HOLD_OFF: Duration = Duration::from_secs(10);

/// Keeps fetched credentials and renews them, once for all callers.
#[derive(Debug)]
pub(super) struct Refreshing {
    fetch: Arc<dyn Fetch>,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// Held while fetching, so that all others wait for the one result.
    flight: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    kept: Option<Kept>,
    /// Counts fetches, so that a caller that waited for one can see that it ended.
    fetches: u64,
    failure: Option<CredentialsError>,
}

#[derive(Debug, Clone)]
struct Kept {
    credentials: Credentials,
    /// From when on they are to be renewed; never if they do not end.
    renew_at: Option<Timestamp>,
}

impl Kept {
    fn new(credentials: Credentials, now: Timestamp) -> Self {
        // Credentials that arrive expired mean that the clock here is wrong. The service refuses them once they are.
        let renew_at = credentials.expires.filter(|end| *end > now).map(|end| {
            let life = Duration::try_from(end.duration_since(now)).unwrap_or_default();
            end - RENEW_BEFORE.min(life / 5)
        });
        Self { credentials, renew_at }
    }

    fn is_fresh(&self, now: Timestamp) -> bool {
        self.renew_at.is_none_or(|at| now < at)
    }

    fn is_valid(&self, now: Timestamp) -> bool {
        self.credentials.expires.is_none_or(|end| now < end)
    }
}

impl Refreshing {
    pub(super) fn new(fetch: Arc<dyn Fetch>, clock: Arc<dyn Clock>) -> Self {
        Self { fetch, clock, state: Mutex::default(), flight: tokio::sync::Mutex::new(()) }
    }

    async fn current(&self, rejected: Option<&Credentials>) -> Result<Credentials, CredentialsError> {
        let usable = |state: &State, now: Timestamp| {
            let kept = state.kept.as_ref()?;
            (rejected != Some(&kept.credentials) && kept.is_fresh(now)).then(|| kept.credentials.clone())
        };
        let fetches = {
            let state = self.state();
            if let Some(credentials) = usable(&state, self.clock.now()) {
                return Ok(credentials);
            }
            state.fetches
        };
        let _flight = self.flight.lock().await;
        {
            let state = self.state();
            if let Some(credentials) = usable(&state, self.clock.now()) {
                return Ok(credentials);
            }
            // Another caller's fetch failed while this one waited for it: the failure is this one's too.
            if let Some(failure) = state.failure.as_ref().filter(|_| state.fetches != fetches) {
                return Err(failure.clone());
            }
        }
        let result = self.fetch.fetch().await;
        let now = self.clock.now();
        let mut state = self.state();
        state.fetches += 1;
        match result {
            Ok(credentials) => {
                state.failure = None;
                state.kept = Some(Kept::new(credentials.clone(), now));
                Ok(credentials)
            }
            Err(failure) => {
                if let Some(kept) = &mut state.kept
                    && rejected != Some(&kept.credentials)
                    && kept.is_valid(now)
                {
                    tracing::warn!(%failure, "credentials cannot be renewed yet; the old ones are still good");
                    kept.renew_at = Some(now + HOLD_OFF);
                    return Ok(kept.credentials.clone());
                }
                state.failure = Some(failure.clone());
                Err(failure)
            }
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CredentialsProvider for Refreshing {
    fn credentials<'a>(
        &'a self,
        rejected: Option<&'a Credentials>,
    ) -> BoxFuture<'a, Result<Option<Credentials>, CredentialsError>> {
        Box::pin(async move { self.current(rejected).await.map(Some) })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;
    use crate::provider::testing::Standing;

    /// Gives numbered credentials that live 3600 s, after a moment in which others can ask; `false` fails.
    #[derive(Debug)]
    struct Numbered {
        clock: Arc<Standing>,
        script: Mutex<VecDeque<bool>>,
        asked: Mutex<u32>,
    }

    impl Fetch for Numbered {
        fn fetch(&self) -> BoxFuture<'_, Result<Credentials, CredentialsError>> {
            Box::pin(async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                let number = {
                    let mut asked = self.asked.lock().unwrap();
                    *asked += 1;
                    *asked
                };
                if self.script.lock().unwrap().pop_front() == Some(false) {
                    let (provider, reason) = ("a test".to_owned(), format!("refusal {number}"));
                    return Err(CredentialsError { provider, reason, transient: true });
                }
                let end = self.clock.now() + Duration::from_secs(3600);
                Ok(Credentials::new(format!("STS.{number}"), "s").with_token("t").with_expiry(end))
            })
        }
    }

    fn provider(script: &[bool]) -> (Refreshing, Arc<Standing>, Arc<Numbered>) {
        let clock = Arc::new(Standing::at("2026-01-01T00:00:00Z"));
        let fetch = Arc::new(Numbered {
            clock: Arc::clone(&clock),
            script: Mutex::new(script.iter().copied().collect()),
            asked: Mutex::new(0),
        });
        (
            Refreshing::new(Arc::clone(&fetch) as Arc<dyn Fetch>, Arc::clone(&clock) as Arc<dyn Clock>),
            clock,
            fetch,
        )
    }

    async fn id(provider: &Refreshing, rejected: Option<&Credentials>) -> String {
        provider.credentials(rejected).await.unwrap().unwrap().access_key_id
    }

    #[tokio::test(start_paused = true)]
    async fn credentials_are_kept_and_renewed_before_they_end() {
        let (provider, clock, _) = provider(&[]);
        assert_eq!(id(&provider, None).await, "STS.1");
        clock.pass(3299);
        assert_eq!(id(&provider, None).await, "STS.1");
        clock.pass(1);
        assert_eq!(id(&provider, None).await, "STS.2");
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_ahead_does_not_make_every_request_ask_anew() {
        let (_, _, fetch) = provider(&[]);
        let ahead = Standing::at("2026-01-01T08:00:00Z");
        let provider = Refreshing::new(Arc::clone(&fetch) as Arc<dyn Fetch>, Arc::new(ahead));
        let first = provider.credentials(None).await.unwrap().unwrap();
        assert_eq!(id(&provider, None).await, "STS.1");
        assert_eq!(id(&provider, Some(&first)).await, "STS.2", "the service says when they are too old");
    }

    #[tokio::test(start_paused = true)]
    async fn sixty_four_parts_whose_credentials_expire_at_once_share_one_refresh() {
        let (provider, clock, fetch) = provider(&[]);
        let old = provider.credentials(None).await.unwrap().unwrap();
        for rejected in [None, Some(&old)] {
            let before = *fetch.asked.lock().unwrap();
            if rejected.is_none() {
                clock.pass(3600);
            }
            let current = provider.state().kept.clone().unwrap().credentials;
            let rejected = rejected.map(|_| &current);
            let ids = futures::future::join_all((0..64).map(|_| id(&provider, rejected))).await;
            assert_eq!(*fetch.asked.lock().unwrap(), before + 1);
            assert!(ids.iter().all(|id| *id == format!("STS.{}", before + 1)), "{ids:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_refused_is_replaced_once_and_late_refusals_of_it_get_the_new_one() {
        let (provider, _, fetch) = provider(&[]);
        let first = provider.credentials(None).await.unwrap().unwrap();
        assert_eq!(id(&provider, Some(&first)).await, "STS.2");
        assert_eq!(id(&provider, Some(&first)).await, "STS.2");
        assert_eq!(*fetch.asked.lock().unwrap(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_renewal_keeps_what_is_still_good() {
        let (provider, clock, fetch) = provider(&[true, false, false, true]);
        assert_eq!(id(&provider, None).await, "STS.1");
        clock.pass(3400);
        assert_eq!(id(&provider, None).await, "STS.1");
        assert_eq!(id(&provider, None).await, "STS.1");
        assert_eq!(*fetch.asked.lock().unwrap(), 2, "not asked again at once");
        clock.pass(10);
        assert_eq!(id(&provider, None).await, "STS.1");
        clock.pass(10);
        assert_eq!(id(&provider, None).await, "STS.4");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_shared_by_all_who_waited_and_asked_for_again_later() {
        let (provider, clock, fetch) = provider(&[true, false, true]);
        id(&provider, None).await;
        clock.pass(4000);
        let results = futures::future::join_all((0..8).map(|_| provider.credentials(None))).await;
        assert!(results.iter().all(|result| result.as_ref().is_err_and(|error| error.transient)));
        assert_eq!(*fetch.asked.lock().unwrap(), 2);
        assert_eq!(id(&provider, None).await, "STS.3");
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_goes_away_leaves_the_others_theirs() {
        let (provider, ..) = provider(&[]);
        let gone = tokio::time::timeout(Duration::from_millis(1), provider.credentials(None)).await;
        assert!(gone.is_err());
        assert_eq!(id(&provider, None).await, "STS.1");
    }
}
