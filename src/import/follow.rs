//! Following an import or a copy to its end.

use std::time::Duration;

use tokio::time::Instant;

use super::judge::{Look, Verdict, judge};
use super::{CustomImage, Detection, ImportError, ImportTask, Importer};
use crate::client::{CallCause, CallError};
use crate::event::{Event, ImportProgress};
use crate::model::{ImageId, Region, SnapshotId, SnapshotStatus, TaskStatus};
use crate::protocol::RetryClass;
use crate::protocol::ecs::{self, DescribeTaskAttribute, TaskDetail};

/// The longest pause between polls while the service throttles.
const LONGEST_PAUSE: Duration = Duration::from_secs(5 * 60);
/// A task that stays Paused for this long is reported.
const PAUSED_NOTICE: Duration = Duration::from_secs(30 * 60);

/// How often a running import is polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pace {
    /// Between polls for the first two minutes.
    pub first: Duration,
    /// Between polls until ten minutes have passed.
    pub then: Duration,
    /// Between polls from there on.
    pub later: Duration,
}

impl Pace {
    /// Returns a pace for services on this machine, which take seconds where the real ones take hours.
    pub fn quick() -> Self {
        let every = Duration::from_millis(100);
        Self { first: every, then: every, later: every }
    }

    fn after(self, waited: Duration) -> Duration {
        match waited.as_secs() {
            0..120 => self.first,
            120..600 => self.then,
            _ => self.later,
        }
    }
}

impl Default for Pace {
    /// Every 10 s for two minutes, every 30 s until ten minutes have passed, then every minute.
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { first: seconds(10), then: seconds(30), later: seconds(60) }
    }
}

/// What is remembered from poll to poll.
#[derive(Debug, Default)]
struct Watch {
    missing: u32,
    /// Whether the caller may not look at tasks or snapshots; the image alone is enough.
    tasks_denied: bool,
    snapshots_denied: bool,
    snapshot_ids: Vec<SnapshotId>,
    /// Throttled polls in a row.
    throttled: u32,
    paused_since: Option<Instant>,
    paused_told: bool,
    percent: Option<u8>,
}

impl Watch {
    /// Notes that the service described the image, after it had throttled `throttled` requests in a row.
    fn image_told(&mut self, throttled: u32, found: bool) {
        // If it throttled the request for the task, its answer to this one does not show spare capacity.
        if self.throttled == throttled {
            self.throttled = 0;
        }
        self.missing = if found { 0 } else { self.missing + 1 };
    }
}

impl Importer {
    /// Follows an import or copy until its image can be used, and returns the image.
    ///
    /// Errors of network and service, throttling and a sleeping machine do not end the wait. It can be taken up
    /// again at any time.
    ///
    /// # Errors
    ///
    /// [`ImportError::Failed`], [`ImportError::Cancelled`] and [`ImportError::Vanished`] when the image will
    /// never be there; [`ImportError::StillRunning`] when the wait's limit is over; [`ImportError::Call`] when
    /// the service refuses to answer, or there are no credentials.
    ///
    /// # Cancellation
    ///
    /// Dropping the future ends the wait. The import goes on.
    pub async fn follow(&self, task: &ImportTask) -> Result<CustomImage, ImportError> {
        let began = Instant::now();
        let image = match self.wait_limit {
            None => self.follow_on(task, began).await?,
            Some(limit) => {
                let ended = |_| ImportError::StillRunning { task: task.clone(), waited: began.elapsed() };
                tokio::time::timeout(limit, self.follow_on(task, began)).await.map_err(ended)??
            }
        };
        self.events.emit(Event::Available {
            region: task.region.clone(),
            image_id: image.image_id.clone(),
            name: image.name.clone(),
            waited: began.elapsed(),
        });
        Ok(image)
    }

    async fn follow_on(&self, task: &ImportTask, began: Instant) -> Result<CustomImage, ImportError> {
        let mut watch = Watch::default();
        loop {
            if let Some(image) = self.look(task, began, &mut watch).await? {
                return Ok(image);
            }
            let pause = self.pace.after(began.elapsed());
            let longer = pause.saturating_mul(1 << watch.throttled.min(8));
            tokio::time::sleep(longer.min(LONGEST_PAUSE.max(pause))).await;
        }
    }

