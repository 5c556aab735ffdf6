use tokio::task::JoinHandle;

use crate::event::EventSink;
use crate::state::{Journal, PartRecord, StateError};

/// The journal as the coordinator uses it: appended at once, synced now and then, and done without once the
/// disk takes no more.
#[derive(Debug, Default)]
pub(crate) struct Journaling {
    journal: Option<Journal>,
    dirty: bool,
    syncing: Option<JoinHandle<()>>,
}

impl Journaling {
    /// Writes to `journal`, or to none.
    pub(crate) fn new(journal: Option<Journal>) -> Self {
        Self { journal, dirty: false, syncing: None }
    }

    pub(super) fn append(&mut self, part: &PartRecord, events: &EventSink) {
        let Some(journal) = &mut self.journal else { return };
        match journal.append(part) {
            Ok(()) => self.dirty = true,
            Err(error) => {
                self.journal = None;
                let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                events.notice(format!(
                    "{error} ({cause}): the upload goes on, but parts sent from now on are only found again \
                     by asking the service"
                ));
            }
        }
    }

    /// Notes that Complete is about to be sent.
    ///
    /// # Errors
    ///
    /// When that cannot be written.
    pub(crate) fn completing(&mut self) -> Result<(), StateError> {
        self.journal.as_mut().map_or(Ok(()), Journal::append_completing)
    }

    /// Lets the disk write down what was appended, without waiting for it. A failure costs only what a crash
    /// of the machine would lose: those parts are then found through ListParts.
    pub(super) fn start_sync(&mut self) {
        let idle = self.syncing.as_ref().is_none_or(JoinHandle::is_finished);
        let Some(journal) = self.journal.as_ref().filter(|_| self.dirty && idle) else { return };
        self.dirty = false;
        let Ok(handle) = journal.sync_handle() else { return };
        self.syncing = Some(tokio::task::spawn_blocking(move || {
            if let Err(error) = handle.sync_data() {
                tracing::warn!(%error, "the journal could not be synced");
            }
        }));
    }

    /// Waits until the disk has everything.
    pub(super) async fn finish_sync(&mut self) {
        for _ in 0..2 {
            if let Some(syncing) = self.syncing.take()
                && let Err(error) = syncing.await
            {
                tracing::warn!(%error, "the journal could not be synced");
            }
            self.start_sync();
        }
    }
}
