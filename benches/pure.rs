//! The cost of the decisions that are made for every part or every upload: nothing here reads or sends.
//!
//!     cargo bench --bench pure

use std::time::Duration;

use divan::{Bencher, black_box};
use jiff::Timestamp;
use ossup::checksum;
use ossup::credentials::Credentials;
use ossup::model::{ByteRange, Crc64, ETag, ObjectRef, PartNumber, Region, UploadId};
use ossup::plan::{CutRule, Part, Plan};
use ossup::protocol::oss::{CompleteMultipartUpload, CompletePart, UploadPart};
use ossup::protocol::sign::{SignVersion, presign_oss, sign_oss};
use ossup::protocol::{Operation, OssRequest, Request};
use ossup::{model, plan};
use transfer::control::{Acknowledged, Control, OnItsWay, Unfinished};
use transfer::schedule::Schedule;

// These two are not public, so their source is included; it names `crate::model` and `crate::plan`.
#[path = "../src/transfer"]
#[expect(dead_code, reason = "what the transfer alone uses")]
mod transfer {
    pub(crate) mod control;
    pub(crate) mod schedule;
}
#[path = "../src/blocks/zeros.rs"]
mod zeros;

const PARTS: u16 = 10_000;
const MIB: u64 = 1 << 20;
const TIB: u64 = 1 << 40;

fn main() {
    divan::main();
}

fn object() -> ObjectRef {
    "oss://images/win 2022/disk.qcow2".parse().expect("a bucket and a key")
}

fn number(n: u16) -> PartNumber {
    PartNumber::new(n).expect("1 to 10,000")
}

fn part_request() -> OssRequest {
    let part =
        UploadPart::new(object(), UploadId::new("0004B9894A22E5B1888A1E29F8236E2D"), number(417), 16 * MIB);
    let Request::Oss(request) = part.request() else { unreachable!("parts are sent to OSS") };
    request
}

/// The signature of one part, in headers and in a URL.
#[divan::bench(args = [SignVersion::V4, SignVersion::V1])]
fn sign(bencher: Bencher<'_, '_>, version: SignVersion) {
    let (request, keys, region, at) = signed();
    bencher.bench(|| sign_oss(version, black_box(&request), &keys, &region, at));
}

#[divan::bench(args = [SignVersion::V4, SignVersion::V1])]
fn presign(bencher: Bencher<'_, '_>, version: SignVersion) {
    let (request, keys, region, at) = signed();
    bencher.bench(|| presign_oss(version, black_box(&request), &keys, &region, at, 3600));
}

fn signed() -> (OssRequest, Credentials, Region, Timestamp) {
    let region = "cn-hangzhou".parse().expect("a region");
    (part_request(), Credentials::new("ID", "SECRET"), region, Timestamp::UNIX_EPOCH)
}

/// All parts of an object of a terabyte, dealt from first to last.
#[divan::bench]
fn deal(bencher: Bencher<'_, '_>) {
    let plan = plan_of(TIB);
    bencher.bench(|| parts(black_box(&plan)));
}

/// Whether 10,000 parts cover an object exactly.
#[divan::bench]
fn tiles(bencher: Bencher<'_, '_>) {
    let plan = plan_of(TIB);
    let parts = parts(&plan);
    bencher.bench(|| assert!(plan.is_tiled_by(black_box(&parts))));
}

/// What a resumed upload still has to send when every second part is in.
#[divan::bench]
fn remaining(bencher: Bencher<'_, '_>) {
    let plan = plan_of(TIB);
    let covered: Vec<ByteRange> = parts(&plan).iter().step_by(2).map(|part| part.range).collect();
    bencher.bench(|| plan.remaining(black_box(&covered).iter().copied()));
}

fn plan_of(length: u64) -> Plan {
    let rule = CutRule::new(length, None).expect("a length that OSS takes");
    Plan::new(length, rule).expect("the rule is made for this length")
}

fn parts(plan: &Plan) -> Vec<Part> {
    let mut schedule = Schedule::new(*plan, plan.remaining([]));
    std::iter::from_fn(|| schedule.deal(1, None)).collect()
}

/// The CRC-64 of one block, which every byte goes through.
#[divan::bench(args = [64 << 10, 256 << 10])]
fn crc(bencher: Bencher<'_, '_>, size: usize) {
    let block = vec![0x5A; size];
    let bencher = bencher.counter(divan::counter::BytesCount::new(size));
    bencher.bench(|| checksum::of(black_box(&block)));
}

/// Whether a block holds nothing but zeros, from the cache and from memory.
#[divan::bench(args = [64 << 10, 256 << 20])]
fn is_zero(bencher: Bencher<'_, '_>, size: usize) {
    let block = blank(size);
    let bencher = bencher.counter(divan::counter::BytesCount::new(size));
    bencher.bench(|| assert!(zeros::is_zero(black_box(&block))));
}

/// What a machine does at most, to compare the test for zeros with: copying a block.
#[divan::bench(args = [64 << 10, 256 << 20])]
fn copy(bencher: Bencher<'_, '_>, size: usize) {
    let (block, mut to) = (blank(size), vec![1; size]);
    let bencher = bencher.counter(divan::counter::BytesCount::new(size));
    bencher.bench_local(|| black_box(&mut to).copy_from_slice(black_box(&block)));
}

/// Zeros that were written: fresh memory is one page of zeros many times, which the cache holds.
fn blank(size: usize) -> Vec<u8> {
    let mut block = vec![1; size];
    block.fill(black_box(0));
    block
}

/// The CRC-64 of an object from those of its 10,000 parts.
#[divan::bench]
fn combine() -> Crc64 {
    (0..u64::from(PARTS))
        .fold(Crc64(0), |sum, part| checksum::combine(sum, Crc64(black_box(part)), 100 * MIB))
}

/// The XML of Complete with 10,000 parts.
#[divan::bench]
fn complete_xml(bencher: Bencher<'_, '_>) {
    let part = |n| CompletePart { number: number(n), etag: ETag::new(format!("\"{n:032X}\"")) };
    let complete =
        CompleteMultipartUpload::new(object(), UploadId::new("ID"), (1..=PARTS).map(part).collect());
    bencher.bench(|| black_box(&complete).request());
}

/// What the controller decides for 10,000 parts: their sizes, and how many are in flight.
#[divan::bench]
fn controller() -> usize {
    let mut control = Control::adaptive(64, None);
    let mut now = Duration::ZERO;
    for part in 0..u64::from(PARTS) {
        let waiting = (u64::from(PARTS) - part) * 16 * MIB;
        let (bytes, in_flight) = (control.next_size(waiting), control.target());
        let took = Duration::from_secs_f64(bytes as f64 / (20 * MIB) as f64);
        now += took / in_flight as u32;
        let others = vec![Unfinished { bytes, age: took / 2 }; in_flight - 1];
        control.acknowledged(Acknowledged { bytes, took, others: &others, waiting }, now);
        let others_bytes = bytes * others.len() as u64;
        let on_its_way = OnItsWay { bytes, age: took, others: others.len(), others_bytes, waiting };
        black_box(control.is_straggler(on_its_way, now));
    }
    control.target()
}
