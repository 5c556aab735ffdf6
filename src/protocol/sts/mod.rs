//! STS OpenAPI 2015-04-01: temporary credentials of a role.

mod assume_role;
mod assume_role_with_oidc;
mod get_caller_identity;

pub use assume_role::AssumeRole;
pub use assume_role_with_oidc::AssumeRoleWithOidc;
pub use get_caller_identity::{CallerIdentity, GetCallerIdentity};

use super::rpc::{Params, json};
use super::{DecodeError, Request, Response, RpcRequest, RpcService};
use crate::credentials::Credentials;
use crate::model::Region;

/// Returns a call of an STS action.
fn request(action: &'static str, region: Option<&Region>, params: Params, signed: bool) -> Request {
    let (service, region) = (RpcService::Sts, region.cloned());
    Request::Rpc(RpcRequest { service, action, region, params: params.into_vec(), signed })
}

/// Reads the `Credentials` member that both ways of assuming a role answer with.
fn credentials(operation: &'static str, answer: &Response) -> Result<Credentials, DecodeError> {
    let value = json::read(operation, answer)?;
    let value = value.get("Credentials").ok_or_else(|| DecodeError::new(operation, "lacks `Credentials`"))?;
    let text = |name| json::required::<String>(operation, value, name);
    let credentials = Credentials::new(text("AccessKeyId")?, text("AccessKeySecret")?)
        .with_token(text("SecurityToken")?)
        .with_expiry(json::required(operation, value, "Expiration")?);
    Ok(credentials)
}
