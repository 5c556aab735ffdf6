use jiff::Timestamp;

use super::*;
use crate::checksum;
use crate::model::ByteRange;

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
    // What a kill may leave behind: an unreferenced blob, a record half written, an upload without header.
    fs::write(dir.path().join("blobs").join("00000000000000000000000000000001"), b"x").unwrap();
    fs::create_dir_all(dir.path().join("buckets/images/objects")).unwrap();
    fs::write(dir.path().join("buckets/images/objects/half.tmp"), b"{").unwrap();
    fs::create_dir(dir.path().join("buckets/images/uploads/U9")).unwrap();
    fs::create_dir(dir.path().join("buckets/half")).unwrap();

    let store = open(dir.path());
    assert_eq!(blob_files(dir.path()), 2);
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
    assert!(store.delete_object(&bucket(), &key("disk")).unwrap());
    let mut bytes = [0; 3];
    assert_eq!(reader.read_at(&mut bytes, 0).unwrap(), 3);
    assert_eq!(&bytes, b"new", "a reader keeps what it reads");
    drop(reader);
    assert_eq!(read(&store, "copy"), b"ew");
    store.delete_object(&bucket(), &key("copy")).unwrap();
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
    fs::write(dir.path().join("format"), "99").unwrap();
    assert!(matches!(Store::open(dir.path(), false), Err(StoreError::Format { .. })));
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
