//! What the machine leaves to this process, and the limits that follow from it.

use super::limits::{DEFAULT_MAX_MEMORY, Limits};

/// At most this share of the memory goes into blocks: TLS, the page cache and others need the rest.
const SHARE_OF_MEMORY: u64 = 8;
/// Files that are open beside connections: the image, the journal, the lock, the runtime's own.
const OTHER_FILES: u64 = 32;
/// Open files for each part in flight: a connection that has just been left may still be open.
const FILES_PER_PART: u64 = 2;

/// How much this process may use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostLimits {
    /// Memory in bytes: the machine's, or what a container or a service (cgroup) is limited to.
    pub memory: Option<u64>,
    /// Files that may be open at a time (`RLIMIT_NOFILE`).
    pub open_files: Option<u64>,
    /// Processes and threads that the user may have at a time, in all programs (`RLIMIT_NPROC`). It does not bind root.
    pub processes: Option<u64>,
}

impl HostLimits {
    /// Detects the limits of this process. What the system does not report is assumed to be unlimited.
    pub fn detect() -> Self {
        Self { memory: memory(), open_files: open_files(), processes: processes() }
    }

    /// Returns how many bytes of blocks fit: [`DEFAULT_MAX_MEMORY`] unless memory is scarce.
    pub fn max_memory(&self) -> u64 {
        self.memory.map_or(DEFAULT_MAX_MEMORY, |memory| DEFAULT_MAX_MEMORY.min(memory / SHARE_OF_MEMORY))
    }

    /// Returns how many parts may be in flight for their connections to be opened.
    pub fn max_connections(&self) -> usize {
        let connections = |files: u64| files.saturating_sub(OTHER_FILES) / FILES_PER_PART;
        self.open_files.map_or(usize::MAX, |files| connections(files).clamp(1, u64::from(u16::MAX)) as usize)
    }
}

impl Limits {
    /// Returns the limits that fit this machine, with `max_memory` bytes of blocks if that is given. There is always
    /// memory for the `parallel` parts that were asked for.
    pub fn for_host(machine: &HostLimits, max_memory: Option<u64>, parallel: Option<usize>) -> Self {
        let asked = parallel.map_or(0, Self::memory_for);
        let memory = max_memory.unwrap_or_else(|| machine.max_memory().max(asked));
        Self::new(memory).with_max_connections(machine.max_connections())
    }
}

/// The memory that there is, or the part of it that control groups leave this process.
#[cfg(target_os = "linux")]
fn memory() -> Option<u64> {
    use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System};
    let this = sysinfo::get_current_pid().ok()?;
    let mut system = System::new().ok()?;
    system.refresh_memory();
    system.refresh_processes_specifics(
        ProcessesToUpdate::Some(&[this]),
        false,
        ProcessRefreshKind::nothing().without_tasks(),
    );
    let group = system.process(this).and_then(sysinfo::Process::cgroup_limits);
    let group = group.map_or(u64::MAX, |limits| limits.total_memory);
    Some(system.total_memory().min(group)).filter(|memory| *memory > 0)
}

#[cfg(not(target_os = "linux"))]
fn memory() -> Option<u64> {
    None
}

#[cfg(unix)]
fn open_files() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

#[cfg(not(unix))]
fn open_files() -> Option<u64> {
    None
}

#[cfg(unix)]
fn processes() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nproc).current
}

#[cfg(not(unix))]
fn processes() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(memory: Option<u64>, open_files: Option<u64>) -> usize {
        Limits::for_host(&HostLimits { memory, open_files, ..HostLimits::default() }, None, None)
            .max_connections()
    }

    #[test]
    fn scarce_memory_and_few_files_bound_the_parts_in_flight() {
        assert_eq!(parts(None, None), 64);
        assert_eq!(parts(Some(64 << 30), Some(1024)), 64, "a common machine");
        assert_eq!(parts(Some(64 << 20), Some(1024)), 16, "a small container");
        assert_eq!(parts(Some(1 << 20), Some(1024)), 1);
        assert_eq!(parts(None, Some(64)), 16, "ulimit -n 64");
        assert_eq!(parts(None, Some(0)), 1);
    }

    #[test]
    fn what_the_user_says_of_memory_holds_but_files_bound_it_still() {
        let machine = HostLimits { memory: Some(64 << 20), open_files: Some(64), ..HostLimits::default() };
        assert_eq!(Limits::for_host(&machine, Some(4 << 20), None).max_connections(), 8);
        assert_eq!(Limits::for_host(&machine, Some(1 << 30), None).max_connections(), 16);
    }

    #[test]
    fn parts_that_were_asked_for_get_their_memory() {
        let machine = HostLimits { memory: Some(64 << 20), open_files: Some(1024), ..HostLimits::default() };
        assert_eq!(Limits::for_host(&machine, None, Some(200)).max_connections(), 200);
        assert_eq!(Limits::for_host(&machine, Some(4 << 20), Some(200)).max_connections(), 8);
        assert_eq!(
            Limits::for_host(&machine, None, Some(2)).max_connections(),
            16,
            "auto may still choose more"
        );
    }

    #[test]
    fn the_limits_of_this_process_are_found() {
        let here = HostLimits::detect();
        assert!(here.max_connections() >= 1 && here.max_memory() > 0);
        #[cfg(target_os = "linux")]
        assert!(here.memory.is_some_and(|memory| memory > 1 << 20));
    }
}
