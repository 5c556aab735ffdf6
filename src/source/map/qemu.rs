use super::{DataMap, MapError, Ranges, contradiction, malformed};
use crate::model::ByteRange;

/// QEMU counts in sectors of this many bytes.
const SECTOR: u64 = 512;

/// A range of the disk. Where its bytes are in the image's file is of no interest here.
#[derive(serde::Deserialize)]
struct Extent {
    start: u64,
    length: u64,
    /// Whether it reads as zeros. What is not known to is data, also where `data` says that nothing is allocated.
    zero: bool,
}

/// Reads the ranges, which must follow each other from the disk's start on.
pub(super) fn parse(json: &[u8]) -> Result<DataMap, MapError> {
    let extents: Vec<Extent> = serde_json::from_slice(json)
        .map_err(|error| malformed(format_args!("not the JSON of `qemu-img map --output=json`: {error}")))?;
    let (mut data, mut at) = (Ranges::default(), 0);
    for Extent { start, length, zero } in extents {
        let end = start.checked_add(length).filter(|end| *end > start);
        let (true, Some(end)) = (start == at, end) else {
            return Err(contradiction(format_args!(
                "a range of {length} bytes at {start} follows on what ends at {at}; map the whole disk"
            )));
        };
        if !zero {
            data.push(ByteRange::new(start, end))?;
        }
        at = end;
    }
    Ok(DataMap { length: at, unit: SECTOR, data: data.0, checksums: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(start: u64, length: u64, zero: bool) -> String {
        let data = !zero;
        format!(
            r#"{{ "start": {start}, "length": {length}, "depth": 0, "present": true, "zero": {zero}, "data": {data},
               "compressed": false, "offset": 327680}}"#
        )
    }

    fn of(entries: &[String]) -> Result<DataMap, MapError> {
        parse(format!("[{}]\n", entries.join(",\n")).as_bytes())
    }

    #[test]
    fn what_is_not_zero_is_data() {
        let map = of(&[
            entry(0, 4096, false),
            entry(4096, 8192, false),
            entry(12_288, 1 << 30, true),
            entry((1 << 30) + 12_288, 512, false),
        ])
        .unwrap();
        let last = (1 << 30) + 12_288;
        assert_eq!(map.data, [ByteRange::new(0, 12_288), ByteRange::new(last, last + 512)]);
        assert_eq!((map.length, map.data_bytes()), (last + 512, 12_800));
        assert_eq!(of(&[]).unwrap().length, 0);
    }

    #[test]
    fn qemu_and_bmaptool_map_the_same_image_alike() {
        let by_qemu = parse(include_bytes!("../../../tests/data/maps/image.json")).unwrap();
        let by_bmaptool = DataMap::from_bmap(crate::source::map::testing::FILE.as_bytes()).unwrap();
        assert_eq!((by_qemu.length, by_qemu.data), (by_bmaptool.length, by_bmaptool.data));
    }

    #[test]
    fn ranges_that_do_not_tile_the_disk_are_refused() {
        for entries in [
            vec![entry(512, 512, false)],
            vec![entry(0, 512, false), entry(1024, 512, false)],
            vec![entry(0, 1024, true), entry(512, 1024, true)],
            vec![entry(0, 0, true)],
            vec![entry(0, 512, true), entry(512, u64::MAX, false)],
        ] {
            assert!(matches!(of(&entries), Err(MapError::Contradiction(_))), "{entries:?}");
        }
    }

    #[test]
    fn what_is_no_map_is_refused() {
        for json in
            ["", "{}", "[1]", "[{}]", r#"[{"start": -1, "length": 5, "zero": true}]"#, "[] []", "\u{1b}[2J"]
        {
            let error = parse(json.as_bytes()).unwrap_err();
            assert!(matches!(error, MapError::Malformed(_)), "{json}");
            assert!(!error.to_string().chars().any(char::is_control));
        }
    }
}
