use std::fs;

use jiff::Timestamp;

use super::*;
use ossup_core::checksum;
use ossup_core::model::ByteRange;

fn now() -> Timestamp {
    "2025-01-01T00:00:00Z".parse().unwrap()
}

fn bucket() -> BucketName {
    "images".parse().unwrap()
}

fn key(text: &str) -> ObjectKey {
    text.parse().unwrap()
}

fn open(dir: &Path) -> Store {
    Store::open(dir, false).unwrap()
}

fn with_bucket(dir: &Path) -> Store {
    let store = open(dir);
    store.create_bucket(BucketRecord::new(bucket(), "cn-hangzhou".parse().unwrap(), now())).unwrap();
    store
}

fn written(store: &Store, pieces: &[&[u8]]) -> Written {
    let mut writer = store.writer(true);
    for piece in pieces {
        writer.write(piece).unwrap();
    }
    writer.finish().unwrap()
}

fn object(key: ObjectKey, segments: Vec<Segment>) -> ObjectRecord {
    ObjectRecord {
        key,
        size: segments.iter().map(|segment| segment.len).sum(),
        etag: "AB".to_owned(),
        crc: None,
        content_md5: None,
        kind: ObjectKind::Multipart,
        modified: now(),
        headers: ObjectHeaders::default(),
        version_id: None,
        delete_marker: false,
        sequence: 0,
        upload_id: Some(UploadId::new("U1")),
        segments,
    }
}

fn upload(store: &Store, id: &str) {
    let record = UploadRecord {
        id: UploadId::new(id),
        key: key("disk"),
        initiated: now(),
        headers: ObjectHeaders::default(),
        sequential: false,
    };
    store.create_upload(&bucket(), record, false).unwrap();
}

fn part(store: &Store, id: &str, number: u16, bytes: &[u8]) {
    let written = written(store, &[bytes]);
    let record = PartRecord {
        number: PartNumber::new(number).unwrap(),
        size: written.size,
        etag: "AB".to_owned(),
        crc: Some(written.sums.crc),
        modified: now(),
        segments: written.segment.into_iter().collect(),
    };
    store.put_part(&bucket(), &key("disk"), &UploadId::new(id), record).unwrap();
}

fn segments(upload: &Upload) -> Vec<Segment> {
    upload.parts.values().flat_map(|part| part.record.segments.clone()).collect()
}

