//! What an answer repeats of a request's secrets is removed where the answer enters: nothing that shows or logs it
//! later has to hide anything.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::HeaderValue;

use super::CallCause;
use crate::credentials::Credentials;
use crate::http::Body;
use crate::protocol::Response;
use crate::protocol::sign::encode;

/// What stands in a secret's place.
const REDACTED: &str = "[redacted]";
/// Shorter texts are not secrets, but would be found in many words.
const SHORTEST: usize = 8;
/// Headers of a request whose values are secret.
const HEADERS: [&str; 3] = ["authorization", "x-oss-security-token", "x-acs-security-token"];
/// Parameters of a query that are secret.
const PARAMETERS: [&str; 4] = ["Signature", "SecurityToken", "OIDCToken", "x-oss-security-token"];

/// The secrets of one request, in each spelling in which an answer may repeat them.
pub(super) struct Secrets(Vec<String>);

impl Secrets {
    /// Collects what a request was signed with, and what it carries.
    pub(super) fn of(credentials: Option<&Credentials>, request: &http::Request<Body>) -> Self {
        let mut secrets = Vec::new();
        if let Some(credentials) = credentials {
            secrets.push(credentials.access_key_secret.expose().to_owned());
            secrets.extend(credentials.security_token.as_ref().map(|token| token.expose().to_owned()));
        }
        for value in HEADERS.iter().filter_map(|name| request.headers().get(*name)?.to_str().ok()) {
            secrets.push(value.to_owned());
            let signature = value.split_once("Signature=").or_else(|| value.split_once(':'));
            secrets.extend(signature.map(|(_, signature)| signature.to_owned()));
        }
        let query = request.uri().query().and_then(encode::decode_query).unwrap_or_default();
        secrets.extend(
            query
                .into_iter()
                .filter(|(name, _)| PARAMETERS.contains(&&**name))
                .filter_map(|(_, value)| value),
        );
        Self::spelt(secrets)
    }

    fn spelt(secrets: Vec<String>) -> Self {
        let mut spelt: Vec<String> =
            secrets.into_iter().filter(|secret| secret.len() >= SHORTEST).flat_map(spellings).collect();
        // The longest first: a part of a secret may be one too.
        spelt.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        spelt.dedup();
        Self(spelt)
    }

    /// Returns the answer without them.
    pub(super) fn taken_out_of(&self, answer: &Response) -> Response {
        let mut answer = answer.clone();
        if let Some(body) = self.replaced(&answer.body) {
            answer.body = Bytes::from(body);
        }
        for (name, value) in &mut answer.headers {
            // The document of an answer to HEAD.
            let document = (name == "x-oss-err")
                .then(|| BASE64_STANDARD.decode(value.as_bytes().trim_ascii()).ok())
                .flatten();
            let replaced = match document {
                Some(document) => {
                    self.replaced(&document).map(|document| BASE64_STANDARD.encode(document).into_bytes())
                }
                None => self.replaced(value.as_bytes()),
            };
            if let Some(replaced) = replaced {
                *value = HeaderValue::from_bytes(&replaced).unwrap_or(HeaderValue::from_static(REDACTED));
            }
        }
        answer
    }

    /// Takes them out of why an attempt failed: in a document they may have been written with entities.
    pub(super) fn take_out_of_cause(&self, cause: &mut CallCause) {
        match cause {
            CallCause::Service(error) => {
                let optional = [
                    &mut error.code,
                    &mut error.request_id,
                    &mut error.ec,
                    &mut error.recommend,
                    &mut error.endpoint,
                    &mut error.upload_id,
                    &mut error.denied_action,
                ];
                optional
                    .into_iter()
                    .flatten()
                    .chain([&mut error.message])
                    .for_each(|text| self.take_out(text));
            }
            CallCause::Decode(error) => self.take_out(&mut error.reason),
            _ => {}
        }
    }

