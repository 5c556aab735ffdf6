//! What the commands need to be allowed, and how each is asked for without changing anything.
//!
//! A request about something that does not exist is refused as not allowed where the permission is missing, and
//! otherwise with the service's word for what is not there. Where ECS offers a dry run, it is one: so also for what only
//! lists, since users without the permission may be shown an empty list.
//!
//! That a service looks at the permission before it looks for what the request is about is an assumption. What is
//! concluded from it says so.

use http::Method;
use serde_json::{Value, json};

use super::ask::Ask;
use super::check::{Area, Check, Verdict, reason};
use crate::client::CallError;
use crate::import::IMPORT_ROLE;
use crate::model::{BucketName, ObjectKey, Region};
use crate::protocol::{ecs, oss, ram, rpc};

/// An upload id that the service never gives.
const NO_UPLOAD: &str = "00000000000000000000000000000000";
/// Ids that the service never gives: theirs begin with three characters for the region.
const NO_IMAGE: &str = "m-000ossupdoctor000000";
const NO_TASK: &str = "t-000ossupdoctor000000";
const NO_SNAPSHOT: &str = "s-000ossupdoctor000000";
const NO_INSTANCE: &str = "i-000ossupdoctor000000";
/// A policy that the vendor does not have, whose own alone are of the type System.
const NO_POLICY: &str = "OssupDoctorNone";
/// Stands behind an action that no dry run and no real answer spoke for.
const ASSUMED: &str = " (assumed)";
/// A trust policy that is none: no role is made with it, whatever exists.
const NO_TRUST: &str = "not a policy";

/// Something that commands need to be allowed.
#[derive(Debug)]
pub(super) struct Permission {
    /// The action, as in a policy of RAM.
    pub(super) action: &'static str,
    /// Who needs it.
    pub(super) needed_by: &'static str,
    /// Whether all of `upload`, `import` and `publish` that need it fail without it.
    pub(super) required: bool,
    /// What its request is answered with if it is allowed, beside success: the beginnings of codes.
    expected: &'static [&'static str],
    request: fn(&Place<'_>) -> Ask,
}

/// Where is asked.
#[derive(Debug)]
pub(super) struct Place<'a> {
    pub(super) region: &'a Region,
    pub(super) bucket: &'a BucketName,
    /// A key of which there is no object.
    pub(super) key: &'a ObjectKey,
}

/// The beginnings of the codes by which ECS says that something does not exist, or that a dry run went well.
const NO_SUCH_IMAGE: &[&str] =
    &["InvalidImageId", "InvalidImage.", ecs::code::DRYRUN_SUCCESS, ecs::code::DRY_RUN_OPERATION];
const NO_SUCH_TASK: &[&str] = &["InvalidTaskId"];
const NO_SUCH_RESOURCE: &[&str] = &["InvalidResourceId", "InvalidImageId"];
const NO_SUCH_INSTANCE: &[&str] =
    &[ecs::code::INVALID_INSTANCE_ID_NOT_FOUND, ecs::code::DRYRUN_SUCCESS, ecs::code::DRY_RUN_OPERATION];
const DRY_RUN: &[&str] = &[ecs::code::DRYRUN_SUCCESS, ecs::code::DRY_RUN_OPERATION];

