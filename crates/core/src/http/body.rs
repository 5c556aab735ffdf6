use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full};

/// A body that is streamed, of a request or a response. Its length is exact where it is known.
pub struct Body(BoxBody<Bytes, io::Error>);

impl Body {
    /// Takes a body of any kind.
    pub fn new(body: impl http_body::Body<Data = Bytes, Error = io::Error> + Send + Sync + 'static) -> Self {
        Self(body.boxed())
    }
}

/// Returns a body without bytes.
pub fn empty() -> Body {
    Body::new(Empty::new().map_err(|never| match never {}))
}

/// Returns a body of these bytes.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Body::new(Full::new(bytes.into()).map_err(|never| match never {}))
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        Pin::new(&mut self.0).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").finish_non_exhaustive()
    }
}
