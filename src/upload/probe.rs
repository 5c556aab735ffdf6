//! The rate at which the service takes parts, measured by sending some of an upload that never becomes an object.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{Upload, UploadError};
use crate::client::{Call, Progress};
use crate::event::{Event, EventSink};
use crate::model::ObjectRef;
use crate::model::limits::MAX_PARTS;
use crate::plan::{CutRule, Plan};
use crate::protocol::oss::InitiateMultipartUpload;
use crate::session::{SessionError, abort};
use crate::source::{Made, Source};
use crate::supply::Recipe;
use crate::transfer::{Control, JournalWriter, Transfer, TransferError};

/// What is sent at most, in bytes (50 GiB): no link takes it in the time.
const MOST: u64 = 50 << 30;
/// If nothing was acknowledged by the end, it is waited for this many times as long.
const PATIENCE: u32 = 10;
/// The end of the probe's key, behind the object's, so that who may write the one most likely may write the other.
const SUFFIX: &str = ".ossup-probe";

/// What a probe measured.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct ProbedRate {
    /// Bytes of parts that the service acknowledged.
    pub bytes: u64,
    /// The time for them.
    pub took: Duration,
    /// Most parts in flight at any time.
    pub parallel: usize,
}

impl ProbedRate {
    /// Returns the rate in bytes per second.
    pub fn bytes_per_second(&self) -> u64 {
        (self.bytes as f64 / self.took.as_secs_f64().max(0.001)) as u64
    }
}

impl Upload {
    /// Sends made-up parts for about this long to measure the rate, with the limits of this upload and as many parts in
    /// flight as it would have. They belong to an open upload beside the object's key, which is aborted at the end: no
    /// object is made at any time.
    ///
    /// # Errors
    ///
    /// [`UploadError`] if parts cannot be sent, or the upload cannot be aborted: the error then names its id.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves the open upload and its parts on the bucket.
    pub async fn probe(&self, span: Duration) -> Result<ProbedRate, UploadError> {
        let ObjectRef { bucket, key } = &self.session.object;
        let beside = format!("{key}{SUFFIX}").parse().unwrap_or_else(|_| key.clone());
        let object = ObjectRef::new(bucket.clone(), beside);
        let part_size = self.session.part_size;
        let length = part_size.map_or(MOST, |size| MOST.min(size.saturating_mul(MAX_PARTS.into())));
        let rule = CutRule::new(length, part_size).map_err(SessionError::Plan)?;
        let plan = Plan::new(length, rule).map_err(SessionError::Plan)?;
        let (progress, events) = (Arc::new(Progress::new()), EventSink::none());
        let failed = |object: &ObjectRef, source| SessionError::Call {
            object: object.clone(),
            source: Box::new(source),
        };
        let initiate =
            InitiateMultipartUpload { overwrite: true, ..InitiateMultipartUpload::new(object.clone()) };
        let upload_id = self.client.call_with(&initiate, Call::new(&progress, &events)).await;
        let upload_id = upload_id.map_err(|error| failed(&object, error))?;
        let measured = Arc::new(Mutex::new(Measured::new(Instant::now())));
        let measuring = Arc::clone(&measured);
        let events = EventSink::new(move |event| match event {
            Event::PartStarted { .. } => lock(&measuring).start(),
            Event::PartDone { range, .. } => lock(&measuring).add(range.len()),
            Event::PartReturned { .. } => lock(&measuring).leave(),
            _ => {}
        });
        let most = self.limits.max_connections();
        let transfer = Transfer {
            client: self.client.clone(),
            object: object.clone(),
            upload_id: upload_id.clone(),
            plan,
            limits: self.limits.clone(),
            most_part: u64::MAX,
            control: match self.parallel {
                Some(parts) => Control::fixed(parts.min(most), part_size),
                None => Control::adaptive(self.max_parallel.min(most), part_size),
            },
            progress,
            events: events.clone(),
            cancel: self.cancel.clone(),
            content_md5: self.content_md5,
            prove_by_md5: false,
            must_match: false,
        };
        let sent = self.send_noise(transfer, length, events, span, &measured).await;
        // Whatever came of it, nothing stays.
        let aborted = abort(&self.client, &object, &upload_id).await;
        sent.map_err(|source| UploadError::Transfer { object: object.clone(), parts: 0, source })?;
        aborted.map_err(|error| failed(&object, error))?;
        let measured = lock(&measured);
        Ok(measured.rate())
    }

    async fn send_noise(
        &self,
        transfer: Transfer,
        length: u64,
        events: EventSink,
        span: Duration,
        measured: &Mutex<Measured>,
    ) -> Result<(), TransferError> {
        let supply = Recipe::as_is(Arc::new(noise(length))).supply();
        let supply = supply.map_err(|error| TransferError::Source { offset: 0, source: error.source })?;
        let (mut journal, mut acked) = (JournalWriter::new(None, events), 0);
        let over = async {
            for _ in 0..PATIENCE {
                tokio::time::sleep(span).await;
                if lock(measured).bytes > 0 {
                    break;
                }
            }
        };
        tokio::select! {
            biased;
            sent = transfer.run(supply, Vec::new(), &mut journal, &mut acked) => sent.map(drop),
            () = over => Ok(()),
        }
    }
}

/// Acknowledged parts.
#[derive(Debug)]
struct Measured {
    began: Instant,
    bytes: u64,
    last: Instant,
    in_flight: usize,
    most: usize,
}

impl Measured {
    fn new(now: Instant) -> Self {
        Self { began: now, bytes: 0, last: now, in_flight: 0, most: 0 }
    }

    fn start(&mut self) {
        self.in_flight += 1;
        self.most = self.most.max(self.in_flight);
    }

    fn leave(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    fn add(&mut self, bytes: u64) {
        self.leave();
        (self.bytes, self.last) = (self.bytes + bytes, Instant::now());
    }

    fn rate(&self) -> ProbedRate {
        ProbedRate { bytes: self.bytes, took: self.last - self.began, parallel: self.most }
    }
}

fn lock(measured: &Mutex<Measured>) -> std::sync::MutexGuard<'_, Measured> {
    measured.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns bytes that no one on the way can make shorter: words that depend on their places alone (SplitMix64).
fn noise(length: u64) -> impl Source {
    Made::new(length, |at, rest| {
        let inside = (at % 8) as usize;
        let count = rest.len().min(8 - inside);
        rest[..count].copy_from_slice(&word(at / 8).to_le_bytes()[inside..inside + count]);
        count
    })
}

fn word(index: u64) -> u64 {
    let mut word = index.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}
