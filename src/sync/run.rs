//! Makes an account as the file says.
//!
//! For each entry: look, plan, make the changes of the plan's first step, and look again, until the plan is empty. So
//! whatever this run, an earlier one or another machine has done is seen in the account alone, and a run that was killed
//! anywhere is continued by the next. Where another run makes the same changes at the same time, one of both is refused
//! or finds it done: then it looks again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::pin::pin;
use std::sync::Arc;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio::sync::watch;

use super::account::{Account, Goal, Seen};
use super::agreed::Agreed;
use super::apply;
use super::change::{Action, Change, Conflict};
use super::error::{ChangeError, SyncError};
use super::file::{Entry, Regions, Removed, SyncFile};
use super::maker::{Files, Maker, content_of};
use super::plan::{plan, plan_removed};
use crate::cancel::CancellationToken;
use crate::import::Importer;
use crate::manage::Images;
use crate::model::Region;

/// Regions that are looked at, and changes of one step that are made, at a time.
pub(super) const AT_ONCE: usize = 8;
/// Images that are made at a time: of each the service imports for hours, and sends while others wait.
const ENTRIES_AT_ONCE: usize = 4;
/// How often one entry is planned at most: there are ten steps, and some are taken again where two runs meet.
const MAX_ROUNDS: usize = 60;
/// How often changes are tried that another run may have been in the way of.
const MAX_MEETINGS: usize = 8;

/// A fleet and the account that it is to be in.
#[derive(Clone)]
pub struct Fleet {
    pub(super) file: SyncFile,
    pub(super) importer: Importer,
    pub(super) images: Images,
    pub(super) maker: Arc<dyn Maker>,
    pub(super) files: Arc<Files>,
    agreed: Option<Agreed>,
    told: Arc<dyn Fn(&Told<'_>) + Send + Sync>,
    cancel: CancellationToken,
    /// How many names are on their way from one image to another, and nobody's meanwhile.
    passing: watch::Sender<usize>,
}

/// A name on its way.
pub(super) struct Passing<'a>(&'a watch::Sender<usize>);

impl Drop for Passing<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|names| *names -= 1);
    }
}

impl fmt::Debug for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fleet").field("file", &self.file).finish_non_exhaustive()
    }
}

/// What is told while a run goes on.
#[derive(Debug)]
#[non_exhaustive]
pub enum Told<'a> {
    /// A change is begun.
    Began(&'a Change),
    /// It is made.
    Done(&'a Change),
}

/// What is to be done for a whole fleet.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct FleetPlan {
    /// The changes, entry by entry, each in its order.
    pub changes: Vec<Change>,
    /// What forbids all of them.
    pub conflicts: Vec<Conflict>,
}

/// What a run has done.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct SyncReport {
    /// The changes that were made.
    pub done: Vec<Change>,
    /// The entries that are not as the file says, and why. What the file no longer has is under its tag.
    pub failures: BTreeMap<String, SyncError>,
}

