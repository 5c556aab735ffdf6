//! Who may do what: ACLs of buckets and objects, and the block of public access.

use http::{Response, StatusCode};

use super::answer::{plain, xml};
use super::bucket::{change, owner};
use super::error::OssError;
use super::headers::{self, check_acl, check_public};
use super::xml::{Document, parse};
use super::{Call, Failure, receive};
use ossup_core::http::Body;

/// The ACL of objects that have none set.
const DEFAULT: &str = "default";

/// Returns the ACL that holds for what a request is about: the object's own, else the bucket's. Where public access
/// is blocked it is private.
pub(super) fn of_target(call: &Call) -> String {
    let Some(bucket) = call.bucket.as_ref().filter(|bucket| !bucket.block_public_access) else {
        return "private".to_owned();
    };
    let object = call.object().ok().and_then(|object| object.record.headers.acl.clone());
    object.filter(|acl| acl != DEFAULT).unwrap_or_else(|| bucket.acl.clone())
}

fn policy(call: &Call, grant: &str) -> Result<Response<Body>, Failure> {
    let bucket = call.bucket()?;
    let mut document = Document::new();
    document.element("AccessControlPolicy", |d| {
        owner(d, &bucket.owner);
        d.element("AccessControlList", |d| {
            d.text("Grant", grant);
        });
    });
    Ok(xml(document))
}

pub(super) fn put_bucket_acl(call: &Call) -> Result<Response<Body>, Failure> {
    let acl = headers::text(&call.headers, "x-oss-acl").unwrap_or_default();
    check_acl("x-oss-acl", acl)?;
    check_public(call.bucket()?, acl)?;
    change(call, |record| acl.clone_into(&mut record.acl))
}

pub(super) fn get_bucket_acl(call: &Call) -> Result<Response<Body>, Failure> {
    policy(call, &call.bucket()?.acl)
}

pub(super) fn put_object_acl(call: &Call) -> Result<Response<Body>, Failure> {
    let acl = headers::object_acl(&call.headers, call.bucket()?)?
        .ok_or_else(|| OssError::invalid_argument("x-oss-object-acl", "", "The ACL is missing."))?;
    call.change_object(|headers| headers.acl = Some(acl))
}

pub(super) fn get_object_acl(call: &Call) -> Result<Response<Body>, Failure> {
    let object = call.object()?;
    let mut response = policy(call, object.record.headers.acl.as_deref().unwrap_or(DEFAULT))?;
    super::put::describe_version(response.headers_mut(), call.bucket()?, &object.record);
    Ok(response)
}

pub(super) async fn put_public_access_block(call: &Call, body: Body) -> Result<Response<Body>, Failure> {
    let text = receive::document(body, &call.headers).await?;
    let root =
        parse(&text, "PublicAccessBlockConfiguration").map_err(|_| OssError::malformed_configuration())?;
    // oss2 writes `True` and `False`.
    let block = match root.child_text("BlockPublicAccess").map(str::to_ascii_lowercase).as_deref() {
        Some("true") => true,
        Some("false") => false,
        _ => return Err(OssError::malformed_configuration().into()),
    };
    change(call, |record| record.block_public_access = block)
}

pub(super) fn get_public_access_block(call: &Call) -> Result<Response<Body>, Failure> {
    let block = call.bucket()?.block_public_access;
    let mut document = Document::new();
    document.element("PublicAccessBlockConfiguration", |d| {
        d.text("BlockPublicAccess", block.to_string());
    });
    Ok(xml(document))
}

pub(super) fn delete_public_access_block(call: &Call) -> Result<Response<Body>, Failure> {
    change(call, |record| record.block_public_access = false)?;
    Ok(plain(StatusCode::NO_CONTENT))
}
