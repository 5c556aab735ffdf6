//! What a failed request means for the user.

use ossup::client::{CallCause, CallError};
use ossup::http::{CertificateFault, TransportError, TransportErrorKind};
use ossup::model::{BucketName, Endpoint, Region};
use ossup::protocol::{ServiceError, ecs, oss, rpc};

use crate::settings::regions;

/// Returns advice about a failed request, if there is any better than the service's message.
pub(crate) fn advice(error: &CallError) -> Option<String> {
    match &error.cause {
        CallCause::Service(answer) => service(answer),
        CallCause::Transport(cause) => transport(cause),
        CallCause::Decode(_) => Some("check the endpoint: the server there may not be OSS".to_owned()),
        _ => None,
    }
}

fn transport(error: &TransportError) -> Option<String> {
    use TransportErrorKind as Kind;
    let host = error.host.as_deref().unwrap_or_default();
    let text = match error.kind {
        Kind::NotHttp => "check the endpoint: the server there is not OSS",
        Kind::Certificate(CertificateFault::Expired | CertificateFault::NotYetValid) => {
            "a certificate is valid only for a limited time: check this machine's clock, then the certificate of the \
             server or of the proxy that presents it"
        }
        Kind::Certificate(CertificateFault::Name) => {
            "the certificate belongs to another server: check the endpoint; if a proxy intercepts TLS, trust its \
             certificate with --ca-file PEM"
        }
        Kind::Certificate(_) => {
            "if this is your own server, or a proxy intercepts TLS, trust its certificate with --ca-file PEM"
        }
        Kind::Tls => "check the endpoint and its port: if it serves plain HTTP, put http:// before it",
        Kind::ProxyAuth => "pass the proxy's user and password: http://USER:PASSWORD@HOST:PORT",
        Kind::Proxy => "check the proxy's address, or list hosts that need no proxy in NO_PROXY",
        Kind::ProxyRefused => "allow this host in the proxy, or add it to NO_PROXY",
        Kind::Intercepted => {
            "something between here and OSS answered instead: log in to this network, or check proxy and endpoint"
        }
        Kind::Resolve | Kind::Connect | Kind::Timeout if is_internal(host) => {
            "this endpoint is reachable only from within its region's network: elsewhere, use the public one \
             (--endpoint public)"
        }
        Kind::Resolve => match region_of(host).as_ref().and_then(regions::meant) {
            Some(meant) => return Some(format!("there may be no such region: did you mean {meant}?")),
            None => "check the region, the endpoint and the network",
        },
        _ => return None,
    };
    Some(text.to_owned())
}

/// Whether the same request would fail again because an address, a proxy or a certificate is wrong.
pub(super) fn asks_for_another_command(error: &CallError) -> bool {
    use TransportErrorKind as Kind;
    let CallCause::Transport(error) = &error.cause else { return false };
    let host = error.host.as_deref().unwrap_or_default();
    match error.kind {
        Kind::Certificate(_) | Kind::Tls | Kind::NotHttp | Kind::ProxyAuth | Kind::ProxyRefused => true,
        Kind::Resolve | Kind::Connect => {
            is_internal(host) || region_of(host).as_ref().and_then(regions::meant).is_some()
        }
        _ => false,
    }
}

/// Whether a host is reachable only from within a region's network.
fn is_internal(host: &str) -> bool {
    let inside = ["-internal.aliyuncs.com", ".vpc-proxy.aliyuncs.com"];
    inside.iter().any(|end| host.ends_with(end)) || host.contains("-vpc.") && host.ends_with(".aliyuncs.com")
}

/// Returns the region of a service's host, or of a bucket's.
fn region_of(host: &str) -> Option<Region> {
    let of = |host: &str| host.parse().ok().and_then(|endpoint: Endpoint| endpoint.region());
    of(host).or_else(|| of(host.split_once('.')?.1))
}

