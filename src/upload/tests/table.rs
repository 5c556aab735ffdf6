//! The service's error table, row by row, and the traps of repeating a request.

use super::*;
use crate::http::{CertificateFault, TransportErrorKind};

/// Every row that is an answer to a part: how often the part is sent then, and what comes of it.
#[tokio::test(start_paused = true)]
async fn errors_are_repeated_or_not_as_the_table_says() {
    use ErrorKind::*;
    let ok = None;
    let rows = [
        (400, "RequestTimeout IncompleteBody", 5, 6, ok),
        (400, "BadRequest", 2, 3, ok),
        (400, "BadRequest", 9, 3, Some(Other)),
        (400, "InvalidDigest InvalidCRC64", 1, 2, ok),
        // After the first damage the part goes out as two.
        (400, "InvalidDigest InvalidCRC64", 9, 11, ok),
        (
            400,
            "InvalidPartOrder MalformedXML EntityTooSmall EntityTooLarge InvalidArgument MissingArgument \
             InvalidEncryptionAlgorithmError NotImplemented OperationNotSupported InvalidRequest \
             PartNotSequential TooManyBuckets PublicEndpointForbidden",
            9,
            1,
            Some(Other),
        ),
        (400, "InvalidObjectName InvalidBucketName", 9, 1, Some(Usage)),
        (401, "AnyOfThem", 1, 2, ok),
        (401, "AnyOfThem", 9, 2, Some(Credentials)),
        (403, "AccessDenied SignatureDoesNotMatch InvalidAccessKeyId", 9, 1, Some(Credentials)),
        (403, "SecurityTokenExpired InvalidSecurityToken AccessKeyIdAndSecurityTokenNotMatch", 1, 2, ok),
        (
            403,
            "SecurityTokenExpired InvalidSecurityToken AccessKeyIdAndSecurityTokenNotMatch",
            9,
            2,
            Some(Credentials),
        ),
        (
            403,
            "UserDisable InDebt InDebtOverdue BucketDisable AbnormalBucketOwnerStatus InvalidObjectState \
             TransferAccelerationDisabled SecondLevelDomainForbidden NonStandardHostForbidden CnameDenied \
             SecurityTokenNotSupported KmsServiceNotEnabled",
            9,
            1,
            Some(Credentials),
        ),
        (404, "NoSuchUpload NoSuchKey NoSuchVersion", 9, 1, Some(Other)),
        (404, "NoSuchBucket", 9, 1, Some(Usage)),
        (405, "MethodNotAllowed", 9, 1, Some(Other)),
        (408, "AnyOfThem", 5, 6, ok),
        (409, "FileAlreadyExists FileImmutable BucketAlreadyExists", 9, 1, Some(Conflict)),
        (409, "ObjectNotAppendable PositionNotEqualToLength", 9, 1, Some(Other)),
        (411, "MissingContentLength", 9, 1, Some(Other)),
        (412, "PreconditionFailed", 9, 1, Some(Other)),
        (304, "NotModified", 9, 1, Some(Other)),
        (416, "InvalidRange", 9, 1, Some(Other)),
        (429, "AnyOfThem", 5, 6, ok),
        (500, "InternalError AnyOfThem", 5, 6, ok),
        (502, "AnyOfThem", 5, 6, ok),
        (504, "AnyOfThem", 5, 6, ok),
        (
            503,
            "ServiceUnavailable UploadTrafficRateLimitExceeded DownloadTrafficRateLimitExceeded \
             MetaOperationQpsLimitExceeded TotalQpsLimitExceeded ActiveRequestLimitExceeded",
            5,
            6,
            ok,
        ),
    ];
    for (status, codes, refusals, sent, end) in rows {
        for code in codes.split_whitespace() {
            let world = World::new(200_000);
            world.script.refuse("UploadPart", refusals, status, code);
            let result = world.upload().run().await;
            assert_eq!(world.script.count("UploadPart"), sent, "{status} {code}");
            assert_eq!(result.as_ref().err().map(UploadError::kind), end, "{status} {code}");
            if let Err(error) = result {
                assert!(world.stored().await.is_none(), "{status} {code}");
                assert_eq!(error.call().unwrap().service().unwrap().status, status);
            }
        }
    }
}

