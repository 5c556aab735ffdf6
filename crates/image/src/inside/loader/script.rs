//! The language of `grub.cfg`, as far as it takes to see which words a line has.

use std::collections::HashMap;

/// Values of variables, from the environment block and from lines that set them.
pub(super) type Variables = HashMap<String, String>;

/// Reads the environment block of GRUB, which is padded with `#`.
pub(super) fn environment(bytes: &[u8]) -> Variables {
    let lines = super::super::text::lines(bytes).filter(|(_, line)| !line.starts_with('#'));
    let pairs = lines.filter_map(|(_, line)| line.split_once('='));
    pairs.take(64).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Splits a line into statements of words, with quotes taken off and variables replaced. A variable that has no value
/// stays as it is written, so that whoever needs it can see that it is not known.
pub(super) fn statements(line: &str, variables: &Variables) -> Vec<Vec<String>> {
    let mut statements = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut rest = line;
    while let Some(char) = rest.chars().next() {
        rest = &rest[char.len_utf8()..];
        match (quote, char) {
            (Some('\''), '\'') | (Some('"'), '"') => quote = None,
            (None, '\'' | '"') => {
                quote = Some(char);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => {
                if let Some(escaped) = rest.chars().next() {
                    rest = &rest[escaped.len_utf8()..];
                    word.get_or_insert_default().push(escaped);
                }
            }
            (None | Some('"'), '$') => {
                let (name, after) = variable(rest);
                let value = variables.get(name).cloned();
                let value = value.unwrap_or_else(|| format!("${}", &rest[..rest.len() - after.len()]));
                rest = after;
                match quote {
                    None if value.is_empty() => {}
                    // Without quotes the value may be several words.
                    None if value.contains(char::is_whitespace) => {
                        let mut values = value.split_whitespace();
                        word.get_or_insert_default().push_str(values.next().unwrap_or_default());
                        for value in values {
                            push(&mut statements, &mut word);
                            word = Some(value.to_owned());
                        }
                    }
                    _ => word.get_or_insert_default().push_str(&value),
                }
            }
            (None, '#') if word.is_none() => break,
            (None, ';') => {
                push(&mut statements, &mut word);
                statements.push(Vec::new());
            }
            (None, char) if char.is_whitespace() => push(&mut statements, &mut word),
            (_, char) => word.get_or_insert_default().push(char),
        }
    }
    push(&mut statements, &mut word);
    statements.retain(|words| !words.is_empty());
    statements
}

fn push(statements: &mut [Vec<String>], word: &mut Option<String>) {
    if let (Some(statement), Some(word)) = (statements.last_mut(), word.take()) {
        statement.push(word);
    }
}

/// Takes the name of a variable, `NAME` or `{NAME}`, off what follows a `$`.
fn variable(text: &str) -> (&str, &str) {
    if let Some((name, after)) = text.strip_prefix('{').and_then(|text| text.split_once('}')) {
        return (name, after);
    }
    let end = text.find(|char: char| !char.is_ascii_alphanumeric() && char != '_').unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_split_as_grub_splits_it() {
        let mut variables =
            environment(b"# GRUB Environment Block\nsaved_entry=a b\nkernelopts=root=UUID=x ro\n####");
        variables.insert("one".to_owned(), "1".to_owned());
        let split = |line| statements(line, &variables);
        assert_eq!(
            split("linux /a$one ${kernelopts} $unknown ${none}x # no"),
            [["linux", "/a1", "root=UUID=x", "ro", "$unknown", "${none}x"]]
        );
        assert_eq!(
            split("menuentry 'it''s \"$one\"' \"\\\"${saved_entry}\\\"\" {"),
            [["menuentry", "its \"$one\"", "\"a b\"", "{"]]
        );
        assert_eq!(
            split("if [ a ]; then set x='' ; fi"),
            [vec!["if", "[", "a", "]"], vec!["then", "set", "x="], vec!["fi"]]
        );
        assert!(split("  # nothing").is_empty() && split("").is_empty());
        assert_eq!(split("a\\"), [["a"]]);
        assert_eq!(split("'ä$"), [["ä$"]]);
        assert_eq!(split("${x"), [["${x"]]);
    }
}
