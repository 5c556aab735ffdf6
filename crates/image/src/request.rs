//! Checks of an import request that need neither the file nor the service.
//!
//! The rules are those of the ImportImage page; each function looks at one thing and returns what it found.

use super::finding::{Finding, Findings};
use super::fix::Setting;
use super::report::DiskRole;
use super::rule::Rule;
use ossup_core::model::{Architecture, BootMode, LicenseType, OsType};

/// The platforms that the ImportImage page and the newest SDK list, spelt as the service wants them.
pub const PLATFORMS: &[&str] = &[
    "Aliyun",
    "Anolis",
    "CentOS",
    "Ubuntu",
    "CoreOS",
    "SUSE",
    "Debian",
    "OpenSUSE",
    "FreeBSD",
    "RedHat",
    "Kylin",
    "UOS",
    "Fedora",
    "Fedora CoreOS",
    "CentOS Stream",
    "AlmaLinux",
    "Rocky Linux",
    "Gentoo",
    "Customized Linux",
    "Others Linux",
    "Windows Server 2003",
    "Windows Server 2008",
    "Windows Server 2012",
    "Windows Server 2016",
    "Windows Server 2019",
    "Windows Server 2022",
    "Other Windows",
];

/// Most tags of one image.
pub const MAX_TAGS: usize = 20;

/// Checks an image name: 2 to 128 letters, Chinese characters, digits, `.`, `:`, `_` and `-`, with a letter or a
/// Chinese character first.
pub fn check_image_name(name: &str) -> Vec<Finding> {
    let mut findings = Findings::default();
    let shown = shown(name);
    let length = name.chars().count();
    let starts = name.to_ascii_lowercase();
    if !(2..=128).contains(&length) {
        findings.refuse(
            Rule::PName,
            format!("image name `{shown}` has {length} characters; 2 to 128 are allowed"),
        );
    } else if !name.starts_with(|c: char| c.is_ascii_alphabetic() || is_chinese(c)) {
        findings.refuse(Rule::PName, format!("image name `{shown}` does not begin with a letter"));
    } else if starts.starts_with("aliyun") || starts.starts_with("acs:") {
        findings.refuse(Rule::PName, format!("image name `{shown}` begins with `aliyun` or `acs:`"));
    } else if starts.contains("http://") || starts.contains("https://") {
        findings.refuse(Rule::PName, format!("image name `{shown}` contains a URL"));
    } else if let Some(bad) = name.chars().find(|c| !is_name_character(*c)) {
        findings.refuse(
            Rule::PName,
            format!(
                "image name `{shown}` contains `{}`; letters, digits, `.`, `:`, `_` and `-` are allowed",
                bad.escape_debug()
            ),
        );
    }
    findings.0
}

/// Checks a description: 2 to 256 characters that do not begin like a URL. Leave it out rather than empty.
pub fn check_description(description: &str) -> Vec<Finding> {
    let mut findings = Findings::default();
    let length = description.chars().count();
    if !(2..=256).contains(&length) {
        findings.refuse(
            Rule::PDescription,
            format!("the description has {length} characters; 2 to 256 are allowed"),
        );
    }
    if begins_like_url(description) {
        findings.refuse(Rule::PDescription, "the description begins with `http://` or `https://`");
    }
    findings.0
}

/// Checks tags, each a key and a value: at most 20, keys of 1 to 128 characters that differ without regard to case,
/// values of up to 128.
pub fn check_tags<K: AsRef<str>, V: AsRef<str>>(tags: &[(K, V)]) -> Vec<Finding> {
    let mut findings = Findings::default();
    if tags.len() > MAX_TAGS {
        findings.refuse(Rule::PTag, format!("{} tags are given; {MAX_TAGS} are allowed", tags.len()));
    }
    for (index, (key, value)) in tags.iter().enumerate() {
        let (key, value) = (key.as_ref(), value.as_ref());
        let name = shown(key);
        let lower = key.to_lowercase();
        if key.is_empty() || key.chars().count() > 128 {
            findings.refuse(Rule::PTag, format!("tag key `{name}` must have 1 to 128 characters"));
        }
        if lower.starts_with("aliyun") || lower.starts_with("acs:") {
            findings.refuse(Rule::PTag, format!("tag key `{name}` begins with `aliyun` or `acs:`"));
        }
        if value.chars().count() > 128 {
            findings.refuse(Rule::PTag, format!("the value of tag `{name}` has more than 128 characters"));
        }
        if value.to_lowercase().starts_with("acs:") {
            findings.refuse(Rule::PTag, format!("the value of tag `{name}` begins with `acs:`"));
        }
        if [&lower, &value.to_lowercase()]
            .iter()
            .any(|text| text.contains("http://") || text.contains("https://"))
        {
            findings.refuse(Rule::PTag, format!("tag `{name}` contains a URL"));
        }
        if tags[..index].iter().any(|(earlier, _)| earlier.as_ref().to_lowercase() == lower) {
            findings.refuse(Rule::PTag, format!("tag key `{name}` is given twice"));
        }
    }
    findings.0
}

