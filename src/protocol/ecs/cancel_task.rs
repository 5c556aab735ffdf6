use crate::model::{Region, TaskId};
use crate::protocol::rpc::{self, Acknowledged, Params};
use crate::protocol::{DecodeError, Idempotence, Operation, Request, Response};

const NAME: &str = "CancelTask";

/// Cancels a running import or export task ("CancelTask" page). The object is never touched.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CancelTask {
    /// The task's region.
    pub region: Region,
    /// The task.
    pub task_id: TaskId,
}

impl CancelTask {
    /// Returns a request to cancel `task_id`.
    pub fn new(region: Region, task_id: TaskId) -> Self {
        Self { region, task_id }
    }
}

impl Operation for CancelTask {
    type Output = Acknowledged;

    fn name(&self) -> &'static str {
        NAME
    }

    fn request(&self) -> Request {
        rpc::ecs(NAME, &self.region, Params::in_region(&self.region).with("TaskId", &self.task_id))
    }

    /// A second cancellation is refused because the task no longer runs.
    fn idempotence(&self) -> Idempotence {
        Idempotence::Settled
    }

    fn decode(&self, answer: &Response) -> Result<Acknowledged, DecodeError> {
        Acknowledged::read(NAME, answer)
    }
}
