use super::*;
use crate::Severity::{Fix, Refuse, Warn};
use crate::TableKind;
use crate::testing::*;

/// What every VHD is warned of.
const COPY: (Rule, Severity) = (Rule::VCopy, Warn);

/// Applies `change` to a footer and seals it again.
fn changed(footer: &[u8], change: &dyn Fn(&mut [u8])) -> Vec<u8> {
    let mut footer = footer.to_vec();
    change(&mut footer);
    seal_vhd(&mut footer, 64);
    footer
}

/// A dynamic VHD whose footer and copy are changed alike.
fn with_footer(change: &dyn Fn(&mut [u8])) -> Vec<u8> {
    let mut file = dynamic_vhd(&mbr_disk());
    let footer = changed(&file[..512], change);
    let tail = file.len() - 512;
    put(&mut file, 0, &footer);
    put(&mut file, tail, &footer);
    file
}

/// A dynamic VHD whose header is changed.
fn with_header(change: &dyn Fn(&mut [u8])) -> Vec<u8> {
    let mut file = dynamic_vhd(&mbr_disk());
    change(&mut file[512..1536]);
    seal_vhd(&mut file[512..1536], 36);
    file
}

fn rules(file: &[u8]) -> Vec<(Rule, Severity)> {
    broken(&report(file))
}

#[test]
fn the_disk_inside_is_seen() {
    for file in [fixed_vhd(&mbr_disk()), dynamic_vhd(&mbr_disk())] {
        let report = report(&file);
        assert_eq!(broken(&report), [COPY]);
        assert_eq!((report.virtual_size, report.partition_table), (Some(8 << 20), TableKind::Mbr));
        assert_eq!(report.partitions[0].filesystem, Some(crate::FileSystem::Ext4));
    }
}

#[test]
fn the_footer_must_be_there_and_whole() {
    let dynamic = dynamic_vhd(&mbr_disk());
    let cut = rules(&dynamic[..dynamic.len() - 512]);
    assert_eq!(cut[0], (Rule::VTail, Refuse));
    let mut bad = dynamic.clone();
    let tail = bad.len() - 512;
    bad[tail + 50] ^= 1;
    assert_eq!(rules(&bad), [(Rule::VCrc, Refuse), COPY]);
    let mut bad = dynamic.clone();
    bad[50] ^= 1;
    assert_eq!(rules(&bad), [(Rule::VCrc, Refuse), COPY], "the copy");
    assert_eq!(rules(b"conectix"), [(Rule::VTail, Refuse), COPY]);
}

#[test]
fn a_fixed_disk_has_the_length_that_its_footer_says() {
    let fixed = fixed_vhd(&mbr_disk());
    assert_eq!(rules(&fixed[1024..]), [(Rule::VFixLen, Refuse), COPY], "the front is missing");
    assert_eq!(rules(&fixed[..fixed.len() - 1]), [(Rule::VFixLen, Refuse), COPY], "the last byte is missing");
    let mut long = vec![0; 1024];
    long.extend(&fixed);
    assert_eq!(rules(&long)[0], (Rule::VFixLen, Refuse));
}

#[test]
fn disk_types_but_fixed_and_dynamic_are_refused() {
    let of_type = |kind: u32| rules(&with_footer(&|footer| put(footer, 60, &kind.to_be_bytes())));
    assert_eq!(of_type(4), [(Rule::VType, Fix), COPY]);
    assert_eq!(of_type(0), [(Rule::VType, Refuse), COPY]);
    assert_eq!(of_type(u32::MAX), [(Rule::VType, Refuse), COPY]);
}

#[test]
fn the_size_is_a_whole_number_of_blocks() {
    let sized = |size: u64| rules(&with_footer(&|footer| put(footer, 48, &size.to_be_bytes())));
    assert_eq!(sized(8 << 20), [COPY]);
    assert_eq!(sized((8 << 20) - (1 << 20)), [(Rule::VMte, Fix), COPY]);
    assert_eq!(sized((8 << 20) - 512), [(Rule::VSize, Warn), (Rule::VMte, Fix), COPY]);
    assert_eq!(sized(0), [(Rule::VMte, Fix), (Rule::FZeroVirt, Refuse), COPY]);
    assert_eq!(sized(u64::MAX)[1], (Rule::VMte, Fix));
}

