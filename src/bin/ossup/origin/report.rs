//! The report on an image that is inspected and not sent.

use ossup::image::{Expected, GuestReport, Report, inspect, look_inside};
use ossup::read::ReadError;
use ossup::source::SourceIdentity;

use super::{Input, Opened, blocking, failed_read};
use crate::commands::inspection;
use crate::context::Context;
use crate::failure::Failure;

impl Opened {
    /// Inspects an image to its end, wherever it comes from. What is installed in it is looked at where that is a matter
    /// of reading a file here and there.
    pub(crate) async fn report(self, context: &Context, mut expected: Expected) -> Result<Report, Failure> {
        const ELSEWHERE: &str = "not looked at, which is done for files alone";
        let report = match self.input {
            Input::Positional { source, allocated } => {
                expected.allocated_size = allocated;
                let both = move || {
                    let mut report = inspect(&source, &expected)?;
                    if inspection::may_hold_system(&report) {
                        match source.identity() {
                            Some(SourceIdentity::File(_) | SourceIdentity::Device(_)) => {
                                look_inside(source, &expected, &mut report);
                            }
                            _ => report.guest = Some(GuestReport::unread(ELSEWHERE)),
                        }
                    }
                    Ok(report)
                };
                blocking(context, both).await?
            }
            Input::Stream { head, .. } => {
                let read = blocking(context, move || head.inspect(expected)).await?;
                let mut report = read.map_err(|error| failed_read(&error))?;
                if let Ok(report) = &mut report
                    && inspection::may_hold_system(report)
                {
                    report.guest = Some(GuestReport::unread(ELSEWHERE));
                }
                report
            }
        };
        report.map_err(|error: ReadError| failed_read(&error.into()))
    }
}
