//! One body for each parser of bytes from outside: whatever it is given, it neither panics nor runs away.
//!
//! The tests here drive them with seeds and random bytes; `fuzz/` drives the same bodies with a fuzzer.

use std::io::{Cursor, Read};

use std::sync::Arc;

use http::{HeaderMap, StatusCode};

use crate::image::{
    Expected, PassingImage, inspect, look_at_damaged, look_at_damaged_windows, look_through_initramfs,
    open_disk,
};
use crate::model::{BucketName, ObjectRef, Region, UploadId};
use crate::protocol::{Operation, Response, ecs, oss, ram, rpc, sts};
use crate::unpack;

/// A fuzz body.
pub type Body = fn(&[u8]);

/// All bodies by name.
pub const BODIES: &[(&str, Body)] = &[
    ("oss_answers", oss_answers),
    ("rpc_answers", rpc_answers),
    ("journal", journal),
    ("checkpoint", checkpoint),
    ("profiles", profiles),
    ("checksum_files", checksum_files),
    ("web_answers", web_answers),
    ("words", words),
    ("images", images),
    ("guests", guests),
    ("initramfs", initramfs),
    ("windows_guests", windows_guests),
    ("data_maps", data_maps),
    ("packed", packed),
    ("passing_images", passing_images),
    ("signatures", signatures),
    #[cfg(feature = "emulator")]
    ("requests", requests),
];

fn answer(status: u16, body: &[u8]) -> Response {
    let status = StatusCode::from_u16(status).expect("the statuses here are valid");
    let mut headers = HeaderMap::new();
    // The error document of a HEAD travels in a header.
    if let Ok(value) = http::HeaderValue::from_bytes(body) {
        headers.insert("x-oss-err", value.clone());
        headers.insert("etag", value.clone());
        headers.insert("content-range", value);
    }
    Response { status, headers, body: bytes::Bytes::copy_from_slice(body) }
}

fn decode<O: Operation>(operation: &O, bytes: &[u8]) {
    let _ = operation.decode(&answer(200, bytes)).map(drop);
}

fn object() -> ObjectRef {
    "oss://images/disk.raw".parse().expect("the reference is valid")
}

fn bucket() -> BucketName {
    object().bucket
}

/// Error documents, listings and results of OSS.
pub fn oss_answers(bytes: &[u8]) {
    let error = oss::parse_error(&answer(403, bytes));
    let _ = (oss::action(&error, true), error.to_string());
    let id = UploadId::new("id");
    decode(&oss::InitiateMultipartUpload::new(object()), bytes);
    decode(&oss::ListParts::new(object(), id.clone()), bytes);
    decode(&oss::ListMultipartUploads::new(bucket()), bytes);
    decode(&oss::CompleteMultipartUpload::new(object(), id, Vec::new()), bytes);
    decode(&oss::GetBucketInfo { bucket: bucket() }, bytes);
    decode(&oss::HeadObject::new(object()), bytes);
}

/// Error documents and results of ECS, RAM and STS.
pub fn rpc_answers(bytes: &[u8]) {
    let error = rpc::error::parse(&answer(400, bytes));
    let _ = (rpc::error::action(&error), error.to_string());
    let region: Region = "cn-hangzhou".parse().expect("the region is valid");
    decode(&ecs::ImportImage::new(region.clone(), Vec::new()), bytes);
    decode(&ecs::DescribeImages::new(region.clone()), bytes);
    decode(&ecs::DescribeTasks::new(region.clone()), bytes);
    decode(&ecs::DescribeSnapshots::new(region.clone(), Vec::new()), bytes);
    decode(&ecs::ListTagResources::new(region, ecs::TaggedIds::Images(Vec::new())), bytes);
    decode(&ram::GetRole::new("role"), bytes);
    decode(&sts::GetCallerIdentity { region: None }, bytes);
}

/// The journal of an upload.
pub fn journal(bytes: &[u8]) {
    let contents = crate::state::read_journal(bytes, &UploadId::new("0004B9894A22E5B1888A1E29F8236E2D"));
    assert!(contents.parts.windows(2).all(|pair| pair[0].number < pair[1].number));
}

/// The checkpoint of an upload.
pub fn checkpoint(bytes: &[u8]) {
    let _ = crate::state::parse_checkpoint(bytes).map(drop);
}

/// Config files of other tools.
pub fn profiles(bytes: &[u8]) {
    for name in [None, Some("default")] {
        let _ = crate::credentials::ossutil::parse(bytes, name).map(drop);
        let _ = crate::credentials::aliyun::parse(bytes, name).map(drop);
    }
}

