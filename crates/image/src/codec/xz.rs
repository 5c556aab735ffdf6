//! xz: streams of blocks, which several threads decode where the blocks say their sizes, as `xz -T` writes them.

use liblzma::stream::{Action, Error, MtStreamBuilder, Status, Stream};

use super::{Codec, Fault, Step};

/// Where in the stream's header stands which check the blocks have.
const CHECK_AT: u64 = 7;
/// Checks that are verified: none, CRC-32, CRC-64, SHA-256. The format reserves numbers for others.
const CHECKS: [u8; 4] = [0, 1, 4, 10];

/// Where the decoder is.
enum State {
    Stream(Stream),
    /// Behind a stream, and behind so many bytes of padding (modulo 4).
    Between(u8),
}

/// Decoder for xz. Blocks' checks, indexes and footers are checked by the library.
pub struct Xz {
    state: State,
    threads: u32,
    memory: u64,
}

impl Xz {
    /// Decodes on `threads` threads at most, fewer where they would take more than `memory` bytes.
    pub fn new(threads: u32, memory: u64) -> Result<Self, Fault> {
        Ok(Self { state: State::Stream(stream(threads, memory)?), threads, memory })
    }
}

fn stream(threads: u32, memory: u64) -> Result<Stream, Fault> {
    let mut builder = MtStreamBuilder::new();
    builder.threads(threads).memlimit_threading(memory).memlimit_stop(memory);
    builder.decoder().map_err(|error| fault(error, memory))
}

fn fault(error: Error, limit: u64) -> Fault {
    match error {
        Error::MemLimit | Error::Mem => Fault::Memory { needed: None, limit },
        Error::Options => {
            Fault::Unsupported("xz data with filters or options that the library does not know")
        }
        Error::Format => Fault::Damaged("this is no header of a stream".to_owned()),
        Error::Data => Fault::Damaged("the data or a checksum is wrong".to_owned()),
        other => Fault::Damaged(other.to_string()),
    }
}

impl Codec for Xz {
    fn step(&mut self, input: &[u8], out: &mut [u8], end: bool) -> Result<Step, Fault> {
        match &mut self.state {
            State::Stream(stream) => {
                let (before_in, before_out) = (stream.total_in(), stream.total_out());
                let check = CHECK_AT.checked_sub(before_in).and_then(|at| input.get(at as usize));
                let action = if end { Action::Finish } else { Action::Run };
                let status = stream.process(input, out, action).map_err(|error| fault(error, self.memory))?;
                if check.is_some_and(|check| !CHECKS.contains(check)) {
                    return Err(Fault::Unsupported("xz data with a check that cannot be verified"));
                }
                let step = Step {
                    taken: (stream.total_in() - before_in) as usize,
                    given: (stream.total_out() - before_out) as usize,
                };
                if status == Status::StreamEnd {
                    self.state = State::Between(0);
                }
                Ok(step)
            }
            State::Between(padding) => match input.first() {
                Some(0) => {
                    let zeros = input.iter().take_while(|byte| **byte == 0).count();
                    *padding = ((usize::from(*padding) + zeros) % 4) as u8;
                    Ok(Step { taken: zeros, given: 0 })
                }
                Some(0xFD) if *padding == 0 => {
                    self.state = State::Stream(stream(self.threads, self.memory)?);
                    Ok(Step::default())
                }
                Some(_) => Err(Fault::Garbage),
                None if end && *padding != 0 => Err(Fault::Garbage),
                None => Ok(Step::default()),
            },
        }
    }

    fn is_whole(&self) -> bool {
        matches!(self.state, State::Between(0))
    }
}