/// The permissions on the bucket.
pub(super) const ON_BUCKET: &[Permission] = &[
    Permission {
        action: "oss:PutObject",
        needed_by: "upload, publish",
        required: true,
        expected: &[oss::code::NO_SUCH_UPLOAD],
        request: |at| {
            let query = [("partNumber", Some("1")), ("uploadId", Some(NO_UPLOAD))];
            Ask::oss("UploadPart", Method::PUT, (at.bucket, Some(at.key)), &query).with_body("ossup")
        },
    },
    Permission {
        action: "oss:ListParts",
        needed_by: "upload (to resume), list, gc",
        required: true,
        expected: &[oss::code::NO_SUCH_UPLOAD],
        request: |at| {
            Ask::oss("ListParts", Method::GET, (at.bucket, Some(at.key)), &[("uploadId", Some(NO_UPLOAD))])
        },
    },
    Permission {
        action: "oss:AbortMultipartUpload",
        needed_by: "abort, gc, upload --restart",
        required: false,
        expected: &[oss::code::NO_SUCH_UPLOAD],
        request: |at| {
            let query = [("uploadId", Some(NO_UPLOAD))];
            Ask::oss("AbortMultipartUpload", Method::DELETE, (at.bucket, Some(at.key)), &query)
        },
    },
    Permission {
        action: "oss:ListMultipartUploads",
        needed_by: "gc, list, abort",
        required: false,
        expected: &[],
        request: |at| {
            let query = [("uploads", None), ("max-uploads", Some("1")), ("prefix", Some(at.key.as_str()))];
            Ask::oss("ListMultipartUploads", Method::GET, (at.bucket, None), &query)
        },
    },
    Permission {
        action: "oss:GetObject",
        needed_by: "inspect, url --sign, upload (where the object exists or an answer was lost)",
        required: false,
        expected: &[oss::code::NO_SUCH_KEY],
        request: |at| Ask::oss("GetObject", Method::GET, (at.bucket, Some(at.key)), &[]),
    },
    Permission {
        action: "ecs:ImportImage",
        needed_by: "import, publish",
        required: true,
        expected: &[
            "InvalidOSS",
            "InvalidImage",
            "UnsupportedSuffix",
            ecs::code::INVALID_REGION_NOT_SUPPORT,
            "UserNotIn",
            "NoSetRoletoECS",
            "QuotaExceed",
            "OperationDenied",
            "InvalidOperation",
            ecs::code::DRYRUN_SUCCESS,
            ecs::code::DRY_RUN_OPERATION,
        ],
        request: |at| {
            let params = [
                ("DiskDeviceMapping.1.OSSBucket", at.bucket.as_str()),
                ("DiskDeviceMapping.1.OSSObject", at.key.as_str()),
                ("ImageName", "ossup-doctor"),
                ("DryRun", "true"),
            ];
            Ask::ecs("ImportImage", at.region, &params)
        },
    },
];

