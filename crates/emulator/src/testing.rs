//! What unit tests need to have objects in an emulator without uploading them.

use std::path::PathBuf;

use ossup_core::credentials::Credentials;
use ossup_core::model::{BucketName, ObjectKey};

use crate::store::{ObjectHeaders, ObjectKind, ObjectRecord};
use crate::{Emulator, EmulatorOptions};

/// The key pair of [`options`].
pub const ACCESS_KEY_ID: &str = "LTAIossupTests";
/// The secret of [`ACCESS_KEY_ID`].
pub const ACCESS_KEY_SECRET: &str = "ossup-tests-secret";

/// Returns the options of an emulator that accepts a key pair which tests can name.
pub fn options(data: impl Into<PathBuf>) -> EmulatorOptions {
    EmulatorOptions::new(data).with_credentials(vec![Credentials::new(ACCESS_KEY_ID, ACCESS_KEY_SECRET)])
}

/// Returns how many of the moments at which a process may be killed a test passes over, less one: `step` in a run of all tests,
/// 1 where `OSSUP_EVERY_KILL` is set.
#[expect(clippy::disallowed_methods, reason = "how thorough tests are is said from outside")]
pub fn every(step: usize) -> usize {
    if std::env::var_os("OSSUP_EVERY_KILL").is_some() { 1 } else { step }
}

/// Returns a small disk that boots: boot code, an active partition, an ext4 superblock.
pub fn disk() -> Vec<u8> {
    let mut disk = vec![0; 2 << 20];
    disk[0] = 0xEB;
    disk[446..462].copy_from_slice(&[0x80, 0, 0, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0]);
    disk[510..512].copy_from_slice(&[0x55, 0xAA]);
    disk[(1 << 20) + 1080..(1 << 20) + 1082].copy_from_slice(&[0x53, 0xEF]);
    disk
}

/// Makes an object of these bytes.
pub fn put(emulator: &Emulator, bucket: &str, key: &str, bytes: &[u8]) {
    let mut writer = emulator.store().writer(true);
    writer.write(bytes).unwrap();
    let written = writer.finish().unwrap();
    let record = ObjectRecord {
        key: key.parse().unwrap(),
        size: written.size,
        etag: format!("{:X}", bytes.len()),
        crc: Some(written.sums.crc),
        content_md5: None,
        kind: ObjectKind::Normal,
        modified: emulator.now(),
        headers: ObjectHeaders { storage_class: "Standard".into(), ..ObjectHeaders::default() },
        version_id: None,
        delete_marker: false,
        sequence: 0,
        upload_id: None,
        segments: written.segment.into_iter().collect(),
    };
    emulator.store().put_object(&bucket.parse().unwrap(), record, false).unwrap();
}

/// Returns the length of an object, if there is one.
pub fn length(emulator: &Emulator, bucket: &BucketName, key: &ObjectKey) -> Option<u64> {
    Some(emulator.store().object(bucket, key).unwrap()?.record.size)
}
