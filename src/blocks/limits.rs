//! What several uploads share: memory for blocks, and bandwidth.

use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::PollSemaphore;

/// Bytes that are read and sent at a time.
pub const BLOCK_SIZE: usize = 256 << 10;
/// Blocks that one connection may hold: one on its way to the socket, one being read.
const BLOCKS_PER_CONNECTION: usize = 2;
/// Memory for blocks by default, in bytes: two for each of 64 connections.
pub const DEFAULT_MAX_MEMORY: u64 = (64 * BLOCKS_PER_CONNECTION * BLOCK_SIZE) as u64;
/// The lowest bandwidth limit, in bytes per second (64 KiB/s).
pub const MIN_BANDWIDTH: u64 = 64 << 10;
/// Under a bandwidth limit this many pieces are sent per second: many connections share them, and the service closes
/// one that is silent for long.
const PIECES_PER_SECOND: u64 = 16;
/// The least bytes of a piece.
const MIN_PIECE: usize = 4 << 10;
/// How far sending may lag behind a bandwidth limit and still catch up.
const CATCH_UP: Duration = Duration::from_millis(100);

/// One handle for the limits that uploads of one process share. Clones are the same limits.
#[derive(Debug, Clone)]
pub struct Limits {
    pool: Arc<Pool>,
    max_connections: usize,
    bandwidth: Arc<Mutex<Bandwidth>>,
}

impl Default for Limits {
    fn default() -> Self {
        Self::new(DEFAULT_MAX_MEMORY)
    }
}

impl Limits {
    /// Allows `max_memory` bytes of blocks in flight, at least two blocks, and any bandwidth.
    pub fn new(max_memory: u64) -> Self {
        let blocks = (max_memory / BLOCK_SIZE as u64).clamp(BLOCKS_PER_CONNECTION as u64, 1 << 16) as usize;
        let pool = Pool { free: Mutex::default(), permits: Arc::new(Semaphore::new(blocks)), blocks };
        Self { pool: Arc::new(pool), max_connections: usize::MAX, bandwidth: Arc::default() }
    }

    /// Caps the connections of each upload (minimum 1).
    #[must_use]
    pub fn with_max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections.max(1);
        self
    }

    /// Returns how many bytes of blocks this many connections need.
    pub fn memory_for(connections: usize) -> u64 {
        (connections * BLOCKS_PER_CONNECTION * BLOCK_SIZE) as u64
    }

    /// Limits sending to this many bytes per second, or removes the limit. It takes effect at once, also on running
    /// uploads. Values under [`MIN_BANDWIDTH`] are raised to it.
    pub fn set_bandwidth(&self, bytes_per_second: Option<u64>) {
        let rate = bytes_per_second.map(|rate| rate.max(MIN_BANDWIDTH));
        *lock(&self.bandwidth) = Bandwidth { rate, next: None };
    }

    /// Returns the bandwidth limit in bytes per second.
    pub fn bandwidth(&self) -> Option<u64> {
        lock(&self.bandwidth).rate
    }

    /// Returns how many connections one upload may use: as many as the memory can feed, up to the cap.
    pub fn max_connections(&self) -> usize {
        (self.pool.blocks / BLOCKS_PER_CONNECTION).clamp(1, self.max_connections)
    }

    /// Returns what waits for blocks on behalf of one reader.
    pub(crate) fn waiter(&self) -> BlockWaiter {
        BlockWaiter { permits: PollSemaphore::new(Arc::clone(&self.pool.permits)), limits: self.clone() }
    }

    /// Returns how many bytes of blocks there are, free or not.
    pub(crate) fn memory(&self) -> u64 {
        (self.pool.blocks * BLOCK_SIZE) as u64
    }

    fn take(&self, permit: OwnedSemaphorePermit) -> Block {
        let recycled = lock(&self.pool.free).pop();
        let bytes = recycled.unwrap_or_else(|| vec![0; BLOCK_SIZE].into_boxed_slice());
        Block { bytes: Some(bytes), pool: Arc::clone(&self.pool), _permit: permit }
    }

    /// Returns how many bytes to send at a time.
    pub(crate) fn piece(&self) -> usize {
        match self.bandwidth() {
            Some(rate) => ((rate / PIECES_PER_SECOND) as usize).clamp(MIN_PIECE, BLOCK_SIZE),
            None => BLOCK_SIZE,
        }
    }

    /// Takes `count` bytes of bandwidth and returns how long to wait before they are sent.
    pub(crate) fn reserve(&self, count: usize, now: Instant) -> Duration {
        lock(&self.bandwidth).reserve(count as u64, now)
    }
}

