//! Uploads big machine images to Alibaba Cloud OSS and imports them into ECS.
//!
//! The flow is the map of the crate; each arrow is a type:
//!
//! ```text
//! file, device, web ──→ Source ─┐
//! pipe ────unpack───→ Stream ─┴─supply→ Content ─┐
//!                     Plan ─session→ Session ─┴─transfer→ PartList ─complete→ StoredObject
//!
//! StoredObject ─url→ ObjectUrl,  StoredObject ─import→ ImportTask
//! ```
//!
//! [`upload::Upload`] runs the stages of the upload in order. The crates `ossup-core` (words, edges, signatures),
//! `ossup-image` and `ossup-emulator` are re-exported here under their modules' names. What stands beside the flow:
//!
//! - [`model`] has the field's words as types, [`event`] what the pipeline reports while it works;
//! - [`checksum`], [`checksum_file`], [`credentials`], [`plan`], [`retry`] and [`protocol`] are pure;
//! - [`read`] is how bytes are read at any position, whatever holds them;
//! - `supply` says what an object is made of, in the order in which that becomes known: a source as it is, what a
//!   stream gives, a RAW disk as QCOW2;
//! - [`unpack`] takes compression and archives off a stream;
//! - [`source`], [`state`] and [`http`] are the edges: files, the state that survives a run, sockets; all that is
//!   read of a source passes through the blocks of [`transfer::Limits`];
//! - [`web`] reads images from the web;
//! - [`image`] says what a disk image is, what is inside it, and whether ECS can import it;
//! - [`boot`] says how an image is started on this machine, and what to make of what is seen of it; [`boot_test`] starts
//!   an instance of it on the cloud;
//! - [`client`] joins protocol, transport and retries: the only retry loop for every service.
//!
//! The library prints nothing, reads no environment variable and no home directory. It works on any tokio
//! runtime. Dropping a future cancels it: no task outlives it but one read of the source, and what the
//! journal says stays true.
//!
//! # Example
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use ossup::client::{Client, ClientOptions};
//! use ossup::credentials::{Credentials, StaticCredentials};
//! use ossup::http::{HttpOptions, HttpTransport};
//! use ossup::model::{Endpoint, EndpointKind, Region};
//! use ossup::source::FileSource;
//! use ossup::upload::Upload;
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let region: Region = "cn-hangzhou".parse()?;
//! let client = Client::new(ClientOptions::new(
//!     Endpoint::for_region(&region, EndpointKind::Public),
//!     region,
//!     Arc::new(StaticCredentials::new(Credentials::new("ID", "SECRET"))),
//!     Arc::new(HttpTransport::new(HttpOptions::default())?),
//! ));
//! let source = Arc::new(FileSource::open("disk.qcow2")?);
//! let report = Upload::new(client, source, "oss://images/disk.qcow2".parse()?)
//!     .with_state_dir("/var/lib/builder/ossup")
//!     .run()
//!     .await?;
//! assert!(report.stored.crc64.is_some());
//! # Ok(())
//! # }
//! ```

mod blocks;
pub mod boot_test;
mod cancel;
pub mod client;
mod error;
pub mod event;
pub mod import;
pub mod manage;
pub mod provider;
pub mod publish;
pub mod source;
mod supply;
pub mod upload;
pub mod url;
pub mod web;

// What the command and the tests need besides. It is not documented and may change in any release until 1.0.
#[doc(hidden)]
pub mod boot;
#[doc(hidden)]
pub mod checksum_file;
#[doc(hidden)]
pub mod complete;
#[doc(hidden)]
pub mod doctor;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzz;
#[doc(hidden)]
pub mod plan;
#[doc(hidden)]
pub mod protocol;
#[doc(hidden)]
pub mod retry;
#[doc(hidden)]
pub mod session;
#[doc(hidden)]
pub mod state;
#[doc(hidden)]
pub mod sync;
#[doc(hidden)]
pub mod transfer;
#[doc(hidden)]
pub mod unpack;

pub use cancel::CancellationToken;
pub use error::ErrorKind;
#[doc(hidden)]
pub use ossup_core::{checksum, clock};
pub use ossup_core::{credentials, http, model, read};
#[cfg(feature = "emulator")]
pub use ossup_emulator as emulator;
pub use ossup_image as image;
