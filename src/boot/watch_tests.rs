use super::*;

const GOAL: Goal = Goal {
    prompt_is_enough: false,
    cloud_init: true,
    can_log_in: true,
    bus: DiskBus::Virtio,
    limit: Duration::from_secs(100),
    patience: Duration::from_secs(20),
};

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Follows a guest until there is a verdict, second by second.
fn verdict(watch: &mut Watch, from: u64) -> (Verdict, u64) {
    (from..300).find_map(|now| watch.verdict(at(now)).map(|verdict| (verdict, now))).unwrap()
}

fn cause(watch: &mut Watch, from: u64) -> Cause {
    verdict(watch, from).0.stop.unwrap().cause
}

fn up_to_prompt(goal: Goal) -> Watch {
    let mut watch = Watch::new(goal);
    watch.console(b"[    0.0] Linux version 6.1\r\nWelcome to Debian GNU/Linux 12!\r\nweb login: ", at(10));
    watch
}

#[test]
fn a_login_with_the_key_and_a_finished_cloud_init_are_the_goal() {
    let mut watch = up_to_prompt(GOAL);
    watch.asked("/2016-01-01/meta-data/instance-id", at(11));
    assert!(!watch.has(DataSource), "an agent may ask for that");
    watch.asked("/2016-01-01/meta-data/", at(11));
    watch.ssh_answers("SSH-2.0-OpenSSH_9.2p1", at(12));
    watch.key_refused();
    assert_eq!(watch.verdict(at(12)), None);
    watch.logged_in("debian", at(14));
    assert_eq!(watch.verdict(at(14)), None);
    watch.cloud_init_status("status: running\n", at(15));
    watch.cloud_init_status("\nstatus: done\n", at(16));
    let (verdict, now) = verdict(&mut watch, 16);
    assert_eq!((verdict.outcome, now, verdict.stop), (Outcome::Boots, 16, None));
    let kinds: Vec<_> = verdict.reached.iter().map(|reached| reached.milestone).collect();
    use Milestone::*;
    assert_eq!(kinds, [Kernel, Init, Prompt, Network, DataSource, SshAnswers, SshLogin, CloudInit]);
    assert_eq!(verdict.reached[6].seconds, 14.0);
}

#[test]
fn a_cloud_init_that_finished_with_errors_has_finished() {
    let mut watch = up_to_prompt(GOAL);
    watch.logged_in("root", at(13));
    watch.cloud_init_status("status: error\nstatus: done\n", at(14));
    let verdict = verdict(&mut watch, 14).0;
    assert_eq!(verdict.outcome, Outcome::Boots);
    assert!(verdict.reached.last().unwrap().shown_by.contains("error"));
}

#[test]
fn less_is_asked_where_less_can_be_had() {
    let mut watch = up_to_prompt(Goal { prompt_is_enough: true, ..GOAL });
    assert_eq!(verdict(&mut watch, 10).0.outcome, Outcome::Boots);
    let mut watch = up_to_prompt(Goal { cloud_init: false, ..GOAL });
    assert_eq!(watch.verdict(at(10)), None);
    watch.ssh_answers("SSH-2.0-x", at(11));
    assert_eq!(verdict(&mut watch, 11).0.outcome, Outcome::Boots);
    let mut watch = up_to_prompt(Goal { can_log_in: false, ..GOAL });
    watch.ssh_answers("SSH-2.0-x", at(11));
    watch.asked("/2016-01-01/meta-data/", at(11));
    assert_eq!(watch.verdict(at(11)), None);
    watch.console(b"\r\nCloud-init v. 22.4.2 finished at Tue. Datasource DataSourceAliYun.\r\n", at(12));
    assert_eq!(verdict(&mut watch, 12).0.outcome, Outcome::Boots);
}

