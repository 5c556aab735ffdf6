//! Watches a request's body pass, so that limits count time without progress and no pause of our own.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::Instant;

use crate::http::{Body, TransportError, TransportErrorKind};
use crate::protocol::TimeoutClass;

/// The connection counts as stalled, and not the line, once the others have sent this many bytes each, on average,
/// in that time: far more than libraries and kernel buffer at once, and than the shares of one line differ by.
const OTHERS_GET_ON: u64 = 8 << 20;
/// How long the peer may accept no byte of a body while other connections make progress ([`OTHERS_GET_ON`]).
const IDLE_LIMIT: Duration = Duration::from_secs(20);
/// How long the peer may accept no byte where nothing shows that the connection has stalled and not the line: the
/// others make no progress either, or there are none, and the line is not known to be fast.
const STILL_LIMIT: Duration = Duration::from_secs(40);
/// Bytes that the libraries may take from a body before they ask for more: progress shows only once those are gone. A
/// slow connection is given smaller pieces, so that it takes less at once.
const TAKEN_AT_ONCE: u64 = 128 << 10;
/// A connection at least this fast, in bytes per second, sends more than [`TAKEN_AT_ONCE`] in less time.
const FAST: u64 = 1 << 20;
/// How long a small request may take in all. ImportImage alone needs more than the usual ten seconds.
const SHORT_LIMIT: Duration = Duration::from_secs(40);
/// How long the service may work on a Complete or a copy.
const LONG_LIMIT: Duration = Duration::from_secs(600);
/// How long the answer to a part may take once its last byte was handed over, and beyond that the time that all of
/// its bytes take: they may wait in the kernel, or in a proxy that takes a request whole before it passes it on.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
/// How many times slower than the average a connection may be that shares its line with others.
const UNEVEN: f64 = 8.0;
/// The rate of one connection that is assumed until one was observed, in bytes per second.
const ASSUMED_RATE: u64 = 32 << 10;

/// How often the progress of the other connections is checked.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

const HELD: &str = "nothing panics while the lock is held";

/// What is known of a body on its way.
#[derive(Debug)]
pub(super) struct Meter {
    handed: AtomicU64,
    /// Whether the body waits for its own source, memory or bandwidth.
    pausing: AtomicBool,
    finished: AtomicBool,
    moved: Mutex<Moved>,
    /// All bodies of one upload that are on their way.
    together: Arc<Together>,
}

/// The last moment at which the connection asked for bytes.
#[derive(Debug)]
struct Moved {
    at: Instant,
    /// What all connections together had taken by then.
    together: u64,
}

/// What the bodies of one upload have in common: it shows whether one connection has stalled, or the line.
#[derive(Debug, Default)]
pub(super) struct Together {
    handed: AtomicU64,
    bodies: AtomicU64,
}

impl Meter {
    pub(super) fn new(together: &Arc<Together>) -> Arc<Self> {
        together.bodies.fetch_add(1, Ordering::Relaxed);
        let moved = Moved { at: Instant::now(), together: together.handed.load(Ordering::Relaxed) };
        Arc::new(Self {
            handed: AtomicU64::new(0),
            pausing: AtomicBool::new(false),
            finished: AtomicBool::new(false),
            moved: Mutex::new(moved),
            together: Arc::clone(together),
        })
    }

    /// Returns how many bytes of the body were handed to the connection.
    pub(super) fn handed(&self) -> u64 {
        self.handed.load(Ordering::Relaxed)
    }

    fn touch(&self) {
        let together = self.together.handed.load(Ordering::Relaxed);
        *self.moved.lock().expect(HELD) = Moved { at: Instant::now(), together };
    }

    /// Whether the other connections took so much since this one last took any that it is this one that has stalled.
    fn others_get_on(&self, since: u64) -> bool {
        let others = self.together.bodies.load(Ordering::Relaxed).saturating_sub(1);
        let handed = self.together.handed.load(Ordering::Relaxed) - since;
        others > 0 && handed / others >= OTHERS_GET_ON
    }

