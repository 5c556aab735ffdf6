//! The URL of an object, plain or presigned, as the OSS console's "Copy File URL" gives it. Nothing here makes
//! a request: whether there is such an object, and whether anyone may read it, is not looked at.
//!
//! Public, internal and custom domains differ in the [`Endpoint`] alone. ECS imports by bucket and key, not by
//! URL; the URL is for people, and for downloading the image.

use std::fmt;
use std::time::Duration;

use http::Method;
use jiff::Timestamp;

use crate::credentials::Credentials;
use crate::model::limits::MAX_PRESIGN_SECONDS;
use crate::model::{Endpoint, ObjectRef, Region};
use crate::protocol::sign::{self, SignVersion};
use crate::protocol::{Content, OssRequest, uri};

/// The signer of a URL, and how long it is valid.
#[derive(Debug, Clone, Copy)]
pub struct Presign<'a> {
    /// The kind of signature.
    pub version: SignVersion,
    /// The keys; anyone with the URL reads the object with their permissions.
    pub credentials: &'a Credentials,
    /// The bucket's region.
    pub region: &'a Region,
    /// The current time.
    pub at: Timestamp,
    /// How long the URL is good, in whole seconds from `at`: 1 second to 7 days ([`MAX_PRESIGN_SECONDS`]).
    pub validity: Duration,
}

/// A validity that no URL can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a presigned URL can be valid for 1 to {MAX_PRESIGN_SECONDS} seconds (7 days), not for {seconds}")]
pub struct ValidityError {
    /// What was asked for, in seconds.
    pub seconds: u64,
}

/// The URL of an object. `Display` gives all of it; `Debug` leaves out the query, for who has that can read
/// the object.
#[derive(Clone, PartialEq, Eq)]
pub struct ObjectUrl {
    text: String,
    expires: Option<Timestamp>,
    /// Signed with a token whose expiry is not known.
    token_may_end_it: bool,
}

impl ObjectUrl {
    /// Returns the URL without a signature. It serves if the object may be read by anyone.
    pub fn plain(object: &ObjectRef, endpoint: &Endpoint) -> Self {
        Self { text: uri::oss(endpoint, &get(object), &[]), expires: None, token_may_end_it: false }
    }

    /// Returns a URL with which anyone can GET the object for a while.
    ///
    /// The URL of a temporary key pair ends with the pair's token, however long it was asked to be good: see
    /// [`expires`](Self::expires).
    ///
    /// # Errors
    ///
    /// If the validity is not within 1 second to 7 days ("Add signatures to URLs" page).
    pub fn presigned(
        object: &ObjectRef,
        endpoint: &Endpoint,
        presign: &Presign<'_>,
    ) -> Result<Self, ValidityError> {
        let Presign { version, credentials, region, at, validity } = *presign;
        let seconds = validity.as_secs();
        let end = match seconds {
            1..=MAX_PRESIGN_SECONDS => at.checked_add(Duration::from_secs(seconds)).ok(),
            _ => None,
        };
        let end = end.ok_or(ValidityError { seconds })?;
        let request = get(object);
        let query = sign::presign_oss(version, &request, credentials, region, at, seconds);
        Ok(Self {
            text: uri::oss(endpoint, &request, &query),
            expires: Some(credentials.expires.map_or(end, |token_end| token_end.min(end))),
            token_may_end_it: credentials.is_temporary() && credentials.expires.is_none(),
        })
    }

    /// Returns the whole URL, the signature included.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns when the URL stops working, as far as is known here: a token may end earlier than its provider
    /// said. A plain URL has no end.
    pub fn expires(&self) -> Option<Timestamp> {
        self.expires
    }

    /// Whether the URL may stop working before [`expires`](Self::expires): it is signed with a token of which nobody
    /// said when it ends.
    pub fn token_may_end_it(&self) -> bool {
        self.token_may_end_it
    }

    /// Whether the URL carries a signature and so is a secret.
    pub fn is_presigned(&self) -> bool {
        self.expires.is_some()
    }
}

impl fmt::Display for ObjectUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for ObjectUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text.split_once('?') {
            Some((plain, _)) => write!(f, "ObjectUrl({plain}?[redacted])"),
            None => write!(f, "ObjectUrl({})", self.text),
        }
    }
}

