//! A fleet of images as a file: what is to be in the account, compared with what is there, and made so.

mod file;
mod place;
mod read;
mod text;

pub use file::{Entry, ImportSettings, Name, Regions, Removed, Retention, Source, SyncFile};
pub use place::FileError;
#[cfg(feature = "cli")]
pub use text::schema;

/// The key of the tag that says of which fleet and entry an image is: `FLEET/ENTRY`.
pub const ENTRY_TAG: &str = "ossup:entry";
/// The key of the tag that says what an image is made of.
pub const CONTENT_TAG: &str = "ossup:content";