fn service(answer: &ServiceError) -> Option<String> {
    if let Some(endpoint) = &answer.endpoint {
        // The region comes first: for an emulator or the embedded store, the endpoint names a service that has
        // nothing to do with it, and where the image must not go.
        let region = endpoint.parse().ok().and_then(|endpoint: Endpoint| endpoint.region());
        return Some(match region {
            Some(region) => format!(
                "the bucket is in {region}: pass --region {region}, and if you pass an endpoint of another \
                 region, use {endpoint} instead"
            ),
            None => format!("the bucket is served by another endpoint, {endpoint}"),
        });
    }
    if answer.ec.as_deref().is_some_and(|ec| oss::code::EC_OTHER_REGION.contains(&ec)) {
        return Some(
            "requests are signed for a region other than the endpoint's: pass the bucket's --region"
                .to_owned(),
        );
    }
    if answer.is(oss::code::NO_SUCH_BUCKET) {
        // Validated, since it goes into a command.
        let bucket = answer.bucket.as_ref().and_then(|name| name.parse::<BucketName>().ok());
        let bucket = bucket.as_ref().map_or("BUCKET", BucketName::as_str);
        return Some(format!(
            "check the bucket's name, or create it: `ossup bucket create {bucket}`; OSS looks up the bucket before \
             it checks the key pair, so the key pair may be wrong too (`-v` shows where it came from)"
        ));
    }
    if let Some(advice) = answer.code.as_deref().and_then(known) {
        return Some(advice.to_owned());
    }
    if let Some(denied) = &answer.denied_action {
        return Some(format!("grant `{denied}` to the user or role"));
    }
    if answer.is_foreign() && matches!(answer.status, 401 | 403) {
        return Some(
            "this response is not from OSS, which always returns a code and a request id: a proxy or a firewall \
             refused the request, or the endpoint is wrong"
                .to_owned(),
        );
    }
    match answer.status {
        401 | 403 if is_denial(answer.code.as_deref()) => {
            Some("the key pair lacks the permission to do this; `-v` shows where it came from".to_owned())
        }
        _ if answer.code.is_none() => Some("check the endpoint: the server there may not be OSS".to_owned()),
        _ => None,
    }
}

/// Whether the service denies an operation without a word about what has to be allowed.
pub(super) fn is_unnamed_denial(answer: &ServiceError) -> bool {
    let is_denied = answer.code.is_some() && is_denial(answer.code.as_deref());
    answer.status == 403 && is_denied && answer.denied_action.is_none()
}

/// Whether a 403 is about permissions: ECS returns it for much else. A response without a body counts as one.
fn is_denial(code: Option<&str>) -> bool {
    let denials =
        [oss::code::ACCESS_DENIED, rpc::code::FORBIDDEN, rpc::code::NO_PERMISSION, rpc::code::UNAUTHORIZED];
    code.is_none_or(|code| denials.iter().any(|denial| code.starts_with(denial)))
}

