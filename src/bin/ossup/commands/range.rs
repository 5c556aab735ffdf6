use bytes::Bytes;
use ossup::model::{ByteRange, ETag, ObjectRef};
use ossup::protocol::oss::GetObject;
use ossup::protocol::{DecodeError, Operation, Request, Response};

/// Reads a range of an object, at most some MiB, at once.
pub(crate) struct ReadRange {
    head: GetObject,
    range: ByteRange,
}

impl ReadRange {
    /// Reads a range of the version with this tag.
    pub(crate) fn of_version(object: ObjectRef, etag: Option<ETag>, range: ByteRange) -> Self {
        let mut read = Self::new(object, range);
        read.head.etag = etag;
        read
    }

    pub(crate) fn new(object: ObjectRef, range: ByteRange) -> Self {
        let mut head = GetObject::new(object);
        head.range = Some(range);
        Self { head, range }
    }
}

impl Operation for ReadRange {
    type Output = Bytes;

    fn name(&self) -> &'static str {
        self.head.name()
    }

    fn request(&self) -> Request {
        self.head.request()
    }

    fn decode(&self, answer: &Response) -> Result<Bytes, DecodeError> {
        let head = self.head.decode(answer)?;
        if head.range != self.range || answer.body.len() as u64 != self.range.len() {
            return Err(DecodeError::new(self.name(), "has fewer bytes than the requested range"));
        }
        Ok(answer.body.clone())
    }
}
