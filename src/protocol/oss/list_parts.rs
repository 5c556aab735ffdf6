use http::Method;
use jiff::Timestamp;

use super::xml::Element;
use crate::model::limits::MAX_LIST_PAGE;
use crate::model::{Crc64, ETag, ObjectRef, PartNumber, UploadId};
use crate::protocol::{DecodeError, Operation, OssRequest, Request, Response};

/// ListParts: one page of the parts that an open upload holds, by ascending number.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ListParts {
    /// The object to be.
    pub object: ObjectRef,
    /// The open upload.
    pub upload_id: UploadId,
    /// List parts with larger numbers than this one: the `next` of the page before.
    pub after: Option<PartNumber>,
    /// Parts on a page: 1 to [`MAX_LIST_PAGE`], which is the default.
    pub max_parts: u16,
}

impl ListParts {
    /// Asks for the first page.
    pub fn new(object: ObjectRef, upload_id: UploadId) -> Self {
        Self { object, upload_id, after: None, max_parts: MAX_LIST_PAGE }
    }

    /// Asks for the page after `after`.
    #[must_use]
    pub fn after(mut self, after: PartNumber) -> Self {
        self.after = Some(after);
        self
    }
}

/// A page of parts.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartsPage {
    /// The parts, by ascending number.
    pub parts: Vec<ListedPart>,
    /// What the next page begins after, if there is one.
    pub next: Option<PartNumber>,
}

/// A part that the service holds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListedPart {
    /// The part's number.
    pub number: PartNumber,
    /// Its tag.
    pub etag: ETag,
    /// Its length in bytes.
    pub size: u64,
    /// Its CRC-64, if the service knows it.
    pub crc64: Option<Crc64>,
    /// When it was stored, if that is known.
    pub last_modified: Option<Timestamp>,
}

impl ListedPart {
    fn read(operation: &'static str, part: &Element) -> Result<Self, DecodeError> {
        let number: u16 = part.required_value(operation, "PartNumber")?;
        let number = PartNumber::new(number).ok_or_else(|| {
            DecodeError::new(operation, format!("lists the impossible part number {number}"))
        })?;
        Ok(Self {
            number,
            etag: ETag::new(part.required(operation, "ETag")?.trim()),
            size: part.required_value(operation, "Size")?,
            crc64: part.value(operation, "HashCrc64ecma")?,
            last_modified: part.time("LastModified"),
        })
    }
}

impl Operation for ListParts {
    type Output = PartsPage;

    fn name(&self) -> &'static str {
        "ListParts"
    }

    fn request(&self) -> Request {
        let request = OssRequest::object(Method::GET, &self.object)
            .param("uploadId", &self.upload_id)
            .param("max-parts", self.max_parts)
            .param_if("part-number-marker", self.after)
            .param("encoding-type", "url");
        Request::Oss(request)
    }

    fn decode(&self, answer: &Response) -> Result<PartsPage, DecodeError> {
        let name = self.name();
        let listing = Element::root(name, answer, "ListPartsResult")?;
        let parts: Vec<_> =
            listing.all("Part").map(|part| ListedPart::read(name, part)).collect::<Result<_, _>>()?;
        let numbers = self.after.into_iter().chain(parts.iter().map(|part| part.number));
        if !numbers.is_sorted_by(|a, b| a < b) {
            return Err(DecodeError::new(name, "lists parts out of order"));
        }
        // A page that leads nowhere would be asked for again and again.
        let next = match listing.is_true("IsTruncated") {
            false => None,
            true => {
                let marker: u16 = listing.required_value(name, "NextPartNumberMarker")?;
                let last = parts.last().map(|part| part.number);
                let next = PartNumber::new(marker).filter(|next| last.is_some() && Some(*next) >= last);
                Some(next.ok_or_else(|| DecodeError::new(name, "leads to no next page"))?)
            }
        };
        Ok(PartsPage { parts, next })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{answer, number, object, show};
    use super::*;

    fn operation() -> ListParts {
        ListParts::new(object("k"), UploadId::new("ID"))
    }

    fn page(parts: &[u16], rest: &str) -> Response {
        let part = |n| format!("<Part><PartNumber>{n}</PartNumber><ETag>\"A\"</ETag><Size>1</Size></Part>");
        let parts: String = parts.iter().map(part).collect();
        answer(200, &[], &format!("<ListPartsResult>{parts}{rest}</ListPartsResult>"))
    }

    #[test]
    fn the_next_page_is_asked_for_by_its_marker() {
        assert_eq!(show(&operation()), "GET images k ?uploadId=ID&max-parts=1000&encoding-type=url");
        assert_eq!(
            show(&operation().after(number(5))),
            "GET images k ?uploadId=ID&max-parts=1000&part-number-marker=5&encoding-type=url"
        );
    }

    #[test]
    fn the_documented_answer_lists_parts() {
        let body = "<ListPartsResult><EncodingType>url</EncodingType><Bucket>b</Bucket><Key>k</Key>\
            <UploadId>ID</UploadId><StorageClass>Standard</StorageClass><PartNumberMarker>0</PartNumberMarker>\
            <NextPartNumberMarker>5</NextPartNumberMarker><MaxParts>2</MaxParts><IsTruncated>true</IsTruncated>\
            <Part><PartNumber>1</PartNumber><LastModified>2012-02-23T07:01:34.000Z</LastModified>\
            <ETag>&quot;3349DC700140D7F86A078484278075A9&quot;</ETag><HashCrc64ecma>1234</HashCrc64ecma>\
            <Size>6291456</Size></Part>\
            <Part><PartNumber>5</PartNumber><ETag>\"B\"</ETag><Size>1024</Size></Part></ListPartsResult>";
        let page = operation().decode(&answer(200, &[], body)).unwrap();
        assert_eq!(
            page.parts[0],
            ListedPart {
                number: number(1),
                etag: ETag::new("\"3349DC700140D7F86A078484278075A9\""),
                size: 6_291_456,
                crc64: Some(Crc64(1234)),
                last_modified: Some("2012-02-23T07:01:34Z".parse().unwrap()),
            }
        );
        assert_eq!((page.parts[1].crc64, page.parts[1].last_modified), (None, None));
        assert_eq!(page.next, Some(number(5)));
    }

    #[test]
    fn pages_that_would_never_end_are_refused() {
        let truncated = |next: &str| {
            format!("<IsTruncated>true</IsTruncated><NextPartNumberMarker>{next}</NextPartNumberMarker>")
        };
        for (parts, next) in [(&[1, 2][..], "1"), (&[1, 2], "0"), (&[1, 2], ""), (&[], "5"), (&[1], "x")] {
            assert!(operation().decode(&page(parts, &truncated(next))).is_err(), "{parts:?} {next}");
        }
        assert!(operation().decode(&page(&[2, 1], "")).is_err());
        assert!(operation().decode(&page(&[1, 1], "")).is_err());
        assert!(operation().after(number(3)).decode(&page(&[3], "")).is_err());
        assert!(operation().decode(&page(&[10_001], "")).is_err());
        assert_eq!(operation().decode(&page(&[], "")).unwrap(), PartsPage { parts: vec![], next: None });
    }
}
