//! The properties of an image, for people.

use serde_json::Value;

use crate::ui::printable;

/// The JSON fields that are shown, in this order, with their labels.
const LABELS: [(&str, &str); 22] = [
    ("image_id", "image"),
    ("name", "name"),
    ("region", "region"),
    ("status", "status"),
    ("percent", "progress"),
    ("task_id", "task"),
    ("task_status", "task status"),
    ("task_percent", "task progress"),
    ("error_code", "error"),
    ("error_message", "error message"),
    ("size_gib", "size"),
    ("platform", "platform"),
    ("os_type", "OS type"),
    ("architecture", "architecture"),
    ("boot_mode", "boot mode"),
    ("family", "family"),
    ("description", "description"),
    ("created", "created"),
    ("copied", "a copy"),
    ("snapshots", "snapshots"),
    ("shared_with", "shared with"),
    ("tags", "tags"),
];

/// Returns a line for each field of an image's object that is not empty.
pub(crate) fn rows(object: &Value) -> String {
    let mut lines = Vec::new();
    let mut line = |label: &str, text: &str| lines.push(format!("{label:<15}{}", printable(text)));
    for (name, label) in LABELS {
        let text = plain(&object[name]);
        match name {
            _ if text.is_empty() => {}
            "size_gib" => line(label, &format!("{text} GiB")),
            "percent" | "task_percent" => line(label, &format!("{text} %")),
            _ => line(label, &text),
        }
    }
    for risk in object["risks"].as_array().into_iter().flatten() {
        let said = ["name", "level", "value", "code"].map(|name| plain(&risk[name]));
        line("risk", &said.iter().filter(|text| !text.is_empty()).cloned().collect::<Vec<_>>().join(", "));
    }
    lines.join("\n")
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null | Value::Object(_) => String::new(),
        Value::Bool(yes) => (if *yes { "yes" } else { "no" }).to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(", "),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_image_is_shown_without_the_spelling_of_json() {
        let object = json!({
            "image_id": "m-1", "name": "web\u{1b}[2J", "size_gib": 40, "percent": null, "copied": false,
            "shared_with": ["1000000042", "1000000043"], "tags": ["team=web"], "snapshots": [],
            "risks": [{"name": "GuestOS.CloudInit", "level": "Medium", "value": null, "code": "NotInstalled"}],
        });
        assert_eq!(
            rows(&object),
            "image          m-1\n\
             name           web\\u{1b}[2J\n\
             size           40 GiB\n\
             a copy         no\n\
             shared with    1000000042, 1000000043\n\
             tags           team=web\n\
             risk           GuestOS.CloudInit, Medium, NotInstalled"
        );
    }
}
