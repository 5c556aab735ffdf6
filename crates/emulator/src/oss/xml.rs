//! XML both ways: documents are built by hand with escapes, and read into a small tree with bounds.

use quick_xml::events::Event;
use quick_xml::reader::Reader;

/// How deep documents may nest. The deepest that OSS knows has five levels.
const MAX_DEPTH: usize = 16;
/// How many elements a document may have: a Complete of 10,000 parts has 30,001.
const MAX_ELEMENTS: usize = 40_000;

/// A document under construction.
#[derive(Debug)]
pub(super) struct Document(String);

impl Document {
    /// Begins with the declaration.
    pub(super) fn new() -> Self {
        Self("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned())
    }

    /// Adds an element with what `inner` adds.
    pub(super) fn element(&mut self, name: &str, inner: impl FnOnce(&mut Self)) -> &mut Self {
        self.0.extend(["<", name, ">"]);
        inner(self);
        self.0.extend(["</", name, ">"]);
        self
    }

    /// Adds an element with text.
    pub(super) fn text(&mut self, name: &str, text: impl AsRef<str>) -> &mut Self {
        self.element(name, |document| document.escape(text.as_ref()))
    }

    /// Adds an element with text if there is some.
    pub(super) fn optional(&mut self, name: &str, text: Option<impl AsRef<str>>) -> &mut Self {
        if let Some(text) = text {
            self.text(name, text);
        }
        self
    }

    fn escape(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&apos;"),
                c if c.is_control() => self.0.push_str(&format!("&#x{:X};", u32::from(c))),
                c => self.0.push(c),
            }
        }
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0.into_bytes()
    }
}

/// An element that was read. Names are local names; attributes are dropped.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) name: String,
    /// The text directly within, as it is: a key may begin or end with a space.
    pub(super) text: String,
    pub(super) children: Vec<Element>,
}

impl Element {
    /// Returns the first child of that name.
    pub(super) fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// Returns the text of the first child of that name, as it is.
    pub(super) fn child_text(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.as_str())
    }

    /// Returns the children of that name.
    pub(super) fn children_of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }
}

/// The document is not well formed, or beyond the bounds.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// Reads a document whose root is named `root`. Document types and entities of their own are refused.
///
/// # Errors
///
/// [`Malformed`].
pub(super) fn parse(bytes: &[u8], root: &str) -> Result<Element, Malformed> {
    let text = std::str::from_utf8(bytes).map_err(|_| Malformed)?;
    let mut reader = Reader::from_str(text);
    let (mut open, mut done, mut count) = (Vec::<Element>::new(), None, 0);
    loop {
        let event = reader.read_event().map_err(|_| Malformed)?;
        match event {
            Event::Start(ref start) | Event::Empty(ref start) => {
                count += 1;
                if open.len() == MAX_DEPTH || count > MAX_ELEMENTS || done.is_some() {
                    return Err(Malformed);
                }
                let name = start.local_name().into_inner().to_owned();
                open.push(Element { name, ..Element::default() });
                if matches!(event, Event::Empty(_)) {
                    close(&mut open, &mut done)?;
                }
            }
            Event::End(_) => close(&mut open, &mut done)?,
            Event::Text(text) => append(&mut open, &text.into_inner())?,
            Event::CData(text) => append(&mut open, &text.into_inner())?,
            Event::GeneralRef(reference) => {
                let resolved = match reference.resolve_char_ref().map_err(|_| Malformed)? {
                    Some(c) => c.to_string(),
                    None => {
                        let name = reference.into_inner();
                        quick_xml::escape::resolve_xml_entity(&name).ok_or(Malformed)?.to_owned()
                    }
                };
                append(&mut open, &resolved)?;
            }
            Event::DocType(_) => return Err(Malformed),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            Event::Eof => break,
        }
    }
    done.filter(|element: &Element| open.is_empty() && element.name == root).ok_or(Malformed)
}

fn append(open: &mut [Element], text: &str) -> Result<(), Malformed> {
    match open.last_mut() {
        Some(element) => element.text.push_str(text),
        None if text.trim_start_matches('\u{feff}').trim().is_empty() => {}
        None => return Err(Malformed),
    }
    Ok(())
}

fn close(open: &mut Vec<Element>, done: &mut Option<Element>) -> Result<(), Malformed> {
    let element = open.pop().ok_or(Malformed)?;
    match open.last_mut() {
        Some(parent) => parent.children.push(element),
        None => *done = Some(element),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escaped_quotes_cdata_and_namespaces_are_understood() {
        let text = b"<?xml version=\"1.0\"?><a:R xmlns:a='x'><P><E>&quot;AB&#34;</E><N> 1 </N></P><Q><![CDATA[<]]></Q><Z/></a:R>";
        let root = parse(text, "R").unwrap();
        let part = root.child("P").unwrap();
        assert_eq!((part.child_text("E"), part.child_text("N")), (Some("\"AB\""), Some(" 1 ")));
        assert_eq!(root.child_text("Q"), Some("<"));
        assert_eq!(root.child_text("Z"), Some(""));
    }

    #[test]
    fn what_is_no_such_document_is_refused() {
        let deep = format!("{}{}", "<R>".repeat(17), "</R>".repeat(17));
        let wide = format!("<R>{}</R>", "<a/>".repeat(MAX_ELEMENTS));
        for bad in [
            "",
            "<R>",
            "<R></S>",
            "<S/>",
            "<R/><R/>",
            "x<R/>",
            "<!DOCTYPE R [<!ENTITY e \"x\">]><R>&e;</R>",
            "<R>&nope;</R>",
            "{}",
            &deep,
            &wide,
        ] {
            assert_eq!(parse(bad.as_bytes(), "R"), Err(Malformed), "{}", &bad[..bad.len().min(60)]);
        }
        assert_eq!(parse(b"<R>\xff</R>", "R"), Err(Malformed));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(text in "\\PC*") {
            let mut document = Document::new();
            document.element("R", |d| { d.text("T", &text); });
            let root = parse(&document.into_bytes(), "R").unwrap();
            prop_assert_eq!(root.child_text("T"), Some(text.as_str()));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = parse(&bytes, "R");
        }
    }
}
