//! An object of 1 MiB is made as every upload makes one, read back and removed again.

use crate::cancel::CancellationToken;
use bytes::Bytes;
use http::Method;
use serde_json::json;

use super::Doctor;
use super::ask::Ask;
use super::check::{Area, Check, Verdict, reason};
use crate::checksum;
use crate::client::{CallError, Client};
use crate::model::{BucketName, ETag, ObjectKey, ObjectRef, PartNumber, UploadId};
use crate::protocol::oss::{
    AbortMultipartUpload, CompleteMultipartUpload, CompletePart, DeleteObject, InitiateMultipartUpload,
    ListParts, code,
};
use crate::session::list_uploads;

/// Length of the object in bytes.
const LENGTH: usize = 1 << 20;

/// What is used by a trial that ends well, and so is allowed.
pub(super) const PROVES: &[&str] = &["oss:PutObject", "oss:ListParts", "oss:GetObject"];

/// How far the trial came. What is open or there has to be removed.
#[derive(Debug, Default)]
struct Made {
    /// Whether an upload was asked for, so that one may be open.
    begun: bool,
    upload: Option<UploadId>,
    /// Whether there is, or may be, an object; and its version, where versions are kept.
    object: bool,
    version: Option<String>,
}

/// One trial.
struct Trial<'a> {
    client: &'a Client,
    object: ObjectRef,
    made: Made,
}

/// Makes the object under `prefix` and removes it, also where `stop` ends the trial half-way.
pub(super) async fn trial(
    doctor: &Doctor,
    bucket: &BucketName,
    prefix: &str,
    stop: &CancellationToken,
) -> Vec<Check> {
    let key: ObjectKey = format!("{prefix}trial").parse().expect("the prefix begins a key");
    let object = ObjectRef::new(bucket.clone(), key);
    let mut trial = Trial { client: &doctor.client, object, made: Made::default() };
    let done = tokio::select! {
        biased;
        done = trial.run() => Some(done),
        () = stop.cancelled() => None,
    };
    let check = |verdict, text| Check::new(Area::Bucket, "trial", verdict, text);
    let mut checks = Vec::new();
    match done {
        None => checks.push(check(Verdict::Unknown, "the trial of an upload was stopped".to_owned())),
        Some(Ok(())) => checks.push(check(
            Verdict::Ok,
            "an object of 1 MiB was uploaded in parts, read back and compared".to_owned(),
        )),
        Some(Err(Failed::Differs)) => checks.push(
            check(Verdict::Fail, "an object of 1 MiB came back with other bytes than were sent".to_owned())
                .with_way_out("check what is between this machine and OSS: a proxy or a filter changes data"),
        ),
        Some(Err(Failed::Call(step, error))) => {
            let verdict = if error.is_network() { Verdict::Unknown } else { Verdict::Fail };
            let mut failed =
                check(verdict, format!("an object of 1 MiB could not be {step}: {}", reason(&error)));
            failed.way_out = (doctor.advice)(&error);
            checks.push(failed);
        }
    }
    checks.push(trial.remove().await);
    checks
}

/// What went wrong with the trial.
enum Failed {
    Call(&'static str, CallError),
    Differs,
}

impl Trial<'_> {
    async fn run(&mut self) -> Result<(), Failed> {
        let failed = |step| move |error| Failed::Call(step, error);
        let bytes: Bytes = (0..LENGTH).map(|at| ((at * 31) >> 3) as u8).collect();
        let initiate = InitiateMultipartUpload::new(self.object.clone());
        self.made.begun = true;
        let upload_id = self.client.call(&initiate).await.map_err(failed("begun"))?;
        self.made.upload = Some(upload_id.clone());
        let part = Ask::oss(
            "UploadPart",
            Method::PUT,
            (&self.object.bucket, Some(&self.object.key)),
            &[("partNumber", Some("1")), ("uploadId", Some(upload_id.as_str()))],
        );
        let answer = self.client.call(&part.with_body(bytes.clone())).await.map_err(failed("sent"))?;
        let etag = ETag::new(answer.header("etag").unwrap_or_default());
        let listed = ListParts::new(self.object.clone(), upload_id.clone());
        self.client.call(&listed).await.map_err(failed("listed"))?;
        let number = PartNumber::new(1).expect("1 is a part number");
        let parts = vec![CompletePart { number, etag }];
        let complete = CompleteMultipartUpload::new(self.object.clone(), upload_id, parts);
        self.made.object = true;
        let completed = self.client.call(&complete).await.map_err(failed("put together"))?;
        (self.made.upload, self.made.begun) = (None, false);
        self.made.version = completed.version_id;
        let read = Ask::oss("GetObject", Method::GET, (&self.object.bucket, Some(&self.object.key)), &[]);
        let answer = self.client.call(&read).await.map_err(failed("read back"))?;
        let same_crc = completed.crc64.is_none_or(|told| told == checksum::of(&bytes));
        if answer.body == bytes && same_crc { Ok(()) } else { Err(Failed::Differs) }
    }

    /// Removes whatever was made; what remains is named.
    async fn remove(&self) -> Check {
        let mut left = Vec::new();
        for upload_id in self.open_uploads().await {
            let object = self.object.clone();
            let abort = AbortMultipartUpload { object, upload_id: upload_id.clone() };
            match self.client.call(&abort).await {
                Ok(_) => {}
                Err(error) if error.is(code::NO_SUCH_UPLOAD) => {}
                Err(error) => left.push((format!("its open upload {upload_id}"), error)),
            }
        }
        if self.made.object
            && let Err(error) = self.delete().await
        {
            left.push((format!("{}", self.object), error));
        }
        let check = |verdict, text| {
            Check::new(Area::Permissions, "oss:DeleteObject", verdict, text)
                .with_facts(json!({"needed_by": "publish --delete-object", "required": false}))
        };
        let Some((what, error)) = left.first() else {
            let text = "oss:DeleteObject: publish --delete-object; what the trial made is removed".to_owned();
            return match self.made.object {
                true => check(Verdict::Ok, text),
                false => check(
                    Verdict::Unknown,
                    "oss:DeleteObject (publish --delete-object) was not tried".to_owned(),
                ),
            };
        };
        check(Verdict::Warn, format!("{what} remains: it could not be removed: {}", reason(error)))
            .with_way_out(format!(
                "grant `oss:DeleteObject` and `oss:AbortMultipartUpload`, and remove {}",
                self.object
            ))
    }

    /// Returns what is open under our key: also an upload whose id was lost on the way.
    async fn open_uploads(&self) -> Vec<UploadId> {
        if !self.made.begun {
            return Vec::new();
        }
        let listed = list_uploads(self.client, &self.object.bucket, self.object.key.as_str()).await;
        let mut open: Vec<UploadId> = listed.into_iter().flatten().map(|upload| upload.upload_id).collect();
        open.extend(self.made.upload.clone().filter(|known| !open.contains(known)));
        open
    }

    async fn delete(&self) -> Result<(), CallError> {
        match &self.made.version {
            None => self.client.call(&DeleteObject { object: self.object.clone() }).await,
            // Without the version only a marker would be put before it.
            Some(version) => {
                let place = (&self.object.bucket, Some(&self.object.key));
                let query = [("versionId", Some(version.as_str()))];
                self.client.call(&Ask::oss("DeleteObject", Method::DELETE, place, &query)).await.map(drop)
            }
        }
    }
}
