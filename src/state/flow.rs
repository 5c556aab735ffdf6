//! What a publish has made so far: the import, the copies, and which objects are deleted.
//!
//! A step's token is written before the step, and its ids right after it, each time as a whole new file
//! (temporary file, sync, rename). So a publish that was interrupted anywhere converges when it is run again.
//! The file stays when all is done: the same command again then finds everything there.
//!
//! All of it belongs to the image of the import: where that is gone, a new flow begins. Only ids that the service
//! gave as the answer to our request, or that carry the request's origin, are written here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::dir::{StateDir, folder_name, parse_versioned};
use super::file::{self, write_atomically};
use super::{Holder, Lock, StateError};
use crate::model::{
    ClientToken, ImageId, InstanceId, ObjectRef, ObjectVersion, Origin, Region, ServiceId, TaskId,
};

/// Version of the file's format. The first one took images for its own by their names, so its ids prove nothing.
const FLOW_VERSION: u32 = 2;
/// Version of a flow whose images may not have their names yet. Programs that know only the one before would take them
/// for done; otherwise it is the same.
const FLOW_VERSION_STAGED: u32 = 3;
const WITHOUT_ORIGIN: u32 = 1;
/// Longest file that is read: 17 disks and all regions take some KiB.
const MAX_FLOW: u64 = 1 << 20;

/// An image that a flow makes in one region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageStep {
    /// The token that the request carries, so that it makes one image.
    pub token: ClientToken,
    /// The image, once the request was answered.
    pub image_id: Option<ImageId>,
    /// The import's task.
    pub task_id: Option<TaskId>,
    /// The id of the request.
    pub request_id: Option<String>,
    /// Whether the image was seen to be Available, and the objects to be still those that it was made of.
    pub available: bool,
}

impl ImageStep {
    /// Returns the step before its request.
    pub fn new(token: ClientToken) -> Self {
        Self { token, image_id: None, task_id: None, request_id: None, available: false }
    }
}

/// The instance that tests an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootTestStep {
    /// The token that the request carries, so that it makes one instance.
    pub token: ClientToken,
    /// What is tested in what, as one text. Another is another test.
    pub wanted: String,
    /// When the service releases the instance by itself; part of the request.
    pub release_at: Timestamp,
    /// The instance, once the request was answered.
    pub instance_id: Option<InstanceId>,
    /// Whether the image was seen to boot.
    pub passed: bool,
    /// Whether the instance was deleted after that.
    pub deleted: bool,
}

/// The steps of one publish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishState {
    /// Version of the format.
    pub version: u32,
    /// What is asked of ECS, as one text. Another request is another publish.
    pub request: String,
    /// The request as it is sent, where more was known of the objects once they were there. It goes with the import's
    /// token, so it stays as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed: Option<String>,
    /// The objects by their names, as they were before the import was asked for. Others are another publish.
    pub objects: BTreeMap<String, ObjectVersion>,
    /// The files that became the objects: length in bytes and modification time in nanoseconds. Once the objects
    /// are deleted, only these show whether another publish is meant.
    pub sources: BTreeMap<String, (u64, i128)>,
    /// What the image is made of, as the request says it.
    pub origin: Origin,
    /// The import.
    pub import: ImageStep,
    /// The test of the import's image.
    #[serde(default)]
    pub boot_test: Option<BootTestStep>,
    /// The copies of the import's image, by destination.
    pub copies: BTreeMap<Region, ImageStep>,
    /// The objects that were deleted, or were about to be when the run ended.
    pub deleted: BTreeSet<ObjectRef>,
}

impl PublishState {
    /// Returns a flow of which nothing is done.
    pub fn new(
        request: impl Into<String>,
        objects: BTreeMap<String, ObjectVersion>,
        origin: Origin,
        token: ClientToken,
    ) -> Self {
        Self {
            version: FLOW_VERSION,
            request: request.into(),
            completed: None,
            objects,
            sources: BTreeMap::new(),
            origin,
            import: ImageStep::new(token),
            boot_test: None,
            copies: BTreeMap::new(),
            deleted: BTreeSet::new(),
        }
    }

