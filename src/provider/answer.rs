//! Credentials as JSON, in the spelling of STS and the metadata service (`AccessKeyId`) and in that of the aliyun
//! CLI (`access_key_id`).

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use jiff::Timestamp;
use serde::Deserialize;

use crate::credentials::Credentials;
use crate::http::{Body, Transport};

/// Longest answer that is read, in bytes.
pub(super) const MAX_BYTES: usize = 64 << 10;

/// Sends a request and reads the whole answer within `limit`. The error, which may pass, is the end of a sentence
/// about the service.
pub(super) async fn exchange(
    transport: &dyn Transport,
    request: Request<Body>,
    limit: Duration,
) -> Result<(StatusCode, Bytes), String> {
    let exchange = async {
        let response = transport.send(request).await.map_err(|error| error.message)?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_BYTES).collect().await;
        let body = body.map_err(|_| "its answer was cut or is too long".to_owned())?;
        Ok((status, body.to_bytes()))
    };
    tokio::time::timeout(limit, exchange).await.unwrap_or_else(|_| Err("it does not answer".to_owned()))
}

#[derive(Deserialize)]
struct Answer {
    #[serde(alias = "Code")]
    code: Option<String>,
    #[serde(alias = "AccessKeyId")]
    access_key_id: Option<String>,
    #[serde(alias = "AccessKeySecret")]
    access_key_secret: Option<String>,
    #[serde(alias = "SecurityToken")]
    sts_token: Option<String>,
    #[serde(alias = "Expiration")]
    expiration: Option<String>,
}

/// Reads an answer; the error is the end of a sentence about it and holds nothing of it but its code.
pub(super) fn parse(bytes: &[u8]) -> Result<Credentials, String> {
    if bytes.len() > MAX_BYTES {
        return Err("its answer is too long".to_owned());
    }
    let answer: Answer = serde_json::from_slice(bytes)
        .map_err(|_| "its answer is not JSON of the expected form".to_owned())?;
    if let Some(code) = answer.code.filter(|code| code != "Success") {
        let code: String = code.chars().take(80).collect();
        return Err(format!("it answered `{}`", code.escape_debug()));
    }
    let set = |value: Option<String>| value.filter(|value| !value.is_empty());
    let lacks = |name: &str| format!("its answer lacks `{name}`");
    let id = set(answer.access_key_id).ok_or_else(|| lacks("AccessKeyId"))?;
    let secret = set(answer.access_key_secret).ok_or_else(|| lacks("AccessKeySecret"))?;
    let mut credentials = Credentials::new(id, secret);
    if let Some(token) = set(answer.sts_token) {
        credentials = credentials.with_token(token);
    }
    if let Some(end) = set(answer.expiration) {
        let end: Timestamp = end
            .parse()
            .map_err(|_| "its `Expiration` is not a time such as 2026-01-01T06:00:00Z".to_owned())?;
        credentials = credentials.with_expiry(end);
    }
    Ok(credentials)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_spellings_are_read() {
        let pascal = br#"{"Code":"Success","AccessKeyId":"STS.a","AccessKeySecret":"s","SecurityToken":"t",
            "Expiration":"2026-01-01T06:00:00Z","LastUpdated":"x"}"#;
        let credentials = parse(pascal).unwrap();
        assert_eq!(credentials.expires.unwrap().to_string(), "2026-01-01T06:00:00Z");
        assert_eq!(credentials.security_token.unwrap().expose(), "t");
        let snake = br#"{"mode":"AK","access_key_id":"a","access_key_secret":"s","sts_token":""}"#;
        assert_eq!(parse(snake).unwrap(), Credentials::new("a", "s"));
    }

    #[test]
    fn what_is_wrong_is_said_without_the_answer() {
        for (text, part) in [
            (r#"{"Code":"Failed","AccessKeySecret":"hunter2"}"#, "`Failed`"),
            (r#"{"AccessKeyId":"a"}"#, "AccessKeySecret"),
            (r#"{"AccessKeySecret":"hunter2"}"#, "AccessKeyId"),
            (r#"{"AccessKeyId":"a","AccessKeySecret":"hunter2","Expiration":"hunter2"}"#, "Expiration"),
            ("hunter2", "not JSON"),
        ] {
            let error = parse(text.as_bytes()).unwrap_err();
            assert!(error.contains(part) && !error.contains("hunter2"), "{error}");
        }
        assert!(parse(&vec![b' '; MAX_BYTES + 1]).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }
    }
}
