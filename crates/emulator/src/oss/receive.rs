//! Bodies of requests: streamed into the store, or read whole within a bound.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderMap;
use http_body_util::BodyExt;
use md5::{Digest, Md5};

use super::super::Disconnect;
use super::super::faults::InjectedError;
use super::super::store::{BlobWriter, Sums, Written};
use super::Failure;
use super::error::OssError;
use ossup_core::checksum;
use ossup_core::http::Body;
use ossup_core::model::Crc64;

/// Largest document that is read: a Complete of 10,000 parts takes about 1 MiB.
const MAX_DOCUMENT: usize = 4 << 20;
/// After how many bytes other tasks get their turn.
const TURN: usize = 1 << 20;

/// How long the body claims to be, and what its sums claim to be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Claims {
    pub(super) length: Option<u64>,
    md5: Option<[u8; 16]>,
    crc: Option<Crc64>,
}

impl Claims {
    /// Reads `Content-Length`, `Content-MD5` and `x-oss-hash-crc64ecma`.
    ///
    /// # Errors
    ///
    /// `InvalidDigest`, `InvalidArgument` for malformed ones, `MissingContentLength` for a body of unknown
    /// length that is not chunked.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, OssError> {
        let claims = Self::of_optional(headers)?;
        if claims.length.is_none() && !headers.contains_key("transfer-encoding") {
            return Err(OssError::new(
                411,
                "MissingContentLength",
                "You must provide the Content-Length HTTP header.",
            ));
        }
        Ok(claims)
    }

    /// The same for a body that may be absent.
    fn of_optional(headers: &HeaderMap) -> Result<Self, OssError> {
        let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("").trim());
        let length = text("content-length")
            .map(|length| {
                length.parse().map_err(|_| {
                    OssError::invalid_argument("Content-Length", length, "Content-Length is not a number.")
                })
            })
            .transpose()?;
        let md5 = text("content-md5").map(|md5| digest(md5).ok_or_else(invalid_digest)).transpose()?;
        let crc = text("x-oss-hash-crc64ecma")
            .map(|crc| {
                crc.parse().map_err(|_| {
                    OssError::invalid_argument("x-oss-hash-crc64ecma", crc, "The CRC-64 is not a number.")
                })
            })
            .transpose()?;
        Ok(Self { length, md5, crc })
    }

    /// Whether the body's MD5 must be computed.
    pub(super) fn want_md5(&self) -> bool {
        self.md5.is_some()
    }

    fn check(&self, sums: &Sums) -> Result<(), OssError> {
        if self.md5.is_some_and(|md5| sums.md5 != Some(md5)) {
            return Err(invalid_digest());
        }
        if let Some(crc) = self.crc
            && crc != sums.crc
        {
            return Err(OssError::new(
                400,
                "InvalidCRC64",
                "The CRC64 you specified did not match what we received.",
            )
            .element("ExpectedCRC64", crc.to_string())
            .element("CalculatedCRC64", sums.crc.to_string()));
        }
        Ok(())
    }
}

fn invalid_digest() -> OssError {
    OssError::new(400, "InvalidDigest", "The Content-MD5 you specified was invalid.")
}

fn digest(text: &str) -> Option<[u8; 16]> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

/// Streams a body into the store. Nothing of it stays if it fails.
///
/// # Errors
///
/// The service's own for wrong sums and sizes, or that the body was cut.
pub(super) async fn store(
    mut body: Body,
    mut writer: BlobWriter,
    claims: &Claims,
    limit: u64,
) -> Result<Written, Failure> {
    if claims.length.is_some_and(|length| length > limit) {
        return Err(OssError::entity_too_large().into());
    }
    let mut since_turn = 0;
    while let Some(frame) = body.frame().await {
        let Ok(mut data) = frame.map_err(broken)?.into_data() else { continue };
        if let Some(length) = claims.length {
            // What follows the announced bytes is ignored.
            data.truncate(usize::try_from(length - writer.len()).unwrap_or(usize::MAX));
        }
        if writer.len() + data.len() as u64 > limit {
            return Err(OssError::entity_too_large().into());
        }
        writer.write(&data).map_err(|error| OssError::internal(&error))?;
        since_turn += data.len();
        if since_turn >= TURN {
            since_turn = 0;
            tokio::task::yield_now().await;
        }
    }
    if claims.length.is_some_and(|length| writer.len() < length) {
        return Err(incomplete().into());
    }
    let written = writer.finish().map_err(|error| OssError::internal(&error))?;
    claims.check(&written.sums)?;
    Ok(written)
}

/// Reads what a client sends although it will be refused, up to a bound: closing the connection early may lose the
/// answer.
pub(super) async fn drain(mut body: Body) {
    let mut taken = 0;
    while let Some(Ok(frame)) = body.frame().await {
        taken += frame.data_ref().map_or(0, Bytes::len);
        if taken > MAX_DOCUMENT {
            return;
        }
    }
}

/// Reads a document whole.
///
/// # Errors
///
/// `MalformedXML` if it is beyond the bound, wrong sums, or that the body was cut.
pub(super) async fn document(body: Body, headers: &HeaderMap) -> Result<Bytes, Failure> {
    whole(body, Claims::of(headers)?).await
}

/// The same for a document that may be absent, its length with it.
///
/// # Errors
///
/// As of [`document`].
pub(super) async fn optional_document(body: Body, headers: &HeaderMap) -> Result<Bytes, Failure> {
    whole(body, Claims::of_optional(headers)?).await
}

async fn whole(mut body: Body, claims: Claims) -> Result<Bytes, Failure> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
        if bytes.len() + data.len() > MAX_DOCUMENT {
            return Err(OssError::malformed_xml().into());
        }
        bytes.extend_from_slice(&data);
    }
    if claims.length.is_some_and(|length| (bytes.len() as u64) < length) {
        return Err(incomplete().into());
    }
    let md5 = claims.want_md5().then(|| Md5::digest(&bytes).into());
    claims.check(&Sums { md5, crc: checksum::of(&bytes) })?;
    Ok(bytes.into())
}

/// Classifies the failure of a body that was cut off.
fn broken(error: io::Error) -> Failure {
    if let Some(scripted) = InjectedError::within(&error) {
        return OssError::scripted(scripted).into();
    }
    match error.kind() {
        io::ErrorKind::TimedOut => OssError::new(
            400,
            "RequestTimeout",
            "Your socket connection to the server was not read from or written to within the timeout period.",
        )
        .into(),
        _ => Disconnect::Body(error).into(),
    }
}

fn incomplete() -> OssError {
    OssError::new(
        400,
        "IncompleteBody",
        "You did not provide the number of bytes specified by the Content-Length HTTP header.",
    )
}