fn get(object: &ObjectRef) -> OssRequest {
    OssRequest {
        method: Method::GET,
        bucket: Some(object.bucket.clone()),
        key: Some(object.key.clone()),
        query: Vec::new(),
        headers: Vec::new(),
        content: Content::Empty,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AddressingStyle, EndpointKind};

    fn at() -> Timestamp {
        Timestamp::from_second(1_735_689_845).unwrap()
    }

    fn presigned(
        object: &str,
        endpoint: &Endpoint,
        version: SignVersion,
        credentials: &Credentials,
        seconds: u64,
    ) -> Result<ObjectUrl, ValidityError> {
        let region = "cn-hangzhou".parse().unwrap();
        let validity = Duration::from_secs(seconds);
        let presign = Presign { version, credentials, region: &region, at: at(), validity };
        ObjectUrl::presigned(&object.parse().unwrap(), endpoint, &presign)
    }

    fn public() -> Endpoint {
        Endpoint::for_region(&"cn-hangzhou".parse().unwrap(), EndpointKind::Public)
    }

    #[test]
    fn plain_urls_differ_by_endpoint() {
        let region: Region = "cn-hangzhou".parse().unwrap();
        let custom: Endpoint = "img.example.com".parse().unwrap();
        for (endpoint, expected) in [
            (public(), "https://images.oss-cn-hangzhou.aliyuncs.com/win%202022/a%2Bb.vhd"),
            (
                Endpoint::for_region(&region, EndpointKind::Internal),
                "https://images.oss-cn-hangzhou-internal.aliyuncs.com/win%202022/a%2Bb.vhd",
            ),
            (
                custom.with_style(AddressingStyle::Cname).unwrap(),
                "https://img.example.com/win%202022/a%2Bb.vhd",
            ),
            ("http://127.0.0.1:9000".parse().unwrap(), "http://127.0.0.1:9000/images/win%202022/a%2Bb.vhd"),
        ] {
            let url = ObjectUrl::plain(&"oss://images/win 2022/a+b.vhd".parse().unwrap(), &endpoint);
            assert_eq!(url.to_string(), expected);
            assert!(!url.is_presigned());
            assert_eq!(format!("{url:?}"), format!("ObjectUrl({expected})"));
        }
    }

    /// The query of the vendor's SDK for the same key, time and pair.
    #[test]
    fn presigned_urls_are_those_of_the_sdk() {
        let pair = Credentials::new("testAccessKeyId", "testAccessKeySecret");
        let object = "oss://examplebucket/images/disk.vhd";
        let path = "https://examplebucket.oss-cn-hangzhou.aliyuncs.com/images/disk.vhd";
        let url = presigned(object, &public(), SignVersion::V1, &pair, 3600).unwrap();
        assert_eq!(
            url.as_str(),
            format!(
                "{path}?OSSAccessKeyId=testAccessKeyId&Expires=1735693445&Signature=Iei9RqTGCOvojgy1aPdLnZZ0u5w%3D"
            )
        );
        let url = presigned(object, &public(), SignVersion::V4, &pair, 3600).unwrap();
        assert_eq!(
            url.as_str(),
            format!(
                "{path}?x-oss-signature-version=OSS4-HMAC-SHA256&x-oss-date=20250101T000405Z&x-oss-expires=3600\
                 &x-oss-credential=testAccessKeyId%2F20250101%2Fcn-hangzhou%2Foss%2Faliyun_v4_request\
                 &x-oss-signature=dedac899ed44009d740e08dd2871296d15c3dab0545678100a8c7e8f81c66417"
            )
        );
        assert_eq!(url.expires(), Some(Timestamp::from_second(1_735_693_445).unwrap()));
    }

    #[test]
    fn debug_leaves_the_signature_out() {
        let pair = Credentials::new("id", "secret").with_token("hunter2");
        for version in [SignVersion::V1, SignVersion::V4] {
            let url = presigned("oss://images/k", &public(), version, &pair, 60).unwrap();
            assert!(url.to_string().contains("hunter2"));
            assert_eq!(
                format!("{url:?}"),
                "ObjectUrl(https://images.oss-cn-hangzhou.aliyuncs.com/k?[redacted])"
            );
        }
    }

    #[test]
    fn a_url_ends_with_its_token() {
        let token_end = Timestamp::from_second(1_735_690_000).unwrap();
        let pair = Credentials::new("STS.id", "secret").with_token("t").with_expiry(token_end);
        let ends = |seconds| {
            presigned("oss://images/k", &public(), SignVersion::V4, &pair, seconds).unwrap().expires()
        };
        assert_eq!(ends(3600), Some(token_end));
        assert_eq!(ends(60), Some(Timestamp::from_second(1_735_689_905).unwrap()));
        let signed = |pair: &Credentials| {
            presigned("oss://images/k", &public(), SignVersion::V4, pair, 60).unwrap().token_may_end_it()
        };
        let static_token = Credentials::new("STS.id", "secret").with_token("t");
        assert_eq!(
            [&pair, &static_token, &Credentials::new("id", "secret")].map(signed),
            [false, true, false]
        );
    }

    #[test]
    fn impossible_validities_are_refused() {
        let pair = Credentials::new("id", "secret");
        for seconds in [0, MAX_PRESIGN_SECONDS + 1, u64::MAX] {
            for version in [SignVersion::V1, SignVersion::V4] {
                let error = presigned("oss://images/k", &public(), version, &pair, seconds).unwrap_err();
                assert_eq!(error, ValidityError { seconds });
            }
        }
        assert!(presigned("oss://images/k", &public(), SignVersion::V4, &pair, MAX_PRESIGN_SECONDS).is_ok());
    }
}
