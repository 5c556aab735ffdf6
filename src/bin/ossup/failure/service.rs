//! What a failed request means for the user.

use ossup::client::{CallCause, CallError};
use ossup::http::TransportErrorKind;
use ossup::model::Endpoint;
use ossup::protocol::ServiceError;

/// Returns advice about a failed request, if there is better than the service's message.
pub(super) fn advice(error: &CallError) -> Option<String> {
    match &error.cause {
        CallCause::Service(answer) => service(answer),
        CallCause::Transport(cause) => match cause.kind {
            TransportErrorKind::NotHttp => {
                Some("check the endpoint: what answers there is no OSS".to_owned())
            }
            TransportErrorKind::Resolve => Some("check the region, the endpoint and the network".to_owned()),
            TransportErrorKind::Tls => Some(
                "if a proxy or a server of your own is in between, trust it with --ca-file PEM".to_owned(),
            ),
            _ => None,
        },
        CallCause::Decode(_) => Some("check the endpoint: what answers there may be no OSS".to_owned()),
        _ => None,
    }
}

fn service(answer: &ServiceError) -> Option<String> {
    if let Some(endpoint) = &answer.endpoint {
        // The region comes first: to an emulator or the embedded store, the endpoint is that of a service which
        // has nothing to do with it, and where the image must not go.
        let region = endpoint.parse().ok().and_then(|endpoint: Endpoint| endpoint.region());
        return Some(match region {
            Some(region) => format!(
                "the bucket lies in {region}: say --region {region}, and if you name an endpoint of another \
                 region, {endpoint} in its place"
            ),
            None => format!("the bucket is served by another endpoint, {endpoint}"),
        });
    }
    if matches!(answer.ec.as_deref(), Some("0002-00000226" | "0002-00000228")) {
        return Some(
            "requests are signed for a region that is not the endpoint's: say the bucket's --region"
                .to_owned(),
        );
    }
    if let Some(advice) = answer.code.as_deref().and_then(known) {
        return Some(advice.to_owned());
    }
    if let Some(denied) = &answer.denied_action {
        return Some(format!("grant `{denied}` to the user or role"));
    }
    match answer.status {
        401 | 403 if is_denial(answer.code.as_deref()) => {
            Some("the key pair has no right to do this; `-v` says where it came from".to_owned())
        }
        _ if answer.code.is_none() => Some("check the endpoint: what answers there may be no OSS".to_owned()),
        _ => None,
    }
}

/// Whether a 403 is about permissions: ECS answers so to much else. An answer without a body is taken for one.
fn is_denial(code: Option<&str>) -> bool {
    let denials = ["AccessDenied", "Forbidden", "NoPermission", "Unauthorized"];
    code.is_none_or(|code| denials.iter().any(|denial| code.starts_with(denial)))
}

/// Codes for which we know better advice than the service's message.
fn known(code: &str) -> Option<&'static str> {
    Some(match code {
        "InvalidAccessKeyId" | "InvalidAccessKeyId.NotFound" => {
            "the access key id is unknown or disabled; `-v` says where it came from"
        }
        "SignatureDoesNotMatch" | "IncompleteSignature" => {
            "the access key secret does not fit its id; `-v` says where both came from"
        }
        "SecurityTokenExpired" | "InvalidSecurityToken.Expired" => {
            "get new temporary credentials, then run the same command again"
        }
        "InvalidSecurityToken" | "SecurityTokenNotSupported" | "InvalidSecurityToken.Malformed" => {
            "id, secret and token must come from the same STS answer"
        }
        "RequestTimeTooSkewed" => "set this machine's clock",
        "UserDisable" | "InvalidAccountStatus" | "Account.Arrearage" | "InvalidAccountStatus.OSSDisabled" => {
            "the account is disabled, unpaid, or has not activated the service"
        }
        "NoSuchBucket" => "check the bucket's name, or make it: `ossup bucket create oss://BUCKET`",
        "NoSuchKey" => "check the object's key: it is taken literally, nothing is decoded",
        "BucketAlreadyExists" => "bucket names are global: choose another",
        "FileAlreadyExists" => "choose another key, or replace the object with --overwrite",
        "FileImmutable" => "the bucket's retention policy keeps the object",
        "TransferAccelerationDisabled" => {
            "enable transfer acceleration on the bucket, or use another endpoint"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, code: &str) -> ServiceError {
        let mut error = ServiceError::default();
        error.status = status;
        error.code = (!code.is_empty()).then(|| code.to_owned());
        error
    }

    #[test]
    fn a_bucket_elsewhere_names_the_right_region_first() {
        let mut elsewhere = answer(403, "AccessDenied");
        elsewhere.endpoint = Some("oss-cn-beijing.aliyuncs.com".to_owned());
        let advice = service(&elsewhere).unwrap();
        assert!(advice.contains("say --region cn-beijing"), "{advice}");
        assert!(advice.contains("oss-cn-beijing.aliyuncs.com in its place"), "{advice}");
        let mut region = answer(400, "InvalidArgument");
        region.ec = Some("0002-00000226".to_owned());
        assert!(service(&region).unwrap().contains("--region"));
    }

    #[test]
    fn a_denied_action_is_named() {
        let mut denied = answer(403, "AccessDenied");
        assert!(service(&denied).unwrap().contains("no right"));
        denied.denied_action = Some("oss:PutObject".to_owned());
        assert!(service(&denied).unwrap().contains("`oss:PutObject`"));
    }

    #[test]
    fn what_has_no_code_may_be_no_oss() {
        assert!(service(&answer(404, "")).unwrap().contains("no OSS"));
        assert_eq!(service(&answer(400, "InvalidArgument")), None);
    }
}