impl Fleet {
    /// Compares `file` with the account that `importer` works in, and opens its sources by `maker`. The bucket is in the
    /// importer's region.
    pub fn new(importer: Importer, file: SyncFile, maker: Arc<dyn Maker>) -> Self {
        let images = Images::new(importer.client().clone());
        let cancel = CancellationToken::new();
        let (files, told, passing) = (Arc::default(), Arc::new(|_: &Told<'_>| {}), watch::Sender::new(0));
        Self { file, importer, images, maker, files, agreed: None, told, cancel, passing }
    }

    /// Holds runs to a plan that somebody has seen: they deprecate and delete no image that it leaves alone, and begin only if
    /// no source is another one by then.
    #[must_use]
    pub fn with_agreed(mut self, plan: &FleetPlan) -> Self {
        self.agreed = Some(Agreed::new(plan));
        self
    }

    /// Tells `sink` what is begun and done.
    #[must_use]
    pub fn with_told(mut self, sink: impl Fn(&Told<'_>) + Send + Sync + 'static) -> Self {
        self.told = Arc::new(sink);
        self
    }

    /// Ends the run when the token is cancelled, and no name is on its way from one image to another. What was submitted
    /// goes on, and is found again.
    #[must_use]
    pub fn with_cancellation(mut self, token: CancellationToken) -> Self {
        self.cancel = token;
        self
    }

    /// Returns what is to be done. Nothing is changed.
    ///
    /// # Errors
    ///
    /// When a source or the account cannot be looked at, or a region does not exist.
    pub async fn plan(&self) -> Result<FleetPlan, SyncError> {
        self.unless_cancelled(async {
            let goals = self.goals().await?;
            self.plan_of(&goals).await
        })
        .await
    }

    /// Makes it so. An entry that fails does not end the others.
    ///
    /// # Errors
    ///
    /// Before anything is changed: as [`Fleet::plan`], [`SyncError::Conflicts`] and [`SyncError::NotAgreed`]. Later,
    /// [`SyncError::Cancelled`].
    pub async fn run(&self) -> Result<SyncReport, SyncError> {
        self.unless_cancelled(async {
            let goals = self.goals().await?;
            let first = self.plan_of(&goals).await?;
            if !first.conflicts.is_empty() {
                return Err(SyncError::Conflicts { conflicts: first.conflicts });
            }
            let is_new =
                |change: &&Change| self.agreed.as_ref().is_some_and(|agreed| !agreed.expects(change));
            if let Some(change) = first.changes.iter().find(is_new) {
                return Err(SyncError::NotAgreed { change: Box::new(change.clone()) });
            }
            let mut report = SyncReport::default();
            let all = &goals.all;
            let mut settling = stream::iter(goals.entries.iter())
                .map(|goal| async move { (goal.entry.key.clone(), self.settle(goal, all).await) })
                .buffer_unordered(ENTRIES_AT_ONCE);
            while let Some((entry, (done, outcome))) = settling.next().await {
                report.done.extend(done);
                report.failures.extend(outcome.err().map(|error| (entry, error)));
            }
            drop(settling);
            let (done, outcome) = self.settle_removed(&goals).await;
            report.done.extend(done);
            let outcome = match outcome {
                Ok(()) => self.finish_deletions(&goals).await,
                failed => failed,
            };
            report.failures.extend(outcome.err().map(|error| (self.file.fleet.clone(), error)));
            Ok(report)
        })
        .await
    }

    async fn unless_cancelled<T>(
        &self,
        work: impl Future<Output = Result<T, SyncError>>,
    ) -> Result<T, SyncError> {
        let mut work = pin!(work);
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => {}
            done = &mut work => return done,
        }
        let mut passing = self.passing.subscribe();
        tokio::select! {
            biased;
            _ = passing.wait_for(|names| *names == 0) => Err(SyncError::Cancelled),
            done = work => done,
        }
    }

    /// Begins to take a name from one image for another. Once the run is to end, nothing of that is begun.
    pub(super) async fn pass_name(&self) -> Passing<'_> {
        if self.cancel.is_cancelled() {
            std::future::pending::<()>().await;
        }
        self.passing.send_modify(|names| *names += 1);
        Passing(&self.passing)
    }

    /// Resolves what the file leaves open: regions, and what the sources are.
    async fn goals(&self) -> Result<Goals<'_>, SyncError> {
        let client = self.importer.client();
        let home = client.region();
        let all: BTreeSet<Region> = self.images.regions(&[]).await?.into_iter().collect();
        let mut entries = Vec::new();
        for entry in &self.file.entries {
            let regions = regions_of(entry, &all, home)?;
            let content = content_of(client, &self.files, &*self.maker, entry).await?;
            entries.push(Goal {
                entry,
                tag: self.file.tag_of(&entry.key),
                folder: format!("{}{content}/", self.folder(entry)),
                content,
                home: home.clone(),
                regions,
                removed: self.file.removed,
                now: client.now(),
            });
        }
        Ok(Goals { entries, all })
    }

