//! bzip2: streams one after the other, nothing behind the last.

use bzip2::{Decompress, Status};

use super::{Codec, Fault, Step};

/// Decoder for bzip2. The CRC of each block and stream is checked by the library.
pub struct Bzip2 {
    /// None between two streams.
    stream: Option<Decompress>,
}

impl Bzip2 {
    /// Begins at the start of a stream.
    pub fn begin() -> Self {
        Self { stream: Some(Decompress::new(false)) }
    }
}

impl Codec for Bzip2 {
    fn step(&mut self, input: &[u8], out: &mut [u8], _end: bool) -> Result<Step, Fault> {
        let Some(stream) = &mut self.stream else {
            match input.first() {
                None => {}
                Some(b'B') => *self = Self::begin(),
                Some(_) => return Err(Fault::Garbage),
            }
            return Ok(Step::default());
        };
        let (before_in, before_out) = (stream.total_in(), stream.total_out());
        let status = stream
            .decompress(input, out)
            .map_err(|error| Fault::Damaged(error.to_string().trim_start_matches("bzip2: ").to_owned()))?;
        let step = Step {
            taken: (stream.total_in() - before_in) as usize,
            given: (stream.total_out() - before_out) as usize,
        };
        match status {
            Status::StreamEnd => self.stream = None,
            Status::MemNeeded => return Err(Fault::Damaged("there is no memory for it".to_owned())),
            _ => {}
        }
        Ok(step)
    }

    fn is_whole(&self) -> bool {
        self.stream.is_none()
    }
}
