//! DescribeTasks, DescribeTaskAttribute and CancelTask.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::Service;
use super::super::answer::Refusal;
use super::super::entry::{Entry, Origin, Phase};
use super::page;

impl Service<'_> {
    pub(super) fn describe_tasks(&mut self) -> Result<Value, Refusal> {
        super::refuse_unknown(self.call, &["StartTime", "EndTime", "TaskGroupId"])?;
        let (number, size) = self.call.page()?;
        let ids: Option<Vec<&str>> = self.call.text("TaskIds").map(|ids| ids.split(',').collect());
        if ids.as_ref().is_some_and(|ids| ids.len() > 100) {
            return Err(Refusal::malformed("InvalidParameter", "TaskIds"));
        }
        let action = self.call.text("TaskAction").map(|action| action.replace('_', "").to_lowercase());
        let status =
            self.call.text("TaskStatus").filter(|s| matches!(*s, "Finished" | "Processing" | "Failed"));
        let resources = self.call.list("ResourceIds");
        let mut tasks: Vec<&Entry> = self
            .state
            .entries
            .values()
            .filter(|entry| {
                self.task_known(entry)
                    && ids.as_ref().is_none_or(|ids| entry.task().is_some_and(|task| ids.contains(&task)))
                    && action.as_ref().is_none_or(|action| action == "importimage")
                    && status
                        .is_none_or(|status| status == entry.task_status(self.millis, &self.state.options))
                    && (resources.is_empty() || resources.contains(&entry.image.id.as_str()))
            })
            .collect();
        tasks.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.serial));
        let tasks: Vec<Value> = tasks.into_iter().map(|entry| self.task(entry)).collect();
        Ok(json!({
            "PageNumber": number,
            "PageSize": size,
            "TotalCount": tasks.len(),
            "RegionId": self.region(),
            "TaskSet": {"Task": page(tasks, number, size)},
        }))
    }

    pub(super) fn describe_task_attribute(&mut self) -> Result<Value, Refusal> {
        let entry = self.required_task()?;
        let mut value = self.task(entry);
        let percent = entry.percent(self.millis);
        let (failed, succeeded) = match entry.phase {
            Phase::Failed { .. } | Phase::Cancelled { .. } => (1, 0),
            Phase::Done { .. } => (0, 1),
            _ => (0, 0),
        };
        let operation = match &entry.phase {
            Phase::Failed { failure, .. } => json!({
                "OperationStatus": "Failed", "ErrorCode": failure.code, "ErrorMsg": failure.message,
            }),
            Phase::Done { .. } => json!({"OperationStatus": "Success", "ErrorCode": "", "ErrorMsg": ""}),
            Phase::Cancelled { .. } => json!({"OperationStatus": "Failed", "ErrorCode": "", "ErrorMsg": ""}),
            _ => json!({"OperationStatus": "Processing", "ErrorCode": "", "ErrorMsg": ""}),
        };
        let operations: Vec<Value> = entry
            .image
            .disks
            .iter()
            .map(|disk| {
                let mut operation = operation.clone();
                operation["RelatedItemSet"] = json!({"RelatedItem": [
                    {"Name": "OSSBucket", "Value": disk.bucket},
                    {"Name": "OSSObject", "Value": disk.key},
                    {"Name": "ImageFormat", "Value": disk.format},
                ]});
                operation
            })
            .collect();
        // Only the list names what a task works on.
        value.as_object_mut().expect("a task is an object").remove("ResourceId");
        value["TaskProcess"] = json!(format!("{percent}%"));
        value["TotalCount"] = json!(1);
        value["SuccessCount"] = json!(succeeded);
        value["FailedCount"] = json!(failed);
        value["RegionId"] = json!(entry.image.region);
        value["OperationProgressSet"] = json!({"OperationProgress": operations});
        Ok(value)
    }

    pub(super) fn cancel_task(&mut self) -> Result<Value, Refusal> {
        let mut entry = self.required_task()?.clone();
        if !entry.is_pending() {
            let message = "The task does not run any more and cannot be cancelled.";
            return Err(Refusal::new(403, "InvalidTaskId.IncorrectTaskStatus", message));
        }
        entry.phase = Phase::Cancelled { percent: entry.percent(self.millis) };
        if let Origin::Import { finished, .. } = &mut entry.origin {
            *finished = Some(self.now);
        }
        entry.deleted = !self.state.options.cancel_leaves_image;
        self.state.put(entry, self.emulator.store())?;
        // Its place is free for the next.
        self.state.settle(self.now, self.emulator.store())?;
        Ok(json!({}))
    }

    fn task_known(&self, entry: &Entry) -> bool {
        entry.task().is_some()
            && entry.image.region == self.region()
            && (entry.is_pending() || !self.state.options.forget_ended_tasks)
    }

    fn required_task(&self) -> Result<&Entry, Refusal> {
        let id = self.call.required("TaskId")?;
        let found =
            self.state.entries.values().find(|entry| entry.task() == Some(id) && self.task_known(entry));
        found.ok_or_else(|| {
            Refusal::new(400, "InvalidTaskId.NotFound", "The specified task id does not exist.")
        })
    }

    fn task(&self, entry: &Entry) -> Value {
        let (created, finished) = match &entry.origin {
            Origin::Import { created, finished, .. } => (Some(*created), *finished),
            Origin::Copy { .. } => (None, None),
        };
        json!({
            "TaskId": entry.task(),
            "TaskAction": "ImportImage",
            "TaskStatus": entry.task_status(self.millis, &self.state.options),
            "SupportCancel": if entry.is_pending() { "true" } else { "false" },
            "ResourceId": entry.image.id,
            "CreationTime": minutes(created),
            "FinishedTime": minutes(finished),
        })
    }
}

/// Writes a time without seconds.
fn minutes(time: Option<Timestamp>) -> String {
    time.map_or_else(String::new, |time| time.strftime("%Y-%m-%dT%H:%MZ").to_string())
}