fn read(store: &Store, name: &str) -> Vec<u8> {
    let object = store.object(&bucket(), &key(name)).unwrap().unwrap();
    let reader = store.reader(&object).unwrap();
    let (mut bytes, mut buffer) = (Vec::new(), [0; 7]);
    loop {
        match reader.read_at(&mut buffer, bytes.len() as u64).unwrap() {
            0 => return bytes,
            count => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}

fn blob_files(dir: &Path) -> usize {
    fs::read_dir(dir.join("blobs")).unwrap().count()
}

#[test]
fn zero_blocks_become_holes_and_read_back_as_zeros() {
    use std::os::unix::fs::MetadataExt;
    let dir = tempfile::tempdir().unwrap();
    let store = with_bucket(dir.path());
    let mut bytes = vec![0; 8 << 20];
    bytes[5000] = 1;
    bytes[(4 << 20) + 10] = 2;
    let (a, b) = bytes.split_at(3_000_001);
    let taken = written(&store, &[a, b]);
    assert_eq!(taken.sums.crc, checksum::of(&bytes));
    store.put_object(&bucket(), object(key("sparse"), taken.segment.into_iter().collect()), false).unwrap();
    assert!(read(&store, "sparse") == bytes);
    let file = fs::read_dir(dir.path().join("blobs")).unwrap().next().unwrap().unwrap();
    let disk = file.metadata().unwrap().blocks() * 512;
    assert!(disk <= 64 << 10, "{disk} bytes on disk");

    let zeros = written(&store, &[&bytes[..4096]]);
    assert_eq!(zeros.segment.unwrap().source, SegmentSource::Hole);
    assert_eq!(blob_files(dir.path()), 1);
}

#[test]
fn sums_are_those_of_the_bytes_however_many_zeros_lead() {
    use md5::{Digest, Md5};
    let dir = tempfile::tempdir().unwrap();
    let store = with_bucket(dir.path());
    let zeros = vec![0; 10_000];
    for pieces in [
        &[][..],
        &[&zeros[..]],
        &[&zeros[..]],
        &[&zeros[..], &zeros[..5]],
        &[&zeros[..], b"data", &zeros[..]],
        &[b"data", &zeros[..]],
        &[&zeros[..5], &[0, 1]],
    ] {
        let whole = pieces.concat();
        let taken = written(&store, pieces);
        let expected = Sums { md5: Some(Md5::digest(&whole).into()), crc: checksum::of(&whole) };
        assert_eq!((taken.sums, taken.size), (expected, whole.len() as u64));
        if taken.size > 0 {
            let record = object(key("bytes"), taken.segment.clone().into_iter().collect());
            store.put_object(&bucket(), record, false).unwrap();
            assert!(read(&store, "bytes") == whole);
        }
    }
}

#[test]
fn everything_is_there_after_a_restart_and_leavings_are_swept() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_bucket(dir.path());
    upload(&store, "U1");
    part(&store, "U1", 1, b"one");
    part(&store, "U1", 3, b"three");
    store.save_record("images", "m-../x", &"record").unwrap();
    drop(store);
    // What a kill may leave behind: an unreferenced blob, a record half written, uploads without header.
    let id = store_id(dir.path());
    fs::write(dir.path().join(format!("blobs/00000000000000000000000000000001.{id}")), b"x").unwrap();
    fs::create_dir_all(dir.path().join("buckets/images/objects")).unwrap();
    let half = dir.path().join(format!("buckets/images/objects/half.json.{id}.tmp"));
    fs::write(&half, b"{").unwrap();
    let removed = dir.path().join("buckets/images/uploads/U8");
    fs::create_dir(&removed).unwrap();
    fs::write(removed.join("parts.log"), b"{}\n").unwrap();
    fs::write(removed.join(format!("upload.json.{id}.tmp")), b"{").unwrap();
    fs::create_dir(dir.path().join("buckets/images/uploads/U9")).unwrap();
    fs::create_dir_all(dir.path().join("buckets/half/objects")).unwrap();

    let store = open(dir.path());
    assert_eq!(blob_files(dir.path()), 2);
    assert!(!half.exists() && !removed.exists() && !dir.path().join("buckets/half").exists());
    assert_eq!(fs::read_dir(dir.path().join("buckets/images/uploads")).unwrap().count(), 1);
    assert_eq!(store.buckets().len(), 1);
    assert_eq!(store.uploads(&bucket()).unwrap().len(), 1);
    assert_eq!(store.load_records::<String>("images").unwrap(), ["record"]);
    let open_upload = store.upload(&bucket(), &key("disk"), &UploadId::new("U1")).unwrap();
    let record = object(key("disk"), segments(&open_upload));
    store.complete_upload(&bucket(), &open_upload, record, false).unwrap();
    assert_eq!(read(&store, "disk"), b"onethree");
    drop(store);
    assert_eq!(read(&open(dir.path()), "disk"), b"onethree");
}

#[test]
fn a_torn_line_of_the_parts_log_is_dropped_and_the_last_of_a_number_counts() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_bucket(dir.path());
    upload(&store, "U1");
    part(&store, "U1", 1, b"old");
    part(&store, "U1", 2, b"two");
    part(&store, "U1", 1, b"newer");
    drop(store);
    let log = dir.path().join("buckets/images/uploads/U1/parts.log");
    let lines = fs::read(&log).unwrap();
    let whole: Vec<usize> = (0..lines.len()).filter(|at| lines[*at] == b'\n').map(|at| at + 1).collect();
    assert_eq!(whole.len(), 3);
    for cut in [lines.len(), lines.len() - 1, whole[1] + 1] {
        fs::write(&log, &lines[..cut]).unwrap();
        let store = open(dir.path());
        let found = store.upload(&bucket(), &key("disk"), &UploadId::new("U1")).unwrap();
        let sizes: Vec<u64> = found.parts.values().map(|part| part.record.size).collect();
        assert_eq!(sizes, if cut == lines.len() { [5, 3] } else { [3, 3] }, "cut at {cut}");
        if cut < lines.len() {
            // What comes next does not stick to the torn line. Blobs that no line names are gone by now.
            assert_eq!(fs::read(&log).unwrap().len(), whole[1]);
            part(&store, "U1", 3, b"three");
            drop((store, found));
            let store = open(dir.path());
            let found = store.upload(&bucket(), &key("disk"), &UploadId::new("U1")).unwrap();
            assert_eq!(found.parts.len(), 3);
        }
    }
}

