//! OSS: from a request to its answer.

mod acl;
mod address;
mod allowed;
mod answer;
mod auth;
mod bucket;
mod complete;
mod copy;
mod delete;
mod documents;
mod error;
mod get;
mod headers;
mod list;
mod options;
mod put;
mod receive;
mod route;
mod stat;
mod tagging;
#[cfg(test)]
mod tests;
mod time;
mod upload;
mod versions;
mod xml;

use std::sync::Arc;
use std::time::Duration;

use http::header::HOST;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use jiff::{SignedDuration, Timestamp};

use super::faults::{InjectedError, RequestKey, Stop};
use super::store::{BucketRecord, Object, ObjectHeaders};
use super::{Disconnect, Emulator};
use address::{Query, Target};
use auth::{Caller, Signed};
pub(crate) use error::DISK_FULL;
use error::OssError;
pub use options::{OssOptionError, OssOptions};
use ossup_core::http::Body;
use ossup_core::model::limits::MAX_LIST_PAGE;
use ossup_core::model::{BucketName, ObjectKey, Region};
use ossup_core::sign::encode;
use route::Op;
pub(super) use time::http_date;

/// Why an operation has no result.
#[derive(Debug)]
enum Failure {
    /// It answers with an error.
    Error(Box<OssError>),
    /// The client is gone.
    Disconnect(Disconnect),
}

impl From<OssError> for Failure {
    fn from(error: OssError) -> Self {
        Self::Error(Box::new(error))
    }
}

impl From<Disconnect> for Failure {
    fn from(cut: Disconnect) -> Self {
        Self::Disconnect(cut)
    }
}

/// A request whose sender and subject are known.
#[derive(Debug)]
struct Call {
    emulator: Emulator,
    target: Target,
    query: Query,
    headers: HeaderMap,
    now: Timestamp,
    /// The bucket as it was when the request came.
    bucket: Option<BucketRecord>,
}

impl Call {
    fn bucket_name(&self) -> Result<&BucketName, OssError> {
        self.target.bucket.as_ref().ok_or_else(address::invalid_object_name)
    }

    fn bucket(&self) -> Result<&BucketRecord, OssError> {
        match &self.bucket {
            Some(bucket) => Ok(bucket),
            None => Err(OssError::no_such_bucket(self.bucket_name()?)),
        }
    }

    fn key(&self) -> Result<&ObjectKey, OssError> {
        self.target.key.as_ref().ok_or_else(address::invalid_object_name)
    }

    /// Returns what an operation whose EC for it is `ec` says of an upload that does not exist.
    fn no_such_upload(&self, id: &str, ec: &'static str) -> OssError {
        let one = self.emulator.options().oss.one_upload_ec;
        OssError::no_such_upload(id, if one { "0042-00000002" } else { ec })
    }

    /// Returns the object that the request is about, in the version that it names.
    fn object(&self) -> Result<Arc<Object>, OssError> {
        self.version_of(self.bucket()?, self.key()?, self.query.get("versionId"))
    }

    /// Returns an object in a version, by default the newest.
    fn version_of(
        &self,
        bucket: &BucketRecord,
        key: &ObjectKey,
        version: Option<&str>,
    ) -> Result<Arc<Object>, OssError> {
        let store = self.emulator.store();
        let of_store = |error| OssError::of_store(error, &bucket.name);
        let found = match version {
            None => store.newest(&bucket.name, key).map_err(of_store)?,
            Some(version) => {
                let found = store.version(&bucket.name, key, version).map_err(of_store)?;
                Some(found.ok_or_else(|| OssError::no_such_version(key.as_str(), version))?)
            }
        };
        let object = found.ok_or_else(|| OssError::no_such_key(key.as_str()))?;
        if !object.record.delete_marker {
            return Ok(object);
        }
        let error = match version {
            None => OssError::no_such_key(key.as_str()),
            Some(_) => OssError::new(
                405,
                "MethodNotAllowed",
                "The specified method is not allowed against this resource.",
            ),
        };
        Err(error.header("x-oss-delete-marker", "true").header("x-oss-version-id", object.record.version()))
    }

    /// Changes what is said about the object that the request is about.
    fn change_object(&self, change: impl FnOnce(&mut ObjectHeaders)) -> Result<Response<Body>, Failure> {
        let (bucket, object) = (self.bucket()?, self.object()?);
        let (key, version) = (self.key()?, object.record.version());
        let changed = self.emulator.store().change_object(&bucket.name, key, version, change);
        let changed = changed
            .map_err(|error| OssError::of_store(error, &bucket.name))?
            .ok_or_else(|| OssError::no_such_key(key.as_str()))?;
        let mut response = answer::plain(StatusCode::OK);
        put::describe_version(response.headers_mut(), bucket, &changed.record);
        Ok(response)
    }

