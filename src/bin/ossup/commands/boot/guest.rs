//! A running guest: QEMU, the metadata service, the SSH server's probe, and the watch that joins what they show.

use std::fs::File;
use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use ossup::boot::{Accelerator, GUEST_ADDRESS, GUEST_MAC, Machine, Outcome, Verdict, Watch, login_users};
use ossup::emulator::{InstanceMetadata, MetadataService};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::helper::{GUARD, RELAY};
use super::key::Key;
use super::plan::Plan;
use super::probe::{Login, Probed, free_port, is_key, probe};
use super::told;
use crate::context::Context;
use crate::failure::{Failure, Kind};
use crate::ui::word;

/// How often the clock is looked at.
const TICK: Duration = Duration::from_millis(200);
/// Most bytes of QEMU's own messages that are kept.
const LONGEST_MESSAGE: u64 = 4096;
/// How often a port is chosen anew: another process may take it before QEMU does.
const PORTS: usize = 3;

/// How a run of QEMU ended.
enum Ended {
    /// With a verdict.
    Told(Verdict),
    /// Before the guest said anything: its messages.
    AtOnce(String),
}

/// Boots, and returns what that showed.
pub(super) async fn run(plan: &Plan<'_>, context: &Context) -> Result<Verdict, Failure> {
    let key = match (&plan.wish.key, &plan.ssh) {
        (Some(path), _) if !is_key(path) => {
            return Err(Failure::new(Kind::Usage, format!("there is no key `{}`", path.display())));
        }
        (Some(path), _) => Some(Key::of_file(path)?),
        (None, Some((_, ssh_keygen))) => Some(Key::generate(ssh_keygen).await?),
        (None, None) => None,
    };
    if plan.ssh.is_none() {
        let text = "there is no `ssh` program: that the SSH server answers is looked at, and no login tried";
        context.output.status(text);
    }
    let mut machine = plan.machine.clone();
    let mut ports = 0;
    loop {
        machine.ssh_port = free_port().map_err(|error| Failure::from_error(Kind::Other, &error))?;
        let message = match Guest::start(plan, &machine, key.as_ref(), context).await?.watch(context).await? {
            Ended::Told(verdict) => return Ok(verdict),
            Ended::AtOnce(message) => message,
        };
        ports += 1;
        if message.contains("host forwarding") && ports < PORTS {
            continue;
        }
        if machine.accelerator == Accelerator::Kvm {
            context
                .output
                .status(format!("KVM does not work here, translation is slower: {}", first_line(&message)));
            machine.accelerator = Accelerator::Tcg;
            continue;
        }
        let text = format!("`{}` ended at once: {}", plan.qemu.display(), message.trim());
        return Err(Failure::new(Kind::Other, text));
    }
}

struct Guest<'a> {
    plan: &'a Plan<'a>,
    watch: Watch,
    started: Instant,
    child: Child,
    stdout: ChildStdout,
    messages: tokio::task::JoinHandle<String>,
    asked: UnboundedReceiver<String>,
    probed: UnboundedReceiver<Probed>,
    login: Option<Login>,
    user: Option<String>,
    record: Option<File>,
    /// What serves and probes; ends with this.
    _tasks: JoinSet<()>,
}

