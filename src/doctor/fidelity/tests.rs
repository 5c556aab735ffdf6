//! Each point against the emulator in either of its states.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::client::{Client, ClientOptions};
use crate::credentials::StaticCredentials;
use crate::emulator::{Emulator, EmulatorOptions, testing};
use crate::model::{Endpoint, EndpointKind};

async fn report(only: &str, change: impl FnOnce(&mut EmulatorOptions)) -> Report {
    report_after(only, change, async |_, _| {}).await
}

/// Reports on the points whose names begin so, of an emulator in which something was made before, and removed again.
async fn report_after(
    only: &str,
    change: impl FnOnce(&mut EmulatorOptions),
    before: impl AsyncFnOnce(&Emulator, &Client),
) -> Report {
    let dir = tempfile::tempdir().unwrap();
    let mut options = testing::options(dir.path());
    change(&mut options);
    let (emulator, client) = emulator(options);
    let bucket: BucketName = "images".parse().unwrap();
    before(&emulator, &client).await;
    let report = Doctor::new(&client, None).settle(&bucket, |id| id.starts_with(only)).await;
    assert_eq!(report.remains, Vec::<String>::new());
    assert!(crate::session::list_uploads(&client, &bucket, "").await.unwrap().is_empty());
    let page = crate::protocol::oss::ListObjects::new(bucket);
    assert!(client.call(&page).await.unwrap().objects.is_empty());
    report
}

/// Opens an emulator with the bucket `images`, and a client of it.
fn emulator(options: EmulatorOptions) -> (Emulator, Client) {
    let emulator = Emulator::open(options).unwrap();
    let region: Region = "cn-hangzhou".parse().unwrap();
    emulator.create_bucket("images".parse().unwrap(), region.clone()).unwrap();
    let endpoint = Endpoint::for_region(&region, EndpointKind::Public);
    let credentials = Arc::new(StaticCredentials::new(emulator.credentials().clone()));
    let client = Client::new(ClientOptions::new(endpoint, region, credentials, Arc::new(emulator.clone())));
    (emulator, client)
}

fn stance(report: &Report, id: &str) -> Stance {
    report.points.iter().find(|point| point.id == id).unwrap_or_else(|| panic!("{id}")).stance
}

#[tokio::test]
async fn the_emulator_does_by_default_what_is_assumed() {
    let report = report("", |_| {}).await;
    for point in &report.points {
        // It has no image whose name could be searched.
        let expected = if point.id == "image-name-search" { Stance::Open } else { Stance::AsAssumed };
        assert_eq!(point.stance, expected, "{point:#?}");
    }
    let text = report.markdown();
    assert!(!text.contains("images/") && !text.contains(testing::ACCESS_KEY_ID), "{text}");
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/fidelity.md")).unwrap();
    for point in &report.points {
        assert!(page.contains(&format!("`{}`", point.id)), "docs/fidelity.md has no row for {}", point.id);
    }
}

#[tokio::test]
async fn each_point_is_told_in_the_emulator_s_other_state() {
    // Of the search by name there is a test of its own, as it needs an image.
    let mut told = BTreeSet::from(["image-name-search"]);
    for (name, id) in [
        ("refuse_empty_list", "complete-empty-list"),
        ("exact_etags", "complete-etag-spelling"),
        ("copies_without_crc", "copy-crc"),
        ("copy_unmodified_412", "copy-unmodified"),
        ("refuse_appendable_source", "copy-appendable"),
        ("clip_copy_ranges", "copy-range-beyond"),
        ("key_before_bucket", "bucket-before-key"),
        ("ignore_write_conditions", "write-conditions"),
        ("opaque_encrypted_etags", "encrypted-etag-kms"),
        ("opaque_encrypted_etags", "encrypted-etag-sm4"),
        ("opaque_aes256_etags", "encrypted-etag-aes256"),
        ("refuse_empty_part", "complete-empty-part"),
        ("merge_repeated_parts", "complete-repeated-number"),
        ("repeat_complete", "complete-again"),
        ("forbidden_complete_aborts", "complete-forbid-overwrite"),
        ("forbid_at_complete_only", "initiate-forbid-overwrite"),
        ("one_upload_ec", "no-such-upload-ec"),
        ("sequential_md5", "sequential-md5"),
        ("ignore_traffic_limits", "traffic-limit"),
        ("ignore_open_ranges", "copy-open-range"),
        ("quoted_copy_conditions", "copy-if-match-spelling"),
    ] {
        let report = report(id, |options| options.oss.set(name, "true").unwrap()).await;
        assert_eq!(stance(&report, id), Stance::Otherwise, "{name}");
        told.insert(id);
    }
    for (name, value, id) in [
        ("dry_run_code", "DRYRUN.SUCCESS", "dry-run-code"),
        ("check_suffix", "true", "import-suffix"),
        ("refuse_aes256", "true", "import-aes256"),
        ("system_disk_gib", "40-500", "import-disk-size"),
    ] {
        let report = report(id, |options| options.ecs.set(name, value).unwrap()).await;
        assert_eq!(stance(&report, id), Stance::Otherwise, "{name}");
        told.insert(id);
    }
    let all = uploads::POINTS.iter().chain(copies::POINTS).chain(images::POINTS);
    assert_eq!(told, all.map(|point| point.id).collect(), "each point has another state");
}

