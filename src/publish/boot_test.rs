//! The boot test of the imported image, before anything is copied, shared or published.

use super::preflight::{Problem, reason};
use super::steps::Steps;
use super::{Publish, PublishError, PublishReport};
use crate::boot_test::{BootTest, BootTestError, BootTester};
use crate::client::CallError;
use crate::protocol::RetryClass;

impl Publish {
    /// Tests the imported image in an instance before anything else is done with it. An image that is not seen to boot
    /// ends the publish with [`BootTestError::DoesNotBoot`], and is kept. An image that was tested is not tested again.
    #[must_use]
    pub fn with_boot_test(mut self, test: impl Into<Option<BootTest>>) -> Self {
        self.boot_test = test.into();
        self
    }

    pub(super) fn tester(&self) -> Option<BootTester> {
        let tester = BootTester::new(self.importer.client().clone(), self.boot_test.clone()?);
        Some(tester.with_events(self.events.clone()).with_cancellation(self.cancel.clone()))
    }

    /// Asks whether the instance could be had, unless the image was tested.
    pub(super) async fn check_boot_test(&self) -> Vec<Problem> {
        let Some(tester) = self.tester() else { return Vec::new() };
        let (service, request) = (self.importer.client().rpc_service(), self.import_request());
        let flow = self.state.known_flow(&service, self.request.region(), self.request.name());
        if let Ok(Some(flow)) = flow
            && flow.request == self.request_text()
            && flow.boot_test.is_some_and(|step| step.passed)
        {
            return Vec::new();
        }
        let architecture = request.operation(None, false).architecture;
        let Err(error) = tester.check(request.region(), architecture).await else { return Vec::new() };
        let said = error.call_error().map_or_else(|| error.to_string(), reason);
        // What may be answered otherwise next time says nothing.
        let refuses = |call: &CallError| call.service().is_some() && call.action == RetryClass::Never;
        let refused = match error.call_error() {
            Some(call) => refuses(call),
            None => !matches!(error, BootTestError::Unchecked),
        };
        match refused {
            true => vec![Problem::BootTest { reason: said }],
            false => {
                let what = "the instance for the boot test".to_owned();
                vec![Problem::Unchecked { what, reason: said }]
            }
        }
    }
}

impl Steps<'_> {
    /// Tests the image, unless an earlier run has.
    pub(super) async fn boot_test(&mut self, report: &mut PublishReport) -> Result<(), PublishError> {
        let Some(tester) = self.publish.tester() else { return Ok(()) };
        let task = &report.import.task;
        let (step, file, flow) = (self.flow.boot_test.clone(), self.file, &mut self.flow);
        let mut save = |step: Option<&crate::state::BootTestStep>| {
            flow.boot_test = step.cloned();
            file.save(flow)
        };
        let tested = tester.test_once(&task.region, &task.image_id, step, &mut save).await;
        report.verdict = tested.map_err(|error| match error {
            BootTestError::State(error) => PublishError::State(error),
            error => PublishError::BootTest(error),
        })?;
        report.boot_tested = true;
        Ok(())
    }
}
