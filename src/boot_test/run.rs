//! One test: find or make the instance, follow its console, delete it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, sleep, timeout};

use super::console::news;
use super::{BOOT_TEST_TAG, BootTestError, BootTester, NEAREST_RELEASE, REPEATABLE};
use crate::boot::{DiskBus, Goal, Outcome, Verdict, Watch};
use crate::event::Event;
use crate::model::{ClientToken, ImageId, InstanceId, InstanceStatus, Region};
use crate::protocol::ecs::{
    self, DeleteInstance, DescribeInstances, GetInstanceConsoleOutput, InstanceInfo, Tag,
};
use crate::state::{BootTestStep, StateError};

/// How often a new instance may be missing in the list before it counts as gone.
const LOOKS_UNTIL_LISTED: u32 = 12;
/// How often an instance is tried to be deleted that is still being made, and looked for after that.
const ATTEMPTS: u32 = 60;
/// How long nothing may happen once a boot loader has failed to load something.
const PATIENCE: Duration = Duration::from_secs(3 * 60);
/// How long the deletion after a signal may take.
const GOODBYE: Duration = Duration::from_secs(20);
/// Added to the time of release, for what passes between the request and its arrival.
const MARGIN: Duration = Duration::from_secs(2 * 60);

/// Keeps what is known of a test; nothing, once there is nothing more to know.
pub(crate) type Save<'a> = &'a mut (dyn FnMut(Option<&BootTestStep>) -> Result<(), StateError> + Send);

/// One test of one image.
struct Test<'a> {
    tester: &'a BootTester,
    region: &'a Region,
    image: &'a ImageId,
    step: Option<BootTestStep>,
    save: Save<'a>,
}

impl BootTester {
    /// Tests an image, or goes on with a test that an earlier call has begun, which is looked for in the account.
    ///
    /// # Errors
    ///
    /// [`BootTestError`]; the instance is deleted, or ends by itself.
    pub async fn test(&self, region: &Region, image: &ImageId) -> Result<Verdict, BootTestError> {
        let mut forget = |_: Option<&BootTestStep>| Ok(());
        let tested = self.test_once(region, image, None, &mut forget).await?;
        Ok(tested.expect("what is not known to be passed is tested"))
    }

    /// Tests an image unless that is known to be passed; then there is no verdict. What is known is `step`, and kept by
    /// `save` before and after each request that changes something.
    pub(crate) async fn test_once(
        &self,
        region: &Region,
        image: &ImageId,
        step: Option<BootTestStep>,
        save: Save<'_>,
    ) -> Result<Option<Verdict>, BootTestError> {
        let wanted = self.wanted(region, image);
        let step = step.filter(|step| step.wanted == wanted);
        let mut test = Test { tester: self, region, image, step, save };
        let done = tokio::select! {
            biased;
            () = self.cancel.cancelled() => None,
            done = test.run() => Some(done),
        };
        match done {
            Some(done) => done,
            None => {
                test.say_goodbye().await;
                Err(BootTestError::Cancelled)
            }
        }
    }

    /// Returns what is asked for as one text; another is another test.
    fn wanted(&self, region: &Region, image: &ImageId) -> String {
        let test = &self.test;
        format!("{region} {image} {} {} {}", test.instance_type, test.vswitch, test.security_group)
    }

    /// Returns when an instance is released that is made now: after the limit, and after the time for which the
    /// request can be repeated.
    fn release_at(&self) -> Timestamp {
        let ahead = (NEAREST_RELEASE + REPEATABLE).max(self.test.limit + NEAREST_RELEASE) + MARGIN;
        let ahead = SignedDuration::try_from(ahead).unwrap_or(SignedDuration::from_hours(7));
        let at = self.client.now().checked_add(ahead).unwrap_or(Timestamp::MAX);
        // The service cuts seconds off, and a repeated request must be the same.
        Timestamp::from_second(at.as_second() - at.as_second().rem_euclid(60)).unwrap_or(at)
    }
}

