use std::fmt;

use serde::{Deserialize, Serialize};

/// How an object is made of its source. By default it has the source's bytes as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct ObjectForm {
    /// That it is made of what the source has inside: of what is compressed, or of an archive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unpacked: Option<Unpacked>,
    /// What the image becomes on the way.
    #[serde(skip_serializing_if = "ObjectFormat::is_as_is")]
    pub format: ObjectFormat,
    /// That it has zeros wherever a map says that the source has no data.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub mapped: bool,
}

/// What of a packed source becomes the object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Unpacked {
    /// The archive's member, where the source is an archive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
}

/// The format of an object, by the format of what it is made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ObjectFormat {
    /// The same: the bytes are not changed.
    #[default]
    AsIs,
    /// The disk inside a QCOW2 or VHD, byte for byte.
    Raw,
    /// A RAW disk as QCOW2, without its zeros.
    Qcow2 {
        /// Which QCOW2: another one is another object.
        compat: Qcow2Compat,
    },
}

/// The version of a QCOW2, by the name that `qemu-img` gives it (`compat`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Qcow2Compat {
    /// Version 2.
    #[serde(rename = "0.10")]
    V2,
    /// Version 3.
    #[default]
    #[serde(rename = "1.1")]
    V3,
}

impl ObjectForm {
    /// Whether the object has the source's bytes, in their places.
    pub fn is_as_is(&self) -> bool {
        *self == Self::default()
    }

    /// Returns what the object's user metadata says of it, so that whoever finds the object can tell what it is of:
    /// nothing where it is the source as it is. A member's name is left out, since it may hold anything.
    pub fn metadata(&self, image_bytes: Option<u64>) -> Vec<(String, String)> {
        if self.is_as_is() {
            return Vec::new();
        }
        let (form, compat) = match self.format {
            ObjectFormat::AsIs => ("as-is", None),
            ObjectFormat::Raw => ("raw", None),
            ObjectFormat::Qcow2 { compat } => ("qcow2", Some(compat.as_str())),
        };
        let unpacked = self.unpacked.as_ref().map(|_| "true".to_owned());
        let facts = [
            ("ossup-form", Some(form.to_owned())),
            ("ossup-compat", compat.map(str::to_owned)),
            ("ossup-unpacked", unpacked),
            ("ossup-image-size", image_bytes.map(|bytes| bytes.to_string())),
        ];
        facts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}

impl Qcow2Compat {
    /// Returns the name that `qemu-img` gives it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V2 => "0.10",
            Self::V3 => "1.1",
        }
    }
}

impl ObjectFormat {
    fn is_as_is(&self) -> bool {
        *self == Self::AsIs
    }
}

/// The end of "it is uploaded …".
impl fmt::Display for ObjectForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.unpacked {
            Some(Unpacked { member: Some(member) }) => write!(f, "unpacked (`{}`)", member.escape_debug())?,
            Some(Unpacked { member: None }) => f.write_str("unpacked")?,
            None if self.is_as_is() => return f.write_str("as it is"),
            None if self.format.is_as_is() => f.write_str("as it is")?,
            None => {}
        }
        let comma = if self.unpacked.is_some() { ", " } else { "" };
        match self.format {
            ObjectFormat::AsIs => Ok(()),
            ObjectFormat::Raw => write!(f, "{comma}as RAW"),
            ObjectFormat::Qcow2 { compat: Qcow2Compat::V3 } => write!(f, "{comma}as QCOW2"),
            ObjectFormat::Qcow2 { compat: Qcow2Compat::V2 } => write!(f, "{comma}as QCOW2 (compat 0.10)"),
        }?;
        f.write_str(if self.mapped { ", by a map of its data" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metadata_says_what_is_not_as_the_source() {
        let said = |form: ObjectForm, image: Option<u64>| {
            let facts = form.metadata(image).into_iter().map(|(name, value)| format!("{name}={value}"));
            facts.collect::<Vec<_>>().join(" ")
        };
        let of = |unpacked, format| ObjectForm { unpacked, format, mapped: false };
        assert_eq!(said(ObjectForm::default(), Some(7)), "");
        let qcow2 = ObjectFormat::Qcow2 { compat: Qcow2Compat::V2 };
        assert_eq!(said(of(None, qcow2), Some(7)), "ossup-form=qcow2 ossup-compat=0.10 ossup-image-size=7");
        assert_eq!(said(of(None, ObjectFormat::Raw), Some(7)), "ossup-form=raw ossup-image-size=7");
        let member = Unpacked { member: Some("a\nb: c".to_owned()) };
        assert_eq!(said(of(Some(member), ObjectFormat::AsIs), None), "ossup-form=as-is ossup-unpacked=true");
    }

    #[test]
    fn every_form_is_shown_and_read_as_it_was_written() {
        let member = Unpacked { member: Some("disk.raw".to_owned()) };
        let (v2, v3) = (
            ObjectFormat::Qcow2 { compat: Qcow2Compat::V2 },
            ObjectFormat::Qcow2 { compat: Qcow2Compat::V3 },
        );
        let forms = [
            (None, ObjectFormat::AsIs, "as it is", "{}"),
            (None, ObjectFormat::Raw, "as RAW", r#"{"format":"raw"}"#),
            (None, v3, "as QCOW2", r#"{"format":{"qcow2":{"compat":"1.1"}}}"#),
            (None, v2, "as QCOW2 (compat 0.10)", r#"{"format":{"qcow2":{"compat":"0.10"}}}"#),
            (Some(Unpacked::default()), ObjectFormat::AsIs, "unpacked", r#"{"unpacked":{}}"#),
            (
                Some(member),
                v3,
                "unpacked (`disk.raw`), as QCOW2",
                r#"{"unpacked":{"member":"disk.raw"},"format":{"qcow2":{"compat":"1.1"}}}"#,
            ),
        ];
        for (unpacked, format, shown, text) in forms {
            let form = ObjectForm { unpacked, format, mapped: false };
            assert_eq!((form.to_string().as_str(), form.is_as_is()), (shown, text == "{}"));
            assert_eq!(serde_json::to_string(&form).unwrap(), text);
            assert_eq!(serde_json::from_str::<ObjectForm>(text).unwrap(), form);
        }
    }
}
