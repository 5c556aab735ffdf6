//! The codes that OSS answers with ("Error codes" pages), as far as anything here depends on them.

/// The permission is missing, or the bucket is to be reached by another endpoint, which the answer then names.
pub const ACCESS_DENIED: &str = "AccessDenied";
/// Key id and token are of different STS answers.
pub const ACCESS_KEY_ID_AND_SECURITY_TOKEN_NOT_MATCH: &str = "AccessKeyIdAndSecurityTokenNotMatch";
/// Something in the request is wrong, or was made wrong on the way.
pub const BAD_REQUEST: &str = "BadRequest";
/// Somebody has a bucket of this name, perhaps the same account.
pub const BUCKET_ALREADY_EXISTS: &str = "BucketAlreadyExists";
/// There is an object of this key, and the request forbids to replace it.
pub const FILE_ALREADY_EXISTS: &str = "FileAlreadyExists";
/// A retention policy protects the object.
pub const FILE_IMMUTABLE: &str = "FileImmutable";
/// A part that was named is not there.
pub const FILE_PART_NOT_EXIST: &str = "FilePartNotExist";
/// Less came than Content-Length said.
pub const INCOMPLETE_BODY: &str = "IncompleteBody";
/// A store on a disk is full; no service of the vendor answers this.
pub const INSUFFICIENT_STORAGE: &str = "InsufficientStorage";
/// The key id is unknown or disabled; a temporary one has expired.
pub const INVALID_ACCESS_KEY_ID: &str = "InvalidAccessKeyId";
/// A parameter is wrong; which one, only the fine-grained code says.
pub const INVALID_ARGUMENT: &str = "InvalidArgument";
/// The bucket's name breaks the rules of names.
pub const INVALID_BUCKET_NAME: &str = "InvalidBucketName";
/// The bytes that came have another CRC-64 than the request says.
pub const INVALID_CRC64: &str = "InvalidCRC64";
/// The bytes that came have another MD5 than the request says.
pub const INVALID_DIGEST: &str = "InvalidDigest";
/// The key breaks the rules of keys.
pub const INVALID_OBJECT_NAME: &str = "InvalidObjectName";
/// A part that was named is not there, or has another tag.
pub const INVALID_PART: &str = "InvalidPart";
/// The token is not of this key pair.
pub const INVALID_SECURITY_TOKEN: &str = "InvalidSecurityToken";
/// The bucket encrypts with KMS, which is not activated.
pub const KMS_SERVICE_NOT_ENABLED: &str = "KmsServiceNotEnabled";
/// There is no bucket of this name.
pub const NO_SUCH_BUCKET: &str = "NoSuchBucket";
/// There is no object of this key.
pub const NO_SUCH_KEY: &str = "NoSuchKey";
/// The upload is not open any more, or never was.
pub const NO_SUCH_UPLOAD: &str = "NoSuchUpload";
/// The bucket has no retention policy.
pub const NO_SUCH_WORM_CONFIGURATION: &str = "NoSuchWORMConfiguration";
/// The service does not do this.
pub const NOT_IMPLEMENTED: &str = "NotImplemented";
/// The request's time is more than 15 minutes off.
pub const REQUEST_TIME_TOO_SKEWED: &str = "RequestTimeTooSkewed";
/// The body did not come in time.
pub const REQUEST_TIMEOUT: &str = "RequestTimeout";
/// The token has expired.
pub const SECURITY_TOKEN_EXPIRED: &str = "SecurityTokenExpired";
/// Temporary credentials cannot do this.
pub const SECURITY_TOKEN_NOT_SUPPORTED: &str = "SecurityTokenNotSupported";
/// The signature is not of this request and this key pair.
pub const SIGNATURE_DOES_NOT_MATCH: &str = "SignatureDoesNotMatch";
/// The bucket has no transfer acceleration.
pub const TRANSFER_ACCELERATION_DISABLED: &str = "TransferAccelerationDisabled";
/// The account is disabled or in arrears.
pub const USER_DISABLE: &str = "UserDisable";

/// The fine-grained codes of an [`INVALID_ARGUMENT`] for a request that is signed for another region.
pub const EC_OTHER_REGION: [&str; 2] = ["0002-00000226", "0002-00000228"];
