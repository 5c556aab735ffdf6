use std::sync::Mutex;

use super::*;
use crate::client::ClientOptions;
use crate::clock::Clock;
use crate::credentials::{CredentialSource, CredentialsProvider, StaticCredentials};
use crate::emulator::{Emulator, testing};
use crate::http::{Body, Transport, TransportError, full};
use crate::model::{Endpoint, EndpointKind, Region};
use crate::protocol::oss::GetBucketInfo;
use crate::provider::build;
use crate::provider::testing::Standing;

const PROVIDER: &str = "acs:ram::1234567890123456:oidc-provider/ci";

/// A network with the token endpoint of a job, whose tokens live for five minutes, and with the emulator as all else.
#[derive(Debug)]
struct Network {
    emulator: Emulator,
    clock: Arc<Standing>,
    asked: Mutex<u32>,
    /// What STS answers in the emulator's place.
    refusal: Option<&'static str>,
}

impl Transport for Network {
    fn send(
        &self,
        request: http::Request<Body>,
    ) -> BoxFuture<'_, Result<http::Response<Body>, TransportError>> {
        Box::pin(async move {
            let respond = |status: u16, body: String| {
                http::Response::builder()
                    .status(status)
                    .header("x-acs-request-id", "R1")
                    .body(full(body))
                    .unwrap()
            };
            if request.uri().host() == Some("run.example") {
                assert_eq!(request.headers()["authorization"], "Bearer hunter2");
                *self.asked.lock().unwrap() += 1;
                let end = self.clock.now().as_second() + 300;
                let token = jwt::token(&format!("{{\"exp\":{end},\"aud\":\"github-actions\"}}"));
                return Ok(respond(200, format!("{{\"value\":\"{token}\"}}")));
            }
            match self.refusal {
                Some(code) => Ok(respond(401, format!("{{\"Code\":\"{code}\",\"Message\":\"No.\"}}"))),
                None => self.emulator.send(request).await,
            }
        })
    }
}

struct World {
    dir: tempfile::TempDir,
    network: Arc<Network>,
    clock: Arc<Standing>,
    options: ClientOptions,
}

fn world(refusal: Option<&'static str>) -> World {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(Standing::at("2026-01-01T00:00:00Z"));
    let options = testing::options(dir.path().join("data")).with_clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let emulator = Emulator::open(options).unwrap();
    let region: Region = "cn-hangzhou".parse().unwrap();
    emulator.create_bucket("images".parse().unwrap(), region.clone()).unwrap();
    let asked = Mutex::default();
    let network = Arc::new(Network { emulator, clock: Arc::clone(&clock), asked, refusal });
    let options = ClientOptions::new(
        Endpoint::for_region(&region, EndpointKind::Public),
        region,
        Arc::new(StaticCredentials::anonymous()),
        Arc::clone(&network) as Arc<dyn Transport>,
    )
    .with_clock(Arc::clone(&clock) as Arc<dyn Clock>);
    World { dir, network, clock, options }
}

impl World {
    fn provider(&self, token: OidcToken) -> Arc<dyn CredentialsProvider> {
        let role = AssumedRole::new("acs:ram::1234567890123456:role/aliyunecsimageimportdefaultrole");
        let provider_arn = PROVIDER.to_owned();
        build(&CredentialSource::Oidc { role, provider_arn, token }, &self.options)
    }

    async fn refusal(&self, token: OidcToken) -> CredentialsError {
        let error = self.provider(token).credentials(None).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        error
    }
}

fn job() -> OidcToken {
    OidcToken::Endpoint {
        url: Secret::new("https://run.example/token?key=hunter2"),
        request_token: Secret::new("hunter2"),
        audience: "github-actions".to_owned(),
    }
}

fn given(token: impl Into<String>) -> OidcToken {
    OidcToken::Given { token: Secret::new(token), origin: "the variable `OSS_ID_TOKEN`".to_owned() }
}

#[tokio::test]
async fn a_job_of_many_hours_asks_for_a_new_token_before_each_session_ends() {
    let world = world(None);
    let client = Client::new(ClientOptions { credentials: world.provider(job()), ..world.options.clone() });
    let info = GetBucketInfo { bucket: "images".parse().unwrap() };
    // Six hours, a request every ten minutes: none is refused, and a session lasts an hour less five minutes.
    for _ in 0..36 {
        client.call(&info).await.unwrap();
        world.clock.pass(600);
    }
    let asked = *world.network.asked.lock().unwrap();
    assert!((6..=8).contains(&asked), "{asked}");
}

#[tokio::test]
async fn a_token_that_was_given_serves_until_it_ends_and_then_the_way_out_is_said() {
    let world = world(None);
    let end = world.clock.now().as_second() + 7200;
    let provider = world.provider(given(jwt::token(&format!("{{\"exp\":{end},\"jti\":\"hunter2\"}}"))));
    let first = provider.credentials(None).await.unwrap().unwrap();
    world.clock.pass(3600);
    let second = provider.credentials(None).await.unwrap().unwrap();
    assert_ne!(first, second, "the same token is good for another session");
    world.clock.pass(3600);
    let error = provider.credentials(None).await.unwrap_err();
    assert!(!error.transient && error.reason.contains("AuthenticationFail.OIDCToken.Expired"), "{error}");
    assert!(error.reason.contains("`OSS_ID_TOKEN` ended at 2026-01-01T02:00:00Z"), "{error}");
    assert!(error.reason.contains("cannot be renewed") && error.reason.contains("longer timeout"), "{error}");
}

#[tokio::test]
async fn each_refusal_of_a_token_leads_out() {
    let token = || jwt::token("{\"aud\":\"github-actions\",\"jti\":\"hunter2\"}");
    for (code, part) in [
        ("AuthenticationFail.OIDCToken.AudienceNotMatch", "audience `github-actions`"),
        ("AuthenticationFail.NoPermission", "trust policy"),
        ("AuthenticationFail.OIDCToken.PublicKeyFingerprintMismatch", "fingerprints"),
        ("AuthenticationFail.OIDCToken.Expired", "ended"),
    ] {
        for token in [job(), given(token())] {
            let error = world(Some(code)).refusal(token).await;
            assert!(!error.transient && error.reason.contains(code), "{error}");
            assert!(error.reason.contains(part), "{error}");
        }
    }
    let error = world(None).refusal(given("hunter2")).await;
    assert!(error.reason.contains("OIDCToken.Invalid"), "{error}");
}

#[tokio::test]
async fn the_token_file_is_read_for_each_request_and_a_missing_one_is_named() {
    let world = world(None);
    let token_file = world.dir.path().join("token");
    let provider = world.provider(OidcToken::File(token_file.clone()));
    let error = provider.credentials(None).await.unwrap_err();
    assert!(error.provider.contains("token") && error.reason.contains("cannot be read"), "{error}");
    let device = world.provider(OidcToken::File("/dev/zero".into()));
    assert!(device.credentials(None).await.unwrap_err().reason.contains("no regular file"));
    std::fs::write(&token_file, " \n").unwrap();
    assert!(provider.credentials(None).await.unwrap_err().reason.contains("empty"));
    std::fs::write(&token_file, "eyJhbGciOiJSUzI1NiJ9.e30.hunter2\n").unwrap();
    let credentials = provider.credentials(None).await.unwrap().unwrap();
    assert!(credentials.is_temporary(), "{credentials:?}");
    // A token that rotated is seen by the next request.
    std::fs::write(&token_file, "hunter2").unwrap();
    let error = provider.credentials(Some(&credentials)).await.unwrap_err().to_string();
    assert!(error.contains("OIDCToken") && !error.contains("hunter2"), "{error}");
}
