//! What this program does for QEMU under its own name. Neither is a command for people.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use crate::ui::terminal;

/// Runs a program that ends when this process's parent does, however that ends.
pub(super) const GUARD: &str = "__boot-guard";
/// Joins its standard streams, which are a guest's connection, to a port.
pub(super) const RELAY: &str = "__boot-relay";

/// Runs if this process was started as one of them.
pub(crate) fn run() -> Option<ExitCode> {
    let mut words = std::env::args_os().skip(1);
    let name = words.next()?;
    let ended = if name == GUARD {
        guard(words)
    } else if name == RELAY {
        relay(words)
    } else {
        return None;
    };
    Some(match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::write(format!("{error}\n").as_bytes());
            terminal::finish(&|| false);
            ExitCode::FAILURE
        }
    })
}

/// `PARENT PROGRAM ARGUMENTS…`: becomes the program.
fn guard(mut words: impl Iterator<Item = OsString>) -> io::Result<()> {
    let usage = || io::Error::from(io::ErrorKind::InvalidInput);
    let parent = words.next().and_then(|word| word.to_str()?.parse::<i32>().ok()).ok_or_else(usage)?;
    let program = words.next().ok_or_else(usage)?;
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    // It may have ended before the signal was asked for.
    if rustix::process::getppid().map(rustix::process::Pid::as_raw_pid) != Some(parent) {
        return Err(io::Error::other("the process that started this has ended"));
    }
    let error = Command::new(&program).args(words).exec();
    Err(io::Error::new(error.kind(), format!("cannot run `{}`: {error}", program.to_string_lossy())))
}

/// `ADDRESS`.
fn relay(mut words: impl Iterator<Item = OsString>) -> io::Result<()> {
    let address = words.next().and_then(|word| word.to_str()?.parse::<SocketAddr>().ok());
    let address = address.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut answers = TcpStream::connect(address)?;
    let mut questions = answers.try_clone()?;
    // Standard output is not buffered so: what is answered has to go at once.
    let (mut from, mut to) = (owned(io::stdin().as_fd())?, owned(io::stdout().as_fd())?);
    std::thread::spawn(move || {
        // The guest may close its side and still wait for the answer.
        let _ = io::copy(&mut from, &mut questions);
        let _ = questions.shutdown(Shutdown::Write);
    });
    // A thread that still waits for the guest ends with the process.
    io::copy(&mut answers, &mut to).map(drop)
}

fn owned(stream: BorrowedFd<'_>) -> io::Result<File> {
    stream.try_clone_to_owned().map(File::from)
}
