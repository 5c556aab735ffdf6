//! What the RPC-style services (ECS, RAM, STS) have in common: endpoints, parameters, lenient JSON, errors.

mod acknowledged;
pub mod code;
mod endpoint;
pub mod error;
pub(crate) mod json;
mod params;

pub use acknowledged::Acknowledged;
pub use endpoint::{CENTRAL_ECS_HOST, host};

pub(crate) use params::Params;

use super::{Request, RpcRequest, RpcService};
use crate::model::Region;

/// Returns a signed call of an ECS action in `region`.
pub(crate) fn ecs(action: &'static str, region: &Region, params: Params) -> Request {
    let (service, region) = (RpcService::Ecs, Some(region.clone()));
    Request::Rpc(RpcRequest { service, action, region, params: params.into_vec(), signed: true })
}

/// Returns a signed call of a RAM action; RAM has one endpoint for all regions.
pub(crate) fn ram(action: &'static str, params: Params) -> Request {
    let service = RpcService::Ram;
    Request::Rpc(RpcRequest { service, action, region: None, params: params.into_vec(), signed: true })
}