/// The permissions on images of a region.
pub(super) const ON_IMAGES: &[Permission] = &[
    Permission {
        action: "ecs:DescribeImages",
        needed_by: "import, publish, image",
        required: true,
        expected: DRY_RUN,
        request: |at| {
            let params = [("ImageOwnerAlias", "self"), ("PageSize", "1"), ("DryRun", "true")];
            Ask::ecs("DescribeImages", at.region, &params)
        },
    },
    Permission {
        action: "ecs:DescribeTasks",
        needed_by: "import, publish, image wait",
        required: true,
        expected: &[],
        request: |at| Ask::ecs("DescribeTasks", at.region, &[("PageSize", "1")]),
    },
    Permission {
        action: "ecs:DescribeTaskAttribute",
        needed_by: "import, publish, image wait",
        required: true,
        expected: NO_SUCH_TASK,
        request: |at| Ask::ecs("DescribeTaskAttribute", at.region, &[("TaskId", NO_TASK)]),
    },
    Permission {
        action: "ecs:DescribeSnapshots",
        needed_by: "import and publish, to show the progress",
        required: false,
        expected: DRY_RUN,
        request: |at| Ask::ecs("DescribeSnapshots", at.region, &[("PageSize", "1"), ("DryRun", "true")]),
    },
    Permission {
        action: "ecs:CancelTask",
        needed_by: "image cancel",
        required: false,
        expected: NO_SUCH_TASK,
        request: |at| Ask::ecs("CancelTask", at.region, &[("TaskId", NO_TASK)]),
    },
    Permission {
        action: "ecs:CopyImage",
        needed_by: "publish --copy-to and --encrypt, image copy",
        required: false,
        expected: NO_SUCH_IMAGE,
        request: |at| {
            // A copy into the region of its source is another matter, which asks for encryption.
            let elsewhere = if at.region.as_str() == "cn-hangzhou" { "cn-beijing" } else { "cn-hangzhou" };
            let params = [
                ("ImageId", NO_IMAGE),
                ("DestinationRegionId", elsewhere),
                ("DestinationImageName", "ossup-doctor"),
                ("DryRun", "true"),
            ];
            Ask::ecs("CopyImage", at.region, &params)
        },
    },
    Permission {
        action: "ecs:CancelCopyImage",
        needed_by: "image cancel, of a copy",
        required: false,
        expected: NO_SUCH_IMAGE,
        request: |at| Ask::ecs("CancelCopyImage", at.region, &[("ImageId", NO_IMAGE)]),
    },
    Permission {
        action: "ecs:RunInstances",
        needed_by: "publish --boot-test cloud, image boot-test",
        required: false,
        expected: &[
            "InvalidImage",
            "InvalidInstanceType",
            "InvalidVSwitchId",
            "InvalidSecurityGroupId",
            "InvalidParameter",
            "MissingParameter",
            "OperationDenied",
            "QuotaExceed",
            ecs::code::DRYRUN_SUCCESS,
            ecs::code::DRY_RUN_OPERATION,
        ],
        request: |at| {
            let params = [
                ("ImageId", NO_IMAGE),
                ("InstanceType", "ecs.g7.large"),
                ("VSwitchId", "vsw-000ossupdoctor000000"),
                ("SecurityGroupId", "sg-000ossupdoctor000000"),
                ("DryRun", "true"),
            ];
            Ask::ecs("RunInstances", at.region, &params)
        },
    },
    Permission {
        action: "ecs:DescribeInstances",
        needed_by: "publish --boot-test cloud, image boot-test",
        required: false,
        expected: DRY_RUN,
        request: |at| Ask::ecs("DescribeInstances", at.region, &[("PageSize", "1"), ("DryRun", "true")]),
    },
    Permission {
        action: "ecs:GetInstanceConsoleOutput",
        needed_by: "publish --boot-test cloud, image boot-test",
        required: false,
        expected: NO_SUCH_INSTANCE,
        request: |at| Ask::ecs("GetInstanceConsoleOutput", at.region, &[("InstanceId", NO_INSTANCE)]),
    },
    Permission {
        action: "ecs:DeleteInstance",
        needed_by: "publish --boot-test cloud, image boot-test, to end the instance before its time",
        required: false,
        expected: NO_SUCH_INSTANCE,
        request: |at| {
            Ask::ecs("DeleteInstance", at.region, &[("InstanceId", NO_INSTANCE), ("DryRun", "true")])
        },
    },
    Permission {
        action: "ecs:ModifyImageSharePermission",
        needed_by: "publish --share-with, --public and --replaced, image share, publish and deprecate",
        required: false,
        expected: NO_SUCH_IMAGE,
        request: |at| {
            let params = [("ImageId", NO_IMAGE), ("RemoveAccount.1", "1000000000000000"), ("DryRun", "true")];
            Ask::ecs("ModifyImageSharePermission", at.region, &params)
        },
    },
    Permission {
        action: "ecs:DescribeImageSharePermission",
        needed_by: "image show",
        required: false,
        expected: NO_SUCH_IMAGE,
        request: |at| Ask::ecs("DescribeImageSharePermission", at.region, &[("ImageId", NO_IMAGE)]),
    },
    Permission {
        action: "ecs:ModifyImageAttribute",
        needed_by: "publish --family and --replace, image deprecate and restore",
        required: false,
        expected: NO_SUCH_IMAGE,
        request: |at| {
            let params = [("ImageId", NO_IMAGE), ("Description", "ossup doctor"), ("DryRun", "true")];
            Ask::ecs("ModifyImageAttribute", at.region, &params)
        },
    },
    Permission {
        action: "ecs:DeleteImage",
        needed_by: "image delete, prune and cancel, publish --replaced delete",
        required: false,
        expected: NO_SUCH_IMAGE,
        request: |at| Ask::ecs("DeleteImage", at.region, &[("ImageId", NO_IMAGE)]),
    },
    Permission {
        action: "ecs:DeleteSnapshot",
        needed_by: "image delete --snapshots, image prune",
        required: false,
        expected: &[ecs::code::INVALID_SNAPSHOT_ID_NOT_FOUND],
        request: |at| Ask::ecs("DeleteSnapshot", at.region, &[("SnapshotId", NO_SNAPSHOT)]),
    },
    Permission {
        action: "ecs:TagResources",
        needed_by: "publish --tag (snapshots) and --replace, image tag and deprecate",
        required: false,
        expected: NO_SUCH_RESOURCE,
        request: |at| {
            let params = [
                ("ResourceType", "image"),
                ("ResourceId.1", NO_IMAGE),
                ("Tag.1.Key", "ossup"),
                ("Tag.1.Value", "doctor"),
            ];
            Ask::ecs("TagResources", at.region, &params)
        },
    },
    Permission {
        action: "ecs:UntagResources",
        needed_by: "image untag and restore, image prune",
        required: false,
        expected: NO_SUCH_RESOURCE,
        request: |at| {
            let params = [("ResourceType", "image"), ("ResourceId.1", NO_IMAGE), ("TagKey.1", "ossup")];
            Ask::ecs("UntagResources", at.region, &params)
        },
    },
    Permission {
        action: "ecs:DescribeRegions",
        needed_by: "publish --copy-to all, --all-regions",
        required: false,
        expected: &[],
        request: |at| Ask::ecs("DescribeRegions", at.region, &[]),
    },
];

