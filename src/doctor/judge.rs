//! What the answers about credentials, clock, network and role mean. Pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::check::{Area, Check, Verdict, reason};
use super::reach::Reached;
use crate::client::CallError;
use crate::http::TransportError;
use crate::import::{IMPORT_ROLE, RoleState, Site, authorization_url};
use crate::model::Endpoint;
use crate::protocol::sts::CallerIdentity;

/// How far a clock may be off and still count as right: no service minds it.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_secs(60);
/// The services refuse what is signed by a clock that is off by more than this.
const CLOCK_LIMIT: SignedDuration = SignedDuration::from_mins(15);

/// Whose the credentials are. `told` says what they are and where they came from.
pub(super) fn identity(answer: &Result<CallerIdentity, CallError>, told: &str) -> Check {
    let check = |verdict, text| Check::new(Area::Credentials, "identity", verdict, text);
    match answer {
        Ok(caller) => {
            let kind = caller.identity_type.as_deref().unwrap_or("identity");
            let arn = caller.arn.as_deref().map(|arn| format!(" {arn}")).unwrap_or_default();
            check(Verdict::Ok, format!("account {}, {kind}{arn}", caller.account_id)).with_facts(json!({
                "account": caller.account_id, "arn": caller.arn, "type": caller.identity_type,
            }))
        }
        Err(error) if error.is_network() => check(
            Verdict::Unknown,
            format!("whose the credentials are could not be asked ({told}): {}", reason(error)),
        ),
        Err(error) => check(Verdict::Fail, format!("they are not accepted ({told}): {}", reason(error))),
    }
}

/// Compares this machine's clock with the service's.
pub(super) fn clock(local: Timestamp, service: Option<Timestamp>) -> Check {
    let check = |verdict, text: String| Check::new(Area::Network, "clock", verdict, text);
    let Some(service) = service else {
        return check(
            Verdict::Unknown,
            "no service answered, so this machine's clock was compared with none".to_owned(),
        );
    };
    let off = local.duration_since(service);
    let seconds = off.as_secs();
    let facts = json!({"off_seconds": seconds});
    if off.abs() <= CLOCK_TOLERANCE {
        return check(Verdict::Ok, "this machine's clock is right".to_owned()).with_facts(facts);
    }
    let side = if seconds > 0 { "ahead of" } else { "behind" };
    let text = format!("this machine's clock is {} s {side} the service's", seconds.abs());
    let text = match off.abs() > CLOCK_LIMIT {
        true => format!(
            "{text}: requests are signed by the service's clock instead, and signed URLs of others fail"
        ),
        false => text,
    };
    check(Verdict::Warn, text).with_way_out("set this machine's clock").with_facts(facts)
}

/// What was seen of an endpoint.
#[derive(Debug)]
pub(super) struct Seen {
    /// The way there without a proxy; nothing if there is one.
    pub(super) direct: Option<Reached>,
    /// Whether there is a proxy; a store within this process has neither.
    pub(super) proxied: bool,
    /// Its answer to a request without a signature.
    pub(super) answered: Result<Answered, TransportError>,
}

/// What an answer showed.
#[derive(Debug)]
pub(super) struct Answered {
    /// From the beginning of its connection, if that was not there already.
    pub(super) took: Duration,
    /// Who issued the certificate, where there was one.
    pub(super) issuer: Option<String>,
}

/// Whether an endpoint can be reached. Only the one that is `used` has to be.
pub(super) fn endpoint(kind: &str, endpoint: &Endpoint, used: bool, seen: &Seen) -> Check {
    let check = |verdict, text| Check::new(Area::Network, format!("endpoint.{kind}"), verdict, text);
    let host = endpoint.host();
    let in_use = if used { ", in use" } else { "" };
    let reached = seen.direct.as_ref();
    let resolved = reached.and_then(|reached| reached.resolved.as_ref().ok());
    let connected = reached.and_then(|reached| reached.connected.as_ref()?.as_ref().ok());
    let facts = json!({
        "host": host,
        "used": used,
        "addresses": resolved.map(|(addresses, _)| addresses),
        "resolve_ms": resolved.map(|(_, took)| millis(*took)),
        "connect_ms": connected.map(|took| millis(*took)),
        "answer_ms": seen.answered.as_ref().ok().map(|answered| millis(answered.took)),
        "certificate_issuer": seen.answered.as_ref().ok().and_then(|answered| answered.issuer.as_ref()),
    });
    let found = match (&seen.answered, reached) {
        (
            Ok(answered),
            Some(Reached { resolved: Ok((addresses, resolve)), connected: Some(Ok(connect)) }),
        ) => {
            let count = addresses.len();
            let plural = if count == 1 { "" } else { "es" };
            let text = format!(
                "{kind}{in_use}: {host} has {count} address{plural} ({} ms), connects in {} ms, answers in {} ms{}",
                millis(*resolve),
                millis(*connect),
                millis(answered.took),
                by_certificate(answered)
            );
            let reachable = check(Verdict::Ok, text);
            match endpoint.is_internal() && !used {
                true => reachable.with_way_out("uploads by it cost no traffic: pass --endpoint internal"),
                false => reachable,
            }
        }
        (Ok(answered), _) => check(
            Verdict::Ok,
            format!(
                "{kind}{in_use}: {host} answers in {} ms{}{}",
                millis(answered.took),
                by_certificate(answered),
                if seen.proxied { ", by a proxy" } else { "" }
            ),
        ),
        (Err(error), _) if used => check(Verdict::Fail, format!("{kind}{in_use}: {error}")),
        (Err(_), _) if endpoint.is_internal() => check(
            Verdict::Unknown,
            format!("{kind}: {host} cannot be reached from here, as outside of its region"),
        ),
        (Err(error), _) => {
            check(Verdict::Unknown, format!("{kind}: {host} cannot be reached from here: {error}"))
        }
    };
    found.with_facts(facts)
}

