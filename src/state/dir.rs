use std::fs::DirBuilder;
use std::io;
use std::ops::RangeInclusive;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::checkpoint::VERSIONS;
use super::file::{self, write_atomically};
use super::journal::MAX_JOURNAL;
use super::{Checkpoint, Holder, Journal, JournalContents, Lock, StateError};
use crate::model::{ObjectRef, PartRecord, Region, ServiceId, UploadId};

/// Longest checkpoint that is read: keys and paths are at most some KiB.
const MAX_CHECKPOINT: u64 = 64 << 10;

/// The directory that holds the state of all uploads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateDir {
    root: PathBuf,
}

/// What a state directory knows.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct StoredUploads {
    /// The uploads, in the order of their objects.
    pub readable: Vec<StoredUpload>,
    /// Why others cannot be read: their files are damaged, or of another version. They have to be started again, or
    /// continued with that version.
    pub unreadable: Vec<StateError>,
}

/// An upload of an object whose state is not where it would be kept now.
#[derive(Debug, Clone)]
pub struct OtherUpload {
    path: PathBuf,
    /// Which upload.
    pub checkpoint: Checkpoint,
}

/// An upload that a state directory knows.
#[derive(Debug, Clone)]
pub struct StoredUpload {
    /// Which upload.
    pub checkpoint: Checkpoint,
    /// Which parts are in.
    pub journal: JournalContents,
    /// The process that drives it at this moment.
    pub holder: Option<Holder>,
}

impl StateDir {
    /// Names the directory; it is made when it is first needed.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Returns its path.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Makes and locks the folder of one upload.
    ///
    /// # Errors
    ///
    /// When the folder cannot be made or written, or another process has it.
    pub fn lock(
        &self,
        service: &ServiceId,
        region: &Region,
        object: &ObjectRef,
        now: Timestamp,
    ) -> Result<UploadDir, StateError> {
        // None of the three can hold a line end but the key, which comes last.
        let name = format!("{region}\n{}\n{}", object.bucket, object.key);
        let dir = self.lock_folder(self.folder(&service.scoped(&name)), now)?;
        let others = |dir: &UploadDir| {
            dir.checkpoint().is_ok_and(|known| known.is_some_and(|known| known.service() != *service))
        };
        // The public cloud's folders once were those of all services.
        if service.is_public() && others(&dir) {
            return self.lock_folder(self.folder(&format!("{service}\n{name}")), now);
        }
        Ok(dir)
    }

    /// Returns what is known of uploads of the same object that are kept elsewhere than in `dir`: another service has
    /// them, or the same one, reached by a name that did not identify it.
    ///
    /// # Errors
    ///
    /// When the directory itself cannot be read.
    pub fn elsewhere(
        &self,
        dir: &UploadDir,
        region: &Region,
        object: &ObjectRef,
    ) -> Result<Vec<OtherUpload>, StateError> {
        let mut others = Vec::new();
        for path in self.folders()? {
            if path == dir.path {
                continue;
            }
            // What cannot be read is reported where uploads are listed.
            let Ok(Some(checkpoint)) = read_checkpoint(&path) else { continue };
            if checkpoint.region == *region && checkpoint.object == *object {
                others.push(OtherUpload { path, checkpoint });
            }
        }
        Ok(others)
    }

    /// Returns what is known of uploads of an object, without locking anything and without making a folder: first the
    /// upload with this service, then those that are kept elsewhere.
    ///
    /// # Errors
    ///
    /// When the directory or the upload with this service cannot be read.
    pub fn find(
        &self,
        service: &ServiceId,
        region: &Region,
        object: &ObjectRef,
    ) -> Result<Vec<StoredUpload>, StateError> {
        let name = format!("{region}\n{}\n{}", object.bucket, object.key);
        let own = [self.folder(&service.scoped(&name)), self.folder(&format!("{service}\n{name}"))];
        let mut found = Vec::new();
        for path in self.folders()? {
            match read_upload(&path) {
                Ok(stored) => found.extend(stored),
                Err(error) if own.contains(&path) => return Err(error),
                // What else cannot be read is reported where uploads are listed.
                Err(_) => {}
            }
        }
        found.retain(|stored| stored.checkpoint.region == *region && stored.checkpoint.object == *object);
        found.sort_by_key(|stored| stored.checkpoint.service() != *service);
        Ok(found)
    }