/// Codes for which we know better advice than the service's message.
fn known(code: &str) -> Option<&'static str> {
    Some(match code {
        oss::code::INVALID_ACCESS_KEY_ID | rpc::code::INVALID_ACCESS_KEY_ID_NOT_FOUND => {
            "the access key id is unknown or disabled; `-v` shows where it came from"
        }
        oss::code::SIGNATURE_DOES_NOT_MATCH | rpc::code::INCOMPLETE_SIGNATURE => {
            "the access key secret does not match its id; `-v` shows where both came from"
        }
        oss::code::SECURITY_TOKEN_EXPIRED | rpc::code::INVALID_SECURITY_TOKEN_EXPIRED => {
            "get new temporary credentials"
        }
        oss::code::INVALID_SECURITY_TOKEN
        | oss::code::SECURITY_TOKEN_NOT_SUPPORTED
        | rpc::code::INVALID_SECURITY_TOKEN_MALFORMED => {
            "id, secret and token must come from the same STS response"
        }
        oss::code::REQUEST_TIME_TOO_SKEWED
        | rpc::code::INVALID_TIME_STAMP_EXPIRED
        | rpc::code::ILLEGAL_TIMESTAMP => "set this machine's clock",
        oss::code::USER_DISABLE
        | rpc::code::INVALID_ACCOUNT_STATUS
        | ecs::code::ACCOUNT_ARREARAGE
        | ecs::code::INVALID_ACCOUNT_STATUS_OSS_DISABLED => {
            "the account is disabled or in arrears, or has not activated the service"
        }
        oss::code::KMS_SERVICE_NOT_ENABLED => {
            "the bucket encrypts with a KMS key, but KMS is not activated for this account: activate it, or change \
             the bucket's default encryption"
        }
        oss::code::NO_SUCH_KEY => "check the object's key: it is taken literally, nothing is decoded",
        ecs::code::INVALID_REGION_ID_NOT_FOUND => "check the region: the service has none of this name",
        oss::code::BUCKET_ALREADY_EXISTS => "bucket names are global: choose another",
        oss::code::FILE_ALREADY_EXISTS => "choose another key, or replace the object with --overwrite",
        oss::code::INSUFFICIENT_STORAGE => {
            "the store's disk is full, or a file has reached the size limit (`ulimit -f`): make room, or raise it"
        }
        oss::code::FILE_IMMUTABLE => "the bucket's retention policy protects the object",
        oss::code::TRANSFER_ACCELERATION_DISABLED => {
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

    fn advised(kind: TransportErrorKind, host: &str) -> String {
        transport(&TransportError::new(kind, "x").about(host)).unwrap()
    }

    #[test]
    fn a_certificate_leads_to_the_authority_or_to_the_clock() {
        let about = |fault| advised(TransportErrorKind::Certificate(fault), "oss-cn-hangzhou.aliyuncs.com");
        for fault in [CertificateFault::Issuer, CertificateFault::Name, CertificateFault::Other] {
            assert!(about(fault).contains("--ca-file") && about(fault).contains("certificate"));
        }
        for fault in [CertificateFault::Expired, CertificateFault::NotYetValid] {
            assert!(about(fault).contains("clock") && about(fault).contains("certificate"));
        }
    }

    #[test]
    fn a_host_that_cannot_be_reached_leads_to_the_right_one() {
        use TransportErrorKind::{Connect, Resolve};
        let internal = "images.oss-cn-hangzhou-internal.aliyuncs.com";
        for kind in [Connect, Resolve] {
            assert!(advised(kind, internal).contains("--endpoint public"));
        }
        for host in ["images.oss-cn-hangzou.aliyuncs.com", "oss-cn-hangzou.aliyuncs.com"] {
            assert!(advised(Resolve, host).contains("did you mean cn-hangzhou?"));
        }
        assert!(!advised(Resolve, "oss-cn-hangzhou.aliyuncs.com").contains("did you mean"));
    }

    #[test]
    fn what_is_not_the_service_s_own_answer_is_no_denial() {
        let page = service(&answer(403, "")).unwrap();
        assert!(page.contains("not from OSS") && !page.contains("key pair"), "{page}");
        let mut own = answer(403, "");
        own.request_id = Some("5C3D".to_owned());
        assert!(service(&own).unwrap().contains("key pair"));
    }

    #[test]
    fn a_bucket_elsewhere_names_the_right_region_first() {
        let mut elsewhere = answer(403, "AccessDenied");
        elsewhere.endpoint = Some("oss-cn-beijing.aliyuncs.com".to_owned());
        let advice = service(&elsewhere).unwrap();
        assert!(advice.contains("pass --region cn-beijing"), "{advice}");
        assert!(advice.contains("use oss-cn-beijing.aliyuncs.com instead"), "{advice}");
        let mut region = answer(400, "InvalidArgument");
        region.ec = Some("0002-00000226".to_owned());
        assert!(service(&region).unwrap().contains("--region"));
    }

    #[test]
    fn wrong_keys_are_no_denial() {
        let unnamed = |status, code| is_unnamed_denial(&answer(status, code));
        assert!(unnamed(403, "Forbidden.RAM"));
        assert!(!unnamed(400, "SignatureDoesNotMatch") && !unnamed(404, "InvalidAccessKeyId.NotFound"));
    }

    #[test]
    fn a_denied_action_is_named() {
        let mut denied = answer(403, "AccessDenied");
        assert!(service(&denied).unwrap().contains("lacks the permission"));
        denied.denied_action = Some("oss:PutObject".to_owned());
        assert!(service(&denied).unwrap().contains("`oss:PutObject`"));
    }

    #[test]
    fn what_has_no_code_may_be_no_oss() {
        assert!(service(&answer(404, "")).unwrap().contains("may not be OSS"));
        assert_eq!(service(&answer(400, "InvalidArgument")), None);
    }
}
