use crate::model::{ImageId, Region};
use crate::protocol::rpc::{self, Acknowledged, Params};
use crate::protocol::{DecodeError, Operation, Request, Response, TimeoutClass};

const NAME: &str = "DeleteImage";

/// Deletes a custom image ("DeleteImage" page). Its snapshots stay and go on being billed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeleteImage {
    /// The image's region.
    pub region: Region,
    /// The image.
    pub image_id: ImageId,
    /// Whether it is deleted though instances use it.
    pub force: bool,
}

impl DeleteImage {
    /// Returns a request to delete `image_id` unless it is in use.
    pub fn new(region: Region, image_id: ImageId) -> Self {
        Self { region, image_id, force: false }
    }

    /// Deletes the image even if instances use it.
    #[must_use]
    pub fn with_force(mut self, force: bool) -> Self {
        self.force = force;
        self
    }
}

impl Operation for DeleteImage {
    type Output = Acknowledged;

    fn name(&self) -> &'static str {
        NAME
    }

    fn request(&self) -> Request {
        let params = Params::in_region(&self.region).with("ImageId", &self.image_id);
        rpc::ecs(NAME, &self.region, params.with_flag("Force", self.force))
    }

    fn timeout(&self) -> TimeoutClass {
        TimeoutClass::Long
    }

    fn decode(&self, answer: &Response) -> Result<Acknowledged, DecodeError> {
        Acknowledged::read(NAME, answer)
    }
}
