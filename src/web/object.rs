use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use http::StatusCode;
use tokio::runtime::Handle;

use super::fetch::{Answer, Failure, Fetcher};
use super::head::{self, ContentRange, Version};
use super::{WebError, WebOptions, WebReader, WebSource, WebUrl, stream};
use crate::model::ByteRange;
use crate::source::SourceStream;

/// How much of a file the first request asks for, in bytes: enough to see whether it is a web page, and so little
/// that the connection can be used again.
const PROBE: u64 = 1024;

/// A file on the web, as the server described it when it was opened. No connection is kept.
#[derive(Debug)]
pub struct WebObject {
    pub(super) fetcher: Arc<Fetcher>,
    pub(super) probe: Probe,
}

/// What a server says about a file.
#[derive(Debug)]
pub(super) struct Probe {
    pub(super) version: Arc<Version>,
    pub(super) length: Option<u64>,
    /// Whether ranges are served, of a version that can be told from others.
    pub(super) ranged: bool,
}

impl WebObject {
    /// Asks the server for the beginning of a file, follows redirects and takes in what it says.
    ///
    /// # Errors
    ///
    /// When the server cannot be reached, refuses, or sends a web page or an encoded file.
    pub async fn open(url: WebUrl, options: WebOptions) -> Result<Self, WebError> {
        let fetcher = Arc::new(Fetcher::new(url, options));
        let probe = fetcher.repeat(Duration::MAX, async || probe(&fetcher).await).await?;
        Ok(Self { fetcher, probe })
    }

    /// Returns the URL as it was given.
    pub fn url(&self) -> &WebUrl {
        &self.fetcher.first
    }

    /// Returns the length in bytes, if the server says it.
    pub fn length(&self) -> Option<u64> {
        self.probe.length
    }

    /// Returns what tells this version from another.
    pub fn version(&self) -> &Version {
        &self.probe.version
    }

    /// Returns the file as a positional source if the server serves ranges and tells one version from another;
    /// otherwise itself again.
    ///
    /// # Errors
    ///
    /// The file, which can be read as a stream only.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, on which the source's blocking reads run.
    pub fn by_ranges(self) -> Result<WebSource, Self> {
        match self.probe.length {
            Some(length) if self.probe.ranged => {
                Ok(WebSource::new(self.fetcher, self.probe.version, length, Handle::current()))
            }
            _ => Err(self),
        }
    }

    /// Returns the bytes of the whole file. Where the server serves ranges, they come over several connections, and the
    /// stream survives those that break. It ends with an error unless all bytes arrived that the server spoke of; a file without a length may
    /// have been cut unnoticed if the server marks its end by closing the connection alone.
    #[doc(hidden)]
    pub fn stream(&self) -> SourceStream {
        let (fetcher, version) = (Arc::clone(&self.fetcher), Arc::clone(&self.probe.version));
        match self.probe.length {
            Some(length) if self.probe.ranged => stream::by_ranges(fetcher, version, length),
            length => stream::whole(fetcher, version, length),
        }
    }

    /// Returns the bytes of [`stream`](Self::stream) to a thread that may wait.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn reader(&self) -> WebReader {
        WebReader::new(Handle::current(), self.stream())
    }

    /// Returns the whole of a small file, such as a checksum file.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is longer than `limit` bytes.
    pub async fn small(&self, limit: usize) -> Result<Bytes, io::Error> {
        let too_long = || WebError::TooLong { url: self.url().to_string(), limit };
        if self.probe.length.is_some_and(|length| length > limit as u64) {
            return Err(too_long().into());
        }
        let mut all = BytesMut::new();
        let mut stream = self.stream();
        while let Some(bytes) = stream.try_next().await? {
            if bytes.len() > limit - all.len() {
                return Err(too_long().into());
            }
            all.extend_from_slice(&bytes);
        }
        Ok(all.freeze())
    }
}

/// Asks for the beginning of a file. A HEAD would cost less, but what servers say to it is often not true of a GET.
pub(super) async fn probe(fetcher: &Fetcher) -> Result<Probe, Failure> {
    let mut answer = fetcher.get(Some(ByteRange::new(0, PROBE)), None).await?;
    let version = Version::of(&answer.headers);
    let strong = version.is_strong(head::date(&answer.headers, fetcher.options.clock.now()));
    let said = ContentRange::of(&answer.headers);
    let (length, ranges) = match (answer.status, said) {
        (StatusCode::OK, _) => (head::content_length(&answer.headers), false),
        (StatusCode::RANGE_NOT_SATISFIABLE, Some(ContentRange { length: Some(0), .. })) => (Some(0), false),
        (StatusCode::PARTIAL_CONTENT, Some(ContentRange { range: Some(range), length }))
            if range == ByteRange::new(0, length.unwrap_or(PROBE).min(PROBE)) =>
        {
            (length, length.is_some())
        }
        (status, _) => {
            let what = format!(
                "it answered {} to a request for the first {PROBE} bytes, with no Content-Range that fits",
                status.as_u16()
            );
            return Err(Failure::never(WebError::Contradiction { url: answer.url.to_string(), what }));
        }
    };
    if answer.status != StatusCode::RANGE_NOT_SATISFIABLE {
        look_inside(fetcher, &mut answer, length.filter(|_| ranges)).await?;
    }
    Ok(Probe { version: Arc::new(version), length, ranged: ranges && strong })
}

/// Looks for a web page. A range is read to its end, so that its connection can be used again.
async fn look_inside(fetcher: &Fetcher, answer: &mut Answer, ranged: Option<u64>) -> Result<(), Failure> {
    let is_page = head::is_page(&answer.headers);
    let wanted = ranged.map_or(if is_page { PROBE } else { 0 }, |length| length.min(PROBE));
    let mut beginning = BytesMut::new();
    while (beginning.len() as u64) < wanted {
        match fetcher.chunk(answer, beginning.len() as u64).await? {
            Some(bytes) => beginning.extend_from_slice(&bytes),
            None if ranged.is_some() => return Err(fetcher.ended_early(beginning.len() as u64)),
            None => break,
        }
    }
    if is_page && head::begins_like_page(&beginning) {
        return Err(Failure::never(WebError::Page { url: answer.url.to_string() }));
    }
    Ok(())
}
