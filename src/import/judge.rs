//! When an import is over, and how. Pure.

use crate::model::{ImageStatus, TaskStatus};
use crate::protocol::ecs::{CustomImage, TaskDetail};

/// How many looks in a row must find no image before it counts as gone.
pub(super) const MISSING_LOOKS: u32 = 3;

/// What one look found. `None` is what could not be seen, or what the service does not know.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Look<'a> {
    pub(super) task: Option<&'a TaskDetail>,
    pub(super) image: Option<&'a CustomImage>,
    /// How many looks in a row, this one included, found no image though the service was asked.
    pub(super) missing: u32,
}

/// What a look means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It goes on.
    Pending,
    /// The image can be used.
    Done,
    /// The image will never be usable; code and message if the service gave them.
    Failed { code: Option<String>, message: Option<String> },
    /// Someone cancelled it.
    Cancelled,
    /// The image is gone.
    Vanished,
}

/// Judges a look. The image decides: a task that reads badly beside a usable image failed in nothing.
pub(super) fn judge(look: Look<'_>) -> Verdict {
    if let Some(image) = look.image {
        match image.status {
            // Its state can turn before the image is ready for use.
            ImageStatus::Available if image.usable == Some(false) => return Verdict::Pending,
            // Who deprecates an image may take its use away with it, but made it is.
            ImageStatus::Available | ImageStatus::Deprecated => return Verdict::Done,
            _ if look.task.is_some_and(|task| task.status == TaskStatus::Deleted) => {
                return Verdict::Cancelled;
            }
            _ if image.status.is_failed() => return failed(look.task),
            _ => {}
        }
    }
    match look.task {
        Some(task) if task.status == TaskStatus::Deleted => Verdict::Cancelled,
        Some(task) if task.status == TaskStatus::Failed => failed(look.task),
        // Finished is not yet success.
        Some(task) if task.status == TaskStatus::Finished && !task.succeeded() => failed(look.task),
        _ if look.missing >= MISSING_LOOKS => Verdict::Vanished,
        _ => Verdict::Pending,
    }
}

fn failed(task: Option<&TaskDetail>) -> Verdict {
    let failure = task.and_then(TaskDetail::failure);
    Verdict::Failed {
        code: failure.and_then(|failure| failure.error_code.clone()),
        message: failure.and_then(|failure| failure.error_message.clone()),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, StatusCode};

    use super::*;
    use crate::protocol::ecs::{DescribeImages, DescribeTaskAttribute};
    use crate::protocol::{Operation, Response};

    fn answer(body: String) -> Response {
        Response { status: StatusCode::OK, headers: HeaderMap::new(), body: Bytes::from(body) }
    }

    fn task(status: &str) -> Option<TaskDetail> {
        let (status, failed) = status.split_once('!').map_or((status, 0), |(status, _)| (status, 1));
        let error = if failed == 1 { r#""ErrorCode":"C","ErrorMsg":"m""# } else { r#""ErrorCode":"""# };
        let body = format!(
            r#"{{"TaskId":"t-1","TaskStatus":"{status}","FailedCount":{failed},
                "OperationProgressSet":{{"OperationProgress":[{{{error}}}]}}}}"#
        );
        let describe = DescribeTaskAttribute::new("cn-hangzhou".parse().unwrap(), "t-1".parse().unwrap());
        (status != "-").then(|| describe.decode(&answer(body)).unwrap())
    }

    fn image(status: &str) -> Option<CustomImage> {
        let (status, usable) = match status.split_once('?') {
            Some((status, _)) => (status, r#","Usable":false"#),
            None => (status, ""),
        };
        let body = format!(r#"{{"Images":{{"Image":[{{"ImageId":"m-1","Status":"{status}"{usable}}}]}}}}"#);
        let describe = DescribeImages::new("cn-hangzhou".parse().unwrap());
        (status != "-").then(|| describe.decode(&answer(body)).unwrap().images.remove(0))
    }

    #[test]
    fn the_image_decides_and_the_task_explains() {
        let failed = Verdict::Failed { code: Some("C".into()), message: Some("m".into()) };
        let unexplained = Verdict::Failed { code: None, message: None };
        for (task_status, image_status, missing, expected) in [
            ("Waiting", "Waiting", 0, Verdict::Pending),
            ("Processing", "Creating", 0, Verdict::Pending),
            ("Paused", "Creating", 0, Verdict::Pending),
            ("Finished", "Creating", 0, Verdict::Pending),
            ("Finished", "Available?not yet usable", 0, Verdict::Pending),
            ("Finished", "Available", 0, Verdict::Done),
            ("Finished", "Deprecated", 0, Verdict::Done),
            ("Finished", "Deprecated?not usable", 0, Verdict::Done),
            ("-", "Available", 0, Verdict::Done),
            ("Processing", "Available", 0, Verdict::Done),
            ("Finished!", "Available", 0, Verdict::Done),
            ("Finished!", "CreateFailed", 0, failed.clone()),
            ("Finished!", "Creating", 0, failed.clone()),
            ("Failed!", "CreateFailed", 0, failed.clone()),
            ("Failed!", "-", 1, failed),
            ("-", "CreateFailed", 0, unexplained.clone()),
            ("Processing", "UnAvailable", 0, unexplained),
            ("Deleted", "-", 1, Verdict::Cancelled),
            ("Deleted", "CreateFailed", 0, Verdict::Cancelled),
            ("Deleted", "Creating", 0, Verdict::Cancelled),
            ("Processing", "-", 2, Verdict::Pending),
            ("Processing", "-", 3, Verdict::Vanished),
            ("-", "-", 3, Verdict::Vanished),
            ("-", "-", 0, Verdict::Pending),
            ("-", "Thawing", 0, Verdict::Pending),
        ] {
            let (task, image) = (task(task_status), image(image_status));
            let look = Look { task: task.as_ref(), image: image.as_ref(), missing };
            assert_eq!(judge(look), expected, "task {task_status}, image {image_status}, missing {missing}");
        }
    }
}
