//! Extended headers: `length key=value` records (POSIX pax), and GNU's keys for sparse files among them.

use super::sparse::Map;

/// What extended headers say of the entry that follows them.
#[derive(Debug, Default)]
pub(super) struct Extended {
    pub(super) name: Option<String>,
    pub(super) size: Option<u64>,
    /// The size of a sparse file with its holes.
    pub(super) real_size: Option<u64>,
    /// The map of versions 0.0 and 0.1.
    pub(super) map: Option<Map>,
    /// The map stands before the data (version 1.0).
    pub(super) map_in_data: bool,
    /// Names of sparse files stand in a key of their own.
    sparse_name: Option<String>,
    /// A range of version 0.0 whose length is still to come.
    range_at: u64,
}

impl Extended {
    /// Returns the name, if there is one.
    pub(super) fn take_name(&mut self) -> Option<String> {
        self.sparse_name.take().or(self.name.take())
    }

    /// Reads the records of a header. Values may have any bytes in them, line feeds too: the length counts.
    pub(super) fn read(&mut self, mut records: &[u8]) -> Result<(), &'static str> {
        const BROKEN: &str = "an extended header is broken";
        while !records.is_empty() {
            let digits = records.iter().position(|byte| *byte == b' ').ok_or(BROKEN)?;
            let length = std::str::from_utf8(&records[..digits]).ok().and_then(|text| text.parse().ok());
            let record = length.and_then(|length: usize| records.get(digits + 1..length)).ok_or(BROKEN)?;
            let (end, pair) = record.split_last().ok_or(BROKEN)?;
            let equals = pair.iter().position(|byte| *byte == b'=').ok_or(BROKEN)?;
            if *end != b'\n' {
                return Err(BROKEN);
            }
            self.set(&pair[..equals], &pair[equals + 1..])?;
            records = &records[digits + 1 + record.len()..];
        }
        Ok(())
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), &'static str> {
        let text = || String::from_utf8_lossy(value).into_owned();
        match key {
            b"path" => self.name = Some(text()),
            b"size" => self.size = Some(number(value)?),
            b"GNU.sparse.name" => self.sparse_name = Some(text()),
            b"GNU.sparse.size" | b"GNU.sparse.realsize" => self.real_size = Some(number(value)?),
            b"GNU.sparse.major" => match number(value)? {
                0 => {}
                1 => self.map_in_data = true,
                _ => return Err("a sparse file has a map of a version that is not known"),
            },
            b"GNU.sparse.numblocks" => self.map = Some(Map::default()),
            b"GNU.sparse.offset" => self.range_at = number(value)?,
            b"GNU.sparse.numbytes" => {
                self.map.get_or_insert_default().push(self.range_at, number(value)?)?;
            }
            b"GNU.sparse.map" => {
                let mut map = Map::default();
                let mut numbers = value.split(|byte| *byte == b',');
                while let (Some(offset), Some(length)) = (numbers.next(), numbers.next()) {
                    map.push(number(offset)?, number(length)?)?;
                }
                self.map = Some(map);
            }
            _ => {}
        }
        Ok(())
    }
}

/// Reads a decimal number.
pub(super) fn number(text: &[u8]) -> Result<u64, &'static str> {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or("a number in a header is none")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_may_have_line_feeds_and_other_bytes_in_them() {
        let mut extended = Extended::default();
        extended.read(b"22 SCHILY.xattr.a=\n\xFF9\n15 path=a=\xC3\xB6 b\n12 size=123\n").unwrap();
        assert_eq!((extended.take_name().as_deref(), extended.size), (Some("a=\u{f6} b"), Some(123)));
    }

    #[test]
    fn broken_records_are_refused() {
        for records in [
            "x",
            "9 a=b\n",
            "5 a=b\n",
            "6 a=bc",
            "6 abc\n",
            "0 a=b\n",
            "2 a=b\n",
            "-1 a=b\n",
            "11 size=-1\n",
            "99999999999999999999 a=b\n",
            "22 GNU.sparse.major=9\n",
            "27 GNU.sparse.map=5,1,2,1\n",
        ] {
            assert!(Extended::default().read(records.as_bytes()).is_err(), "{records:?}");
        }
        assert!(Extended::default().read(b"6 a=b\n").is_ok());
    }
}