/// The permissions that make the role of ECS; without it, they are needed.
pub(super) const ON_ROLE: &[Permission] = &[
    Permission {
        action: "ram:CreateRole",
        needed_by: "import and publish --create-role",
        required: false,
        expected: &["MalformedPolicyDocument", "InvalidParameter", ram::code::ENTITY_ALREADY_EXISTS_ROLE],
        request: |_| {
            let params = [("RoleName", IMPORT_ROLE), ("AssumeRolePolicyDocument", NO_TRUST)];
            Ask::ram("CreateRole", &params)
        },
    },
    Permission {
        action: "ram:AttachPolicyToRole",
        needed_by: "import and publish --create-role",
        required: false,
        expected: &["EntityNotExist"],
        request: |_| {
            let params = [("PolicyType", "System"), ("PolicyName", NO_POLICY), ("RoleName", IMPORT_ROLE)];
            Ask::ram("AttachPolicyToRole", &params)
        },
    },
];

/// Takes back that these were assumed, once they were used.
pub(super) fn prove(checks: &mut [Check], actions: &[&str]) {
    let assumed = |check: &&mut Check| actions.contains(&check.id.as_str()) && check.facts["assumed"] == true;
    for check in checks.iter_mut().filter(assumed) {
        check.facts["assumed"] = false.into();
        check.text = check.text.replacen(ASSUMED, "", 1);
    }
}

impl Permission {
    /// Returns the request that shows whether it is allowed.
    pub(super) fn request(&self, at: &Place<'_>) -> Ask {
        (self.request)(at)
    }