#[test]
fn a_kill_right_behind_complete_leaves_no_open_upload() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_bucket(dir.path());
    upload(&store, "U1");
    part(&store, "U1", 1, b"one");
    let header = dir.path().join("buckets/images/uploads/U1/upload.json");
    let saved = fs::read(&header).unwrap();
    let open_upload = store.upload(&bucket(), &key("disk"), &UploadId::new("U1")).unwrap();
    let record = object(key("disk"), segments(&open_upload));
    store.complete_upload(&bucket(), &open_upload, record, false).unwrap();
    drop((store, open_upload));
    fs::create_dir(header.parent().unwrap()).unwrap();
    fs::write(&header, saved).unwrap();
    let store = open(dir.path());
    assert!(store.uploads(&bucket()).unwrap().is_empty());
    assert_eq!(read(&store, "disk"), b"one");
}

#[test]
fn bytes_go_with_the_last_that_holds_them() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_bucket(dir.path());
    upload(&store, "U1");
    part(&store, "U1", 1, b"old");
    part(&store, "U1", 1, b"new");
    assert_eq!(blob_files(dir.path()), 1, "a replaced part is gone");
    let open_upload = store.upload(&bucket(), &key("disk"), &UploadId::new("U1")).unwrap();
    let record = object(key("disk"), segments(&open_upload));
    let object_of_disk = store.complete_upload(&bucket(), &open_upload, record, false).unwrap();
    drop(open_upload);
    let copy = object(key("copy"), slice(&object_of_disk.record.segments, ByteRange::new(1, 3)));
    store.put_object(&bucket(), copy, false).unwrap();
    let reader = store.reader(&object_of_disk).unwrap();
    drop(object_of_disk);
    assert!(store.delete_version(&bucket(), &key("disk"), NULL_VERSION).unwrap().is_some());
    let mut bytes = [0; 3];
    assert_eq!(reader.read_at(&mut bytes, 0).unwrap(), 3);
    assert_eq!(&bytes, b"new", "a reader keeps what it reads");
    drop(reader);
    assert_eq!(read(&store, "copy"), b"ew");
    store.delete_version(&bucket(), &key("copy"), NULL_VERSION).unwrap();
    assert_eq!(blob_files(dir.path()), 0);
    drop(written(&store, &[b"dropped"]));
    assert_eq!(blob_files(dir.path()), 0);
}

#[test]
fn one_emulator_has_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    assert!(matches!(Store::open(dir.path(), false), Err(StoreError::Locked { .. })));
    drop(store);
    let marker = dir.path().join("ossup-store.json");
    for text in [&br#"{"format":99}"#[..], br#"{"format":2}"#, b"{", b"my own notes"] {
        fs::write(&marker, text).unwrap();
        assert!(matches!(Store::open(dir.path(), false), Err(StoreError::Format { .. })));
        assert_eq!(fs::read(&marker).unwrap(), text, "the file is left as it is");
    }
}

fn store_id(dir: &Path) -> String {
    let marker = fs::read(dir.join("ossup-store.json")).unwrap();
    serde_json::from_slice::<serde_json::Value>(&marker).unwrap()["id"].as_str().unwrap().to_owned()
}

/// All files below a folder with their bytes.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => drop(found.insert(path.clone(), fs::read(&path).unwrap())),
        }
    }
    found
}

#[test]
fn a_folder_that_is_not_a_store_is_refused_and_left_as_it_is() {
    for names in [
        &["blobs/thesis.txt", "buckets/terraform/main.tf", "buckets/notes.tmp", "records/x/y"][..],
        &["format"],
        &["lock"],
        &[".git/config"],
        &["sub/ossup-store.json"],
    ] {
        let dir = tempfile::tempdir().unwrap();
        for name in names {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "mine").unwrap();
        }
        let before = files(dir.path());
        assert!(matches!(Store::open(dir.path(), false), Err(StoreError::NotAStore { .. })), "{names:?}");
        assert_eq!(files(dir.path()), before);
    }
    let first = tempfile::tempdir().unwrap();
    fs::write(first.path().join("format"), "1").unwrap();
    fs::write(first.path().join("lock"), "").unwrap();
    assert!(matches!(Store::open(first.path(), false), Err(StoreError::Format { .. })));
}