/// The sizes that qemu-img 10 was seen to write, and whether the service takes them.
#[test]
fn the_sizes_that_qemu_img_writes() {
    let verdict = |creator: &[u8; 4], size: u64, blocks: u64| {
        let mut footer = vhd_footer(size, 3);
        put(&mut footer, 28, creator);
        seal_vhd(&mut footer, 64);
        let footer = Footer::read(footer[..].try_into().unwrap());
        let header = DynamicHeader { table_offset: 1536, entries: blocks, block_size: USUAL_BLOCK };
        let mut findings = Findings::default();
        let file = Vec::new();
        Checks { file: &file }.block_count(&footer, &header, &mut findings);
        findings.0.first().map(|finding| finding.severity)
    };
    assert_eq!(verdict(b"qemu", 42_951_106_560, 20_481), Some(Fix), "40G");
    assert_eq!(verdict(b"qem2", 42_949_672_960, 20_480), None, "40G with force_size");
    assert_eq!(verdict(b"qem2", 3_146_776_576, 1_501), Some(Fix), "3001M with force_size");
    assert_eq!(verdict(b"qemu", 8_590_417_920, 4_097), Some(Fix), "8G");
    assert_eq!(verdict(b"qemu", 136_365_219_840, 65_025), Some(Fix), "127G");
    assert_eq!(verdict(b"qemu", 2_147_483_648_000, 1_024_000), None, "2000G");
}

#[test]
fn the_dynamic_header_is_checked() {
    let at = |at: usize, bytes: &'static [u8]| rules(&with_header(&|header| put(header, at, bytes)));
    assert_eq!(at(0, b"x"), [(Rule::VHdr, Refuse), COPY], "signature");
    let mut file = dynamic_vhd(&mbr_disk());
    file[512 + 100] ^= 1;
    assert_eq!(rules(&file), [(Rule::VHdr, Refuse), COPY], "checksum");
    assert_eq!(at(32, &[0; 4]), [(Rule::VBlk, Refuse), COPY]);
    assert_eq!(at(32, &[0, 0, 1, 0]), [(Rule::VBlk, Refuse), COPY], "256 bytes");
    assert_eq!(at(32, &[0, 0x30, 0, 0]), [(Rule::VBlk, Refuse), COPY], "3 MiB");
    assert_eq!(at(32, &[0, 0x10, 0, 0])[..2], [(Rule::VBlk, Warn), (Rule::VMte, Fix)]);
    assert_eq!(at(16, &[0xFF; 8]), [(Rule::VHdr, Refuse), COPY], "table beyond the end");
    assert_eq!(at(28, &[0xFF; 4]), [(Rule::VMte, Fix), (Rule::VHdr, Refuse), COPY], "too many blocks");
    let file = with_footer(&|footer| put(footer, 16, &[0xFF; 8]));
    assert_eq!(rules(&file), [(Rule::VHdr, Refuse), COPY], "header beyond the end");
}

#[test]
fn every_block_lies_inside_the_file() {
    let mut file = dynamic_vhd(&mbr_disk());
    let last = 1536 + 3 * 4;
    put(&mut file, last, &0x00FF_FFFFu32.to_be_bytes());
    assert_eq!(rules(&file), [(Rule::VHdr, Refuse), COPY]);
    put(&mut file, last, &[0xFF; 4]);
    assert_eq!(rules(&file), [COPY], "unused");
}

/// A footer by `creator` with this geometry, around a disk of 8 MiB.
fn by(creator: [u8; 4], geometry: [u8; 4]) -> Vec<u8> {
    with_footer(&|footer| {
        put(footer, 28, &creator);
        put(footer, 56, &geometry);
    })
}

/// Cylinders (two bytes), heads, sectors.
const LARGEST: [u8; 4] = [0xFF, 0xFF, 16, 255];
const LARGER: [u8; 4] = [0xFF, 0xFF, 16, 63];

#[test]
fn what_readers_disagree_about_is_said() {
    for creator in [*b"qem2", *b"win ", *b"d2v ", *b"d2v\0", *b"tap\0", *b"CTXS", *b"vbox", *b"wa\0\0"] {
        assert_eq!(rules(&by(creator, LARGER)), [COPY], "{creator:?}");
    }
    assert_eq!(rules(&by(*b"vpc ", LARGER)), [(Rule::VChs, Warn), COPY]);
    assert_eq!(rules(&by(*b"qemu", LARGER)), [(Rule::VChs, Warn), (Rule::VQemu, Warn), COPY]);
    assert_eq!(rules(&with_footer(&|footer| footer[84] = 1)), [(Rule::VSaved, Warn), COPY]);
}

#[test]
fn the_largest_geometry_means_the_current_size() {
    for creator in [*b"vpc ", *b"qem2", *b"win ", *b"d2v ", *b"d2v\0", *b"tap\0", *b"CTXS", *b"vbox"] {
        let report = report(&by(creator, LARGEST));
        assert_eq!(broken(&report), [COPY], "{creator:?}");
        assert_eq!(report.settings.disk_size, Some(5), "{creator:?}");
    }
}

#[test]
fn a_geometry_that_readers_believe_needs_room() {
    let size = |creator, geometry| report(&by(creator, geometry)).settings.disk_size;
    assert_eq!(size(*b"vpc ", LARGER), Some(32), "33822351360 bytes, as qemu-img sees it");
    assert_eq!(size(*b"qemu", LARGER), Some(32));
    assert_eq!(size(*b"vbox", LARGER), Some(5), "qemu-img takes the footer's size");
    assert_eq!(size(*b"vpc ", [0, 10, 4, 17]), Some(5), "the geometry is smaller");
}
