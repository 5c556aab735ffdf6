//! The names that images have on their way. All follow from what the image is, so that every run forms the same.

/// Most characters of an image's name ("ImportImage" page).
const LONGEST: usize = 128;

/// Returns the name of the import whose encrypted copies are to have `name`.
pub(super) fn unencrypted(name: &str) -> String {
    ending(name, "-unencrypted")
}

/// Returns `name` with this end, cut so that both together are no longer than a name may be.
fn ending(name: &str, end: &str) -> String {
    let room = LONGEST - end.chars().count();
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
}
