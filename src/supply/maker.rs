//! Makes the object of an image that is told in order, and has it looked at while it passes.

use std::fmt;
use std::io;

use sha2::{Digest, Sha256 as Hasher};
use tokio::sync::mpsc::Sender;

use super::convert::Conversion;
use super::{Image, Supplied, SupplyError, Told};
use crate::blocks::{BLOCK_SIZE, Content, Segment, ZEROS};
use crate::checksum_file::Sha256;
use crate::source::Passage;

/// Bytes of content that go out together at most, so that small runs do not cost a message each.
const BATCH: u64 = 16 << 20;

/// What the object has of the image's bytes.
pub(super) enum Form {
    /// They themselves.
    AsIs,
    /// The clusters of them that are not zeros.
    Qcow2(Conversion),
    /// They are supplied otherwise, and only looked at here.
    Elsewhere,
}

/// Why no more is told.
pub(super) enum Stop {
    /// Nobody wants it any more.
    Unwanted,
    /// The image is refused, or no object can be made of it.
    Failed(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// Takes an image in order, in whole clusters but for its end.
pub(super) struct Maker {
    form: Form,
    passage: Option<Box<dyn Passage>>,
    hasher: Option<Hasher>,
    out: Sender<Told>,
    /// Content that is to go out together, and where it belongs.
    batch: Option<(u64, Content)>,
    /// Content that waits for the passage to let it go.
    held_back: Vec<Supplied>,
    held_bytes: u64,
    most_held: u64,
    image_bytes: u64,
}

impl Maker {
    pub(super) fn new(
        form: Form,
        passage: Option<Box<dyn Passage>>,
        hash: bool,
        most_held: u64,
        out: Sender<Told>,
    ) -> Self {
        Self {
            form,
            passage,
            hasher: hash.then(Hasher::new),
            out,
            batch: None,
            held_back: Vec::new(),
            held_bytes: 0,
            most_held,
            image_bytes: 0,
        }
    }

    /// Whether the bytes of the image are looked at. If not, only how many there are counts.
    pub(super) fn looks(&self) -> bool {
        self.passage.is_some() || self.hasher.is_some()
    }

    /// Takes the image's next bytes, and how they are to be had for the object.
    pub(super) fn data(&mut self, bytes: &[u8], segment: Segment) -> Result<(), Stop> {
        if let Some(passage) = &mut self.passage {
            passage.data(bytes)?;
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(bytes);
        }
        let at = self.image_bytes;
        self.image_bytes += bytes.len() as u64;
        match &mut self.form {
            Form::AsIs => self.add(at, segment.into()),
            Form::Qcow2(conversion) => {
                let (at, content) = conversion.data(segment)?;
                self.add(at, content)
            }
            Form::Elsewhere => Ok(()),
        }
    }

    /// Takes as many zeros.
    pub(super) fn zeros(&mut self, count: u64) -> Result<(), Stop> {
        if let Some(passage) = &mut self.passage {
            passage.zeros(count)?;
        }
        if let Some(hasher) = &mut self.hasher {
            let mut left = count;
            while left > 0 {
                let now = left.min(BLOCK_SIZE as u64);
                hasher.update(&ZEROS[..now as usize]);
                left -= now;
            }
        }
        let at = self.image_bytes;
        self.image_bytes += count;
        match &mut self.form {
            Form::AsIs => self.add(at, Segment::Zeros(count).into()),
            Form::Qcow2(conversion) => Ok(conversion.zeros(count)?),
            Form::Elsewhere => Ok(()),
        }
    }

    /// Lets out what was told, without waiting for more.
    pub(super) fn flush(&mut self) -> Result<(), Stop> {
        let Some((at, content)) = self.batch.take() else { return Ok(()) };
        self.held_bytes += content.len();
        self.held_back.push(Supplied::Content { at, content, passed: self.image_bytes });
        let holds = self.passage.as_ref().is_some_and(|passage| passage.holds());
        if holds && self.held_bytes < self.most_held {
            return Ok(());
        }
        self.let_go()
    }

    fn let_go(&mut self) -> Result<(), Stop> {
        self.held_bytes = 0;
        std::mem::take(&mut self.held_back).into_iter().try_for_each(|supplied| self.send(supplied))
    }

    fn send(&self, supplied: Supplied) -> Result<(), Stop> {
        self.out.blocking_send(Ok(supplied)).map_err(|_| Stop::Unwanted)
    }

    /// Ends the image, or reports why no object can be made of it.
    pub(super) fn conclude(mut self, told: Result<(), Stop>) {
        if let Err(Stop::Failed(source)) = told.and_then(|()| self.end()) {
            // If nobody listens any more, nobody wants to know.
            let _ = self.out.blocking_send(Err(SupplyError { offset: self.image_bytes, source }));
        }
    }

    fn end(&mut self) -> Result<(), Stop> {
        if let Some(mut passage) = self.passage.take() {
            passage.end()?;
        }
        let mut length = self.image_bytes;
        if let Form::Qcow2(conversion) = std::mem::replace(&mut self.form, Form::Elsewhere) {
            let (rest, object_length) = conversion.end(self.image_bytes)?;
            length = object_length;
            for (at, content) in rest {
                self.flush()?;
                self.add(at, content)?;
            }
        }
        self.flush()?;
        self.let_go()?;
        let sha256 = self.hasher.take().map(|hasher| Sha256(hasher.finalize().into()));
        self.send(Supplied::End { length, image: Image { bytes: self.image_bytes, sha256 } })
    }

    fn add(&mut self, at: u64, content: Content) -> Result<(), Stop> {
        if content.len() == 0 {
            return Ok(());
        }
        match &mut self.batch {
            Some((start, batch)) if *start + batch.len() == at && batch.len() < BATCH => {
                batch.extend(content)
            }
            _ => {
                self.flush()?;
                self.batch = Some((at, content));
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Maker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Maker").field("image_bytes", &self.image_bytes).finish_non_exhaustive()
    }
}
