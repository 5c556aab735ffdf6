use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

use super::{Fetch, answer};
use crate::credentials::{BoxFuture, Credentials, CredentialsError};
use crate::model::Secret;

/// How much of what the command says on stderr is shown: its end.
const MAX_SAID: usize = 600;
/// How long what is still in the pipes is read once the command has ended. A process that it left behind may hold
/// them open for ever.
const REST: Duration = Duration::from_secs(1);

/// Credentials that a command prints as JSON.
#[derive(Debug)]
pub(super) struct Process {
    command: Secret,
    timeout: Duration,
    /// Whether it ever gave credentials. One that never did is not run again: what is wrong is the command.
    worked: AtomicBool,
}

impl Process {
    pub(super) fn new(command: Secret, timeout: Duration) -> Self {
        Self { command, timeout, worked: AtomicBool::new(false) }
    }

    async fn run(&self) -> Result<Credentials, CredentialsError> {
        let mut command = Command::new("sh");
        command.arg("-c").arg(self.command.expose()).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        // Its own process group, so that everything that it started is killed with it when it takes too long.
        #[cfg(unix)]
        command.process_group(0);
        let mut running = Running::start(command)
            .map_err(|error| failed(format!("it cannot be started: {error}"), false))?;
        let Ok(ended) = tokio::time::timeout(self.timeout, running.end()).await else {
            drop(running);
            return Err(self.passing(format!("it took longer than {} s", self.timeout.as_secs())));
        };
        let Ended { status, printed, said } =
            ended.map_err(|error| self.passing(format!("its output could not be read: {error}")))?;
        let with = |reason: String| match said.is_empty() {
            true => reason,
            false => format!("{reason}; its error output: {said}"),
        };
        match status.code() {
            Some(0) if printed.len() > answer::MAX_BYTES => Err(failed("its output is too long", false)),
            Some(0) => {
                let credentials = answer::parse(&printed).map_err(|reason| failed(with(reason), false))?;
                self.worked.store(true, Ordering::Relaxed);
                Ok(credentials)
            }
            // As shells report it.
            Some(126) => {
                Err(failed(with("the command cannot be executed (exit code 126)".to_owned()), false))
            }
            Some(127) => Err(failed(with("there is no such command (exit code 127)".to_owned()), false)),
            Some(code) => Err(self.passing(with(format!("it ended with exit code {code}")))),
            None => Err(self.passing(with("it was killed".to_owned()))),
        }
    }

    /// A failure that may pass, if the command has ever worked.
    fn passing(&self, reason: String) -> CredentialsError {
        failed(reason, self.worked.load(Ordering::Relaxed))
    }
}

impl Fetch for Process {
    fn fetch(&self) -> BoxFuture<'_, Result<Credentials, CredentialsError>> {
        Box::pin(self.run())
    }
}

/// A command under way. If it is dropped before it ended, its whole process group is killed.
struct Running {
    child: Child,
    /// The group, until the command has ended: what it leaves behind on purpose lives on.
    group: Option<u32>,
}

/// How a command ended.
struct Ended {
    status: ExitStatus,
    /// Its output; one byte more than the limit if it is longer.
    printed: Vec<u8>,
    /// The end of what it said on stderr, in one line without control characters.
    said: String,
}

impl Running {
    fn start(mut command: Command) -> std::io::Result<Self> {
        let child = command.kill_on_drop(true).spawn()?;
        let group = child.id();
        Ok(Self { child, group })
    }

