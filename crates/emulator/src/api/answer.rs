//! Answers in JSON, or the same tree as XML for callers that ask for no format.

use std::fmt::Write as _;

use http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

use super::super::StoreError;
use ossup_core::http::{Body, full};

/// A call that is refused: status, code and message as the service's error tables have them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) code: String,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(status: u16, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status, code: code.into(), message: message.into() }
    }

    /// A required parameter is absent.
    pub(super) fn missing(name: &str) -> Self {
        let message = format!(
            "The input parameter \"{name}\" that is mandatory for processing this request is not supplied."
        );
        Self::new(400, "MissingParameter", message)
    }

    /// A parameter's value is none that is allowed.
    pub(super) fn malformed(code: &str, name: &str) -> Self {
        Self::new(400, code, format!("The specified parameter \"{name}\" is not valid."))
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::new(500, "InternalError", format!("The emulator's store failed, {error}"))
    }
}

/// The format that a call asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Xml,
}

/// What the answer is written with.
#[derive(Debug)]
pub(super) struct Envelope<'a> {
    pub(super) action: &'a str,
    pub(super) request_id: &'a str,
    pub(super) host: &'a str,
    pub(super) format: Format,
    /// Whether numbers and booleans are written as text, as some regions do.
    pub(super) stringly: bool,
}

impl Envelope<'_> {
    /// Writes an answer. `outcome` is an object without the request's id.
    pub(super) fn response(&self, outcome: Result<Value, Refusal>) -> Response<Body> {
        let (status, mut value, root) = match outcome {
            Ok(value) => (200, value, format!("{}Response", self.action)),
            Err(refusal) => {
                let recommend = format!("https://api.aliyun.com/troubleshoot?q={}&product=Ecs", refusal.code);
                let value = json!({
                    "HostId": self.host,
                    "Code": refusal.code,
                    "Message": refusal.message,
                    "Recommend": recommend,
                });
                (refusal.status, value, "Error".to_owned())
            }
        };
        value["RequestId"] = json!(self.request_id);
        if self.stringly && status == 200 {
            spell_out(&mut value);
        }
        let (body, content_type) = match self.format {
            Format::Json => (value.to_string(), "application/json;charset=utf-8"),
            Format::Xml => (xml(&root, &value), "text/xml;charset=utf-8"),
        };
        let mut response = Response::new(full(body));
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        if let Ok(id) = HeaderValue::from_str(self.request_id) {
            headers.insert("x-acs-request-id", id);
        }
        response
    }
}

/// Turns numbers and booleans into text.
fn spell_out(value: &mut Value) {
    match value {
        Value::Number(number) => *value = Value::String(number.to_string()),
        Value::Bool(flag) => *value = Value::String(if *flag { "True" } else { "False" }.to_owned()),
        Value::Array(elements) => elements.iter_mut().for_each(spell_out),
        Value::Object(members) => members.values_mut().for_each(spell_out),
        Value::Null | Value::String(_) => {}
    }
}

/// Writes a tree as XML: a list is its element repeated.
fn xml(root: &str, value: &Value) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
    element(&mut text, root, value);
    text
}

fn element(text: &mut String, name: &str, value: &Value) {
    if let Value::Array(elements) = value {
        elements.iter().for_each(|value| element(text, name, value));
        return;
    }
    let content = match value {
        Value::Object(members) => {
            let mut inner = String::new();
            members.iter().for_each(|(name, value)| element(&mut inner, name, value));
            inner
        }
        Value::String(plain) => quick_xml::escape::escape(plain.as_str()).into_owned(),
        Value::Null => String::new(),
        scalar => scalar.to_string(),
    };
    // Writing to a String cannot fail.
    let _ = write!(text, "<{name}>{content}</{name}>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_become_repeated_elements() {
        let value =
            json!({"Images": {"Image": [{"A": 1}, {"A": "<&>"}]}, "B": true, "C": null, "D": {"E": []}});
        assert_eq!(
            xml("R", &value),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><R><B>true</B><C></C><D></D>\
             <Images><Image><A>1</A></Image><Image><A>&lt;&amp;&gt;</A></Image></Images></R>"
        );
    }

    #[test]
    fn stringly_answers_spell_numbers_and_booleans_out() {
        let mut value = json!({"a": [1, {"b": false}], "c": "d"});
        spell_out(&mut value);
        assert_eq!(value, json!({"a": ["1", {"b": "False"}], "c": "d"}));
    }
}
