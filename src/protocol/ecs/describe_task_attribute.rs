use jiff::Timestamp;

use super::describe_tasks::normal_action;
use crate::model::{Region, TaskId, TaskStatus};
use crate::protocol::rpc::{self, Params, json};
use crate::protocol::{DecodeError, Operation, Request, Response};

const NAME: &str = "DescribeTaskAttribute";

/// Returns the progress of a task ("DescribeTaskAttribute" page).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DescribeTaskAttribute {
    /// The task's region.
    pub region: Region,
    /// The task.
    pub task_id: TaskId,
}

impl DescribeTaskAttribute {
    /// Returns a request about `task_id`.
    pub fn new(region: Region, task_id: TaskId) -> Self {
        Self { region, task_id }
    }
}

/// A task with its progress.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskDetail {
    /// Its id.
    pub task_id: TaskId,
    /// What it does, in the spelling `ImportImage`.
    pub action: String,
    /// Its state.
    pub status: TaskStatus,
    /// How much is done, in percent.
    pub percent: Option<u8>,
    /// Whether CancelTask would stop it.
    pub can_cancel: Option<bool>,
    /// How many of its operations failed.
    pub failed_count: Option<u64>,
    /// When it began.
    pub created: Option<Timestamp>,
    /// When it ended.
    pub finished: Option<Timestamp>,
    /// Its operations.
    pub operations: Vec<OperationProgress>,
}

/// One operation of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OperationProgress {
    /// `Success` and other words that are not documented.
    pub status: Option<String>,
    /// Why it failed.
    pub error_code: Option<String>,
    /// Why it failed, for people.
    pub error_message: Option<String>,
    /// What it is about, such as OSSBucket and OSSObject.
    pub related: Vec<(String, String)>,
}

impl TaskDetail {
    /// Returns the first operation that names an error.
    pub fn failure(&self) -> Option<&OperationProgress> {
        self.operations.iter().find(|operation| operation.error_code.is_some())
    }

    /// Whether the task ended without any failure, as far as the task itself shows.
    pub fn succeeded(&self) -> bool {
        self.status == TaskStatus::Finished && self.failed_count.unwrap_or(0) == 0 && self.failure().is_none()
    }
}

impl Operation for DescribeTaskAttribute {
    type Output = TaskDetail;

    fn name(&self) -> &'static str {
        NAME
    }

    fn request(&self) -> Request {
        rpc::ecs(NAME, &self.region, Params::in_region(&self.region).with("TaskId", &self.task_id))
    }

    fn decode(&self, answer: &Response) -> Result<TaskDetail, DecodeError> {
        let value = json::read(NAME, answer)?;
        let operation = |value: &serde_json::Value| {
            let related = json::list(value, "RelatedItemSet", "RelatedItem").into_iter().filter_map(|item| {
                Some((json::text(item, "Name")?, json::text(item, "Value").unwrap_or_default()))
            });
            OperationProgress {
                status: json::text(value, "OperationStatus"),
                error_code: json::text(value, "ErrorCode"),
                error_message: json::text(value, "ErrorMsg"),
                related: related.collect(),
            }
        };
        let operations = json::list(&value, "OperationProgressSet", "OperationProgress");
        Ok(TaskDetail {
            task_id: json::required(NAME, &value, "TaskId")?,
            action: normal_action(&json::text(&value, "TaskAction").unwrap_or_default()),
            status: json::required::<String>(NAME, &value, "TaskStatus")?.as_str().into(),
            percent: json::percent(&value, "TaskProcess"),
            can_cancel: json::flag(&value, "SupportCancel"),
            failed_count: json::number(&value, "FailedCount"),
            created: json::time(&value, "CreationTime"),
            finished: json::time(&value, "FinishedTime"),
            operations: operations.into_iter().map(operation).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ecs::tests::{answer, params};

    fn read(rest: &str) -> TaskDetail {
        let describe = DescribeTaskAttribute::new("cn-hangzhou".parse().unwrap(), "t-1".parse().unwrap());
        assert_eq!(params(&describe), ["RegionId=cn-hangzhou", "TaskId=t-1"]);
        let body = format!(r#"{{"TaskId":"t-1","TaskAction":"ImportImage",{rest}}}"#);
        describe.decode(&answer(&body)).unwrap()
    }

    #[test]
    fn finished_is_not_yet_success() {
        let good = r#""TaskStatus":"Finished","TaskProcess":"100%","FailedCount":0,
            "OperationProgressSet":{"OperationProgress":[{"OperationStatus":"Success","ErrorCode":"","ErrorMsg":"",
            "RelatedItemSet":{"RelatedItem":[{"Name":"OSSBucket","Value":"images"}]}}]}"#;
        let task = read(good);
        assert!(task.succeeded());
        assert_eq!(task.percent, Some(100));
        assert_eq!(task.operations[0].related, [("OSSBucket".to_owned(), "images".to_owned())]);
        assert!(read(r#""TaskStatus":"Finished""#).succeeded());
        assert!(!read(r#""TaskStatus":"Finished","FailedCount":"1""#).succeeded());
        assert!(!read(r#""TaskStatus":"Processing","TaskProcess":"100%""#).succeeded());
        let failed = read(
            r#""TaskStatus":"Finished","OperationProgressSet":{"OperationProgress":[{"ErrorCode":"InvalidImageFormat.Malformed","ErrorMsg":"m"}]}"#,
        );
        assert!(!failed.succeeded());
        assert_eq!(failed.failure().unwrap().error_message.as_deref(), Some("m"));
    }
}
