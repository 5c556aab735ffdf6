//! The files of one publish, uploaded under the limits that they share.
//!
//! A large file fills the link by itself: two at once would only compete for it, each search for the right number
//! of connections would measure the other, and an interruption would leave two objects undone instead of one. So
//! large files go one after the other. A small one spends most of its time waiting for answers, with the link
//! idle; small ones go beside the large.

use crate::cancel::CancellationToken;
use futures::future::join;
use futures::stream::{self, Stream, StreamExt};

use crate::transfer::TransferError;
use crate::upload::{Upload, UploadError, UploadReport};

/// Files below this size (64 MiB) are sent beside others: they are done within the time that the search for the
/// number of connections takes.
const SMALL: u64 = 64 << 20;
/// How many small files go at a time.
const SMALL_AT_ONCE: usize = 4;

/// Uploads all, and returns their reports in the same order.
///
/// # Errors
///
/// The first failure. The others are stopped gently then, and their parts are kept.
pub(super) async fn upload_all(uploads: &[Upload]) -> Result<Vec<UploadReport>, UploadError> {
    // A number of connections that was asked for is meant for all of them together.
    let is_small = |upload: &Upload| {
        !upload.has_fixed_parallel() && upload.object_length().is_some_and(|length| length < SMALL)
    };
    let (small, large): (Vec<_>, Vec<_>) =
        uploads.iter().enumerate().partition(|(_, upload)| is_small(upload));
    let stop = CancellationToken::new();
    let run = |(index, upload)| run(index, upload, &stop);
    let small = collect(stream::iter(small).map(run).buffer_unordered(SMALL_AT_ONCE), &stop);
    let large = collect(stream::iter(large).then(run), &stop);
    let (small, large) = join(small, large).await;
    // Whoever was stopped because of another's failure is not the reason.
    let mut reports = match (small, large) {
        (Ok(small), Ok(large)) => [small, large].concat(),
        (Err(error), Ok(_)) | (Ok(_), Err(error)) => return Err(error),
        (Err(first), Err(second)) => return Err(if is_cancelled(&first) { second } else { first }),
    };
    reports.sort_by_key(|(index, _)| *index);
    Ok(reports.into_iter().map(|(_, report)| report).collect())
}

type Finished = Result<(usize, UploadReport), UploadError>;

async fn run(index: usize, upload: &Upload, stop: &CancellationToken) -> Finished {
    if stop.is_cancelled() {
        return Err(UploadError::Cancelled);
    }
    let (upload, token) = upload.clone().with_own_token();
    let running = upload.run();
    tokio::pin!(running);
    let outcome = tokio::select! {
        outcome = &mut running => outcome,
        () = stop.cancelled() => {
            token.cancel();
            running.await
        }
    };
    outcome.map(|report| (index, report)).inspect_err(|_| stop.cancel())
}

/// Waits for all, so that each ends gently, and returns the first failure that is one.
async fn collect(
    finished: impl Stream<Item = Finished>,
    stop: &CancellationToken,
) -> Result<Vec<(usize, UploadReport)>, UploadError> {
    let (mut reports, mut reason) = (Vec::new(), None);
    let mut finished = std::pin::pin!(finished);
    while let Some(outcome) = finished.next().await {
        match outcome {
            Ok(report) => reports.push(report),
            Err(error) if reason.as_ref().is_none_or(is_cancelled) => reason = Some(error),
            Err(_) => {}
        }
    }
    debug_assert!(reason.is_none() || stop.is_cancelled(), "a failure stops the others");
    reason.map_or(Ok(reports), Err)
}

fn is_cancelled(error: &UploadError) -> bool {
    matches!(error, UploadError::Cancelled | UploadError::Transfer { source: TransferError::Cancelled, .. })
}
