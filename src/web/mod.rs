//! Files on the web: images that are read with HTTP, and the checksum files beside them.
//!
//! [`WebObject::open`] follows redirects and learns what the server tells of the file. If it serves ranges and tells
//! versions apart, [`WebObject::by_ranges`] gives a [`WebSource`], which is read at any position over any number
//! of connections; else the file is a stream from its beginning over one connection.
//!
//! Requests go through the same transport as those to the services, and so through the same proxy and with the same
//! trust. They are never signed. A user and a password in the URL go to the server that they were given for alone;
//! neither they nor the query, which may be a signature, are shown anywhere.
//!
//! No answer is believed that does not fit the one before: each request for a range is made for the version of the
//! file that was opened, and what comes is compared with it, so that bytes of two versions are never mixed. A
//! connection that breaks or falls silent is replaced, and the next one goes on with the first byte that is missing,
//! until nothing new has arrived for [`WebOptions::retry_timeout`].

mod address;
mod error;
mod fetch;
mod head;
mod object;
mod options;
mod reader;
mod source;
mod stream;
#[cfg(test)]
mod tests;

pub use address::{BadRedirect, InvalidWebUrl, WebUrl};
pub use error::WebError;
pub use head::Version;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use head::read_in_every_way;
pub use object::WebObject;
pub use options::{DEFAULT_FIRST_CONTACT, DEFAULT_RETRY_TIMEOUT, DEFAULT_STALL_TIMEOUT, WebOptions};
pub use reader::WebReader;
pub use source::WebSource;
