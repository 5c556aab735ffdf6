use std::time::Duration;

use super::cause::Cause;
use super::console::{Console, Seen};
use super::milestone::Milestone;
use super::{DiskBus, GUEST_ADDRESS};
use crate::image::Rule;

/// How long lines are still read after the one that says that the system stopped.
const SETTLE: Duration = Duration::from_secs(2);

/// What has to be reached, and how long that may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Goal {
    /// A login prompt on the serial line is enough.
    pub prompt_is_enough: bool,
    /// Whether the image has cloud-init, or may have. If it has none, nobody can hand in a key: then an SSH server that
    /// answers is enough.
    pub cloud_init: bool,
    /// Whether a login with the key can be tried. Else an SSH server that answers is enough.
    pub can_log_in: bool,
    /// How the disk is attached.
    pub bus: DiskBus,
    /// The longest time from the start on.
    pub limit: Duration,
    /// How long nothing may happen once there is a login prompt, or the boot loader failed to load something.
    pub patience: Duration,
}

/// A milestone, and when it was reached.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Reached {
    /// Which.
    pub milestone: Milestone,
    /// Seconds since the machine was started.
    pub seconds: f64,
    /// The line or the request that shows it. Text of the guest.
    pub shown_by: String,
}

/// Where the system stopped.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Stop {
    /// Why.
    pub cause: Cause,
    /// Seconds since the machine was started.
    pub seconds: f64,
    /// Whether this follows from nothing more having been seen in the time that was given.
    pub by_time: bool,
    /// The line that says so. Text of the guest.
    pub shown_by: Option<String>,
    /// Lines before it that may explain it. Text of the guest.
    pub clues: Vec<String>,
    /// The checks of the image that look at this, the likeliest first.
    #[serde(skip)]
    pub rules: &'static [Rule],
}

/// What a boot showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The goal was reached.
    Boots,
    /// The system runs up to a login, but cannot be reached as ECS's instances are.
    Unreachable,
    /// The system does not come as far as a login.
    DoesNotBoot,
}

/// The result of a boot.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Verdict {
    /// In a word.
    pub outcome: Outcome,
    /// What was reached, in the order in which it was seen.
    pub reached: Vec<Reached>,
    /// Where it stopped, unless the goal was reached.
    pub stop: Option<Stop>,
    /// The last lines of the serial line, without escape sequences. Text of the guest.
    pub last_lines: Vec<String>,
}

/// Joins what is seen of a guest. Times are those since the machine was started.
#[derive(Debug)]
pub struct Watch {
    goal: Goal,
    console: Console,
    reached: Vec<Reached>,
    stop: Option<Stop>,
    /// When something was last seen that counts as progress.
    moved: Duration,
    key_refused: bool,
    ended: bool,
}

impl Watch {
    /// Begins when the machine is started.
    pub fn new(goal: Goal) -> Self {
        Self {
            goal,
            console: Console::default(),
            reached: Vec::new(),
            stop: None,
            moved: Duration::ZERO,
            key_refused: false,
            ended: false,
        }
    }

    /// Takes bytes of the serial line.
    pub fn console(&mut self, bytes: &[u8], now: Duration) {
        for seen in self.console.read(bytes) {
            match seen {
                Seen::Reached(milestone, line) => self.reach(milestone, now, line),
                Seen::Stopped(cause, line) => self.stop(cause, now, false, Some(line)),
            }
        }
    }

    /// Takes a request to the metadata service. It comes over the network, from the address that DHCP gave.
    pub fn asked(&mut self, path: &str, now: Duration) {
        self.reach(Milestone::Network, now, format!("{GUEST_ADDRESS} asks for {path}"));
        // Agents ask for this and that; cloud-init walks through all of it, which others do not.
        let is_source = path.ends_with("/meta-data/") || path.ends_with("/meta-data");
        if is_source {
            self.reach(Milestone::DataSource, now, format!("asked for {path}"));
        }
    }

    /// Takes the first line of an SSH server.
    pub fn ssh_answers(&mut self, banner: &str, now: Duration) {
        self.reach(Milestone::Network, now, format!("{GUEST_ADDRESS} answers"));
        self.reach(Milestone::SshAnswers, now, banner.to_owned());
    }

    /// Takes a login with the key.
    pub fn logged_in(&mut self, user: &str, now: Duration) {
        self.key_refused = false;
        self.reach(Milestone::SshLogin, now, format!("`true` ran as {user}"));
    }

    /// Takes that the SSH server refused the key. It may take it later.
    pub fn key_refused(&mut self) {
        self.key_refused = true;
    }