    /// Says that its images are made under names of their own, until they replace others.
    pub fn stage(&mut self) {
        self.version = FLOW_VERSION_STAGED;
    }

    /// Whether its images may have names of their own.
    pub fn is_staged(&self) -> bool {
        self.version >= FLOW_VERSION_STAGED
    }
}

/// The locked file of one flow.
#[derive(Debug)]
pub struct PublishLog {
    path: PathBuf,
    _lock: Lock,
}

impl StateDir {
    /// Makes and locks the folder of the flow that makes the image `name` in `region` of the ECS `service`.
    ///
    /// # Errors
    ///
    /// When the folder cannot be made or written, or another process has it.
    pub fn flow(
        &self,
        service: &ServiceId,
        region: &Region,
        name: &str,
        now: Timestamp,
    ) -> Result<PublishLog, StateError> {
        let folder = self.flow_folder(service, region, name);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(StateError::io("create", &folder))?;
        let lock = Lock::acquire(&folder.join("lock"), &Holder::this_process(now))?;
        Ok(PublishLog { path: folder.join("flow.json"), _lock: lock })
    }

    /// Returns what is known of a flow, without locking it and without making its folder. What an older version of the
    /// program wrote is not known, see [`PublishLog::load`].
    ///
    /// # Errors
    ///
    /// When it cannot be read, is damaged, or is of a newer version.
    pub fn known_flow(
        &self,
        service: &ServiceId,
        region: &Region,
        name: &str,
    ) -> Result<Option<PublishState>, StateError> {
        read_flow(&self.flow_folder(service, region, name).join("flow.json"))
    }

    fn flow_folder(&self, service: &ServiceId, region: &Region, name: &str) -> PathBuf {
        let folder = folder_name(&service.scoped(&format!("{region}\n{name}")));
        self.root().join("flows").join(folder)
    }
}

/// A publish that a state directory knows.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StoredFlow {
    /// Its steps.
    pub flow: PublishState,
    /// The process that drives it at this moment.
    pub holder: Option<Holder>,
}

impl StoredFlow {
    /// Whether all its images were seen to be Available.
    pub fn is_done(&self) -> bool {
        self.flow.import.available && self.flow.copies.values().all(|copy| copy.available)
    }
}

impl StateDir {
    /// Lists all publishes, without locking them, and why others cannot be read.
    ///
    /// # Errors
    ///
    /// When the directory itself cannot be read. A missing directory is an empty one.
    pub fn flows(&self) -> Result<(Vec<StoredFlow>, Vec<StateError>), StateError> {
        let folder = self.root().join("flows");
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), Vec::new())),
            Err(error) => return Err(StateError::io("read", &folder)(error)),
        };
        let (mut readable, mut unreadable) = (Vec::new(), Vec::new());
        for entry in entries {
            let path = entry.map_err(StateError::io("read", &folder))?.path();
            let holder = Lock::holder(&path.join("lock"));
            match holder.and_then(|holder| Ok((read_flow(&path.join("flow.json"))?, holder))) {
                Ok((flow, holder)) => readable.extend(flow.map(|flow| StoredFlow { flow, holder })),
                Err(error) => unreadable.push(error),
            }
        }
        readable.sort_by(|a, b| a.flow.request.cmp(&b.flow.request));
        Ok((readable, unreadable))
    }
}

fn read_flow(path: &Path) -> Result<Option<PublishState>, StateError> {
    let text = match file::read(path, MAX_FLOW) {
        Ok(text) => text,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(StateError::io("read", path)(error)),
    };
    if parse_versioned::<serde::de::IgnoredAny>(&text, WITHOUT_ORIGIN..=WITHOUT_ORIGIN).is_ok() {
        return Ok(None);
    }
    let damaged = |reason| StateError::Damaged { path: path.to_owned(), reason };
    parse_versioned(&text, FLOW_VERSION..=FLOW_VERSION_STAGED).map(Some).map_err(damaged)
}

impl PublishLog {
    /// Reads the flow, if there is one. One that an older version of the program wrote is none: what it names may
    /// be of somebody else's making.
    ///
    /// # Errors
    ///
    /// When it cannot be read, is damaged, or is of a newer version.
    pub fn load(&self) -> Result<Option<PublishState>, StateError> {
        read_flow(&self.path)
    }

