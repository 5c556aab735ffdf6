use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::TryStreamExt;
use tokio::runtime::Handle;

use super::fetch::Fetcher;
use super::head::Version;
use super::{WebError, WebUrl, object, stream};
use crate::model::ByteRange;
use crate::read::{ReadAt, ReadError, check_range};
use crate::source::{Source, SourceIdentity, SourceStream, WebIdentity};

/// How much a small read fetches, in bytes: a look at the tables of an image should not be a request for each.
const WINDOW: u64 = 1 << 20;
/// How many such windows are kept: head, tables, end.
const WINDOWS: usize = 4;

/// How long a server that does not answer is asked whether the file changed.
const LOOK_LIMIT: Duration = Duration::from_secs(60);

const HELD: &str = "nothing panics while the lock is held";

/// A file on the web that is read at any position, of one version.
#[derive(Debug)]
pub struct WebSource {
    fetcher: Arc<Fetcher>,
    version: Arc<Version>,
    length: u64,
    runtime: Handle,
    identity: SourceIdentity,
    windows: Mutex<VecDeque<Window>>,
    /// Whether the server is asked the next time that somebody looks for a change.
    asks: AtomicBool,
}

/// Bytes that were fetched by an earlier read.
#[derive(Debug)]
struct Window {
    start: u64,
    bytes: Vec<u8>,
}

impl WebSource {
    pub(super) fn new(fetcher: Arc<Fetcher>, version: Arc<Version>, length: u64, runtime: Handle) -> Self {
        let identity = identity(&fetcher.first, length, &version);
        let (windows, asks) = (Mutex::default(), AtomicBool::new(true));
        Self { fetcher, version, length, runtime, identity, windows, asks }
    }

    /// Returns the URL as it was given.
    pub fn url(&self) -> &WebUrl {
        &self.fetcher.first
    }

    /// Asks the server what it says about the file now.
    pub(super) async fn ask(&self) -> Result<SourceIdentity, WebError> {
        let now = self.fetcher.repeat(LOOK_LIMIT, async || object::probe(&self.fetcher).await).await?;
        let length = now.length.ok_or_else(|| WebError::Contradiction {
            url: self.url().to_string(),
            what: "it no longer says how long the file is".to_owned(),
        })?;
        Ok(identity(self.url(), length, &now.version))
    }

    fn range(&self, range: ByteRange) -> SourceStream {
        assert!(range.end <= self.length, "a range lies inside its file");
        let (fetcher, version) = (Arc::clone(&self.fetcher), Arc::clone(&self.version));
        stream::ranged(fetcher, version, self.length, range)
    }

    /// Fills a buffer inside the file.
    fn fill(&self, mut offset: u64, mut buffer: &mut [u8]) -> io::Result<()> {
        if buffer.len() as u64 >= WINDOW {
            let range = ByteRange::new(offset, offset + buffer.len() as u64);
            return self.runtime.block_on(fill(self.range(range), buffer));
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
                    self.runtime.block_on(fill(self.range(range), &mut bytes))?;
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

impl Source for WebSource {
    fn identity(&self) -> Option<&SourceIdentity> {
        Some(&self.identity)
    }

    /// Asks the server once after each [`settle`](Source::settle). In between, each answer is compared with the
    /// version that was opened, so that a look has nothing to add.
    fn current_identity(&self) -> io::Result<Option<SourceIdentity>> {
        if !self.asks.swap(false, Ordering::Relaxed) {
            return Ok(Some(self.identity.clone()));
        }
        Ok(Some(self.runtime.block_on(self.ask())?))
    }

    fn settle(&self) {
        self.asks.store(true, Ordering::Relaxed);
    }

    /// One request as long as the connection holds. What breaks goes on with the first byte that is missing.
    ///
    /// # Panics
    ///
    /// If the range does not lie inside the file.
    fn stream(&self, range: ByteRange) -> Option<SourceStream> {
        Some(self.range(range))
    }
}

fn identity(url: &WebUrl, length: u64, version: &Version) -> SourceIdentity {
    let Version { etag, last_modified } = version.clone();
    SourceIdentity::Web(WebIdentity::new(&url.to_string(), length, etag, last_modified))
}

/// Fills a buffer from a stream that gives as many bytes.
async fn fill(mut stream: SourceStream, buffer: &mut [u8]) -> io::Result<()> {
    let mut filled = 0;
    while let Some(bytes) = stream.try_next().await? {
        buffer[filled..filled + bytes.len()].copy_from_slice(&bytes);
        filled += bytes.len();
    }
    Ok(())
}