    async fn plan_of(&self, goals: &Goals<'_>) -> Result<FleetPlan, SyncError> {
        let mut fleet = FleetPlan::default();
        // The regions of all entries are mostly the same: each is looked at once.
        let mut regions: BTreeSet<Region> =
            goals.entries.iter().flat_map(|goal| self.looked_at(goal, &goals.all)).collect();
        if self.file.removed != Removed::Keep {
            regions.extend(goals.all.iter().cloned());
        }
        let seen = self.look(regions).await?;
        let plans: Vec<_> = stream::iter(goals.entries.iter())
            .map(|goal| {
                let images = of_regions(&seen, &self.looked_at(goal, &goals.all));
                async move { Ok::<_, SyncError>(plan(goal, &self.account_with(goal, images).await?)) }
            })
            .buffered(ENTRIES_AT_ONCE)
            .try_collect()
            .await?;
        for planned in plans {
            match planned {
                Ok(changes) => fleet.changes.extend(changes),
                Err(conflicts) => fleet.conflicts.extend(conflicts),
            }
        }
        fleet.changes.extend(self.removed(goals, of_regions(&seen, &goals.all)));
        Ok(fleet)
    }

    /// Returns what becomes of the images whose entries are not in the file.
    fn removed(&self, goals: &Goals<'_>, images: BTreeMap<Region, Vec<Seen>>) -> Vec<Change> {
        let entries = goals.entries.iter().map(|goal| goal.tag.clone()).collect();
        let account = Account { images, ..Account::default() };
        plan_removed(&self.file.fleet, &entries, self.file.removed, &account)
    }

    async fn settle_removed(&self, goals: &Goals<'_>) -> (Vec<Change>, Result<(), SyncError>) {
        let mut done = Vec::new();
        if self.file.removed == Removed::Keep {
            return (done, Ok(()));
        }
        let changes = match self.look(goals.all.iter().cloned()).await {
            Ok(images) => self.removed(goals, images),
            Err(error) => return (done, Err(error)),
        };
        let (changes, refused) = self.parted(changes);
        let outcome = self.make(&Account::default(), None, changes, &mut done).await;
        let outcome = match (outcome, refused) {
            (Err((change, source)), _) => {
                Err(SyncError::Change { change: Box::new(change), source: Box::new(source) })
            }
            (Ok(()), Some(change)) => Err(SyncError::NotAgreed { change: Box::new(change) }),
            (Ok(()), None) => Ok(()),
        };
        (done, outcome)
    }

    /// Deletes the snapshots of images that an earlier run, which died, had deleted.
    async fn finish_deletions(&self, goals: &Goals<'_>) -> Result<(), SyncError> {
        let retires = self.file.removed == Removed::Delete
            || goals.entries.iter().any(|goal| goal.entry.retention.is_some());
        let regions: BTreeSet<&Region> = match self.file.removed {
            Removed::Delete => goals.all.iter().collect(),
            _ => goals.entries.iter().flat_map(|goal| &goal.regions).collect(),
        };
        let finish = |region| async move { self.images.finish_deletions(region).await.map(drop) };
        let finished =
            stream::iter(regions.into_iter().filter(|_| retires)).map(finish).buffer_unordered(AT_ONCE);
        Ok(finished.try_collect::<()>().await?)
    }

    /// Returns the changes that may be made, and the first one that may not.
    fn parted(&self, changes: Vec<Change>) -> (Vec<Change>, Option<Change>) {
        let may_be_made = |change: &Change| self.agreed.as_ref().is_none_or(|agreed| agreed.allows(change));
        let (changes, refused): (Vec<_>, Vec<_>) = changes.into_iter().partition(may_be_made);
        (changes, refused.into_iter().next())
    }

