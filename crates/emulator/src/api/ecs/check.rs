//! The image check of ECS (`DetectionStrategy=Standard`): what the image's own checks find, under the service's names.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use ossup_image::{Answer, BootsWith, Report, Rule, Severity};

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

/// Returns the items of a disk that was looked into; none of one that holds no system that can be read.
pub(super) fn items(report: &Report) -> Vec<Item> {
    let Some(Answer::Found(system)) = report.guest.as_ref().map(|guest| &guest.system) else {
        return Vec::new();
    };
    let mut found: BTreeMap<&str, (Option<&str>, String)> = BTreeMap::new();
    let mut fact = |name, value: Option<String>| {
        found.insert(name, (None, value.unwrap_or_else(|| "Unknown".to_owned())));
    };
    let os = system.os.found();
    fact("GUESTOS.Platform", Some(system.platform.unwrap_or("Others Linux").to_owned()));
    fact("GUESTOS.OSVersion", os.map(|os| os.title().to_owned()));
    fact("GUESTOS.Architecture", system.architecture.found().map(ToString::to_string));
    let kernel = system.kernels.found().and_then(|kernels| kernels.first());
    fact("GUESTOS.KernelVersion", kernel.map(|kernel| kernel.release.clone()));
    fact(
        "GUESTOS.BootMode",
        match report.boot.boots_with {
            BootsWith::Both => Some("UEFI,BIOS".to_owned()),
            BootsWith::Uefi => Some("UEFI".to_owned()),
            BootsWith::Bios => Some("BIOS".to_owned()),
            BootsWith::Nothing | BootsWith::Unknown => None,
        },
    );
    for item in Rule::ALL.iter().filter_map(|rule| rule.vendor_item()) {
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