    /// Returns the region that the request was sent to.
    fn request_region(&self) -> Region {
        self.target.region.clone().unwrap_or_else(|| self.emulator.options().region.clone())
    }

    /// Returns the object's URL as the result of a Complete has it.
    fn object_url(&self) -> String {
        let (host, key) = (&self.target.host, self.target.key.as_ref().map_or("", ObjectKey::as_str));
        match &self.target.bucket {
            Some(bucket) if self.target.path_style => {
                format!("http://{host}/{bucket}/{}", encode::path(key))
            }
            _ => format!("http://{host}/{}", encode::path(key)),
        }
    }
}

/// Answers a request.
///
/// # Errors
///
/// When the connection is to be cut instead.
pub(super) async fn handle(
    emulator: &Emulator,
    request: Request<Body>,
    request_id: &str,
    now: Timestamp,
) -> Result<Response<Body>, Disconnect> {
    let started = tokio::time::Instant::now();
    let (head, body) = request.into_parts();
    let host = head
        .headers
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .or_else(|| head.uri.authority().map(http::uri::Authority::as_str))
        .unwrap_or("localhost")
        .to_owned();
    let bodiless = head.method == Method::HEAD;
    let subject = answer::Subject { request_id, host: &host, bodiless };
    let request = Routed::new(emulator, head, &host);
    let injected = emulator.script().draw(request.seen());
    let now = now + SignedDuration::from_secs(injected.clock_skew());
    let outcome = match injected.at_head(request.reads_body()).await {
        Ok(()) if injected.kills_token() => Err(auth::token_expired().into()),
        Ok(()) => run(emulator, request, injected.request_body(body), now).await,
        Err(Stop::Answer(scripted)) => Err(OssError::scripted(&scripted).into()),
        Err(Stop::Disconnect) => Err(Failure::Disconnect(Disconnect::Reset)),
    };
    let took = || Duration::from_millis(u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX));
    let finished = |mut response| {
        answer::finish(&mut response, request_id, now, took());
        response
    };
    let response = match outcome {
        Ok(response) => response,
        Err(Failure::Disconnect(cut)) => return Err(cut),
        Err(Failure::Error(error)) => answer::error(&error, &subject),
    };
    let refuse = |scripted: &InjectedError| finished(answer::error(&OssError::scripted(scripted), &subject));
    injected.after(finished(response), refuse).await
}

/// Returns the names of all operations.
pub(super) fn operations() -> impl Iterator<Item = &'static str> {
    Op::ALL.iter().map(|op| op.name())
}

/// Refuses a request whose sender is not to be served.
pub(super) fn refuse<B>(
    request: &Request<B>,
    reason: String,
    request_id: &str,
    now: Timestamp,
) -> Response<Body> {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let subject = answer::Subject { request_id, host, bodiless: request.method() == Method::HEAD };
    let error = OssError::new(403, "AccessDenied", reason).ec("0003-00000001");
    let mut response = answer::error(&error, &subject);
    answer::finish(&mut response, request_id, now, Duration::ZERO);
    response
}

/// Returns the headers that an operation reads, where conditions may be ignored.
fn read_headers(emulator: &Emulator, head: &http::request::Parts) -> HeaderMap {
    let mut headers = head.headers.clone();
    if emulator.options().oss.ignore_write_conditions && [Method::PUT, Method::POST].contains(&head.method) {
        for name in ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since"] {
            headers.remove(name);
        }
    }
    headers
}

/// A request whose operation is known, or why it is none.
#[derive(Debug)]
struct Routed {
    head: http::request::Parts,
    query: Query,
    /// What it addresses, and the operation; an error in either waits until the sender is known.
    target: Result<Target, Box<OssError>>,
    op: Result<Op, Box<OssError>>,
}

impl Routed {
    fn new(emulator: &Emulator, head: http::request::Parts, host: &str) -> Self {
        let options = emulator.options();
        let (query, query_error) = match Query::parse(head.uri.query().unwrap_or_default()) {
            Ok(query) => (query, None),
            Err(error) => (Query::default(), Some(error)),
        };
        let target = match query_error {
            Some(error) => Err(Box::new(error)),
            None => {
                address::target(host, head.uri.path(), &options.region, &options.cnames).map_err(Box::new)
            }
        };
        let op = match &target {
            Ok(target) => route::route(&head.method, target, &query, &read_headers(emulator, &head)),
            Err(_) => Err(address::invalid_object_name()),
        };
        Self { head, query, target, op: op.map_err(Box::new) }
    }