    /// Waits for the command's own end, and not for that of everybody who has its pipes.
    async fn end(&mut self) -> std::io::Result<Ended> {
        let mut stdout =
            Reading::new(self.child.stdout.take().expect("stdout is piped"), answer::MAX_BYTES + 1);
        let mut stderr = Reading::new(self.child.stderr.take().expect("stderr is piped"), usize::MAX);
        let status = {
            let reading = async { tokio::join!(stdout.read(), stderr.read()) };
            tokio::pin!(reading);
            let (status, read) = tokio::select! {
                status = self.child.wait() => (status?, false),
                // Both were closed, perhaps before it ended.
                _ = &mut reading => (self.child.wait().await?, true),
            };
            self.group = None;
            if !read {
                let _ = tokio::time::timeout(REST, reading).await;
            }
            status
        };
        Ok(Ended { status, said: last_words(&stderr.bytes), printed: stdout.bytes })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        #[cfg(unix)]
        if let Some(group) = self.group.and_then(|id| rustix::process::Pid::from_raw(id.cast_signed())) {
            // It fails only if all of them have ended.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

/// What was read from a pipe so far; it outlives the reading.
struct Reading<R> {
    pipe: R,
    bytes: Vec<u8>,
    /// How much is kept: the beginning. Without a limit, the end.
    limit: usize,
}

impl<R: AsyncRead + Unpin> Reading<R> {
    fn new(pipe: R, limit: usize) -> Self {
        Self { pipe, bytes: Vec::new(), limit }
    }

    /// Reads to the end, so that the command never waits for a reader.
    async fn read(&mut self) {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = self.pipe.read(&mut buffer).await {
            let room = self.limit.saturating_sub(self.bytes.len());
            self.bytes.extend_from_slice(&buffer[..count.min(room)]);
            if self.limit == usize::MAX {
                let surplus = self.bytes.len().saturating_sub(4 * MAX_SAID);
                self.bytes.drain(..surplus);
            }
        }
    }
}

fn last_words(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let said = lines.join(" / ").chars().rev().take(MAX_SAID).collect::<Vec<_>>();
    said.into_iter().rev().filter(|c| !c.is_control()).collect()
}

fn failed(reason: impl Into<String>, transient: bool) -> CredentialsError {
    let provider = "the credential process".to_owned();
    CredentialsError { provider, reason: reason.into(), transient }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn run(command: &str, timeout: Duration) -> Result<Credentials, CredentialsError> {
        Process::new(Secret::new(command), timeout).fetch().await
    }

    #[tokio::test]
    async fn the_command_s_json_is_read() {
        let command = r#"echo '{"mode":"StsToken","access_key_id":"STS.a","access_key_secret":"s",
            "sts_token":"t","expiration":"2026-01-01T06:00:00Z"}'"#;
        let credentials = run(command, Duration::from_secs(30)).await.unwrap();
        assert_eq!(credentials.access_key_id, "STS.a");
        assert!(credentials.is_temporary() && credentials.expires.is_some());
    }

    #[tokio::test]
    async fn failures_show_neither_command_nor_output() {
        for (command, part) in [
            ("echo hunter2; exit 3", "exit code 3"),
            ("echo hunter2", "not JSON"),
            ("kill -9 $$; echo hunter2", "killed"),
            ("head -c 70000 /dev/zero; echo hunter2", "too long"),
        ] {
            let error = run(command, Duration::from_secs(30)).await.unwrap_err();
            assert!(error.reason.contains(part), "{command}: {error}");
            assert!(!format!("{error} {error:?}").contains("hunter2"));
        }
    }

    #[tokio::test]
    async fn a_command_that_hangs_is_killed_with_all_that_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ids");
        let command = format!("sleep 600 & echo $! > {0}; sleep 600 & echo $! >> {0}; wait", path.display());
        let error = run(&command, Duration::from_secs(2)).await.unwrap_err();
        assert!(error.reason.contains("longer than"), "{error}");
        let ids = std::fs::read_to_string(&path).unwrap();
        assert_eq!(ids.lines().count(), 2);
        for id in ids.lines() {
            // Whoever adopts them may take a moment to see their end.
            let state = || std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
            let ended = || !state().contains("(sleep) S");
            for _ in 0..500 {
                if ended() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            assert!(ended(), "{}", state());
        }
    }

    #[tokio::test]
    async fn its_own_end_counts_and_not_that_of_what_it_leaves_behind() {
        let began = std::time::Instant::now();
        let json = r#"{"mode":"AK","access_key_id":"id","access_key_secret":"s"}"#;
        let credentials = run(&format!("sleep 30 & echo '{json}'"), Duration::from_secs(25)).await.unwrap();
        assert_eq!(credentials.access_key_id, "id");
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn what_it_says_is_shown() {
        let command = "printf 'your session has \\033[31mended\\nlog in again\\n' >&2; exit 3";
        let error = run(command, Duration::from_secs(30)).await.unwrap_err();
        assert!(error.reason.contains("exit code 3"), "{error}");
        assert!(error.reason.contains("your session has [31mended / log in again"), "{error}");
        let error = run("yes x | head -c 1000000 >&2; exit 1", Duration::from_secs(30)).await.unwrap_err();
        assert!(error.reason.len() < MAX_SAID + 100, "{}", error.reason.len());
    }

    #[tokio::test]
    async fn a_command_that_never_worked_is_not_run_again_and_one_that_did_is() {
        for command in ["exit 1", "no-such-command-anywhere", "kill -9 $$", "echo x"] {
            let error = run(command, Duration::from_secs(30)).await.unwrap_err();
            assert!(!error.transient, "{command}: {error}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("once");
        let json = r#"{"mode":"AK","access_key_id":"id","access_key_secret":"s"}"#;
        let command = format!("test -e {0} && exit 1; touch {0}; echo '{json}'", path.display());
        let process = Process::new(Secret::new(command), Duration::from_secs(30));
        process.fetch().await.unwrap();
        assert!(process.fetch().await.unwrap_err().transient);
    }
}
