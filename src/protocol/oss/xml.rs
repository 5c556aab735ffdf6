//! A bounded reader of the service's XML: elements by local name, text, and nothing that can grow or refer.

use std::str::FromStr;

use jiff::Timestamp;
use quick_xml::Reader;
use quick_xml::events::Event;

use super::printable;
use crate::model::ObjectRef;
use crate::protocol::sign::encode;
use crate::protocol::{DecodeError, Response};

/// A full page of 1000 keys of 1023 bytes, each byte percent-encoded and listed twice, stays below.
const MAX_BYTES: usize = 8 << 20;
const MAX_DEPTH: usize = 16;
const MAX_ELEMENTS: usize = 50_000;

/// An element with the text directly in it and its child elements in order. Attributes are dropped.
#[derive(Debug, Default)]
pub(super) struct Element {
    name: String,
    text: String,
    children: Vec<Element>,
}

impl Element {
    /// Reads the body of `answer`, whose root element has to be `root`.
    pub(super) fn root(operation: &'static str, answer: &Response, root: &str) -> Result<Self, DecodeError> {
        let element = parse(&answer.body).map_err(|reason| DecodeError::new(operation, reason))?;
        if element.name != root {
            let found: String = element.name.chars().take(40).collect();
            let reason = format!("holds `{}` instead of `{root}`", printable(&found));
            return Err(DecodeError::new(operation, reason));
        }
        Ok(element)
    }

    /// Returns the element's name without namespace prefix.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the element's own text.
    pub(super) fn own_text(&self) -> &str {
        &self.text
    }

    /// Returns the first child of that name.
    pub(super) fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// Returns all children of that name in order.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// Returns the text of a child; none if the child is absent or empty.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.as_str()).filter(|text| !text.trim().is_empty())
    }

    /// Returns the text of a child that has to be there.
    pub(super) fn required(&self, operation: &'static str, name: &str) -> Result<&str, DecodeError> {
        self.text(name).ok_or_else(|| DecodeError::new(operation, format!("lacks the element `{name}`")))
    }

    /// Returns a child's value if the child is there, and an error if it is malformed.
    pub(super) fn value<T: FromStr>(
        &self,
        operation: &'static str,
        name: &str,
    ) -> Result<Option<T>, DecodeError> {
        let parsed = self.text(name).map(|text| text.trim().parse()).transpose();
        parsed.map_err(|_| DecodeError::new(operation, format!("has a malformed element `{name}`")))
    }

    /// Returns the value of a child that has to be there.
    pub(super) fn required_value<T: FromStr>(
        &self,
        operation: &'static str,
        name: &str,
    ) -> Result<T, DecodeError> {
        self.required(operation, name)?;
        let value = self.value(operation, name)?;
        Ok(value.expect("an element that is required is there"))
    }

    /// Returns the time in a child; none if it is absent or not a time: nothing depends on it alone.
    pub(super) fn time(&self, name: &str) -> Option<Timestamp> {
        self.text(name)?.trim().parse().ok()
    }

    /// Whether a child says `true`.
    pub(super) fn is_true(&self, name: &str) -> bool {
        self.text(name).is_some_and(|text| text.trim().eq_ignore_ascii_case("true"))
    }
}

/// Whether an answer names the object that was asked about; one that names no object does not.
///
/// # Errors
///
/// When it is about another object.
pub(super) fn names(
    operation: &'static str,
    root: &Element,
    object: &ObjectRef,
) -> Result<bool, DecodeError> {
    let bucket = root.text("Bucket").map(str::trim);
    let key = Keys::of(operation, root).key(root, "Key")?;
    let other = bucket.is_some_and(|bucket| bucket != object.bucket.as_str())
        || key.as_deref().is_some_and(|key| key != object.key.as_str());
    if other {
        let named = format!("{}/{}", bucket.unwrap_or_default(), key.unwrap_or_default());
        let named: String = named.chars().take(200).collect();
        return Err(DecodeError::new(
            operation,
            format!("is about another object, `oss://{}`", printable(&named)),
        ));
    }
    Ok(bucket.is_some() && key.is_some())
}

/// Decodes keys of a listing if the listing says that they are encoded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keys {
    operation: &'static str,
    encoded: bool,
}

impl Keys {
    pub(super) fn of(operation: &'static str, listing: &Element) -> Self {
        let encoded =
            listing.text("EncodingType").is_some_and(|kind| kind.trim().eq_ignore_ascii_case("url"));
        Self { operation, encoded }
    }

    /// Returns the key in a child; none if the child is absent or empty.
    pub(super) fn key(self, parent: &Element, name: &str) -> Result<Option<String>, DecodeError> {
        // Not `text`: a key may be nothing but blanks.
        let text = parent.child(name).map(|child| child.text.as_str()).filter(|text| !text.is_empty());
        match text {
            Some(text) if self.encoded => {
                let malformed = || {
                    DecodeError::new(self.operation, format!("has a malformed percent-encoding in `{name}`"))
                };
                encode::decode(text).map(Some).ok_or_else(malformed)
            }
            text => Ok(text.map(str::to_owned)),
        }
    }