/// The heads of answers for files on the web.
pub fn web_answers(bytes: &[u8]) {
    crate::web::read_in_every_way(bytes);
}

/// Checksum files as they are published beside images.
pub fn checksum_files(bytes: &[u8]) {
    for name in [None, Some("disk.raw")] {
        let _ = crate::checksum_file::published(bytes, name).map_err(|error| error.to_string());
    }
}

/// What people type, and what stands in request lines.
pub fn words(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = text.parse::<ObjectRef>().map(|object| assert_eq!(object.to_string(), text));
    let _ = text.parse::<crate::model::Endpoint>().map(|endpoint| (endpoint.region(), endpoint.to_string()));
    let _ = text.parse::<Region>().map(drop);
    let _ = text.parse::<crate::web::WebUrl>().map(|url| (url.to_string(), url.file_name()));
    let _ = crate::protocol::sign::encode::decode_query(text).map(drop);
}

/// Damaged file systems and registries of Windows.
pub fn windows_guests(bytes: &[u8]) {
    look_at_damaged_windows(bytes);
}

/// Damaged file systems of a guest.
pub fn guests(bytes: &[u8]) {
    look_at_damaged(bytes);
}

/// Initial RAM file systems.
pub fn initramfs(bytes: &[u8]) {
    look_through_initramfs(bytes);
}

/// Disk images of any kind: what the checks say, and the disk inside as the transfer reads it.
pub fn images(bytes: &[u8]) {
    let _ = inspect(&bytes.to_vec(), &Expected::default()).map(|report| report.verdict());
    let Ok(disk) = open_disk(Arc::new(bytes.to_vec())) else { return };
    let mut from = 0;
    for _ in 0..64 {
        let Ok(Some(data)) = disk.next_data(from) else { break };
        assert!(data.start >= from && !data.is_empty() && data.end <= disk.length());
        let mut buffer = vec![0; data.len().min(64 << 10) as usize];
        let _ = disk.read_at(data.start, &mut buffer).map(drop);
        let _ = disk.read_ready(data.start, &mut buffer);
        from = data.end;
    }
}

/// Compressed files and archives.
pub fn packed(bytes: &[u8]) {
    let options = unpack::Options::new(16 << 20).with_memory(16 << 20).with_threads(1);
    let Ok(mut unpacked) = unpack::open(Cursor::new(bytes.to_vec()), &options) else { return };
    let read = std::io::copy(&mut unpacked, &mut std::io::sink());
    assert_eq!(unpacked.read(&mut [0]).is_err(), read.is_err(), "an error stays, and so does the end");
}

/// Maps of an image's data, and an image that is read by them.
pub fn data_maps(bytes: &[u8]) {
    use crate::read::ReadAt as _;
    use crate::source::map::{DataMap, Mapped};
    for map in [DataMap::from_bmap(bytes), DataMap::from_qemu(bytes)].into_iter().flatten() {
        let verifier = map.verifier();
        let Ok(mapped) = Mapped::new(vec![7; 4096], map) else { continue };
        let mut image = vec![1; 4096];
        mapped.read_at(0, &mut image).expect("all of it can be read");
        if let Some(mut verifier) = verifier {
            let _ = verifier.data(0, &image).and_then(|()| verifier.finish(4096));
        }
    }
}

/// Disk images that pass once: the first bytes say how they are divided, and where zeros come between them.
pub fn passing_images(bytes: &[u8]) {
    let Some((&[step, gap, after], bytes)) = bytes.split_first_chunk() else { return };
    let mut image = PassingImage::new(Expected::default());
    for (index, piece) in bytes.chunks(usize::from(step) * 16 + 1).enumerate() {
        image.push(piece);
        if index == usize::from(after) {
            image.push_zeros(1 << (gap % 40));
        }
    }
    assert!(image.held() <= 13 << 20);
    let refused = image.so_far().is_some_and(|report| report.verdict().is_refused());
    let _ = image.finish().map(|report| assert!(!refused || report.verdict().is_refused()));
}

/// Authorization headers, as a server reads them.
pub fn signatures(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = crate::protocol::sign::oss_v4::Authorization::parse(text).map(drop);
    let _ = crate::protocol::sign::oss_v1::parse_authorization(text).map(drop);
    let _ = crate::protocol::sign::acs3::Authorization::parse(text).map(drop);
}

