//! Lenient reading of JSON answers.
//!
//! The same field is a number in one answer and a string in another, a boolean or the text `"True"`, and an
//! empty collection is `{}`, an object with an empty list, or absent. Unknown fields are ignored.

use std::str::FromStr;

use jiff::Timestamp;
use serde_json::Value;

use crate::protocol::{DecodeError, Response};

/// Largest answer that is parsed: a page of 100 images takes less than 1 MiB.
const MAX_ANSWER_BYTES: usize = 8 << 20;

/// Parses the body of a good answer to `operation`, which must be one JSON object.
pub(crate) fn read(operation: &'static str, answer: &Response) -> Result<Value, DecodeError> {
    if answer.body.len() > MAX_ANSWER_BYTES {
        return Err(DecodeError::new(operation, format!("has {} bytes, too many", answer.body.len())));
    }
    match serde_json::from_slice(&answer.body) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err(DecodeError::new(operation, "is not a JSON object")),
        Err(error) if error.is_eof() => Err(DecodeError::new(operation, "is empty or was cut")),
        Err(_) => Err(DecodeError::new(operation, "is not JSON")),
    }
}

/// Returns a member as text; numbers and booleans are spelt out, empty text counts as absent.
pub(crate) fn text(value: &Value, name: &str) -> Option<String> {
    match value.get(name)? {
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(text.clone()),
        scalar @ (Value::Number(_) | Value::Bool(_)) => Some(scalar.to_string()),
        _ => None,
    }
}

/// Returns a member as a count.
pub(crate) fn number(value: &Value, name: &str) -> Option<u64> {
    text(value, name)?.trim().parse().ok()
}

/// Returns a member as a flag, whatever its case.
pub(crate) fn flag(value: &Value, name: &str) -> Option<bool> {
    text(value, name)?.to_ascii_lowercase().parse().ok()
}

/// Returns a member such as `"32%"` as a number from 0 to 100.
pub(crate) fn percent(value: &Value, name: &str) -> Option<u8> {
    let text = text(value, name)?;
    let number: f64 = text.trim().trim_end_matches('%').parse().ok()?;
    // The cast saturates, and a percentage has no use for a fraction.
    (0.0..=100.0).contains(&number).then_some(number as u8)
}

/// Returns a member as a time, with seconds or without.
pub(crate) fn time(value: &Value, name: &str) -> Option<Timestamp> {
    text(value, name)?.parse().ok()
}

/// Returns a member that the answer must have.
pub(crate) fn required<T: FromStr>(
    operation: &'static str,
    value: &Value,
    name: &str,
) -> Result<T, DecodeError> {
    let text = text(value, name).ok_or_else(|| DecodeError::new(operation, format!("lacks `{name}`")))?;
    text.parse().map_err(|_| DecodeError::new(operation, format!("has a malformed `{name}`")))
}

/// Returns the elements of the collection `outer.inner`.
pub(crate) fn list<'a>(value: &'a Value, outer: &str, inner: &str) -> Vec<&'a Value> {
    match value.get(outer) {
        Some(Value::Array(elements)) => elements
            .iter()
            .flat_map(|element| match element.get(inner) {
                Some(Value::Array(nested)) => nested.iter().collect(),
                _ => vec![element],
            })
            .collect(),
        Some(object @ Value::Object(_)) => match object.get(inner) {
            Some(Value::Array(elements)) => elements.iter().collect(),
            Some(element @ Value::Object(_)) => vec![element],
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, StatusCode};
    use serde_json::json;

    use super::*;

    fn answer(body: &'static str) -> Response {
        Response {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: Bytes::from_static(body.as_bytes()),
        }
    }

    #[test]
    fn scalars_are_read_from_text_and_from_values() {
        let value = json!({"n": 40, "s": "40", "t": true, "u": "False", "e": "", "p": "32%", "q": "140%",
            "a": "2015-11-24T12:50Z", "b": "2015-11-24T12:50:00Z", "null": null});
        assert_eq!((number(&value, "n"), number(&value, "s")), (Some(40), Some(40)));
        assert_eq!((flag(&value, "t"), flag(&value, "u")), (Some(true), Some(false)));
        assert_eq!((text(&value, "e"), text(&value, "null"), number(&value, "absent")), (None, None, None));
        assert_eq!((percent(&value, "p"), percent(&value, "q")), (Some(32), None));
        assert_eq!(time(&value, "a"), time(&value, "b"));
        assert!(time(&value, "a").is_some());
    }

    #[test]
    fn collections_come_in_several_shapes() {
        for (value, count) in [
            (json!({"Tasks": {"Task": [{"a": 1}, {"a": 2}]}}), 2),
            (json!({"Tasks": {"Task": {"a": 1}}}), 1),
            (json!({"Tasks": [{"Task": [{"a": 1}, {"a": 2}]}]}), 2),
            (json!({"Tasks": [{"a": 1}]}), 1),
            (json!({"Tasks": {"Task": []}}), 0),
            (json!({"Tasks": {}}), 0),
            (json!({"Tasks": []}), 0),
            (json!({"Tasks": ""}), 0),
            (json!({}), 0),
        ] {
            let found = list(&value, "Tasks", "Task");
            assert_eq!(found.len(), count, "{value}");
            assert!(found.iter().all(|element| element.get("a").is_some()), "{value}");
        }
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for (body, reason) in [
            ("", "is empty or was cut"),
            ("{\"ImageId\":\"m-", "is empty or was cut"),
            ("<html>", "is not JSON"),
            ("[]", "is not a JSON object"),
        ] {
            assert_eq!(read("X", &answer(body)).unwrap_err().reason, reason);
        }
        let deep = "[".repeat(100_000);
        let answer = Response { body: Bytes::from(deep), ..answer("") };
        assert!(read("X", &answer).is_err());
    }
}
