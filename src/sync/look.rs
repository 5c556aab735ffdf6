//! What an account has, as far as a plan needs to know.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use super::account::{Account, Goal, Seen};
use super::error::SyncError;
use super::file::{Entry, Removed, Source};
use super::run::{AT_ONCE, Fleet};
use super::{CONTENT_TAG, ENTRY_TAG};
use crate::manage::{ImageQuery, ManageError};
use crate::model::{ObjectRef, Region};
use crate::protocol::oss::ListObjects;

/// Most pages of objects that are read.
const MAX_PAGES: usize = 100;

impl Fleet {
    /// What the keys of the objects of an entry begin with, whatever they are made of.
    pub(super) fn folder(&self, entry: &Entry) -> String {
        format!("{}{}/{}-", self.file.folder, self.file.fleet, entry.key)
    }

    /// Returns where images of an entry may be; `all` are the regions of the account.
    pub(super) fn looked_at(&self, goal: &Goal<'_>, all: &BTreeSet<Region>) -> BTreeSet<Region> {
        match self.file.removed {
            Removed::Keep => goal.regions.clone(),
            _ => all | &goal.regions,
        }
    }

    /// Looks at the account as far as an entry is concerned.
    pub(super) async fn account(
        &self,
        goal: &Goal<'_>,
        all: &BTreeSet<Region>,
    ) -> Result<Account, SyncError> {
        let images = self.look(self.looked_at(goal, all)).await?;
        self.account_with(goal, images).await
    }

    /// Adds what else an entry's plan has to know to the images of its regions.
    pub(super) async fn account_with(
        &self,
        goal: &Goal<'_>,
        mut images: BTreeMap<Region, Vec<Seen>>,
    ) -> Result<Account, SyncError> {
        for (region, seen) in &mut images {
            for seen in seen.iter_mut() {
                let is_current =
                    seen.tag(ENTRY_TAG) == Some(&goal.tag) && seen.tag(CONTENT_TAG) == Some(&goal.content);
                if is_current && !seen.image.status.is_pending() && !seen.image.status.is_failed() {
                    let accounts = self.importer.shared_with(region, &seen.image.image_id).await;
                    seen.accounts = accounts.map_err(ManageError::from)?;
                }
            }
        }
        Ok(Account { images, objects: self.objects(goal.entry).await? })
    }

    pub(super) async fn look(
        &self,
        regions: impl IntoIterator<Item = Region>,
    ) -> Result<BTreeMap<Region, Vec<Seen>>, SyncError> {
        let query = ImageQuery::default();
        let looks = stream::iter(regions.into_iter().map(|region| {
            let query = &query;
            async move {
                let images = self.images.list(&region, query).await?;
                let seen = images.into_iter().map(|image| Seen::new(image, BTreeSet::new())).collect();
                Ok::<_, SyncError>((region, seen))
            }
        }));
        looks.buffer_unordered(AT_ONCE).try_collect().await
    }

    /// Lists the objects that were uploaded for an entry.
    async fn objects(
        &self,
        entry: &Entry,
    ) -> Result<BTreeMap<ObjectRef, Option<jiff::Timestamp>>, SyncError> {
        let mut objects = BTreeMap::new();
        let is_there = |source: &Source| matches!(source, Source::Object(_));
        if is_there(&entry.source) && entry.data_disks.iter().all(is_there) {
            return Ok(objects);
        }
        let folder = self.folder(entry);
        let mut list = ListObjects::new(self.file.bucket.clone());
        list.prefix = Some(folder.clone());
        for _ in 0..MAX_PAGES {
            let page = match self.importer.client().call(&list).await {
                Ok(page) => page,
                // The first upload makes it, or tells that it is missing.
                Err(error) if error.service().is_some_and(|answer| answer.status == 404) => break,
                Err(source) => {
                    let key = folder.parse().expect("it begins with a letter or digit");
                    let object = ObjectRef::new(self.file.bucket.clone(), key);
                    return Err(SyncError::Object { object, source: Box::new(source) });
                }
            };
            for listed in page.objects {
                // The content is a folder of its own, so that no other entry's word begins so.
                let is_content = |rest: &str| {
                    let content = rest.split_once('/').map_or("", |(content, _)| content);
                    content.len() == 32 && content.bytes().all(|byte| byte.is_ascii_hexdigit())
                };
                if let Ok(key) = listed.key.parse()
                    && listed.key.strip_prefix(&folder).is_some_and(is_content)
                {
                    objects.insert(ObjectRef::new(self.file.bucket.clone(), key), listed.last_modified);
                }
            }
            match page.next {
                Some(next) => list.continuation_token = Some(next),
                None => break,
            }
        }
        Ok(objects)
    }
}
