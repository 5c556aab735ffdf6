use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::model::{InstanceId, Region};
use crate::protocol::rpc::{self, Params, json};
use crate::protocol::{DecodeError, Operation, Request, Response};

const NAME: &str = "GetInstanceConsoleOutput";

/// Returns what an instance has said on its serial line since it was last started ("GetInstanceConsoleOutput" page).
/// Windows says nothing there, nor do instances of types that are no longer sold. How much of it is kept is not
/// documented.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GetInstanceConsoleOutput {
    /// The instance's region.
    pub region: Region,
    /// The instance.
    pub instance_id: InstanceId,
}

impl GetInstanceConsoleOutput {
    /// Returns a request for what an instance has said.
    pub fn new(region: Region, instance_id: InstanceId) -> Self {
        Self { region, instance_id }
    }
}

impl Operation for GetInstanceConsoleOutput {
    /// The bytes, as the guest wrote them.
    type Output = Vec<u8>;

    fn name(&self) -> &'static str {
        NAME
    }

    fn request(&self) -> Request {
        rpc::ecs(NAME, &self.region, Params::in_region(&self.region).with("InstanceId", &self.instance_id))
    }

    fn decode(&self, answer: &Response) -> Result<Vec<u8>, DecodeError> {
        let value = json::read(NAME, answer)?;
        // An instance that has said nothing has no output.
        let text = json::text(&value, "ConsoleOutput").unwrap_or_default();
        let packed: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        STANDARD
            .decode(packed)
            .map_err(|_| DecodeError::new(NAME, "has a `ConsoleOutput` that is not Base64"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ecs::tests::{answer, params};

    #[test]
    fn what_was_said_is_decoded() {
        let get = GetInstanceConsoleOutput::new("cn-hangzhou".parse().unwrap(), "i-1".parse().unwrap());
        assert_eq!(params(&get), ["RegionId=cn-hangzhou", "InstanceId=i-1"]);
        // The beginning of the page's own example.
        let body = r#"{"ConsoleOutput":"V2VsY29tZSB0byBDZW50T1MgCg==","InstanceId":"i-1","LastUpdateTime":"2018-03-22 10:04:57"}"#;
        assert_eq!(get.decode(&answer(body)).unwrap(), b"Welcome to CentOS \n");
        assert!(get.decode(&answer(r#"{"InstanceId":"i-1"}"#)).unwrap().is_empty());
        assert!(get.decode(&answer(r#"{"ConsoleOutput":"%"}"#)).is_err());
    }
}
