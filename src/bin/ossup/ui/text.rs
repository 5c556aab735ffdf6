//! Numbers and foreign text for people.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

/// Whether a character moves the cursor, changes colours, or reorders what is shown.
fn is_unsafe(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Returns text without control characters and without those that reorder what is shown; they are escaped.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, &[])
}

/// Returns text of several lines, which may have tabs, in the same way.
pub(crate) fn printable_lines(text: &str) -> Cow<'_, str> {
    escaped(text, &['\n', '\t'])
}

/// Returns text with all characters escaped that are unsafe to show, except for `kept`.
pub(super) fn escaped<'a>(text: &'a str, kept: &[char]) -> Cow<'a, str> {
    let must_go = |c: char| is_unsafe(c) && !kept.contains(&c);
    if !text.contains(must_go) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if must_go(c) { shown.extend(c.escape_unicode()) } else { shown.push(c) }
    }
    Cow::Owned(shown)
}

/// Returns JSON in one line that means the same and can be shown: JSON itself escapes only some of these.
pub(crate) fn json_line(value: &serde_json::Value) -> String {
    let mut line = String::new();
    for c in value.to_string().chars() {
        if is_unsafe(c) {
            let mut units = [0; 2];
            line.extend(c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            line.push(c);
        }
    }
    line
}

/// Returns text as one word of a shell.
pub(crate) fn word(text: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:+=@[]".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(quoted(text.as_bytes()))
}

/// Returns bytes as one word of a POSIX shell that can be shown: what cannot goes through `printf`.
pub(crate) fn quoted(bytes: &[u8]) -> String {
    let harmless = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_./+:@%,=".contains(byte);
    if !bytes.is_empty() && bytes.iter().all(harmless) {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains(is_unsafe) => format!("'{}'", text.replace('\'', r"'\''")),
        _ => format!("\"$(printf '{}')\"", printf_format(bytes)),
    }
}

/// Returns bytes as a format of `printf`, with octal escapes for all that is not plain.
fn printf_format(bytes: &[u8]) -> String {
    let mut format = String::new();
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b" _./+:@,=-".contains(byte) {
            format.push(char::from(*byte));
        } else {
            let _ = write!(format, "\\{byte:03o}");
        }
    }
    format
}

/// Returns a number of bytes in the largest binary unit that it reaches.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// Returns how many bytes of a total there are; the unit is named once where it is the same.
pub(crate) fn of(done: u64, total: u64) -> String {
    let (done, total) = (bytes(done), bytes(total));
    match (done.split_once(' '), total.split_once(' ')) {
        (Some((number, unit)), Some((_, same))) if unit == same => format!("{number} of {total}"),
        _ => format!("{done} of {total}"),
    }
}

/// Returns a count with the singular or the plural.
pub(crate) fn counted(count: impl Into<u64>, one: &str, several: &str) -> String {
    match count.into() {
        1 => format!("1 {one}"),
        count => format!("{count} {several}"),
    }
}

/// Returns a number of parts.
pub(crate) fn parts(count: usize) -> String {
    counted(count as u64, "part", "parts")
}

/// Returns a duration in its two largest units.
pub(crate) fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, s) => format!("{s} s"),
        (0, 0, m, s) => format!("{m} min {s} s"),
        (0, h, m, _) => format!("{h} h {m} min"),
        (d, h, _, _) => format!("{d} d {h} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_moves_no_cursor() {
        assert_eq!(printable("a\u{1b}[31m\nb\u{202e}"), "a\\u{1b}[31m\\u{a}b\\u{202e}");
        assert!(matches!(printable("中文 ok"), Cow::Borrowed(_)));
        assert_eq!(printable_lines("m-1\ta\u{9b}2J\nm-2"), "m-1\ta\\u{9b}2J\nm-2");
    }

    #[test]
    fn json_moves_no_cursor_either_and_means_the_same() {
        let value = serde_json::json!({"key": "a\u{9b}31m\u{202e}b\n中文"});
        let line = json_line(&value);
        assert_eq!(line, r#"{"key":"a\u009b31m\u202eb\n中文"}"#);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap(), value);
    }

    #[test]
    fn words_of_a_shell_stay_single() {
        assert_eq!(word("http://127.0.0.1:9000"), "http://127.0.0.1:9000");
        assert_eq!(word("a b"), "'a b'");
        assert_eq!(word("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(word(""), "''");
    }

    #[test]
    fn a_shell_reads_every_name_as_it_is_and_a_terminal_shows_it() {
        let names: [&[u8]; 13] = [
            b"disk.raw",
            b"it's a disk",
            b"$(reboot)",
            b"a`b`",
            b"\"quoted\"",
            b"new\nline",
            b"tab\t100%\\n'",
            b"\xFF\xFE.raw",
            "\u{9577}.raw".as_bytes(),
            "\u{202e}war.ksid".as_bytes(),
            b"!history & ; | > x",
            b"*",
            b"~root",
        ];
        for name in names {
            let word = quoted(name);
            let output = std::process::Command::new("sh").arg("-c").arg(format!("printf %s {word}")).output();
            assert_eq!(output.unwrap().stdout, name, "{word}");
            assert_eq!(printable(&word), word);
        }
    }

    #[test]
    fn sizes_and_durations_are_short() {
        for (count, shown) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1536, "1.5 KiB"),
            ((1 << 20) - 1, "1.0 MiB"),
            (6 << 30, "6.0 GiB"),
            (u64::MAX, "16384.0 PiB"),
        ] {
            assert_eq!(bytes(count), shown);
        }
        assert_eq!(of(1 << 30, 6 << 30), "1.0 of 6.0 GiB");
        assert_eq!(of(1 << 20, 6 << 30), "1.0 MiB of 6.0 GiB");
        assert_eq!((parts(0), parts(1), parts(2)), ("0 parts".into(), "1 part".into(), "2 parts".into()));
        for (seconds, shown) in [(0, "0 s"), (61, "1 min 1 s"), (3600, "1 h 0 min"), (90_000, "1 d 1 h")] {
            assert_eq!(duration(Duration::from_secs(seconds)), shown);
        }
    }
}
