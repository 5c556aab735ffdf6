//! The report on an image that is inspected and not sent.

use std::io;
use std::sync::Arc;

use bytes::BytesMut;
use futures::TryStreamExt;
use ossup::image::{Expected, GuestReport, Report, inspect, look_inside};
use ossup::model::ByteRange;
use ossup::read::ReadAt;
use ossup::source::{Source, SourceIdentity};
use tokio::runtime::Handle;

use super::head::Head;
use super::ranged::{MOST_DEEP_REQUESTS, MOST_REQUESTS, Ranged};
use super::{Input, Opened, blocking, failed_read};
use crate::commands::inspection;
use crate::context::Context;
use crate::failure::Failure;

/// Why nothing is said of the system on a disk.
const CONVERTED: &str =
    "not looked at: what is inside another format is read of a file on the web in order alone";
const PASSES: &str = "not looked at yet: the image passes once, and what is needed lies all over it";

/// Inspects what is read at any position. With `guest` the system that is installed on it is looked at too; with `deep`
/// the initial RAM file system also of what lies on the web.
pub(super) async fn of_source(
    context: &Context,
    source: Arc<dyn Source>,
    mut expected: Expected,
    guest: bool,
    deep: bool,
) -> Result<Report, Failure> {
    let web = matches!(source.identity(), Some(SourceIdentity::Web(_)));
    expected.initramfs = deep || !web;
    let both = move || {
        let mut report = inspect(&source, &expected)?;
        if guest && inspection::holds_files(&report) {
            match web {
                true => look_inside_web(source, &expected, &mut report)?,
                false => look_inside(source, &expected, &mut report),
            }
        }
        Ok(report)
    };
    blocking(context, both).await?.map_err(|error: io::Error| failed_read(&error))
}

/// Looks inside a file on the web by ranges of it.
fn look_inside_web(source: Arc<dyn Source>, expected: &Expected, report: &mut Report) -> io::Result<()> {
    if source.stream(ByteRange::new(0, 1)).is_none() {
        report.guest = Some(GuestReport::unread(CONVERTED));
        return Ok(());
    }
    let (length, runtime) = (source.length(), Handle::current());
    let most = if expected.initramfs { MOST_DEEP_REQUESTS } else { MOST_REQUESTS };
    let ranged = Arc::new(Ranged::new(length, most, move |range| {
        let stream = source.stream(range).ok_or(io::ErrorKind::Unsupported)?;
        let fetch = stream.try_fold(BytesMut::new(), async |mut all, bytes| {
            all.extend_from_slice(&bytes);
            Ok(all)
        });
        runtime.block_on(fetch).map(BytesMut::freeze)
    }));
    look_inside(Arc::clone(&ranged) as Arc<dyn ReadAt>, expected, report);
    ranged.failure().map_or(Ok(()), Err)
}

/// Reports on what is known of a stream by now. With `guest` the system on it is looked at too, if all of the image is
/// there.
pub(super) fn of_head(head: &Head, expected: Expected, guest: bool) -> Result<Option<Report>, Failure> {
    let mut report = head.report(expected.clone()).map_err(|error| failed_read(&error))?;
    if let Some(report) = report.as_mut().filter(|report| guest && inspection::holds_files(report)) {
        match head.image() {
            Some(image) => look_inside(Arc::new(image.to_vec()) as Arc<dyn ReadAt>, &expected, report),
            None => report.guest = Some(GuestReport::unread(PASSES)),
        }
    }
    Ok(report)
}

impl Opened {
    /// Inspects an image to its end, wherever it comes from.
    pub(crate) async fn report(
        self,
        context: &Context,
        mut expected: Expected,
        guest: bool,
        deep: bool,
    ) -> Result<Report, Failure> {
        match self.input {
            Input::Positional { source, allocated } => {
                expected.allocated_size = allocated;
                of_source(context, source, expected, guest, deep).await
            }
            Input::Stream { head, .. } => {
                if let (Some(_), Some(report)) = (head.image(), of_head(&head, expected.clone(), guest)?) {
                    return Ok(report);
                }
                let read = blocking(context, move || head.inspect(expected, guest)).await?;
                let read = read.map_err(|error| failed_read(&error))?;
                Ok(read.map_err(|error| failed_read(&error.into()))?.report)
            }
        }
    }
}
