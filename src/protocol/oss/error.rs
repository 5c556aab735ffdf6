use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::xml::{self, Element};
use super::{code, printable};
use crate::protocol::{Response, RetryClass, ServiceError};

/// Error documents are about 1 KB; a policy denial with its diagnosis has about 4 KB.
const MAX_ERROR_BYTES: usize = 64 * 1024;
/// How much of an answer that is not an error document is kept, in characters.
const MAX_FOREIGN: usize = 200;

/// Reads an answer whose status is an error ("Error responses" page).
///
/// An answer to HEAD has its document in `x-oss-err`. An answer that is not an error document, perhaps from a
/// proxy, gives its status and its beginning. Of the document only what is safe to show is kept: it may also
/// hold the string that was signed.
pub fn parse_error(answer: &Response) -> ServiceError {
    let in_header = answer.header("x-oss-err").and_then(|text| BASE64_STANDARD.decode(text.trim()).ok());
    let body = match &in_header {
        Some(document) if answer.body.is_empty() => document.as_slice(),
        _ => &answer.body,
    };
    let document = match body.len() {
        0..=MAX_ERROR_BYTES => xml::parse(body).ok().filter(|root| root.name() == "Error"),
        _ => None,
    };
    let mut error = match document {
        Some(document) => from_document(&document),
        None => ServiceError { message: foreign(body), ..ServiceError::default() },
    };
    error.status = answer.status.as_u16();
    error.request_id = error.request_id.or_else(|| answer.request_id().map(printable));
    error.ec = error.ec.or_else(|| answer.header("x-oss-ec").map(printable));
    error.retry_after = answer.header("retry-after").and_then(|seconds| seconds.trim().parse().ok());
    error
}

fn from_document(document: &Element) -> ServiceError {
    let text = |name| document.text(name).map(printable);
    let detail = document.child("AccessDeniedDetail");
    ServiceError {
        code: text("Code"),
        message: text("Message").unwrap_or_default(),
        request_id: text("RequestId"),
        ec: text("EC"),
        recommend: text("RecommendDoc"),
        endpoint: text("Endpoint"),
        bucket: text("BucketName"),
        server_time: document.time("ServerTime"),
        upload_id: text("UploadId"),
        denied_action: detail.and_then(|detail| detail.text("AuthAction")).map(printable),
        ..ServiceError::default()
    }
}

fn foreign(body: &[u8]) -> String {
    // A character has at most 4 bytes; what is cut off is not looked at.
    let beginning = String::from_utf8_lossy(&body[..body.len().min(4 * MAX_FOREIGN)]);
    let words = beginning.split_whitespace().collect::<Vec<_>>().join(" ");
    printable(&words.chars().take(MAX_FOREIGN).collect::<String>())
}

