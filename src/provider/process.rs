use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::Command;

use super::{Fetch, answer};
use crate::credentials::{BoxFuture, Credentials, CredentialsError};
use crate::model::Secret;

/// Credentials that a command prints as JSON.
#[derive(Debug)]
pub(super) struct Process {
    command: Secret,
    timeout: Duration,
}

impl Process {
    pub(super) fn new(command: Secret, timeout: Duration) -> Self {
        Self { command, timeout }
    }

    async fn run(&self) -> Result<Credentials, CredentialsError> {
        let mut child = Command::new("sh")
            .arg("-c")
            .arg(self.command.expose())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed(format!("it cannot be started: {}", error.kind()), false))?;
        let stdout = child.stdout.take().expect("stdout is piped");
        let exchange = async {
            let mut bytes = Vec::new();
            // One byte more tells a long answer from one of the greatest length.
            let read = stdout.take(answer::MAX_BYTES as u64 + 1).read_to_end(&mut bytes).await;
            read.map_err(|_| failed("its output cannot be read", true))?;
            if bytes.len() > answer::MAX_BYTES {
                return Err(failed("its output is too long", false));
            }
            let status = child.wait().await.map_err(|_| failed("its end cannot be seen", true))?;
            match status.code() {
                Some(0) => answer::parse(&bytes).map_err(|reason| failed(reason, false)),
                Some(code) => Err(failed(format!("it ended with exit code {code}"), true)),
                None => Err(failed("it was killed", true)),
            }
        };
        match tokio::time::timeout(self.timeout, exchange).await {
            Ok(result) => result,
            Err(_) => Err(failed(format!("it took longer than {} s", self.timeout.as_secs()), true)),
        }
    }
}

impl Fetch for Process {
    fn fetch(&self) -> BoxFuture<'_, Result<Credentials, CredentialsError>> {
        Box::pin(self.run())
    }
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
            ("echo hunter2", "no JSON"),
            ("kill -9 $$; echo hunter2", "killed"),
            ("head -c 70000 /dev/zero; echo hunter2", "too long"),
        ] {
            let error = run(command, Duration::from_secs(30)).await.unwrap_err();
            assert!(error.reason.contains(part), "{command}: {error}");
            assert!(!format!("{error} {error:?}").contains("hunter2"));
        }
    }

    #[tokio::test]
    async fn a_command_that_hangs_is_killed() {
        let error = run("sleep 600", Duration::from_millis(50)).await.unwrap_err();
        assert!(error.reason.contains("longer than") && error.transient);
    }
}
