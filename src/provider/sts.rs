use super::Fetch;
use crate::client::{CallCause, CallError, Client};
use crate::credentials::{AssumedRole, BoxFuture, Credentials, CredentialsError};
use crate::protocol::RetryClass;
use crate::protocol::sts::AssumeRole;

/// A role that another pair may assume.
#[derive(Debug)]
pub(super) struct AssumedByKeys {
    client: Client,
    operation: AssumeRole,
}

impl AssumedByKeys {
    pub(super) fn new(client: Client, role: &AssumedRole) -> Self {
        let mut operation = AssumeRole::new(&role.arn, &role.session_name);
        operation.region.clone_from(&role.sts_region);
        operation.duration_seconds = Some(seconds(role));
        operation.external_id.clone_from(&role.external_id);
        Self { client, operation }
    }
}

impl Fetch for AssumedByKeys {
    fn fetch(&self) -> BoxFuture<'_, Result<Credentials, CredentialsError>> {
        Box::pin(async { self.client.call(&self.operation).await.map_err(failed) })
    }
}

pub(super) fn seconds(role: &AssumedRole) -> u32 {
    u32::try_from(role.duration.as_secs()).unwrap_or(u32::MAX)
}

pub(super) fn failed(error: CallError) -> CredentialsError {
    // The credentials behind this call may be what failed: then that reason is the whole story.
    if let CallCause::Credentials(below) = error.cause {
        return below;
    }
    let transient = matches!(error.action, RetryClass::Retry | RetryClass::RetryFew | RetryClass::Throttled);
    let request_id = error.service().and_then(|service| service.request_id.as_deref());
    let request_id = request_id.map(|id| format!(", request id {id}")).unwrap_or_default();
    CredentialsError { provider: "STS".to_owned(), reason: format!("{}{request_id}", error.cause), transient }
}

#[cfg(all(test, feature = "emulator"))]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::client::ClientOptions;
    use crate::credentials::{CredentialSource, StaticCredentials};
    use crate::emulator::Emulator;
    use crate::emulator::testing::{self, ACCESS_KEY_ID, ACCESS_KEY_SECRET};
    use crate::model::{Endpoint, EndpointKind, Region};
    use crate::protocol::oss::GetBucketInfo;
    use crate::provider::build;

    fn emulator(dir: &tempfile::TempDir) -> (Emulator, ClientOptions) {
        let emulator = Emulator::open(testing::options(dir.path())).unwrap();
        let region: Region = "cn-hangzhou".parse().unwrap();
        emulator.create_bucket("images".parse().unwrap(), region.clone()).unwrap();
        let options = ClientOptions::new(
            Endpoint::for_region(&region, EndpointKind::Public),
            region,
            Arc::new(StaticCredentials::anonymous()),
            Arc::new(emulator.clone()),
        );
        (emulator, options)
    }

    fn role() -> AssumedRole {
        let mut role = AssumedRole::new("acs:ram::1234567890123456:role/aliyunecsimageimportdefaultrole");
        role.duration = std::time::Duration::from_secs(900);
        role
    }

    fn keys(secret: &str) -> CredentialSource {
        CredentialSource::Keys(Credentials::new(ACCESS_KEY_ID, secret))
    }

    async fn opens_the_bucket(options: ClientOptions) -> Result<(), CallError> {
        let info = GetBucketInfo { bucket: "images".parse().unwrap() };
        Client::new(options).call(&info).await.map(|_| ())
    }

    #[tokio::test]
    async fn an_assumed_role_signs_the_requests_that_follow() {
        let dir = tempfile::tempdir().unwrap();
        let (_emulator, mut options) = emulator(&dir);
        let source = Box::new(keys(ACCESS_KEY_SECRET));
        let provider = build(&CredentialSource::AssumeRole { role: role(), source }, &options);
        let credentials = provider.credentials(None).await.unwrap().unwrap();
        assert!(credentials.is_temporary() && credentials.expires.is_some(), "{credentials:?}");
        options.credentials = provider;
        opens_the_bucket(options).await.unwrap();
    }

    #[tokio::test]
    async fn a_refusal_by_sts_is_told_with_its_code_and_is_not_asked_for_again() {
        let dir = tempfile::tempdir().unwrap();
        let (_emulator, options) = emulator(&dir);
        let source = Box::new(keys("wrong"));
        let provider = build(&CredentialSource::AssumeRole { role: role(), source }, &options);
        let error = provider.credentials(None).await.unwrap_err();
        assert!(!error.transient && error.reason.contains("SignatureDoesNotMatch"), "{error}");
        assert!(error.reason.contains("request id"), "{error}");
    }
}