    /// Returns how much longer may pass without progress, or what has taken too long.
    pub(super) fn time_left(
        &self,
        class: TimeoutClass,
        rate: Option<u64>,
        now: Instant,
    ) -> Result<Duration, TransportError> {
        let (at, together) = {
            let moved = self.moved.lock().expect(HELD);
            (moved.at, moved.together)
        };
        let at_its_share = |bytes: u64| {
            let rate = rate.unwrap_or(ASSUMED_RATE).max(1) as f64;
            Duration::from_secs_f64(UNEVEN * bytes as f64 / rate)
        };
        let (limit, what) = match class {
            TimeoutClass::Short => (SHORT_LIMIT, "the service did not answer"),
            TimeoutClass::Long => (LONG_LIMIT, "the service did not answer"),
            TimeoutClass::Upload if self.finished.load(Ordering::Relaxed) => {
                let limit = ANSWER_LIMIT + at_its_share(self.handed());
                (limit, "the part was sent and the service did not answer")
            }
            TimeoutClass::Upload if self.pausing.load(Ordering::Relaxed) => return Ok(IDLE_LIMIT),
            TimeoutClass::Upload => {
                let fast = rate.is_some_and(|rate| rate >= FAST);
                let (limit, taken) = if fast { (IDLE_LIMIT, 4) } else { (STILL_LIMIT, 1) };
                let still = limit + at_its_share(taken * TAKEN_AT_ONCE);
                let limit = if self.others_get_on(together) { IDLE_LIMIT } else { still };
                (limit, "the peer accepted no byte")
            }
        };
        let silent = now.saturating_duration_since(at);
        match limit.checked_sub(silent) {
            // The progress of the others is checked now and then.
            Some(left) if !left.is_zero() => Ok(left.min(IDLE_LIMIT.saturating_sub(silent).max(LOOK_AGAIN))),
            _ => Err(TransportError::new(
                TransportErrorKind::Timeout,
                format!("{what} for {} s", silent.as_secs()),
            )),
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.together.bodies.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A body under a meter.
pub(super) struct Metered {
    inner: Body,
    meter: Arc<Meter>,
}

impl Metered {
    pub(super) fn body(inner: Body, meter: &Arc<Meter>) -> Body {
        Body::new(Self { inner, meter: Arc::clone(meter) })
    }
}

impl http_body::Body for Metered {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = self.get_mut();
        this.meter.touch();
        let polled = Pin::new(&mut this.inner).poll_frame(cx);
        this.meter.pausing.store(polled.is_pending(), Ordering::Relaxed);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(bytes) = frame.data_ref()
        {
            this.meter.handed.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            this.meter.together.handed.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        }
        if matches!(&polled, Poll::Ready(None)) || this.inner.is_end_stream() {
            this.meter.finished.store(true, Ordering::Relaxed);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;
    use crate::http::full;

    const RATE: Option<u64> = Some(1 << 20);

    fn left(meter: &Meter, class: TimeoutClass) -> Result<Duration, TransportError> {
        meter.time_left(class, RATE, Instant::now())
    }

    /// The moment at which a limit ends it, in seconds from now.
    async fn ends_after(meter: &Meter, class: TimeoutClass) -> u64 {
        let began = Instant::now();
        while let Ok(left) = left(meter, class) {
            tokio::time::advance(left).await;
        }
        began.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn limits_count_time_without_progress() {
        let meter = Meter::new(&Arc::default());
        let mut body = Metered::body(full("12345"), &meter);
        assert_eq!(ends_after(&meter, TimeoutClass::Upload).await, 24, "4 s for what shows nowhere");
        assert!(left(&meter, TimeoutClass::Short).is_ok() && left(&meter, TimeoutClass::Long).is_ok());

        body.frame().await.unwrap().unwrap();
        assert_eq!(meter.handed(), 5);
        assert_eq!(ends_after(&meter, TimeoutClass::Upload).await, 60);
        assert_eq!(ends_after(&meter, TimeoutClass::Short).await, 0, "40 s are over");

        let slow = Meter::new(&Arc::default());
        let limit = async |rate| {
            let began = Instant::now();
            while let Ok(left) = slow.time_left(TimeoutClass::Upload, rate, Instant::now()) {
                tokio::time::advance(left).await;
            }
            slow.touch();
            began.elapsed().as_secs()
        };
        assert_eq!((limit(None).await, limit(Some(16 << 10)).await), (72, 104));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_stands_still_is_given_up_sooner_if_others_get_on() {
        let together = Arc::default();
        let others = [Meter::new(&together), Meter::new(&together)];
        let meter = Meter::new(&together);
        let send = async |megabytes: usize| {
            for other in &others {
                let mut body = Metered::body(full(vec![0; megabytes << 20]), other);
                body.frame().await.unwrap().unwrap();
            }
        };
        send(7).await;
        tokio::time::advance(Duration::from_secs(20)).await;
        assert!(left(&meter, TimeoutClass::Upload).is_ok(), "it may have the smaller share of the line");
        send(2).await;
        assert!(left(&meter, TimeoutClass::Upload).is_err());
        drop(others);
        assert!(left(&meter, TimeoutClass::Upload).is_ok(), "nobody is left to compare it with");
    }

    #[tokio::test(start_paused = true)]
    async fn the_answer_may_take_as_long_as_the_whole_part() {
        for (mebibytes, seconds) in [(1, 60 + 8), (100, 60 + 800)] {
            let meter = Meter::new(&Arc::default());
            let mut body = Metered::body(full(vec![0; mebibytes << 20]), &meter);
            body.frame().await.unwrap().unwrap();
            assert_eq!(ends_after(&meter, TimeoutClass::Upload).await, seconds);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_waits_for_its_own_source_is_not_the_peers_fault() {
        let meter = Meter::new(&Arc::default());
        let silent =
            http_body_util::StreamBody::new(futures::stream::pending::<Result<Frame<Bytes>, io::Error>>());
        let mut body = Metered::body(Body::new(silent), &meter);
        assert!(tokio::time::timeout(Duration::from_secs(300), body.frame()).await.is_err());
        assert!(meter.time_left(TimeoutClass::Upload, None, Instant::now()).is_ok());
    }
}