    /// Returns what fault rules look at.
    fn seen(&self) -> RequestKey {
        let key = self.target.as_ref().ok().and_then(|target| target.key.as_ref());
        RequestKey {
            operation: self.op.as_ref().map_or("", |op| op.name()).to_owned(),
            key: key.map(|key| key.as_str().to_owned()).unwrap_or_default(),
            part: self.query.get("partNumber").and_then(|number| number.parse().ok()),
        }
    }

    fn reads_body(&self) -> bool {
        self.op.as_ref().is_ok_and(|op| op.reads_body())
    }
}

async fn run(
    emulator: &Emulator,
    request: Routed,
    body: Body,
    now: Timestamp,
) -> Result<Response<Body>, Failure> {
    let options = emulator.options();
    let Routed { head, query, target, op } = request;
    let target = target.map_err(Failure::Error)?;
    let bucket = target.bucket.as_ref().and_then(|name| emulator.store().bucket(name));
    let region = target.region.as_ref().or(bucket.as_ref().map(|bucket| &bucket.region));
    let makes_bucket = op
        .as_ref()
        .is_ok_and(|op| *op == Op::PutBucket || (op.makes_objects() && options.auto_create_buckets));
    let caller = if options.verify {
        let signed = Signed {
            method: head.method.as_str(),
            bucket: target.bucket.as_ref().map(BucketName::as_str),
            key: target.key.as_ref().map(ObjectKey::as_str),
            query: &query,
            headers: &auth::header_pairs(&head.headers),
            region: region.unwrap_or(&options.region),
        };
        match (auth::verify(&signed, emulator.keys(), now), &target.bucket) {
            // Whether the bucket exists is looked at first.
            (Err(error), Some(name))
                if error.code == "InvalidAccessKeyId"
                    && bucket.is_none()
                    && !makes_bucket
                    && !options.oss.key_before_bucket =>
            {
                return Err(OssError::no_such_bucket(name).into());
            }
            (verified, _) => verified?,
        }
    } else {
        Caller::Known
    };
    let op = op.map_err(Failure::Error)?;
    let mut call = Call { emulator: emulator.clone(), target, query, headers: head.headers, now, bucket };
    authorize(&call, op, caller)?;
    place(&mut call, op)?;
    perform(&call, op, body).await
}

/// Lets anonymous requests do only what the bucket's ACL allows to everyone.
fn authorize(call: &Call, op: Op, caller: Caller) -> Result<(), OssError> {
    let acl = acl::of_target(call);
    let open = op.reads_object() && acl.starts_with("public-read")
        || op == Op::PutObject && acl == "public-read-write";
    if caller == Caller::Known || open {
        return Ok(());
    }
    let message = match (&call.target.bucket, &call.bucket) {
        (Some(name), None) => return Err(OssError::no_such_bucket(name)),
        (None, _) => "Anonymous access is forbidden for this operation.",
        (Some(_), Some(_)) => "You have no right to access this object because of bucket acl.",
    };
    Err(OssError::new(403, "AccessDenied", message).ec("0003-00000001"))
}

/// Makes sure that the bucket is there and lives where the request was sent to.
fn place(call: &mut Call, op: Op) -> Result<(), OssError> {
    let Some(name) = call.target.bucket.clone() else { return Ok(()) };
    match &call.bucket {
        Some(bucket) => match &call.target.region {
            // PutBucket of a name that is taken reports that, wherever the bucket is.
            Some(region) if *region != bucket.region && op != Op::PutBucket => {
                Err(OssError::other_endpoint(&name, &bucket.region))
            }
            _ => Ok(()),
        },
        None if op == Op::PutBucket => Ok(()),
        None if op.makes_objects() && call.emulator.options().auto_create_buckets => {
            let mut record = BucketRecord::new(name.clone(), call.request_region(), call.now);
            record.block_public_access = call.emulator.options().block_public_access;
            match call.emulator.store().create_bucket(record) {
                // Another request may have been faster.
                Ok(()) | Err(super::StoreError::BucketExists) => {}
                Err(error) => return Err(OssError::of_store(error, &name)),
            }
            call.bucket = call.emulator.store().bucket(&name);
            Ok(())
        }
        None => Err(OssError::no_such_bucket(&name)),
    }
}

