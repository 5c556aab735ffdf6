//! In which form an image goes. Pure.

use ossup::image::Format;
use ossup::model::{DiskFormat, ObjectFormat, Qcow2Compat};

use crate::args::FormArg;

/// What is made of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    /// It goes in this form.
    Of(ObjectFormat),
    /// It goes as a QCOW2 of the disk inside, which is another format.
    DiskAsQcow2,
    /// It goes as QCOW2 if that saves enough, else as it is.
    WhereItSaves,
    /// It cannot be made of something that passes once.
    NeedsPositions,
}

/// Chooses the form.
pub(super) fn choose(wish: FormArg, compat: Qcow2Compat, format: Format, is_stream: bool) -> Choice {
    use Choice::{DiskAsQcow2, NeedsPositions, Of, WhereItSaves};
    let qcow2 = Of(ObjectFormat::Qcow2 { compat });
    match (wish, format) {
        (FormArg::AsIs, _) => Of(ObjectFormat::AsIs),
        (FormArg::Raw, Format::Qcow2 | Format::Vhd) if is_stream => NeedsPositions,
        (FormArg::Raw, Format::Qcow2 | Format::Vhd) => Of(ObjectFormat::Raw),
        (FormArg::Qcow2, Format::Vhd) if is_stream => NeedsPositions,
        (FormArg::Qcow2, Format::Vhd) => DiskAsQcow2,
        (FormArg::Qcow2, format) if is_disk(format) => qcow2,
        // What a stream saves is known at its end, and a QCOW2 of nothing but data is hardly longer than the disk.
        (FormArg::Auto, Format::Raw) if is_stream => qcow2,
        (FormArg::Auto, Format::Raw) => WhereItSaves,
        // The inspection refuses what is no disk.
        _ => Of(ObjectFormat::AsIs),
    }
}

/// Whether the bytes are those of a disk, one to one, whatever is on it.
pub(super) fn is_disk(format: Format) -> bool {
    matches!(format, Format::Raw | Format::Luks | Format::Iso | Format::Executable | Format::Text)
}

/// Returns the format of the object, if it is another one than the image's.
pub(super) fn becomes(format: ObjectFormat) -> Option<DiskFormat> {
    match format {
        ObjectFormat::Raw => Some(DiskFormat::Raw),
        ObjectFormat::Qcow2 { .. } => Some(DiskFormat::Qcow2),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_follows_from_the_wish_and_the_image() {
        use Choice::{DiskAsQcow2, NeedsPositions, Of, WhereItSaves};
        let compat = Qcow2Compat::V2;
        let qcow2 = Of(ObjectFormat::Qcow2 { compat });
        let (as_is, disk) = (Of(ObjectFormat::AsIs), Of(ObjectFormat::Raw));
        // By the format: as it is, raw, qcow2, auto, each of a file and of a stream.
        let cases = [
            (Format::Raw, [as_is, as_is, as_is, as_is, qcow2, qcow2, WhereItSaves, qcow2]),
            (Format::Qcow2, [as_is, as_is, disk, NeedsPositions, as_is, as_is, as_is, as_is]),
            (Format::Vhd, [as_is, as_is, disk, NeedsPositions, DiskAsQcow2, NeedsPositions, as_is, as_is]),
            (Format::Vmdk, [as_is; 8]),
            (Format::Luks, [as_is, as_is, as_is, as_is, qcow2, qcow2, as_is, as_is]),
        ];
        for (format, expected) in cases {
            let wishes = [FormArg::AsIs, FormArg::Raw, FormArg::Qcow2, FormArg::Auto];
            let all = wishes.iter().flat_map(|wish| [(*wish, false), (*wish, true)]);
            for ((wish, is_stream), expected) in all.zip(expected) {
                let chosen = choose(wish, compat, format, is_stream);
                assert_eq!(chosen, expected, "{format:?} {wish:?} {is_stream}");
            }
        }
    }
}
