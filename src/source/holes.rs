//! Where a file has data: what was never written costs neither a read nor a byte on the wire.

use std::fs::File;
use std::io;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

use crate::model::ByteRange;

/// Returns the next range of the file's first `length` bytes, from `from` on, that may hold data. A file system that
/// keeps no such record, and a block device, say that all of it may.
///
/// The cursor of the file moves, which is free as all reads are positional.
pub(super) fn next_data(file: &File, length: u64, from: u64) -> io::Result<Option<ByteRange>> {
    if from >= length {
        return Ok(None);
    }
    let start = match seek(file, SeekFrom::Data(from)) {
        Ok(start) => start.max(from),
        Err(Errno::NXIO) => return no_more(file, length),
        Err(error) if is_unsupported(error) => return Ok(Some(ByteRange::new(from, length))),
        Err(error) => return Err(error.into()),
    };
    if start >= length {
        return Ok(None);
    }
    let end = match seek(file, SeekFrom::Hole(start)) {
        Ok(end) if end > start => end.min(length),
        // The file changed between the two calls: what is there now, reading will tell.
        Ok(_) | Err(Errno::NXIO) => length,
        Err(error) if is_unsupported(error) => length,
        Err(error) => return Err(error.into()),
    };
    Ok(Some(ByteRange::new(start, end)))
}

/// There is no data up to the end of the file as it is now. If that is no longer where it was, then what lies behind
/// it is lost and not zero.
fn no_more(file: &File, length: u64) -> io::Result<Option<ByteRange>> {
    if file.metadata()?.len() < length {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter"));
    }
    Ok(None)
}

fn is_unsupported(error: Errno) -> bool {
    matches!(error, Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::SPIPE | Errno::NOTTY)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    const MIB: u64 = 1 << 20;

    fn ranges(file: &File, length: u64) -> Vec<(u64, u64)> {
        let mut found = Vec::new();
        let mut from = 0;
        while let Some(range) = next_data(file, length, from).unwrap() {
            assert!(range.start >= from && range.end > range.start && range.end <= length);
            found.push((range.start, range.end));
            from = range.end;
        }
        found
    }

    #[test]
    fn all_that_was_written_is_in_a_range_and_what_is_in_none_is_zero() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(16 * MIB).unwrap();
        for at in [2 * MIB, 9 * MIB + 5] {
            file.write_all_at(&[7; 1000], at).unwrap();
        }
        let found = ranges(&file, 16 * MIB);
        for at in [2 * MIB, 2 * MIB + 999, 9 * MIB + 5, 9 * MIB + 1004] {
            assert!(found.iter().any(|(start, end)| (*start..*end).contains(&at)), "{at}: {found:?}");
        }
        // Where the file system keeps no record of its holes, there is one range.
        let held: u64 = found.iter().map(|(start, end)| end - start).sum();
        assert!(found == [(0, 16 * MIB)] || held <= MIB, "{found:?}");
    }

    #[test]
    fn nothing_is_found_behind_the_length_that_was_taken() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(MIB).unwrap();
        file.write_all_at(&[7; 1000], MIB).unwrap();
        assert!(ranges(&file, MIB).iter().all(|(_, end)| *end <= MIB));
        assert_eq!(next_data(&file, MIB, MIB).unwrap(), None);
        assert_eq!(next_data(&file, MIB, u64::MAX).unwrap(), None);
    }

    #[test]
    fn a_file_that_became_shorter_does_not_end_in_zeros() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(MIB).unwrap();
        let error = next_data(&file, 2 * MIB, MIB + 1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