    /// Returns the key in a child that has to be there.
    pub(super) fn required(self, parent: &Element, name: &str) -> Result<String, DecodeError> {
        let lacks = || DecodeError::new(self.operation, format!("lacks the element `{name}`"));
        self.key(parent, name)?.ok_or_else(lacks)
    }
}

/// Reads a document into its root element; the error is the end of a sentence.
pub(super) fn parse(body: &[u8]) -> Result<Element, String> {
    if body.len() > MAX_BYTES {
        return Err(format!("is longer than {MAX_BYTES} bytes"));
    }
    let text = std::str::from_utf8(body).map_err(|_| "is not UTF-8 text".to_owned())?;
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    let (mut open, mut root, mut elements) = (Vec::<Element>::new(), None, 0);
    loop {
        let event =
            reader.read_event().map_err(|error| printable(&format!("is not well-formed XML: {error}")))?;
        match event {
            Event::Start(ref start) | Event::Empty(ref start) => {
                elements += 1;
                if root.is_some() || open.len() >= MAX_DEPTH || elements > MAX_ELEMENTS {
                    return Err("is XML of a shape that the service never sends".to_owned());
                }
                let name = start.local_name().as_ref().to_owned();
                open.push(Element { name, ..Element::default() });
                if matches!(event, Event::Empty(_)) {
                    close(&mut open, &mut root);
                }
            }
            Event::End(_) => close(&mut open, &mut root),
            Event::Text(text) => append(&mut open, &text)?,
            Event::CData(text) => append(&mut open, &text)?,
            Event::GeneralRef(reference) => {
                let resolved = match &*reference {
                    "amp" => Some('&'),
                    "lt" => Some('<'),
                    "gt" => Some('>'),
                    "quot" => Some('"'),
                    "apos" => Some('\''),
                    _ => reference.resolve_char_ref().ok().flatten(),
                };
                let resolved = resolved.ok_or("refers to an unknown XML entity")?;
                append(&mut open, resolved.encode_utf8(&mut [0; 4]))?;
            }
            Event::DocType(_) => return Err("declares an XML document type".to_owned()),
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) => {}
            Event::Eof => break,
        }
    }
    match root {
        Some(root) if open.is_empty() => Ok(root),
        _ => Err("is not a complete XML document".to_owned()),
    }
}

fn close(open: &mut Vec<Element>, root: &mut Option<Element>) {
    if let Some(element) = open.pop() {
        match open.last_mut() {
            Some(parent) => parent.children.push(element),
            None => *root = Some(element),
        }
    }
}

fn append(open: &mut [Element], text: &str) -> Result<(), String> {
    match open.last_mut() {
        Some(element) => element.text.push_str(text),
        None if text.trim().is_empty() => {}
        None => return Err("is not XML".to_owned()),
    }
    Ok(())
}

/// Returns `text` as it stands in an element.
pub(super) fn escape(text: &str) -> String {
    quick_xml::escape::partial_escape(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(body: &str) -> Result<String, String> {
        parse(body.as_bytes()).map(|root| root.text("v").unwrap_or_default().to_owned())
    }

    #[test]
    fn text_is_put_together_from_all_its_spellings() {
        for (body, expected) in [
            ("<r><v>a&amp;b&#34;c&quot;&#x4e2d;</v></r>", "a&b\"c\"中"),
            (
                "\u{feff}<?xml version=\"1.0\"?>\n<!-- c --><x:r xmlns:x='u'><x:v><![CDATA[<a>]]></x:v></x:r>\n",
                "<a>",
            ),
            ("<r><w/><v a='b'>1</v><v>2</v></r>", "1"),
        ] {
            assert_eq!(text_of(body).as_deref(), Ok(expected), "{body}");
        }
    }

    #[test]
    fn what_can_grow_or_refer_is_refused() {
        let deep = format!("{}{}", "<a>".repeat(17), "</a>".repeat(17));
        let many = format!("<a>{}</a>", "<b/>".repeat(MAX_ELEMENTS));
        let long = " ".repeat(MAX_BYTES + 1);
        for bad in [
            "",
            "   ",
            "text",
            "<r>",
            "<r></s>",
            "<r/><r/>",
            "<r/>text",
            "</r>",
            "<r>&lol;</r>",
            "<r>&#0x;</r>",
            "<!DOCTYPE r [<!ENTITY lol \"x\">]><r/>",
            &deep,
            &many,
            &long,
        ] {
            let shown: String = bad.chars().take(40).collect();
            assert!(text_of(bad).is_err(), "{shown}");
        }
        assert!(parse(b"<r>\xff</r>").is_err());
    }
}
