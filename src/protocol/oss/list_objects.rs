use http::Method;
use jiff::Timestamp;

use super::xml::{Element, Keys};
use crate::model::limits::MAX_LIST_PAGE;
use crate::model::{BucketName, ETag};
use crate::protocol::{DecodeError, Operation, OssRequest, Request, Response};

/// ListObjectsV2: one page of a bucket's objects, by key.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ListObjects {
    /// The bucket.
    pub bucket: BucketName,
    /// List only keys that start with this text.
    pub prefix: Option<String>,
    /// Put keys together that have the same text up to this one behind the prefix.
    pub delimiter: Option<String>,
    /// The `next` of the page before.
    pub continuation_token: Option<String>,
    /// Keys on a page: 1 to [`MAX_LIST_PAGE`], which is the default here.
    pub max_keys: u16,
}

impl ListObjects {
    /// Asks for the first page of all objects.
    pub fn new(bucket: BucketName) -> Self {
        Self { bucket, prefix: None, delimiter: None, continuation_token: None, max_keys: MAX_LIST_PAGE }
    }
}

/// A page of objects.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObjectsPage {
    /// The objects.
    pub objects: Vec<ListedObject>,
    /// What the delimiter put together.
    pub common_prefixes: Vec<String>,
    /// The continuation token of the next page, if there is one.
    pub next: Option<String>,
}

/// An object in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListedObject {
    /// The key, as the service has it; it need not be one that this crate would make.
    pub key: String,
    /// Its length in bytes.
    pub size: u64,
    /// Its tag.
    pub etag: Option<ETag>,
    /// When it was stored.
    pub last_modified: Option<Timestamp>,
    /// Its storage class.
    pub storage_class: Option<String>,
}

impl Operation for ListObjects {
    type Output = ObjectsPage;

    fn name(&self) -> &'static str {
        "ListObjectsV2"
    }

    fn request(&self) -> Request {
        let request = OssRequest::bucket(Method::GET, &self.bucket)
            .param("list-type", 2)
            .param("max-keys", self.max_keys)
            .param_if("prefix", self.prefix.as_ref())
            .param_if("delimiter", self.delimiter.as_ref())
            .param_if("continuation-token", self.continuation_token.as_ref())
            .param("encoding-type", "url");
        Request::Oss(request)
    }

    fn decode(&self, answer: &Response) -> Result<ObjectsPage, DecodeError> {
        let name = self.name();
        let listing = Element::root(name, answer, "ListBucketResult")?;
        let keys = Keys::of(name, &listing);
        let object = |object: &Element| {
            Ok(ListedObject {
                key: keys.required(object, "Key")?,
                size: object.required_value(name, "Size")?,
                etag: object.text("ETag").map(|tag| ETag::new(tag.trim())),
                last_modified: object.time("LastModified"),
                storage_class: object.text("StorageClass").map(str::to_owned),
            })
        };
        let prefixes = listing.all("CommonPrefixes").map(|prefixes| keys.required(prefixes, "Prefix"));
        let next = match listing.is_true("IsTruncated") {
            false => None,
            true => {
                let next = listing.required(name, "NextContinuationToken")?;
                if self.continuation_token.as_deref() == Some(next) {
                    return Err(DecodeError::new(name, "leads to no next page"));
                }
                Some(next.to_owned())
            }
        };
        Ok(ObjectsPage {
            common_prefixes: prefixes.collect::<Result<_, _>>()?,
            objects: listing.all("Contents").map(object).collect::<Result<_, _>>()?,
            next,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{answer, show};
    use super::*;

    const BODY: &str = "<ListBucketResult><Name>images</Name><EncodingType>url</EncodingType>\
        <IsTruncated>true</IsTruncated><NextContinuationToken>Tok</NextContinuationToken><KeyCount>2</KeyCount>\
        <Contents><Key>a%2Fdisk%201.raw</Key><LastModified>2020-05-18T05:45:43.000Z</LastModified>\
        <ETag>\"35A27C2B9EAEEB6F48FD7FB5861D****\"</ETag><Type>Normal</Type><Size>25</Size>\
        <StorageClass>Standard</StorageClass></Contents>\
        <CommonPrefixes><Prefix>a%2Fb%2F</Prefix></CommonPrefixes></ListBucketResult>";

    #[test]
    fn a_page_lists_objects_and_prefixes() {
        let mut operation = ListObjects::new("images".parse().unwrap());
        assert_eq!(show(&operation), "GET images - ?list-type=2&max-keys=1000&encoding-type=url");
        operation.prefix = Some("a/".to_owned());
        operation.delimiter = Some("/".to_owned());
        operation.continuation_token = Some("T".to_owned());
        assert_eq!(
            show(&operation),
            "GET images - ?list-type=2&max-keys=1000&prefix=a/&delimiter=/&continuation-token=T&encoding-type=url"
        );
        let page = operation.decode(&answer(200, &[], BODY)).unwrap();
        assert_eq!((page.objects[0].key.as_str(), page.objects[0].size), ("a/disk 1.raw", 25));
        assert_eq!(page.common_prefixes, ["a/b/"]);
        assert_eq!(page.next.as_deref(), Some("Tok"));
    }

    #[test]
    fn pages_that_would_never_end_are_refused() {
        let mut operation = ListObjects::new("images".parse().unwrap());
        let endless = BODY.replace("<NextContinuationToken>Tok</NextContinuationToken>", "");
        assert!(operation.decode(&answer(200, &[], &endless)).is_err());
        operation.continuation_token = Some("Tok".to_owned());
        assert!(operation.decode(&answer(200, &[], BODY)).is_err());
    }
}
