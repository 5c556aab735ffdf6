//! gzip (RFC 1952): members one after the other, and zeros behind the last, as tapes and block devices pad.

use flate2::{Decompress, FlushDecompress, Status};

use super::{Codec, Fault, Step};

/// The largest window that the format knows (32 KiB).
const WINDOW_BITS: u8 = 15;

/// Where the decoder is.
enum State {
    Member(Box<Decompress>),
    Between,
    Padding,
}

/// Decoder for gzip. Header, CRC-32 and length of each member are checked by zlib.
pub struct Gzip {
    state: State,
}

impl Gzip {
    /// Begins at the start of a stream.
    pub fn begin() -> Self {
        Self { state: State::Member(Box::new(Decompress::new_gzip(WINDOW_BITS))) }
    }
}

impl Codec for Gzip {
    fn step(&mut self, input: &[u8], out: &mut [u8], _end: bool) -> Result<Step, Fault> {
        match &mut self.state {
            State::Member(member) => {
                let (before_in, before_out) = (member.total_in(), member.total_out());
                let status = member
                    .decompress(input, out, FlushDecompress::None)
                    .map_err(|error| Fault::Damaged(error.to_string()))?;
                let step = Step {
                    taken: (member.total_in() - before_in) as usize,
                    given: (member.total_out() - before_out) as usize,
                };
                if status == Status::StreamEnd {
                    self.state = State::Between;
                }
                Ok(step)
            }
            State::Between => {
                match input.first() {
                    None => {}
                    Some(0x1F) => *self = Self::begin(),
                    Some(0) => self.state = State::Padding,
                    Some(_) => return Err(Fault::Garbage),
                }
                // Nothing is taken: the driver asks again.
                Ok(Step::default())
            }
            State::Padding if input.iter().all(|byte| *byte == 0) => {
                Ok(Step { taken: input.len(), given: 0 })
            }
            State::Padding => Err(Fault::Garbage),
        }
    }

    fn is_whole(&self) -> bool {
        !matches!(self.state, State::Member(_))
    }
}
