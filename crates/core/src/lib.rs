//! What `ossup` and its emulator share, and nothing that only one of them knows.
//!
//! - [`model`] has the field's words as types, [`clock`] the time
//!   as an argument;
//! - [`read`] is how bytes are read at any position, whatever holds them;
//! - [`checksum`], [`credentials`], [`request`], [`uri`] and [`sign`] are pure;
//! - [`http`] is the seam to the network: [`http::Transport`], and the only code that opens sockets as a client.
//!
//! Use it through the crate `ossup`, which re-exports what is meant for others. Until 1.0 this crate may change in any
//! release.

pub mod credentials;
pub mod http;
pub mod model;
pub mod read;

// What the crates of `ossup` alone need of each other.
#[doc(hidden)]
pub mod checksum;
#[doc(hidden)]
pub mod clock;
#[doc(hidden)]
pub mod request;
#[doc(hidden)]
pub mod sign;
#[doc(hidden)]
pub mod uri;
