use std::error::Error;
use std::io;

use tokio::task::JoinHandle;

use crate::event::EventSink;
use crate::model::PartRecord;
use crate::state::{Journal, StateError};

/// The journal as the coordinator uses it: appended at once and synced now and then. Once the disk is full the
/// upload goes on without it: uploaded parts are worth more than the record of them.
#[derive(Debug)]
pub(crate) struct JournalWriter {
    journal: Option<Journal>,
    events: EventSink,
    dirty: bool,
    syncing: Option<JoinHandle<io::Result<()>>>,
}

impl JournalWriter {
    /// Writes to `journal`, or to none.
    pub(crate) fn new(journal: Option<Journal>, events: EventSink) -> Self {
        Self { journal, events, dirty: false, syncing: None }
    }

    pub(super) fn append(&mut self, part: &PartRecord) {
        let Some(journal) = &mut self.journal else { return };
        match journal.append(part) {
            Ok(()) => self.dirty = true,
            Err(error) => self.give_up(&error),
        }
    }

    /// Notes that Complete is about to be sent.
    pub(crate) fn completing(&mut self) {
        if let Some(Err(error)) = self.journal.as_mut().map(Journal::append_completing) {
            self.give_up(&error);
        }
    }

    /// Lets the disk write down what was appended, without waiting for it.
    pub(super) async fn start_sync(&mut self) {
        if self.syncing.as_ref().is_some_and(JoinHandle::is_finished) {
            self.synced().await;
        }
        let idle = self.syncing.is_none();
        let Some(journal) = self.journal.as_ref().filter(|_| self.dirty && idle) else { return };
        self.dirty = false;
        match journal.sync_handle() {
            Ok(handle) => self.syncing = Some(tokio::task::spawn_blocking(move || handle.sync_data())),
            Err(error) => self.give_up(&error),
        }
    }

    /// Waits until the disk has everything.
    pub(super) async fn finish_sync(&mut self) {
        for _ in 0..2 {
            self.synced().await;
            self.start_sync().await;
        }
        self.synced().await;
    }

    /// Waits for the disk. Some file systems only now say that they are full.
    async fn synced(&mut self) {
        let Some(syncing) = self.syncing.take() else { return };
        if let Err(error) = syncing.await.map_err(io::Error::other).flatten()
            && let Some(journal) = &self.journal
        {
            self.give_up(&journal.sync_failed(error));
        }
    }

    fn give_up(&mut self, error: &StateError) {
        self.journal = None;
        let cause = error.source().map(ToString::to_string).unwrap_or_default();
        self.events.notice(format!(
            "{error} ({cause}): the upload goes on, but can no longer be resumed from here alone; parts \
             uploaded from now on are found again by comparing those on the bucket with the file"
        ));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::event::Event;
    use crate::model::{ByteRange, Crc64, ETag, PartNumber, PartProof, UploadId};

    fn part(n: u16) -> PartRecord {
        let range = ByteRange::new(u64::from(n), u64::from(n) + 1);
        let number = PartNumber::new(n).unwrap();
        PartRecord { number, range, etag: ETag::new("x"), crc64: Crc64(0), proof: PartProof::Nothing }
    }

    fn listening() -> (EventSink, Arc<Mutex<Vec<String>>>) {
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&said);
        let sink = EventSink::new(move |event| {
            if let Event::Notice { text } = event {
                heard.lock().unwrap().push(text);
            }
        });
        (sink, said)
    }

    /// `/dev/full` refuses every byte as a full disk does.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_full_disk_is_told_once_and_ends_nothing() {
        for completing in [false, true] {
            let (sink, said) = listening();
            let full = Journal::on(std::path::Path::new("/dev/full")).unwrap();
            let mut journal = JournalWriter::new(Some(full), sink);
            if !completing {
                journal.append(&part(1));
            }
            journal.completing();
            journal.append(&part(2));
            journal.finish_sync().await;
            let said = said.lock().unwrap();
            assert_eq!(said.len(), 1, "{said:?}");
            for word in ["/dev/full", "No space left", "goes on", "no longer be resumed from here"] {
                assert!(said[0].contains(word), "{said:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_disk_that_is_found_full_only_by_syncing_is_told_too() {
        let (sink, said) = listening();
        let folder = tempfile::tempdir().unwrap();
        let (real, _) = Journal::open(&folder.path().join("journal"), &UploadId::new("x")).unwrap();
        let mut journal = JournalWriter::new(Some(real), sink);
        journal.append(&part(1));
        journal.syncing = Some(tokio::task::spawn_blocking(|| Err(io::ErrorKind::StorageFull.into())));
        journal.finish_sync().await;
        assert!(journal.journal.is_none());
        assert!(said.lock().unwrap()[0].contains("cannot sync"), "{said:?}");
    }
}