    /// Makes one entry as the file says.
    async fn settle(&self, goal: &Goal<'_>, all: &BTreeSet<Region>) -> (Vec<Change>, Result<(), SyncError>) {
        let mut done = Vec::new();
        let outcome = self.rounds(goal, all, &mut done).await;
        (done, outcome)
    }

    async fn rounds(
        &self,
        goal: &Goal<'_>,
        all: &BTreeSet<Region>,
        done: &mut Vec<Change>,
    ) -> Result<(), SyncError> {
        let (mut meetings, mut failed, mut left): (_, Option<(Change, ChangeError)>, _) = (0, None, None);
        for _ in 0..MAX_ROUNDS {
            let account = self.account(goal, all).await?;
            let changes = plan(goal, &account).map_err(|conflicts| SyncError::Conflicts { conflicts })?;
            let (changes, refused) = self.parted(changes);
            if let Some((change, source)) = failed.take() {
                // Somebody else may have made it, or be about to.
                let is_left = changes.iter().any(|other| other == &change);
                meetings += 1;
                if is_left && (!source.may_be_another_run() || meetings > MAX_MEETINGS) {
                    return Err(SyncError::Change { change: Box::new(change), source: Box::new(source) });
                }
                if is_left {
                    tokio::time::sleep(self.images.pause()).await;
                }
            }
            let Some(first) = changes.first() else {
                let refused = refused.map(|change| SyncError::NotAgreed { change: Box::new(change) });
                return refused.map_or(Ok(()), Err);
            };
            let step = first.action.step();
            left = Some(first.clone());
            let can_be_made = |change: &Change| !matches!(change.action, Action::Copy { from: None, .. });
            let now = changes
                .into_iter()
                .filter(|change| change.action.step() == step && can_be_made(change))
                .collect();
            failed = self.make(&account, Some(goal), now, done).await.err();
        }
        let change = left.expect("there was a round");
        Err(SyncError::Unsettled { change: Box::new(change) })
    }

    /// Makes changes, some at a time, and returns the first that failed when all have ended.
    async fn make(
        &self,
        account: &Account,
        goal: Option<&Goal<'_>>,
        changes: Vec<Change>,
        done: &mut Vec<Change>,
    ) -> Result<(), (Change, ChangeError)> {
        let mut made = stream::iter(changes)
            .map(|change| async move {
                (self.told)(&Told::Began(&change));
                let outcome = apply::apply(self, account, goal, &change).await;
                (change, outcome)
            })
            .buffer_unordered(AT_ONCE);
        let mut failed = None;
        while let Some((change, outcome)) = made.next().await {
            match outcome {
                Ok(()) => {
                    (self.told)(&Told::Done(&change));
                    done.push(change);
                }
                Err(error) => failed = failed.or(Some((change, error))),
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

/// What all entries want, and the regions of the account.
struct Goals<'a> {
    entries: Vec<Goal<'a>>,
    all: BTreeSet<Region>,
}

/// Returns the images of some regions.
fn of_regions(seen: &BTreeMap<Region, Vec<Seen>>, regions: &BTreeSet<Region>) -> BTreeMap<Region, Vec<Seen>> {
    let of = seen.iter().filter(|(region, _)| regions.contains(region));
    of.map(|(region, images)| (region.clone(), images.clone())).collect()
}

fn regions_of(entry: &Entry, all: &BTreeSet<Region>, home: &Region) -> Result<BTreeSet<Region>, SyncError> {
    let (wanted, named) = match &entry.regions {
        Regions::AllBut(except) => (all.difference(except).cloned().collect(), except),
        Regions::These(regions) => (regions.clone(), regions),
    };
    if let Some(unknown) = named.iter().find(|region| !all.contains(region)) {
        return Err(SyncError::NoRegion { entry: entry.key.clone(), region: unknown.clone() });
    }
    let mut wanted: BTreeSet<Region> = wanted;
    wanted.insert(home.clone());
    Ok(wanted)
}
