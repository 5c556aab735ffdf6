//! Standard error behind a queue: a reader that stops delays neither the work nor the signals.
//!
//! A separate thread writes. What does not fit into the queue is dropped, line by line, and counted.

use std::io;
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::{Output, counted};

/// How much waits for its reader: all events of an upload of 10,000 parts.
const CAPACITY: usize = 4 << 20;
/// How much is handed to the system at once.
const PIECE: usize = 64 << 10;
/// How long to wait when another process made stderr non-blocking.
const BUSY: Duration = Duration::from_millis(20);

/// How often a wait checks whether it was stopped.
const LOOK: Duration = Duration::from_millis(50);

/// Standard error of this process.
static STDERR: LazyLock<Queue> =
    LazyLock::new(|| Queue::new(|bytes| Ok(rustix::io::write(rustix::stdio::stderr(), bytes)?)));
/// How lost lines are reported.
static OUTPUT: OnceLock<Output> = OnceLock::new();

/// Has lines that had to be dropped reported in the form of `output`.
pub(super) fn report_lost_lines(output: Output) {
    let _ = OUTPUT.set(output);
}

/// Queues text to be written. Never waits.
pub(super) fn push(text: &[u8]) {
    STDERR.push(text);
}

/// Waits until everything is written, nothing was for `patience`, or `stopped` is true. Returns whether it is written.
pub(super) fn drain(patience: Duration, stopped: &dyn Fn() -> bool) -> bool {
    STDERR.drain(patience, stopped)
}

/// Writes some of the bytes and returns how many.
type Write = dyn Fn(&[u8]) -> io::Result<usize> + Send + Sync;

struct Queue {
    shared: Arc<Shared>,
    /// Whether the thread runs. Without one each text is written at once.
    threaded: OnceLock<bool>,
}

struct Shared {
    write: Box<Write>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    /// Bytes that the thread has taken and not yet written.
    in_hand: usize,
    /// Bytes that were written so far.
    written: u64,
    /// Lines that were dropped since the last one that was not.
    lost: usize,
    /// The reader is gone.
    closed: bool,
}

impl Queue {
    fn new(write: impl Fn(&[u8]) -> io::Result<usize> + Send + Sync + 'static) -> Self {
        let shared = Shared { write: Box::new(write), state: Mutex::default(), changed: Condvar::new() };
        Self { shared: Arc::new(shared), threaded: OnceLock::new() }
    }

    fn push(&self, text: &[u8]) {
        let threaded = *self.threaded.get_or_init(|| {
            let shared = Arc::clone(&self.shared);
            let builder = std::thread::Builder::new().name("stderr".to_owned()).stack_size(128 << 10);
            builder.spawn(move || shared.serve()).is_ok()
        });
        if !threaded {
            self.shared.write_all(text);
            return;
        }
        let mut state = self.shared.state();
        if state.closed {
            return;
        }
        if state.waiting.len() + state.in_hand + text.len() > CAPACITY {
            state.lost += text.iter().filter(|byte| **byte == b'\n').count();
            return;
        }
        let lost = std::mem::take(&mut state.lost);
        if let (1.., Some(output)) = (lost, OUTPUT.get()) {
            let lines = counted(lost as u64, "line", "lines");
            let notice = format!("{lines} missing here, because stderr was not read");
            state.waiting.extend_from_slice(output.remark_line(&notice).unwrap_or_default().as_bytes());
        }
        state.waiting.extend_from_slice(text);
        self.shared.changed.notify_all();
    }

    fn drain(&self, patience: Duration, stopped: &dyn Fn() -> bool) -> bool {
        let mut state = self.shared.state();
        let (mut written, mut moved) = (state.written, Instant::now());
        while !state.closed && (state.in_hand > 0 || !state.waiting.is_empty()) {
            if state.written != written {
                (written, moved) = (state.written, Instant::now());
            }
            let left = patience.saturating_sub(moved.elapsed());
            if left.is_zero() || stopped() {
                return false;
            }
            let waited = self.shared.changed.wait_timeout(state, left.min(LOOK));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what is queued, until the reader is gone.
    fn serve(&self) {
        loop {
            let mut state = self.state();
            while state.waiting.is_empty() {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            let taken = std::mem::take(&mut state.waiting);
            state.in_hand = taken.len();
            drop(state);
            if !self.write_all(&taken) {
                return;
            }
        }
    }

    /// Writes all of `text`. Returns whether there is still a reader.
    fn write_all(&self, mut text: &[u8]) -> bool {
        while !text.is_empty() {
            // Stderr's own lock is not taken: a panicking thread would wait for it.
            let result = (self.write)(&text[..text.len().min(PIECE)]);
            let mut state = self.state();
            match result {
                Ok(count @ 1..) => {
                    text = &text[count.min(text.len())..];
                    state.in_hand = text.len();
                    state.written += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    drop(self.changed.wait_timeout(state, BUSY));
                    continue;
                }
                Ok(0) | Err(_) => {
                    *state = State { closed: true, ..State::default() };
                    self.changed.notify_all();
                    return false;
                }
            }
            self.changed.notify_all();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// A queue whose reader takes one piece for each permit.
    fn queue() -> (Queue, mpsc::Sender<()>, Arc<Mutex<Vec<u8>>>) {
        let (permit, permits) = mpsc::channel();
        let permits = Mutex::new(permits);
        let read = Arc::new(Mutex::new(Vec::new()));
        let reader = Arc::clone(&read);
        let queue = Queue::new(move |bytes| {
            let given = permits.lock().unwrap().recv();
            given.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
            reader.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        });
        (queue, permit, read)
    }

    #[test]
    fn a_reader_that_stops_holds_nothing_up() {
        let (queue, permit, read) = queue();
        let line = [&[b'x'; 1023][..], b"\n"].concat();
        for _ in 0..2 * CAPACITY / line.len() {
            queue.push(&line);
        }
        let state = queue.shared.state();
        assert!(state.waiting.len() + state.in_hand <= CAPACITY, "memory is bounded");
        assert_eq!(state.lost, CAPACITY / line.len());
        drop(state);
        assert!(!queue.drain(Duration::from_millis(20), &|| false));
        for _ in 0..2 * CAPACITY / PIECE {
            permit.send(()).unwrap();
        }
        assert!(queue.drain(Duration::from_secs(60), &|| false));
        assert_eq!(read.lock().unwrap().len(), CAPACITY, "what was taken in is written once it is read");
    }

    #[test]
    fn a_reader_that_is_gone_ends_the_writing() {
        let (queue, permit, _) = queue();
        drop(permit);
        queue.push(b"a\n");
        assert!(queue.drain(Duration::from_secs(60), &|| false), "nothing is waited for");
        queue.push(b"b\n");
        assert!(queue.shared.state().waiting.is_empty());
    }

    #[test]
    fn what_is_handed_over_is_written_in_order() {
        let (queue, permit, read) = queue();
        for number in 0..100 {
            permit.send(()).unwrap();
            queue.push(format!("{number}\n").as_bytes());
        }
        assert!(queue.drain(Duration::from_secs(60), &|| false));
        let expected: String = (0..100).map(|number| format!("{number}\n")).collect();
        assert_eq!(String::from_utf8(read.lock().unwrap().clone()).unwrap(), expected);
    }
}
