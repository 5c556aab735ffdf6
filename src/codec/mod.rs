//! Decoders of compressed bytes, without I/O: each takes a piece of input and fills a piece of output.
//!
//! Why these libraries, and what each takes of memory, is told by [`unpack`](crate::unpack).

mod block;
pub(crate) mod bzip2;
pub(crate) mod gzip;
pub(crate) mod lz4;
pub(crate) mod lz4_legacy;
pub(crate) mod lzma;
pub(crate) mod xz;
pub(crate) mod zstandard;

/// A decoder for one format.
pub(crate) trait Codec: Send {
    /// Takes from `input` and fills `out`. It is called until it takes and gives nothing; `end` says that nothing
    /// follows `input`. Nothing is called after a fault.
    fn step(&mut self, input: &[u8], out: &mut [u8], end: bool) -> Result<Step, Fault>;

    /// Whether what was taken so far is a whole file.
    fn is_whole(&self) -> bool;
}

/// What a decoder did.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Step {
    /// Bytes of the input that are done with.
    pub(crate) taken: usize,
    /// Bytes of the output that are filled.
    pub(crate) given: usize,
}

/// Why a decoder does not go on.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The data or a checksum is wrong.
    Damaged(String),
    /// What follows a whole file is neither another one nor padding.
    Garbage,
    /// The data needs more memory than allowed.
    Memory { needed: Option<u64>, limit: u64 },
    /// The data is of a kind that is not supported.
    Unsupported(&'static str),
}