    /// Judges the answer to that request.
    pub(super) fn judge<T>(&self, answer: &Result<T, CallError>) -> Check {
        let (action, needed_by) = (self.action, self.needed_by);
        let mut facts = json!({"needed_by": needed_by, "required": self.required});
        let check = |verdict, text: String, facts: &Value| {
            Check::new(Area::Permissions, action, verdict, text).with_facts(facts.clone())
        };
        let code = match answer {
            Ok(_) => None,
            Err(error) => {
                Some(error.service().and_then(|service| service.code.as_deref()).unwrap_or_default())
            }
        };
        let is_one_of =
            |codes: &[&str]| code.is_some_and(|code| codes.iter().any(|known| code.starts_with(known)));
        let Err(error) = answer else {
            facts["assumed"] = false.into();
            return check(Verdict::Ok, format!("{action}: {needed_by}"), &facts);
        };
        if is_one_of(self.expected) {
            let assumed = !is_one_of(DRY_RUN);
            facts["assumed"] = assumed.into();
            let by = if assumed { ASSUMED } else { "" };
            return check(Verdict::Ok, format!("{action}{by}: {needed_by}"), &facts);
        }
        if !is_denial(error) {
            return check(Verdict::Unknown, format!("{action} ({needed_by}): {}", reason(error)), &facts);
        }
        let denied = error.service().and_then(|service| service.denied_action.as_deref()).unwrap_or(action);
        let verdict = if self.required { Verdict::Fail } else { Verdict::Warn };
        check(verdict, format!("{action} is not allowed, which is needed by {needed_by}"), &facts)
            .with_way_out(format!("grant `{denied}` to the user or role"))
    }
}

