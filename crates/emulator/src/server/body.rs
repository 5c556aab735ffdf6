use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep};

/// The body of a request, which fails with [`io::ErrorKind::TimedOut`] when it pauses for too long.
#[derive(Debug)]
pub(super) struct IdleLimit {
    inner: Incoming,
    limit: Duration,
    /// Runs while the next bytes are awaited.
    pause: Option<Pin<Box<Sleep>>>,
}

impl IdleLimit {
    pub(super) fn new(inner: Incoming, limit: Duration) -> Self {
        Self { inner, limit, pause: None }
    }
}

impl Body for IdleLimit {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) {
            if let Some(pause) = &mut this.pause {
                pause.as_mut().reset(Instant::now() + this.limit);
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(io::Error::other)));
        }
        let limit = this.limit;
        ready!(this.pause.get_or_insert_with(|| Box::pin(sleep(limit))).as_mut().poll(cx));
        Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