/// An answer that is none of OSS goes by its status alone.
#[tokio::test(start_paused = true)]
async fn a_web_page_of_a_proxy_goes_by_its_status() {
    for (status, sent) in [(502, 4), (504, 4), (404, 1), (403, 1)] {
        let world = World::new(MIB);
        let page = "<html><h1>Bad gateway</h1></html>".to_owned();
        world.script.rule("UploadPart", 0, 3, Effect::Answer(status, page));
        let result = world.upload().run().await;
        assert_eq!(world.script.count("UploadPart"), sent, "{status}");
        assert_eq!(result.is_ok(), sent > 1, "{status}");
    }
}

/// A captive portal that comes up in mid-upload, until somebody logs in again.
#[tokio::test(start_paused = true)]
async fn a_captive_portal_in_mid_upload_is_ridden_out() {
    let page = "<!DOCTYPE html><title>Log in</title>";
    for operation in ["UploadPart", "Complete"] {
        for status in [200, 302, 307, 511] {
            let world = World::new(3 * MIB);
            world.script.rule(operation, 0, 7, Effect::Answer(status, page.to_owned()));
            world.upload().run().await.unwrap();
            world.assert_stored().await;
        }
    }
}

/// Where OSS never answered, such a page means a wrong address.
#[tokio::test(start_paused = true)]
async fn a_web_page_in_place_of_the_first_answer_ends_it_soon() {
    for status in [200, 302] {
        let world = World::new(MIB);
        world.script.rule("Initiate", 0, usize::MAX, Effect::Answer(status, "<html>".to_owned()));
        let error = world.upload().run().await.unwrap_err();
        assert_eq!((error.kind(), world.script.count("Initiate")), (ErrorKind::Network, 3), "{status}");
    }
}