    /// Takes them out of a text.
    pub(super) fn take_out(&self, text: &mut String) {
        for secret in &self.0 {
            if text.contains(secret) {
                *text = text.replace(secret, REDACTED);
            }
        }
    }

    /// Returns bytes without them, if they hold any.
    fn replaced(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut replaced: Option<Vec<u8>> = None;
        for secret in self.0.iter().map(String::as_bytes) {
            let mut from = 0;
            while let Some(at) = find(replaced.as_deref().unwrap_or(bytes), secret, from) {
                let held = replaced.get_or_insert_with(|| bytes.to_vec());
                held.splice(at..at + secret.len(), REDACTED.bytes());
                from = at + REDACTED.len();
            }
        }
        replaced
    }
}

fn find(bytes: &[u8], secret: &[u8], from: usize) -> Option<usize> {
    bytes.get(from..)?.windows(secret.len()).position(|window| window == secret).map(|at| from + at)
}

/// Returns a secret as it is, in a URL by either case of its digits, and in JSON that escapes slashes.
fn spellings(secret: String) -> [String; 4] {
    let encoded = encode::component(&secret);
    let lower = secret.bytes().fold(String::new(), |text, byte| match byte {
        b'-' | b'.' | b'_' | b'~' => text + char::from(byte).encode_utf8(&mut [0; 4]),
        byte if byte.is_ascii_alphanumeric() => text + char::from(byte).encode_utf8(&mut [0; 4]),
        byte => text + &format!("%{byte:02x}"),
    });
    [encoded, lower, secret.replace('/', "\\/"), secret]
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "CAIS+token/with=odd&letters";

    fn secrets() -> Secrets {
        let request = http::Request::get("http://h/?Action=X&Signature=c2lnbmF0dXJl%2B%3D")
            .header("authorization", "OSS4-HMAC-SHA256 Credential=ID/20250101,Signature=0123456789abcdef")
            .body(crate::http::empty())
            .unwrap();
        Secrets::of(Some(&Credentials::new("ID", "the-key-s-secret").with_token(TOKEN)), &request)
    }

    #[test]
    fn every_spelling_of_a_secret_is_taken_out() {
        for echoed in [
            TOKEN,
            "CAIS%2Btoken%2Fwith%3Dodd%26letters",
            "CAIS%2btoken%2fwith%3dodd%26letters",
            "CAIS+token\\/with=odd&letters",
            "the-key-s-secret",
            "0123456789abcdef",
            "c2lnbmF0dXJl+=",
            "OSS4-HMAC-SHA256 Credential=ID/20250101,Signature=0123456789abcdef",
        ] {
            let mut text = format!("it was {echoed}, {echoed}");
            secrets().take_out(&mut text);
            assert_eq!(text, "it was [redacted], [redacted]", "{echoed}");
            let document = BASE64_STANDARD.encode(format!("<Error>{echoed}</Error>"));
            let mut answer = Response {
                status: http::StatusCode::FORBIDDEN,
                headers: http::HeaderMap::new(),
                body: Bytes::from(format!("{echoed} and {echoed}")),
            };
            answer.headers.insert("x-oss-err", document.parse().unwrap());
            answer.headers.insert("x-oss-request-id", echoed.parse().unwrap());
            let clean = secrets().taken_out_of(&answer);
            assert_eq!(clean.body, "[redacted] and [redacted]");
            assert_eq!(clean.headers["x-oss-request-id"], REDACTED);
            let document = BASE64_STANDARD.decode(&clean.headers["x-oss-err"]).unwrap();
            assert_eq!(document, b"<Error>[redacted]</Error>");
        }
    }

    #[test]
    fn what_is_no_secret_stays() {
        let request = http::Request::get("http://h/").body(crate::http::empty()).unwrap();
        let short = Secrets::of(Some(&Credentials::new("ID", "short")), &request);
        let mut text = "a short word, and ID".to_owned();
        short.take_out(&mut text);
        secrets().take_out(&mut text);
        assert_eq!(text, "a short word, and ID");
    }
}