    /// Waits for the service's check of an image that was imported
    /// [with detection](super::ImportRequest::with_detection), at most `limit` (the check takes some minutes),
    /// and returns what it found. It does not show whether the import succeeded.
    ///
    /// Returns nothing if the check has not begun or not ended within the limit.
    ///
    /// # Errors
    ///
    /// [`ImportError::Vanished`] if the image is gone, [`ImportError::Call`] if it cannot be looked up.
    pub async fn detection(
        &self,
        region: &Region,
        image: &ImageId,
        limit: Duration,
    ) -> Result<Option<Detection>, ImportError> {
        let began = Instant::now();
        loop {
            let found = self.image(region, image).await?;
            let found = found.ok_or_else(|| ImportError::Vanished { image_id: image.clone() })?;
            if let Some(detection) = found.detection.filter(|detection| detection.finished) {
                return Ok(Some(detection));
            }
            let pause = self.pace.after(began.elapsed());
            if began.elapsed() + pause > limit {
                return Ok(None);
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Looks once, and returns the image if it is done.
    async fn look(
        &self,
        task: &ImportTask,
        began: Instant,
        watch: &mut Watch,
    ) -> Result<Option<CustomImage>, ImportError> {
        let throttled = watch.throttled;
        let detail = self.look_at_task(task, watch).await?;
        let image = match self.by_id(&task.region, &task.image_id).await {
            Ok(found) => {
                watch.image_told(throttled, found.is_some());
                found
            }
            Err(error) if can_pass(&error, watch) => None,
            Err(error) => return Err(ImportError::call(format!("look at image {}", task.image_id))(error)),
        };
        let verdict = judge(Look { task: detail.as_ref(), image: image.as_ref(), missing: watch.missing });
        let percent = percent(detail.as_ref(), image.as_ref());
        // Never backwards: image and task report it differently.
        watch.percent = watch.percent.max(percent);
        let snapshot = match verdict {
            Verdict::Pending | Verdict::Done => self.look_at_snapshot(task, image.as_ref(), watch).await,
            _ => None,
        };
        self.events.emit(Event::Importing(ImportProgress {
            region: task.region.clone(),
            image_id: task.image_id.clone(),
            task_id: task.task_id.clone(),
            percent: watch.percent,
            task: detail.as_ref().map(|detail| detail.status.clone()),
            image: image.as_ref().map(|image| image.status.clone()),
            snapshot,
            waited: began.elapsed(),
        }));
        self.tell_of_pause(detail.as_ref(), watch);
        let image_id = task.image_id.clone();
        match verdict {
            Verdict::Pending => Ok(None),
            Verdict::Done => Ok(image),
            Verdict::Failed { code, message } => Err(ImportError::Failed {
                image_id,
                task_id: task.task_id.clone(),
                percent: watch.percent,
                code,
                message,
            }),
            Verdict::Cancelled => Err(ImportError::Cancelled { image_id }),
            Verdict::Vanished => Err(ImportError::Vanished { image_id }),
        }
    }

    async fn look_at_task(
        &self,
        task: &ImportTask,
        watch: &mut Watch,
    ) -> Result<Option<TaskDetail>, ImportError> {
        let Some(id) = task.task_id.as_ref().filter(|_| !watch.tasks_denied) else { return Ok(None) };
        match self.client.call(&DescribeTaskAttribute::new(task.region.clone(), id.clone())).await {
            Ok(detail) => Ok(Some(detail)),
            // Ended tasks are not kept for ever; the image knows the rest.
            Err(error) if error.is(ecs::code::INVALID_TASK_ID_NOT_FOUND) => Ok(None),
            Err(error) if error.service().is_some_and(|refusal| refusal.status == 403) => {
                watch.tasks_denied = true;
                self.events
                    .notice(format!("there is no permission to query task {id}; only the image is followed"));
                Ok(None)
            }
            Err(error) if can_pass(&error, watch) => Ok(None),
            Err(error) => Err(ImportError::call(format!("look at task {id}"))(error)),
        }
    }

    /// Looks at the system disk's snapshot, on which nothing depends.
    async fn look_at_snapshot(
        &self,
        task: &ImportTask,
        image: Option<&CustomImage>,
        watch: &mut Watch,
    ) -> Option<SnapshotStatus> {
        if let Some(image) = image {
            let ids = image.snapshots();
            if !ids.is_empty() {
                watch.snapshot_ids = ids;
            }
        }
        let first = watch.snapshot_ids.first().filter(|_| !watch.snapshots_denied)?.clone();
        match self.snapshots(&task.region, std::slice::from_ref(&first)).await {
            Ok(snapshots) => {
                snapshots.into_iter().find(|snapshot| snapshot.snapshot_id == first).map(|found| found.status)
            }
            Err(error) => {
                watch.snapshots_denied |= error.service().is_some_and(|refusal| refusal.status == 403);
                None
            }
        }
    }

    fn tell_of_pause(&self, detail: Option<&TaskDetail>, watch: &mut Watch) {
        if detail.is_none_or(|detail| detail.status != TaskStatus::Paused) {
            watch.paused_since = None;
            return;
        }
        let since = *watch.paused_since.get_or_insert_with(Instant::now);
        if since.elapsed() >= PAUSED_NOTICE && !watch.paused_told {
            watch.paused_told = true;
            let minutes = PAUSED_NOTICE.as_secs() / 60;
            self.events.notice(format!("the service has kept the import paused for {minutes} minutes"));
        }
    }
}

/// Whether an error has nothing to do with the import, so that the next poll may succeed.
fn can_pass(error: &CallError, watch: &mut Watch) -> bool {
    if error.action == RetryClass::Throttled {
        watch.throttled = watch.throttled.saturating_add(1);
    }
    match &error.cause {
        CallCause::Transport(_) => true,
        CallCause::Credentials(cause) => cause.transient,
        // A cut answer, or one of a proxy.
        CallCause::Decode(_) => true,
        CallCause::Service(_) => {
            !matches!(error.action, RetryClass::Never | RetryClass::RefreshCredentials | RetryClass::FixClock)
        }
        CallCause::PartsRemain(_) | CallCause::Request(_) => false,
    }
}

/// Returns the progress to show: the task's, else the image's, else that of a copy's disks.
fn percent(task: Option<&TaskDetail>, image: Option<&CustomImage>) -> Option<u8> {
    let of_disks = |image: &CustomImage| image.disks.iter().filter_map(|disk| disk.progress).min();
    task.and_then(|task| task.percent)
        .or_else(|| image.and_then(|image| image.progress.or_else(|| of_disks(image))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_is_turned_away_slows_the_looks_although_the_image_is_told() {
        let mut watch = Watch { throttled: 3, ..Watch::default() };
        watch.image_told(2, true);
        assert_eq!(watch.throttled, 3);
        watch.image_told(3, true);
        assert_eq!(watch.throttled, 0);
    }
}