#[test]
fn the_first_stop_counts_and_what_follows_is_still_read() {
    let mut watch = Watch::new(GOAL);
    watch.console(
        b"[    0.0] Linux version 6.1\r\nALERT!  UUID=1 does not exist.  Dropping to a shell!\r\n",
        at(40),
    );
    assert_eq!(watch.verdict(at(40)), None);
    watch.console(b"(initramfs) [  41.0] reboot: Power down\r\n", at(41));
    let (verdict, now) = verdict(&mut watch, 41);
    let stop = verdict.stop.unwrap();
    assert_eq!((verdict.outcome, stop.cause, now), (Outcome::DoesNotBoot, Cause::InitramfsShell, 42));
    assert!(stop.shown_by.unwrap().contains("UUID=1") && stop.rules.contains(&Rule::GVirtio));
    assert!(verdict.last_lines.last().unwrap().contains("Power down"));
}

#[test]
fn what_is_missing_next_is_the_cause_when_time_is_up() {
    let lines = |text: &str| {
        let mut watch = Watch::new(GOAL);
        watch.console(text.as_bytes(), at(1));
        watch
    };
    assert_eq!(cause(&mut lines(""), 1), Cause::Silence);
    assert_eq!(cause(&mut lines("GRUB loading.\n"), 1), Cause::NoKernel);
    assert_eq!(cause(&mut lines("Linux version 6\n"), 1), Cause::NoRoot);
    assert_eq!(cause(&mut lines("VFS: Mounted root (ext4 filesystem)\n"), 1), Cause::NoInit);
    assert_eq!(cause(&mut lines("Welcome to Debian!\n"), 1), Cause::NoLogin);
    let (told, now) = verdict(&mut lines("error: file `/vmlinuz' not found.\n"), 1);
    assert_eq!((told.stop.unwrap().cause, now), (Cause::LoaderFailed, 22));

    let mut watch = up_to_prompt(GOAL);
    let (told, now) = verdict(&mut watch, 10);
    let stop = told.stop.unwrap();
    assert_eq!((told.outcome, stop.cause), (Outcome::Unreachable, Cause::NoAddress));
    assert!(stop.by_time && now == 32, "patience from the prompt on: {now}");
    let mut watch = up_to_prompt(GOAL);
    watch.asked("/latest/meta-data/instance-id", at(11));
    assert_eq!(cause(&mut watch, 11), Cause::SourceNotTaken);
    watch = up_to_prompt(GOAL);
    watch.asked("/2016-01-01/meta-data/", at(11));
    assert_eq!(cause(&mut watch, 11), Cause::NoSsh);
    watch = up_to_prompt(GOAL);
    watch.asked("/2016-01-01/meta-data/", at(11));
    watch.ssh_answers("SSH-2.0-x", at(12));
    watch.key_refused();
    assert_eq!(cause(&mut watch, 12), Cause::KeyRefused);
    watch = up_to_prompt(GOAL);
    watch.asked("/2016-01-01/meta-data/", at(11));
    watch.ssh_answers("SSH-2.0-x", at(12));
    watch.logged_in("root", at(13));
    watch.cloud_init_status("status: running\n", at(14));
    assert_eq!(cause(&mut watch, 14), Cause::CloudInitNotFinished);
}

#[test]
fn a_machine_that_ends_has_stopped() {
    let mut watch = Watch::new(GOAL);
    watch.ended(at(3));
    let (verdict, now) = verdict(&mut watch, 3);
    assert_eq!((verdict.outcome, verdict.stop.unwrap().cause, now), (Outcome::DoesNotBoot, Cause::Ended, 3));
}

#[test]
fn every_cause_names_a_check() {
    for bus in [DiskBus::Virtio, DiskBus::Nvme] {
        assert!(!Cause::InitramfsShell.rules(bus).is_empty() && !Cause::Ended.rules(bus).is_empty());
    }
    assert!(Cause::InitramfsShell.rules(DiskBus::Nvme).contains(&Rule::GNvme));
    assert!(!Cause::InitramfsShell.rules(DiskBus::Virtio).contains(&Rule::GNvme));
}
