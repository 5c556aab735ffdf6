//! A fleet of images as a file: what is to be in the account, compared with what is there, and made so.
//!
//! [`SyncFile::parse`] reads the file; [`plan()`] compares an entry with what was seen of the account, and is pure;
//! [`Fleet`] looks, plans and makes the changes, through `publish`, `import` and `manage`. Nothing is kept on this machine
//! that is needed: an image says by its tags of which entry it is and what it is made of, and an object by its key. What
//! the state directory has of uploads only spares sending them again.
//!
//! An image that does not carry the tags is never changed. Where one has a name that an entry needs, nothing at all is
//! changed.

mod account;
mod agreed;
mod apply;
mod change;
mod error;
mod file;
mod look;
mod maker;
mod place;
mod plan;
mod read;
mod run;
mod tagged;
#[cfg(all(test, feature = "emulator"))]
mod tests;
mod text;

pub use account::{Account, Goal, Seen};
pub use change::{Action, Change, Conflict, Reason, Step};
pub use error::{ChangeError, SyncError};
pub use file::{Entry, Form, ImportSettings, Name, Regions, Removed, Retention, Source, SyncFile};
pub use maker::{MakeError, Maker, Order};
pub use place::FileError;
pub use plan::{plan, plan_removed};
pub use run::{Fleet, FleetPlan, SyncReport, Told};
#[cfg(feature = "cli")]
pub use text::schema;

/// The key of the tag that says of which fleet and entry an image is: `FLEET/ENTRY`.
pub const ENTRY_TAG: &str = "ossup:entry";
/// The key of the tag that says that an image of this content was seen to boot.
pub const BOOTED_TAG: &str = "ossup:booted";
/// The key of the tag that says which of an image's tags the file has asked for.
pub const TAGS_TAG: &str = "ossup:tags";
/// The key of the tag that says what an image is made of.
pub const CONTENT_TAG: &str = "ossup:content";
