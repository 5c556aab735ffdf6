//! What a part is made of, as a value.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use crate::model::ByteRange;
use crate::source::Source;

/// Bytes that follow one another.
#[derive(Debug, Clone)]
pub(crate) enum Segment {
    /// A range of something that can be read as often as need be.
    Read(Arc<dyn Source>, ByteRange),
    /// Bytes that are held in memory until they are acknowledged, because they cannot be had again.
    Held(Bytes),
    /// As many zeros.
    Zeros(u64),
}

impl Segment {
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Read(_, range) => range.len(),
            Self::Held(bytes) => bytes.len() as u64,
            Self::Zeros(count) => *count,
        }
    }

    /// Returns the bytes from `start` to `end` of this segment.
    fn slice(&self, start: u64, end: u64) -> Self {
        match self {
            Self::Read(source, range) => {
                Self::Read(Arc::clone(source), ByteRange::new(range.start + start, range.start + end))
            }
            // What is held fits into memory, and so into `usize`.
            Self::Held(bytes) => Self::Held(bytes.slice(start as usize..end as usize)),
            Self::Zeros(_) => Self::Zeros(end - start),
        }
    }

    /// Appends `next` if both are one, and returns it if they are not.
    fn join(&mut self, next: Self) -> Option<Self> {
        match (self, next) {
            (Self::Read(source, range), Self::Read(other, follows))
                if Arc::ptr_eq(source, &other) && range.end == follows.start =>
            {
                range.end = follows.end;
                None
            }
            (Self::Zeros(count), Self::Zeros(more)) => {
                *count += more;
                None
            }
            (_, next) => Some(next),
        }
    }
}

/// Segments that follow one another. A clone refers to the same bytes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Content {
    segments: VecDeque<Segment>,
    length: u64,
}

impl Content {
    /// Returns the bytes of a range of a source.
    pub(crate) fn read(source: Arc<dyn Source>, range: ByteRange) -> Self {
        Segment::Read(source, range).into()
    }

    pub(crate) fn len(&self) -> u64 {
        self.length
    }

    /// Appends a segment.
    pub(crate) fn push(&mut self, segment: Segment) {
        if segment.len() == 0 {
            return;
        }
        self.length += segment.len();
        let next = match self.segments.back_mut() {
            Some(last) => last.join(segment),
            None => Some(segment),
        };
        self.segments.extend(next);
    }

    /// Appends what follows.
    pub(crate) fn extend(&mut self, follows: Self) {
        for segment in follows.segments {
            self.push(segment);
        }
    }

    /// Takes the next segment away from the front.
    pub(crate) fn pop(&mut self) -> Option<Segment> {
        let segment = self.segments.pop_front()?;
        self.length -= segment.len();
        Some(segment)
    }

    /// Returns the bytes from `range.start` to `range.end` of it.
    pub(crate) fn slice(&self, range: ByteRange) -> Self {
        let mut sliced = Self::default();
        let mut at = 0;
        for segment in &self.segments {
            let (start, end) = (range.start.max(at), range.end.min(at + segment.len()));
            if start < end {
                sliced.push(segment.slice(start - at, end - at));
            }
            at += segment.len();
            if at >= range.end {
                break;
            }
        }
        sliced
    }
}

impl From<Segment> for Content {
    fn from(segment: Segment) -> Self {
        let mut content = Self::default();
        content.push(segment);
        content
    }
}
