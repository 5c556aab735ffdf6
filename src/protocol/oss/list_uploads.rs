use http::Method;
use jiff::Timestamp;

use super::xml::{Element, Keys};
use crate::model::limits::MAX_LIST_PAGE;
use crate::model::{BucketName, UploadId};
use crate::protocol::{DecodeError, Operation, OssRequest, Request, Response};

/// ListMultipartUploads: one page of the open uploads of a bucket, by key and then upload id.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ListMultipartUploads {
    /// The bucket.
    pub bucket: BucketName,
    /// List only keys that start with this text.
    pub prefix: Option<String>,
    /// List what follows this upload: the `next` of the page before.
    pub after: Option<UploadsMarker>,
    /// Uploads on a page: 1 to [`MAX_LIST_PAGE`], which is the default.
    pub max_uploads: u16,
}

impl ListMultipartUploads {
    /// Asks for the first page of all open uploads.
    pub fn new(bucket: BucketName) -> Self {
        Self { bucket, prefix: None, after: None, max_uploads: MAX_LIST_PAGE }
    }
}

/// A place in the list of uploads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UploadsMarker {
    /// The key of the last upload that was listed.
    pub key: String,
    /// Its upload id.
    pub upload_id: String,
}

/// A page of open uploads.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UploadsPage {
    /// The uploads.
    pub uploads: Vec<ListedUpload>,
    /// What the next page begins after, if there is one.
    pub next: Option<UploadsMarker>,
}

/// An open upload.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListedUpload {
    /// The key, as the service has it; it need not be one that this crate would make.
    pub key: String,
    /// The upload id.
    pub upload_id: UploadId,
    /// When the upload was opened, if that is known.
    pub initiated: Option<Timestamp>,
    /// The storage class of the object to be.
    pub storage_class: Option<String>,
}

impl Operation for ListMultipartUploads {
    type Output = UploadsPage;

    fn name(&self) -> &'static str {
        "ListMultipartUploads"
    }

    fn request(&self) -> Request {
        let request = OssRequest::bucket(Method::GET, &self.bucket)
            .flag("uploads")
            .param("max-uploads", self.max_uploads)
            .param_if("prefix", self.prefix.as_ref())
            .param_if("key-marker", self.after.as_ref().map(|marker| &marker.key))
            .param_if("upload-id-marker", self.after.as_ref().map(|marker| &marker.upload_id))
            .param("encoding-type", "url");
        Request::Oss(request)
    }

    fn decode(&self, answer: &Response) -> Result<UploadsPage, DecodeError> {
        let name = self.name();
        let listing = Element::root(name, answer, "ListMultipartUploadsResult")?;
        let keys = Keys::of(name, &listing);
        let upload = |upload: &Element| {
            Ok(ListedUpload {
                key: keys.required(upload, "Key")?,
                upload_id: UploadId::new(upload.required(name, "UploadId")?.trim()),
                initiated: upload.time("Initiated"),
                storage_class: upload.text("StorageClass").map(str::to_owned),
            })
        };
        let uploads: Vec<_> = listing.all("Upload").map(upload).collect::<Result<_, _>>()?;
        let next = match listing.is_true("IsTruncated") {
            false => None,
            true => {
                let next = UploadsMarker {
                    key: keys.required(&listing, "NextKeyMarker")?,
                    upload_id: listing.text("NextUploadIdMarker").unwrap_or_default().trim().to_owned(),
                };
                // A page that leads nowhere would be asked for again and again.
                if uploads.is_empty() || self.after.as_ref().is_some_and(|after| next <= *after) {
                    return Err(DecodeError::new(name, "leads to no next page"));
                }
                Some(next)
            }
        };
        Ok(UploadsPage { uploads, next })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{answer, show};
    use super::*;

    const BODY: &str = "<ListMultipartUploadsResult><Bucket>images</Bucket><EncodingType>url</EncodingType>\
        <KeyMarker/><UploadIdMarker/><NextKeyMarker>a%2Fb%20c</NextKeyMarker>\
        <NextUploadIdMarker>ID2</NextUploadIdMarker><MaxUploads>2</MaxUploads><IsTruncated>true</IsTruncated>\
        <Upload><Key>a%2Fb%20c</Key><UploadId>ID1</UploadId><Initiated>2012-02-23T04:18:23.000Z</Initiated></Upload>\
        <Upload><Key>a%2Fb%20c</Key><UploadId>ID2</UploadId><StorageClass>Standard</StorageClass><New/></Upload>\
        </ListMultipartUploadsResult>";

    fn operation(after: Option<(&str, &str)>) -> ListMultipartUploads {
        let after = after.map(|(key, id)| UploadsMarker { key: key.to_owned(), upload_id: id.to_owned() });
        ListMultipartUploads { after, ..ListMultipartUploads::new("images".parse().unwrap()) }
    }

    #[test]
    fn prefix_and_markers_are_in_the_query() {
        assert_eq!(show(&operation(None)), "GET images - ?uploads&max-uploads=1000&encoding-type=url");
        let mut operation = operation(Some(("k", "ID")));
        operation.prefix = Some("a/".to_owned());
        assert_eq!(
            show(&operation),
            "GET images - ?uploads&max-uploads=1000&prefix=a/&key-marker=k&upload-id-marker=ID&encoding-type=url"
        );
    }

    #[test]
    fn keys_are_decoded_if_the_answer_says_so() {
        let page = operation(None).decode(&answer(200, &[], BODY)).unwrap();
        assert_eq!(page.uploads[0].key, "a/b c");
        assert_eq!(page.uploads[0].initiated, Some("2012-02-23T04:18:23Z".parse().unwrap()));
        assert_eq!(page.uploads[1].upload_id.as_str(), "ID2");
        assert_eq!(page.next, Some(UploadsMarker { key: "a/b c".to_owned(), upload_id: "ID2".to_owned() }));

        let plain = BODY.replace("<EncodingType>url</EncodingType>", "");
        let page = operation(None).decode(&answer(200, &[], &plain)).unwrap();
        assert_eq!(page.uploads[0].key, "a%2Fb%20c");
        let malformed = BODY.replace("a%2Fb%20c", "a%2");
        assert!(operation(None).decode(&answer(200, &[], &malformed)).is_err());
    }

    #[test]
    fn pages_that_would_never_end_are_refused() {
        assert!(operation(Some(("a/b c", "ID2"))).decode(&answer(200, &[], BODY)).is_err());
        assert!(operation(Some(("a/b c", "ID0"))).decode(&answer(200, &[], BODY)).is_ok());
        let empty = "<ListMultipartUploadsResult><IsTruncated>true</IsTruncated>\
            <NextKeyMarker>k</NextKeyMarker></ListMultipartUploadsResult>";
        assert!(operation(None).decode(&answer(200, &[], empty)).is_err());
    }
}
