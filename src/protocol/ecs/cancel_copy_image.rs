use crate::model::{ImageId, Region};
use crate::protocol::rpc::{self, Acknowledged, Params};
use crate::protocol::{DecodeError, Idempotence, Operation, Request, Response};

const NAME: &str = "CancelCopyImage";

/// Cancels a copy that is being made ("CancelCopyImage" page). The copy disappears, its source stays.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CancelCopyImage {
    /// The region that the copy is made in.
    pub region: Region,
    /// The copy's own id.
    pub image_id: ImageId,
}

impl CancelCopyImage {
    /// Returns a request to cancel the copy `image_id` in its destination `region`.
    pub fn new(region: Region, image_id: ImageId) -> Self {
        Self { region, image_id }
    }
}

impl Operation for CancelCopyImage {
    type Output = Acknowledged;

    fn name(&self) -> &'static str {
        NAME
    }

    fn request(&self) -> Request {
        rpc::ecs(NAME, &self.region, Params::in_region(&self.region).with("ImageId", &self.image_id))
    }

    /// A second cancellation no longer finds the copy.
    fn idempotence(&self) -> Idempotence {
        Idempotence::Settled
    }

    fn decode(&self, answer: &Response) -> Result<Acknowledged, DecodeError> {
        Acknowledged::read(NAME, answer)
    }
}
