//! What a bucket's settings mean for uploads and imports. Pure.

use serde_json::json;

use super::check::{Area, Check, Verdict, reason};
use crate::client::CallError;
use crate::model::Region;
use crate::protocol::oss::{self, BucketInfo, WormConfiguration};

/// Judges a bucket. `account` is the one that the credentials belong to, `region` the one that is used.
pub(super) fn bucket(info: &BucketInfo, account: Option<&str>, region: &Region) -> Vec<Check> {
    let name = &info.name;
    let check = |id: &str, verdict, text| Check::new(Area::Bucket, id, verdict, text);
    let mut checks = Vec::new();
    checks.push(match info.region == *region {
        true => check("region", Verdict::Ok, format!("`{name}` lies in {region}")),
        false => {
            check("region", Verdict::Fail, format!("`{name}` lies in {}, and {region} is used", info.region))
                .with_way_out(format!("pass --region {}", info.region))
        }
    });
    checks.push(match (&info.owner_id, account) {
        (Some(owner), Some(account)) if owner == account => {
            check("owner", Verdict::Ok, format!("it belongs to the account of the credentials, {account}"))
        }
        (Some(owner), Some(account)) if is_id(owner) && is_id(account) => check(
            "owner",
            Verdict::Fail,
            format!("it belongs to account {owner}, the credentials to {account}: ECS imports only from buckets of \
                 the same account"),
        )
        .with_way_out("use credentials of the bucket's account, or a bucket of your own"),
        (owner, _) => {
            let owner = owner.as_deref().unwrap_or("unknown");
            check("owner", Verdict::Unknown, format!("its owner is {owner}, the account of the credentials unknown"))
        }
    });
    let class = info.storage_class.as_deref().unwrap_or("Standard");
    checks.push(match class.contains("Archive") {
        true => check(
            "class",
            Verdict::Warn,
            format!("its class is {class}, and ECS imports no archived objects"),
        )
        .with_way_out("nothing: ossup sends each object as Standard unless told otherwise"),
        false => check("class", Verdict::Ok, format!("its class is {class}")),
    });
    checks.push(match info.encryption.as_ref().map(|encryption| encryption.algorithm.as_str()) {
        None => check("encryption", Verdict::Ok, "it does not encrypt objects by default".to_owned()),
        Some(algorithm) if algorithm.eq_ignore_ascii_case("AES256") => check(
            "encryption",
            Verdict::Warn,
            format!(
                "it encrypts objects by default ({algorithm}): ECS was seen to import them, and may refuse to"
            ),
        )
        .with_way_out("if an import is refused, remove the bucket's default encryption"),
        Some(algorithm) => check(
            "encryption",
            Verdict::Fail,
            format!("it encrypts objects by default ({algorithm}): ECS cannot import them"),
        )
        .with_way_out("remove the bucket's default encryption, or import from another bucket"),
    });
    checks.push(match info.versioning.as_deref() {
        None => check("versioning", Verdict::Ok, "it keeps no old versions".to_owned()),
        Some(state) => check(
            "versioning",
            Verdict::Warn,
            format!(
                "versioning is {}: what is replaced or deleted stays, and is billed",
                state.to_lowercase()
            ),
        )
        .with_way_out("expire old versions by a lifecycle rule"),
    });
    if info.acl.as_deref() == Some("public-read-write") {
        let text = "anyone may write to it (public-read-write)".to_owned();
        checks.push(check("acl", Verdict::Warn, text).with_way_out("make the bucket private"));
    }
    let facts = json!({
        "name": name, "region": info.region, "owner": info.owner_id, "class": info.storage_class,
        "versioning": info.versioning, "acl": info.acl,
        "encryption": info.encryption.as_ref().map(|encryption| &encryption.algorithm),
    });
    checks[0] = checks[0].clone().with_facts(facts);
    checks
}

/// Why the bucket could not be looked at.
pub(super) fn unreachable(name: &str, error: &CallError, advice: Option<String>) -> Check {
    // Only some commands look at the bucket: without the permission the others work.
    let denied = error.service().is_some_and(|answer| answer.status == 403 && answer.endpoint.is_none());
    let verdict = if denied || error.is_network() { Verdict::Unknown } else { Verdict::Fail };
    let check = Check::new(Area::Bucket, "bucket", verdict, format!("`{name}`: {}", reason(error)));
    match advice {
        Some(advice) => check.with_way_out(advice),
        None => check,
    }
}

/// Whether objects can be deleted again.
pub(super) fn worm(answer: &Result<WormConfiguration, CallError>) -> Check {
    let check = |verdict, text: String| Check::new(Area::Bucket, "worm", verdict, text);
    match answer {
        Ok(worm) => {
            let state = if worm.is_locked() { "is locked" } else { "is not locked yet" };
            let days = worm.days.map(|days| format!(" of {days} days")).unwrap_or_default();
            let text =
                format!("its retention policy{days} {state}: objects can be neither replaced nor deleted");
            check(Verdict::Warn, text)
                .with_way_out("for images that are to be deleted again, use another bucket")
        }
        Err(error) if error.is(oss::code::NO_SUCH_WORM_CONFIGURATION) => {
            check(Verdict::Ok, "it has no retention policy".to_owned())
        }
        Err(error) => {
            check(Verdict::Unknown, format!("whether it has a retention policy: {}", reason(error)))
        }
    }
}

fn is_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
