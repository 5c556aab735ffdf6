//! The beginning of a stream, read before anything is sent: what is packed in it is recognised by it, and so is what the
//! image is.

use std::io::{self, Cursor, Read};

use ossup::image::{Expected, Format, PassingImage, Report, detect};
use ossup::model::Unpacked;
use ossup::read::ReadError;
use ossup::unpack::{self, Layer, UnpackError};

use super::late::{Seen, Watched, most_held};

/// How much is read at a time where the image is inspected only.
const BLOCK: usize = 1 << 20;

/// A stream that is passed on whole, and its beginning.
pub(crate) struct Head {
    front: Vec<u8>,
    rest: Box<dyn Read + Send>,
    ended: bool,
    /// How long the image is, if what it is packed in says so.
    pub(super) size_hint: Option<u64>,
}

/// What a stream was found to be.
pub(super) struct Found {
    pub(super) head: Head,
    pub(super) format: Format,
    pub(super) unpacked: Option<Unpacked>,
}

/// Unpacks a stream, unless it is to be kept as it is, and reads the beginning of what is inside. It blocks for as long as
/// the stream does.
pub(super) fn read(
    reader: Box<dyn Read + Send>,
    options: Option<&unpack::Options>,
) -> Result<Found, UnpackError> {
    let (mut rest, unpacked, size_hint): (Box<dyn Read + Send>, _, _) = match options {
        None => (reader, None, None),
        Some(options) => {
            let inside = unpack::open(reader, options)?;
            let (unpacked, hint) = (taken_off(inside.layers()), inside.size_hint());
            (Box::new(inside), unpacked, hint)
        }
    };
    let mut front = Vec::new();
    let read = rest.by_ref().take(PassingImage::FRONT).read_to_end(&mut front);
    let read = read.map_err(|error| match UnpackError::of(&error) {
        Some(error) => error.clone(),
        None => UnpackError::Input { offset: front.len() as u64, source: error.into() },
    })?;
    let ended = (read as u64) < PassingImage::FRONT;
    // Bytes in memory can be read.
    let format = detect(&front).unwrap_or(Format::Raw);
    Ok(Found { head: Head { front, rest, ended, size_hint }, format, unpacked })
}

fn taken_off(layers: &[Layer]) -> Option<Unpacked> {
    let member = layers.iter().find_map(|layer| match layer {
        Layer::Tar { member } => Some(member.clone()),
        _ => None,
    });
    (!layers.is_empty()).then_some(Unpacked { member })
}

impl Head {
    /// Returns the beginning of a stream that is left alone.
    pub(super) fn unread() -> Self {
        Self { front: Vec::new(), rest: Box::new(io::empty()), ended: false, size_hint: None }
    }

    /// Whether there is nothing to be seen of the image.
    pub(super) fn is_unread(&self) -> bool {
        self.front.is_empty() && !self.ended
    }

    /// Returns the whole length of the image, if all of it is here.
    pub(super) fn whole(&self) -> Option<u64> {
        self.ended.then_some(self.front.len() as u64)
    }

    /// Returns the image, if all of it is here.
    pub(super) fn image(&self) -> Option<&[u8]> {
        self.ended.then_some(&self.front)
    }

    /// Reports on what is known of the image by now.
    pub(super) fn report(&self, expected: Expected) -> io::Result<Option<Report>> {
        let mut image = PassingImage::new(expected);
        image.push(&self.front);
        if self.ended {
            image.finish().map(Some).map_err(io::Error::from)
        } else {
            Ok(image.so_far().cloned())
        }
    }

    /// Inspects the whole stream. It blocks for as long as the stream does. With `guest` the system on it is looked at too,
    /// if its data can be held.
    pub(super) fn inspect(self, expected: Expected, guest: bool) -> io::Result<Result<Seen, ReadError>> {
        let (mut image, mut reader) =
            (Watched::new(expected, guest.then(|| most_held(None))), self.into_reader());
        let mut block = vec![0; BLOCK];
        loop {
            match reader.read(&mut block) {
                Ok(0) => return Ok(image.finish()),
                Ok(count) => image.data(&block[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Returns the stream from its beginning.
    pub(crate) fn into_reader(self) -> Box<dyn Read + Send> {
        // Nothing is asked of a stream that has ended.
        if self.ended {
            Box::new(Cursor::new(self.front))
        } else {
            Box::new(Cursor::new(self.front).chain(self.rest))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(bytes: Vec<u8>) -> Box<dyn Read + Send> {
        Box::new(Cursor::new(bytes))
    }

    #[test]
    fn what_was_looked_at_is_passed_on_too() {
        for length in [0, 1, 70_000, (2 << 20) - 1, 2 << 20, (2 << 20) + 1, 5 << 20] {
            let bytes: Vec<u8> = (0..length).map(|at: u32| (at / 3) as u8).collect();
            let found = read(boxed(bytes.clone()), Some(&unpack::Options::new(1 << 30))).unwrap();
            assert_eq!(found.unpacked, None);
            assert_eq!(found.head.whole(), (length < 2 << 20).then_some(length.into()));
            let mut passed = Vec::new();
            found.head.into_reader().read_to_end(&mut passed).unwrap();
            assert!(passed == bytes, "{length}");
        }
    }

    #[test]
    fn the_formats_are_those_of_what_is_inside() {
        let mut qcow2 = vec![0; 4 << 20];
        qcow2[..8].copy_from_slice(b"QFI\xfb\0\0\0\x03");
        let found = read(boxed(qcow2), Some(&unpack::Options::new(1 << 30))).unwrap();
        assert_eq!(found.format, Format::Qcow2);
        assert!(found.head.report(Expected::default()).unwrap().is_some());
        let gzip = b"\x1f\x8b\x08\0\0\0\0\0\0\x03".to_vec();
        assert!(matches!(read(boxed(gzip.clone()), None).unwrap().format, Format::Compressed(..)));
        let error = read(boxed(gzip), Some(&unpack::Options::new(1 << 30))).err().unwrap();
        assert!(matches!(error, UnpackError::Truncated { .. }), "{error}");
    }
}
