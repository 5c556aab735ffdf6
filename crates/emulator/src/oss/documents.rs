//! Settings of buckets that are kept as documents because they change nothing that the emulator does: browsers are
//! refused, and no logs are written. Settings that would change what other operations mean are not among them.

use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};

use super::answer::{plain, xml};
use super::bucket::change;
use super::error::OssError;
use super::xml::{Document, Element, parse};
use super::{Call, Failure, receive};
use ossup_core::http::{Body, full};

/// A kind of document.
#[derive(Debug)]
pub(super) struct Kind {
    subresource: &'static str,
    root: &'static str,
    /// The code and message where none was put; none if an empty document is the answer.
    missing: Option<(&'static str, &'static str)>,
    check: fn(&Element) -> Result<(), OssError>,
}

pub(super) const CORS: Kind = Kind {
    subresource: "cors",
    root: "CORSConfiguration",
    missing: Some(("NoSuchCORSConfiguration", "The CORS Configuration does not exist.")),
    check: check_cors,
};

pub(super) const LOGGING: Kind =
    Kind { subresource: "logging", root: "BucketLoggingStatus", missing: None, check: check_logging };

/// "PutBucketCors" page: one to ten rules, each with origins and methods.
fn check_cors(root: &Element) -> Result<(), OssError> {
    let rules: Vec<_> = root.children_of("CORSRule").collect();
    if rules.is_empty() || rules.len() > 20 {
        return Err(OssError::malformed_configuration());
    }
    for rule in rules {
        let mut methods = rule.children_of("AllowedMethod").map(|method| method.text.as_str()).peekable();
        if rule.child("AllowedOrigin").is_none()
            || methods.peek().is_none()
            || !methods.all(|method| ["GET", "PUT", "DELETE", "POST", "HEAD"].contains(&method))
        {
            return Err(OssError::malformed_configuration());
        }
        if let Some(age) = rule.child_text("MaxAgeSeconds")
            && !age.parse::<u32>().is_ok_and(|age| age <= 999_999_999)
        {
            let message = "MaxAgeSeconds must be 0 to 999999999.";
            return Err(OssError::invalid_argument("MaxAgeSeconds", age, message));
        }
    }
    Ok(())
}

/// "PutBucketLogging" page.
fn check_logging(root: &Element) -> Result<(), OssError> {
    match root.child("LoggingEnabled") {
        Some(enabled) if enabled.child("TargetBucket").is_none() => Err(OssError::malformed_configuration()),
        _ => Ok(()),
    }
}

pub(super) async fn put(call: &Call, body: Body, kind: &Kind) -> Result<Response<Body>, Failure> {
    let bytes = receive::document(body, &call.headers).await?;
    let root = parse(&bytes, kind.root).map_err(|_| OssError::malformed_configuration())?;
    (kind.check)(&root)?;
    let text = String::from_utf8(bytes.to_vec()).expect("what was parsed is UTF-8");
    change(call, |record| {
        record.documents.insert(kind.subresource.to_owned(), text);
    })
}

pub(super) fn get(call: &Call, kind: &Kind) -> Result<Response<Body>, Failure> {
    if let Some(text) = call.bucket()?.documents.get(kind.subresource) {
        let mut response = Response::new(full(text.clone()));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        return Ok(response);
    }
    if let Some((code, message)) = kind.missing {
        return Err(OssError::new(404, code, message).into());
    }
    let mut document = Document::new();
    document.element(kind.root, |_| {});
    Ok(xml(document))
}

pub(super) fn delete(call: &Call, kind: &Kind) -> Result<Response<Body>, Failure> {
    change(call, |record| {
        record.documents.remove(kind.subresource);
    })?;
    Ok(plain(StatusCode::NO_CONTENT))
}

/// There are no live channels, as nothing makes one; the vendor's clients list them before they delete a bucket.
pub(super) fn list_live_channels(call: &Call) -> Result<Response<Body>, Failure> {
    let get = |name| call.query.get(name).unwrap_or_default();
    let max = super::page_size(&call.query, "max-keys", 100)?;
    let mut document = Document::new();
    document.element("ListLiveChannelResult", |d| {
        d.text("Prefix", get("prefix")).text("Marker", get("marker")).text("MaxKeys", max.to_string());
        d.text("IsTruncated", "false").text("NextMarker", "");
    });
    Ok(xml(document))
}
