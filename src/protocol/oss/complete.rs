use bytes::Bytes;
use http::{Method, StatusCode};

use super::crc64_header;
use super::xml::{self, Element};
use crate::model::{Crc64, ETag, ObjectRef, PartNumber, UploadId};
use crate::protocol::{
    Content, DecodeError, Idempotence, Operation, OssRequest, Request, Response, TimeoutClass,
};

/// CompleteMultipartUpload: makes the object of the listed parts; parts that are not listed are discarded.
///
/// A repetition after success answers `NoSuchUpload`, or `FileAlreadyExists` about our own object.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CompleteMultipartUpload {
    /// The object to be.
    pub object: ObjectRef,
    /// The open upload.
    pub upload_id: UploadId,
    /// The parts in ascending order of their numbers; gaps are allowed.
    pub parts: Vec<CompletePart>,
    /// Whether an object of that name may be replaced.
    pub overwrite: bool,
}

/// One line of the list of parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompletePart {
    /// The part's number.
    pub number: PartNumber,
    /// The tag that the service gave it.
    pub etag: ETag,
}

impl CompleteMultipartUpload {
    /// Completes the upload with `parts` and replaces nothing.
    pub fn new(object: ObjectRef, upload_id: UploadId, parts: Vec<CompletePart>) -> Self {
        Self { object, upload_id, parts, overwrite: false }
    }

    fn body(&self) -> Bytes {
        let part = |part: &CompletePart| {
            let etag = xml::escape(part.etag.as_str());
            format!("<Part><PartNumber>{}</PartNumber><ETag>{etag}</ETag></Part>", part.number)
        };
        let parts: String = self.parts.iter().map(part).collect();
        format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>").into()
    }
}

/// The object that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Completed {
    /// The object's tag.
    pub etag: Option<ETag>,
    /// The CRC-64 of the whole object, if every part has one.
    pub crc64: Option<Crc64>,
    /// The version, in a versioned bucket.
    pub version_id: Option<String>,
    /// Whether the answer says that it is about the object that was asked for; it may say nothing of that.
    pub names_object: bool,
    /// Whether the bucket's callback failed; the object is stored all the same.
    pub callback_failed: bool,
}

impl Operation for CompleteMultipartUpload {
    type Output = Completed;

