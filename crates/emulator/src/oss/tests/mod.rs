//! Each rule through the in-process door, with requests signed as clients sign them.

mod auth;
mod faults;
mod multipart;
mod objects;
mod robustness;
mod vendor;
mod versions;

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use jiff::Timestamp;

use crate::testing::{self, ACCESS_KEY_ID, ACCESS_KEY_SECRET};
use crate::{Emulator, EmulatorOptions};
use ossup_core::clock::Clock;
use ossup_core::credentials::Credentials;
use ossup_core::http::{Transport, full};
use ossup_core::model::{BucketName, Endpoint, Region};
use ossup_core::request::{Content, OssRequest};
use ossup_core::sign::{SignVersion, encode, sign_oss};
use ossup_core::uri;

/// A clock that is set by hand.
#[derive(Debug)]
pub(super) struct HandClock(Mutex<Timestamp>);

impl HandClock {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new("2025-01-01T00:04:05Z".parse().unwrap())))
    }

    pub(super) fn advance(&self, seconds: i64) {
        let mut now = self.0.lock().unwrap();
        *now += jiff::SignedDuration::from_secs(seconds);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// An emulator with the bucket `images`, and whoever talks to it.
pub(super) struct Bench {
    pub(super) emulator: Emulator,
    pub(super) clock: Arc<HandClock>,
    pub(super) credentials: Option<Credentials>,
    pub(super) version: SignVersion,
    pub(super) endpoint: Endpoint,
    pub(super) region: Region,
    _dir: tempfile::TempDir,
}

pub(super) fn bucket(name: &str) -> BucketName {
    name.parse().unwrap()
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::with(|options| options)
    }

    pub(super) fn with(change: impl FnOnce(EmulatorOptions) -> EmulatorOptions) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = HandClock::new();
        let options = testing::options(dir.path()).with_clock(clock.clone());
        let emulator = Emulator::open(change(options)).unwrap();
        let region: Region = "cn-hangzhou".parse().unwrap();
        emulator.create_bucket(bucket("images"), region.clone()).unwrap();
        Self {
            emulator,
            clock,
            credentials: Some(Credentials::new(ACCESS_KEY_ID, ACCESS_KEY_SECRET)),
            version: SignVersion::V4,
            endpoint: "http://127.0.0.1:9000".parse().unwrap(),
            region,
            _dir: dir,
        }
    }

    /// Prepares a request to `BUCKET/KEY`, `BUCKET` or nothing.
    pub(super) fn call(&self, method: &str, resource: &str, query: &str) -> Sent<'_> {
        let (bucket, key) = resource.split_once('/').unwrap_or((resource, ""));
        let request = OssRequest {
            method: method.parse::<Method>().unwrap(),
            bucket: (!bucket.is_empty()).then(|| bucket.parse().unwrap()),
            key: (!key.is_empty()).then(|| key.parse().unwrap()),
            query: encode::decode_query(query).unwrap(),
            headers: Vec::new(),
            content: Content::Empty,
        };
        Sent { bench: self, request, body: Bytes::new() }
    }

    /// Puts an object and expects that to succeed.
    pub(super) async fn put(&self, resource: &str, body: &'static [u8]) -> Reply {
        self.call("PUT", resource, "").body(body).ok().await
    }
}

/// A request on its way.
pub(super) struct Sent<'a> {
    bench: &'a Bench,
    request: OssRequest,
    body: Bytes,
}

impl Sent<'_> {
    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        self.request.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    pub(super) async fn send(self) -> Reply {
        let bench = self.bench;
        let added = match &bench.credentials {
            Some(credentials) => {
                sign_oss(bench.version, &self.request, credentials, &bench.region, bench.clock.now())
            }
            None => Vec::new(),
        };
        let mut request = http::Request::builder().method(self.request.method.clone()).uri(uri::oss(
            &bench.endpoint,
            &self.request,
            &[],
        ));
        for (name, value) in self.request.headers.iter().chain(&added) {
            request = request.header(name, value);
        }
        send(&bench.emulator, request.body(full(self.body)).unwrap()).await
    }

    /// Sends, and expects a status of 200 to 299.
    pub(super) async fn ok(self) -> Reply {
        let what = format!("{} {:?}", self.request.method, self.request.query);
        let reply = self.send().await;
        assert!(reply.status.is_success(), "{what}: {} {}", reply.status, reply.text());
        reply
    }

    /// Sends, and expects an error of this status and code, with its EC and a request id.
    pub(super) async fn refused(self, status: u16, code: &str) -> Reply {
        let reply = self.send().await;
        assert_eq!(reply.status.as_u16(), status, "{}", reply.text());
        assert_eq!(reply.tag("Code"), code, "{}", reply.text());
        let ec = reply.tag("EC");
        assert!(ec.len() == 13 && ec.as_bytes()[4] == b'-', "{ec}");
        assert_eq!(reply.header("x-oss-ec"), Some(ec.as_str()));
        assert_eq!(reply.header("x-oss-request-id"), Some(reply.tag("RequestId").as_str()));
        reply
    }
}

pub(super) async fn send(emulator: &Emulator, request: http::Request<ossup_core::http::Body>) -> Reply {
    let response = emulator.send(request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Reply { status: head.status, headers: head.headers, body }
}

/// An answer with its whole body.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: http::HeaderMap,
    pub(super) body: Bytes,
}

impl Reply {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| std::str::from_utf8(value.as_bytes()).unwrap())
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Returns the text of the first element of that name.
    pub(super) fn tag(&self, name: &str) -> String {
        self.tags(name).into_iter().next().unwrap_or_default()
    }

    /// Returns the texts of all elements of that name.
    pub(super) fn tags(&self, name: &str) -> Vec<String> {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let text = self.text();
        let found = text.split(&open).skip(1).map(|rest| rest.split(&close).next().unwrap().to_owned());
        found.collect()
    }
}