/// A proxy's own refusal has neither a code nor an id.
#[tokio::test(start_paused = true)]
async fn a_403_that_is_not_the_service_s_is_no_denial() {
    for status in [401, 403] {
        let world = World::new(MIB);
        let page = "<html><h1>Forbidden by the administrator</h1></html>".to_owned();
        world.script.rule("UploadPart", 0, usize::MAX, Effect::Answer(status, page));
        let error = world.upload().run().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Network, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_certificate_or_a_proxy_refuses_is_told_apart() {
    use TransportErrorKind::{Certificate, ProxyAuth, ProxyRefused};
    for (kind, sent, expected) in [
        (Certificate(CertificateFault::Issuer), 3, ErrorKind::Certificate),
        (ProxyAuth, 1, ErrorKind::Network),
        (ProxyRefused, 3, ErrorKind::Network),
    ] {
        let world = World::new(MIB);
        world.script.rule("Initiate", 0, usize::MAX, Effect::Fails(kind));
        let error = world.upload().run().await.unwrap_err();
        assert_eq!((error.kind(), world.script.count("Initiate")), (expected, sent), "{kind:?}");
        assert!(error.is_resumable());
    }
}

/// A proxy or a load balancer answers so in place of the service, and lets the next request through.
#[tokio::test]
async fn an_empty_400_for_one_part_does_not_end_all() {
    for (times, sent) in [(1, 2), (2, 3), (9, 3)] {
        let world = World::new(MIB);
        world.script.rule("UploadPart", 0, times, Effect::Answer(400, String::new()));
        let result = world.upload().run().await;
        assert_eq!((world.script.count("UploadPart"), result.is_ok()), (sent, times < 3), "{times}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_wants_a_password_in_mid_upload_ends_it_at_once() {
    let world = World::new(3 * MIB);
    world.script.rule("UploadPart", 1, usize::MAX, Effect::Fails(TransportErrorKind::ProxyAuth));
    let error = world.upload().with_parallel(1).run().await.unwrap_err();
    assert_eq!((error.kind(), world.script.count("UploadPart")), (ErrorKind::Network, 2));
    world.script.clear();
    assert_eq!(world.upload().run().await.unwrap().resumed_parts, 1);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_cannot_be_made_or_breaks_is_made_again() {
    use TransportErrorKind::{Broken, Connect, NotHttp, Resolve, Timeout, Tls};
    for operation in ["UploadPart", "Complete"] {
        for kind in [Resolve, Connect, Tls, Broken, Timeout, NotHttp] {
            let world = World::new(MIB);
            world.script.rule(operation, 0, 5, Effect::Fails(kind));
            world.upload().run().await.unwrap();
            world.assert_stored().await;
            // A part that breaks twice goes on in shorter ones.
            let sent = world.script.count(operation);
            assert!(sent == 6 || operation == "UploadPart" && sent > 6, "{sent} {operation} {kind:?}");
        }
    }
}

/// Where nothing ever answered, a certificate that does not fit means a wrong address, and no passing trouble.
#[tokio::test(start_paused = true)]
async fn an_endpoint_that_never_spoke_tls_is_given_up_soon() {
    for (kind, sent) in [(TransportErrorKind::Tls, 3), (TransportErrorKind::NotHttp, 3)] {
        let world = World::new(MIB);
        world.script.rule("Initiate", 0, usize::MAX, Effect::Fails(kind));
        let error = world.upload().run().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Network);
        assert!(error.is_resumable(), "a network that gave up is always resumable");
        assert_eq!(world.script.count("Initiate"), sent);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_cut_or_without_end_is_asked_for_again() {
    for document in ["<InitiateMultipartUploadResult><UploadId>4".to_owned(), "x".repeat(9 << 20)] {
        let world = World::new(MIB);
        world.script.rule("Initiate", 0, 2, Effect::Answer(200, document));
        world.upload().run().await.unwrap();
        assert_eq!(world.script.count("Initiate"), 3);
    }
}

#[tokio::test]
async fn a_signature_for_another_region_ends_it_at_once_and_blames_what_was_typed() {
    for ec in ["0002-00000226", "0002-00000228"] {
        let world = World::new(MIB);
        let document = format!("<Error><Code>InvalidArgument</Code><EC>{ec}</EC></Error>");
        world.script.rule("Initiate", 0, 9, Effect::Answer(400, document));
        let error = world.upload().run().await.unwrap_err();
        assert_eq!((error.kind(), world.script.count("Initiate")), (ErrorKind::Usage, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_service_asks_to_wait_is_waited_for() {
    let world = World::new(MIB);
    let (file, began) = (world.file(), Instant::now());
    let answer = Effect::Refused { status: 503, code: "ServiceUnavailable", retry_after: "7" };
    world.script.rule("UploadPart", 0, 1, answer);
    world.upload_of(&file).run().await.unwrap();
    assert!((7..9).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
}

/// Temporary credentials of which the first is wrong in one way or the other; it counts who asked.
#[derive(Debug)]
struct Torn {
    first: Mutex<Option<Credentials>>,
}

impl CredentialsProvider for Torn {
    fn credentials<'a>(
        &'a self,
        _: Option<&'a Credentials>,
    ) -> BoxFuture<'a, Result<Option<Credentials>, CredentialsError>> {
        let good = || Credentials::new("STS.new", "secret").with_token("new");
        let credentials = self.first.lock().unwrap().take().unwrap_or_else(good);
        Box::pin(std::future::ready(Ok(Some(credentials))))
    }
}

#[tokio::test]
async fn credentials_that_were_replaced_meanwhile_are_tried_once_more() {
    for (code, id, secret, token) in [
        ("InvalidAccessKeyId", "STS.unknown", "secret", "new"),
        ("SignatureDoesNotMatch", "STS.new", "of the other pair", "new"),
        ("InvalidSecurityToken", "STS.new", "secret", "old"),
    ] {
        let first = Credentials::new(id, secret).with_token(token);
        let world = World::with(MIB, |mut options| {
            options.credentials = Arc::new(Torn { first: Mutex::new(Some(first)) });
            options
        });
        world.emulator.add_credentials(Credentials::new("STS.new", "secret").with_token("new"));
        world.upload().run().await.unwrap();
        world.assert_stored().await;
        assert_eq!(world.script.count("Initiate"), 2, "{code}");
    }
}
