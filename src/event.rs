//! What the pipeline reports to the outside while it works: one enum, one way.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::model::{
    ByteRange, ImageId, ImageStatus, InstanceId, ObjectRef, PartNumber, Region, SnapshotStatus, TaskId,
    TaskStatus, UploadId,
};

/// Something that happened. Bytes are counted when the service acknowledged them, never before.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// An upload is open: a new one, or an old one that is taken up again.
    Opened {
        /// The object that it makes.
        object: ObjectRef,
        /// Its id.
        upload_id: UploadId,
        /// Length of the object in bytes, if it is known.
        length: Option<u64>,
        /// Bytes of parts that are in already.
        present: u64,
        /// How many parts are in already.
        present_parts: u32,
    },
    /// How far the image was read, of which the object is made on the way.
    Passed {
        /// Bytes of the image that have passed.
        image_bytes: u64,
        /// Bytes of the object that are known by now.
        object_bytes: u64,
    },
    /// The object's length became known.
    Sized {
        /// Length in bytes.
        length: u64,
    },
    /// Other uploads of the same key are open on the bucket, of which the state knows nothing: they hold parts that
    /// are billed until the uploads are completed or aborted.
    OthersOpen {
        /// The object that they would make.
        object: ObjectRef,
        /// Their ids.
        upload_ids: Vec<UploadId>,
    },
    /// Something that the user should know and that stops nothing: one sentence.
    Notice {
        /// The sentence, without a secret.
        text: String,
    },
    /// A part of an earlier run is compared with the local bytes.
    Verified {
        /// Its number.
        number: PartNumber,
        /// Its bytes of the object.
        range: ByteRange,
        /// Whether it is the same, and so need not be sent again.
        good: bool,
    },
    /// A part's attempt began.
    PartStarted {
        /// Its number.
        number: PartNumber,
        /// Its bytes of the object.
        range: ByteRange,
    },
    /// A part is in, and the journal has it.
    PartDone {
        /// Its number.
        number: PartNumber,
        /// Its bytes of the object.
        range: ByteRange,
        /// From the beginning of its first attempt.
        took: Duration,
    },
    /// A part stopped without being in; its bytes go out again, perhaps cut otherwise.
    PartReturned {
        /// Its number.
        number: PartNumber,
    },
    /// An attempt of a request failed and is made again.
    Retrying {
        /// The operation's name.
        operation: &'static str,
        /// The part, if it sends one.
        part: Option<PartNumber>,
        /// How many attempts there were.
        attempts: u32,
        /// Why it failed.
        reason: String,
        /// How long is waited first.
        delay: Duration,
        /// How much longer it may go on failing before it is given up.
        left: Duration,
    },
    /// How many parts may be in flight from now on.
    Concurrency {
        /// The number.
        target: usize,
    },
    /// Nothing was acknowledged for a while.
    Stalled {
        /// For how long.
        silent: Duration,
        /// The last failure, or that there was none.
        reason: String,
    },
    /// All parts are in; the object is put together.
    Completing,
    /// The object is there and verified.
    Completed,
    /// An import or a copy is registered with the service and goes on by itself.
    Submitted {
        /// Where the image will be.
        region: Region,
        /// The image's id.
        image_id: ImageId,
        /// The import's task; copies have none.
        task_id: Option<TaskId>,
    },
    /// How far an import or a copy is, after each look at it.
    Importing(ImportProgress),
    /// What is seen of the instance that tests an image.
    BootTest {
        /// Where the image is.
        region: Region,
        /// The image's id.
        image_id: ImageId,
        /// The instance's id.
        instance_id: InstanceId,
        /// The end of a sentence about the instance: "kernel started after 12 s".
        text: String,
    },
    /// An image that was followed can be used.
    Available {
        /// Where the image is.
        region: Region,
        /// The image's id.
        image_id: ImageId,
        /// The image's name.
        name: Option<String>,
        /// Since this process began to look.
        waited: Duration,
    },
}

/// The progress of an import or a copy. What the service did not report is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportProgress {
    /// Where the image is.
    pub region: Region,
    /// The image.
    pub image_id: ImageId,
    /// The import's task.
    pub task_id: Option<TaskId>,
    /// How much is done, in percent.
    pub percent: Option<u8>,
    /// The task's state.
    pub task: Option<TaskStatus>,
    /// The image's state.
    pub image: Option<ImageStatus>,
    /// The state of the system disk's snapshot. It reads "failed" until the import is done, and means nothing.
    pub snapshot: Option<SnapshotStatus>,
    /// Since this process began to look.
    pub waited: Duration,
}

impl ImportProgress {
    /// Returns the progress of an image of which nothing else is known yet.
    pub fn new(region: Region, image_id: ImageId, waited: Duration) -> Self {
        Self {
            region,
            image_id,
            task_id: None,
            percent: None,
            task: None,
            image: None,
            snapshot: None,
            waited,
        }
    }
}

/// Takes events. It is called on the task that drives the upload and must not block.
#[derive(Clone)]
pub struct EventSink(Arc<dyn Fn(Event) + Send + Sync>);

impl EventSink {
    /// Sends all events to `sink`.
    pub fn new(sink: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(sink))
    }

    /// Drops all events.
    pub fn none() -> Self {
        Self::new(|_| {})
    }

    /// Sends an event, as a sink does that stands before another.
    pub fn emit(&self, event: Event) {
        (self.0)(event);
    }

    pub(crate) fn notice(&self, text: impl Into<String>) {
        self.emit(Event::Notice { text: text.into() });
    }
}

impl fmt::Debug for EventSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EventSink")
    }
}
