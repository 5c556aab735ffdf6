//! How time changes images, their tasks and snapshots. Pure: time is an argument.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::clock::Millis;
use super::entry::{Entry, Failure, ObjectState, Origin, Phase};

/// All entries by image id.
pub(super) type Entries = BTreeMap<String, Entry>;

/// Moves all work on to `now` and returns the ids of the entries that changed.
///
/// Work ends in the order in which it is done, and what waits takes the place at that very moment.
/// `intact` says whether an object is still what it was.
pub(super) fn settle(
    entries: &mut Entries,
    now: Millis,
    real: Timestamp,
    limit: usize,
    intact: impl Fn(&ObjectState) -> bool,
) -> Vec<String> {
    let mut changed = Vec::new();
    while let Some((id, end)) = next_end(entries, now) {
        let entry = entries.get_mut(&id).expect("the id was just found");
        let queue = entry.queue();
        end_work(entry, end, real, &intact);
        changed.push(id);
        changed.extend(start_waiting(entries, &queue, end, limit));
    }
    // An object that is gone ends the import at once, not only when it would have ended.
    let gone: Vec<String> = entries
        .iter()
        .filter(|(_, entry)| matches!(entry.phase, Phase::Running { .. }) && !objects_intact(entry, &intact))
        .map(|(id, _)| id.clone())
        .collect();
    for id in gone {
        let entry = entries.get_mut(&id).expect("the id was just found");
        let queue = entry.queue();
        end_work(entry, now, real, &intact);
        changed.push(id);
        changed.extend(start_waiting(entries, &queue, now, limit));
    }
    // A cancelled entry leaves its place without having ended.
    let waiting = entries.values().filter(|entry| matches!(entry.phase, Phase::Queued { .. }));
    let queues: BTreeSet<_> = waiting.map(Entry::queue).collect();
    for queue in queues {
        changed.extend(start_waiting(entries, &queue, now, limit));
    }
    changed.sort_unstable();
    changed.dedup();
    changed
}

/// Starts what waits in `queue` while there is room, and returns the ids.
pub(super) fn start_waiting(
    entries: &mut Entries,
    queue: &(String, bool),
    at: Millis,
    limit: usize,
) -> Vec<String> {
    let mut started = Vec::new();
    let running = |entries: &Entries| {
        entries.values().filter(|e| e.queue() == *queue && matches!(e.phase, Phase::Running { .. })).count()
    };
    while running(entries) < limit {
        let waiting = entries.values_mut().filter(|entry| entry.queue() == *queue);
        let oldest = waiting
            .filter(|entry| matches!(entry.phase, Phase::Queued { .. }))
            .min_by_key(|entry| entry.serial);
        let Some(entry) = oldest else { break };
        let Phase::Queued { since, work } = &entry.phase else { break };
        entry.phase = Phase::Running { since: at.max(*since), work: work.clone() };
        started.push(entry.image.id.clone());
    }
    started
}

fn next_end(entries: &Entries, now: Millis) -> Option<(String, Millis)> {
    let ends = entries.iter().filter_map(|(id, entry)| match &entry.phase {
        Phase::Running { since, work } => Some((since + work.runs(), entry.serial, id)),
        _ => None,
    });
    let (end, _, id) = ends.filter(|(end, ..)| *end <= now).min()?;
    Some((id.clone(), end))
}

fn objects_intact(entry: &Entry, intact: &impl Fn(&ObjectState) -> bool) -> bool {
    match &entry.origin {
        Origin::Import { objects, .. } => objects.iter().all(intact),
        Origin::Copy { .. } => true,
    }
}

