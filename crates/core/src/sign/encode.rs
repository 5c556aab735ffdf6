//! Percent-encoding as OSS and the RPC services sign it (RFC 3986, upper-case hex), and decoding.
//!
//! URL libraries leave `!'()*` alone and write a space as `+` in queries: both break signatures.

use std::fmt::Write;

/// Encodes all but `A-Z a-z 0-9 - . _ ~`: names and values of a query.
pub fn component(text: &str) -> String {
    encode(text, b"")
}

/// Encodes a path: as [`component`], but `/` stays.
pub fn path(text: &str) -> String {
    encode(text, b"/")
}

fn encode(text: &str, keep: &[u8]) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 4);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || keep.contains(&byte) {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("writing to a String never fails");
        }
    }
    out
}

/// Decodes `%XX`; everything else stays, `+` included.
///
/// Returns nothing if an escape is malformed or the bytes are not UTF-8.
pub fn decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let high = char::from(bytes.next()?).to_digit(16)?;
            let low = char::from(bytes.next()?).to_digit(16)?;
            out.push(u8::try_from(high * 16 + low).expect("two hex digits make a byte"));
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

/// Decodes the query of a URL into names and values in their order; `None` is a name without `=`.
///
/// A `+` stays a plus. Returns nothing if an escape is malformed or a name or value is not UTF-8.
pub fn decode_query(query: &str) -> Option<Vec<(String, Option<String>)>> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| match pair.split_once('=') {
            Some((name, value)) => Some((decode(name)?, Some(decode(value)?))),
            None => Some((decode(pair)?, None)),
        })
        .collect()
}

/// Writes a query: `name=value` or the bare name, encoded, joined by `&`, in the given order.
pub fn query<'a>(pairs: impl IntoIterator<Item = (&'a str, Option<&'a str>)>) -> String {
    let encoded = pairs.into_iter().map(|(name, value)| match value {
        Some(value) => format!("{}={}", component(name), component(value)),
        None => component(name),
    });
    encoded.collect::<Vec<_>>().join("&")
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        write!(out, "{byte:02x}").expect("writing to a String never fails");
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_the_unreserved_stay() {
        assert_eq!(component("aZ09-._~"), "aZ09-._~");
        assert_eq!(component(" +%*'()!/:"), "%20%2B%25%2A%27%28%29%21%2F%3A");
        assert_eq!(path("目录/a b"), "%E7%9B%AE%E5%BD%95/a%20b");
    }

    #[test]
    fn a_plus_is_no_space_and_malformed_escapes_are_noticed() {
        assert_eq!(decode("a+b%2bc").as_deref(), Some("a+b+c"));
        for bad in ["%", "%4", "%zz", "%+1", "%FF"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }

    #[test]
    fn queries_keep_order_and_tell_bare_names_from_empty_values() {
        let pairs = decode_query("uploads&prefix=a%26b&x=&&y=1=2").unwrap();
        let expected = [("uploads", None), ("prefix", Some("a&b")), ("x", Some("")), ("y", Some("1=2"))];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.map(str::to_owned)));
        assert_eq!(pairs, expected);
        let again = query(pairs.iter().map(|(name, value)| (name.as_str(), value.as_deref())));
        assert_eq!(again, "uploads&prefix=a%26b&x=&y=1%3D2");
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(text: String) {
            prop_assert_eq!(decode(&component(&text)), Some(text.clone()));
            prop_assert_eq!(decode(&path(&text)), Some(text));
        }

        #[test]
        fn decoding_never_panics(text: String) {
            let _ = (decode(&text), decode_query(&text));
        }
    }
}
