//! Members of a software RAID. One of RAID1 holds the whole file system, in front of what describes the array or behind.

use super::pages::{Unreadable, View};
use crate::read::{le32, le64};

const MAGIC: u32 = 0xA92B_4EFC;

/// A member of an array.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// What all members of one array have alike.
    pub(super) array: String,
    pub(super) level: i32,
    /// Where the data begin, and how many bytes they are.
    pub(super) data: (u64, u64),
}

/// Reads what describes a member at its front (versions 1.1 and 1.2).
pub(super) fn at_front(view: &View) -> Result<Option<Member>, Unreadable> {
    for at in [0, 4096] {
        if let Some(member) = version_1(&view.head::<256>(at)?, view.length()) {
            return Ok(Some(member));
        }
    }
    Ok(None)
}

/// Reads what describes a member at its end (versions 0.90 and 1.0): the file system is at its front then.
pub(super) fn at_end(view: &View) -> Result<Option<Member>, Unreadable> {
    const OLD: u64 = 64 << 10;
    let length = view.length();
    if let Some(at) = (length / 512).checked_sub(16).map(|sector| sector / 8 * 8 * 512)
        && let Some(member) = version_1(&view.head::<256>(at)?, length)
    {
        return Ok(Some(member));
    }
    let Some(at) = (length / OLD * OLD).checked_sub(OLD) else { return Ok(None) };
    let block = view.head::<64>(at)?;
    let is_old = le32(&block, 0) == MAGIC && le32(&block, 4) == 0;
    Ok(is_old.then(|| Member {
        array: hexadecimal(&[&block[20..24], &block[52..64]].concat()),
        level: le32(&block, 28).cast_signed(),
        data: (0, at),
    }))
}

fn version_1(block: &[u8; 256], length: u64) -> Option<Member> {
    if le32(block, 0) != MAGIC || le32(block, 4) != 1 {
        return None;
    }
    let start = le64(block, 128).checked_mul(512).filter(|start| *start < length)?;
    let bytes = le64(block, 136).saturating_mul(512).min(length - start);
    Some(Member {
        array: hexadecimal(&block[16..32]),
        level: le32(block, 72).cast_signed(),
        data: (start, bytes),
    })
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::pages::Pages;
    use super::*;

    fn view(marks: &[(usize, &[u8])]) -> View {
        let mut bytes = vec![0; 1 << 20];
        for (at, mark) in marks {
            bytes[*at..at + mark.len()].copy_from_slice(mark);
        }
        let pages = Pages::new(Arc::new(bytes));
        View::new(&pages, 0, 1 << 20)
    }

    fn block(version: u8, data: u64) -> Vec<u8> {
        let mut block = vec![0; 256];
        block[..5].copy_from_slice(&[0xFC, 0x4E, 0x2B, 0xA9, version]);
        block[16] = 0xAB;
        block[72] = 1;
        block[128..136].copy_from_slice(&data.to_le_bytes());
        block[136..144].copy_from_slice(&100_u64.to_le_bytes());
        block
    }

    #[test]
    fn a_member_is_known_by_what_stands_at_its_front_or_its_end() {
        for at in [0, 4096] {
            let member = at_front(&view(&[(at, &block(1, 16))])).unwrap().unwrap();
            assert_eq!((member.level, member.data), (1, (8192, 51_200)), "{at}");
            assert!(member.array.starts_with("ab00"));
        }
        let end = (1 << 20) - 8192;
        assert_eq!(at_end(&view(&[(end, &block(1, 0))])).unwrap().unwrap().data.0, 0);
        let mut old = block(0, 0);
        old[28] = 1;
        let member = at_end(&view(&[((1 << 20) - 65_536, &old)])).unwrap().unwrap();
        assert_eq!((member.level, member.data), (1, (0, (1 << 20) - 65_536)));
        assert_eq!(at_end(&view(&[])), Ok(None));
        assert_eq!(at_front(&view(&[(0, &block(1, u64::MAX))])), Ok(None), "beyond the end");
        assert_eq!(at_front(&view(&[(0, &block(0, 0))])), Ok(None));
    }
}
