//! What a fleet needs of its surroundings: sources that are opened, and what an image is made of.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::error::SyncError;
use super::file::{Entry, Source};
use crate::checksum::Hasher;
use crate::client::Client;
use crate::credentials::BoxFuture;
use crate::import::Tag;
use crate::model::{BucketName, ObjectRef};
use crate::protocol::oss::HeadObject;
use crate::publish::Publish;
use crate::web::WebUrl;

/// An error of what is around the library.
pub type MakeError = Box<dyn std::error::Error + Send + Sync>;

/// Opens sources. What is sent and asked for goes through the publish that it returns.
pub trait Maker: Send + Sync {
    /// Returns what a file on the web is known by: another text means that there is something new.
    fn version_of<'a>(&'a self, url: &'a WebUrl) -> BoxFuture<'a, Result<String, MakeError>>;

    /// Returns the publish that uploads what is to be uploaded and imports it, with nothing that follows the import.
    fn publish<'a>(&'a self, order: Order<'a>) -> BoxFuture<'a, Result<Publish, MakeError>>;
}

/// An image that is to be made.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Order<'a> {
    /// What of.
    pub entry: &'a Entry,
    /// Its name.
    pub name: String,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// The bucket that files are uploaded to.
    pub bucket: BucketName,
    /// What the keys of their objects begin with; another content has another.
    pub folder: String,
}

/// Returns what the image of an entry is made of: 32 hexadecimal digits that follow from the content of its sources and
/// from what is asked of ImportImage.
pub(super) async fn content_of(
    client: &Client,
    maker: &dyn Maker,
    entry: &Entry,
) -> Result<String, SyncError> {
    let mut text = format!("{}\n", serde_json::to_string(&entry.import).expect("settings are plain data"));
    let system = match (&entry.source, entry.sha256) {
        // What is declared is what will be there, or nothing is made.
        (Source::Web(_), Some(sha256)) => format!("sha256 {sha256}"),
        (Source::Web(url), None) => {
            let version = maker.version_of(url).await;
            let (entry, url) = (entry.key.clone(), url.to_string());
            format!("web {url} {}", version.map_err(|source| SyncError::Make { entry, source })?)
        }
        (source, _) => identity(client, source).await?,
    };
    text += &system;
    for disk in &entry.data_disks {
        text += &format!("\n{}", identity(client, disk).await?);
    }
    let digest = Sha256::digest(text);
    Ok(digest[..16].iter().map(|byte| format!("{byte:02x}")).collect())
}

async fn identity(client: &Client, source: &Source) -> Result<String, SyncError> {
    match source {
        Source::Object(object) => object_identity(client, object).await,
        Source::File(path) => {
            let path = path.clone();
            let read = tokio::task::spawn_blocking(move || file_identity(&path));
            read.await.expect("reading a file does not panic")
        }
        Source::Web(url) => unreachable!("a disk of the web is known by its version: {url}"),
    }
}

async fn object_identity(client: &Client, object: &ObjectRef) -> Result<String, SyncError> {
    let head = client.call(&HeadObject::new(object.clone())).await;
    let version = match head {
        Ok(head) => head.version(),
        Err(source) => return Err(SyncError::Object { object: object.clone(), source: Box::new(source) }),
    };
    let tag = version.etag.as_ref().map(|etag| etag.unquoted().to_ascii_uppercase());
    // The same bytes, stored again, are the same. Without a tag only the time tells them apart.
    let content = match (version.crc64, tag) {
        (Some(crc64), _) => crc64.to_string(),
        (None, Some(tag)) => tag,
        (None, None) => version.last_modified.map(|at| at.to_string()).unwrap_or_default(),
    };
    Ok(format!("bytes {} {content}", version.size))
}

/// Reads a file, and returns its length and checksum. An object of the same bytes is the same.
fn file_identity(path: &Path) -> Result<String, SyncError> {
    const AT_ONCE: usize = 1 << 20;
    let failed = |source| SyncError::Read { path: PathBuf::from(path), source };
    let mut file = std::fs::File::open(path).map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(failed(std::io::Error::other(
            "it is no regular file: a fleet is made of what can be read again",
        )));
    }
    let (mut digest, mut length, mut buffer) = (Hasher::new(), 0u64, vec![0; AT_ONCE]);
    loop {
        match file.read(&mut buffer).map_err(failed)? {
            0 => return Ok(format!("bytes {length} {}", digest.value())),
            count => {
                digest.update(&buffer[..count]);
                length += count as u64;
            }
        }
    }
}
