//! The bytes of a file in order, over as many connections as that takes.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, TryStreamExt, try_unfold};
use futures::{StreamExt, TryFutureExt};

use super::WebError;
use super::fetch::{Answer, Attempts, Failure, Fetcher};
use super::head::{self, Difference, Version};
use crate::model::ByteRange;
use crate::source::SourceStream;

/// How many bytes are asked for at a time where a whole file is read by ranges.
const PIECE: u64 = 4 << 20;
/// How many pieces are on their way at a time: as many are held in memory until those before them have passed.
const CONNECTIONS: usize = 4;

/// Reads a whole file of `length` bytes whose version tells equal bytes, in order and over several connections.
pub(super) fn by_ranges(fetcher: Arc<Fetcher>, version: Arc<Version>, length: u64) -> SourceStream {
    let piece = move |index: u64| {
        let range = ByteRange::new(index * PIECE, ((index + 1) * PIECE).min(length));
        let bytes = ranged(Arc::clone(&fetcher), Arc::clone(&version), length, range);
        bytes.try_collect().map_ok(|chunks: Vec<Bytes>| stream::iter(chunks.into_iter().map(Ok)))
    };
    stream::iter(0..length.div_ceil(PIECE)).map(piece).buffered(CONNECTIONS).try_flatten().boxed()
}

/// Reads a range of a file of `length` bytes whose version tells equal bytes. What breaks goes on where it broke.
pub(super) fn ranged(
    fetcher: Arc<Fetcher>,
    version: Arc<Version>,
    length: u64,
    range: ByteRange,
) -> SourceStream {
    let state = Ranged {
        fetcher,
        version,
        length,
        at: range.start,
        end: range.end,
        body: None,
        attempts: Attempts::new(),
    };
    try_unfold(state, |mut state| async move {
        let next = state.next().await.map_err(io::Error::from)?;
        Ok(next.map(|bytes| (bytes, state)))
    })
    .boxed()
}

struct Ranged {
    fetcher: Arc<Fetcher>,
    version: Arc<Version>,
    length: u64,
    at: u64,
    end: u64,
    body: Option<Answer>,
    attempts: Attempts,
}

impl Ranged {
    async fn next(&mut self) -> Result<Option<Bytes>, WebError> {
        loop {
            match self.attempt().await {
                Ok(Some(bytes)) => {
                    self.at += bytes.len() as u64;
                    self.attempts = Attempts::new();
                    return Ok(Some(bytes));
                }
                Ok(None) => return Ok(None),
                Err(failure) => {
                    self.body = None;
                    tokio::time::sleep(self.attempts.next(failure, &self.fetcher)?).await;
                }
            }
        }
    }

    async fn attempt(&mut self) -> Result<Option<Bytes>, Failure> {
        let left = self.end - self.at;
        if left == 0 {
            return self.finish().await;
        }
        let answer = match &mut self.body {
            Some(answer) => answer,
            None => {
                let rest = ByteRange::new(self.at, self.end);
                self.body.insert(self.fetcher.range(rest, &self.version, self.length).await?)
            }
        };
        match self.fetcher.chunk(answer, self.at).await? {
            Some(bytes) if bytes.len() as u64 > left => Err(too_long(answer, "than the range that it is of")),
            Some(bytes) => Ok(Some(bytes)),
            None => Err(self.fetcher.ended_early(self.at)),
        }
    }

    /// Looks whether the body ends where its range does. However the connection ends, all bytes are there then.
    async fn finish(&mut self) -> Result<Option<Bytes>, Failure> {
        let Some(mut answer) = self.body.take() else { return Ok(None) };
        match self.fetcher.chunk(&mut answer, self.at).await {
            Ok(Some(_)) => Err(too_long(&answer, "than the range that it is of")),
            Ok(None) | Err(_) => Ok(None),
        }
    }
}

/// Reads the whole file from its beginning over one connection. `length` is what the server said when the file was
/// opened. Before the first byte a failed attempt is made again; after it nothing can be continued.
pub(super) fn whole(fetcher: Arc<Fetcher>, version: Arc<Version>, length: Option<u64>) -> SourceStream {
    let state = Whole { fetcher, version, length, at: 0, body: None, ended: false };
    try_unfold(state, |mut state| async move {
        let next = state.next().await.map_err(io::Error::from)?;
        Ok(next.map(|bytes| (bytes, state)))
    })
    .boxed()
}

struct Whole {
    fetcher: Arc<Fetcher>,
    version: Arc<Version>,
    length: Option<u64>,
    at: u64,
    body: Option<Answer>,
    ended: bool,
}

impl Whole {
    async fn next(&mut self) -> Result<Option<Bytes>, WebError> {
        if self.ended {
            return Ok(None);
        }
        let mut attempts = Attempts::new();
        loop {
            match self.attempt().await {
                Ok(Some(bytes)) => {
                    self.at += bytes.len() as u64;
                    return Ok(Some(bytes));
                }
                Ok(None) => {
                    self.ended = true;
                    return Ok(None);
                }
                Err(failure) if self.at > 0 => {
                    return Err(match *failure.error {
                        cut @ WebError::Cut { .. } => WebError::NoContinuation(Box::new(cut)),
                        error => error,
                    });
                }
                Err(failure) => {
                    self.body = None;
                    tokio::time::sleep(attempts.next(failure, &self.fetcher)?).await;
                }
            }
        }
    }

    async fn attempt(&mut self) -> Result<Option<Bytes>, Failure> {
        if self.body.is_none() {
            self.body = Some(self.begin().await?);
        }
        let Some(answer) = &mut self.body else { return Ok(None) };
        match (self.fetcher.chunk(answer, self.at).await?, self.length) {
            (Some(bytes), Some(length)) if bytes.len() as u64 > length - self.at => {
                Err(too_long(answer, "than the server said"))
            }
            (Some(bytes), _) => Ok(Some(bytes)),
            (None, Some(length)) if self.at < length => Err(self.fetcher.ended_early(self.at)),
            (None, _) => Ok(None),
        }
    }

    async fn begin(&self) -> Result<Answer, Failure> {
        let answer = self.fetcher.get(None, None).await?;
        let url = answer.url.to_string();
        if answer.status != http::StatusCode::OK {
            let what = "it sent a range where the whole file was asked for".to_owned();
            return Err(Failure::never(WebError::Contradiction { url, what }));
        }
        if let Err(Difference::Changed(what)) = self.version.compare(&Version::of(&answer.headers)) {
            return Err(Failure::never(WebError::Changed { url, what }));
        }
        match (self.length, head::content_length(&answer.headers)) {
            (Some(length), Some(now)) if length != now => {
                let what = format!("it had {length} bytes and has {now}");
                Err(Failure::never(WebError::Changed { url, what }))
            }
            _ => Ok(answer),
        }
    }
}

fn too_long(answer: &Answer, than: &str) -> Failure {
    let what = format!("its body is longer {than}");
    Failure::never(WebError::Contradiction { url: answer.url.to_string(), what })
}
