//! The INI dialect of ossutil, versions 1 and 2.
//!
//! A library is not used here because secrets must come out byte by byte: no escapes, no `;` or `#` cut off behind
//! a value.

use super::profile::ProfileError;

/// One section in the order of the file.
pub(super) struct Section<'a> {
    /// The name as written between the brackets, trimmed.
    pub(super) name: &'a str,
    /// Keys as written and values without surrounding quotes.
    pub(super) entries: Vec<(&'a str, &'a str)>,
}

impl Section<'_> {
    /// Returns the value of the last entry whose key is `key`, in any spelling; nothing if it is empty.
    pub(super) fn get(&self, key: &str) -> Option<String> {
        let wanted = normal(key);
        let entry = self.entries.iter().rev().find(|(name, _)| normal(name) == wanted);
        entry.map(|(_, value)| (*value).to_owned()).filter(|value| !value.is_empty())
    }
}

/// Returns a key without the differences of camelCase, kebab-case, snake_case and joined words.
pub(super) fn normal(key: &str) -> String {
    key.chars().filter(|c| !matches!(c, '-' | '_')).flat_map(char::to_lowercase).collect()
}

/// Reads the sections of `text`.
pub(super) fn sections(text: &str) -> Result<Vec<Section<'_>>, ProfileError> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let refuse = |reason| Err(ProfileError::Syntax { line: index + 1, reason });
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(rest) = line.strip_prefix('[') {
            let Some(name) = rest.strip_suffix(']') else {
                return refuse("starts a section but has no `]` at its end");
            };
            sections.push(Section { name: name.trim(), entries: Vec::new() });
            continue;
        }
        let Some((key, value)) = line.split_once(['=', ':']) else {
            return refuse("is neither `[section]` nor `key = value`");
        };
        let Some(section) = sections.last_mut() else {
            return refuse("is before the first `[section]`");
        };
        section.entries.push((key.trim(), unquoted(value.trim())));
    }
    Ok(sections)
}

fn unquoted(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(inner) = value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return inner;
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_out_byte_by_byte() {
        let text = "# c\n[ a ]\r\nKey-Id = \"x;y#z\"\nsecret=a=b:c\\n\n url : http://h:1/\nempty=\n";
        let sections = sections(text).unwrap();
        assert_eq!(sections[0].name, "a");
        assert_eq!(sections[0].get("keyID").as_deref(), Some("x;y#z"));
        assert_eq!(sections[0].get("secret").as_deref(), Some("a=b:c\\n"));
        assert_eq!(sections[0].get("url").as_deref(), Some("http://h:1/"));
        assert_eq!(sections[0].get("empty"), None);
    }

    #[test]
    fn a_bad_line_is_named_by_number_and_not_repeated() {
        for (text, line) in [("[a\nhunter2", 1), ("[a]\nhunter2", 2), ("\nx=hunter2", 2)] {
            let error = sections(text).err().expect("a refusal").to_string();
            assert!(error.contains(&format!("line {line} ")) && !error.contains("hunter2"), "{error}");
        }
    }
}
