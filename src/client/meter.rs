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

/// How long the peer may accept no byte of a body.
const IDLE_LIMIT: Duration = Duration::from_secs(20);
/// How long a small request may take in all. ImportImage alone needs more than the usual ten seconds.
const SHORT_LIMIT: Duration = Duration::from_secs(40);
/// How long the service may work on a Complete or a copy.
const LONG_LIMIT: Duration = Duration::from_secs(600);
/// How long the answer to a part may take once its last byte was handed over,
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
/// and the bytes that may still wait in buffers of the kernel at that moment.
const BUFFERED: u64 = 4 << 20;
/// The rate of one connection that is assumed until one was observed, in bytes per second.
const ASSUMED_RATE: u64 = 16 << 10;

/// What is known of a body on its way.
#[derive(Debug)]
pub(super) struct Meter {
    handed: AtomicU64,
    /// Whether the body waits for its own source, memory or bandwidth.
    pausing: AtomicBool,
    finished: AtomicBool,
    moved: Mutex<Instant>,
}

impl Meter {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            handed: AtomicU64::new(0),
            pausing: AtomicBool::new(false),
            finished: AtomicBool::new(false),
            moved: Mutex::new(Instant::now()),
        })
    }

    /// Returns how many bytes of the body were handed to the connection.
    pub(super) fn handed(&self) -> u64 {
        self.handed.load(Ordering::Relaxed)
    }

    fn touch(&self) {
        *self.moved.lock().expect("nothing panics while the lock is held") = Instant::now();
    }

    /// Returns how much longer may pass without progress, or what has taken too long.
    pub(super) fn time_left(
        &self,
        class: TimeoutClass,
        rate: Option<u64>,
        now: Instant,
    ) -> Result<Duration, TransportError> {
        let (limit, what) = match class {
            TimeoutClass::Short => (SHORT_LIMIT, "the service did not answer"),
            TimeoutClass::Long => (LONG_LIMIT, "the service did not answer"),
            TimeoutClass::Upload if self.finished.load(Ordering::Relaxed) => {
                let flush = BUFFERED as f64 / rate.unwrap_or(ASSUMED_RATE).max(1) as f64;
                (
                    ANSWER_LIMIT + Duration::from_secs_f64(flush),
                    "the part was sent and the service did not answer",
                )
            }
            TimeoutClass::Upload if self.pausing.load(Ordering::Relaxed) => return Ok(IDLE_LIMIT),
            TimeoutClass::Upload => (IDLE_LIMIT, "the peer accepted no byte"),
        };
        let moved = *self.moved.lock().expect("nothing panics while the lock is held");
        let silent = now.saturating_duration_since(moved);
        match limit.checked_sub(silent) {
            Some(left) if !left.is_zero() => Ok(left),
            _ => Err(TransportError::new(
                TransportErrorKind::Timeout,
                format!("{what} for {} s", silent.as_secs()),
            )),
        }
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

    #[tokio::test(start_paused = true)]
    async fn limits_count_time_without_progress() {
        let meter = Meter::new();
        let mut body = Metered::body(full("12345"), &meter);
        let left = |class| meter.time_left(class, Some(1 << 20), Instant::now());
        assert_eq!(left(TimeoutClass::Upload).unwrap(), IDLE_LIMIT);
        tokio::time::advance(Duration::from_secs(19)).await;
        assert_eq!(left(TimeoutClass::Upload).unwrap(), Duration::from_secs(1));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(left(TimeoutClass::Upload).unwrap_err().kind, TransportErrorKind::Timeout);
        assert!(left(TimeoutClass::Short).is_ok() && left(TimeoutClass::Long).is_ok());

        body.frame().await.unwrap().unwrap();
        assert_eq!(meter.handed(), 5);
        assert_eq!(left(TimeoutClass::Upload).unwrap(), ANSWER_LIMIT + Duration::from_secs(4));
        tokio::time::advance(Duration::from_secs(64)).await;
        assert!(left(TimeoutClass::Upload).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_waits_for_its_own_source_is_not_the_peers_fault() {
        let meter = Meter::new();
        let silent =
            http_body_util::StreamBody::new(futures::stream::pending::<Result<Frame<Bytes>, io::Error>>());
        let mut body = Metered::body(Body::new(silent), &meter);
        assert!(tokio::time::timeout(Duration::from_secs(300), body.frame()).await.is_err());
        assert!(meter.time_left(TimeoutClass::Upload, None, Instant::now()).is_ok());
    }
}
