//! Uploads big machine images to Alibaba Cloud OSS and imports them into ECS.

pub mod checksum;
pub mod clock;
pub mod credentials;
#[cfg(feature = "emulator")]
pub mod emulator;
pub mod http;
pub mod image;
pub mod model;
pub mod plan;
pub mod protocol;
pub mod retry;
pub mod source;
pub mod state;
pub mod url;
