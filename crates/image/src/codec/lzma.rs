//! lzma: one stream of the format that came before xz, without a checksum.

use liblzma::stream::{Action, Error, Status, Stream};

use super::{Codec, Fault, Step};

/// Decoder for lzma.
pub struct Lzma {
    stream: Stream,
    memory: u64,
    ended: bool,
}

impl Lzma {
    /// Decodes with at most `memory` bytes, most of which the dictionary takes.
    pub fn new(memory: u64) -> Result<Self, Fault> {
        let stream = Stream::new_lzma_decoder(memory).map_err(|error| fault(error, memory))?;
        Ok(Self { stream, memory, ended: false })
    }
}

fn fault(error: Error, limit: u64) -> Fault {
    match error {
        Error::MemLimit | Error::Mem => Fault::Memory { needed: None, limit },
        Error::Format => Fault::Damaged("this is no header of a stream".to_owned()),
        Error::Data => Fault::Damaged("the data is wrong".to_owned()),
        other => Fault::Damaged(other.to_string()),
    }
}

impl Codec for Lzma {
    fn step(&mut self, input: &[u8], out: &mut [u8], end: bool) -> Result<Step, Fault> {
        if self.ended {
            return if input.is_empty() { Ok(Step::default()) } else { Err(Fault::Garbage) };
        }
        let (before_in, before_out) = (self.stream.total_in(), self.stream.total_out());
        let action = if end { Action::Finish } else { Action::Run };
        let status = self.stream.process(input, out, action).map_err(|error| fault(error, self.memory))?;
        self.ended = status == Status::StreamEnd;
        Ok(Step {
            taken: (self.stream.total_in() - before_in) as usize,
            given: (self.stream.total_out() - before_out) as usize,
        })
    }

    fn is_whole(&self) -> bool {
        self.ended
    }
}