/// Waits for free blocks.
#[derive(Debug)]
pub(crate) struct BlockWaiter {
    permits: PollSemaphore,
    limits: Limits,
}

impl BlockWaiter {
    /// Returns a block as soon as one is free. Its bytes are whatever they were before.
    pub(crate) fn poll_block(&mut self, cx: &mut Context<'_>) -> Poll<Block> {
        let permit = ready!(self.permits.poll_acquire(cx));
        Poll::Ready(self.limits.take(permit.expect("the semaphore is never closed")))
    }
}

/// Free blocks are kept, so that memory is neither allocated nor zeroed again for each.
#[derive(Debug)]
struct Pool {
    free: Mutex<Vec<Box<[u8]>>>,
    permits: Arc<Semaphore>,
    blocks: usize,
}

/// [`BLOCK_SIZE`] bytes that go back to their pool when dropped.
#[derive(Debug)]
pub(crate) struct Block {
    bytes: Option<Box<[u8]>>,
    pool: Arc<Pool>,
    _permit: OwnedSemaphorePermit,
}

impl Block {
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        self.bytes.as_deref_mut().expect("a block has its bytes until it is dropped")
    }

    /// Makes the first `length` bytes a buffer that gives the block back when its last clone is dropped.
    pub(crate) fn freeze(self, length: usize) -> bytes::Bytes {
        bytes::Bytes::from_owner(self).slice(..length)
    }
}

impl AsRef<[u8]> for Block {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_deref().expect("a block has its bytes until it is dropped")
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        lock(&self.pool.free).extend(self.bytes.take());
    }
}

/// A schedule of when the next byte may go: it keeps a moment, so that rounding does not add up.
#[derive(Debug, Default)]
struct Bandwidth {
    rate: Option<u64>,
    next: Option<Instant>,
}

impl Bandwidth {
    fn reserve(&mut self, count: u64, now: Instant) -> Duration {
        let Some(rate) = self.rate else { return Duration::ZERO };
        let earliest = now.checked_sub(CATCH_UP).unwrap_or(now);
        let start = self.next.unwrap_or(now).max(earliest);
        self.next = Some(start + Duration::from_secs_f64(count as f64 / rate as f64));
        start.saturating_duration_since(now)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nothing panics while the lock is held")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bandwidth_keeps_its_rate_over_any_five_seconds() {
        let mut bandwidth = Bandwidth { rate: Some(10 << 20), next: None };
        let start = Instant::now();
        let mut now = start;
        let mut sent: Vec<(f64, u64)> = Vec::new();
        for step in 0..2000u32 {
            now += bandwidth.reserve(BLOCK_SIZE as u64, now);
            // A receiver that is late now and then, and once for a whole second.
            now += Duration::from_millis(u64::from(step % 7 == 0) * 5 + u64::from(step == 900) * 1000);
            sent.push(((now - start).as_secs_f64(), BLOCK_SIZE as u64));
        }
        let total = sent.last().unwrap().0;
        for from in (0..(total as u64 - 5)).map(|s| s as f64) {
            let window: u64 =
                sent.iter().filter(|(t, _)| (from..from + 5.0).contains(t)).map(|(_, n)| n).sum();
            assert!(window as f64 <= 1.05 * 5.0 * f64::from(10 << 20), "{window} bytes from {from} s");
        }
        let bytes: u64 = sent.iter().map(|(_, n)| n).sum();
        assert!(bytes as f64 / (total - 0.9) >= 0.95 * f64::from(10 << 20));
    }

    #[tokio::test]
    async fn blocks_are_bounded_and_recycled() {
        let limits = Limits::new(2 * BLOCK_SIZE as u64);
        let mut waiter = limits.waiter();
        let mut block = async || std::future::poll_fn(|cx| waiter.poll_block(cx)).await;
        let first = block().await.freeze(10);
        let second = block().await;
        let third = tokio::time::timeout(Duration::from_millis(10), block()).await;
        assert!(third.is_err(), "two blocks are all there is");
        let at = second.as_ref().as_ptr();
        drop(second);
        assert_eq!(block().await.as_ref().as_ptr(), at);
        assert_eq!(first.len(), 10);
    }

    #[test]
    fn bandwidth_can_change_while_it_is_used() {
        let limits = Limits::default();
        let now = Instant::now();
        assert_eq!(limits.reserve(1 << 30, now), Duration::ZERO);
        limits.set_bandwidth(Some(MIN_BANDWIDTH));
        limits.reserve(2 * MIN_BANDWIDTH as usize, now);
        assert_eq!(limits.reserve(1, now), Duration::from_secs(2));
        limits.set_bandwidth(None);
        assert_eq!(limits.reserve(1 << 30, now), Duration::ZERO);
    }
}
