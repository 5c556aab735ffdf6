//! Each point against the emulator in either of its states.

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
    let emulator = Emulator::open(options).unwrap();
    let region: Region = "cn-hangzhou".parse().unwrap();
    let bucket: BucketName = "images".parse().unwrap();
    emulator.create_bucket(bucket.clone(), region.clone()).unwrap();
    let options = ClientOptions::new(
        Endpoint::for_region(&region, EndpointKind::Public),
        region,
        std::sync::Arc::new(StaticCredentials::new(emulator.credentials().clone())),
        std::sync::Arc::new(emulator.clone()),
    );
    let client = Client::new(options);
    before(&emulator, &client).await;
    let report = Doctor::new(&client, None).settle(&bucket, |id| id.starts_with(only)).await;
    assert_eq!(report.remains, Vec::<String>::new());
    assert!(crate::session::list_uploads(&client, &bucket, "").await.unwrap().is_empty());
    let page = crate::protocol::oss::ListObjects::new(bucket);
    assert!(client.call(&page).await.unwrap().objects.is_empty());
    report
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
    ] {
        let report = report(id, |options| options.oss.set(name, "true").unwrap()).await;
        assert_eq!(stance(&report, id), Stance::Otherwise, "{name}");
    }
    for (name, value, id) in [
        ("dry_run_code", "DRYRUN.SUCCESS", "dry-run-code"),
        ("check_suffix", "true", "import-suffix"),
        ("refuse_aes256", "true", "import-aes256"),
        ("system_disk_gib", "40-500", "import-disk-size"),
    ] {
        let report = report(id, |options| options.ecs.set(name, value).unwrap()).await;
        assert_eq!(stance(&report, id), Stance::Otherwise, "{name}");
    }
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
