//! What the ImportImage page says about names, descriptions, tags and enumerations.

use super::super::answer::Refusal;
use super::super::call::Call;

const PLATFORMS: &[&str] = &[
    "Aliyun",
    "AlmaLinux",
    "Anolis",
    "CentOS",
    "CentOS Stream",
    "CoreOS",
    "Customized Linux",
    "Debian",
    "Fedora",
    "Fedora CoreOS",
    "FreeBSD",
    "Gentoo",
    "Kylin",
    "OpenSUSE",
    "Other Windows",
    "Others Linux",
    "RedHat",
    "Rocky Linux",
    "SUSE",
    "UOS",
    "Ubuntu",
    "Windows Server 2003",
    "Windows Server 2008",
    "Windows Server 2012",
    "Windows Server 2016",
    "Windows Server 2019",
    "Windows Server 2022",
];

/// Checks an image's name.
pub(super) fn name(call: &Call, parameter: &str) -> Result<Option<String>, Refusal> {
    let Some(name) = call.text(parameter) else { return Ok(None) };
    let lower = name.to_lowercase();
    let chinese = |c: char| ('\u{4e00}'..='\u{9fff}').contains(&c);
    let inner = |c: char| c.is_ascii_alphanumeric() || chinese(c) || ".:_-".contains(c);
    let ok = (2..=128).contains(&name.chars().count())
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || chinese(c))
        && name.chars().all(inner)
        && !lower.starts_with("aliyun")
        && !lower.starts_with("acs:")
        && !lower.contains("http://")
        && !lower.contains("https://");
    match ok {
        true => Ok(Some(name.to_owned())),
        false => Err(Refusal::malformed("InvalidImageName.Malformed", parameter)),
    }
}

/// Checks a description. One that was sent empty is malformed, not absent.
pub(super) fn description(call: &Call, parameter: &str) -> Result<Option<String>, Refusal> {
    let Some(text) = call.sent(parameter) else { return Ok(None) };
    let lower = text.to_lowercase();
    let ok = (2..=256).contains(&text.chars().count())
        && !lower.starts_with("http://")
        && !lower.starts_with("https://");
    match ok {
        true => Ok(Some(text.to_owned())),
        false => Err(Refusal::malformed("InvalidDescription.Malformed", parameter)),
    }
}

/// Checks `Tag.N.Key` and `Tag.N.Value`.
pub(super) fn tags(call: &Call) -> Result<Vec<(String, String)>, Refusal> {
    let numbers = call.indices("Tag");
    if numbers.len() > 20 {
        return Err(Refusal::new(
            400,
            "InvalidTagCount",
            "The specified tags are beyond the permitted range.",
        ));
    }
    let mut tags: Vec<(String, String)> = Vec::new();
    for n in numbers {
        let (key_name, value_name) = (format!("Tag.{n}.Key"), format!("Tag.{n}.Value"));
        let key = call.text(&key_name).ok_or_else(|| Refusal::missing(&key_name))?;
        let value = call.text(&value_name).unwrap_or_default();
        let has_url = |text: &str| text.contains("http://") || text.contains("https://");
        let lower = key.to_lowercase();
        if key.chars().count() > 128
            || lower.starts_with("aliyun")
            || lower.starts_with("acs:")
            || has_url(key)
        {
            return Err(Refusal::malformed("InvalidTagKey.Malformed", &key_name));
        }
        if value.chars().count() > 128 || value.to_lowercase().starts_with("acs:") || has_url(value) {
            return Err(Refusal::malformed("InvalidTagValue.Malformed", &value_name));
        }
        if tags.iter().any(|(known, _)| known.to_lowercase() == lower) {
            return Err(Refusal::new(403, "TagKey.Duplication", "The specified tag keys are duplicated."));
        }
        tags.push((key.to_owned(), value.to_owned()));
    }
    Ok(tags)
}

/// Returns the list's own spelling of a parameter, or its default.
pub(super) fn choice(
    call: &Call,
    parameter: &str,
    allowed: &[&str],
    default: &str,
    code: &str,
) -> Result<String, Refusal> {
    let Some(text) = call.text(parameter) else { return Ok(default.to_owned()) };
    let found = allowed.iter().find(|value| value.eq_ignore_ascii_case(text));
    found.map(|value| (*value).to_owned()).ok_or_else(|| Refusal::malformed(code, parameter))
}

