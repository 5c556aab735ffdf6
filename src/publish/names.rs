//! The names that images have on their way. All follow from what the image is, so that every run forms the same.

use sha2::{Digest, Sha256};

use crate::model::{ImageId, Origin};

/// What stands between a name and the digest of the image that is to get it.
const STAGED: &str = "-new-";

/// Most characters of an image's name ("ImportImage" page).
const LONGEST: usize = 128;

/// Returns the name of the import whose encrypted copies are to have `name`.
pub(super) fn unencrypted(name: &str) -> String {
    ending(name, "-unencrypted")
}

/// Returns the name under which an image of this origin is made that is to take over `name` once it can be used.
pub(super) fn staged(name: &str, origin: &Origin) -> String {
    let digest = Sha256::digest(origin.as_str());
    let digest: String = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    ending(name, &format!("{STAGED}{digest}"))
}

/// Whether `found` is the name of an image that is to take over `name`.
pub(super) fn is_staged(found: &str, name: &str) -> bool {
    found.rfind(STAGED).is_some_and(|at| found == ending(name, &found[at..]))
}

/// Returns the name that an image gets when it loses `name`: always the same, and no other image's.
pub(super) fn replaced(name: &str, image: &ImageId) -> String {
    let id = image.as_str();
    ending(name, &format!("-replaced-{}", id.strip_prefix("m-").unwrap_or(id)))
}

/// Returns `name` with this end, cut so that both together are no longer than a name may be.
fn ending(name: &str, end: &str) -> String {
    let room = LONGEST.saturating_sub(end.chars().count());
    name.chars().take(room).chain(end.chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::request::check_image_name;

    #[test]
    fn a_name_keeps_its_end_and_stays_a_name() {
        assert_eq!(unencrypted("web-1"), "web-1-unencrypted");
        for name in ["w".repeat(128), "镜".repeat(128)] {
            let unencrypted = unencrypted(&name);
            assert!(unencrypted.ends_with("-unencrypted"), "{unencrypted}");
            assert!(check_image_name(&unencrypted).is_empty(), "{unencrypted}");
        }
    }

    #[test]
    fn names_on_the_way_tell_whose_they_are() {
        let origin = Origin::new("request", "source");
        let id: ImageId = "m-bp1g7004ksh0oeuco5hp".parse().unwrap();
        assert_eq!(replaced("web", &id), "web-replaced-bp1g7004ksh0oeuco5hp");
        for name in ["web".to_owned(), "w".repeat(128), "镜".repeat(128), "web-new-1".to_owned()] {
            let staged = staged(&name, &origin);
            assert!(is_staged(&staged, &name), "{staged}");
            assert!(!is_staged(&staged, "other") && !is_staged(&name, &name), "{staged}");
            for made in [staged, replaced(&name, &id)] {
                assert!(check_image_name(&made).is_empty(), "{made}");
            }
        }
        assert_ne!(staged("web", &origin), staged("web", &Origin::new("request", "another")));
    }
}
