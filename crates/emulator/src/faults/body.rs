use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use ossup_core::http::Body;

/// Where in a body something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    /// In front of this byte, or at the end of a shorter body.
    Byte(u64),
    End,
}

/// What happens there.
#[derive(Debug)]
pub(super) enum BodyFault {
    /// The body fails with the error, once.
    Fail(Option<io::Error>),
    /// The body pauses; without a time for ever.
    Pause(Option<Duration>),
}

/// A body to which something happens on its way.
pub(super) struct FaultyBody {
    inner: Body,
    passed: u64,
    incident: Option<(At, BodyFault)>,
    /// The byte of which a bit is flipped.
    flipped: Option<u64>,
    /// Bytes for each second.
    rate: Option<u64>,
    waiting: Option<Pin<Box<Sleep>>>,
    /// What arrived and has yet to be handed on.
    held: Option<Bytes>,
}

impl FaultyBody {
    fn new(inner: Body) -> Self {
        let (incident, flipped, rate, waiting, held) = (None, None, None, None, None);
        Self { inner, passed: 0, incident, flipped, rate, waiting, held }
    }

    pub(super) fn happening(inner: Body, at: At, incident: BodyFault) -> Body {
        Body::new(Self { incident: Some((at, incident)), ..Self::new(inner) })
    }

    pub(super) fn flipped(inner: Body, byte: u64) -> Body {
        Body::new(Self { flipped: Some(byte), ..Self::new(inner) })
    }

    pub(super) fn slow(inner: Body, bytes_per_second: u64) -> Body {
        Body::new(Self { rate: Some(bytes_per_second.max(1)), ..Self::new(inner) })
    }

    /// Returns how many bytes may pass before the incident.
    fn free(&self) -> u64 {
        match &self.incident {
            Some((At::Byte(byte), _)) => byte.saturating_sub(self.passed),
            Some((At::End, _)) | None => u64::MAX,
        }
    }

    /// Lets the incident happen; ready with nothing once it is over.
    fn happen(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Error>> {
        match &mut self.incident {
            None => Poll::Ready(None),
            Some((_, BodyFault::Fail(error))) => {
                let error = error.take();
                self.incident = None;
                Poll::Ready(error)
            }
            Some((_, BodyFault::Pause(None))) => Poll::Pending,
            Some((_, BodyFault::Pause(Some(time)))) => {
                let time = *time;
                ready!(self.waiting.get_or_insert_with(|| Box::pin(sleep(time))).as_mut().poll(cx));
                (self.waiting, self.incident) = (None, None);
                Poll::Ready(None)
            }
        }
    }

    /// Hands on what is held, up to the incident.
    fn hand_on(&mut self, mut data: Bytes) -> Bytes {
        let free = self.free();
        if (data.len() as u64) > free {
            self.held = Some(data.split_off(usize::try_from(free).expect("less than a length")));
        }
        let start = self.passed;
        self.passed += data.len() as u64;
        match self.flipped {
            Some(byte) if (start..self.passed).contains(&byte) => {
                let mut changed = BytesMut::from(&data[..]);
                changed[usize::try_from(byte - start).expect("within a block")] ^= 0x20;
                changed.freeze()
            }
            _ => data,
        }
    }
}

impl HttpBody for FaultyBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        if this.free() == 0
            && let Some(error) = ready!(this.happen(cx))
        {
            return Poll::Ready(Some(Err(error)));
        }
        let data = match this.held.take() {
            Some(data) => data,
            None => match ready!(Pin::new(&mut this.inner).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(ready!(this.happen(cx)).map(Err)),
            },
        };
        if let Some(rate) = this.rate {
            let time = Duration::from_secs_f64(data.len() as f64 / rate as f64);
            if ready_after(&mut this.waiting, time, cx).is_pending() {
                this.held = Some(data);
                return Poll::Pending;
            }
        }
        let data = this.hand_on(data);
        if data.is_empty() {
            // The incident is right in front of what is held now.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

fn ready_after(waiting: &mut Option<Pin<Box<Sleep>>>, time: Duration, cx: &mut Context<'_>) -> Poll<()> {
    ready!(waiting.get_or_insert_with(|| Box::pin(sleep(time))).as_mut().poll(cx));
    *waiting = None;
    Poll::Ready(())
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;
    use ossup_core::http::full;

    fn error() -> BodyFault {
        BodyFault::Fail(Some(io::Error::other("scripted")))
    }

    async fn collected(mut body: Body) -> (Vec<u8>, bool) {
        let mut bytes = Vec::new();
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => bytes.extend_from_slice(&frame.into_data().unwrap()),
                Err(_) => return (bytes, true),
            }
        }
        (bytes, false)
    }

    #[tokio::test]
    async fn a_body_fails_at_its_byte_or_at_its_end() {
        for (at, expected) in [
            (At::Byte(0), &b""[..]),
            (At::Byte(4), b"0123"),
            (At::Byte(10), b"0123456789"),
            (At::Byte(99), b"0123456789"),
            (At::End, b"0123456789"),
        ] {
            let body = FaultyBody::happening(full("0123456789"), at, error());
            assert_eq!(collected(body).await, (expected.to_vec(), true), "{at:?}");
        }
        let body = FaultyBody::happening(ossup_core::http::empty(), At::End, error());
        assert_eq!(collected(body).await, (vec![], true));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_pauses_and_goes_on() {
        let started = tokio::time::Instant::now();
        let pause = BodyFault::Pause(Some(Duration::from_secs(7)));
        let body = FaultyBody::happening(full("0123456789"), At::Byte(5), pause);
        assert_eq!(collected(body).await, (b"0123456789".to_vec(), false));
        assert_eq!(started.elapsed().as_secs(), 7);
        let body = FaultyBody::slow(full("0123456789"), 2);
        assert_eq!(collected(body).await, (b"0123456789".to_vec(), false));
        assert_eq!(started.elapsed().as_secs(), 12);
        let never = FaultyBody::happening(full("x"), At::Byte(1), BodyFault::Pause(None));
        assert!(tokio::time::timeout(Duration::from_secs(99), collected(never)).await.is_err());
    }

    #[tokio::test]
    async fn one_bit_of_one_byte_changes() {
        let body = FaultyBody::flipped(full("abcd"), 2);
        assert_eq!(collected(body).await, (b"abCd".to_vec(), false));
    }
}