/// Returns what to do about an error of OSS. `temporary` says whether the credentials came from STS.
///
/// Two cases need more than the error and are the client's and the caller's: `SignatureDoesNotMatch` may follow
/// from credentials that have changed since, and `FileAlreadyExists` after a repeated request may be about our own
/// object.
pub fn action(error: &ServiceError, temporary: bool) -> RetryClass {
    let code = error.code.as_deref().unwrap_or_default();
    let ec = error.ec.as_deref().unwrap_or_default();
    match (error.status, code) {
        (203, _) => RetryClass::Settle,
        (_, code::REQUEST_TIMEOUT | code::INCOMPLETE_BODY) => RetryClass::Retry,
        (_, code::BAD_REQUEST) => RetryClass::RetryFew,
        (_, code::INVALID_DIGEST | code::INVALID_CRC64) => RetryClass::RetryOnce,
        (_, code::INVALID_PART | code::FILE_PART_NOT_EXIST | code::NO_SUCH_UPLOAD) => RetryClass::Settle,
        (_, code::INVALID_ARGUMENT) if code::EC_OTHER_REGION.contains(&ec) => RetryClass::OtherEndpoint,
        (_, code::ACCESS_DENIED) if error.endpoint.is_some() => RetryClass::OtherEndpoint,
        (_, code::REQUEST_TIME_TOO_SKEWED) => RetryClass::FixClock,
        (
            _,
            code::SECURITY_TOKEN_EXPIRED
            | code::INVALID_SECURITY_TOKEN
            | code::ACCESS_KEY_ID_AND_SECURITY_TOKEN_NOT_MATCH,
        ) => RetryClass::RefreshCredentials,
        (_, code::INVALID_ACCESS_KEY_ID) if temporary => RetryClass::RefreshCredentials,
        (_, code::INVALID_ACCESS_KEY_ID | code::NOT_IMPLEMENTED) => RetryClass::Never,
        (401, _) if !error.is_foreign() => RetryClass::RefreshCredentials,
        (408 | 429, _) => RetryClass::Retry,
        (503, _) => RetryClass::Throttled,
        // No service of the vendor's answers 507; a store on a disk does, which stays full.
        (501 | 505 | 507, _) => RetryClass::Never,
        (500.., _) => RetryClass::Retry,
        // OSS says what is wrong with a request; something on the way that does not may let the next one through.
        (400, "") if error.request_id.is_none() => RetryClass::RetryFew,
        _ => RetryClass::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::answer;
    use super::*;

    const NO_SUCH_UPLOAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<Error>
  <Code>NoSuchUpload</Code>
  <Message>The specified upload does not exist.</Message>
  <RequestId>640ED770048FEF3231A98BA9</RequestId>
  <HostId>bucket.oss-ap-southeast-1.aliyuncs.com</HostId>
  <UploadId>3FCE26176063453E8D80917962C936FE</UploadId>
  <EC>0042-00000203</EC>
  <RecommendDoc>https://api.aliyun.com/troubleshoot?q=0042-00000203</RecommendDoc>
</Error>";

    #[test]
    fn the_recorded_document_is_read() {
        let error = parse_error(&answer(404, &[("x-oss-request-id", "other")], NO_SUCH_UPLOAD));
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            error,
            ServiceError {
                status: 404,
                code: some("NoSuchUpload"),
                message: "The specified upload does not exist.".to_owned(),
                request_id: some("640ED770048FEF3231A98BA9"),
                ec: some("0042-00000203"),
                recommend: some("https://api.aliyun.com/troubleshoot?q=0042-00000203"),
                upload_id: some("3FCE26176063453E8D80917962C936FE"),
                ..ServiceError::default()
            }
        );
    }

    #[test]
    fn elements_that_matter_are_kept_and_what_was_signed_is_not() {
        let body = "<Error><Code>RequestTimeTooSkewed</Code><Message>m</Message>\
            <ServerTime>2022-09-04T08:11:37.000Z</ServerTime><Endpoint>oss-cn-beijing.aliyuncs.com</Endpoint>\
            <OSSAccessKeyId>LTAI1</OSSAccessKeyId><StringToSign>PUT secret-ish</StringToSign>\
            <AccessDeniedDetail><AuthAction>oss:PutObject</AuthAction></AccessDeniedDetail></Error>";
        let error = parse_error(&answer(403, &[("retry-after", "7")], body));
        assert_eq!(error.server_time, Some("2022-09-04T08:11:37Z".parse().unwrap()));
        assert_eq!(error.endpoint.as_deref(), Some("oss-cn-beijing.aliyuncs.com"));
        assert_eq!(error.denied_action.as_deref(), Some("oss:PutObject"));
        assert_eq!(error.retry_after, Some(7));
        assert!(!format!("{error:?}").contains("secret-ish"));
    }

    #[test]
    fn head_has_its_document_in_a_header() {
        let document = BASE64_STANDARD.encode("<Error><Code>NoSuchKey</Code><Message>gone</Message></Error>");
        let headers =
            [("x-oss-err", document.as_str()), ("x-oss-ec", "0026-00000001"), ("x-oss-request-id", "R")];
        let error = parse_error(&answer(404, &headers, ""));
        assert_eq!((error.code.as_deref(), error.ec.as_deref()), (Some("NoSuchKey"), Some("0026-00000001")));
        assert_eq!(error.request_id.as_deref(), Some("R"));
        let bare = parse_error(&answer(404, &[("x-oss-err", "?")], ""));
        assert_eq!((bare.status, bare.code, bare.message), (404, None, String::new()));
    }

    #[test]
    fn a_foreign_answer_gives_its_status_and_its_beginning() {
        let html = format!("<html>\n\t<h1>502 Bad\u{1b}[31m Gateway</h1>{}", "x".repeat(100_000));
        let error = parse_error(&answer(502, &[], &html));
        assert_eq!((error.status, &error.code), (502, &None));
        assert!(
            error.message.starts_with("<html> <h1>502 Bad\\u{1b}[31m Gateway</h1>xxx"),
            "{}",
            error.message
        );
        assert!(error.message.len() < 250);
    }

    #[test]
    fn control_characters_of_the_service_reach_no_terminal() {
        let body = "<Error><Code>A&#27;B</Code><Message>one\ntwo&#x202e;&#155;</Message></Error>";
        let error = parse_error(&answer(400, &[], body));
        assert_eq!(error.code.as_deref(), Some("A\\u{1b}B"));
        assert_eq!(error.message, "one two\\u{202e}\\u{9b}");
    }

    /// Every row of the table of codes in the order of its statuses; `*` is a code that the table leaves out.
    #[test]
    fn every_code_has_its_action() {
        use RetryClass::{
            FixClock, Never, RefreshCredentials, Retry, RetryFew, RetryOnce, Settle, Throttled,
        };
        let rows: &[(u16, &str, RetryClass)] = &[
            (203, "CallbackFailed", Settle),
            (400, "RequestTimeout IncompleteBody", Retry),
            (400, "BadRequest", RetryFew),
            (400, "InvalidDigest InvalidCRC64", RetryOnce),
            (400, "InvalidPart FilePartNotExist", Settle),
            (
                400,
                "InvalidPartOrder MalformedXML EntityTooSmall EntityTooLarge InvalidArgument MissingArgument \
                 InvalidObjectName InvalidBucketName InvalidEncryptionAlgorithmError NotImplemented \
                 OperationNotSupported InvalidRequest PartNotSequential TooManyBuckets",
                Never,
            ),
            (400, "PublicEndpointForbidden *", Never),
            (401, "*", RefreshCredentials),
            (403, "AccessDenied *", Never),
            (403, "RequestTimeTooSkewed", FixClock),
            (
                403,
                "SecurityTokenExpired InvalidSecurityToken AccessKeyIdAndSecurityTokenNotMatch",
                RefreshCredentials,
            ),
            (403, "InvalidAccessKeyId SignatureDoesNotMatch", Never),
            (
                403,
                "UserDisable InDebt InDebtOverdue BucketDisable AbnormalBucketOwnerStatus InvalidObjectState \
                 TransferAccelerationDisabled SecondLevelDomainForbidden NonStandardHostForbidden CnameDenied \
                 SecurityTokenNotSupported KmsServiceNotEnabled",
                Never,
            ),
            (404, "NoSuchUpload", Settle),
            (404, "NoSuchBucket NoSuchKey NoSuchVersion *", Never),
            (405, "MethodNotAllowed", Never),
            (408, "*", Retry),
            (
                409,
                "FileAlreadyExists FileImmutable BucketAlreadyExists ObjectNotAppendable \
                 PositionNotEqualToLength",
                Never,
            ),
            (411, "MissingContentLength", Never),
            (412, "PreconditionFailed", Never),
            (304, "NotModified *", Never),
            (416, "InvalidRange", Never),
            (429, "*", Retry),
            (500, "InternalError *", Retry),
            (501, "NotImplemented *", Never),
            (502, "*", Retry),
            (504, "*", Retry),
            (
                503,
                "ServiceUnavailable UploadTrafficRateLimitExceeded DownloadTrafficRateLimitExceeded \
                 MetaOperationQpsLimitExceeded TotalQpsLimitExceeded ActiveRequestLimitExceeded *",
                Throttled,
            ),
        ];
        for (status, codes, expected) in rows {
            for code in codes.split_whitespace() {
                let known = (code != "*").then(|| code.to_owned());
                let request_id = Some("5C3D".to_owned());
                let error =
                    ServiceError { status: *status, code: known, request_id, ..ServiceError::default() };
                assert_eq!(action(&error, false), *expected, "{status} {code}");
            }
        }
    }

    #[test]
    fn some_codes_need_a_second_look() {
        let error = |status, code: &str| ServiceError {
            status,
            code: Some(code.to_owned()),
            ..ServiceError::default()
        };
        let region = |ec: &str| ServiceError { ec: Some(ec.to_owned()), ..error(400, "InvalidArgument") };
        assert_eq!(action(&region("0002-00000226"), false), RetryClass::OtherEndpoint);
        assert_eq!(action(&region("0002-00000228"), false), RetryClass::OtherEndpoint);
        assert_eq!(action(&region("0002-00000202"), false), RetryClass::Never);
        let endpoint = Some("oss-cn-beijing.aliyuncs.com".to_owned());
        let elsewhere = ServiceError { endpoint, ..error(403, "AccessDenied") };
        assert_eq!(action(&elsewhere, false), RetryClass::OtherEndpoint);
        let message = "Request has expired.".to_owned();
        let expired = ServiceError { message, ..error(403, "AccessDenied") };
        assert_eq!(action(&expired, true), RetryClass::Never);
        assert_eq!(action(&error(403, "InvalidAccessKeyId"), true), RetryClass::RefreshCredentials);
    }
}
