//! What is ours. The one rule, for images and copies alike.
//!
//! An image is the result of a request that we made if, and only if,
//!
//! - the service answered that request with the image's id, also when it is repeated with the same ClientToken; or
//! - the image has the name that we asked for and carries, in the tag [`ORIGIN_TAG`], the [`Origin`] of that request,
//!   which the request set.
//!
//! A name that fits proves nothing, nor does the key of the object that an image was imported from: both are
//! used again and again. What cannot be proved is refused; it is neither returned nor changed nor deleted.
//!
//! The origin of an import names the request and the very [versions](ObjectVersion) of the objects that were there
//! when it was made, so it is another one once an object was written again. Where too little is known of the objects,
//! it names the ClientToken, which only the process that wrote it down can know. The origin of a copy names the
//! image that is copied. Both need no state to be recognised: the same command on another machine finds its image.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::{CopyRequest, CustomImage, ImportError, ImportRequest, Tag};
use crate::model::{ClientToken, ObjectVersion, Origin, Region};
use crate::protocol::ecs::CopyImage;

/// The key of the tag by which an image is recognised.
pub const ORIGIN_TAG: &str = "ossup:origin";
/// Most tags that a request can have.
const MAX_TAGS: usize = 20;

impl ImportRequest {
    /// Returns the origin of an image that this request makes of objects in these versions, by their names.
    /// Nothing if too little is known of one of them.
    pub fn origin(&self, objects: &BTreeMap<String, ObjectVersion>) -> Option<Origin> {
        let mut source = String::new();
        for disk in self.disks() {
            let version = objects.get(&disk.object.to_string())?;
            let stored = version.last_modified?;
            // The tag rather than the checksum: a gateway may drop what it does not know.
            let content = match (&version.etag, version.crc64) {
                (Some(etag), _) => etag.unquoted().to_ascii_uppercase(),
                (None, Some(crc64)) => crc64.to_string(),
                (None, None) => return None,
            };
            source += &format!("{}\n{}\n{}\n{content}\n", disk.object, version.size, stored.as_second());
        }
        Some(Origin::new(&self.digest(), &digest("objects", &source)))
    }

    /// Returns the origin of an image that this request makes with this token.
    pub fn origin_of_token(&self, token: &ClientToken) -> Origin {
        Origin::new(&self.digest(), &digest("token", token.as_str()))
    }

    /// Whether an image was made by the same request, maybe of other objects or of older versions of them.
    pub(crate) fn may_have_made(&self, image: &CustomImage) -> bool {
        image.name.as_deref() == Some(self.name())
            && origin_of(image).is_some_and(|origin| origin.request() == self.digest())
    }

    fn digest(&self) -> String {
        digest("import", &serde_json::to_string(self).expect("a request is plain data"))
    }
}

impl CopyRequest {
    /// Returns the origin of the copy that this request makes.
    pub fn origin(&self) -> Origin {
        let operation: &CopyImage = self.operation();
        let request = serde_json::to_string(operation).expect("a request is plain data");
        let source = format!("{}\n{}", operation.region, operation.image_id);
        Origin::new(&digest("copy", &request), &digest("image", &source))
    }
}

/// Returns the error that names the image that has the name.
pub(super) fn taken(region: &Region, name: &str, image: CustomImage) -> ImportError {
    let (name, region) = (name.to_owned(), region.clone());
    ImportError::NameTaken { name, region, image_id: image.image_id, status: image.status }
}

/// Adds the origin to the tags of a request. Where the caller's tags leave no room it is left out, and the
/// ClientToken's answer is all that proves anything. Returns whether it is in.
pub(super) fn mark(tags: &mut Vec<Tag>, origin: &Origin) -> bool {
    let fits = tags.len() < MAX_TAGS && tags.iter().all(|tag| !tag.key.eq_ignore_ascii_case(ORIGIN_TAG));
    if fits {
        tags.push(Tag { key: ORIGIN_TAG.to_owned(), value: origin.to_string() });
    }
    fits
}

/// Whether an image of the right name is the result of the request of this origin.
pub(super) fn is_of(image: &CustomImage, origin: &Origin) -> bool {
    origin_of(image).is_some_and(|found| found == *origin)
}

/// Whether an image was made by some request of ours.
pub(crate) fn has_origin(image: &CustomImage) -> bool {
    origin_of(image).is_some()
}

fn origin_of(image: &CustomImage) -> Option<Origin> {
    let tag = image.tag(ORIGIN_TAG)?;
    tag.split_once('.').map(|(request, source)| Origin::new(request, source))
}

/// Returns a digest of `text`, which is of this kind: 128 bits in hexadecimal.
fn digest(kind: &str, text: &str) -> String {
    let digest = Sha256::digest(format!("{kind}\n{text}"));
    digest[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}
