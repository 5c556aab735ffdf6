//! Tags of buckets and objects.

use http::{Response, StatusCode};

use super::answer::{plain, xml};
use super::bucket::change;
use super::error::OssError;
use super::headers::check_tags;
use super::put::describe_version;
use super::xml::{Document, parse};
use super::{Call, Failure, receive};
use ossup_core::http::Body;

/// Most tags of a bucket ("PutBucketTags" page).
const MAX_BUCKET_TAGS: usize = 20;

type Tags = Vec<(String, String)>;

async fn read(call: &Call, body: Body) -> Result<Tags, Failure> {
    let text = receive::document(body, &call.headers).await?;
    let malformed = OssError::malformed_configuration;
    let root = parse(&text, "Tagging").map_err(|_| malformed())?;
    let set = root.child("TagSet").ok_or_else(malformed)?;
    let mut tags = Tags::new();
    for tag in set.children_of("Tag") {
        let text = |name| tag.child_text(name).map(str::to_owned).ok_or_else(malformed);
        tags.push((text("Key")?, text("Value")?));
    }
    Ok(tags)
}

fn document(tags: &Tags) -> Document {
    let mut document = Document::new();
    document.element("Tagging", |d| {
        d.element("TagSet", |d| {
            for (key, value) in tags {
                d.element("Tag", |d| {
                    d.text("Key", key).text("Value", value);
                });
            }
        });
    });
    document
}

pub(super) async fn put_object_tagging(call: &Call, body: Body) -> Result<Response<Body>, Failure> {
    let tags = read(call, body).await?;
    check_tags(&tags)?;
    call.change_object(|headers| headers.tagging = tags)
}

pub(super) fn get_object_tagging(call: &Call) -> Result<Response<Body>, Failure> {
    let object = call.object()?;
    let mut response = xml(document(&object.record.headers.tagging));
    describe_version(response.headers_mut(), call.bucket()?, &object.record);
    Ok(response)
}

pub(super) fn delete_object_tagging(call: &Call) -> Result<Response<Body>, Failure> {
    let mut response = call.change_object(|headers| headers.tagging.clear())?;
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

pub(super) async fn put_bucket_tags(call: &Call, body: Body) -> Result<Response<Body>, Failure> {
    let tags = read(call, body).await?;
    let fits = |(key, value): &(String, String)| (1..=64).contains(&key.len()) && value.len() <= 128;
    let mut keys: Vec<&str> = tags.iter().map(|(key, _)| key.as_str()).collect();
    keys.sort_unstable();
    keys.dedup();
    if tags.is_empty() || tags.len() > MAX_BUCKET_TAGS || keys.len() < tags.len() || !tags.iter().all(fits) {
        return Err(OssError::new(400, "InvalidTag", "The tag is invalid.").into());
    }
    change(call, |record| record.tags = tags)
}

pub(super) fn get_bucket_tags(call: &Call) -> Result<Response<Body>, Failure> {
    Ok(xml(document(&call.bucket()?.tags)))
}

/// Deletes the tags that `tagging=KEY,…` names, or all.
pub(super) fn delete_bucket_tags(call: &Call) -> Result<Response<Body>, Failure> {
    let named = call.query.get("tagging").unwrap_or_default();
    change(call, |record| {
        record.tags.retain(|(key, _)| !named.is_empty() && !named.split(',').any(|name| name == key));
    })?;
    Ok(plain(StatusCode::NO_CONTENT))
}
