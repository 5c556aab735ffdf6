//! The codes that ECS, RAM and STS have in common ("Public error codes" page), as far as anything here depends on them.

/// As [`FORBIDDEN`], in the spelling of some pages.
pub const FORBBIDEN: &str = "Forbbiden";
/// Begins the codes of denials: `Forbidden.RAM`.
pub const FORBIDDEN: &str = "Forbidden";
/// The request's time is more than 15 minutes off.
pub const ILLEGAL_TIMESTAMP: &str = "IllegalTimestamp";
/// The first request with the same token still runs, in the words of RunInstances.
pub const IDEMPOTENT_PROCESSING: &str = "IdempotentProcessing";
/// The signature is not of this request and this key pair.
pub const INCOMPLETE_SIGNATURE: &str = "IncompleteSignature";
/// The service failed.
pub const INTERNAL_ERROR: &str = "InternalError";
/// Begins the codes of unknown key ids.
pub const INVALID_ACCESS_KEY_ID: &str = "InvalidAccessKeyId";
/// The key id is unknown.
pub const INVALID_ACCESS_KEY_ID_NOT_FOUND: &str = "InvalidAccessKeyId.NotFound";
/// The account is disabled.
pub const INVALID_ACCOUNT_STATUS: &str = "InvalidAccountStatus";
/// Another operation on the same resource still runs.
pub const INVALID_OPERATION_CONFLICT: &str = "InvalidOperation.Conflict";
/// Begins the codes of refused tokens.
pub const INVALID_SECURITY_TOKEN: &str = "InvalidSecurityToken";
/// The token has expired.
pub const INVALID_SECURITY_TOKEN_EXPIRED: &str = "InvalidSecurityToken.Expired";
/// The token is no token.
pub const INVALID_SECURITY_TOKEN_MALFORMED: &str = "InvalidSecurityToken.Malformed";
/// Key id and token are of different STS answers.
pub const INVALID_SECURITY_TOKEN_MISMATCH_WITH_ACCESS_KEY: &str =
    "InvalidSecurityToken.MismatchWithAccessKey";
/// The request's time is more than 15 minutes off.
pub const INVALID_TIME_STAMP_EXPIRED: &str = "InvalidTimeStamp.Expired";
/// The request's time cannot be read.
pub const INVALID_TIME_STAMP_FORMAT: &str = "InvalidTimeStamp.Format";
/// The first request with the same token still runs.
pub const LAST_TOKEN_PROCESSING: &str = "LastTokenProcessing";
/// The permission is missing.
pub const NO_PERMISSION: &str = "NoPermission";
/// Another operation on the same resource still runs.
pub const OPERATION_CONFLICT: &str = "OperationConflict";
/// The account's owner has not proved who it is.
pub const REAL_NAME_AUTHENTICATION_ERROR: &str = "RealNameAuthenticationError";
/// Too many requests.
pub const REJECTED_THROTTLING: &str = "Rejected.Throttling";
/// The service is down or overloaded.
pub const SERVICE_UNAVAILABLE: &str = "ServiceUnavailable";
/// Begins the codes of services that are down.
pub const SERVICE_UNAVAILABLE_PREFIX: &str = "ServiceUnavailable.";
/// The signature is not of this request and this key pair.
pub const SIGNATURE_DOES_NOT_MATCH: &str = "SignatureDoesNotMatch";
/// The same signed request came before: it was sent twice on the way.
pub const SIGNATURE_NONCE_USED: &str = "SignatureNonceUsed";
/// Begins the codes of too many requests: `Throttling.User`.
pub const THROTTLING: &str = "Throttling";
/// The permission is missing.
pub const UNAUTHORIZED: &str = "Unauthorized";
/// The service failed.
pub const UNKNOWN_ERROR: &str = "UnknownError";