    /// Locks the folder of an upload that was found elsewhere.
    ///
    /// # Errors
    ///
    /// When it cannot be written, or another process has it.
    pub fn lock_other(&self, other: &OtherUpload, now: Timestamp) -> Result<UploadDir, StateError> {
        self.lock_folder(other.path.clone(), now)
    }

    fn lock_folder(&self, path: PathBuf, now: Timestamp) -> Result<UploadDir, StateError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .map_err(StateError::io("create", &path))?;
        let lock = Lock::acquire(&path.join("lock"), &Holder::this_process(now))?;
        Ok(UploadDir { path, _lock: lock })
    }

    /// Lists all uploads, without locking them. One that cannot be read does not hide the others.
    ///
    /// # Errors
    ///
    /// When the directory itself cannot be read. A missing directory is an empty one.
    pub fn uploads(&self) -> Result<StoredUploads, StateError> {
        let mut uploads = StoredUploads::default();
        for path in self.folders()? {
            match read_upload(&path) {
                Ok(upload) => uploads.readable.extend(upload),
                Err(error) => uploads.unreadable.push(error),
            }
        }
        uploads.readable.sort_by(|a, b| a.checkpoint.object.cmp(&b.checkpoint.object));
        Ok(uploads)
    }

    fn folders(&self) -> Result<Vec<PathBuf>, StateError> {
        let folder = self.root.join("uploads");
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(StateError::io("read", &folder)(error)),
        };
        let paths: io::Result<_> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
        paths.map_err(StateError::io("read", &folder))
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.root.join("uploads").join(folder_name(name))
    }
}

/// Returns a short name that any text can have as a folder.
pub(super) fn folder_name(text: &str) -> String {
    Sha256::digest(text)[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The locked folder of one upload.
#[derive(Debug)]
pub struct UploadDir {
    path: PathBuf,
    _lock: Lock,
}

impl UploadDir {
    /// Reads the checkpoint, if there is one.
    ///
    /// # Errors
    ///
    /// When it cannot be read, is damaged, or is of another version.
    pub fn checkpoint(&self) -> Result<Option<Checkpoint>, StateError> {
        read_checkpoint(&self.path)
    }

    /// Begins an upload: writes its checkpoint and a journal without parts.
    ///
    /// # Errors
    ///
    /// When they cannot be written.
    pub fn begin(&self, checkpoint: &Checkpoint) -> Result<Journal, StateError> {
        // The old journal goes first: a new checkpoint must never stand beside it.
        self.remove("journal")?;
        self.update(checkpoint)?;
        Ok(self.journal(&checkpoint.upload_id)?.0)
    }

    /// Opens the journal of this upload and reads it.
    ///
    /// # Errors
    ///
    /// When it cannot be opened or read.
    pub fn journal(&self, upload: &UploadId) -> Result<(Journal, JournalContents), StateError> {
        Journal::open(&self.path.join("journal"), upload)
    }

    /// Replaces the checkpoint of an upload that goes on.
    ///
    /// # Errors
    ///
    /// When it cannot be written; then the old one stays.
    pub fn update(&self, checkpoint: &Checkpoint) -> Result<(), StateError> {
        let path = self.path.join("checkpoint.json");
        write_atomically(&path, &checkpoint.to_json()).map_err(StateError::io("write", &path))
    }

    /// Makes the journal hold these parts and no others.
    ///
    /// # Errors
    ///
    /// When it cannot be written; then the old one stays.
    pub fn rewrite_journal(&self, upload: &UploadId, parts: &[PartRecord]) -> Result<Journal, StateError> {
        let path = self.path.join("journal");
        let bytes = super::record::encode(upload, parts);
        write_atomically(&path, &bytes).map_err(StateError::io("write", &path))?;
        Journal::on(&path)
    }

    /// Removes the journal: all parts are then compared with the source.
    ///
    /// # Errors
    ///
    /// When it cannot be removed.
    pub fn drop_journal(&self) -> Result<(), StateError> {
        self.remove("journal")
    }

    /// Checks that the folder can be written, before anything is asked of the service.
    ///
    /// # Errors
    ///
    /// When it cannot.
    pub fn check_writable(&self) -> Result<(), StateError> {
        let path = self.path.join("probe");
        write_atomically(&path, b"probe").map_err(StateError::io("write", &path))?;
        self.remove("probe")
    }

    /// Forgets the upload: it is completed or aborted.
    ///
    /// # Errors
    ///
    /// When a file cannot be removed.
    pub fn forget(self) -> Result<(), StateError> {
        // The checkpoint goes first: without it, the folder means nothing.
        self.remove("checkpoint.json")?;
        self.remove("journal")?;
        self.remove("lock")?;
        match std::fs::remove_dir(&self.path) {
            // Another process may have made its own lock by now.
            Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => {
                Err(StateError::io("remove", &self.path)(error))
            }
            _ => Ok(()),
        }
    }

    fn remove(&self, name: &str) -> Result<(), StateError> {
        let path = self.path.join(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StateError::io("remove", &path)(error))
            }
            _ => Ok(()),
        }
    }
}