#[test]
fn a_store_that_was_killed_while_it_was_made_is_made() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("ossup-store.json"), "").unwrap();
    drop(with_bucket(dir.path()));
    assert_eq!(open(dir.path()).buckets().len(), 1);
}

#[test]
fn clean_up_removes_nothing_that_the_store_did_not_make() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_bucket(dir.path());
    upload(&store, "U1");
    part(&store, "U1", 1, b"one");
    let aborted = dir.path().join("buckets/images/uploads/U1");
    let foreign = [
        "blobs/notes.txt",
        "blobs/00000000000000000000000000000001",
        "blobs/00000000000000000000000000000001.ffffffffffffffffffffffffffffffff",
        "buckets/.DS_Store",
        "buckets/mine/parts.log",
        "buckets/mine/x.tmp",
        "buckets/images/objects/readme.txt",
        "buckets/images/objects/half.tmp",
        "buckets/images/uploads/U7/parts.log",
        "buckets/images/uploads/U1/keep",
        "records/images/notes.tmp",
    ];
    for name in foreign {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, name).unwrap();
    }
    let kept = |when: &str| {
        for name in foreign {
            assert_eq!(
                fs::read(dir.path().join(name)).ok().as_deref(),
                Some(name.as_bytes()),
                "{when}: {name}"
            );
        }
    };
    store.abort_upload(&bucket(), &key("disk"), &UploadId::new("U1")).unwrap();
    assert!(!aborted.join("upload.json").exists() && !aborted.join("parts.log").exists());
    kept("abort");
    drop(store);
    let store = open(dir.path());
    kept("start");
    assert!(store.uploads(&bucket()).unwrap().is_empty());
    assert!(store.load_records::<String>("images").unwrap().is_empty());
    store.delete_bucket(&bucket()).unwrap();
    kept("deletion of the bucket");
}

#[test]
fn each_store_has_a_random_key_pair_of_its_own() {
    use std::os::unix::fs::PermissionsExt as _;
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let pair = |dir: &Path| {
        let store = open(dir);
        let keys = store.credentials();
        (keys.access_key_id.clone(), keys.access_key_secret.expose().to_owned())
    };
    assert_eq!(pair(one.path()), pair(one.path()), "it lasts");
    let ((id, secret), (other_id, other_secret)) = (pair(one.path()), pair(two.path()));
    assert!(id != other_id && secret != other_secret && secret.len() >= 32);
    let mode = fs::metadata(one.path().join("ossup-store.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "nobody else reads it");
}

#[test]
fn a_bucket_is_deleted_only_when_empty() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_bucket(dir.path());
    upload(&store, "U1");
    assert!(matches!(store.delete_bucket(&bucket()), Err(StoreError::BucketNotEmpty)));
    store.abort_upload(&bucket(), &key("disk"), &UploadId::new("U1")).unwrap();
    store.delete_bucket(&bucket()).unwrap();
    assert!(matches!(store.delete_bucket(&bucket()), Err(StoreError::NoSuchBucket)));
    drop(store);
    assert!(open(dir.path()).buckets().is_empty());
}

#[test]
fn discarded_bytes_are_counted_and_cannot_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), true).unwrap();
    store.create_bucket(BucketRecord::new(bucket(), "cn-hangzhou".parse().unwrap(), now())).unwrap();
    let mut writer = store.writer(false);
    writer.write(b"123456789").unwrap();
    let taken = writer.finish().unwrap();
    assert_eq!(taken.sums, Sums { md5: None, crc: checksum::of(b"123456789") });
    let record = object(key("gone"), taken.segment.into_iter().collect());
    let stored = store.put_object(&bucket(), record, false).unwrap();
    assert!(matches!(store.reader(&stored), Err(StoreError::Discarded)));
    assert_eq!(blob_files(dir.path()), 0);
}

#[test]
fn slices_keep_sums_of_whole_segments_alone() {
    let sums = Some(Sums { md5: None, crc: checksum::of(b"x") });
    let segment = |len| Segment { len, source: SegmentSource::Hole, sums };
    let all = [segment(10), segment(20), segment(5)];
    let middle = slice(&all, ByteRange::new(5, 32));
    let shape: Vec<_> = middle.iter().map(|s| (s.len, s.sums.is_some())).collect();
    assert_eq!(shape, [(5, false), (20, true), (2, false)]);
    assert!(slice(&all, ByteRange::new(35, 35)).is_empty());
}
