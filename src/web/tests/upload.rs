//! A file on the web as what is uploaded.

use std::sync::Arc;

use http_body_util::BodyExt;

use super::*;
use crate::ErrorKind;
use crate::client::{Client, ClientOptions};
use crate::credentials::{Credentials, StaticCredentials};
use crate::emulator::Emulator;
use crate::emulator::testing::{self, ACCESS_KEY_ID, ACCESS_KEY_SECRET};
use crate::http::Transport;
use crate::upload::{Upload, UploadError, UploadReport};

const PART: usize = 100 << 10;

struct World {
    site: Site,
    emulator: Emulator,
    client: Client,
    folder: tempfile::TempDir,
}

impl World {
    /// A site with a file of six parts, the last of which is short.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let emulator = Emulator::open(testing::options(folder.path().join("store"))).unwrap();
        let region: crate::model::Region = "cn-hangzhou".parse().unwrap();
        emulator.create_bucket("images".parse().unwrap(), region.clone()).unwrap();
        std::fs::create_dir(folder.path().join("state")).unwrap();
        let credentials = Credentials::new(ACCESS_KEY_ID, ACCESS_KEY_SECRET);
        let credentials = Arc::new(StaticCredentials::new(credentials));
        let endpoint = "http://localhost".parse().unwrap();
        let options = ClientOptions::new(endpoint, region, credentials, Arc::new(emulator.clone()))
            .with_dice(Arc::new(|| 0.0));
        Self { site: Site::new(5 * PART + 77), emulator, client: Client::new(options), folder }
    }

    async fn upload(&self) -> Result<UploadReport, UploadError> {
        let url = format!("{FILE}?token=hunter2");
        let options = self.site.options().with_dice(Arc::new(|| 0.0));
        let object = WebObject::open(url.parse().unwrap(), options).await.unwrap();
        let source = Arc::new(object.by_ranges().unwrap());
        Upload::new(self.client.clone(), source, "oss://images/disk.raw".parse().unwrap())
            .with_state_dir(self.folder.path().join("state"))
            .with_part_size(PART as u64)
            .with_parallel(2)
            .run()
            .await
    }

    /// Returns the object, if there is one.
    async fn stored(&self) -> Option<Vec<u8>> {
        let object = "oss://images/disk.raw".parse().unwrap();
        let credentials = Credentials::new(ACCESS_KEY_ID, ACCESS_KEY_SECRET);
        let presign = crate::url::Presign {
            version: crate::protocol::sign::SignVersion::V4,
            credentials: &credentials,
            region: self.client.region(),
            at: crate::clock::Clock::now(&crate::clock::SystemClock),
            validity: Duration::from_secs(600),
        };
        let url = crate::url::ObjectUrl::presigned(&object, self.client.endpoint(), &presign).unwrap();
        let request = http::Request::get(url.as_str()).body(crate::http::empty()).unwrap();
        let answer = self.emulator.send(request).await.unwrap();
        match answer.status().as_u16() {
            200 => Some(answer.into_body().collect().await.unwrap().to_bytes().to_vec()),
            _ => None,
        }
    }

    /// Returns the ranges of parts that were asked for.
    fn asked(&self) -> Vec<String> {
        let own = |seen: &site::Seen| seen.header(header::RANGE).unwrap().to_owned();
        self.site.with(|state| state.seen.iter().map(own).filter(|range| range != "bytes=0-1023").collect())
    }
}

#[tokio::test]
async fn each_part_is_one_request_and_the_object_is_the_file() {
    let world = World::new();
    let report = world.upload().await.unwrap();
    assert_eq!(report.stored.size, 5 * PART as u64 + 77);
    assert!(world.stored().await.unwrap() == world.site.content());
    assert_eq!(world.asked().len(), 6, "{:?}", world.asked());
    world.site.with(|state| {
        let signed = |seen: &site::Seen| seen.headers.keys().any(|name| name.as_str().starts_with("x-oss"));
        assert!(!state.seen.iter().any(|seen| signed(seen) || seen.header(header::AUTHORIZATION).is_some()));
    });
}

#[tokio::test]
async fn a_broken_connection_costs_no_byte_twice() {
    let world = World::new();
    // Opening, the look before the first byte, a part.
    world.site.fail([Fault::Good, Fault::Good, Fault::Good, Fault::Cut(30_000), Fault::Short(10)]);
    world.upload().await.unwrap();
    assert!(world.stored().await.unwrap() == world.site.content());
    assert_eq!(world.asked().len(), 8);
}

#[tokio::test]
async fn what_was_sent_of_a_file_is_kept_for_the_next_run() {
    let world = World::new();
    let gone = Fault::Status(404, None);
    world.site.fail([Fault::Good, Fault::Good, Fault::Good, Fault::Good, Fault::Good, gone, gone]);
    let error = world.upload().await.unwrap_err();
    assert!(chain(&error).contains("404"), "{}", chain(&error));
    assert!(world.stored().await.is_none());
    world.site.with(|state| {
        state.faults.clear();
        state.seen.clear();
    });
    let report = world.upload().await.unwrap();
    assert!(report.resumed_parts > 0, "{report:?}");
    assert_eq!(world.asked().len(), 6 - report.resumed_parts, "what is in is not fetched again");
    assert!(world.stored().await.unwrap() == world.site.content());
}

#[tokio::test]
async fn a_file_that_changes_completes_nothing() {
    let world = World::new();
    world.site.fail([Fault::Good, Fault::Good, Fault::Good, Fault::Good, Fault::Changed]);
    let error = world.upload().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity, "{}", chain(&error));
    assert!(!chain(&error).contains("hunter2"), "{}", chain(&error));
    assert!(world.stored().await.is_none());
    // The next run has another file before it, and says so.
    let error = world.upload().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity, "{}", chain(&error));
    // Also a change behind the last byte, before the object is made.
    let world = World::new();
    world.site.fail([Fault::Good; 8]);
    world.site.fail([Fault::Changed]);
    let error = world.upload().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity, "{}", chain(&error));
    assert!(world.stored().await.is_none());
}
