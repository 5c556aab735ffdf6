//! STS: temporary credentials of roles, which the whole emulator accepts until they end.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::SignedDuration;
use serde_json::{Value, json};
use uuid::Uuid;

use super::answer::Refusal;
use super::call::Call;
use super::{Service, not_implemented, ram};
use crate::store::DEFAULT_OWNER;
use ossup_core::credentials::Credentials;

/// Whether the call carries its proof in itself, and needs no signature.
pub(super) fn is_unsigned(call: &Call) -> bool {
    call.version == "2015-04-01" && call.action == "AssumeRoleWithOIDC"
}

pub(super) fn answer(service: Service<'_>) -> Result<Value, Refusal> {
    match service.call.action.as_str() {
        "AssumeRole" => service.assume_role(),
        "AssumeRoleWithOIDC" => service.assume_role_with_oidc(),
        "GetCallerIdentity" => Ok(service.caller_identity()),
        other => Err(not_implemented(other)),
    }
}

/// When a token ends, in seconds since 1970, if it says so.
fn ends(payload: &str) -> Option<i64> {
    let json = BASE64_URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    serde_json::from_slice::<Value>(&json).ok()?.get("exp")?.as_i64()
}

impl Service<'_> {
    fn assume_role(&self) -> Result<Value, Refusal> {
        self.temporary_credentials()
    }

    /// Any token that looks like a JWT and has not ended is good: the emulator knows no identity provider's keys. Codes
    /// and status are those of the "STS error codes" page.
    fn assume_role_with_oidc(&self) -> Result<Value, Refusal> {
        self.call.required("OIDCProviderArn")?;
        let token = self.call.required("OIDCToken")?;
        let parts: Vec<&str> = token.split('.').collect();
        if parts.len() != 3 || parts.iter().any(|part| part.is_empty()) {
            let message = "This JWT format is illegal.";
            return Err(Refusal::new(401, "AuthenticationFail.OIDCToken.Invalid", message));
        }
        if ends(parts[1]).is_some_and(|end| end <= self.now.as_second()) {
            let message = "This JsonWebToken is expired.";
            return Err(Refusal::new(401, "AuthenticationFail.OIDCToken.Expired", message));
        }
        self.temporary_credentials()
    }

    /// Makes credentials of a role, which exists if RAM has it or if it is of another account.
    fn temporary_credentials(&self) -> Result<Value, Refusal> {
        let arn = self.call.required("RoleArn")?;
        let session = self.call.required("RoleSessionName")?;
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b".@-_".contains(&b);
        if !(2..=64).contains(&session.len()) || !session.bytes().all(allowed) {
            return Err(Refusal::malformed("InvalidParameter.RoleSessionName", "RoleSessionName"));
        }
        let role = arn
            .strip_prefix("acs:ram::")
            .and_then(|rest| rest.split_once(":role/"))
            .filter(|(account, role)| account.bytes().all(|b| b.is_ascii_digit()) && !role.is_empty());
        let Some((account, role)) = role else {
            return Err(Refusal::malformed("InvalidParameter.RoleArn", "RoleArn"));
        };
        let known = self.state.roles.values().find(|known| known.name.eq_ignore_ascii_case(role));
        if account == DEFAULT_OWNER && known.is_none() {
            let message = format!("The specified Role not exists, {role}.");
            return Err(Refusal::new(404, "EntityNotExist.Role", message));
        }
        let longest = known.map_or(3600, |role| role.max_session);
        let seconds = self.call.number::<u32>("DurationSeconds")?.unwrap_or(3600);
        if !(900..=longest).contains(&seconds) {
            return Err(Refusal::malformed("InvalidParameter.DurationSeconds", "DurationSeconds"));
        }
        let expires = self.now + SignedDuration::from_secs(i64::from(seconds));
        let random = || Uuid::new_v4().simple().to_string();
        let (id, secret, token) = (format!("STS.{}", &random()[..24]), random(), format!("CAIS{}", random()));
        self.emulator.add_credentials(Credentials::new(&id, &secret).with_token(&token).with_expiry(expires));
        Ok(json!({
            "AssumedRoleUser": {
                "Arn": format!("acs:ram::{account}:role/{role}/{session}"),
                "AssumedRoleId": format!("3{DEFAULT_OWNER}:{session}"),
            },
            "Credentials": {
                "AccessKeyId": id,
                "AccessKeySecret": secret,
                "SecurityToken": token,
                "Expiration": expires.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            },
        }))
    }

    fn caller_identity(&self) -> Value {
        let temporary = self.call.access_key.starts_with("STS.");
        let (kind, arn) = match temporary {
            true => ("AssumedRoleUser", ram::arn("assumed")),
            false => ("Account", format!("acs:ram::{DEFAULT_OWNER}:root")),
        };
        json!({"AccountId": DEFAULT_OWNER, "Arn": arn, "IdentityType": kind, "UserId": DEFAULT_OWNER})
    }
}
