use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::TryStreamExt;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

use super::fetch::Fetcher;
use super::head::Version;
use super::{WebError, WebUrl, object, stream};
use crate::model::ByteRange;
use crate::read::{ReadAt, ReadError, check_range};

/// How much a small read fetches, in bytes: a look at the tables of an image should not be a request for each.
const WINDOW: u64 = 1 << 20;
/// How many such windows are kept: head, tables, end.
const WINDOWS: usize = 4;

const HELD: &str = "nothing panics while the lock is held";

/// What distinguishes one version of a file on the web from another, between runs too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebIdentity {
    /// The URL as it was given, without user, password and query.
    pub name: String,
    /// Length in bytes.
    pub length: u64,
    /// The version, by the server's words.
    #[serde(flatten)]
    pub version: Version,
}

/// A file on the web that is read at any position, of one version.
#[derive(Debug)]
pub struct WebSource {
    fetcher: Arc<Fetcher>,
    version: Arc<Version>,
    length: u64,
    runtime: Handle,
    windows: Mutex<VecDeque<Window>>,
}

/// Bytes that were fetched by an earlier read.
#[derive(Debug)]
struct Window {
    start: u64,
    bytes: Vec<u8>,
}

impl WebSource {
    pub(super) fn new(fetcher: Arc<Fetcher>, version: Arc<Version>, length: u64, runtime: Handle) -> Self {
        Self { fetcher, version, length, runtime, windows: Mutex::default() }
    }

    /// Returns the URL as it was given.
    pub fn url(&self) -> &WebUrl {
        &self.fetcher.first
    }

    /// Returns the identity of the version that was opened.
    pub fn identity(&self) -> WebIdentity {
        let version = Version::clone(&self.version);
        WebIdentity { name: self.url().to_string(), length: self.length, version }
    }

    /// Returns the bytes of a range as they arrive, by one request as long as the connection holds. What breaks
    /// goes on with the first byte that is missing.
    ///
    /// # Panics
    ///
    /// If the range does not lie inside the file.
    pub fn stream(&self, range: ByteRange) -> BoxStream<'static, io::Result<Bytes>> {
        assert!(range.end <= self.length, "a range lies inside its file");
        stream::ranged(Arc::clone(&self.fetcher), Arc::clone(&self.version), self.length, range)
    }

    /// Asks the server what it says about the file now.
    ///
    /// # Errors
    ///
    /// When the server cannot be reached or refuses; [`WebError::Changed`] if it says another version or length.
    pub async fn check(&self) -> Result<(), WebError> {
        let now = self.fetcher.repeat(async || object::probe(&self.fetcher).await).await?;
        let url = self.url().to_string();
        if now.length != Some(self.length) {
            let length =
                now.length.map_or_else(|| "an unknown number of".to_owned(), |length| length.to_string());
            return Err(WebError::Changed {
                url,
                what: format!("it had {} bytes and has {length}", self.length),
            });
        }
        self.version.compare(&now.version).map_err(|difference| difference.into_error(url))
    }

    /// Fills a buffer inside the file.
    fn fill(&self, mut offset: u64, mut buffer: &mut [u8]) -> io::Result<()> {
        if buffer.len() as u64 >= WINDOW {
            let range = ByteRange::new(offset, offset + buffer.len() as u64);
            return self.runtime.block_on(fill(self.stream(range), buffer));
        }
        // Others who read at the same moment want the same window more often than not.
        let mut windows = self.windows.lock().expect(HELD);
        while !buffer.is_empty() {
            let start = offset - offset % WINDOW;
            let at = match windows.iter().position(|window| window.start == start) {
                Some(at) => at,
                None => {
                    let range = ByteRange::new(start, (start + WINDOW).min(self.length));
                    let mut bytes = vec![0; range.len() as usize];
                    self.runtime.block_on(fill(self.stream(range), &mut bytes))?;
                    windows.truncate(WINDOWS - 1);
                    windows.push_front(Window { start, bytes });
                    0
                }
            };
            let held = &windows[at].bytes[(offset - start) as usize..];
            let count = held.len().min(buffer.len());
            let (now, rest) = buffer.split_at_mut(count);
            now.copy_from_slice(&held[..count]);
            (buffer, offset) = (rest, offset + count as u64);
        }
        Ok(())
    }
}

/// It must not be read on the threads of the async runtime, which bring the bytes.
impl ReadAt for WebSource {
    fn length(&self) -> u64 {
        self.length
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        check_range(self.length, offset, buffer.len())?;
        let length = buffer.len() as u64;
        self.fill(offset, buffer).map_err(|source| ReadError::Io { offset, length, source })
    }
}

/// Fills a buffer from a stream that gives as many bytes.
async fn fill(mut stream: BoxStream<'static, io::Result<Bytes>>, buffer: &mut [u8]) -> io::Result<()> {
    let mut filled = 0;
    while let Some(bytes) = stream.try_next().await? {
        buffer[filled..filled + bytes.len()].copy_from_slice(&bytes);
        filled += bytes.len();
    }
    Ok(())
}
