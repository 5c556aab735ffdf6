//! Events as JSON, one object per line.

use ossup::event::Event;
use ossup::model::{ImageStatus, TaskStatus};
use serde_json::{Value, json};

/// Returns the object of an event; `None` for an event that this program does not know.
pub(crate) fn json(event: &Event) -> Option<Value> {
    let mut object = match event {
        Event::Opened { object, upload_id, length, present, present_parts } => json!({
            "event": "opened",
            "bucket": object.bucket,
            "key": object.key,
            "upload_id": upload_id,
            "length": length,
            "present": present,
            "present_parts": present_parts,
        }),
        Event::Passed { image_bytes, object_bytes } => {
            json!({"event": "passed", "image_bytes": image_bytes, "object_bytes": object_bytes})
        }
        Event::Sized { length } => json!({"event": "sized", "length": length}),
        Event::OthersOpen { object, upload_ids } => json!({
            "event": "others_open",
            "bucket": object.bucket,
            "key": object.key,
            "upload_ids": upload_ids,
        }),
        Event::Notice { text } => json!({"event": "notice", "text": text}),
        Event::Verified { number, good, .. } => json!({"event": "verified", "part": number, "good": good}),
        Event::PartStarted { number, range } => {
            json!({"event": "part_started", "part": number, "offset": range.start, "size": range.len()})
        }
        Event::PartDone { number, range, took } => json!({
            "event": "part_done",
            "part": number,
            "offset": range.start,
            "size": range.len(),
            "seconds": took.as_secs_f64(),
        }),
        Event::PartReturned { number } => json!({"event": "part_returned", "part": number}),
        Event::Retrying { operation, part, attempts, reason, delay, left } => json!({
            "event": "retrying",
            "operation": operation,
            "part": part,
            "attempts": attempts,
            "reason": reason,
            "delay_seconds": delay.as_secs_f64(),
            "left_seconds": left.as_secs_f64(),
        }),
        Event::Concurrency { target } => json!({"event": "concurrency", "target": target}),
        Event::Stalled { silent, reason } => {
            json!({"event": "stalled", "silent_seconds": silent.as_secs_f64(), "reason": reason})
        }
        Event::Completing => json!({"event": "completing"}),
        Event::Completed => json!({"event": "completed"}),
        Event::Submitted { region, image_id, task_id } => {
            json!({"event": "submitted", "region": region, "image_id": image_id, "task_id": task_id})
        }
        Event::Importing(progress) => json!({
            "event": "importing",
            "region": progress.region,
            "image_id": progress.image_id,
            "task_id": progress.task_id,
            "percent": progress.percent,
            "task_status": progress.task.as_ref().map(TaskStatus::as_str),
            "image_status": progress.image.as_ref().map(ImageStatus::as_str),
            "waited_seconds": progress.waited.as_secs_f64(),
        }),
        Event::BootTest { region, image_id, instance_id, text } => json!({
            "event": "boot_test",
            "region": region,
            "image_id": image_id,
            "instance_id": instance_id,
            "text": text,
        }),
        Event::Available { region, image_id, name, waited } => json!({
            "event": "available",
            "region": region,
            "image_id": image_id,
            "name": name,
            "waited_seconds": waited.as_secs_f64(),
        }),
        _ => return None,
    };
    object["schema"] = super::SCHEMA.into();
    Some(object)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ossup::event::ImportProgress;
    use ossup::model::{ByteRange, PartNumber, UploadId};

    use super::*;

    /// One line of each event.
    #[test]
    fn the_lines_of_events_read_so() {
        let number = PartNumber::new(7).unwrap();
        let range = ByteRange::new(100, 250);
        let seconds = Duration::from_secs;
        let (region, image_id) = ("cn-hangzhou".parse().unwrap(), "m-1".parse().unwrap());
        let mut progress = ImportProgress::new(region, image_id, seconds(90));
        progress.task_id = Some("t-1".parse().unwrap());
        progress.percent = Some(32);
        progress.task = Some(TaskStatus::from("Processing"));
        progress.image = Some(ImageStatus::from("Creating"));
        let (region, image_id) = (progress.region.clone(), progress.image_id.clone());
        let events = [
            Event::Opened {
                object: "oss://images/web/x".parse().unwrap(),
                upload_id: UploadId::new("A1"),
                length: Some(1000),
                present: 300,
                present_parts: 2,
            },
            Event::Notice { text: "the object exists already".to_owned() },
            Event::Passed { image_bytes: 900, object_bytes: 500 },
            Event::Sized { length: 600 },
            Event::Verified { number, range, good: false },
            Event::PartStarted { number, range },
            Event::PartDone { number, range, took: Duration::from_millis(1500) },
            Event::PartReturned { number },
            Event::Retrying {
                operation: "UploadPart",
                part: Some(number),
                attempts: 2,
                reason: "the connection broke".to_owned(),
                delay: Duration::from_millis(250),
                left: seconds(1790),
            },
            Event::Concurrency { target: 12 },
            Event::Stalled { silent: seconds(30), reason: "nothing failed".to_owned() },
            Event::Completing,
            Event::Completed,
            Event::Submitted {
                region: region.clone(),
                image_id: image_id.clone(),
                task_id: Some("t-1".parse().unwrap()),
            },
            Event::Importing(progress),
            Event::Available { region, image_id, name: Some("web-1".to_owned()), waited: seconds(4320) },
        ];
        let lines: Vec<_> = events.iter().map(|event| json(event).unwrap().to_string()).collect();
        insta::with_settings!({
            snapshot_path => concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshots"),
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, { insta::assert_snapshot!("events", lines.join("\n")); });
    }

    #[test]
    fn events_are_flat_objects_with_a_schema() {
        let event = Event::PartDone {
            number: PartNumber::new(7).unwrap(),
            range: ByteRange::new(100, 250),
            took: Duration::from_millis(1500),
        };
        assert_eq!(
            json(&event).unwrap(),
            json!({"schema": 1, "event": "part_done", "part": 7, "offset": 100, "size": 150, "seconds": 1.5})
        );
    }
}