fn read_upload(folder: &Path) -> Result<Option<StoredUpload>, StateError> {
    let Some(checkpoint) = read_checkpoint(folder)? else { return Ok(None) };
    let holder = Lock::holder(&folder.join("lock"))?;
    let journal = read_journal(folder, &checkpoint.upload_id)?;
    Ok(Some(StoredUpload { checkpoint, journal, holder }))
}

fn read_checkpoint(folder: &Path) -> Result<Option<Checkpoint>, StateError> {
    let path = folder.join("checkpoint.json");
    let damaged = |reason: String| StateError::Damaged { path: path.clone(), reason };
    let text = match file::read(&path, MAX_CHECKPOINT) {
        Ok(text) => text,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(StateError::io("read", &path)(error)),
    };
    parse_checkpoint(&text).map(Some).map_err(damaged)
}

/// Reads a checkpoint's text; the error is the end of a sentence about the file.
pub(crate) fn parse_checkpoint(text: &[u8]) -> Result<Checkpoint, String> {
    parse_versioned(text, VERSIONS)
}

/// Reads JSON that says its version. Nothing but the version is looked at before it is known to be ours, so that
/// what a newer program wrote is not taken for damaged.
pub(super) fn parse_versioned<T: DeserializeOwned>(
    text: &[u8],
    ours: RangeInclusive<u32>,
) -> Result<T, String> {
    #[derive(serde::Deserialize)]
    struct Version {
        version: u32,
    }
    let damaged = |_| "is damaged".to_owned();
    let Version { version } = serde_json::from_slice(text).map_err(damaged)?;
    if !ours.contains(&version) {
        return Err(format!("was written by another version of ossup (format {version})"));
    }
    serde_json::from_slice(text).map_err(damaged)
}

