//! What this machine gives: limits, and room for the state.

use std::fs::OpenOptions;
use std::io;
use std::num::NonZero;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::check::{Area, Check, Verdict};
use crate::blocks::{DEFAULT_MAX_MEMORY, HostLimits};
use crate::upload::DEFAULT_MAX_PARALLEL;

/// The state of an upload has some MiB at most: a journal of 10,000 parts.
const STATE_ROOM: u64 = 64 << 20;

/// Threads beside one for each processor: for file reads, name look-ups and the terminal.
const OTHER_THREADS: u64 = 3;
/// How many times the threads that are needed a limit should allow: it counts those of all programs of the user.
const ROOM_FOR_OTHERS: u64 = 8;

/// Judges the limits of this process.
pub fn limits(host: &HostLimits, threads: Option<NonZero<usize>>) -> Vec<Check> {
    let check = |id: &str, verdict, text| Check::new(Area::Machine, id, verdict, text);
    let parts = host.max_connections();
    let files = match host.open_files {
        None => check("open_files", Verdict::Ok, "any number of files may be open".to_owned()),
        Some(files) if parts < DEFAULT_MAX_PARALLEL => check(
            "open_files",
            Verdict::Warn,
            format!("{files} files may be open at a time, which allows {parts} parts in flight"),
        )
        .with_way_out("raise the limit: `ulimit -n 1024`, or LimitNOFILE= of the service"),
        Some(files) => check("open_files", Verdict::Ok, format!("{files} files may be open at a time")),
    };
    let memory = match host.memory {
        None => check("memory", Verdict::Unknown, "the memory of this machine is unknown".to_owned()),
        Some(memory) if host.max_memory() < DEFAULT_MAX_MEMORY => check(
            "memory",
            Verdict::Warn,
            format!(
                "there are {} MiB of memory, of which {} go into parts in flight",
                mib(memory),
                mib(host.max_memory())
            ),
        )
        .with_way_out("give the container more memory, or expect fewer parts in flight"),
        Some(memory) => check("memory", Verdict::Ok, format!("there are {} MiB of memory", mib(memory))),
    };
    let needed = threads.map_or(1, NonZero::get) as u64 + OTHER_THREADS;
    let processes = match host.processes {
        None => check("processes", Verdict::Ok, "any number of processes and threads may run".to_owned()),
        Some(most) if most < ROOM_FOR_OTHERS * needed => check(
            "processes",
            Verdict::Warn,
            format!("{most} processes and threads of this user may run, of which `ossup` takes {needed}"),
        )
        .with_way_out(
            "raise the limit: `ulimit -u 4096`, TasksMax= of the service, or the container's (pids)",
        ),
        Some(most) => {
            check("processes", Verdict::Ok, format!("{most} processes and threads of this user may run"))
        }
    };
    let processes = processes.with_facts(json!({"limit": host.processes, "threads": needed}));
    let threads = match threads.map(NonZero::get) {
        None => check("threads", Verdict::Unknown, "the number of processors is unknown".to_owned()),
        Some(1) => check("threads", Verdict::Ok, "one processor is ours".to_owned()),
        Some(count) => check("threads", Verdict::Ok, format!("{count} processors are ours")),
    };
    let facts = json!({"open_files": host.open_files, "parts_in_flight": parts.min(DEFAULT_MAX_PARALLEL)});
    vec![files.with_facts(facts), memory.with_facts(json!({"bytes": host.memory})), processes, threads]
}

/// Whether state can be kept in a directory, which need not exist yet. Nothing stays there.
pub fn state_dir(path: &Path) -> Check {
    let existing = existing(path);
    judge_state(path, try_write(&existing), free(&existing))
}

/// Returns the directory, or the nearest one above it that exists.
fn existing(path: &Path) -> PathBuf {
    path.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("/")).to_owned()
}

/// Makes a file and removes it.
fn try_write(folder: &Path) -> io::Result<()> {
    let file = folder.join(format!(".ossup-doctor-{}", uuid::Uuid::new_v4().simple()));
    OpenOptions::new().write(true).create_new(true).open(&file)?;
    std::fs::remove_file(&file)
}

/// Returns how many bytes are free for us where a directory is.
#[cfg(unix)]
fn free(folder: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(folder).ok()?;
    stat.f_bavail.checked_mul(stat.f_frsize)
}

#[cfg(not(unix))]
fn free(_: &Path) -> Option<u64> {
    None
}

fn judge_state(path: &Path, written: io::Result<()>, free: Option<u64>) -> Check {
    let check = |verdict, text| {
        let facts = json!({"path": path, "free_bytes": free});
        Check::new(Area::Machine, "state_dir", verdict, text).with_facts(facts)
    };
    let shown = path.display();
    match (written, free) {
        (Err(error), _) => {
            check(Verdict::Fail, format!("the state of uploads cannot be kept in {shown}: {error}"))
                .with_way_out("pass --state-dir DIR, or set OSSUP_STATE_DIR")
        }
        (Ok(()), Some(free)) if free < STATE_ROOM => {
            check(Verdict::Warn, format!("{} MiB are free for the state of uploads in {shown}", mib(free)))
                .with_way_out("make room, or pass --state-dir DIR")
        }
        (Ok(()), _) => check(Verdict::Ok, format!("the state of uploads is kept in {shown}")),
    }
}

fn mib(bytes: u64) -> u64 {
    bytes >> 20
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_needs_a_place_that_can_be_written_and_some_room() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(state_dir(&dir.path().join("not/yet")).verdict, Verdict::Ok);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing stays");
        let judged = |written, free| judge_state(dir.path(), written, free);
        let denied = judged(Err(io::ErrorKind::PermissionDenied.into()), None);
        assert_eq!(denied.verdict, Verdict::Fail);
        assert!(denied.way_out.unwrap().contains("--state-dir"));
        assert_eq!(judged(Ok(()), Some(1)).verdict, Verdict::Warn);
        assert_eq!(judged(Ok(()), None).verdict, Verdict::Ok);
    }

    #[test]
    fn limits_that_slow_an_upload_down_are_warned_of() {
        let verdicts = |memory, open_files, processes| -> Vec<Verdict> {
            let mut host = HostLimits::default();
            (host.memory, host.open_files, host.processes) = (memory, open_files, processes);
            limits(&host, NonZero::new(2)).iter().map(|check| check.verdict).collect()
        };
        use Verdict::{Ok, Unknown, Warn};
        assert_eq!(verdicts(Some(8 << 30), Some(1024), Some(4096)), [Ok; 4]);
        assert_eq!(verdicts(Some(64 << 20), Some(64), Some(20)), [Warn, Warn, Warn, Ok]);
        assert_eq!(verdicts(None, None, None), [Ok, Unknown, Ok, Ok]);
    }
}
