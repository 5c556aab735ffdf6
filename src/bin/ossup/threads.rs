//! The threads that the command runs on. The system may refuse some or all: `ulimit -u`, or a container's limit.

use std::io;
use std::sync::mpsc;
use std::thread::{self, Builder};
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::failure::{Failure, Kind};

/// Threads for file reads and name look-ups that are started at once and kept: the runtime panics when it cannot
/// start the first, and waits forever when all are blocked. One may be waiting for an answer that is never typed.
const BLOCKING: usize = 2;
/// One more writes to stderr; it is optional.
const OTHERS: usize = 1;
/// How long a started thread may take to run.
const STARTING: Duration = Duration::from_secs(30);
/// How long a thread may still count after it has ended.
const COUNTED: Duration = Duration::from_millis(200);

/// Starts the runtime with a thread for each processor, or with as many as the system allows.
///
/// # Errors
///
/// When too few can be started.
pub(crate) fn runtime() -> Result<Runtime, Failure> {
    let wanted = thread::available_parallelism().map_or(1, usize::from);
    // Twice what is needed, since those of this trial count for a moment after they have ended.
    let (possible, refused) = startable(2 * (wanted + BLOCKING + OTHERS));
    let workers = match &refused {
        None => wanted,
        Some(_) => wanted.min(possible.saturating_sub(BLOCKING + OTHERS)),
    };
    if let (0, Some(error)) = (workers, &refused) {
        return Err(cannot_start(error));
    }
    if refused.is_some() {
        pause();
    }
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(workers).thread_keep_alive(Duration::from_secs(u32::MAX.into())).enable_all();
    let runtime = builder.build().map_err(|error| cannot_start(&error))?;
    if !start_blocking(&runtime) {
        runtime.shutdown_background();
        return Err(cannot_start(&io::ErrorKind::TimedOut.into()));
    }
    Ok(runtime)
}

fn cannot_start(error: &io::Error) -> Failure {
    let failure = Failure::from_error(Kind::Other, error).context("cannot start the threads that are needed");
    failure.hint("raise the process limit: `ulimit -u`, or the container's (pids)")
}

/// Returns how many of this many threads can be started, and why no more.
fn startable(count: usize) -> (usize, Option<io::Error>) {
    let mut held = Vec::new();
    let mut refused = None;
    while held.len() < count && refused.is_none() {
        let (keep, released) = mpsc::channel::<()>();
        let waiting = move || {
            let _ = released.recv();
        };
        match Builder::new().stack_size(64 << 10).spawn(waiting) {
            Ok(thread) => held.push((keep, thread)),
            Err(error) => refused = Some(error),
        }
    }
    let possible = held.len();
    for (keep, thread) in held {
        drop(keep);
        let _ = thread.join();
    }
    (possible, refused)
}

/// Starts the blocking threads, all at once, and returns whether they run.
fn start_blocking(runtime: &Runtime) -> bool {
    let (started, running) = mpsc::channel::<()>();
    let mut held = Vec::new();
    for _ in 0..BLOCKING {
        let (keep, released) = mpsc::channel::<()>();
        let started = started.clone();
        runtime.spawn_blocking(move || {
            let _ = started.send(());
            let _ = released.recv();
        });
        held.push(keep);
    }
    (0..BLOCKING).all(|_| running.recv_timeout(STARTING).is_ok())
}

#[expect(clippy::disallowed_methods, reason = "nothing else runs yet")]
fn pause() {
    thread::sleep(COUNTED);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threads_that_block_are_there_from_the_beginning() {
        let runtime = runtime().unwrap();
        // If there were only one, the second would have to be started by now.
        let (go, wait) = mpsc::channel::<()>();
        let first = runtime.spawn_blocking(move || wait.recv());
        let second = runtime.spawn_blocking(move || go.send(()));
        runtime.block_on(async {
            second.await.unwrap().unwrap();
            first.await.unwrap().unwrap();
        });
    }

    #[test]
    fn what_was_tried_is_given_back() {
        assert_eq!(startable(3).0, 3);
    }
}
