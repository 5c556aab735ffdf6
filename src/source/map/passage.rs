use std::io;

use super::verify::Verifier;
use super::{DataMap, MapError};
use crate::source::Passage;

/// Compares an image with the checksums of its map, and its length with the map's, as it passes.
#[derive(Debug)]
pub struct MapPassage {
    map: DataMap,
    verifier: Option<Verifier>,
    at: u64,
}

impl DataMap {
    /// Returns what compares an image with this map as it passes. A map without checksums tells another image by its
    /// length alone.
    pub fn passage(&self) -> MapPassage {
        MapPassage { map: self.clone(), verifier: self.verifier(), at: 0 }
    }

    /// Checks that the map can be one of an image of `length` bytes.
    ///
    /// # Errors
    ///
    /// [`MapError::OtherImage`].
    pub fn check_image(&self, length: u64) -> Result<(), MapError> {
        self.check_length(length)
    }
}

impl Passage for MapPassage {
    fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(verifier) = &mut self.verifier {
            verifier.data(self.at, bytes).map_err(wrong)?;
        }
        self.at += bytes.len() as u64;
        Ok(())
    }

    fn zeros(&mut self, count: u64) -> io::Result<()> {
        // The verifier takes what it is not given for zeros.
        self.at += count;
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        self.map.check_length(self.at).map_err(wrong)?;
        match self.verifier.take() {
            Some(verifier) => verifier.finish(self.at).map_err(wrong),
            None => Ok(()),
        }
    }
}

fn wrong(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::map::testing::{FILE, image};

    #[test]
    fn the_image_of_a_map_passes_and_others_do_not() {
        let map = DataMap::from_bmap(FILE.as_bytes()).unwrap();
        let pass = |image: &[u8]| {
            let mut passage = map.passage();
            for piece in image.chunks(5000) {
                match piece.iter().all(|byte| *byte == 0) {
                    true => passage.zeros(piece.len() as u64)?,
                    false => passage.data(piece)?,
                }
            }
            passage.end()
        };
        let image = image();
        pass(&image).unwrap();
        let mut other = image.clone();
        let at = other.iter().position(|byte| *byte != 0).unwrap();
        other[at] ^= 1;
        assert!(pass(&other).unwrap_err().to_string().contains("checksum"));
        let cut = &image[..image.len() - 8192];
        assert!(pass(cut).is_err());
        assert!(map.check_image(image.len() as u64).is_ok() && map.check_image(1).is_err());
    }
}