/// Imports an image of a name that can be searched.
async fn with_an_image(emulator: &Emulator, client: &Client) {
    testing::put(emulator, "images", "disk.raw", &testing::disk());
    let params = [
        ("DiskDeviceMapping.1.OSSBucket", "images"),
        ("DiskDeviceMapping.1.OSSObject", "disk.raw"),
        ("ImageName", "web-1.0"),
    ];
    client.call(&super::super::ask::Ask::ecs("ImportImage", client.region(), &params)).await.unwrap();
    emulator.advance(std::time::Duration::from_secs(60)).unwrap();
    // It is done when it is looked at; only then its object is no longer needed.
    client.call(&super::super::ask::Ask::ecs("DescribeImages", client.region(), &[])).await.unwrap();
    let object = "oss://images/disk.raw".parse().unwrap();
    client.call(&crate::protocol::oss::DeleteObject { object }).await.unwrap();
}

#[tokio::test]
async fn a_name_is_searched_by_a_part_or_as_a_whole() {
    for (whole, expected) in [(false, Stance::AsAssumed), (true, Stance::Otherwise)] {
        let report =
            report_after("image-name", |options| options.ecs.whole_names = whole, with_an_image).await;
        assert_eq!(stance(&report, "image-name-search"), expected, "{whole}: {:#?}", report.points.last());
    }
}

#[tokio::test]
async fn without_the_role_what_is_about_imports_stays_open() {
    for id in ["dry-run-code", "import-suffix", "import-aes256", "import-disk-size"] {
        let report = report(id, |options| options.ecs.import_role = false).await;
        assert_eq!(stance(&report, id), Stance::Open, "{id}");
    }
}

/// An upload of three parts, and its object, in each state that is not assumed.
#[tokio::test]
async fn an_upload_works_in_each_of_the_emulator_s_other_states() {
    let dir = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> = (0..250_000_u32).map(|at| (at % 251) as u8).collect();
    std::fs::write(dir.path().join("disk.raw"), &bytes).unwrap();
    let (bucket, key) = ("images".parse().unwrap(), "disk.raw".parse().unwrap());
    for name in crate::emulator::OssOptions::names() {
        let mut options = testing::options(dir.path().join(&name));
        options.oss.set(&name, "true").unwrap();
        let (_emulator, client) = emulator(options);
        let source = Arc::new(crate::source::FileSource::open(dir.path().join("disk.raw")).unwrap());
        let upload =
            crate::upload::Upload::new(client.clone(), source, "oss://images/disk.raw".parse().unwrap());
        let upload = upload.with_part_size(102_400).with_state_dir(dir.path().join(format!("{name}-state")));
        upload.run().await.unwrap_or_else(|error| panic!("{name}: {error}"));
        let ask = super::super::ask::Ask::oss("GetObject", http::Method::GET, (&bucket, Some(&key)), &[]);
        assert!(client.call(&ask).await.unwrap().body == bytes, "{name}");
    }
}
