//! What the service's own check of an image says: its items by the names of the vendor, and which of our rules each is.

use ossup::image::{Report, Rule, Severity};
use ossup::import::{CheckedItem, Detection};
use serde_json::{Value, json};

use super::importing::joined;
use crate::failure::{Failure, Kind};
use crate::ui::Table;

/// Items that are about the same as a rule which has another item for its own.
const ALSO: [(&str, Rule); 2] = [("osversion", Rule::GOs), ("bootmode", Rule::RBoot)];

/// Returns all items as a table; nothing if there are none.
pub(crate) fn table(found: &Detection, report: Option<&Report>) -> String {
    let mut table = Table::new(&["ITEM", "RISK", "RULES", "VALUE"]);
    for CheckedItem { name, value, level, code, .. } in &found.items {
        let said: Vec<_> = [value, code].into_iter().flatten().map(String::as_str).collect();
        let rules = ours(name, report).join(", ");
        table.row([name.clone(), level.clone().unwrap_or_default(), rules, said.join(", ")]);
    }
    table.text()
}

/// Returns a risk in one line for people.
pub(crate) fn said(risk: &CheckedItem, report: Option<&Report>) -> String {
    let level = risk.level.as_deref().unwrap_or_default().to_lowercase();
    let details = [&risk.value, &risk.code].into_iter().flatten().map(String::as_str);
    let details = std::iter::once(risk.name.as_str()).chain(details).collect::<Vec<_>>().join(", ");
    match &ours(&risk.name, report)[..] {
        [] => format!("risk ({level}): {details}"),
        rules => format!("risk ({level}): {details} [{}]", rules.join(", ")),
    }
}

/// Returns an item for `--output json`.
pub(crate) fn members(item: &CheckedItem) -> Value {
    json!({"name": item.name, "level": item.level, "value": item.value, "code": item.code})
}

/// The same with our rules.
pub(crate) fn members_with_ours(item: &CheckedItem, report: Option<&Report>) -> Value {
    joined(members(item), json!({"rules": ours(&item.name, report)}))
}

/// Returns the JSON fields of a check: all items, and apart from them those that are risks.
pub(crate) fn json_fields(items: Value) -> Value {
    let risks = items
        .as_array()
        .map(|items| items.iter().filter(|item| !item["level"].is_null()).cloned().collect::<Vec<_>>());
    json!({"risks": risks, "checked": items})
}

/// Returns the rules of ours that are about an item of the image check: those that found something, else all. The
/// service prints names with and without what stands in front of the last point.
fn ours(item: &str, report: Option<&Report>) -> Vec<&'static str> {
    let last = |name: &str| name.rsplit('.').next().unwrap_or(name).to_ascii_lowercase();
    let item = last(item);
    let about = |rule: &&Rule| {
        rule.vendor_item().is_some_and(|known| last(known) == item) || ALSO.contains(&(&*item, **rule))
    };
    let all: Vec<_> = Rule::ALL.iter().filter(about).collect();
    let found = |rule: &&Rule| {
        let findings = report.iter().flat_map(|report| &report.findings);
        findings.filter(|finding| finding.severity >= Severity::Warn).any(|finding| finding.rule == **rule)
    };
    let told: Vec<_> = all.iter().copied().filter(found).collect();
    let rules = if told.is_empty() { all } else { told };
    rules.into_iter().map(|rule| rule.id()).collect()
}

/// Fails a strict command if the image check found a risk, or has not ended.
pub(crate) fn judge_risks(risks: &Value, strict: bool) -> Result<(), Failure> {
    if !strict || risks.as_array().is_some_and(Vec::is_empty) {
        return Ok(());
    }
    let failure = Failure::new(Kind::ImageRefused, "the image check of ECS found risks, or has not ended");
    Err(failure.hint("the image is there all the same; without --strict, risks are not errors"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_of_the_image_check_is_known_by_its_last_word() {
        assert_eq!(ours("GUESTOS.Nvme", None), ["G-NVME", "W-NVME"]);
        assert_eq!(ours("nvme", None), ["G-NVME", "W-NVME"], "as the service prints it");
        assert_eq!(ours("Fstab", None), ["G-FSTAB", "G-FSDEV"]);
        assert_eq!((ours("OSVersion", None), ours("GUESTOS.BootMode", None)), (vec!["G-OS"], vec!["R-BOOT"]));
        assert!(ours("GUESTOS.Unheard", None).is_empty());
    }

    #[test]
    fn risks_fail_only_what_is_strict() {
        let risks = json!([{"name": "GUESTOS.Fstab"}]);
        judge_risks(&risks, false).unwrap();
        judge_risks(&json!([]), true).unwrap();
        assert_eq!(judge_risks(&risks, true).unwrap_err().kind, Kind::ImageRefused);
        assert!(judge_risks(&Value::Null, true).is_err(), "what has not ended shows nothing");
    }

    #[test]
    fn what_is_well_is_an_item_and_no_risk() {
        let fields = json_fields(json!([
            {"name": "OSVersion", "level": null, "value": "9"},
            {"name": "Fstab", "level": "High"},
        ]));
        assert_eq!(
            (fields["checked"].as_array().unwrap().len(), &fields["risks"][0]["name"]),
            (2, &json!("Fstab"))
        );
        assert_eq!(fields["risks"].as_array().unwrap().len(), 1);
        assert_eq!(json_fields(Value::Null), json!({"risks": null, "checked": null}));
    }
}
