//! Which tags of an image the file has asked for: only these are taken off again.
//!
//! An image carries the digests of them in a tag of its own ([`TAGS_TAG`]), which is set by the same request as they are. So a
//! tag that somebody else has set stays, and so does one of ours that somebody has given another value.

use sha2::{Digest as _, Sha256};

use super::TAGS_TAG;
use crate::import::{CustomImage, Tag};

/// Digits of each digest. All those of an entry are a tag's value, which has at most 128 characters.
const DIGITS: usize = 7;

fn digest(tag: &Tag) -> String {
    let digest: String = Sha256::digest(format!("{}\n{}", tag.key, tag.value))
        .iter()
        .take(DIGITS.div_ceil(2))
        .map(|byte| format!("{byte:02x}"))
        .collect();
    digest[..DIGITS].to_owned()
}

/// Returns the tags that an image has to lose, and those that it lacks, for it to have `wanted`.
pub(super) fn difference(wanted: &[Tag], image: Option<&CustomImage>) -> (Vec<Tag>, Vec<Tag>) {
    let noted = image.and_then(|image| image.tag(TAGS_TAG));
    let record = record(wanted);
    let is_gone = |tag: &&Tag| match tag.key.as_str() {
        TAGS_TAG => record.is_none(),
        key => {
            wanted.iter().all(|wanted| wanted.key != key) && noted.is_some_and(|record| is_of(record, tag))
        }
    };
    let gone = image.into_iter().flat_map(|image| &image.tags).filter(is_gone).cloned().collect();
    let lacks = |wanted: &&Tag| image.and_then(|image| image.tag(&wanted.key)) != Some(&wanted.value);
    (gone, wanted.iter().chain(&record).filter(lacks).cloned().collect())
}

/// Returns the tag that says that these were asked for; nothing if there are none.
fn record(tags: &[Tag]) -> Option<Tag> {
    let digests: Vec<String> = tags.iter().map(digest).collect();
    (!tags.is_empty()).then(|| Tag { key: TAGS_TAG.to_owned(), value: digests.join(".") })
}

/// Whether a tag is one of those that a record says were asked for.
fn is_of(record: &str, tag: &Tag) -> bool {
    let digest = digest(tag);
    record.split('.').any(|of| of == digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_tells_its_tags_from_all_others_and_is_a_tag_itself() {
        let tag = |key: &str, value: &str| Tag { key: key.to_owned(), value: value.to_owned() };
        let tags: Vec<Tag> = (0..15).map(|n| tag(&format!("{n}{}", "k".repeat(120)), "v")).collect();
        let record = record(&tags).unwrap();
        assert!(record.value.len() <= 128, "{record:?}");
        assert!(tags.iter().all(|tag| is_of(&record.value, tag)));
        for other in [tag(&tags[0].key, "w"), tag("team", "v"), tag("", "")] {
            assert!(!is_of(&record.value, &other), "{other:?}");
        }
        assert_eq!(super::record(&[]), None);
    }
}