/// Requests as they come to the emulator: request line, headers, body. One emulator believes everyone, and one
/// looks at signatures.
#[cfg(feature = "emulator")]
pub fn requests(bytes: &[u8]) {
    use std::cell::RefCell;
    thread_local! {
        static BENCH: RefCell<Option<emulators::Bench>> = const { RefCell::new(None) };
    }
    BENCH.with_borrow_mut(|bench| {
        // What earlier requests left on the disk must neither grow without end nor decide much.
        if bench.as_ref().is_none_or(emulators::Bench::is_used_up) {
            *bench = Some(emulators::Bench::new());
        }
        bench.as_mut().expect("it was made just now").answer(bytes);
    });
}

#[cfg(feature = "emulator")]
mod emulators;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SEEDS: [&[u8]; 25] = [
        include_bytes!("../tests/data/maps/image.bmap"),
        b"[{\"start\":0,\"length\":512,\"zero\":true},{\"start\":512,\"length\":3584,\"zero\":false,\"depth\":0}]",
        b"<?xml version=\"1.0\"?><Error><Code>NoSuchUpload</Code><Message>m</Message><EC>0042-00000203</EC></Error>",
        b"<ListPartsResult><IsTruncated>true</IsTruncated><NextPartNumberMarker>5</NextPartNumberMarker><Part>\
          <PartNumber>1</PartNumber><ETag>\"A\"</ETag><HashCrc64ecma>1</HashCrc64ecma><Size>9</Size></Part></ListPartsResult>",
        b"{\"Code\":\"Throttling\",\"Message\":\"m\",\"RequestId\":\"r\"}",
        b"{\"Images\":{\"Image\":[{\"ImageId\":\"m-1\",\"Status\":\"Creating\",\"Progress\":\"32%\"}]},\"TotalCount\":1}",
        b"[Credentials]\nlanguage=EN\naccessKeyID=id\naccessKeySecret=secret\nendpoint=oss-cn-hangzhou.aliyuncs.com\n",
        b"{\"current\":\"default\",\"profiles\":[{\"name\":\"default\",\"mode\":\"AK\",\"access_key_id\":\"a\"}]}",
        b"OSS4-HMAC-SHA256 Credential=id/20250101/cn-hangzhou/oss/aliyun_v4_request,Signature=00",
        b"POST /images/disk.raw?uploads HTTP/1.1\r\nHost: 127.0.0.1\r\nx-oss-storage-class: Standard\r\n\r\n",
        b"PUT /disk.raw?partNumber=1&uploadId=0 HTTP/1.1\r\nHost: images.oss-cn-hangzhou.aliyuncs.com\r\n\
          Authorization: OSS id:c2ln\r\nx-oss-copy-source-range: bytes=0-9\r\n\r\nbytes",
        b"POST /?Action=ImportImage&Version=2014-05-26&DiskDeviceMapping.1.OSSBucket=images HTTP/1.1\r\n\r\n",
        b"-----BEGIN PGP SIGNED MESSAGE-----\n\n\\e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 *a\\\\n\n\
          SHA256 (disk.raw) = 00\n-----BEGIN PGP SIGNATURE-----\n",
        include_bytes!("../tests/data/packed/members.gz"),
        include_bytes!("../tests/data/packed/blocks.xz"),
        include_bytes!("../tests/data/packed/frames.zst"),
        include_bytes!("../tests/data/packed/streams.bz2"),
        include_bytes!("../tests/data/packed/frames.lz4"),
        include_bytes!("../tests/data/packed/sparse-pax-1.0.tar.xz"),
        include_bytes!("../tests/data/initramfs/plain.img"),
        include_bytes!("../tests/data/initramfs/zstd.img"),
        include_bytes!("../tests/data/initramfs/xz.img"),
        include_bytes!("../tests/data/initramfs/lzma.img"),
        include_bytes!("../tests/data/initramfs/lz4-legacy.img"),
        b"QFI\xfb\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x10",
    ];

    #[test]
    fn the_seeds_pass_through_every_body() {
        for (_, body) in BODIES {
            SEEDS.iter().for_each(|seed| body(seed));
            body(b"");
        }
    }

    proptest! {
        #[test]
        fn random_bytes_pass_through_every_body(bytes: Vec<u8>) {
            for (_, body) in BODIES {
                body(&bytes);
            }
        }

        #[test]
        fn damaged_seeds_pass_through_every_body(
            seed in prop::sample::select(SEEDS.to_vec()),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
            cut: prop::sample::Index,
        ) {
            let mut bytes = seed.to_vec();
            for (at, byte) in damage {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes.truncate(cut.index(bytes.len() + 1));
            for (_, body) in BODIES {
                body(&bytes);
            }
        }
    }
}
