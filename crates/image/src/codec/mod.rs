//! Decoders of compressed bytes, without I/O: each takes a piece of input and fills a piece of output.
//!
//! Why these libraries, and what each takes of memory, is told by the module `unpack` of the crate `ossup`.

mod block;
pub mod bzip2;
pub mod gzip;
pub mod lz4;
pub mod lz4_legacy;
pub mod lzma;
pub mod xz;
pub mod zstandard;

/// A decoder for one format.
pub trait Codec: Send {
    /// Takes from `input` and fills `out`. It is called until it takes and gives nothing; `end` says that nothing
    /// follows `input`. Nothing is called after a fault.
    fn step(&mut self, input: &[u8], out: &mut [u8], end: bool) -> Result<Step, Fault>;

    /// Whether what was taken so far is a whole file.
    fn is_whole(&self) -> bool;
}

/// What a decoder did.
#[derive(Debug, Clone, Copy, Default)]
pub struct Step {
    /// Bytes of the input that are done with.
    pub taken: usize,
    /// Bytes of the output that are filled.
    pub given: usize,
}

/// Why a decoder does not go on.
#[derive(Debug)]
pub enum Fault {
    /// The data or a checksum is wrong.
    Damaged(String),
    /// What follows a whole file is neither another one nor padding.
    Garbage,
    /// The data needs more memory than allowed.
    Memory {
        /// Bytes that the stream asks for, if that is known.
        needed: Option<u64>,
        /// Bytes that were granted.
        limit: u64,
    },
    /// The data is of a kind that is not supported.
    Unsupported(&'static str),
}
