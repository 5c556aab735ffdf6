//! Text of the guest: never trusted, never longer than it may be.

/// Longest text that is told, in characters.
const LONGEST: usize = 256;

/// Returns what may be told of a text of the guest: no control characters, which a terminal may obey.
pub(super) fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(4 * LONGEST)]);
    let plain = text.chars().map(|char| if char.is_control() { char::REPLACEMENT_CHARACTER } else { char });
    plain.take(LONGEST).collect()
}

/// Returns the lines of a text with their numbers from 1 on, without what is no text.
pub(super) fn lines(bytes: &[u8]) -> impl Iterator<Item = (usize, &str)> {
    (1..)
        .zip(bytes.split(|byte| *byte == b'\n'))
        .filter_map(|(number, line)| Some((number, std::str::from_utf8(line).ok()?.trim())))
}

/// Returns the value of `KEY=value` with its quotes taken off, if the line is that.
pub(super) fn assigned<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    let value = line.strip_prefix(key)?.trim_start().strip_prefix('=')?.trim();
    let quoted = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    Some(quoted('"').or_else(|| quoted('\'')).unwrap_or(value))
}

/// Whether a text of the guest may stand in a command as it is: no shell takes any of it for more than itself.
pub(super) fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._/:=+-".contains(&byte))
}
