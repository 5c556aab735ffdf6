//! Failures of imports and of what follows them.

use ossup::ErrorKind;
use ossup::boot_test::BootTestError;
use ossup::client::CallError;
use ossup::import::{ImportError, Site, authorization_url};
use ossup::protocol::ecs;
use ossup::publish::{Impossible, PublishError};
use ossup::state::StateError;

use super::{Failure, service, unwrapped};
use crate::ui::advice;

impl From<ImportError> for Failure {
    fn from(error: ImportError) -> Self {
        let failure = Self::from_error(error.kind().into(), &error);
        let resumable = matches!(error, ImportError::StillRunning { .. });
        match advice(&error) {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
        .resumable(resumable)
    }
}

impl From<BootTestError> for Failure {
    fn from(error: BootTestError) -> Self {
        let hint = match &error {
            BootTestError::Call { source, .. } => advice_on_call(source),
            BootTestError::NoConsole { .. } => {
                Some("choose an instance type that is still sold: older ones show no console".to_owned())
            }
            BootTestError::Gone { .. } => {
                Some("run the same command again: it makes another instance".to_owned())
            }
            BootTestError::DryRunIgnored { instance_id } => Some(format!(
                "delete it: `aliyun ecs DeleteInstance --InstanceId {instance_id} --Force true`"
            )),
            _ => None,
        };
        let failure = Self::from_error(error.kind().into(), &error);
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl From<PublishError> for Failure {
    fn from(error: PublishError) -> Self {
        let error = match error {
            PublishError::NotCompleted(error) => return unwrapped(error),
            error => error,
        };
        let hint = match &error {
            PublishError::Import(cause) => advice(cause),
            PublishError::Impossible(Impossible::SharedWithoutKey) => {
                Some("name a key of yours with --kms-key, for each region".to_owned())
            }
            PublishError::NotOurs { region, image_id, .. } => Some(format!(
                "rename or delete it, or hand it over: `ossup image tag {image_id} --region {region} {}=by.hand`; \
                 then run the same command again",
                ossup::import::ORIGIN_TAG
            )),
            PublishError::Superseded { .. } => Some(
                "another publish replaced it at the same time: run the command that is to win once more"
                    .to_owned(),
            ),
            PublishError::Manage(error) => error.call_error().and_then(advice_on_call),
            PublishError::Object { source, .. } => service::advice(source),
            PublishError::Replaced { image, .. } => Some(match image.as_deref() {
                Some((region, id)) => format!(
                    "someone else writes to the same key: delete the image (`ossup image delete {id} --region \
                     {region}`) and publish again under a key of your own"
                ),
                None => "someone else writes to the same key: use a key of your own".to_owned(),
            }),
            PublishError::Kept { .. } => Some(
                "everything else is done; delete the object yourself if nobody else needs it"
                    .to_owned(),
            ),
            PublishError::OtherStream { .. } => Some(
                "send the stream that was sent before, or publish this one to another key, with another --name"
                    .to_owned(),
            ),
            PublishError::State(StateError::Locked { .. }) => {
                Some("wait for that process to finish, or stop it".to_owned())
            }
            PublishError::State(StateError::Damaged { .. }) => Some(
                "use the version of ossup that wrote it, or remove it once you know which of its images exist"
                    .to_owned(),
            ),
            _ => None,
        };
        let resumable = match &error {
            PublishError::Import(cause) => cause.kind() != ErrorKind::Import,
            PublishError::Replaced { .. }
            | PublishError::Kept { .. }
            | PublishError::OtherStream { .. }
            | PublishError::Impossible { .. } => false,
            _ => true,
        };
        let failure = Self::from_error(error.kind().into(), &error).resumable(resumable);
        // A request that the service refused is refused again.
        let turned_down =
            error.call().is_some_and(|call| call.service().is_some() && call.kind() != ErrorKind::Network);
        match hint {
            Some(hint) => failure.hint(hint),
            None if resumable && !turned_down => {
                failure.hint("run the same command again: completed steps are kept")
            }
            None => {
                failure.hint("what is uploaded is kept: correct what was refused, and run the command again")
            }
        }
    }
}

/// Returns advice on how to let ECS read OSS.
pub(crate) fn role_advice() -> String {
    format!(
        "run again with --create-role, or have the account's owner open {} once (international accounts: {})",
        authorization_url(Site::China),
        authorization_url(Site::International)
    )
}

pub(super) fn advice(error: &ImportError) -> Option<String> {
    match error {
        ImportError::Refused { findings } => {
            let refusals = findings.iter().filter(|finding| finding.refuses());
            let fixes: Vec<String> =
                refusals.filter_map(|finding| Some(advice::text(finding.fix.as_ref()?, None))).collect();
            (!fixes.is_empty()).then(|| fixes.join("; "))
        }
        ImportError::RoleMissing { .. } => Some(role_advice()),
        ImportError::RoleTrust { .. } => Some(
            "add the service ecs.aliyuncs.com to the role's trust policy; ossup does not change an existing role"
                .to_owned(),
        ),
        ImportError::NameTaken { image_id, region, status, .. } if status.is_failed() => Some(format!(
            "that image failed and can never be used: `ossup image delete {image_id} --region {region}` frees the name"
        )),
        ImportError::NameTaken { image_id, region, .. } => Some(format!(
            "the image is not known to come from this command and these sources: choose another --name, let the new \
             one take it over with --replace, or delete it: `ossup image delete {image_id} --region {region}`"
        )),
        ImportError::StillRunning { task, .. } => Some(format!(
            "keep following it: `ossup image wait {} --region {}`",
            task.task_id.as_ref().map_or(task.image_id.as_str(), |id| id.as_str()),
            task.region
        )),
        ImportError::DryRunIgnored { task } => Some(match &task.task_id {
            Some(id) => format!("cancel it: `ossup image cancel {id} --region {}`", task.region),
            None => format!("delete it: `ossup image delete {} --region {}`", task.image_id, task.region),
        }),
        ImportError::Failed { code, image_id, task_id, .. } => {
            let known = known(code.as_deref()).map(str::to_owned);
            known.or_else(|| match task_id {
                Some(_) => Some(freed_name(image_id)),
                // It was a copy, which has no task, or its task is forgotten.
                None => Some(format!(
                    "{}; if it is a copy, run the same command again: it deletes the failed copy and makes another",
                    freed_name(image_id)
                )),
            })
        }
        ImportError::Unknown { id, .. } if id.starts_with("t-") => Some(
            "ECS forgets tasks some time after they end: `ossup image list` shows the resulting images"
                .to_owned(),
        ),
        ImportError::Call { source, .. } => advice_on_call(source),
        _ => None,
    }
}

/// Returns advice about a request to ECS that failed.
pub(super) fn advice_on_call(error: &CallError) -> Option<String> {
    let known = known(error.service().and_then(|answer| answer.code.as_deref()));
    known.map(str::to_owned).or_else(|| service::advice(error))
}

/// Says how to free the name that a failed import holds.
fn freed_name(image_id: &ossup::model::ImageId) -> String {
    format!("`ossup image delete {image_id}` frees the name for another attempt; the object is kept")
}

/// Advice for the codes of imports, copies and sharing.
fn known(code: Option<&str>) -> Option<&'static str> {
    Some(match code? {
        ecs::code::INVALID_OSS_NOT_AUTHORIZED => {
            "the role exists, but lacks oss:GetObject, oss:GetBucketLocation or oss:GetBucketInfo on this bucket"
        }
        ecs::code::INVALID_OSS_BUCKET_NOT_FOUND | ecs::code::INVALID_OSS_BUCKET_NOT_MATCHED => {
            "the bucket is not in this region or account: import in the bucket's own region and use --copy-to"
        }
        ecs::code::INVALID_OSS_BUCKET_ENCRYPT_UNSUPPORTED => {
            "the bucket has default encryption: use one without it"
        }
        ecs::code::INVALID_OSS_OBJECT_NOT_FOUND => "check the object's key: it is taken literally",
        ecs::code::INVALID_OSS_OBJECT_NEED_RESTORE => {
            "the object is archived: restore it, or upload it as Standard"
        }
        ecs::code::INVALID_OSS_OBJECT_SIZE => "the object is empty",
        ecs::code::UNSUPPORTED_SUFFIX_OSS_OBJECT => "use an object key that ends in .raw, .vhd or .qcow2",
        ecs::code::INVALID_IMAGE_NAME_MALFORMED => {
            "use 2 to 128 letters, digits, `.`, `_`, `:` and `-`, starting with a letter but not `aliyun` or `acs:`"
        }
        ecs::code::INVALID_IMAGE_NAME_DUPLICATED => "the name is taken: choose another --name",
        ecs::code::INVALID_PLATFORM_MALFORMED => {
            "spell --platform as the ImportImage page does: Ubuntu, Rocky Linux, Windows Server 2022, Others Linux, …"
        }
        ecs::code::QUOTA_EXCEED_IMAGE => {
            "the region's quota of custom images is used up: delete some, or request a higher quota"
        }
        ecs::code::INVALID_IMAGE_SIZE | ecs::code::INVALID_DATA_DISK_SIZE => {
            "`ossup inspect` shows the minimum --disk-size; the region may accept only 40 to 500 GiB (data: 5 to 2000)"
        }
        ecs::code::INVALID_VHD_IMAGE_INCORRECT_SIZE => {
            "convert the file to QCOW2, which has no such rule: `ossup inspect FILE` prints the command"
        }
        ecs::code::INVALID_IMAGE_FORMAT_MALFORMED => {
            "`ossup inspect oss://BUCKET/KEY` shows what the object is"
        }
        ecs::code::USER_NOT_IN_THE_WHITE_LIST
        | ecs::code::INVALID_REGION_NOT_SUPPORT
        | ecs::code::INVALID_IMAGE_FORMAT_REGION_NOT_SUPPORTED => {
            "not offered to this account or in this region: contact support, or use another region or format"
        }
        ecs::code::ACCOUNT_ARREARAGE | ecs::code::INVALID_ACCOUNT_STATUS_OSS_DISABLED => {
            "the account is in arrears, or OSS is not activated"
        }
        ecs::code::INVALID_TASK_ID_INCORRECT_TASK_STATUS => {
            "the task has ended: `ossup image show` shows its result"
        }
        ecs::code::INVALID_OPERATION_VHD_IMAGE_UNSUPPORTED => {
            "images imported from VHD cannot be copied: convert the file to QCOW2 or RAW, and publish that"
        }
        ecs::code::INVALID_PARAMETER_KMS_KEY_ID_NOT_FOUND => {
            "keys are of one region: name one for each with --kms-key REGION=ID"
        }
        ecs::code::INVALID_PARAMETER_KMS_KEY_ID_KMS_UNAUTHORIZED => {
            "let ECS use the key: create the service role for encrypted disks in the ECS console, and tag the key for it"
        }
        ecs::code::OPERATION_DENIED_COMMUNITY_IMAGE => {
            "a public image is neither copied nor shared: `ossup image unpublish` it, and run the command again"
        }
        ecs::code::IMAGE_USE_SHARED => "stop sharing it first: `ossup image unshare`",
        ecs::code::IMAGE_USING_BY_INSTANCE => "instances use it; --force deletes it anyway",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Kind;

    #[test]
    fn a_wait_that_ended_names_the_command_that_goes_on() {
        let mut task =
            ossup::import::ImportTask::of_image("cn-hangzhou".parse().unwrap(), "m-1".parse().unwrap());
        task.task_id = Some("t-1".parse().unwrap());
        let failure: Failure =
            ImportError::StillRunning { task, waited: std::time::Duration::from_secs(60) }.into();
        assert_eq!(failure.kind.exit_code(), 8);
        assert!(failure.text().contains("ossup image wait t-1 --region cn-hangzhou"), "{}", failure.text());
        assert_eq!(failure.json()["error"]["resumable"], true);
    }

    /// The most frequent codes of imports; the missing role and the taken name are separate errors.
    #[test]
    fn the_commonest_codes_have_advice() {
        for code in [
            "InvalidOSS.NotAuthorized",
            "InvalidOSSBucket.NotFound",
            "InvalidOSSBucket.NotMatched",
            "InvalidOSSBucket.EncryptUnsupported",
            "InvalidOSSObject.NeedRestore",
            "InvalidImageName.Duplicated",
            "QuotaExceed.Image",
            "InvalidImageSize",
            "InvalidVHDImage.IncorrectSize",
            "UserNotInTheWhiteList",
            "InvalidRegion.NotSupport",
            "InvalidImageFormat.RegionNotSupported",
            "Account.Arrearage",
            "InvalidAccountStatus.OSSDisabled",
        ] {
            assert!(known(Some(code)).is_some(), "{code}");
        }
        assert_eq!(known(Some("ImportImageFailed")), None);
    }

    #[test]
    fn a_failed_import_is_no_other_failure() {
        let error = ImportError::Failed {
            image_id: "m-1".parse().unwrap(),
            task_id: None,
            percent: Some(40),
            code: Some("InvalidVHDImage.IncorrectSize".to_owned()),
            message: None,
        };
        let failure: Failure = error.into();
        assert_eq!(failure.kind, Kind::Import);
        assert!(failure.text().contains("QCOW2"), "{}", failure.text());
    }
}
