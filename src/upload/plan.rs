//! What an upload would do, found out before it does anything.
//!
//! Nothing is made for it, neither here nor on the service: the source's map and some of its data are read, and the
//! service is asked for lists and for the object's head.

use std::io;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::{Upload, UploadError};
use crate::client::Progress;
use crate::complete::CompleteError;
use crate::model::limits::MAX_OBJECT_SIZE;
use crate::model::{ByteRange, Crc64, ObjectForm, ObjectRef, UploadId};
use crate::plan::Plan;
use crate::protocol::oss::{self, HeadObject};
use crate::session::{Claim, Foreseen};
use crate::source::SourceIdentity;
use crate::supply::Forecast;
use crate::transfer::{Limits, PART_SIZES, TransferError};

/// How many parts a page of ListParts has.
const LISTED_AT_ONCE: u64 = 1000;

/// A number of bytes that may not be known exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Estimate {
    /// The most likely number.
    pub likely: u64,
    /// It is not less than this,
    pub least: u64,
    /// and not more than this.
    pub most: u64,
}

impl Estimate {
    /// Returns a number that is known.
    pub fn exactly(bytes: u64) -> Self {
        Self { likely: bytes, least: bytes, most: bytes }
    }

    /// Whether it is known exactly.
    pub fn is_exact(&self) -> bool {
        self.least == self.most
    }

    fn may_be(&self, bytes: u64) -> bool {
        (self.least..=self.most).contains(&bytes)
    }
}

/// What of an upload is on the service already.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Present {
    /// The open upload that would go on; without one a new one would begin.
    pub upload_id: Option<UploadId>,
    /// Parts that are proved to be the source's, and not sent again.
    pub parts: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Parts that would be compared with the source, and not sent again if they are the same.
    pub compared_parts: usize,
    /// Their bytes.
    pub compared_bytes: u64,
}

/// What is under the object's key now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Existing {
    /// Nothing.
    Nothing,
    /// There is no bucket: the upload would be refused.
    NoBucket,
    /// An object that would be replaced.
    Replaced {
        /// Its length in bytes.
        size: u64,
    },
    /// An object that may be the one that would be made: it would be compared with the source. If it is the same
    /// nothing more is to be done, else the upload is refused.
    Compared {
        /// Its length in bytes.
        size: u64,
        /// Its CRC-64, if the service has one.
        crc64: Option<Crc64>,
    },
    /// It may not be looked at.
    Unknown {
        /// Why.
        reason: String,
    },
}

/// What an upload would do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UploadPlan {
    /// The object.
    pub object: ObjectRef,
    /// How it is made of the source.
    pub form: ObjectForm,
    /// Length of the image; not known of a stream, of which nothing is read.
    pub image_bytes: Option<u64>,
    /// How much of the image is data, in clusters of 64 KiB. Not known of a stream, nor of a file on the web as it is.
    pub data_bytes: Option<Estimate>,
    /// How much of it is zeros.
    pub zero_bytes: Option<Estimate>,
    /// Length of the object; of a stream's as much as is expected.
    pub object_bytes: Option<Estimate>,
    /// Bytes to be sent, if parts that are to be compared are the same.
    pub to_send: Option<Estimate>,
    /// How many parts are sent: it follows from the link while the upload runs, unless their size is fixed.
    pub parts: Option<RangeInclusive<u64>>,
    /// How many requests are made if none has to be repeated.
    pub requests: Option<RangeInclusive<u64>>,
    /// Most bytes of the image that are held in memory at a time.
    pub memory: u64,
    /// What an earlier run left.
    pub present: Present,
    /// What is there already.
    pub existing: Existing,
}

impl UploadPlan {
    /// Returns how long it takes to send everything at a rate in bytes per second.
    pub fn takes(&self, rate: u64) -> Option<Duration> {
        let sent = self.to_send.filter(|_| rate > 0)?.likely;
        Some(Duration::from_secs_f64(sent as f64 / rate as f64))
    }
}

impl Upload {
    /// Finds out what [`Upload::run`] would do. Nothing is made, sent or locked, and nothing of a stream is read. Of an
    /// image at most 16 MiB of data are read, spread over all of it.
    ///
    /// # Errors
    ///
    /// Why the upload would be refused, or what could not be asked or read.
    pub async fn plan(&self) -> Result<UploadPlan, UploadError> {
        let progress = Progress::new();
        // What a file shows of itself is trusted once it is at rest.
        self.settle(&progress).await?;
        let foreseen = self.opener(&progress).foresee().await?;
        let forecast = self.forecast().await?;
        let image_bytes = self.recipe.image_length();
        let object_bytes = self.object_bytes(forecast.as_ref());
        let existing = self.existing(object_bytes.as_ref()).await?;
        let present = present(&foreseen);
        let compares = present.upload_id.is_none() && matches!(existing, Existing::Compared { .. });
        let to_send = match compares {
            true => Some(Estimate::exactly(0)),
            false => object_bytes.map(|object| to_send(object, &present)),
        };
        let parts = match compares {
            true => Some(0..=0),
            false => object_bytes.and_then(|object| parts(&foreseen, object)),
        };
        let opening = foreseen.claims.len() as u64 / LISTED_AT_ONCE + 1;
        let requests = match compares {
            // Initiate, which is refused, and two looks at the object.
            true => Some(3..=3),
            false => parts.as_ref().map(|parts| opening + parts.start() + 1..=opening + parts.end() + 1),
        };
        let connections = self.parallel.unwrap_or(self.max_parallel).min(self.limits.max_connections());
        Ok(UploadPlan {
            object: self.session.object.clone(),
            form: self.recipe.form().clone(),
            image_bytes,
            data_bytes: forecast.map(|of| of.data_bytes()),
            zero_bytes: forecast.zip(image_bytes).map(|(of, image)| of.zero_bytes(image)),
            object_bytes,
            to_send,
            parts,
            requests,
            memory: Limits::memory_for(connections).min(self.limits.memory()) + self.recipe.held(),
            present,
            existing,
        })
    }