fn read_journal(folder: &Path, upload: &UploadId) -> Result<JournalContents, StateError> {
    let path = folder.join("journal");
    match file::read(&path, MAX_JOURNAL) {
        Ok(bytes) => Ok(super::record::read(&bytes, upload)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(JournalContents::default()),
        Err(error) => Err(StateError::io("read", &path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::model::{AddressingStyle, ObjectForm, ObjectFormat, StorageClass};
    use crate::plan::CutRule;
    use crate::source::{DeviceIdentity, FileIdentity, SourceIdentity, StreamIdentity};

    fn service() -> ServiceId {
        ServiceId::of_endpoint(&"https://cdn.example.com".parse().unwrap())
    }

    fn checkpoint() -> Checkpoint {
        Checkpoint {
            region: "cn-hangzhou".parse().unwrap(),
            endpoint: "https://cdn.example.com".to_owned(),
            addressing_style: Some(AddressingStyle::Cname),
            service: Some(service()),
            object: "oss://images/disk.raw".parse().unwrap(),
            upload_id: UploadId::new("0004B9894A22E5B1888A1E29F8236E2D"),
            source: SourceIdentity::File(FileIdentity {
                path: "disk.raw".into(),
                length: 10 << 20,
                modified_ns: 1_700_000_000_123_456_789,
                changed_ns: 1_700_000_000_123_456_789,
                device: 1,
                inode: 2,
            }),
            form: ObjectForm::default(),
            cut: CutRule::Even { unit: 1 << 20, part_size: None },
            overwrite: false,
            storage_class: StorageClass::InfrequentAccess,
            created: "2026-01-01T00:00:00Z".parse().unwrap(),
        }
    }

    fn lock(dir: &StateDir) -> Result<UploadDir, StateError> {
        let checkpoint = checkpoint();
        dir.lock(&service(), &checkpoint.region, &checkpoint.object, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn an_upload_is_found_again_and_forgotten() {
        let root = tempfile::tempdir().unwrap();
        let dir = StateDir::new(root.path().join("deep/state"));
        assert!(dir.uploads().unwrap().readable.is_empty());
        let upload = lock(&dir).unwrap();
        assert_eq!(upload.checkpoint().unwrap(), None);
        upload.check_writable().unwrap();
        upload.begin(&checkpoint()).unwrap();
        assert!(matches!(lock(&dir), Err(StateError::Locked { .. })));
        drop(upload);
        let upload = lock(&dir).unwrap();
        assert_eq!(upload.checkpoint().unwrap(), Some(checkpoint()));
        assert_eq!(dir.uploads().unwrap().readable[0].checkpoint, checkpoint());
        let find =
            |region: &str| dir.find(&service(), &region.parse().unwrap(), &checkpoint().object).unwrap();
        assert_eq!((find("cn-hangzhou").len(), find("cn-beijing").len()), (1, 0));
        upload.forget().unwrap();
        assert_eq!(std::fs::read_dir(dir.root().join("uploads")).unwrap().count(), 0);
    }

    #[test]
    fn an_upload_that_cannot_be_read_does_not_hide_the_others() {
        let root = tempfile::tempdir().unwrap();
        let dir = StateDir::new(root.path());
        lock(&dir).unwrap().begin(&checkpoint()).unwrap();
        for (folder, text) in [("damaged", "{"), ("newer", r#"{"version":7,"anything":"else"}"#)] {
            let folder = root.path().join("uploads").join(folder);
            std::fs::create_dir(&folder).unwrap();
            std::fs::write(folder.join("checkpoint.json"), text).unwrap();
        }
        let StoredUploads { readable, unreadable } = dir.uploads().unwrap();
        assert_eq!(readable.iter().map(|upload| &upload.checkpoint).collect::<Vec<_>>(), [&checkpoint()]);
        let mut said: Vec<_> = unreadable.iter().map(ToString::to_string).collect();
        said.sort();
        assert!(said[0].ends_with("is damaged") && said[1].contains("(format 7)"), "{said:?}");
    }

    #[test]
    fn a_pipe_in_the_place_of_a_file_is_refused_and_not_waited_for() {
        let root = tempfile::tempdir().unwrap();
        let dir = StateDir::new(root.path());
        let folder = lock(&dir).unwrap().path.clone();
        for name in ["checkpoint.json", "journal", "lock", "checkpoint.tmp", "probe.tmp"] {
            let path = folder.join(name);
            let _ = std::fs::remove_file(&path);
            rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
            let tried = || {
                let upload = lock(&dir)?;
                upload.check_writable()?;
                upload.checkpoint()?;
                upload.begin(&checkpoint())?;
                Ok::<_, StateError>(upload.journal(&checkpoint().upload_id)?.1)
            };
            match name {
                // It is replaced, as an old journal is.
                "journal" => assert!(tried().is_ok()),
                _ => assert!(tried().unwrap_err().to_string().contains("cannot"), "{name}"),
            }
            std::fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn each_service_has_a_folder_of_its_own_and_none_is_mistaken() {
        let root = tempfile::tempdir().unwrap();
        let dir = StateDir::new(root.path());
        let Checkpoint { region, object, .. } = checkpoint();
        let local = ServiceId::of_folder(Path::new("/store"));
        let services = [ServiceId::public(), service(), local];
        let lock = |service: &ServiceId| dir.lock(service, &region, &object, Timestamp::UNIX_EPOCH).unwrap();
        for service in &services {
            let upload = lock(service);
            assert_eq!(upload.checkpoint().unwrap(), None);
            upload.begin(&Checkpoint { service: Some(service.clone()), ..checkpoint() }).unwrap();
        }
        for service in &services {
            let upload = lock(service);
            assert_eq!(upload.checkpoint().unwrap().unwrap().service(), *service);
            assert_eq!(dir.elsewhere(&upload, &region, &object).unwrap().len(), 2);
        }
        // From before services were distinguished: the folder is what the public cloud's is now.
        let folder = lock(&services[0]).path;
        let mut old = Checkpoint { service: None, ..checkpoint() };
        old.endpoint = "http://127.0.0.1:9000".to_owned();
        std::fs::write(folder.join("checkpoint.json"), old.to_json()).unwrap();
        let upload = lock(&services[0]);
        assert_eq!(upload.checkpoint().unwrap(), None);
        let other = dir.elsewhere(&upload, &region, &object).unwrap();
        assert!(other.iter().any(|other| other.path == folder && other.checkpoint == old));
    }

    #[test]
    fn a_new_upload_does_not_inherit_the_old_journal() {
        let root = tempfile::tempdir().unwrap();
        let dir = StateDir::new(root.path());
        let upload = lock(&dir).unwrap();
        upload.begin(&checkpoint()).unwrap().append_completing().unwrap();
        upload.begin(&checkpoint()).unwrap();
        assert!(!upload.journal(&checkpoint().upload_id).unwrap().1.completing);
    }

    #[test]
    fn everything_is_private() {
        let root = tempfile::tempdir().unwrap();
        let dir = StateDir::new(root.path().join("state"));
        let upload = lock(&dir).unwrap();
        upload.begin(&checkpoint()).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&upload.path), 0o700);
        for file in ["checkpoint.json", "journal", "lock"] {
            assert_eq!(mode(&upload.path.join(file)), 0o600, "{file}");
        }
    }

    /// Returns a checkpoint's text without spaces.
    fn compact(checkpoint: &Checkpoint) -> String {
        let value: serde_json::Value = serde_json::from_slice(&checkpoint.to_json()).unwrap();
        value.to_string()
    }

    #[test]
    fn what_0_1_0_could_not_upload_is_not_offered_to_it() {
        let raw = ObjectForm { format: ObjectFormat::Raw, unpacked: None, mapped: false };
        let stream = SourceIdentity::Stream(StreamIdentity::new("standard input", None));
        let device = DeviceIdentity { path: "/dev/sdb".into(), length: 1, device: 1, written: None };
        let checkpoints = [
            (checkpoint(), 1),
            (Checkpoint { form: raw, ..checkpoint() }, 2),
            (Checkpoint { source: stream, ..checkpoint() }, 2),
            (Checkpoint { source: SourceIdentity::Device(device), ..checkpoint() }, 2),
        ];
        for (checkpoint, version) in checkpoints {
            let text = compact(&checkpoint);
            assert!(text.contains(&format!("\"version\":{version}")), "{text}");
            assert_eq!(text.contains("\"form\""), !checkpoint.form.is_as_is());
            assert_eq!(parse_checkpoint(text.as_bytes()), Ok(checkpoint));
        }
    }

    #[test]
    fn damaged_and_foreign_checkpoints_are_clear_errors() {
        let text = compact(&checkpoint());
        assert_eq!(parse_checkpoint(text.as_bytes()), Ok(checkpoint()));
        for cut in 0..text.len() {
            assert!(parse_checkpoint(&text.as_bytes()[..cut]).is_err(), "cut at {cut}");
        }
        let old = text.replace(r#""addressing_style":"cname","#, "").replace(r#""storage_class":"IA","#, "");
        let old = parse_checkpoint(old.as_bytes()).unwrap();
        assert_eq!((old.addressing_style, old.storage_class), (None, StorageClass::Standard));
        let foreign = text.replace("\"version\":1", "\"version\":3");
        assert!(parse_checkpoint(foreign.as_bytes()).unwrap_err().contains("format 3"));
    }
}
