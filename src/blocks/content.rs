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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::read::{ReadAt, ReadError};
    use crate::source::SourceIdentity;

    /// A source of which only the places are looked at.
    #[derive(Debug)]
    struct Places;

    impl ReadAt for Places {
        fn length(&self) -> u64 {
            u64::MAX
        }

        fn read_at(&self, _offset: u64, _buffer: &mut [u8]) -> Result<(), ReadError> {
            unreachable!("a value is not read")
        }
    }

    impl Source for Places {
        fn identity(&self) -> Option<&SourceIdentity> {
            None
        }

        fn current_identity(&self) -> std::io::Result<Option<SourceIdentity>> {
            Ok(None)
        }
    }

    /// What one byte of content is.
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Byte {
        Zero,
        Held(u8),
        At(usize, u64),
    }

    fn model(sources: &[Arc<dyn Source>; 2], mut content: Content) -> Vec<Byte> {
        let mut bytes = Vec::new();
        while let Some(segment) = content.pop() {
            match segment {
                Segment::Zeros(count) => bytes.extend((0..count).map(|_| Byte::Zero)),
                Segment::Held(held) => bytes.extend(held.iter().map(|byte| Byte::Held(*byte))),
                Segment::Read(source, range) => {
                    let which = sources.iter().position(|known| Arc::ptr_eq(known, &source)).unwrap();
                    bytes.extend((range.start..range.end).map(|at| Byte::At(which, at)));
                }
            }
        }
        assert_eq!(content.len(), 0);
        bytes
    }

    /// Kind, source, place and length of a segment.
    fn segments() -> impl Strategy<Value = Vec<(u8, usize, u64, u64)>> {
        prop::collection::vec((0u8..3, 0usize..2, 0u64..4, 0u64..5), 0..12)
    }

    fn build(sources: &[Arc<dyn Source>; 2], segments: &[(u8, usize, u64, u64)]) -> (Content, Vec<Byte>) {
        let (mut content, mut bytes) = (Content::default(), Vec::new());
        for (kind, which, at, count) in segments {
            let segment = match kind {
                0 => Segment::Zeros(*count),
                1 => Segment::Held((0..*count as u8).collect()),
                _ => Segment::Read(Arc::clone(&sources[*which]), ByteRange::new(*at, at + count)),
            };
            bytes.extend(model(sources, segment.clone().into()));
            content.push(segment);
        }
        (content, bytes)
    }

    #[test]
    fn what_follows_in_one_source_becomes_one_segment() {
        let sources: [Arc<dyn Source>; 2] = [Arc::new(Places), Arc::new(Places)];
        let read =
            |which: usize, start, end| Segment::Read(Arc::clone(&sources[which]), ByteRange::new(start, end));
        let count = |segments: Vec<Segment>| {
            let mut content = Content::default();
            segments.into_iter().for_each(|segment| content.push(segment));
            std::iter::from_fn(|| content.pop()).count()
        };
        assert_eq!(
            count(vec![read(0, 3, 7), read(0, 7, 9), Segment::Zeros(0), read(0, 9, 9), read(0, 9, 10)]),
            1
        );
        assert_eq!(count(vec![read(0, 3, 7), read(1, 7, 9)]), 2, "of another source");
        assert_eq!(count(vec![read(0, 3, 7), read(0, 8, 9)]), 2, "there is a gap");
        assert_eq!(count(vec![Segment::Zeros(3), Segment::Zeros(u64::MAX - 3)]), 1);
    }

    proptest! {
        #[test]
        fn slices_and_joints_are_those_of_plain_bytes(first in segments(), second in segments(), a: u16, b: u16) {
            let sources: [Arc<dyn Source>; 2] = [Arc::new(Places), Arc::new(Places)];
            let ((mut content, mut bytes), (follows, more)) = (build(&sources, &first), build(&sources, &second));
            content.extend(follows);
            bytes.extend(more);
            prop_assert_eq!(content.len(), bytes.len() as u64);
            let inside = |at: u16| u64::from(at) % (content.len() + 1);
            let range = ByteRange::new(inside(a).min(inside(b)), inside(a).max(inside(b)));
            let slice = content.slice(range);
            prop_assert_eq!(slice.len(), range.len());
            prop_assert_eq!(&model(&sources, slice), &bytes[range.start as usize..range.end as usize]);
            prop_assert_eq!(model(&sources, content), bytes);
        }
    }
}
