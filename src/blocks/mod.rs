//! Blocks: the memory in which bytes travel from a source to wherever they go.
//!
//! All that is read of an image, for sending or for its checksum alone, passes through blocks of one pool, so that
//! one limit bounds the memory of everything that a process does.

mod content;
pub(crate) mod digest;
mod limits;
mod machine;
mod reader;
mod zeros;

pub(crate) use content::{Content, Segment};
pub use limits::{BLOCK_SIZE, DEFAULT_MAX_MEMORY, Limits, MIN_BANDWIDTH};
pub use machine::HostLimits;
pub(crate) use reader::{ContentReader, ZEROS, located};
pub(crate) use zeros::is_zero;