/// Checks the platform against the list, and the OS type against the platform.
///
/// The list grows, so that a platform that is not in it is only warned of, with the closest one suggested.
pub fn check_platform(platform: &str, os_type: Option<OsType>) -> Vec<Finding> {
    let mut findings = Findings::default();
    if !PLATFORMS.contains(&platform) {
        let warning = Finding::new(
            Rule::PPlatform,
            super::finding::Severity::Warn,
            format!("platform `{}` is not in the list that the service documents", shown(platform)),
        );
        findings.push(match closest_platform(platform) {
            Some(close) => warning.fixed_by(Setting::new("--platform", close)),
            None if platform_os_type(platform) == OsType::Windows => {
                warning.fixed_by(Setting::new("--platform", "Other Windows"))
            }
            None => warning.fixed_by(Setting::new("--platform", "Others Linux")),
        });
    }
    let meant = platform_os_type(platform);
    if meant != os_type.unwrap_or(OsType::Linux) {
        findings.fix(
            Rule::POsType,
            format!(
                "platform `{}` is a {meant} platform, but the OS type is {}",
                shown(platform),
                os_type.unwrap_or(OsType::Linux)
            ),
            Setting::new("--os-type", meant.as_str()),
        );
    }
    findings.0
}

/// Returns the OS type that a platform's name means: Windows if it names Windows.
pub fn platform_os_type(platform: &str) -> OsType {
    if platform.to_ascii_lowercase().contains("windows") { OsType::Windows } else { OsType::Linux }
}

/// Returns the listed platform that looks most like `platform`, if one does.
fn closest_platform(platform: &str) -> Option<&'static str> {
    let plain = |text: &str| text.to_lowercase().replace([' ', '-', '_'], "");
    let typed = plain(&platform.chars().take(64).collect::<String>());
    if let Some(same) = PLATFORMS.iter().find(|listed| plain(listed) == typed) {
        return Some(same);
    }
    let scored = PLATFORMS.iter().map(|listed| (strsim::jaro_winkler(&plain(listed), &typed), *listed));
    let (score, best) = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (score >= 0.8).then_some(best)
}

/// Checks the boot mode against the architecture: arm64 boots with UEFI only, i386 with BIOS only.
pub fn check_boot_mode(architecture: Option<Architecture>, boot_mode: Option<BootMode>) -> Vec<Finding> {
    let mut findings = Findings::default();
    match (architecture, boot_mode) {
        (_, Some(BootMode::UefiPreferred)) => findings.fix(
            Rule::PBootMode,
            "ImportImage does not take the boot mode UEFI-Preferred; an image can be set to it after its import",
            "choose one of the two: --boot-mode BIOS or --boot-mode UEFI",
        ),
        (Some(Architecture::Arm64), Some(BootMode::Bios)) => {
            findings.fix(Rule::PBootMode, "arm64 images boot with UEFI only", Setting::new("--boot-mode", "UEFI"));
        }
        (Some(Architecture::I386), Some(BootMode::Uefi)) => {
            findings.fix(Rule::PBootMode, "i386 images boot with BIOS only", Setting::new("--boot-mode", "BIOS"));
        }
        _ => {}
    }
    findings.0
}

