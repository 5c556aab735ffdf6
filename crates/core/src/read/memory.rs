//! Bytes in memory.

use super::{ReadAt, ReadError, check_range};

impl ReadAt for [u8] {
    fn length(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        check_range(self.length(), offset, buffer.len())?;
        let start = usize::try_from(offset).expect("an offset inside a slice fits usize");
        buffer.copy_from_slice(&self[start..start + buffer.len()]);
        Ok(())
    }

    fn read_ready(&self, offset: u64, buffer: &mut [u8]) -> Option<usize> {
        self.read_at(offset, buffer).is_ok().then_some(buffer.len()).filter(|count| *count > 0)
    }
}

impl ReadAt for Vec<u8> {
    fn length(&self) -> u64 {
        self.as_slice().length()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        self.as_slice().read_at(offset, buffer)
    }

    fn read_ready(&self, offset: u64, buffer: &mut [u8]) -> Option<usize> {
        self.as_slice().read_ready(offset, buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_inside_their_bounds_only() {
        let bytes = b"0123456789".as_slice();
        let mut buffer = [0; 3];
        bytes.read_at(7, &mut buffer).unwrap();
        assert_eq!(&buffer, b"789");
        assert_eq!(bytes.read_ready(0, &mut buffer), Some(3));
        assert!(matches!(bytes.read_at(8, &mut buffer), Err(ReadError::PastEnd { offset: 8, length: 3 })));
        assert!(bytes.read_at(u64::MAX, &mut buffer).is_err());
        assert_eq!(bytes.read_ready(8, &mut buffer), None);
    }
}