fn end_work(entry: &mut Entry, at: Millis, real: Timestamp, intact: &impl Fn(&ObjectState) -> bool) {
    let percent = entry.percent(at);
    let Phase::Running { work, .. } = &entry.phase else { return };
    let failure = if objects_intact(entry, intact) {
        work.failure.clone()
    } else {
        let message = "The OSS object was deleted or changed while it was imported.".to_owned();
        Some(Failure { percent, code: "InvalidOSSObject.NotFound".to_owned(), message })
    };
    entry.phase = match failure {
        Some(failure) => Phase::Failed { at, failure },
        None => Phase::Done { at },
    };
    if let Origin::Import { finished, .. } = &mut entry.origin {
        *finished = Some(real);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::entry::{Image, Work};
    use super::super::options::EcsOptions;
    use super::*;

    pub(crate) fn entry(id: &str, serial: u64, duration: Millis) -> Entry {
        let created: Timestamp = "2025-01-01T00:00:00Z".parse().unwrap();
        let text = String::new;
        let image = Image {
            id: id.to_owned(),
            region: "cn-hangzhou".to_owned(),
            name: id.to_owned(),
            description: text(),
            family: text(),
            platform: "Ubuntu".to_owned(),
            os_type: "linux".to_owned(),
            architecture: "x86_64".to_owned(),
            boot_mode: "BIOS".to_owned(),
            license: text(),
            resource_group: text(),
            nvme: "unsupported".to_owned(),
            imds: "v1".to_owned(),
            tags: vec![],
            disks: vec![],
            detect: false,
            checked: vec![],
            deprecated: false,
            created,
            shared_with: vec![],
            public: false,
        };
        let object = ObjectState {
            bucket: "images".parse().unwrap(),
            key: id.parse().unwrap(),
            size: 1,
            etag: "E".to_owned(),
            modified: created,
        };
        let origin =
            Origin::Import { task: format!("t-{id}"), objects: vec![object], created, finished: None };
        let phase = Phase::Queued { since: 0, work: Work { duration, failure: None } };
        Entry { serial, image, deleted: false, origin, snapshots: vec![], phase, token: None, looks: 0 }
    }

    fn world(durations: &[Millis]) -> Entries {
        let named = durations.iter().zip(1..);
        named.map(|(duration, n)| (format!("m-{n}"), entry(&format!("m-{n}"), n, *duration))).collect()
    }

    fn at(entries: &mut Entries, now: Millis, limit: usize) -> Vec<&'static str> {
        settle(entries, now, Timestamp::UNIX_EPOCH, limit, |_| true);
        entries.values().map(|entry| entry.image_status(&EcsOptions::default())).collect()
    }

    fn begin(entries: &mut Entries, limit: usize) {
        start_waiting(entries, &("cn-hangzhou".to_owned(), false), 0, limit);
    }

    #[test]
    fn what_waits_starts_the_moment_a_place_is_free() {
        let mut entries = world(&[100, 300, 100, 100]);
        begin(&mut entries, 2);
        assert_eq!(at(&mut entries, 50, 2), ["Creating", "Creating", "Waiting", "Waiting"]);
        assert_eq!(at(&mut entries, 150, 2), ["Available", "Creating", "Creating", "Waiting"]);
        assert_eq!(entries["m-3"].percent(150), 50);
        // One look long after all is over gives the same as many looks.
        let mut once = world(&[100, 300, 100, 100]);
        begin(&mut once, 2);
        assert_eq!(at(&mut once, 10_000, 2), ["Available"; 4]);
        assert_eq!(once["m-4"].phase, Phase::Done { at: 300 });
    }

    #[test]
    fn progress_never_falls_and_is_complete_only_at_the_end() {
        let mut entries = world(&[1000]);
        begin(&mut entries, 1);
        let mut last = 0;
        for now in (0..=2000).step_by(50) {
            at(&mut entries, now, 1);
            let percent = entries["m-1"].percent(now);
            assert!(percent >= last && (percent == 100) == (now >= 1000), "{now}: {percent}");
            last = percent;
        }
    }

    #[test]
    fn a_foreseen_failure_ends_the_work_early() {
        let mut entries = world(&[1000]);
        let failure =
            Failure { percent: 40, code: "InvalidImageFormat.Malformed".into(), message: "m".into() };
        let work = Work { duration: 1000, failure: Some(failure) };
        entries.get_mut("m-1").unwrap().phase = Phase::Running { since: 0, work };
        assert_eq!(at(&mut entries, 399, 1), ["Creating"]);
        assert_eq!(at(&mut entries, 400, 1), ["CreateFailed"]);
        let entry = &entries["m-1"];
        let options = EcsOptions { finished_but_failed: true, ..EcsOptions::default() };
        assert_eq!((entry.percent(5000), entry.task_status(5000, &options)), (40, "Finished"));
        assert_eq!(entry.task_status(5000, &EcsOptions::default()), "Failed");
        assert_eq!(entry.snapshot_status(), "failed");
    }

    #[test]
    fn a_changed_object_ends_the_import_at_once() {
        let mut entries = world(&[1000, 1000]);
        begin(&mut entries, 1);
        let changed =
            settle(&mut entries, 10, Timestamp::UNIX_EPOCH, 1, |object| object.key.as_str() != "m-1");
        assert_eq!(changed, ["m-1", "m-2"]);
        let Phase::Failed { failure, .. } = &entries["m-1"].phase else { panic!("it goes on") };
        assert_eq!((failure.code.as_str(), failure.percent), ("InvalidOSSObject.NotFound", 1));
        assert!(matches!(entries["m-2"].phase, Phase::Running { since: 10, .. }));
    }

    #[test]
    fn switches_change_what_is_shown_alone() {
        let options = EcsOptions { paused: true, looks_before_available: 2, ..EcsOptions::default() };
        let mut entry = entry("m-1", 1, 100);
        entry.phase = Phase::Running { since: 0, work: Work { duration: 100, failure: None } };
        assert_eq!(entry.task_status(10, &options), "Processing");
        assert_eq!(entry.task_status(50, &options), "Paused");
        entry.phase = Phase::Done { at: 100 };
        assert_eq!(
            (entry.task_status(100, &options), entry.image_status(&options)),
            ("Finished", "Creating")
        );
        entry.looks = 2;
        assert_eq!(entry.image_status(&options), "Available");
    }
}