impl Test<'_> {
    async fn run(&mut self) -> Result<Option<Verdict>, BootTestError> {
        if self.step.as_ref().is_some_and(|step| step.passed) {
            self.release().await?;
            return Ok(None);
        }
        let id = self.instance().await?;
        let verdict = match self.watch(&id).await {
            // Another one has to be made by the next call.
            Err(error @ BootTestError::Gone { .. }) => {
                self.keep(None)?;
                return Err(error);
            }
            // Nothing more can be learnt from it.
            Err(error @ BootTestError::NoConsole { .. }) => {
                self.release().await?;
                self.keep(None)?;
                return Err(error);
            }
            watched => watched?,
        };
        let passed = verdict.outcome == Outcome::Boots;
        if passed {
            self.update(|step| step.passed = true)?;
        }
        self.release().await?;
        if passed {
            return Ok(Some(verdict));
        }
        self.keep(None)?;
        Err(BootTestError::DoesNotBoot {
            region: self.region.clone(),
            image_id: self.image.clone(),
            instance_type: self.tester.test.instance_type.clone(),
            verdict: Box::new(verdict),
        })
    }

    fn keep(&mut self, step: Option<BootTestStep>) -> Result<(), BootTestError> {
        self.step = step;
        (self.save)(self.step.as_ref()).map_err(BootTestError::State)
    }

    fn update(&mut self, change: impl FnOnce(&mut BootTestStep)) -> Result<(), BootTestError> {
        let step = self.step.take().map(|mut step| {
            change(&mut step);
            step
        });
        self.keep(step)
    }

    /// Returns the instance: that of an earlier call, or a new one.
    async fn instance(&mut self) -> Result<InstanceId, BootTestError> {
        if let Some(id) = self.step.as_ref().and_then(|step| step.instance_id.clone()) {
            if self.describe(&id).await?.is_some() {
                return Ok(id);
            }
            // Released, by its time or by somebody else.
            self.keep(None)?;
        }
        // With the token of an earlier request, the same request makes no second one, as long as its time is not
        // too near.
        let nearest = SignedDuration::try_from(NEAREST_RELEASE + MARGIN).unwrap_or_default();
        let now = self.tester.client.now();
        let is_repeatable = |step: &BootTestStep| step.release_at.duration_since(now) >= nearest;
        if !self.step.as_ref().is_some_and(is_repeatable) {
            if let Some(found) = self.find().await? {
                let id = found.instance_id;
                let step = BootTestStep {
                    instance_id: Some(id.clone()),
                    release_at: found.release_at.unwrap_or(now),
                    ..self.new_step()
                };
                self.keep(Some(step))?;
                self.tell(&id, "is taken up again");
                return Ok(id);
            }
            let step = self.new_step();
            self.keep(Some(step))?;
        }
        let step = self.step.as_ref().expect("it was just made");
        let mut run = self.tester.request(self.region, self.image);
        run.name = Some("ossup-boot-test".to_owned());
        run.tags = vec![self.tag()];
        run.client_token = Some(step.token.clone());
        run.release_at = Some(step.release_at);
        let release_at = step.release_at;
        let id =
            self.tester.call(&run, || format!("run an instance of image {}", self.image)).await?.instance_id;
        self.update(|step| step.instance_id = Some(id.clone()))?;
        self.tell(&id, format!("runs the image; it is released by {release_at} at the latest"));
        Ok(id)
    }

    fn new_step(&self) -> BootTestStep {
        BootTestStep {
            token: ClientToken::random(),
            wanted: self.tester.wanted(self.region, self.image),
            release_at: self.tester.release_at(),
            instance_id: None,
            passed: false,
            deleted: false,
        }
    }

    fn tag(&self) -> Tag {
        Tag { key: BOOT_TEST_TAG.to_owned(), value: self.image.to_string() }
    }

    /// Returns an instance of ours for this test that runs.
    async fn find(&self) -> Result<Option<InstanceInfo>, BootTestError> {
        let list = DescribeInstances::tagged(self.region.clone(), self.image.clone(), self.tag());
        let action = || format!("look for instances of image {}", self.image);
        let listed = self.tester.call(&list, action).await?;
        // The filters are the service's; what they mean is proved here.
        let ours = |instance: &InstanceInfo| {
            instance.image_id.as_deref() == Some(self.image.as_str())
                && instance.tags.contains(&self.tag())
                && instance.instance_type.as_deref() == Some(self.tester.test.instance_type.as_str())
                && !matches!(instance.status, InstanceStatus::Stopping | InstanceStatus::Stopped)
        };
        Ok(listed.into_iter().find(ours))
    }

    async fn describe(&self, id: &InstanceId) -> Result<Option<InstanceInfo>, BootTestError> {
        let describe = DescribeInstances::of(self.region.clone(), id.clone());
        let listed = self.tester.call(&describe, || format!("look at instance {id}")).await?;
        Ok(listed.into_iter().find(|instance| instance.instance_id == *id))
    }

    /// Follows the console until there is a verdict.
    async fn watch(&self, id: &InstanceId) -> Result<Verdict, BootTestError> {
        let limit = self.tester.test.limit;
        let goal = Goal {
            prompt_is_enough: true,
            cloud_init: false,
            can_log_in: false,
            // Which it is depends on the type; the checks of NVMe are asked where both may be.
            bus: DiskBus::Nvme,
            limit,
            patience: PATIENCE,
        };
        let mut watch = Watch::new(goal);
        let (began, mut seen, mut told) = (Instant::now(), Vec::new(), 0);
        let (mut missing, mut was_there) = (0, false);
        loop {
            let found = self.describe(id).await?;
            match &found {
                None if was_there || missing == LOOKS_UNTIL_LISTED => {
                    return Err(BootTestError::Gone {
                        image_id: self.image.clone(),
                        instance_id: id.clone(),
                    });
                }
                None => missing += 1,
                Some(_) => was_there = true,
            }
            let said = self.console(id).await?;
            watch.console(news(&seen, &said), began.elapsed());
            // A shorter answer is an older one.
            if !seen.starts_with(&said) {
                seen = said;
            }
            if found.is_some_and(|instance| instance.status == InstanceStatus::Stopped) {
                watch.ended(began.elapsed());
            }
            for reached in &watch.reached()[told..] {
                self.tell(id, format!("{} after {:.0} s", reached.milestone, reached.seconds));
                told += 1;
            }
            if let Some(verdict) = watch.verdict(began.elapsed()) {
                return Ok(verdict);
            }
            sleep(self.tester.pause).await;
        }
    }

    /// Returns what the instance has said. One that is being made says nothing yet.
    async fn console(&self, id: &InstanceId) -> Result<Vec<u8>, BootTestError> {
        let console = GetInstanceConsoleOutput::new(self.region.clone(), id.clone());
        match self.tester.client.call(&console).await {
            Ok(said) => Ok(said),
            Err(error) if error.is(ecs::code::NOT_SUPPORTED) => Err(BootTestError::NoConsole {
                instance_id: id.clone(),
                instance_type: self.tester.test.instance_type.clone(),
            }),
            Err(error) if is_being_made(&error) || error.is(ecs::code::INVALID_INSTANCE_ID_NOT_FOUND) => {
                Ok(Vec::new())
            }
            Err(error) => Err(BootTestError::call(format!("read the console of instance {id}"), error)),
        }
    }

    /// Deletes the instance, unless that was done. Who may not delete it is told when it ends by itself.
    async fn release(&mut self) -> Result<(), BootTestError> {
        let Some(step) = self.step.clone().filter(|step| !step.deleted) else { return Ok(()) };
        let Some(id) = step.instance_id else { return Ok(()) };
        match self.delete(&id).await {
            Ok(()) => self.update(|step| step.deleted = true),
            Err(error) if error.call_error().is_some_and(super::is_denied) => {
                self.tester.events.notice(format!(
                    "instance {id} cannot be deleted with these permissions; it is released by itself at {}",
                    step.release_at
                ));
                self.update(|step| step.deleted = true)
            }
            Err(error) => Err(error),
        }
    }

    async fn delete(&self, id: &InstanceId) -> Result<(), BootTestError> {
        let delete = DeleteInstance::forced(self.region.clone(), id.clone());
        let mut attempt = 1;
        loop {
            match self.tester.client.call(&delete).await {
                Ok(_) => break,
                Err(error) if error.is(ecs::code::INVALID_INSTANCE_ID_NOT_FOUND) => return Ok(()),
                Err(error) if is_being_made(&error) && attempt < ATTEMPTS => {}
                Err(error) => return Err(BootTestError::call(format!("delete instance {id}"), error)),
            }
            attempt += 1;
            sleep(self.tester.pause).await;
        }
        // Its image can be deleted only after it.
        for _ in 0..ATTEMPTS {
            if self.describe(id).await?.is_none() {
                self.tell(id, "is deleted");
                return Ok(());
            }
            sleep(self.tester.pause).await;
        }
        self.tester.events.notice(format!("instance {id} is being deleted, and still listed"));
        Ok(())
    }

    /// Deletes the instance after a signal, as far as that is possible in a short time, and says what remains.
    async fn say_goodbye(&mut self) {
        let Some(step) = self.step.clone().filter(|step| !step.deleted) else { return };
        let known = step.instance_id.clone();
        let gone = timeout(GOODBYE, async {
            let id = match known {
                Some(id) => id,
                None => match self.find().await? {
                    Some(found) => found.instance_id,
                    // The request may be on its way.
                    None => return Ok(false),
                },
            };
            self.delete(&id).await.map(|()| true)
        });
        let is_gone = matches!(gone.await, Ok(Ok(true)));
        if is_gone {
            // The next call begins anew, unless the test was passed.
            let kept = match step.passed {
                true => self.update(|step| step.deleted = true),
                false => self.keep(None),
            };
            if let Err(error) = kept {
                tracing::warn!("{error}");
            }
            return;
        }
        let what = match &step.instance_id {
            Some(id) => format!("instance {id} remains"),
            None => format!("if an instance of image {} was made, it remains", self.image),
        };
        self.tester.events.notice(format!(
            "{what}: it is released by itself at {}, and the same command again takes it up",
            step.release_at
        ));
    }

    fn tell(&self, id: &InstanceId, text: impl Into<String>) {
        self.tester.events.emit(Event::BootTest {
            region: self.region.clone(),
            image_id: self.image.clone(),
            instance_id: id.clone(),
            text: text.into(),
        });
    }
}

/// Whether an instance is refused only for not being ready.
fn is_being_made(error: &crate::client::CallError) -> bool {
    error.is(ecs::code::INCORRECT_INSTANCE_STATUS)
        || error.is(ecs::code::INCORRECT_INSTANCE_STATUS_INITIALIZING)
}
