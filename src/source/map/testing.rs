/// As `bmaptool` 3.6 writes it for [`image`], without its comments.
pub(super) const FILE: &str = include_str!("../../../tests/data/maps/image.bmap");

/// 1025 KiB with a little data, also in the last block, which is a quarter of one.
pub(super) fn image() -> Vec<u8> {
    let mut image = vec![0; 1_049_600];
    image[..5000].fill(b'A');
    image[300_000..300_010].fill(b'B');
    image[1_049_000..].fill(b'C');
    image
}