fn by_certificate(answered: &Answered) -> String {
    answered.issuer.as_ref().map(|issuer| format!(", certificate by {issuer}")).unwrap_or_default()
}

fn millis(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

/// Whether ECS may read OSS.
pub(super) fn role(answer: Result<RoleState, String>) -> Check {
    let check = |verdict, text: String| Check::new(Area::Import, "role", verdict, text);
    let ask_owner = || {
        format!(
            "run an import with --create-role, or have the account's owner allow it on {}",
            authorization_url(Site::default())
        )
    };
    match answer {
        Ok(RoleState::Ready) => {
            check(Verdict::Ok, format!("ECS may read OSS: the role {IMPORT_ROLE} is ready"))
        }
        Ok(RoleState::Missing) => {
            check(Verdict::Fail, format!("ECS may not read OSS: there is no role {IMPORT_ROLE}"))
                .with_way_out(ask_owner())
        }
        Ok(RoleState::Untrusting) => {
            check(Verdict::Fail, format!("the role {IMPORT_ROLE} does not trust ecs.aliyuncs.com"))
                .with_way_out("change the role's trust policy in RAM")
        }
        Ok(RoleState::Powerless) => {
            check(Verdict::Fail, format!("the role {IMPORT_ROLE} has no policy")).with_way_out(ask_owner())
        }
        Ok(RoleState::Unknown) => check(
            Verdict::Unknown,
            format!("these credentials may not look whether the role {IMPORT_ROLE} exists (ram:GetRole)"),
        ),
        Err(why) => check(Verdict::Unknown, format!("the role {IMPORT_ROLE} could not be looked at: {why}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::TransportErrorKind;

    #[test]
    fn a_clock_is_right_within_a_minute_and_what_is_off_by_more_is_said() {
        let service: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let at = |seconds: i64| clock(service + SignedDuration::from_secs(seconds), Some(service));
        for seconds in [-60, 0, 60] {
            assert_eq!(at(seconds).verdict, Verdict::Ok, "{seconds}");
        }
        assert!(at(61).text.contains("61 s ahead of") && at(-61).text.contains("61 s behind"));
        assert!(!at(900).text.contains("instead") && at(901).text.contains("instead"));
        assert_eq!(at(901).verdict, Verdict::Warn);
        assert_eq!(clock(service, None).verdict, Verdict::Unknown);
    }

    #[test]
    fn only_the_endpoint_in_use_fails() {
        let seen = || Seen {
            direct: Some(Reached { resolved: Err("no such host".to_owned()), connected: None }),
            proxied: false,
            answered: Err(TransportError::new(TransportErrorKind::Resolve, "no such host")),
        };
        let internal: Endpoint = "oss-cn-hangzhou-internal.aliyuncs.com".parse().unwrap();
        assert_eq!(endpoint("internal", &internal, true, &seen()).verdict, Verdict::Fail);
        let other = endpoint("internal", &internal, false, &seen());
        assert_eq!(other.verdict, Verdict::Unknown);
        assert!(other.text.contains("outside of its region"), "{}", other.text);
    }

    #[test]
    fn an_endpoint_that_answers_says_how_fast() {
        let milliseconds = Duration::from_millis;
        let public: Endpoint = "oss-cn-hangzhou.aliyuncs.com".parse().unwrap();
        let direct = Reached {
            resolved: Ok((vec!["192.0.2.1".parse().unwrap()], milliseconds(3))),
            connected: Some(Ok(milliseconds(20))),
        };
        let answered =
            |issuer: Option<&str>| Ok(Answered { took: milliseconds(65), issuer: issuer.map(str::to_owned) });
        let seen =
            Seen { direct: Some(direct), proxied: false, answered: answered(Some("GlobalSign nv-sa")) };
        assert_eq!(
            endpoint("public", &public, true, &seen).text,
            "public, in use: oss-cn-hangzhou.aliyuncs.com has 1 address (3 ms), connects in 20 ms, answers in 65 ms, \
             certificate by GlobalSign nv-sa"
        );
        let internal: Endpoint = "oss-cn-hangzhou-internal.aliyuncs.com".parse().unwrap();
        let inside = endpoint("internal", &internal, false, &seen);
        assert!(inside.way_out.unwrap().contains("--endpoint internal"));
        let seen = Seen { direct: None, proxied: true, answered: answered(None) };
        assert!(endpoint("public", &public, false, &seen).text.ends_with("answers in 65 ms, by a proxy"));
    }

    #[test]
    fn a_role_that_is_missing_leads_to_its_page_and_one_that_cannot_be_seen_stops_nothing() {
        let missing = role(Ok(RoleState::Missing));
        assert_eq!(missing.verdict, Verdict::Fail);
        assert!(missing.way_out.unwrap().contains("https://ram.console.aliyun.com/"));
        for unknown in [Ok(RoleState::Unknown), Err("no answer".to_owned())] {
            assert_eq!(role(unknown).verdict, Verdict::Unknown);
        }
        assert_eq!(role(Ok(RoleState::Ready)).verdict, Verdict::Ok);
    }
}
