use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::Fallible;

/// Clock ticks per second in `/proc/PID/stat`; Linux fixes it for user space.
const TICKS: f64 = 100.0;

/// What one process took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    /// Seconds.
    pub(crate) wall: f64,
    /// Seconds of all threads, in the kernel and out of it.
    pub(crate) cpu: f64,
    pub(crate) peak_kib: u64,
}

/// Runs a process to its end and returns what it took. `input` is what it reads before it begins.
pub(crate) fn measure(command: &mut Command, input: Option<&str>) -> Fallible<Cost> {
    let before = children_cpu()?;
    let mut errors = tempfile::tempfile()?;
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    let began = Instant::now();
    let mut child = command.stdout(Stdio::null()).stderr(errors.try_clone()?).spawn()?;
    if let Some(input) = input {
        child.stdin.take().ok_or("the child has no stdin")?.write_all(input.as_bytes())?;
    }
    let mut peak_kib = 0;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        // The kernel keeps the peak, so that seldom looking loses only the last moment.
        peak_kib = peak_kib.max(peak_of(child.id()).unwrap_or_default());
        std::thread::sleep(Duration::from_millis(5));
    };
    let wall = began.elapsed().as_secs_f64();
    if !status.success() {
        let mut text = String::new();
        std::io::Seek::rewind(&mut errors)?;
        std::io::Read::read_to_string(&mut errors, &mut text)?;
        let last = text.trim().lines().last().unwrap_or_default();
        return Err(format!("{} ended with {status}: {last}", command.get_program().display()).into());
    }
    Ok(Cost { wall, cpu: children_cpu()? - before, peak_kib })
}

/// Returns minimum, median and maximum.
pub(crate) fn spread(values: impl Iterator<Item = f64>) -> (f64, f64, f64) {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    (at(0), at(values.len() / 2), at(values.len().saturating_sub(1)))
}

/// Returns the CPU seconds that a running process has taken.
pub(crate) fn cpu_of(pid: u32) -> Fallible<f64> {
    let fields = stat(&pid.to_string())?;
    Ok((fields[10] + fields[11]) / TICKS)
}

/// Returns the CPU seconds of all children that have ended: fields 16 and 17 of proc(5).
fn children_cpu() -> Fallible<f64> {
    let fields = stat("self")?;
    Ok((fields[12] + fields[13]) / TICKS)
}

/// Returns the numbers of proc(5) from field 4 on.
fn stat(pid: &str) -> Fallible<Vec<f64>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name may hold blanks; what follows its closing parenthesis does not.
    let (_, rest) = text.rsplit_once(") ").ok_or("/proc/PID/stat has no name")?;
    let numbers: Vec<f64> = rest.split_whitespace().skip(1).map(str::parse).collect::<Result<_, _>>()?;
    if numbers.len() < 14 { Err("/proc/PID/stat is short".into()) } else { Ok(numbers) }
}

fn peak_of(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}