    /// Returns the error that the flow says what cannot be.
    pub fn damaged(&self, reason: String) -> StateError {
        StateError::Damaged { path: self.path.clone(), reason }
    }

    /// Writes the flow as a whole.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn save(&self, flow: &PublishState) -> Result<(), StateError> {
        let text = serde_json::to_vec_pretty(flow).expect("a flow is plain data");
        write_atomically(&self.path, &text).map_err(StateError::io("write", &self.path))
    }

    /// Removes the flow: its image failed, and the next run starts again.
    ///
    /// # Errors
    ///
    /// When it cannot be removed.
    pub fn forget(&self) -> Result<(), StateError> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StateError::io("remove", &self.path)(error))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_is_read_as_it_was_written() {
        let root = tempfile::tempdir().unwrap();
        let state = StateDir::new(root.path());
        let region: Region = "cn-hangzhou".parse().unwrap();
        let now = Timestamp::UNIX_EPOCH;
        let service = ServiceId::public();
        assert_eq!(state.known_flow(&service, &region, "web").unwrap(), None);
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
        let file = state.flow(&service, &region, "web", now).unwrap();
        assert_eq!(file.load().unwrap(), None);
        let objects = BTreeMap::from([("oss://images/disk.raw".to_owned(), ObjectVersion::new(7))]);
        let mut flow =
            PublishState::new("request", objects, Origin::new("r", "s"), "token-1".parse().unwrap());
        flow.import.image_id = Some("m-bp1abcdefghijklmnopq".parse().unwrap());
        flow.copies.insert("us-west-1".parse().unwrap(), ImageStep::new("token-2".parse().unwrap()));
        flow.deleted.insert("oss://images/disk.raw".parse().unwrap());
        file.save(&flow).unwrap();
        assert!(!file.load().unwrap().unwrap().is_staged(), "older programs go on with it");
        flow.stage();
        file.save(&flow).unwrap();
        assert!(matches!(state.flow(&service, &region, "web", now), Err(StateError::Locked { .. })));
        state.flow(&service, &region, "other", now).unwrap();
        let elsewhere = ServiceId::of_folder(Path::new("/store"));
        assert_eq!(state.flow(&elsewhere, &region, "web", now).unwrap().load().unwrap(), None);
        assert_eq!(file.load().unwrap(), Some(flow.clone()));
        assert_eq!(state.known_flow(&service, &region, "web").unwrap(), Some(flow.clone()));
        let (listed, unreadable) = state.flows().unwrap();
        assert!(unreadable.is_empty() && listed.len() == 1, "one was never written: {listed:?}");
        assert_eq!((&listed[0].flow, listed[0].is_done(), listed[0].holder.is_some()), (&flow, false, true));
        std::fs::write(&file.path, "{").unwrap();
        assert!(file.load().unwrap_err().to_string().ends_with("is damaged"));
        std::fs::write(&file.path, r#"{"version":4,"steps":[]}"#).unwrap();
        let newer = file.load().unwrap_err().to_string();
        assert!(newer.ends_with("was written by another version of ossup (format 4)"), "{newer}");
        file.forget().unwrap();
        assert_eq!(file.load().unwrap(), None);
    }

    #[test]
    fn a_flow_that_took_images_by_their_names_proves_nothing() {
        let root = tempfile::tempdir().unwrap();
        let state = StateDir::new(root.path());
        let region: Region = "cn-hangzhou".parse().unwrap();
        let file = state.flow(&ServiceId::public(), &region, "web", Timestamp::UNIX_EPOCH).unwrap();
        let old = r#"{"version":1,"request":"{}","objects":"{\"oss://images/disk.raw\":null}",
            "import":{"token":"t","image_id":"m-bp1abcdefghijklmnopq","task_id":null,"request_id":null,
            "available":true},"copies":{},"shared":{},"deleted":[]}"#;
        std::fs::write(&file.path, old).unwrap();
        assert_eq!(file.load().unwrap(), None);
    }
}
