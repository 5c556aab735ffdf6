use jiff::Timestamp;

use crate::model::{Region, TaskId, TaskStatus};
use crate::protocol::rpc::{self, Params, json};
use crate::protocol::{DecodeError, Operation, Request, Response};

const NAME: &str = "DescribeTasks";
/// Largest page.
const PAGE_SIZE: u32 = 100;

/// Lists asynchronous tasks, newest first ("DescribeTasks" page).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DescribeTasks {
    /// The region.
    pub region: Region,
    /// Only these tasks, at most 100.
    pub task_ids: Vec<TaskId>,
    /// Only tasks of this action, such as `ImportImage`.
    pub action: Option<String>,
    /// Only tasks in this state: `Finished`, `Processing` or `Failed`.
    pub status: Option<TaskStatus>,
    /// The page, from 1.
    pub page: u32,
}

impl DescribeTasks {
    /// Returns a request for all tasks.
    pub fn new(region: Region) -> Self {
        Self { region, task_ids: Vec::new(), action: None, status: None, page: 1 }
    }

    /// Asks for one task more.
    #[must_use]
    pub fn with_task_id(mut self, id: TaskId) -> Self {
        self.task_ids.push(id);
        self
    }

    /// Asks for tasks of one action.
    #[must_use]
    pub fn with_action(mut self, action: impl Into<String>) -> Self {
        self.action = Some(action.into());
        self
    }

    /// Asks for another page.
    #[must_use]
    pub fn with_page(mut self, page: u32) -> Self {
        self.page = page;
        self
    }
}

/// A page of tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskPage {
    /// The tasks of this page.
    pub tasks: Vec<TaskInfo>,
    /// How many there are on all pages.
    pub total: u64,
    /// Whether further pages may hold more.
    pub has_more: bool,
}

/// A task, in short.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskInfo {
    /// Its id.
    pub task_id: TaskId,
    /// What it does, in the spelling `ImportImage`.
    pub action: String,
    /// Its state.
    pub status: TaskStatus,
    /// Whether CancelTask would stop it.
    pub can_cancel: Option<bool>,
    /// What it works on, such as an image's id.
    pub resource_id: Option<String>,
    /// When it began.
    pub created: Option<Timestamp>,
    /// When it ended.
    pub finished: Option<Timestamp>,
}

/// Brings `IMPORT_IMAGE` to the spelling `ImportImage`; answers use both.
pub(super) fn normal_action(text: &str) -> String {
    if !text.contains('_') {
        return text.to_owned();
    }
    let capitalized = |word: &str| {
        let mut letters = word.chars();
        let first = letters.next().map(|letter| letter.to_ascii_uppercase());
        first.into_iter().chain(letters.map(|letter| letter.to_ascii_lowercase())).collect::<String>()
    };
    text.split('_').map(capitalized).collect()
}

impl Operation for DescribeTasks {
    type Output = TaskPage;

    fn name(&self) -> &'static str {
        NAME
    }

    fn request(&self) -> Request {
        let ids: Vec<&str> = self.task_ids.iter().map(TaskId::as_str).collect();
        let params = Params::in_region(&self.region)
            .with_some("TaskIds", (!ids.is_empty()).then(|| ids.join(",")))
            .with_some("TaskAction", self.action.as_deref())
            .with_some("TaskStatus", self.status.as_ref())
            .with("PageNumber", self.page)
            .with("PageSize", PAGE_SIZE);
        rpc::ecs(NAME, &self.region, params)
    }

    fn decode(&self, answer: &Response) -> Result<TaskPage, DecodeError> {
        let value = json::read(NAME, answer)?;
        let read = |task: &serde_json::Value| {
            Ok(TaskInfo {
                task_id: json::required(NAME, task, "TaskId")?,
                action: normal_action(&json::text(task, "TaskAction").unwrap_or_default()),
                status: json::required::<String>(NAME, task, "TaskStatus")?.as_str().into(),
                can_cancel: json::flag(task, "SupportCancel"),
                resource_id: json::text(task, "ResourceId"),
                created: json::time(task, "CreationTime"),
                finished: json::time(task, "FinishedTime"),
            })
        };
        let tasks: Vec<TaskInfo> =
            json::list(&value, "TaskSet", "Task").into_iter().map(read).collect::<Result<_, _>>()?;
        let total = json::number(&value, "TotalCount").unwrap_or(tasks.len() as u64);
        let has_more = !tasks.is_empty() && u64::from(self.page) * u64::from(PAGE_SIZE) < total;
        Ok(TaskPage { tasks, total, has_more })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ecs::tests::{answer, params};

    #[test]
    fn ids_are_one_text_with_commas() {
        let describe = DescribeTasks::new("cn-hangzhou".parse().unwrap())
            .with_task_id("t-a".parse().unwrap())
            .with_task_id("t-b".parse().unwrap())
            .with_action("ImportImage");
        let expected = [
            "RegionId=cn-hangzhou",
            "TaskIds=t-a,t-b",
            "TaskAction=ImportImage",
            "PageNumber=1",
            "PageSize=100",
        ];
        assert_eq!(params(&describe), expected);
    }

    #[test]
    fn object_and_array_shapes_read_alike() {
        let task = r#"{"TaskId":"t-1","TaskAction":"IMPORT_IMAGE","TaskStatus":"Processing",
            "SupportCancel":"true","CreationTime":"2015-11-24T12:50Z","FinishedTime":""}"#;
        let describe = DescribeTasks::new("cn-hangzhou".parse().unwrap());
        let object = format!(r#"{{"TaskSet":{{"Task":[{task}]}}}}"#);
        let array = format!(r#"{{"TaskSet":[{{"Task":[{task}]}}]}}"#);
        let page = describe.decode(&answer(&object)).unwrap();
        assert_eq!(page, describe.decode(&answer(&array)).unwrap());
        let task = &page.tasks[0];
        assert_eq!((task.action.as_str(), &task.status), ("ImportImage", &TaskStatus::Processing));
        assert_eq!((task.can_cancel, task.finished), (Some(true), None));
        assert!(task.created.is_some());
    }
}
