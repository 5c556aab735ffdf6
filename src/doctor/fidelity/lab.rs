//! Where points are asked: a bucket, a prefix of its own, and what came.

use bytes::Bytes;
use http::Method;

use super::super::ask::Ask;
use crate::client::{CallCause, Client};
use crate::model::{BucketName, ETag, ObjectKey};
use crate::protocol::Response;
use crate::protocol::oss::ListObjects;
use crate::session::list_uploads;

/// The bucket and the prefix, and who asks.
pub(super) struct Lab {
    pub(super) client: Client,
    pub(super) bucket: BucketName,
    prefix: String,
}

/// What came for a request.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// 0 where nothing came.
    pub(super) status: u16,
    pub(super) code: String,
    ec: String,
    /// Why nothing came.
    trouble: String,
    answer: Option<Response>,
}

impl Seen {
    /// Returns status, code and EC.
    pub(super) fn shown(&self) -> String {
        if self.status == 0 {
            return format!("no answer ({})", self.trouble);
        }
        let word = |before: &str, text: &str| match text {
            "" => String::new(),
            text => format!("{before}{text}"),
        };
        format!("{}{}{}", self.status, word(" ", &self.code), word(" EC ", &self.ec))
    }

    pub(super) fn is_ok(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether it is an answer of the service about the request, and not about the network, the keys or permissions.
    pub(super) fn is_about_it(&self) -> bool {
        self.status != 0 && !(self.status == 403 && self.code == crate::protocol::oss::code::ACCESS_DENIED)
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.answer.as_ref()?.header(name)
    }

    pub(super) fn body(&self) -> String {
        self.answer
            .as_ref()
            .map(|answer| String::from_utf8_lossy(&answer.body).into_owned())
            .unwrap_or_default()
    }

    /// Returns the texts of all elements of a name, wherever they are: of documents that the service writes.
    pub(super) fn elements(&self, name: &str) -> Vec<String> {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let body = self.body();
        let texts = body.split(&open).skip(1).filter_map(|rest| rest.split(&close).next());
        texts.map(|text| text.replace("&quot;", "\"")).collect()
    }
}

impl Lab {
    pub(super) fn new(client: Client, bucket: BucketName, prefix: String) -> Self {
        Self { client, bucket, prefix }
    }

    pub(super) fn key(&self, name: &str) -> ObjectKey {
        format!("{}{name}", self.prefix).parse().expect("the names of points make keys")
    }

    /// Asks about an object of the lab.
    pub(super) fn about(
        &self,
        name: &'static str,
        method: Method,
        key: &str,
        query: &[(&str, Option<&str>)],
    ) -> Ask {
        Ask::oss(name, method, (&self.bucket, Some(&self.key(key))), query)
    }

    pub(super) async fn send(&self, ask: Ask) -> Seen {
        self.send_by(&self.client, ask).await
    }

    /// Sends by another client, such as one with other keys.
    pub(super) async fn send_by(&self, client: &Client, ask: Ask) -> Seen {
        match client.call(&ask).await {
            Ok(answer) => Seen { status: answer.status.as_u16(), answer: Some(answer), ..Seen::default() },
            Err(error) => match &error.cause {
                CallCause::Service(service) => Seen {
                    status: service.status,
                    code: service.code.clone().unwrap_or_default(),
                    ec: service.ec.clone().unwrap_or_default(),
                    ..Seen::default()
                },
                other => Seen { trouble: other.to_string(), ..Seen::default() },
            },
        }
    }

    pub(super) async fn put(&self, key: &str, bytes: impl Into<Bytes>) -> Seen {
        self.send(self.about("PutObject", Method::PUT, key, &[]).with_body(bytes)).await
    }

    /// Opens an upload and returns its id, or what came instead.
    pub(super) async fn open(&self, key: &str, headers: &[(&str, &str)]) -> Result<String, Seen> {
        let mut ask = self.about("InitiateMultipartUpload", Method::POST, key, &[("uploads", None)]);
        for (name, value) in headers {
            ask = ask.with_header(name, *value);
        }
        let seen = self.send(ask).await;
        seen.elements("UploadId").pop().ok_or(seen)
    }

    pub(super) async fn part(&self, key: &str, upload: &str, number: &str, bytes: impl Into<Bytes>) -> Seen {
        let query = [("partNumber", Some(number)), ("uploadId", Some(upload))];
        self.send(self.about("UploadPart", Method::PUT, key, &query).with_body(bytes)).await
    }

    /// Completes an upload with these numbers and tags, and headers.
    pub(super) async fn complete(
        &self,
        key: &str,
        upload: &str,
        parts: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> Seen {
        let parts = parts.iter().map(|(number, etag)| {
            format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>")
        });
        let body =
            format!("<CompleteMultipartUpload>{}</CompleteMultipartUpload>", parts.collect::<String>());
        let query = [("uploadId", Some(upload))];
        let mut ask = self.about("CompleteMultipartUpload", Method::POST, key, &query).with_body(body);
        for (name, value) in headers {
            ask = ask.with_header(name, *value);
        }
        self.send(ask).await
    }

    pub(super) async fn parts(&self, key: &str, upload: &str) -> Seen {
        self.send(self.about("ListParts", Method::GET, key, &[("uploadId", Some(upload))])).await
    }

    pub(super) async fn head(&self, key: &str) -> Seen {
        self.send(self.about("HeadObject", Method::HEAD, key, &[])).await
    }

    /// Copies a part from an object of the lab.
    pub(super) async fn copy(&self, key: &str, upload: &str, from: &str, headers: &[(&str, &str)]) -> Seen {
        let query = [("partNumber", Some("1")), ("uploadId", Some(upload))];
        let source =
            format!("/{}/{}", self.bucket, crate::protocol::sign::encode::path(self.key(from).as_str()));
        let mut ask =
            self.about("UploadPartCopy", Method::PUT, key, &query).with_header("x-oss-copy-source", source);
        for (name, value) in headers {
            ask = ask.with_header(name, *value);
        }
        self.send(ask).await
    }

    /// Removes everything under the prefix, and returns what remains.
    pub(super) async fn remove(&self) -> Vec<String> {
        let mut remains = Vec::new();
        let uploads = list_uploads(&self.client, &self.bucket, &self.prefix).await;
        let failed = |what: &str| format!("{what} under {}", self.prefix);
        match uploads {
            Err(_) => remains.push(failed("open uploads")),
            Ok(uploads) => {
                for upload in uploads {
                    let Ok(key) = upload.key.parse() else { continue };
                    let query = [("uploadId", Some(upload.upload_id.as_str()))];
                    let place = (&self.bucket, Some(&key));
                    let abort = Ask::oss("AbortMultipartUpload", Method::DELETE, place, &query);
                    if !self.send(abort).await.is_ok() {
                        remains.push(format!("{} ({})", upload.key, upload.upload_id.as_str()));
                    }
                }
            }
        }
        let mut page = ListObjects::new(self.bucket.clone());
        page.prefix = Some(self.prefix.clone());
        match self.client.call(&page).await {
            Err(_) => remains.push(failed("objects")),
            Ok(found) => {
                for object in found.objects {
                    let Ok(key) = object.key.parse() else { continue };
                    let delete = Ask::oss("DeleteObject", Method::DELETE, (&self.bucket, Some(&key)), &[]);
                    if !self.send(delete).await.is_ok() {
                        remains.push(object.key);
                    }
                }
            }
        }
        remains
    }
}

/// Returns the tag of an answer as it came.
pub(super) fn etag(seen: &Seen) -> String {
    ETag::new(seen.header("etag").unwrap_or_default()).as_str().to_owned()
}