impl<'a> Guest<'a> {
    async fn start(
        plan: &'a Plan<'a>,
        machine: &Machine,
        key: Option<&Key>,
        context: &Context,
    ) -> Result<Self, Failure> {
        let failed = |error: &std::io::Error| Failure::from_error(Kind::Other, error);
        let record = plan.wish.console.as_ref().map(|path| {
            File::create(path).map_err(|error| {
                Failure::from_error(Kind::Usage, &error).context(format!("cannot write `{}`", path.display()))
            })
        });
        let record = record.transpose()?;
        let (heard, asked) = unbounded_channel();
        let metadata = metadata(machine, plan, key);
        let service = MetadataService::bind(metadata, heard).await.map_err(|error| failed(&error))?;
        let own = std::env::current_exe().map_err(|error| failed(&error))?;
        let mut machine = machine.clone();
        machine.metadata_relay = format!("{} {RELAY} {}", word(&own.to_string_lossy()), service.address());
        let arguments = machine.arguments();
        context.output.verbose(shown(plan, &arguments));
        context.output.status(format!(
            "{}: starting {}",
            plan.title(),
            if machine.accelerator == Accelerator::Kvm {
                "with KVM"
            } else {
                "without KVM, which takes minutes"
            }
        ));
        // A group of its own: Ctrl-C is for this process, which then ends it.
        let mut child = Command::new(own)
            .arg(GUARD)
            .arg(std::process::id().to_string())
            .arg(&plan.qemu)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed(&error))?;
        let stdout = child.stdout.take().expect("it is piped");
        let mut stderr = child.stderr.take().expect("it is piped");
        let messages = tokio::spawn(async move {
            let mut kept = Vec::new();
            // What is cut off, or cannot be read, is missing in a message.
            let _ = (&mut stderr).take(LONGEST_MESSAGE).read_to_end(&mut kept).await;
            let text = String::from_utf8_lossy(&kept).into_owned();
            let _ = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
            text
        });
        let login = key.zip(plan.ssh.as_ref()).map(|(key, (ssh, _))| Login {
            ssh: ssh.clone(),
            key: key.private.clone(),
            port: machine.ssh_port,
            users: login_users(plan.system.and_then(|system| system.os.found()))
                .into_iter()
                .map(str::to_owned)
                .collect(),
        });
        let (found, probed) = unbounded_channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            if let Err(error) = service.serve().await {
                tracing::debug!(%error, "the metadata service ended");
            }
        });
        tasks.spawn(probe(machine.ssh_port, login.clone(), found));
        let watch = Watch::new(plan.goal(machine.accelerator));
        Ok(Self {
            plan,
            watch,
            started: Instant::now(),
            child,
            stdout,
            messages,
            asked,
            probed,
            login,
            user: None,
            record,
            _tasks: tasks,
        })
    }

    /// Watches until there is a verdict. The machine ends with it.
    async fn watch(mut self, context: &Context) -> Result<Ended, Failure> {
        let stop = context.stop.token();
        let mut buffer = vec![0; 16 << 10];
        let mut told = 0;
        let mut is_silent = true;
        let verdict = loop {
            tokio::select! {
                () = stop.cancelled() => return Err(context.stop.failure("stopped; the image is as it was")),
                count = self.stdout.read(&mut buffer) => {
                    let count = count.unwrap_or_default();
                    if count == 0 {
                        let status = self.child.wait().await.map_err(|error| Failure::from_error(Kind::Other, &error))?;
                        if is_silent || !status.success() {
                            return Ok(Ended::AtOnce(self.message(&status).await));
                        }
                        self.watch.ended(self.started.elapsed());
                    } else {
                        is_silent = false;
                        self.record(&buffer[..count])?;
                        self.watch.console(&buffer[..count], self.started.elapsed());
                    }
                }
                Some(path) = self.asked.recv() => self.watch.asked(&path, self.started.elapsed()),
                Some(probed) = self.probed.recv() => self.probed(probed),
                () = sleep(TICK) => {}
            }
            for reached in &self.watch.reached()[told..] {
                context.output.status(told::milestone(reached));
                told += 1;
            }
            if let Some(verdict) = self.watch.verdict(self.started.elapsed()) {
                break verdict;
            }
        };
        if self.plan.wish.ssh && verdict.outcome == Outcome::Boots {
            self.shell(context).await?;
        }
        // A killed QEMU leaves nothing: its overlay has no name. Failing to kill means that it has ended.
        let _ = self.child.kill().await;
        Ok(Ended::Told(verdict))
    }

    fn probed(&mut self, probed: Probed) {
        let now = self.started.elapsed();
        match probed {
            Probed::Answers(banner) => self.watch.ssh_answers(&banner, now),
            Probed::LoggedIn(user) => {
                self.watch.logged_in(&user, now);
                self.user = Some(user);
            }
            Probed::Refused => self.watch.key_refused(),
            Probed::Status(said) => self.watch.cloud_init_status(&said, now),
        }
    }

    /// Gives the user a shell in the guest, and lets the guest write to its console meanwhile.
    async fn shell(&mut self, context: &Context) -> Result<(), Failure> {
        let (Some(login), Some(user)) = (&self.login, &self.user) else {
            context.output.warning("there is no login by SSH to give a shell in");
            return Ok(());
        };
        context.output.status(format!("logged in as {user}; the machine ends when you leave"));
        let mut command = login.command(user);
        let mut shell =
            command.arg("-tt").spawn().map_err(|error| Failure::from_error(Kind::Other, &error))?;
        let mut buffer = vec![0; 16 << 10];
        let stop = context.stop.token();
        loop {
            tokio::select! {
                _ = shell.wait() => return Ok(()),
                () = stop.cancelled() => return Err(context.stop.failure("stopped; the image is as it was")),
                count = self.stdout.read(&mut buffer) => match count {
                    Ok(0) | Err(_) => return Ok(()),
                    Ok(count) => {
                        if let Some(record) = &mut self.record {
                            record.write_all(&buffer[..count]).map_err(|error| Failure::from_error(Kind::Other, &error))?;
                        }
                    }
                },
            }
        }
    }

    fn record(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let Some(record) = &mut self.record else { return Ok(()) };
        record.write_all(bytes).map_err(|error| {
            Failure::from_error(Kind::Other, &error).context("cannot write what the console says")
        })
    }

    async fn message(&mut self, status: &std::process::ExitStatus) -> String {
        let said = (&mut self.messages).await.unwrap_or_default();
        if said.trim().is_empty() { status.to_string() } else { said }
    }
}

fn metadata(machine: &Machine, plan: &Plan<'_>, key: Option<&Key>) -> InstanceMetadata {
    InstanceMetadata {
        // Another one each time, so that cloud-init sets the system up.
        instance_id: format!("i-{}", machine.uuid.simple()),
        region: ossup::emulator::DEFAULT_REGION.parse().expect("the default region is valid"),
        hostname: "ossup-boot".to_owned(),
        address: GUEST_ADDRESS,
        mac: GUEST_MAC.to_owned(),
        public_key: key.map(|key| key.public.clone()),
        user_data: plan.wish.user_data.clone(),
    }
}

fn first_line(text: &str) -> &str {
    text.trim().lines().next().unwrap_or_default()
}

fn shown(plan: &Plan<'_>, arguments: &[std::ffi::OsString]) -> String {
    let words = std::iter::once(plan.qemu.as_os_str()).chain(arguments.iter().map(AsRef::as_ref));
    words.map(|argument| word(&argument.to_string_lossy()).into_owned()).collect::<Vec<_>>().join(" ")
}
