use http::Method;
use jiff::Timestamp;

use super::xml::Element;
use crate::model::{BucketName, Region};
use crate::protocol::{DecodeError, Operation, OssRequest, Request, Response};

/// GetBucketInfo: a bucket's region, endpoints, owner and defaults.
#[derive(Debug, Clone)]
pub struct GetBucketInfo {
    /// The bucket.
    pub bucket: BucketName,
}

/// What a bucket is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BucketInfo {
    /// Its name.
    pub name: BucketName,
    /// The region it lies in.
    pub region: Region,
    /// The host of its public endpoint, without the bucket.
    pub public_endpoint: Option<String>,
    /// The host of its internal endpoint, without the bucket.
    pub internal_endpoint: Option<String>,
    /// The account id of its owner.
    pub owner_id: Option<String>,
    /// The class of objects that name none.
    pub storage_class: Option<String>,
    /// `private`, `public-read` or `public-read-write`.
    pub acl: Option<String>,
    /// `Enabled` or `Suspended`, if versioning was ever on. The service then ignores "forbid overwrite".
    pub versioning: Option<String>,
    /// How objects are encrypted that ask for nothing.
    pub encryption: Option<DefaultEncryption>,
    /// When it was made.
    pub created: Option<Timestamp>,
}

/// The default encryption of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DefaultEncryption {
    /// `AES256`, `KMS` or `SM4`.
    pub algorithm: String,
    /// The KMS key, if it is not the one that OSS manages.
    pub kms_key_id: Option<String>,
}

impl Operation for GetBucketInfo {
    type Output = BucketInfo;

    fn name(&self) -> &'static str {
        "GetBucketInfo"
    }

    fn request(&self) -> Request {
        Request::Oss(OssRequest::bucket(Method::GET, &self.bucket).flag("bucketInfo"))
    }

    fn decode(&self, answer: &Response) -> Result<BucketInfo, DecodeError> {
        let name = self.name();
        let root = Element::root(name, answer, "BucketInfo")?;
        let bucket = root.child("Bucket").ok_or_else(|| DecodeError::new(name, "describes no bucket"))?;
        let text = |element: &Element, name| element.text(name).map(|text| text.trim().to_owned());
        let encryption = bucket.child("ServerSideEncryptionRule").and_then(|rule| {
            let algorithm = text(rule, "SSEAlgorithm").filter(|algorithm| algorithm != "None")?;
            Some(DefaultEncryption { algorithm, kms_key_id: text(rule, "KMSMasterKeyID") })
        });
        Ok(BucketInfo {
            name: bucket.required_value(name, "Name")?,
            region: bucket.required_value(name, "Location")?,
            public_endpoint: text(bucket, "ExtranetEndpoint"),
            internal_endpoint: text(bucket, "IntranetEndpoint"),
            owner_id: bucket.child("Owner").and_then(|owner| text(owner, "ID")),
            storage_class: text(bucket, "StorageClass"),
            acl: bucket.child("AccessControlList").and_then(|list| text(list, "Grant")),
            versioning: text(bucket, "Versioning"),
            encryption,
            created: bucket.time("CreationDate"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{answer, show};
    use super::*;

    const BODY: &str = "<BucketInfo><Bucket><CreationDate>2013-07-31T10:56:21.000Z</CreationDate>\
        <ExtranetEndpoint>oss-cn-hangzhou.aliyuncs.com</ExtranetEndpoint>\
        <IntranetEndpoint>oss-cn-hangzhou-internal.aliyuncs.com</IntranetEndpoint>\
        <Location>oss-cn-hangzhou</Location><StorageClass>Standard</StorageClass><Name>oss-example</Name>\
        <Owner><DisplayName>username</DisplayName><ID>27183473914</ID></Owner>\
        <AccessControlList><Grant>private</Grant></AccessControlList><Versioning>Enabled</Versioning>\
        <ServerSideEncryptionRule><SSEAlgorithm>KMS</SSEAlgorithm><KMSMasterKeyID>key-1</KMSMasterKeyID>\
        </ServerSideEncryptionRule></Bucket></BucketInfo>";

    #[test]
    fn the_documented_answer_describes_the_bucket() {
        let operation = GetBucketInfo { bucket: "oss-example".parse().unwrap() };
        assert_eq!(show(&operation), "GET oss-example - ?bucketInfo");
        let info = operation.decode(&answer(200, &[], BODY)).unwrap();
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            info,
            BucketInfo {
                name: "oss-example".parse().unwrap(),
                region: "cn-hangzhou".parse().unwrap(),
                public_endpoint: some("oss-cn-hangzhou.aliyuncs.com"),
                internal_endpoint: some("oss-cn-hangzhou-internal.aliyuncs.com"),
                owner_id: some("27183473914"),
                storage_class: some("Standard"),
                acl: some("private"),
                versioning: some("Enabled"),
                encryption: Some(DefaultEncryption {
                    algorithm: "KMS".to_owned(),
                    kms_key_id: some("key-1")
                }),
                created: Some("2013-07-31T10:56:21Z".parse().unwrap()),
            }
        );
    }

    #[test]
    fn what_is_off_or_absent_is_none() {
        let operation = GetBucketInfo { bucket: "images".parse().unwrap() };
        let body = "<BucketInfo><Bucket><Name>images</Name><Location>oss-us-west-1</Location><Versioning/>\
            <ServerSideEncryptionRule><SSEAlgorithm>None</SSEAlgorithm></ServerSideEncryptionRule></Bucket></BucketInfo>";
        let info = operation.decode(&answer(200, &[], body)).unwrap();
        assert_eq!((info.encryption, info.versioning, info.owner_id), (None, None, None));
        for body in ["<BucketInfo/>", "<BucketInfo><Bucket><Name>images</Name></Bucket></BucketInfo>"] {
            assert!(operation.decode(&answer(200, &[], body)).is_err(), "{body}");
        }
    }
}
