use crate::model::{Region, SnapshotId};
use crate::protocol::rpc::{self, Acknowledged, Params};
use crate::protocol::{DecodeError, Operation, Request, Response};

const NAME: &str = "DeleteSnapshot";

/// Deletes a snapshot ("DeleteSnapshot" page).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeleteSnapshot {
    /// The snapshot's region; only the endpoint depends on it.
    pub region: Region,
    /// The snapshot.
    pub snapshot_id: SnapshotId,
    /// Whether it is deleted though disks were made from it.
    pub force: bool,
}

impl DeleteSnapshot {
    /// Returns a request to delete `snapshot_id` unless it is in use.
    pub fn new(region: Region, snapshot_id: SnapshotId) -> Self {
        Self { region, snapshot_id, force: false }
    }
}

impl Operation for DeleteSnapshot {
    type Output = Acknowledged;

    fn name(&self) -> &'static str {
        NAME
    }

    fn request(&self) -> Request {
        let params = Params::in_region(&self.region).with("SnapshotId", &self.snapshot_id);
        rpc::ecs(NAME, &self.region, params.with_flag("Force", self.force))
    }

    fn decode(&self, answer: &Response) -> Result<Acknowledged, DecodeError> {
        Acknowledged::read(NAME, answer)
    }
}
