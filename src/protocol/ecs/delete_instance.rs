use crate::model::{InstanceId, Region};
use crate::protocol::rpc::{self, Acknowledged, Params};
use crate::protocol::{DecodeError, Operation, Request, Response};

const NAME: &str = "DeleteInstance";

/// Releases a pay-as-you-go instance with its disks ("DeleteInstance" page).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeleteInstance {
    /// The instance's region; only the endpoint depends on it.
    pub region: Region,
    /// The instance.
    pub instance_id: InstanceId,
    /// Whether it is released though it runs.
    pub force: bool,
}

impl DeleteInstance {
    /// Returns a request to release an instance also while it runs.
    pub fn forced(region: Region, instance_id: InstanceId) -> Self {
        Self { region, instance_id, force: true }
    }
}

impl Operation for DeleteInstance {
    type Output = Acknowledged;

    fn name(&self) -> &'static str {
        NAME
    }

    fn request(&self) -> Request {
        let params = Params::in_region(&self.region).with("InstanceId", &self.instance_id);
        rpc::ecs(NAME, &self.region, params.with_flag("Force", self.force))
    }

    fn decode(&self, answer: &Response) -> Result<Acknowledged, DecodeError> {
        Acknowledged::read(NAME, answer)
    }
}