    /// Looks at the image, if it can be looked at without being used up.
    async fn forecast(&self) -> Result<Option<Forecast>, UploadError> {
        let Some(source) = self.recipe.positional() else { return Ok(None) };
        // To look into a file on the web takes a request each time.
        if !self.recipe.converts() && matches!(source.identity(), Some(SourceIdentity::Web(_))) {
            return Ok(None);
        }
        let source = Arc::clone(source);
        let looked = tokio::task::spawn_blocking(move || Forecast::of(&source)).await;
        let forecast = looked.unwrap_or_else(|error| Err(io::Error::other(error)));
        forecast.map(Some).map_err(|source| UploadError::Transfer {
            object: self.session.object.clone(),
            parts: 0,
            source: TransferError::Source { offset: 0, source },
        })
    }

    fn object_bytes(&self, forecast: Option<&Forecast>) -> Option<Estimate> {
        if self.recipe.converts() {
            return forecast.map(Forecast::qcow2_bytes);
        }
        let about = |likely| Estimate { likely, least: 0, most: MAX_OBJECT_SIZE };
        self.recipe.length().map(Estimate::exactly).or_else(|| self.recipe.expected().map(about))
    }

    /// Looks at what is under the key.
    async fn existing(&self, object_bytes: Option<&Estimate>) -> Result<Existing, UploadError> {
        let object = self.session.object.clone();
        let head = match self.client.call(&HeadObject::new(object.clone())).await {
            Ok(head) => head,
            Err(error) if error.is(oss::code::NO_SUCH_BUCKET) => return Ok(Existing::NoBucket),
            Err(error) => match error.service().map(|answer| answer.status) {
                Some(404) => return Ok(Existing::Nothing),
                // To upload an object one need not be allowed to read it.
                Some(403) => return Ok(Existing::Unknown { reason: error.cause.to_string() }),
                _ => return Err(CompleteError::Call { object, source: Box::new(error) }.into()),
            },
        };
        let size = head.size;
        if self.session.overwrite {
            return Ok(Existing::Replaced { size });
        }
        if object_bytes.is_some_and(|length| !length.may_be(size)) {
            return Err(CompleteError::Exists { object }.into());
        }
        Ok(Existing::Compared { size, crc64: head.crc64 })
    }
}

impl Forecast {
    fn data_bytes(&self) -> Estimate {
        let least = if self.is_exact { self.data } else { 0 };
        let most = if self.is_exact { self.data } else { self.data_at_most };
        Estimate { likely: self.data, least, most }
    }

    fn zero_bytes(&self, image: u64) -> Estimate {
        let data = self.data_bytes();
        let rest = |data: u64| image.saturating_sub(data);
        Estimate { likely: rest(data.likely), least: rest(data.most), most: rest(data.least) }
    }

    fn qcow2_bytes(&self) -> Estimate {
        match self.is_exact {
            true => Estimate::exactly(self.qcow2),
            false => Estimate {
                likely: self.qcow2,
                least: self.qcow2_at_most.saturating_sub(self.data_at_most),
                most: self.qcow2_at_most,
            },
        }
    }
}

fn present(foreseen: &Foreseen) -> Present {
    let mut present = Present { upload_id: foreseen.upload_id.clone(), ..Present::default() };
    for claim in &foreseen.claims {
        let (parts, bytes) = match claim {
            Claim::Proved(_) => (&mut present.parts, &mut present.bytes),
            Claim::Listed(_) => (&mut present.compared_parts, &mut present.compared_bytes),
        };
        (*parts, *bytes) = (*parts + 1, *bytes + claim.range().len());
    }
    present
}

/// Returns how many bytes are left. Parts that are to be compared are likely to be the same.
fn to_send(object: Estimate, present: &Present) -> Estimate {
    let (proved, there) = (present.bytes, present.bytes + present.compared_bytes);
    Estimate {
        likely: object.likely.saturating_sub(there),
        least: object.least.saturating_sub(there),
        most: object.most.saturating_sub(proved),
    }
}

/// Returns how many parts what is left is cut into, at least and at most.
fn parts(foreseen: &Foreseen, object: Estimate) -> Option<RangeInclusive<u64>> {
    let sizes = match foreseen.plan.rule().part_size() {
        Some(size) => size..=size,
        None => PART_SIZES,
    };
    let is_proved = |claim: &&Claim| claim.proved().is_some();
    let all = foreseen.claims.iter().map(Claim::range).collect::<Vec<_>>();
    let proved = foreseen.claims.iter().filter(is_proved).map(Claim::range).collect::<Vec<_>>();
    let closed = |length: u64| foreseen.plan.closed(length.clamp(1, foreseen.plan.reach())).ok();
    let least = count(closed(object.least)?, &all, *sizes.end());
    let most = count(closed(object.most)?, &proved, *sizes.start());
    Some(least..=most)
}

/// Returns how many parts of a size the plan cuts what `covered` leaves into.
fn count(plan: Plan, covered: &[ByteRange], size: u64) -> u64 {
    let mut parts = 0;
    for mut range in plan.remaining(covered.iter().copied()) {
        // A part that was the end of a shorter object may end anywhere.
        range.start = plan.last_cut_to(range.start);
        while !range.is_empty() {
            range.start = plan.cut(range, size).range.end;
            parts += 1;
        }
    }
    parts
}
