//! What a JSON Web Token says of itself. Nothing here is verified: that is the service's business. It is read only to
//! explain a refusal.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::Value;

/// Longest audience that is repeated, in characters.
const MAX_AUDIENCE: usize = 100;

/// The claims that explain a refusal.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Claims {
    /// When the token ends.
    pub(super) ends: Option<Timestamp>,
    /// Whom it is for; the first of several.
    pub(super) audience: Option<String>,
}

/// Whether a text has the form of a token: three parts of base64url.
pub(super) fn is_token(text: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_=".contains(&byte))
    };
    text.split('.').count() == 3 && text.split('.').all(part)
}

/// Reads a token's claims, as far as they can be read.
pub(super) fn claims(token: &str) -> Claims {
    let payload = token.split('.').nth(1).unwrap_or_default().trim_end_matches('=');
    let json = BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap_or_default();
    let value: Value = serde_json::from_slice(&json).unwrap_or_default();
    let ends = value.get("exp").and_then(Value::as_i64).and_then(|end| Timestamp::from_second(end).ok());
    let audience = match value.get("aud") {
        Some(Value::Array(all)) => all.first().and_then(Value::as_str),
        other => other.and_then(Value::as_str),
    };
    Claims { ends, audience: audience.map(|text| text.chars().take(MAX_AUDIENCE).collect()) }
}

/// Makes a token that says this of itself, for tests.
#[cfg(test)]
pub(super) fn token(payload: &str) -> String {
    format!("eyJhbGciOiJSUzI1NiJ9.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(payload))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn claims_are_read_where_they_are() {
        let read = claims(&token(r#"{"exp":1767247200,"aud":["github-actions","other"]}"#));
        assert_eq!(read.ends.unwrap().to_string(), "2026-01-01T06:00:00Z");
        assert_eq!(read.audience.as_deref(), Some("github-actions"));
        assert_eq!(claims(&token(r#"{"aud":"one"}"#)).audience.as_deref(), Some("one"));
        for odd in ["", "a.b.c", "a", &token("[]"), &token(r#"{"exp":"soon","aud":7}"#)] {
            assert_eq!(claims(odd), Claims::default(), "{odd}");
        }
    }

    #[test]
    fn a_page_is_no_token() {
        assert!(is_token(&token("{}")));
        for odd in ["", "..", "a.b", "a.b.c.d", "<html>.b.c", "a.b c.d"] {
            assert!(!is_token(odd), "{odd}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "\\PC*", payload in "\\PC*") {
            let _ = (is_token(&text), claims(&text), claims(&token(&payload)));
        }
    }
}
