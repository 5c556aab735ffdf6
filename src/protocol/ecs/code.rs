//! The codes of ECS's own ("Error codes" sections of the actions), as far as anything here depends on them.

/// The account is in arrears.
pub const ACCOUNT_ARREARAGE: &str = "Account.Arrearage";
/// A dry run would have been accepted.
pub const DRYRUN_SUCCESS: &str = "DRYRUN.SUCCESS";
/// As [`DRYRUN_SUCCESS`], in the words of other actions.
pub const DRY_RUN_OPERATION: &str = "DryRunOperation";
/// The image is shared, and cannot be deleted.
pub const IMAGE_USE_SHARED: &str = "ImageUseShared";
/// Instances use the image.
pub const IMAGE_USING_BY_INSTANCE: &str = "ImageUsingByInstance";
/// The image is not in a status that allows it.
pub const INCORRECT_IMAGE_STATUS: &str = "IncorrectImageStatus";
/// The instance's state does not allow it.
pub const INCORRECT_INSTANCE_STATUS: &str = "IncorrectInstanceStatus";
/// The instance is being made, and cannot be released yet.
pub const INCORRECT_INSTANCE_STATUS_INITIALIZING: &str = "IncorrectInstanceStatus.Initializing";
/// The account has not activated OSS, or is in arrears.
pub const INVALID_ACCOUNT_STATUS_OSS_DISABLED: &str = "InvalidAccountStatus.OSSDisabled";
/// A data disk is too small or too large.
pub const INVALID_DATA_DISK_SIZE: &str = "InvalidDataDiskSize";
/// The object is no image of the format that was given.
pub const INVALID_IMAGE_FORMAT_MALFORMED: &str = "InvalidImageFormat.Malformed";
/// The region imports no images of this format.
pub const INVALID_IMAGE_FORMAT_REGION_NOT_SUPPORTED: &str = "InvalidImageFormat.RegionNotSupported";
/// There is no image of this id in the region.
pub const INVALID_IMAGE_ID_NOT_FOUND: &str = "InvalidImageId.NotFound";
/// The account has an image of this name in the region.
pub const INVALID_IMAGE_NAME_DUPLICATED: &str = "InvalidImageName.Duplicated";
/// The image's name breaks the rules of names.
pub const INVALID_IMAGE_NAME_MALFORMED: &str = "InvalidImageName.Malformed";
/// The system disk is too small or too large.
pub const INVALID_IMAGE_SIZE: &str = "InvalidImageSize";
/// VHD images cannot be copied.
pub const INVALID_OPERATION_VHD_IMAGE_UNSUPPORTED: &str = "InvalidOperation.VhdImageUnsupported";
/// ECS may not read OSS for this account: the role is missing, or was made a moment ago.
pub const INVALID_OSS_NOT_AUTHORIZED: &str = "InvalidOSS.NotAuthorized";
/// There is no such key in the region of the copy.
pub const INVALID_PARAMETER_KMS_KEY_ID_NOT_FOUND: &str = "InvalidParameter.KMSKeyId.NotFound";
/// ECS may not use the key.
pub const INVALID_PARAMETER_KMS_KEY_ID_KMS_UNAUTHORIZED: &str = "InvalidParameter.KMSKeyId.KMSUnauthorized";
/// The bucket has default encryption.
pub const INVALID_OSS_BUCKET_ENCRYPT_UNSUPPORTED: &str = "InvalidOSSBucket.EncryptUnsupported";
/// OSS reads of the bucket are throttled.
pub const INVALID_OSS_BUCKET_FLOW_LIMIT: &str = "InvalidOSSBucket.FlowLimit";
/// There is no bucket of this name.
pub const INVALID_OSS_BUCKET_NOT_FOUND: &str = "InvalidOSSBucket.NotFound";
/// The bucket is in another region.
pub const INVALID_OSS_BUCKET_NOT_MATCHED: &str = "InvalidOSSBucket.NotMatched";
/// The object is archived.
pub const INVALID_OSS_OBJECT_NEED_RESTORE: &str = "InvalidOSSObject.NeedRestore";
/// There is no object of this key.
pub const INVALID_OSS_OBJECT_NOT_FOUND: &str = "InvalidOSSObject.NotFound";
/// The object is empty.
pub const INVALID_OSS_OBJECT_SIZE: &str = "InvalidOSSObject.Size";
/// There is no instance of this id in the region.
pub const INVALID_INSTANCE_ID_NOT_FOUND: &str = "InvalidInstanceId.NotFound";
/// The platform is unknown.
pub const INVALID_PLATFORM_MALFORMED: &str = "InvalidPlatform.Malformed";
/// The region imports no images.
pub const INVALID_REGION_NOT_SUPPORT: &str = "InvalidRegion.NotSupport";
/// There is no region of this name.
pub const INVALID_REGION_ID_NOT_FOUND: &str = "InvalidRegionId.NotFound";
/// There is no snapshot of this id in the region.
pub const INVALID_SNAPSHOT_ID_NOT_FOUND: &str = "InvalidSnapshotId.NotFound";
/// The task has ended, and cannot be cancelled.
pub const INVALID_TASK_ID_INCORRECT_TASK_STATUS: &str = "InvalidTaskId.IncorrectTaskStatus";
/// There is no task of this id in the region.
pub const INVALID_TASK_ID_NOT_FOUND: &str = "InvalidTaskId.NotFound";
/// The VHD's virtual size is no whole number of GiB.
pub const INVALID_VHD_IMAGE_INCORRECT_SIZE: &str = "InvalidVHDImage.IncorrectSize";
/// As [`NO_SET_ROLETO_ECS_SERVICE_ACOUNT`], spelt right.
pub const NO_SET_ROLETO_ECS_SERVICE_ACCOUNT: &str = "NoSetRoletoECSServiceAccount";
/// The role that lets ECS read OSS does not exist.
pub const NO_SET_ROLETO_ECS_SERVICE_ACOUNT: &str = "NoSetRoletoECSServiceAcount";
/// A community image is neither copied nor shared.
pub const OPERATION_DENIED_COMMUNITY_IMAGE: &str = "OperationDenied.CommunityImage";
/// The instance says nothing on a serial line that could be read.
pub const NOT_SUPPORTED: &str = "NotSupported";
/// Another copy of the image runs.
pub const OPERATION_DENIED_IMAGE_COPY_CONFLICT: &str = "OperationDenied.ImageCopyConflict";
/// Another copy of the image runs.
pub const OPERATION_DENIED_IMAGE_COPYING: &str = "OperationDenied.ImageCopying";
/// The account has as many images as it may.
pub const QUOTA_EXCEED_IMAGE: &str = "QuotaExceed.Image";
/// Disks were made from the snapshot.
pub const SNAPSHOT_CREATED_DISK: &str = "SnapshotCreatedDisk";
/// Images were made from the snapshot.
pub const SNAPSHOT_CREATED_IMAGE: &str = "SnapshotCreatedImage";
/// The key has a suffix of no image format.
pub const UNSUPPORTED_SUFFIX_OSS_OBJECT: &str = "UnsupportedSuffix.OSSObject";
/// The region imports images of invited accounts alone.
pub const USER_NOT_IN_THE_WHITE_LIST: &str = "UserNotInTheWhiteList";