/// Checks the licence: it matters for Windows only, where one must be chosen, and RedHat and SUSE bring their own.
pub fn check_license(
    os_type: Option<OsType>,
    platform: Option<&str>,
    license: Option<LicenseType>,
) -> Vec<Finding> {
    let mut findings = Findings::default();
    let brings_own = platform.is_some_and(|platform| {
        ["redhat", "suse"].iter().any(|own| platform.to_lowercase().replace(' ', "") == *own)
    });
    match (os_type.unwrap_or(OsType::Linux), license) {
        (OsType::Windows, None | Some(LicenseType::Auto)) => findings.push(
            Finding::new(
                Rule::PLicense,
                super::finding::Severity::Warn,
                "a Windows image without a chosen licence: Aliyun bills the licence with the instance, BYOL does not",
            )
            .fixed_by("choose one of the two: --license Aliyun or --license BYOL"),
        ),
        (OsType::Linux, Some(LicenseType::Aliyun)) if brings_own => findings.fix(
            Rule::PLicense,
            "RedHat and SUSE images can only be imported with the licence BYOL",
            Setting::new("--license", "BYOL"),
        ),
        (OsType::Linux, Some(LicenseType::Aliyun)) => {
            findings.warn(Rule::PLicense, "a licence matters for Windows images only");
        }
        _ => {}
    }
    findings.0
}

/// Checks an object key as ImportImage takes it: 1 to 1023 bytes, not beginning with `/`, `\` or like a URL.
pub fn check_object_key(key: &str) -> Vec<Finding> {
    let mut findings = Findings::default();
    if key.is_empty() || key.len() > ossup_core::model::limits::MAX_KEY_BYTES {
        findings.refuse(Rule::PKey, format!("the object key has {} bytes; 1 to 1023 are allowed", key.len()));
    }
    if key.starts_with(['/', '\\']) || begins_like_url(key) {
        findings.refuse(
            Rule::PKey,
            format!(
                "object key `{}` begins with `/`, `\\` or like a URL; ImportImage does not take it",
                shown(key)
            ),
        );
    }
    findings.0
}

/// Checks the number of disks: a system disk and at most 16 data disks.
pub fn check_disk_count(disks: usize) -> Vec<Finding> {
    let mut findings = Findings::default();
    if disks == 0 {
        findings.refuse(Rule::PDisks, "an import needs a system disk");
    } else if disks > 17 {
        findings.refuse(
            Rule::PDisks,
            format!("{disks} disks are given; a system disk and 16 data disks are allowed"),
        );
    }
    findings.0
}

/// Checks the DiskImageSize of a disk, in GiB, against the editions of the documentation.
pub fn check_disk_size(size: u64, role: DiskRole) -> Vec<Finding> {
    let mut findings = Findings::default();
    super::size::check(0, role, Some(size), &mut findings);
    findings.0
}

/// Whether ImportImage takes `c` inside an image name.
fn is_name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || is_chinese(c) || ".:_-".contains(c)
}

/// Whether `c` is a Chinese character: the unified ideographs, the first extension and the compatibility ones.
fn is_chinese(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3134F}')
}

fn begins_like_url(text: &str) -> bool {
    let lower = text.get(..8).unwrap_or(text).to_ascii_lowercase();
    lower.starts_with("http://") || lower.starts_with("https://")
}

