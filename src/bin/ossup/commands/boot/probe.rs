//! The guest's SSH server, as seen from outside.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use ossup::boot::user_asked_for;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{sleep, timeout};

/// How often it is tried.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a server may take to say what it is; one in a slow guest makes its keys first.
const BANNER: Duration = Duration::from_secs(20);
const LONGEST_BANNER: u64 = 255;
/// How long a login may take.
const LOGIN: Duration = Duration::from_secs(60);
/// Says how far cloud-init is. Before 17.1 there was no such command.
const STATUS: &str = "cloud-init status --wait 2>/dev/null; \
                      test -e /run/cloud-init/result.json && echo 'status: done'";
/// How long cloud-init may take to finish once there is a login.
const FINISH: Duration = Duration::from_secs(600);

/// What was seen.
#[derive(Debug)]
pub(super) enum Probed {
    Answers(String),
    LoggedIn(String),
    Refused,
    Status(String),
}

/// How to log in.
#[derive(Debug, Clone)]
pub(super) struct Login {
    pub(super) ssh: PathBuf,
    pub(super) key: PathBuf,
    pub(super) port: u16,
    pub(super) users: Vec<String>,
}

impl Login {
    /// Returns the command that logs in, with nothing of the user's own settings.
    pub(super) fn command(&self, user: &str) -> Command {
        let mut command = Command::new(&self.ssh);
        command.args(["-F", "/dev/null", "-p", &self.port.to_string(), "-i"]).arg(&self.key);
        for option in [
            "BatchMode=yes",
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "GlobalKnownHostsFile=/dev/null",
            "IdentitiesOnly=yes",
            "IdentityAgent=none",
            "PreferredAuthentications=publickey",
            "ConnectTimeout=30",
            "LogLevel=ERROR",
        ] {
            command.args(["-o", option]);
        }
        command.arg(format!("{user}@127.0.0.1")).kill_on_drop(true);
        command
    }

    async fn runs(&self, user: &str, what: &str, limit: Duration) -> Option<(bool, String)> {
        let mut command = self.command(user);
        command.arg(what).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = timeout(limit, command.output()).await.ok()?.ok()?;
        let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
        said.push_str(&String::from_utf8_lossy(&output.stderr));
        Some((output.status.success(), said))
    }
}

/// Looks until it is dropped, or until cloud-init has finished.
pub(super) async fn probe(port: u16, login: Option<Login>, seen: UnboundedSender<Probed>) {
    let banner = loop {
        sleep(PAUSE).await;
        if let Some(banner) = banner(port).await {
            break banner;
        }
    };
    // Whoever looked may have seen enough.
    let _ = seen.send(Probed::Answers(banner));
    let Some(mut login) = login else { return };
    let user = 'found: loop {
        let mut at = 0;
        while let Some(user) = login.users.get(at).cloned() {
            at += 1;
            match login.runs(&user, "true", LOGIN).await {
                Some((true, _)) => break 'found user,
                Some((false, said)) => {
                    if let Some(asked) = user_asked_for(&said).map(str::to_owned)
                        && !login.users.contains(&asked)
                    {
                        login.users.push(asked);
                    }
                }
                None => {}
            }
        }
        let _ = seen.send(Probed::Refused);
        sleep(PAUSE).await;
    };
    let _ = seen.send(Probed::LoggedIn(user.clone()));
    loop {
        if let Some((_, said)) = login.runs(&user, STATUS, FINISH).await {
            let is_over =
                ["done", "error", "degraded"].iter().any(|end| said.contains(&format!("status: {end}")));
            let _ = seen.send(Probed::Status(said));
            if is_over {
                return;
            }
        }
        sleep(PAUSE).await;
    }
}

/// Returns the first line of an SSH server. QEMU takes a connection before the guest does.
async fn banner(port: u16) -> Option<String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let stream = TcpStream::connect(address).await.ok()?;
    let mut line = Vec::new();
    let mut reader = BufReader::new(stream.take(LONGEST_BANNER));
    timeout(BANNER, reader.read_until(b'\n', &mut line)).await.ok()?.ok()?;
    let line = String::from_utf8_lossy(&line).trim_end().to_owned();
    line.starts_with("SSH-").then_some(line)
}

/// Returns a port that is free now.
pub(super) fn free_port() -> std::io::Result<u16> {
    Ok(std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Whether a path can be a private key.
pub(super) fn is_key(path: &Path) -> bool {
    path.is_file()
}
