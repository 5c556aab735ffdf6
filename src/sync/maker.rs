//! What a fleet needs of its surroundings: sources that are opened, and what an image is made of.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

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

/// The files that were read, so that each is read once and a change is noticed.
#[derive(Debug, Default)]
pub(super) struct Files(Mutex<BTreeMap<PathBuf, (Mark, String)>>);

/// Length and time of modification of a file.
type Mark = (u64, Option<SystemTime>);

impl Files {
    fn known(&self) -> MutexGuard<'_, BTreeMap<PathBuf, (Mark, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the files of an entry that are not what they were when they were read.
    pub(super) fn changed(&self, entry: &Entry) -> Option<PathBuf> {
        let known = self.known();
        let sources = std::iter::once(&entry.source).chain(&entry.data_disks);
        let mut paths = sources.filter_map(|source| match source {
            Source::File(path) => Some(path),
            _ => None,
        });
        let is_changed = |path: &&PathBuf| {
            let now = std::fs::metadata(path).ok().map(|metadata| mark_of(&metadata));
            known.get(*path).is_some_and(|(then, _)| now.as_ref() != Some(then))
        };
        paths.find(is_changed).cloned()
    }

    async fn identity(&self, path: &Path) -> Result<String, SyncError> {
        let failed = |source| SyncError::Read { path: path.to_owned(), source };
        let mark = mark_of(&std::fs::metadata(path).map_err(failed)?);
        if let Some((_, identity)) = self.known().get(path).filter(|(then, _)| *then == mark) {
            return Ok(identity.clone());
        }
        let file = path.to_owned();
        let read = tokio::task::spawn_blocking(move || file_identity(&file));
        let identity = read.await.expect("reading a file does not panic").map_err(failed)?;
        self.known().insert(path.to_owned(), (mark, identity.clone()));
        Ok(identity)
    }
}

fn mark_of(metadata: &Metadata) -> Mark {
    (metadata.len(), metadata.modified().ok())
}

/// Returns what the image of an entry is made of: 32 hexadecimal digits that follow from the content of its sources and
/// from what is asked of ImportImage.
pub(super) async fn content_of(
    client: &Client,
    files: &Files,
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
        (source, _) => identity(client, files, source).await?,
    };
    text += &system;
    for disk in &entry.data_disks {
        text += &format!("\n{}", identity(client, files, disk).await?);
    }
    let digest = Sha256::digest(text);
    Ok(digest[..16].iter().map(|byte| format!("{byte:02x}")).collect())
}

async fn identity(client: &Client, files: &Files, source: &Source) -> Result<String, SyncError> {
    match source {
        Source::Object(object) => object_identity(client, object).await,
        Source::File(path) => files.identity(path).await,
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
fn file_identity(path: &Path) -> io::Result<String> {
    const AT_ONCE: usize = 1 << 20;
    let mut file = std::fs::File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file: a fleet is made of what can be read again"));
    }
    let (mut hasher, mut length, mut buffer) = (Hasher::new(), 0u64, vec![0; AT_ONCE]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(format!("bytes {length} {}", hasher.value())),
            count => {
                hasher.update(&buffer[..count]);
                length += count as u64;
            }
        }
    }
}