/// Returns the beginning of what was typed, safe to print.
fn shown(text: &str) -> String {
    text.chars().take(64).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Verdict;

    fn refused(findings: &[Finding]) -> bool {
        Verdict::of(findings).is_refused()
    }

    #[test]
    fn image_names_follow_the_page() {
        let long = "a".repeat(128);
        for good in ["ab", "rocky9-20250304", "Web:1.2_x", "镜像", "中a", &long] {
            assert!(check_image_name(good).is_empty(), "{good}");
        }
        let longer = "a".repeat(129);
        for bad in [
            "",
            "a",
            "1ab",
            "-ab",
            "aliyun-x",
            "Aliyun",
            "acs:x",
            "a b",
            "a/b",
            "xhttp://y",
            "é1",
            "ab\n",
            &longer,
        ] {
            assert!(refused(&check_image_name(bad)), "{bad}");
        }
    }

    #[test]
    fn descriptions_and_tags_follow_the_page() {
        assert!(check_description("built by ci, see http://x").is_empty());
        for bad in ["", "x", "http://x", "HTTPS://x", &"x".repeat(257)] {
            assert!(refused(&check_description(bad)), "{bad}");
        }
        assert!(check_tags(&[("team", "web"), ("env", "")]).is_empty());
        assert!(refused(&check_tags(&[("Team", "a"), ("team", "b")])));
        for bad in [("", "x"), ("acs:x", ""), ("aliyunX", ""), ("k", "acs:v"), ("k", "see https://x")] {
            assert!(refused(&check_tags(&[bad])), "{bad:?}");
        }
        let many: Vec<(String, String)> = (0..21).map(|n| (format!("k{n}"), String::new())).collect();
        assert!(refused(&check_tags(&many)));
        assert!(check_tags(&many[..20]).is_empty());
    }

    #[test]
    fn an_unlisted_platform_is_warned_of_with_the_closest() {
        for (typed, close) in [
            ("ubuntu", Some("Ubuntu")),
            ("rockylinux", Some("Rocky Linux")),
            ("Rocky", Some("Rocky Linux")),
            ("Alma Linux", Some("AlmaLinux")),
            ("Windows Server 2020", Some("Windows Server 2022")),
            ("debain", Some("Debian")),
            ("Haiku", None),
        ] {
            let found = closest_platform(typed);
            match close {
                Some("Windows Server 2022") => assert!(found.unwrap().starts_with("Windows Server 20")),
                _ => assert_eq!(found, close, "{typed}"),
            }
        }
        let findings = check_platform("ubuntu", None);
        assert_eq!(Verdict::of(&findings), Verdict::Warned);
        assert_eq!(findings[0].fix, Some(Setting::new("--platform", "Ubuntu").into()));
        assert!(check_platform("Ubuntu", Some(OsType::Linux)).is_empty());
    }

    #[test]
    fn os_type_and_platform_must_agree() {
        assert!(refused(&check_platform("Windows Server 2019", None)));
        assert!(refused(&check_platform("Ubuntu", Some(OsType::Windows))));
        assert!(check_platform("Other Windows", Some(OsType::Windows)).is_empty());
    }

    #[test]
    fn boot_modes_follow_the_architecture() {
        use {Architecture::*, BootMode::*};
        for (architecture, mode, good) in [
            (Arm64, Bios, false),
            (Arm64, Uefi, true),
            (X86_64, Bios, true),
            (X86_64, Uefi, true),
            (I386, Uefi, false),
            (X86_64, UefiPreferred, false),
        ] {
            assert_eq!(
                check_boot_mode(Some(architecture), Some(mode)).is_empty(),
                good,
                "{architecture} {mode}"
            );
        }
        assert!(check_boot_mode(Some(Arm64), None).is_empty(), "the service's default for arm64 is UEFI");
    }

    #[test]
    fn licences_follow_the_system() {
        let windows = Some(OsType::Windows);
        assert_eq!(Verdict::of(&check_license(windows, None, None)), Verdict::Warned);
        assert!(check_license(windows, None, Some(LicenseType::Byol)).is_empty());
        assert!(refused(&check_license(None, Some("RedHat"), Some(LicenseType::Aliyun))));
        assert!(check_license(None, Some("SUSE"), Some(LicenseType::Byol)).is_empty());
        assert!(check_license(None, None, None).is_empty());
    }

    #[test]
    fn disk_sizes_follow_the_editions() {
        assert!(check_disk_size(40, DiskRole::System).is_empty());
        assert_eq!(Verdict::of(&check_disk_size(20, DiskRole::System)), Verdict::Good);
        assert!(
            refused(&check_disk_size(0, DiskRole::Data)) && refused(&check_disk_size(2049, DiskRole::System))
        );
    }

    #[test]
    fn keys_and_disk_counts_have_bounds() {
        assert!(check_object_key("a/b.raw").is_empty());
        for bad in ["", "/a", "\\a", "http://x/y", &"k".repeat(1024)] {
            assert!(refused(&check_object_key(bad)), "{bad}");
        }
        assert!(check_disk_count(17).is_empty());
        assert!(refused(&check_disk_count(0)) && refused(&check_disk_count(18)));
    }
}