    /// Takes what `cloud-init status` says.
    pub fn cloud_init_status(&mut self, status: &str, now: Duration) {
        match status.lines().find_map(|line| line.strip_prefix("status: ")) {
            Some("done") => self.reach(Milestone::CloudInit, now, "status: done".to_owned()),
            // The system can be used, but not all of its settings were made.
            Some("error" | "degraded") => {
                self.reach(
                    Milestone::CloudInit,
                    now,
                    "status: error, see /var/log/cloud-init.log".to_owned(),
                );
            }
            _ => {}
        }
    }

    /// Takes that the machine has ended by itself.
    pub fn ended(&mut self, now: Duration) {
        self.ended = true;
        self.stop(Cause::Ended, now, false, None);
    }

    /// Whether a milestone was reached.
    pub fn has(&self, milestone: Milestone) -> bool {
        self.reached.iter().any(|reached| reached.milestone == milestone)
    }

    /// Returns what was reached so far.
    pub fn reached(&self) -> &[Reached] {
        &self.reached
    }

    /// Returns the verdict once there is one.
    pub fn verdict(&mut self, now: Duration) -> Option<Verdict> {
        if let Some(stop) = &mut self.stop {
            let settled = self.ended || now >= Duration::from_secs_f64(stop.seconds) + SETTLE;
            if !settled && now < self.goal.limit {
                return None;
            }
            stop.clues = self.console.clues().to_vec();
            let outcome = if self.is_at_login() { Outcome::Unreachable } else { Outcome::DoesNotBoot };
            return Some(self.conclude(outcome));
        }
        if self.is_goal() {
            return Some(self.conclude(Outcome::Boots));
        }
        let waits = self.has(Milestone::Prompt) || self.console.is_loader_in_trouble();
        if now >= self.goal.limit || waits && now >= self.moved + self.goal.patience {
            self.stop(self.cause_of_silence(), now, true, None);
        }
        None
    }

    fn is_goal(&self) -> bool {
        let goal = &self.goal;
        if goal.prompt_is_enough && self.has(Milestone::Prompt) {
            return true;
        }
        match goal.cloud_init && goal.can_log_in {
            true => self.has(Milestone::SshLogin) && (self.has(Milestone::CloudInit)),
            false => {
                self.has(Milestone::SshAnswers)
                    && (!goal.cloud_init || self.has(Milestone::DataSource) && self.has(Milestone::CloudInit))
            }
        }
    }

    fn is_at_login(&self) -> bool {
        [Milestone::Prompt, Milestone::SshAnswers, Milestone::SshLogin].iter().any(|&it| self.has(it))
    }

    /// Says what is missing next.
    fn cause_of_silence(&self) -> Cause {
        let furthest = self.reached.iter().map(|reached| reached.milestone).max();
        let source = !self.goal.cloud_init || self.has(Milestone::DataSource);
        match furthest {
            None if self.console.is_loader_in_trouble() => Cause::LoaderFailed,
            Some(Milestone::Loader) if self.console.is_loader_in_trouble() => Cause::LoaderFailed,
            None => Cause::Silence,
            Some(Milestone::Loader) => Cause::NoKernel,
            Some(Milestone::Kernel) => Cause::NoRoot,
            Some(Milestone::Root) => Cause::NoInit,
            Some(Milestone::Init) => Cause::NoLogin,
            Some(_) if !self.has(Milestone::Network) => Cause::NoAddress,
            Some(_) if !source => Cause::SourceNotTaken,
            Some(_) if !self.has(Milestone::SshAnswers) => Cause::NoSsh,
            Some(_) if self.key_refused && !self.has(Milestone::SshLogin) => Cause::KeyRefused,
            Some(_) => Cause::CloudInitNotFinished,
        }
    }

    fn reach(&mut self, milestone: Milestone, now: Duration, shown_by: String) {
        if !self.has(milestone) {
            self.moved = now;
            self.reached.push(Reached { milestone, seconds: now.as_secs_f64(), shown_by });
        }
    }

    /// The first stop counts: others follow from it.
    fn stop(&mut self, cause: Cause, now: Duration, by_time: bool, shown_by: Option<String>) {
        if self.stop.is_none() {
            let rules = cause.rules(self.goal.bus);
            let seconds = now.as_secs_f64();
            self.stop = Some(Stop { cause, seconds, by_time, shown_by, clues: Vec::new(), rules });
        }
    }

    fn conclude(&self, outcome: Outcome) -> Verdict {
        Verdict {
            outcome,
            reached: self.reached.clone(),
            stop: self.stop.clone(),
            last_lines: self.console.last_lines(),
        }
    }
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
