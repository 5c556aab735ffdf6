//! The image check of ECS (`DetectionStrategy=Standard`): what the image's own checks find, under the service's names.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use ossup_image::{Answer, BootsWith, GuestSystem, Report, Rule, Severity, WindowsSystem};

/// An item of the result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct Item {
    name: String,
    value: String,
    risk: Option<String>,
}

impl Item {
    /// Returns the item as DescribeImages shows it; one without a risk has no level.
    pub(super) fn shown(&self) -> Value {
        match &self.risk {
            Some(risk) => json!({"Name": self.name, "Value": self.value, "RiskLevel": risk, "RiskCode": ""}),
            None => json!({"Name": self.name, "Value": self.value}),
        }
    }
}

/// What a system tells of itself: platform, version, architecture, kernel or build.
type Facts = [(&'static str, Option<String>); 4];

/// Returns the items of a disk that was looked into; none of one that holds no system that can be read.
pub(super) fn items(report: &Report) -> Vec<Item> {
    let Some(guest) = &report.guest else { return Vec::new() };
    // A system has the items of its own family of rules, `G-` or `W-`.
    let (facts, other_family) = match (&guest.windows, &guest.system) {
        (Some(windows), _) => (facts_of_windows(windows), "G-"),
        (None, Answer::Found(system)) => (facts_of_linux(system), "W-"),
        (None, _) => return Vec::new(),
    };
    let mut found: BTreeMap<&str, (Option<&str>, String)> = BTreeMap::new();
    for (name, value) in facts.into_iter().chain([("GUESTOS.BootMode", boot_mode(report.boot.boots_with))]) {
        found.insert(name, (None, value.unwrap_or_else(|| "Unknown".to_owned())));
    }
    let rules = Rule::ALL.iter().filter(|rule| !rule.id().starts_with(other_family));
    for item in rules.filter_map(|rule| rule.vendor_item()) {
        found.entry(item).or_insert_with(|| (None, "Normal".to_owned()));
    }
    // The worst of what was found about an item is what it says.
    for finding in report.worst_first().into_iter().rev() {
        let risk = match finding.severity {
            Severity::Refuse | Severity::Fix => "High",
            Severity::Warn => "Medium",
            Severity::Info | Severity::Set => continue,
        };
        if let Some(item) = finding.rule.vendor_item() {
            found.insert(item, (Some(risk), finding.message.clone()));
        }
    }
    let item = |(name, (risk, value)): (&str, (Option<&str>, String))| Item {
        name: name.to_owned(),
        value,
        risk: risk.map(str::to_owned),
    };
    found.into_iter().map(item).collect()
}

fn facts_of_linux(system: &GuestSystem) -> Facts {
    let kernel = system.kernels.found().and_then(|kernels| kernels.first());
    [
        ("GUESTOS.Platform", Some(system.platform.unwrap_or("Others Linux").to_owned())),
        ("GUESTOS.OSVersion", system.os.found().map(|os| os.title().to_owned())),
        ("GUESTOS.Architecture", system.architecture.found().map(ToString::to_string)),
        ("GUESTOS.KernelVersion", kernel.map(|kernel| kernel.release.clone())),
    ]
}

fn facts_of_windows(system: &WindowsSystem) -> Facts {
    [
        ("GUESTOS.Platform", system.platform.map(str::to_owned)),
        ("GUESTOS.OSVersion", system.product.found().cloned()),
        ("GUESTOS.Architecture", system.architecture.found().map(ToString::to_string)),
        ("GUESTOS.KernelVersion", system.build.found().map(u32::to_string)),
    ]
}

fn boot_mode(boots_with: BootsWith) -> Option<String> {
    let mode = match boots_with {
        BootsWith::Both => "UEFI,BIOS",
        BootsWith::Uefi => "UEFI",
        BootsWith::Bios => "BIOS",
        BootsWith::Nothing | BootsWith::Unknown => return None,
    };
    Some(mode.to_owned())
}

#[cfg(test)]
mod tests {
    use ossup_image::{Expected, inspect, look_inside};

    use super::*;

    fn of(image: &[u8]) -> Vec<Item> {
        let mut disk = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(image), &mut disk).unwrap();
        let mut report = inspect(&disk, &Expected::default()).unwrap();
        look_inside(std::sync::Arc::new(disk), &Expected::default(), &mut report);
        items(&report)
    }

    fn value<'a>(items: &'a [Item], name: &str) -> Option<&'a str> {
        items.iter().find(|item| item.name == name).map(|item| item.value.as_str())
    }

    #[test]
    fn a_system_has_the_items_of_its_own_family() {
        let windows = of(include_bytes!("../../../../../tests/data/images/guest-windows-bios.raw.gz"));
        assert!(value(&windows, "GUESTOS.BCD").is_some() && value(&windows, "GUESTOS.Virtio").is_some());
        assert_eq!(value(&windows, "GUESTOS.Fstab"), None);
        assert!(value(&windows, "GUESTOS.OSVersion").unwrap().starts_with("Windows"), "{windows:?}");
        let linux = of(include_bytes!("../../../../../tests/data/images/guest-ext4.raw.gz"));
        assert!(value(&linux, "GUESTOS.Fstab").is_some() && value(&linux, "GUESTOS.Virtio").is_some());
        assert_eq!((value(&linux, "GUESTOS.BCD"), value(&linux, "GUESTOS.Registry")), (None, None));
    }
}
