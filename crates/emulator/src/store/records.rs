use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::blob::BlobId;
use ossup_core::model::{BucketName, Crc64, ObjectKey, PartNumber, Region, UploadId};

/// A bucket and its settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BucketRecord {
    /// Its name.
    pub name: BucketName,
    /// Where it lives.
    pub region: Region,
    /// When it was made.
    pub created: Timestamp,
    /// The account that owns it.
    pub owner: String,
    /// The class of objects that name none: `Standard`, `IA`, `Archive`, …
    pub storage_class: String,
    /// `LRS` or `ZRS`.
    pub redundancy: String,
    /// `private`, `public-read` or `public-read-write`.
    pub acl: String,
    /// The default encryption of new objects.
    pub encryption: Option<Encryption>,
    /// Whether versions are kept; none if it never was switched on.
    pub versioning: Option<Versioning>,
    /// Whether public ACLs are refused and, where they are set, ignored.
    #[serde(default)]
    pub block_public_access: bool,
    /// The resource group.
    #[serde(default = "default_resource_group")]
    pub resource_group: String,
    /// Tags: key and value.
    #[serde(default)]
    pub tags: Vec<(String, String)>,
    /// Documents of settings that are kept and change nothing here, by their sub-resource: `cors`, `logging`.
    #[serde(default)]
    pub documents: BTreeMap<String, String>,
}

fn default_resource_group() -> String {
    "rg-acfmossupemulator".to_owned()
}

impl BucketRecord {
    /// Returns a private bucket of class `Standard` that blocks public access, as new ones do since 2025-10-13.
    pub fn new(name: BucketName, region: Region, created: Timestamp) -> Self {
        Self {
            name,
            region,
            created,
            owner: super::DEFAULT_OWNER.to_owned(),
            storage_class: "Standard".to_owned(),
            redundancy: "LRS".to_owned(),
            acl: "private".to_owned(),
            encryption: None,
            versioning: None,
            block_public_access: true,
            resource_group: default_resource_group(),
            tags: Vec::new(),
            documents: BTreeMap::new(),
        }
    }
}

/// Server-side encryption. The emulator names it and encrypts nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encryption {
    /// `AES256`, `KMS` or `SM4`.
    pub algorithm: String,
    /// The KMS key.
    pub key_id: Option<String>,
    /// `SM4` if KMS is to use it for the data.
    #[serde(default)]
    pub data_algorithm: Option<String>,
}

/// Whether a bucket keeps versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Versioning {
    /// New objects get a version id.
    Enabled,
    /// Switched on once, and off again.
    Suspended,
}

/// What a request says about the object that it makes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ObjectHeaders {
    pub(crate) content_type: Option<String>,
    /// Cache-Control, Content-Disposition, Content-Encoding, Expires and `x-oss-meta-*`, names in lower case.
    pub(crate) others: Vec<(String, String)>,
    pub(crate) storage_class: String,
    pub(crate) encryption: Option<Encryption>,
    /// Tags: key and value.
    #[serde(default)]
    pub(crate) tagging: Vec<(String, String)>,
    pub(crate) acl: Option<String>,
}

/// How an object was made; `x-oss-object-type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ObjectKind {
    Normal,
    Multipart,
    Appendable,
}

impl ObjectKind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Multipart => "Multipart",
            Self::Appendable => "Appendable",
        }
    }
}

/// An object without its bytes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ObjectRecord {
    pub(crate) key: ObjectKey,
    /// Bytes; the sum of the segments.
    pub(crate) size: u64,
    /// Without quotes.
    pub(crate) etag: String,
    pub(crate) crc: Option<Crc64>,
    /// Base64, of objects made by PutObject.
    pub(crate) content_md5: Option<String>,
    pub(crate) kind: ObjectKind,
    pub(crate) modified: Timestamp,
    pub(crate) headers: ObjectHeaders,
    pub(crate) version_id: Option<String>,
    /// Whether it stands for a deletion: it has neither bytes nor headers then.
    #[serde(default)]
    pub(crate) delete_marker: bool,
    /// Orders the versions of a key; the store sets it.
    #[serde(default)]
    pub(crate) sequence: u64,
    /// The upload that it was completed from: shows after a crash that the upload is over.
    pub(crate) upload_id: Option<UploadId>,
    pub(crate) segments: Vec<Segment>,
}

impl ObjectRecord {
    /// Returns the version id as requests name it.
    pub(crate) fn version(&self) -> &str {
        self.version_id.as_deref().unwrap_or(NULL_VERSION)
    }
}

/// The id of the version that an object has while its bucket keeps none.
pub(crate) const NULL_VERSION: &str = "null";

/// A run of an object's bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Segment {
    /// Bytes; never 0.
    pub(crate) len: u64,
    pub(crate) source: SegmentSource,
    /// MD5 and CRC of exactly these bytes where they are known, so that copying them costs no reading.
    pub(crate) sums: Option<Sums>,
}

/// Where a segment's bytes are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum SegmentSource {
    /// In a blob file from `offset` on.
    Blob {
        /// Which file.
        id: BlobId,
        /// Where in it, in bytes.
        offset: u64,
    },
    /// All zeros.
    Hole,
    /// Thrown away.
    Discarded,
}

/// Checksums of the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sums {
    /// None where bytes were thrown away.
    pub(crate) md5: Option<[u8; 16]>,
    pub(crate) crc: Crc64,
}

/// An open multipart upload.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct UploadRecord {
    pub(crate) id: UploadId,
    pub(crate) key: ObjectKey,
    pub(crate) initiated: Timestamp,
    pub(crate) headers: ObjectHeaders,
    /// Parts must arrive in order.
    pub(crate) sequential: bool,
}

/// A part of an open upload.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PartRecord {
    pub(crate) number: PartNumber,
    /// Bytes; the sum of the segments.
    pub(crate) size: u64,
    /// Without quotes.
    pub(crate) etag: String,
    pub(crate) crc: Option<Crc64>,
    pub(crate) modified: Timestamp,
    pub(crate) segments: Vec<Segment>,
}
