//! How big an image may be, by the date of the documentation that says so.

use std::ops::RangeInclusive;

use super::DiskRole;
use super::finding::Findings;
use super::fix::Setting;
use super::rule::Rule;

/// One GiB in bytes.
pub(super) const GIB: u64 = 1 << 30;

/// The sizes that one edition of the vendor's documentation allows, in GiB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SizeProfile {
    /// Name by which it is chosen.
    pub name: &'static str,
    /// Which documentation it is from.
    pub source: &'static str,
    /// System disks.
    pub system: RangeInclusive<u64>,
    /// Data disks.
    pub data: RangeInclusive<u64>,
}

impl SizeProfile {
    /// Returns the range for a disk.
    pub fn range(&self, role: DiskRole) -> &RangeInclusive<u64> {
        match role {
            DiskRole::System => &self.system,
            DiskRole::Data => &self.data,
        }
    }
}

/// The editions, the newest first. What is outside the newest is refused; what is outside an older one is reported,
/// because regions may lag behind.
pub const SIZE_PROFILES: &[SizeProfile] = &[
    SizeProfile {
        name: "2025",
        source: "ImportImage page of 2025 and SDKs since 2024-12-19",
        system: 1..=2048,
        data: 1..=2048,
    },
    SizeProfile { name: "2021", source: "ImportImage page of 2021", system: 5..=500, data: 5..=1000 },
    SizeProfile { name: "2018", source: "import page of 2018", system: 40..=500, data: 5..=2000 },
];

/// Smallest DiskImageSize that every edition of the ImportImage page accepts (GiB).
pub const SMALLEST_DISK_SIZE: u64 = 5;

/// Returns how many GiB a disk of `bytes` bytes needs.
pub fn needed_gib(virtual_size: u64) -> u64 {
    virtual_size.div_ceil(GIB)
}

/// Returns the DiskImageSize to ask for when the user gives none: max(5, the needed GiB).
pub fn disk_size_for(virtual_size: u64) -> u64 {
    needed_gib(virtual_size).max(SMALLEST_DISK_SIZE)
}

/// Checks the size to ask for against the image and the editions, and returns it.
pub(super) fn check(virtual_size: u64, role: DiskRole, wished: Option<u64>, findings: &mut Findings) -> u64 {
    let needed = needed_gib(virtual_size);
    let size = wished.unwrap_or_else(|| disk_size_for(virtual_size));
    let (newest, older) = SIZE_PROFILES.split_first().expect("the table has entries");
    if size < needed {
        findings.fix(
            Rule::FSize,
            format!("a disk of {size} GiB is asked for, but the image needs {needed} GiB"),
            Setting::new("--disk-size", needed.to_string()),
        );
    } else if !newest.range(role).contains(&size) {
        let (low, high) = newest.range(role).clone().into_inner();
        findings.refuse(
            Rule::FSize,
            format!("a {role} disk of {size} GiB; the service takes {low} to {high} GiB"),
        );
    } else if let Some(edition) = older.iter().find(|edition| !edition.range(role).contains(&size)) {
        let (low, high) = edition.range(role).clone().into_inner();
        findings.info(
            Rule::FSize,
            format!(
                "a {role} disk of {size} GiB is outside the {low} to {high} GiB of the {}; some regions may refuse it",
                edition.source
            ),
        );
    }
    if wished.is_none() {
        let why = if size > needed {
            "the least that every edition of the page takes"
        } else {
            "what the image needs"
        };
        findings.set(Rule::FSize, format!("DiskImageSize is {size} GiB, {why}"));
    }
    size
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Severity, Verdict};

    #[test]
    fn sizes_round_up_and_are_at_least_five() {
        assert_eq!(disk_size_for(1), 5);
        assert_eq!(disk_size_for(40 * GIB), 40);
        assert_eq!(disk_size_for(42_951_106_560), 41, "what qemu-img makes of 40G as VHD");
        assert_eq!(needed_gib(u64::MAX), 1 << 34);
    }

    #[test]
    fn each_edition_has_its_say() {
        let verdict = |bytes: u64, role, wished| {
            let mut findings = Findings::default();
            check(bytes, role, wished, &mut findings);
            Verdict::of(&findings.0)
        };
        assert_eq!(verdict(40 * GIB, DiskRole::System, None), Verdict::Good);
        assert_eq!(verdict(10 * GIB, DiskRole::System, None), Verdict::Good, "ordinary images are small");
        assert_eq!(verdict(501 * GIB, DiskRole::System, None), Verdict::Good);
        assert_eq!(verdict(2049 * GIB, DiskRole::System, None), Verdict::Refused);
        assert_eq!(verdict(41 * GIB, DiskRole::System, Some(40)), Verdict::Refused);
        assert_eq!(verdict(40 * GIB - 1, DiskRole::System, Some(40)), Verdict::Good);
        assert_eq!(verdict(10 * GIB, DiskRole::Data, None), Verdict::Good);
        assert_eq!(verdict(1500 * GIB, DiskRole::Data, None), Verdict::Good);
        assert_eq!(verdict(GIB, DiskRole::Data, Some(0)), Verdict::Refused);
    }

    #[test]
    fn what_older_editions_do_not_allow_is_said() {
        let mut findings = Findings::default();
        check(10 * GIB, DiskRole::System, Some(10), &mut findings);
        let finding = &findings.0[0];
        assert_eq!((finding.rule, finding.severity), (Rule::FSize, Severity::Info));
        assert!(finding.message.contains("40 to 500 GiB"), "{}", finding.message);
    }

    #[test]
    fn a_size_that_was_not_typed_is_said() {
        let mut findings = Findings::default();
        assert_eq!(check(GIB, DiskRole::Data, None, &mut findings), 5);
        assert_eq!(findings.0.last().unwrap().severity, Severity::Set);
    }
}
