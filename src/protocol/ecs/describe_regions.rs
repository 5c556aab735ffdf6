use crate::protocol::rpc::{Params, json};
use crate::protocol::{DecodeError, Operation, Request, Response, RpcRequest, RpcService};

const NAME: &str = "DescribeRegions";

/// Lists the regions that the account can use and their endpoints ("DescribeRegions" page).
///
/// It goes to the central endpoint. It is also the cheapest test of credentials.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DescribeRegions;

impl DescribeRegions {
    /// Returns the request.
    pub fn new() -> Self {
        Self
    }
}

/// A region.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegionInfo {
    /// Its id, as sent.
    pub region_id: String,
    /// The host that serves it.
    pub endpoint: Option<String>,
    /// Its name for people.
    pub local_name: Option<String>,
}

impl Operation for DescribeRegions {
    type Output = Vec<RegionInfo>;

    fn name(&self) -> &'static str {
        NAME
    }

    fn request(&self) -> Request {
        let params = Params::new().with("AcceptLanguage", "en-US").into_vec();
        Request::Rpc(RpcRequest {
            service: RpcService::Ecs,
            action: NAME,
            region: None,
            params,
            signed: true,
        })
    }

    fn decode(&self, answer: &Response) -> Result<Vec<RegionInfo>, DecodeError> {
        let value = json::read(NAME, answer)?;
        let read = |region: &serde_json::Value| {
            Ok(RegionInfo {
                region_id: json::required(NAME, region, "RegionId")?,
                endpoint: json::text(region, "RegionEndpoint"),
                local_name: json::text(region, "LocalName"),
            })
        };
        json::list(&value, "Regions", "Region").into_iter().map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ecs::tests::{answer, params};

    #[test]
    fn regions_carry_their_endpoints() {
        assert_eq!(params(&DescribeRegions), ["AcceptLanguage=en-US"]);
        let body = r#"{"Regions":{"Region":[{"RegionId":"cn-hangzhou","RegionEndpoint":"ecs-cn-hangzhou.aliyuncs.com"}]}}"#;
        let regions = DescribeRegions.decode(&answer(body)).unwrap();
        assert_eq!(regions[0].endpoint.as_deref(), Some("ecs-cn-hangzhou.aliyuncs.com"));
    }
}