/// Checks that a RAW image of this many bytes fits on a disk of the requested size.
pub(super) fn fits(disk: u32, size_gib: Option<u64>, bytes: u64) -> Result<(), Refusal> {
    match size_gib.filter(|size| bytes.div_ceil(1 << 30) > *size) {
        Some(size) => {
            let code = if disk == 1 { "InvalidImageSize" } else { "InvalidDataDiskSize" };
            let message = format!("The disk size {size} GiB is smaller than the image.");
            Err(Refusal::new(400, code, message))
        }
        None => Ok(()),
    }
}

/// Returns the platform, which is compared with case.
pub(super) fn platform(call: &Call) -> Result<String, Refusal> {
    let text = call.text("Platform").unwrap_or("Others Linux");
    match PLATFORMS.contains(&text) {
        true => Ok(text.to_owned()),
        false => Err(Refusal::malformed("InvalidPlatform.Malformed", "Platform")),
    }
}

/// Returns whether a platform is one of Windows.
pub(super) fn is_windows(platform: &str) -> bool {
    platform.starts_with("Windows") || platform == "Other Windows"
}

#[cfg(test)]
mod tests {
    use super::super::super::call::tests::call;
    use super::*;

    fn code<T: std::fmt::Debug>(result: Result<T, Refusal>) -> String {
        result.map_or_else(|refusal| refusal.code, |value| format!("{value:?}"))
    }

    #[test]
    fn names_follow_the_page() {
        for good in ["ab", "Z9.:_-", "%E9%95%9C%E5%83%8F"] {
            assert!(name(&call(&format!("ImageName={good}")), "ImageName").unwrap().is_some(), "{good}");
        }
        for bad in ["a", "1a", "a%20b", "aliyun-x", "Aliyun", "acs:x", "a%2Fb", "xhttp://a", "-a"] {
            assert_eq!(
                code(name(&call(&format!("ImageName={bad}")), "ImageName")),
                "InvalidImageName.Malformed"
            );
        }
    }

    #[test]
    fn a_disk_is_no_smaller_than_its_image() {
        assert_eq!(code(fits(1, Some(1), 1 << 30)), "()");
        assert_eq!(code(fits(1, None, u64::MAX)), "()");
        assert_eq!(code(fits(1, Some(1), (1 << 30) + 1)), "InvalidImageSize");
        assert_eq!(code(fits(2, Some(1), (1 << 30) + 1)), "InvalidDataDiskSize");
    }

    #[test]
    fn descriptions_are_not_empty_and_no_urls() {
        assert_eq!(code(description(&call("Description=ok"), "Description")), "Some(\"ok\")");
        assert_eq!(code(description(&call(""), "Description")), "None");
        for bad in ["Description=", "Description=x", "Description=https://x"] {
            assert_eq!(code(description(&call(bad), "Description")), "InvalidDescription.Malformed");
        }
    }

    #[test]
    fn tags_are_unique_without_case() {
        assert_eq!(code(tags(&call("Tag.1.Key=k&Tag.2.Key=j&Tag.2.Value=v"))), r#"[("k", ""), ("j", "v")]"#);
        assert_eq!(code(tags(&call("Tag.1.Key=k&Tag.2.Key=K"))), "TagKey.Duplication");
        assert_eq!(code(tags(&call("Tag.1.Value=k"))), "MissingParameter");
        assert_eq!(code(tags(&call("Tag.1.Key=acs:x"))), "InvalidTagKey.Malformed");
        assert_eq!(code(tags(&call("Tag.1.Key=x&Tag.1.Value=acs:y"))), "InvalidTagValue.Malformed");
    }

    #[test]
    fn some_words_are_compared_without_case_and_platforms_with() {
        let os = |query: &str| code(choice(&call(query), "OSType", &["linux", "windows"], "linux", "C"));
        assert_eq!(
            (os(""), os("OSType=Linux"), os("OSType=mac")),
            ("\"linux\"".into(), "\"linux\"".into(), "C".into())
        );
        assert_eq!(code(platform(&call("Platform=ubuntu"))), "InvalidPlatform.Malformed");
        assert_eq!(code(platform(&call("Platform=Ubuntu"))), "\"Ubuntu\"");
    }
}