/// Whether a refusal is about the permission: ECS answers 403 for much else.
fn is_denial(error: &CallError) -> bool {
    let Some(service) = error.service() else { return false };
    let denials = [
        oss::code::ACCESS_DENIED,
        rpc::code::FORBIDDEN,
        rpc::code::FORBBIDEN,
        rpc::code::NO_PERMISSION,
        rpc::code::UNAUTHORIZED,
    ];
    // A bucket that is to be reached by another endpoint is refused with the same code.
    let elsewhere = service.endpoint.is_some();
    let code = service.code.as_deref();
    !elsewhere && code.is_some_and(|code| denials.iter().any(|denial| code.starts_with(denial)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::CallCause;
    use crate::protocol::{Operation, Request, RetryClass, ServiceError};

    fn refusal(status: u16, code: &str) -> CallError {
        let mut error = ServiceError::default();
        (error.status, error.code) = (status, Some(code.to_owned()));
        let cause = CallCause::Service(Box::new(error));
        let (part, attempts, ambiguous, action) = (None, 1, false, RetryClass::Never);
        CallError { operation: "X", part, attempts, ambiguous, cause, action }
    }

    fn all() -> impl Iterator<Item = &'static Permission> {
        ON_BUCKET.iter().chain(ON_IMAGES).chain(ON_ROLE)
    }

    fn of(action: &str) -> &'static Permission {
        all().find(|permission| permission.action == action).unwrap()
    }

    #[test]
    fn what_is_not_there_shows_that_it_is_allowed_and_a_denial_that_it_is_not() {
        for (action, status, code, verdict) in [
            ("oss:PutObject", 404, "NoSuchUpload", Verdict::Ok),
            ("oss:PutObject", 403, "AccessDenied", Verdict::Fail),
            ("oss:AbortMultipartUpload", 403, "AccessDenied", Verdict::Warn),
            ("oss:GetObject", 404, "NoSuchKey", Verdict::Ok),
            ("oss:GetObject", 404, "NoSuchBucket", Verdict::Unknown),
            ("oss:PutObject", 403, "SignatureDoesNotMatch", Verdict::Unknown),
            ("ecs:ImportImage", 400, "DryRunOperation", Verdict::Ok),
            ("ecs:ImportImage", 400, "DRYRUN.SUCCESS", Verdict::Ok),
            ("ecs:ImportImage", 404, "InvalidOSSObject.NotFound", Verdict::Ok),
            ("ecs:ImportImage", 403, "NoSetRoletoECSServiceAcount", Verdict::Ok),
            ("ecs:ImportImage", 403, "Forbidden.RAM", Verdict::Fail),
            ("ecs:CopyImage", 404, "InvalidImageId.NotFound", Verdict::Ok),
            ("ecs:CopyImage", 403, "Forbidden.RAM", Verdict::Warn),
            ("ecs:DescribeTaskAttribute", 404, "InvalidTaskId.NotFound", Verdict::Ok),
            ("ecs:DescribeImages", 400, "Throttling.User", Verdict::Unknown),
            ("ecs:DescribeImages", 400, "DryRunOperation", Verdict::Ok),
            ("ecs:RunInstances", 404, "InvalidImageId.NotFound", Verdict::Ok),
            ("ecs:RunInstances", 403, "Forbidden.RAM", Verdict::Warn),
            ("ecs:DeleteInstance", 404, "InvalidInstanceId.NotFound", Verdict::Ok),
            ("ecs:CancelCopyImage", 404, "InvalidImageId.NotFound", Verdict::Ok),
            ("ram:CreateRole", 400, "MalformedPolicyDocument", Verdict::Ok),
            ("ram:CreateRole", 403, "NoPermission", Verdict::Warn),
            ("ram:AttachPolicyToRole", 404, "EntityNotExist.Policy", Verdict::Ok),
        ] {
            let check = of(action).judge::<()>(&Err(refusal(status, code)));
            assert_eq!(check.verdict, verdict, "{action} {code}: {}", check.text);
            assert_eq!(check.way_out.is_some(), matches!(verdict, Verdict::Fail | Verdict::Warn), "{action}");
        }
        assert_eq!(of("ecs:DescribeImages").judge(&Ok(())).verdict, Verdict::Ok);
    }

    #[test]
    fn what_could_change_something_is_a_dry_run_or_about_something_that_does_not_exist() {
        let (region, bucket) = ("cn-hangzhou".parse().unwrap(), "images".parse().unwrap());
        let key = "ossup-doctor/x".parse().unwrap();
        let at = Place { region: &region, bucket: &bucket, key: &key };
        for permission in all() {
            let name = permission.request(&at).name();
            let harmless = match permission.request(&at).request() {
                Request::Oss(request) => {
                    let upload = request.query.iter().any(|(_, value)| value.as_deref() == Some(NO_UPLOAD));
                    upload || request.method == Method::GET
                }
                Request::Rpc(request) => {
                    let has = |wanted: &str| request.params.iter().any(|(_, value)| value == wanted);
                    let dry = request.params.contains(&("DryRun".to_owned(), "true".to_owned()));
                    let nothing = [NO_IMAGE, NO_TASK, NO_SNAPSHOT, NO_INSTANCE, NO_POLICY, NO_TRUST]
                        .into_iter()
                        .any(has);
                    dry || name.starts_with("Describe") || nothing
                }
            };
            assert!(harmless, "{name}");
        }
    }

    #[test]
    fn only_what_a_dry_run_or_an_answer_shows_is_not_assumed() {
        for (action, answer, assumed) in [
            ("oss:PutObject", Err(refusal(404, "NoSuchUpload")), true),
            ("ecs:CopyImage", Err(refusal(404, "InvalidImageId.NotFound")), true),
            ("ecs:ImportImage", Err(refusal(400, "DryRunOperation")), false),
            ("ecs:DescribeImages", Err(refusal(400, "DRYRUN.SUCCESS")), false),
            ("ecs:DescribeRegions", Ok(()), false),
        ] {
            let check = of(action).judge(&answer);
            assert_eq!(check.facts["assumed"], assumed, "{action}");
            assert_eq!(check.text.contains("(assumed)"), assumed, "{}", check.text);
        }
    }

    #[test]
    fn every_permission_that_is_asked_for_has_a_row_in_the_documentation() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/permissions.md");
        let page = std::fs::read_to_string(path).unwrap();
        for permission in all() {
            assert!(page.contains(permission.action), "{}", permission.action);
        }
    }
}