    fn name(&self) -> &'static str {
        "CompleteMultipartUpload"
    }

    fn request(&self) -> Request {
        let mut request = OssRequest::object(Method::POST, &self.object)
            .param("uploadId", &self.upload_id)
            .param("encoding-type", "url")
            .header("content-type", "application/xml")
            .forbid_overwrite(self.overwrite);
        request.content = Content::Bytes(self.body());
        Request::Oss(request)
    }

    fn idempotence(&self) -> Idempotence {
        Idempotence::Settled
    }

    fn timeout(&self) -> TimeoutClass {
        TimeoutClass::Long
    }

    fn decode(&self, answer: &Response) -> Result<Completed, DecodeError> {
        let name = self.name();
        let error = xml::parse(&answer.body).ok().filter(|root| root.name() == "Error");
        let callback_failed = answer.status == StatusCode::NON_AUTHORITATIVE_INFORMATION
            && error.and_then(|error| error.text("Code").map(|code| code == "CallbackFailed")) == Some(true);
        let (in_body, names_object) = match callback_failed {
            true => (None, false),
            false => {
                let result = Element::root(name, answer, "CompleteMultipartUploadResult")?;
                let etag = result.text("ETag").map(|tag| ETag::new(tag.trim()));
                (etag, xml::names(name, &result, &self.object)?)
            }
        };
        Ok(Completed {
            etag: in_body.or_else(|| answer.header("etag").map(ETag::new)),
            crc64: crc64_header(name, answer)?,
            version_id: answer.header("x-oss-version-id").map(str::to_owned),
            names_object,
            callback_failed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{answer, number, object, oss, show};
    use super::*;

    const BODY: &str = "<CompleteMultipartUploadResult><EncodingType>url</EncodingType>\
        <Location>http://oss-example.oss-cn-hangzhou.aliyuncs.com/multipart.data</Location>\
        <Bucket>oss-example</Bucket><Key>multipart.data</Key>\
        <ETag>\"B864DB6A936D376F9F8D3ED3BBE540DD-3\"</ETag></CompleteMultipartUploadResult>";

    fn operation() -> CompleteMultipartUpload {
        of("k")
    }

    fn of(key: &str) -> CompleteMultipartUpload {
        let part = |n, tag: &str| CompletePart { number: number(n), etag: ETag::new(tag) };
        CompleteMultipartUpload::new(
            object(key),
            UploadId::new("ID"),
            vec![part(1, "\"33A9\""), part(5, "\"<&\"")],
        )
    }

    #[test]
    fn the_list_repeats_the_tags_as_received() {
        let mut operation = operation();
        assert_eq!(
            show(&operation),
            "POST images k ?uploadId=ID&encoding-type=url
content-type: application/xml
x-oss-forbid-overwrite: true
<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>\"33A9\"</ETag></Part>\
<Part><PartNumber>5</PartNumber><ETag>\"&lt;&amp;\"</ETag></Part></CompleteMultipartUpload>"
        );
        operation.overwrite = true;
        assert!(!oss(&operation).headers.iter().any(|(name, _)| name == "x-oss-forbid-overwrite"));
    }

    #[test]
    fn the_documented_answer_describes_the_object() {
        let headers = [("x-oss-hash-crc64ecma", "42"), ("x-oss-version-id", "v1"), ("etag", "\"other\"")];
        let body = BODY.replace("oss-example</B", "images</B");
        let completed = of("multipart.data").decode(&answer(200, &headers, &body)).unwrap();
        assert!(completed.names_object);
        assert_eq!(completed.etag.unwrap().as_str(), "\"B864DB6A936D376F9F8D3ED3BBE540DD-3\"");
        assert_eq!(completed.crc64, Some(Crc64(42)));
        assert_eq!(completed.version_id.as_deref(), Some("v1"));
        assert!(!completed.callback_failed);
    }

    #[test]
    fn an_answer_about_another_object_is_refused() {
        let named = |bucket: &str, key: &str| {
            let bucket = format!("<Bucket>{bucket}</Bucket>").replace("<Bucket></Bucket>", "");
            let key = format!("<Key>{key}</Key>").replace("<Key></Key>", "");
            let body = format!(
                "<CompleteMultipartUploadResult><EncodingType>url</EncodingType>{bucket}{key}\
                 </CompleteMultipartUploadResult>"
            );
            of("a b+c").decode(&answer(200, &[], &body)).map(|completed| completed.names_object)
        };
        assert_eq!(named("images", "a%20b%2Bc"), Ok(true));
        for (bucket, key) in [("", ""), ("images", ""), ("", "a%20b%2Bc")] {
            assert_eq!(named(bucket, key), Ok(false), "{bucket} {key}");
        }
        for (bucket, key) in [("images", "other"), ("other", "a%20b%2Bc"), ("", "other"), ("other", "")] {
            let refused = named(bucket, key).unwrap_err().to_string();
            assert!(refused.contains("another object"), "{refused}");
        }
    }

    #[test]
    fn a_failed_callback_means_stored() {
        let body = "<Error><Code>CallbackFailed</Code><Message>m</Message></Error>";
        let completed = operation().decode(&answer(203, &[("etag", "\"A-1\"")], body)).unwrap();
        assert!(completed.callback_failed);
        assert_eq!(completed.etag, Some(ETag::new("A-1")));
    }

    #[test]
    fn a_good_status_over_another_body_is_not_believed() {
        for (status, body) in [
            (200, ""),
            (200, "{\"Status\":\"OK\"}"),
            (200, "<Error><Code>InternalError</Code></Error>"),
            (200, "<Error><Code>CallbackFailed</Code></Error>"),
            (203, "<Error><Code>InternalError</Code></Error>"),
            (200, "<CompleteMultipartUploadResult><ETag>\"A\"</ETag>"),
        ] {
            assert!(operation().decode(&answer(status, &[], body)).is_err(), "{status} {body}");
        }
    }
}