async fn perform(call: &Call, op: Op, body: Body) -> Result<Response<Body>, Failure> {
    match op {
        Op::ListBuckets => bucket::list_buckets(call),
        Op::PutBucket => bucket::put_bucket(call, body).await,
        Op::DeleteBucket => bucket::delete_bucket(call),
        Op::GetBucketInfo => bucket::get_bucket_info(call),
        Op::GetBucketLocation => bucket::get_bucket_location(call),
        Op::GetBucketWorm => bucket::get_bucket_worm(call),
        Op::PutBucketEncryption => bucket::put_bucket_encryption(call, body).await,
        Op::GetBucketEncryption => bucket::get_bucket_encryption(call),
        Op::DeleteBucketEncryption => bucket::delete_bucket_encryption(call),
        Op::PutBucketVersioning => bucket::put_bucket_versioning(call, body).await,
        Op::GetBucketVersioning => bucket::get_bucket_versioning(call),
        Op::GetBucketStat => stat::get_bucket_stat(call),
        Op::PutBucketAcl => acl::put_bucket_acl(call),
        Op::GetBucketAcl => acl::get_bucket_acl(call),
        Op::PutBucketTags => tagging::put_bucket_tags(call, body).await,
        Op::GetBucketTags => tagging::get_bucket_tags(call),
        Op::DeleteBucketTags => tagging::delete_bucket_tags(call),
        Op::PutBucketPublicAccessBlock => acl::put_public_access_block(call, body).await,
        Op::GetBucketPublicAccessBlock => acl::get_public_access_block(call),
        Op::DeleteBucketPublicAccessBlock => acl::delete_public_access_block(call),
        Op::PutBucketCors => documents::put(call, body, &documents::CORS).await,
        Op::GetBucketCors => documents::get(call, &documents::CORS),
        Op::DeleteBucketCors => documents::delete(call, &documents::CORS),
        Op::PutBucketLogging => documents::put(call, body, &documents::LOGGING).await,
        Op::GetBucketLogging => documents::get(call, &documents::LOGGING),
        Op::DeleteBucketLogging => documents::delete(call, &documents::LOGGING),
        Op::ListLiveChannel => documents::list_live_channels(call),
        Op::ListObjectVersions => versions::list_object_versions(call),
        Op::ListObjects => list::list_objects(call),
        Op::ListObjectsV2 => list::list_objects_v2(call),
        Op::ListMultipartUploads => list::list_multipart_uploads(call),
        Op::DeleteMultipleObjects => delete::delete_multiple_objects(call, body).await,
        Op::PutObject => put::put_object(call, body).await,
        Op::GetObject => get::get_object(call),
        Op::HeadObject => get::head_object(call),
        Op::GetObjectMeta => get::get_object_meta(call),
        Op::DeleteObject => delete::delete_object(call),
        Op::PutObjectACL => acl::put_object_acl(call),
        Op::GetObjectACL => acl::get_object_acl(call),
        Op::PutObjectTagging => tagging::put_object_tagging(call, body).await,
        Op::GetObjectTagging => tagging::get_object_tagging(call),
        Op::DeleteObjectTagging => tagging::delete_object_tagging(call),
        Op::CopyObject => copy::copy_object(call).await,
        Op::AppendObject => put::append_object(call, body).await,
        Op::InitiateMultipartUpload => upload::initiate(call, body).await,
        Op::UploadPart => upload::upload_part(call, body).await,
        Op::UploadPartCopy => copy::upload_part_copy(call).await,
        Op::CompleteMultipartUpload => complete::complete(call, body).await,
        Op::AbortMultipartUpload => upload::abort(call),
        Op::ListParts => upload::list_parts(call),
    }
}

/// Reads a page's size: 1 to 1000, or the default.
fn page_size(query: &Query, name: &'static str, default: u16) -> Result<usize, OssError> {
    let text = query.get(name).filter(|text| !text.is_empty());
    let size = text
        .map_or(Some(default), |text| text.parse().ok().filter(|size| (1..=MAX_LIST_PAGE).contains(size)));
    size.map(usize::from).ok_or_else(|| {
        OssError::invalid_argument(name, text.unwrap_or_default(), format!("{name} must be 1 to 1000."))
    })
}

/// Whether names in the answer are to be percent-encoded.
fn url_encoding(query: &Query) -> Result<bool, OssError> {
    match query.get("encoding-type") {
        None | Some("") => Ok(false),
        Some("url") => Ok(true),
        Some(other) => {
            Err(OssError::invalid_argument("encoding-type", other, "Invalid encoding method specified."))
        }
    }
}
