use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, Response};
use http_body_util::BodyExt;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{ACTIONS, ApiRequest, EcsOptions, handle};
use crate::Emulator;
use crate::store::Encryption;
use crate::testing::{self, ACCESS_KEY_ID, ACCESS_KEY_SECRET, disk};
use ossup_core::clock::Clock;
use ossup_core::credentials::Credentials;
use ossup_core::http::Body;
use ossup_core::sign::{acs3, encode, rpc_v1};

mod instances;

/// A clock that tests set.
#[derive(Debug, Clone)]
struct TestClock(Arc<Mutex<Timestamp>>);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// An emulator whose time stands still until it is put forward.
struct Fixture {
    emulator: Emulator,
    clock: TestClock,
    dir: Arc<tempfile::TempDir>,
}

impl Fixture {
    fn new(change: impl FnOnce(&mut EcsOptions)) -> Self {
        let clock = TestClock(Arc::new(Mutex::new("2025-06-01T12:00:00Z".parse().unwrap())));
        let dir = Arc::new(tempfile::tempdir().unwrap());
        let fixture = Self::open(dir, clock, change);
        for (name, region) in [("images", "cn-hangzhou"), ("elsewhere", "cn-beijing")] {
            fixture.emulator.create_bucket(name.parse().unwrap(), region.parse().unwrap()).unwrap();
        }
        fixture.put("images", "disk.raw", disk());
        fixture
    }

    fn open(dir: Arc<tempfile::TempDir>, clock: TestClock, change: impl FnOnce(&mut EcsOptions)) -> Self {
        let mut options = testing::options(dir.path()).with_clock(Arc::new(clock.clone()));
        options.ecs.base_duration = Duration::from_secs(100);
        change(&mut options.ecs);
        Self { emulator: Emulator::open(options).unwrap(), clock, dir }
    }

    /// Closes the emulator and opens it again.
    fn reopened(self) -> Self {
        let Self { emulator, clock, dir } = self;
        drop(emulator);
        Self::open(dir, clock, |_| {})
    }

    fn put(&self, bucket: &str, key: &str, bytes: Vec<u8>) {
        testing::put(&self.emulator, bucket, key, &bytes);
    }

    fn pass(&self, seconds: u64) {
        self.emulator.advance(Duration::from_secs(seconds)).unwrap();
    }

    /// Calls an action with a good ACS3 signature.
    async fn call(&self, action: &str, params: &str) -> (u16, Value) {
        let key = (ACCESS_KEY_ID, ACCESS_KEY_SECRET);
        let version = match action {
            "AssumeRole" | "AssumeRoleWithOIDC" | "GetCallerIdentity" => "2015-04-01",
            _ if action.contains("Role") => "2015-05-01",
            _ => "2014-05-26",
        };
        self.send(acs3_request(self.emulator.now(), key, None, (action, version), params)).await
    }

    async fn send(&self, request: ApiRequest) -> (u16, Value) {
        let response = handle(&self.emulator, &request).await;
        let (status, text) = read(response).await;
        let value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON: {text}"));
        (status, value)
    }

    async fn good(&self, action: &str, params: &str) -> Value {
        let (status, value) = self.call(action, params).await;
        assert_eq!(status, 200, "{action}: {value}");
        value
    }

    async fn refused(&self, action: &str, params: &str) -> (u16, String) {
        let (status, value) = self.call(action, params).await;
        (status, value["Code"].as_str().unwrap_or_else(|| panic!("{action} went well: {value}")).to_owned())
    }

    async fn import(&self, more: &str) -> (String, String) {
        let value = self.good("ImportImage", &format!("{IMPORT}{more}")).await;
        let text = |name: &str| value[name].as_str().unwrap().to_owned();
        (text("ImageId"), text("TaskId"))
    }

    async fn image(&self, region: &str, id: &str) -> Value {
        let value = self.good("DescribeImages", &format!("RegionId={region}&Status=ALL&ImageId={id}")).await;
        value["Images"]["Image"][0].clone()
    }

    async fn task(&self, id: &str) -> Value {
        self.good("DescribeTaskAttribute", &format!("RegionId=cn-hangzhou&TaskId={id}")).await
    }
}

const IMPORT: &str = "RegionId=cn-hangzhou&DiskDeviceMapping.1.OSSBucket=images\
    &DiskDeviceMapping.1.OSSObject=disk.raw&DiskDeviceMapping.1.Format=RAW";

async fn read(response: Response<Body>) -> (u16, String) {
    let status = response.status().as_u16();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(bytes.to_vec()).unwrap())
}

fn header_map<'a>(headers: impl IntoIterator<Item = (&'a str, &'a str)>) -> HeaderMap {
    headers
        .into_iter()
        .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()))
        .collect()
}

fn decoded(params: &str) -> Vec<(String, String)> {
    params
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').map(|(n, v)| (n.to_owned(), v.to_owned())).unwrap())
        .collect()
}

fn encoded(pairs: &[(String, String)]) -> String {
    encode::query(pairs.iter().map(|(name, value)| (name.as_str(), Some(value.as_str()))))
}

fn request(query: String, headers: HeaderMap, now: Timestamp) -> ApiRequest {
    ApiRequest {
        method: Method::POST,
        uri: format!("/?{query}").parse().unwrap(),
        headers,
        body: Bytes::new(),
        request_id: "5B5C2A6E-0000-4000-8000-000000000001".to_owned(),
        now,
    }
}

fn nonce() -> String {
    uuid::Uuid::new_v4().to_string()
}

fn acs3_request(
    now: Timestamp,
    (id, secret): (&str, &str),
    token: Option<&str>,
    (action, version): (&str, &str),
    params: &str,
) -> ApiRequest {
    let params = decoded(params);
    let (date, nonce, hash) =
        (now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(), nonce(), acs3::payload_hash(b""));
    let mut headers = vec![
        ("host", "ecs.cn-hangzhou.aliyuncs.com"),
        ("x-acs-action", action),
        ("x-acs-content-sha256", &hash),
        ("x-acs-date", &date),
    ];
    if let Some(token) = token {
        headers.push(("x-acs-security-token", token));
    }
    headers.push(("x-acs-signature-nonce", &nonce));
    headers.push(("x-acs-version", version));
    headers.sort_unstable();
    let pairs: Vec<(String, String)> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let signed: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let canonical = acs3::canonical_request("POST", &params, &pairs, &signed, &hash);
    let signature = acs3::signature(secret, &acs3::string_to_sign(&canonical));
    let authorization =
        format!("ACS3-HMAC-SHA256 Credential={id},SignedHeaders={},Signature={signature}", signed.join(";"));
    headers.push(("authorization", &authorization));
    request(encoded(&params), header_map(headers), now)
}

fn v1_request(now: Timestamp, (id, secret): (&str, &str), params: &str) -> ApiRequest {
    let mut params = decoded(params);
    let mut add = |name: &str, value: &str| params.push((name.to_owned(), value.to_owned()));
    add("AccessKeyId", id);
    add("SignatureMethod", "HMAC-SHA1");
    add("SignatureVersion", "1.0");
    add("SignatureNonce", &nonce());
    add("Timestamp", &now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    let signature = rpc_v1::signature(secret, &rpc_v1::string_to_sign("POST", &params));
    params.push(("Signature".to_owned(), signature));
    request(encoded(&params), header_map([("host", "127.0.0.1:9000")]), now)
}

/// Returns the vector's request as it would arrive.
fn vector_request(vector: &Value) -> ApiRequest {
    let wire = &vector["request"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let time = wire["headers"]["x-acs-date"]
        .as_str()
        .or(wire["query_params"]["Timestamp"].as_str())
        .or(wire["body_params"]["Timestamp"].as_str())
        .unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("host", text(&wire["host"]).parse().unwrap());
    headers.insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
    if let Some(given) = wire["headers"].as_object().filter(|_| vector["scheme"] != "rpc-v1") {
        headers = header_map(given.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap())));
        headers.insert("authorization", text(&vector["authorization"]).parse().unwrap());
    }
    ApiRequest {
        method: text(&wire["method"]).parse().unwrap(),
        uri: format!("/?{}", text(&wire["query_string"])).parse().unwrap(),
        headers,
        body: Bytes::from(text(&wire["body"])),
        request_id: "R".to_owned(),
        now: time.parse().unwrap(),
    }
}

#[tokio::test]
async fn the_vendors_vectors_are_accepted_and_their_distortions_refused() {
    let vectors: Value =
        serde_json::from_str(include_str!("../../../../tests/data/ecs-signature-vectors.json")).unwrap();
    let mut seen = 0;
    for vector in vectors["vectors"].as_array().unwrap() {
        let key = &vector["credentials"];
        let text = |name: &str| key[name].as_str().unwrap();
        let credentials = |secret: &str| {
            let credentials = Credentials::new(text("access_key_id"), secret);
            match key["security_token"].as_str() {
                Some(token) => credentials.with_token(token),
                None => credentials,
            }
        };
        let code = async |fixture: &Fixture, request: ApiRequest| {
            let (_, text) = read(handle(&fixture.emulator, &request).await).await;
            [
                "SignatureDoesNotMatch",
                "SignatureNonceUsed",
                "InvalidTimeStamp.Expired",
                "IncompleteSignature",
                "InvalidAccessKeyId",
            ]
            .into_iter()
            .find(|code| {
                text.contains(&format!("<Code>{code}")) || text.contains(&format!("\"Code\":\"{code}"))
            })
        };
        let id = &vector["id"];
        let fixture = Fixture::new(|_| {});
        fixture.emulator.add_credentials(credentials(text("access_key_secret")));
        let mut late = vector_request(vector);
        late.now += SignedDuration::from_mins(16);
        assert_eq!(code(&fixture, late).await, Some("InvalidTimeStamp.Expired"), "{id}");
        assert_eq!(code(&fixture, vector_request(vector)).await, None, "{id}");
        assert_eq!(code(&fixture, vector_request(vector)).await, Some("SignatureNonceUsed"), "{id}");
        let fixture = Fixture::new(|_| {});
        fixture.emulator.add_credentials(credentials(&format!("{}x", text("access_key_secret"))));
        assert_eq!(code(&fixture, vector_request(vector)).await, Some("SignatureDoesNotMatch"), "{id}");
        seen += 1;
    }
    assert_eq!(seen, 16);
}

#[tokio::test]
async fn what_proves_nothing_is_refused_by_name() {
    let fixture = Fixture::new(|_| {});
    let now = fixture.emulator.now();
    let good = (ACCESS_KEY_ID, ACCESS_KEY_SECRET);
    let regions = ("DescribeRegions", "2014-05-26");
    let code = |(status, value): (u16, Value)| (status, value["Code"].as_str().unwrap_or("-").to_owned());
    let refusal = |status: u16, code: &str| (status, code.to_owned());

    let nobody = acs3_request(now, ("nobody", "x"), None, regions, "");
    assert_eq!(code(fixture.send(nobody).await), refusal(404, "InvalidAccessKeyId.NotFound"));
    let token = acs3_request(now, good, Some("unknown"), regions, "");
    assert_eq!(code(fixture.send(token).await), refusal(400, "InvalidSecurityToken.MismatchWithAccessKey"));
    let mut unsigned = acs3_request(now, good, None, regions, "");
    unsigned.headers.insert("x-acs-extra", "1".parse().unwrap());
    assert_eq!(code(fixture.send(unsigned).await), refusal(400, "IncompleteSignature"));
    let mut anonymous = acs3_request(now, good, None, regions, "");
    anonymous.headers.remove("authorization");
    assert_eq!(code(fixture.send(anonymous).await), refusal(400, "IncompleteSignature"));
    let mut body = acs3_request(now, good, None, regions, "");
    body.body = Bytes::from_static(b"unsigned");
    assert_eq!(code(fixture.send(body).await), refusal(400, "SignatureDoesNotMatch"));
    let mut put = acs3_request(now, good, None, regions, "");
    put.method = Method::PUT;
    assert_eq!(code(fixture.send(put).await), refusal(403, "UnsupportedHTTPMethod"));
    let version = acs3_request(now, good, None, ("DescribeRegions", "2013-01-01"), "");
    assert_eq!(code(fixture.send(version).await), refusal(400, "NoSuchVersion"));
    assert_eq!(
        fixture.refused("CreateSnapshot", "RegionId=cn-hangzhou").await,
        refusal(400, "NotImplemented")
    );

    let v1 = |params: &str| v1_request(now, good, params);
    let query = "Action=DescribeRegions&Version=2014-05-26&Format=json";
    assert_eq!(fixture.send(v1(query)).await.0, 200);
    let mut malformed = v1(query);
    malformed.uri =
        malformed.uri.to_string().replace("SignatureVersion=1.0", "SignatureVersion=2.0").parse().unwrap();
    assert_eq!(code(fixture.send(malformed).await), refusal(400, "IncompleteSignature"));
    let mut missing = v1(query);
    missing.uri = missing.uri.to_string().replace("SignatureNonce=", "Nonce=").parse().unwrap();
    assert_eq!(code(fixture.send(missing).await), refusal(400, "MissingParameter"));
    let mut dated = v1(query);
    dated.uri =
        dated.uri.to_string().replace("Timestamp=2025-06-01T", "Timestamp=2025-06-01+").parse().unwrap();
    assert_eq!(code(fixture.send(dated).await), refusal(400, "InvalidTimeStamp.Format"));
}

#[tokio::test]
async fn v1_answers_xml_unless_asked_for_json() {
    let fixture = Fixture::new(|_| {});
    let good = (ACCESS_KEY_ID, ACCESS_KEY_SECRET);
    let request = v1_request(fixture.emulator.now(), good, "Action=DescribeRegions&Version=2014-05-26");
    let (status, text) = read(handle(&fixture.emulator, &request).await).await;
    assert_eq!(status, 200);
    assert!(text.contains("<DescribeRegionsResponse>") && text.contains("<Region><LocalName>"), "{text}");
    let request = v1_request(fixture.emulator.now(), ("x", "y"), "Action=DescribeRegions&Version=2014-05-26");
    let (status, text) = read(handle(&fixture.emulator, &request).await).await;
    assert_eq!(status, 404);
    assert!(text.contains("<Error>") && text.contains("<Code>InvalidAccessKeyId.NotFound</Code>"), "{text}");
}

#[tokio::test]
async fn an_import_runs_through_its_states() {
    let fixture = Fixture::new(|_| {});
    let (image, task) = fixture.import("&ImageName=rocky&Tag.1.Key=k&DetectionStrategy=Standard").await;
    let invisible = fixture.good("DescribeImages", &format!("RegionId=cn-hangzhou&ImageId={image}")).await;
    assert_eq!(invisible["TotalCount"], 0, "only Available images are listed by default");
    let shown = fixture.image("cn-hangzhou", &image).await;
    assert_eq!((&shown["Status"], &shown["Progress"]), (&json!("Creating"), &json!("0%")));
    let disk = &shown["DiskDeviceMappings"]["DiskDeviceMapping"][0];
    assert_eq!((&disk["ImportOSSObject"], &disk["Size"]), (&json!("disk.raw"), &json!("5")));
    let snapshot = disk["SnapshotId"].as_str().unwrap().to_owned();
    let snapshots = format!("RegionId=cn-hangzhou&SnapshotIds=[\"{snapshot}\"]");

    fixture.pass(50);
    let running = fixture.task(&task).await;
    assert_eq!((&running["TaskStatus"], &running["TaskProcess"]), (&json!("Processing"), &json!("50%")));
    assert_eq!(running["SupportCancel"], "true");
    let during = fixture.good("DescribeSnapshots", &snapshots).await;
    assert_eq!(during["Snapshots"]["Snapshot"][0]["Status"], "failed");
    let delete = format!("RegionId=cn-hangzhou&ImageId={image}");
    assert_eq!(fixture.refused("DeleteImage", &delete).await, (403, "ImageIsImporting".to_owned()));

    fixture.pass(50);
    let done = fixture.task(&task).await;
    assert_eq!((&done["TaskStatus"], &done["TaskProcess"]), (&json!("Finished"), &json!("100%")));
    assert_eq!((&done["FailedCount"], &done["SuccessCount"]), (&json!(0), &json!(1)));
    let shown = fixture.image("cn-hangzhou", &image).await;
    assert_eq!((&shown["Status"], &shown["Usable"]), (&json!("Available"), &json!(true)));
    assert_eq!(shown["DetectionOptions"]["Status"], "Processing");
    fixture.pass(5);
    assert_eq!(fixture.image("cn-hangzhou", &image).await["DetectionOptions"]["Status"], "Finished");
    let cancel = format!("RegionId=cn-hangzhou&TaskId={task}");
    assert_eq!(fixture.refused("CancelTask", &cancel).await.1, "InvalidTaskId.IncorrectTaskStatus");

    fixture.good("DeleteImage", &delete).await;
    assert_eq!(fixture.refused("DeleteImage", &delete).await, (404, "InvalidImageId.NotFound".to_owned()));
    let after = fixture.good("DescribeSnapshots", &snapshots).await;
    assert_eq!(after["Snapshots"]["Snapshot"][0]["Status"], "accomplished", "snapshots outlive images");
    fixture.good("DeleteSnapshot", &format!("SnapshotId={snapshot}")).await;
    assert_eq!(fixture.good("DescribeSnapshots", &snapshots).await["TotalCount"], 0);
}

#[tokio::test]
async fn imports_survive_the_emulators_restart() {
    let fixture = Fixture::new(|_| {});
    let (image, task) = fixture.import("&ImageName=rocky&ClientToken=c1").await;
    fixture.pass(30);
    let fixture = fixture.reopened();
    assert_eq!(fixture.task(&task).await["TaskProcess"], "30%");
    assert_eq!(fixture.import("&ImageName=rocky&ClientToken=c1").await, (image.clone(), task));
    // Time goes on while it is closed.
    *fixture.clock.0.lock().unwrap() += SignedDuration::from_secs(80);
    let fixture = fixture.reopened();
    assert_eq!(fixture.image("cn-hangzhou", &image).await["Status"], "Available");
}

#[tokio::test]
async fn imports_from_aes256_are_refused_only_if_that_is_set() {
    for refuse in [false, true] {
        let fixture = Fixture::new(|options| options.refuse_aes256 = refuse);
        fixture.put("images", "disk.raw", disk());
        let encrypted = Encryption { algorithm: "AES256".into(), ..Encryption::default() };
        let bucket = "images".parse().unwrap();
        fixture.emulator.update_bucket(&bucket, |bucket| bucket.encryption = Some(encrypted)).unwrap();
        let (status, answer) = fixture.call("ImportImage", IMPORT).await;
        let code = answer["Code"].as_str().unwrap_or_default();
        let expected = if refuse { (403, "InvalidOSSBucket.EncryptUnsupported") } else { (200, "") };
        assert_eq!((status, code), expected, "{answer}");
    }
}

#[tokio::test]
async fn import_requests_are_refused_in_the_documented_order() {
    let fixture = Fixture::new(|options| options.image_quota = 1);
    fixture.put("images", "zero.raw", Vec::new());
    fixture.put("elsewhere", "disk.raw", disk());
    fixture.put("images", "text.raw", b"<html>not found</html>".repeat(100_000));
    let encrypted = Encryption { algorithm: "KMS".into(), ..Encryption::default() };
    fixture.emulator.create_bucket("sealed".parse().unwrap(), "cn-hangzhou".parse().unwrap()).unwrap();
    fixture
        .emulator
        .update_bucket(&"sealed".parse().unwrap(), |bucket| bucket.encryption = Some(encrypted))
        .unwrap();
    let disk1 = |bucket: &str, key: &str| {
        format!(
            "RegionId=cn-hangzhou&DiskDeviceMapping.1.OSSBucket={bucket}&DiskDeviceMapping.1.OSSObject={key}"
        )
    };
    for (params, status, code) in [
        (String::new(), 400, "MissingParameter"),
        ("RegionId=xx-nowhere-1".into(), 400, "InvalidRegionId.NotFound"),
        ("RegionId=cn-hangzhou".into(), 403, "MissingParameter.DiskDeviceMapping"),
        ("RegionId=cn-hangzhou&DiskDeviceMapping.1.OSSBucket=images".into(), 400, "MissingParameter"),
        ("RegionId=cn-hangzhou&DiskDeviceMapping.2.OSSBucket=images".into(), 400, "MissingParameter"),
        (disk1("Images", "disk.raw"), 400, "InvalidOSSBucket.Malformed"),
        (disk1("images", "/disk.raw"), 400, "InvalidOSSObject.Malformed"),
        (disk1("images", "https://x/disk.raw"), 400, "InvalidOSSObject.Malformed"),
        (format!("{IMPORT}&ImageName=1x"), 400, "InvalidImageName.Malformed"),
        (format!("{IMPORT}&Description=x"), 400, "InvalidDescription.Malformed"),
        (format!("{IMPORT}&Tag.1.Key=a&Tag.2.Key=A"), 403, "TagKey.Duplication"),
        (format!("{IMPORT}&Architecture=aarch64"), 400, "InvalidArchitecture.Malformed"),
        (format!("{IMPORT}&OSType=mac"), 400, "InvalidOSType.Malformed"),
        (format!("{IMPORT}&Platform=Haiku"), 400, "InvalidPlatform.Malformed"),
        (format!("{IMPORT}&Platform=Other Windows"), 400, "InvalidPlatform.Malformed"),
        (format!("{IMPORT}&BootMode=UEFI-Preferred"), 400, "InvalidBootMode.Malformed"),
        (format!("{IMPORT}&Architecture=arm64&BootMode=BIOS"), 400, "InvalidBootMode.NotSupport"),
        (format!("{IMPORT}&LicenseType=mine"), 400, "InvalidLicenseType.NotSupported"),
        (format!("{IMPORT}&LicenseType=Auto"), 400, "InvalidLicenseType.NotSupported"),
        (format!("{IMPORT}&Platform=RedHat&LicenseType=Aliyun"), 400, "InvalidLicenseType.BYOLOnly"),
        (format!("{IMPORT}&DetectionStrategy=Full"), 400, "InvalidParameter.DetectionStrategy"),
        (format!("{IMPORT}&Features.ImdsSupport=v3"), 400, "InvalidParameter.FeaturesImdsSupport"),
        (format!("{IMPORT}&ResourceGroupId=x"), 404, "InvalidResourceGroup.NotFound"),
        (format!("{IMPORT}&DiskDeviceMapping.1.DiskImageSize=4000"), 400, "InvalidImageSize"),
        (
            format!(
                "{IMPORT}&DiskDeviceMapping.2.OSSBucket=images&DiskDeviceMapping.2.OSSObject=a&DiskDeviceMapping.2.DiskImageSize=0"
            ),
            400,
            "InvalidDataDiskSize",
        ),
        (format!("{IMPORT}&DiskDeviceMapping.1.Device=sda"), 403, "InvalidParameter.Malformed"),
        (format!("{IMPORT}&ClientToken={}", "x".repeat(65)), 400, "InvalidClientToken.Malformed"),
        (format!("{IMPORT}&RoleName=Other"), 403, "NoSetRoletoECSServiceAcount"),
        (disk1("nothing-here", "disk.raw"), 400, "InvalidOSSBucket.NotFound"),
        (disk1("elsewhere", "disk.raw"), 400, "InvalidOSSBucket.NotFound"),
        (disk1("sealed", "disk.raw"), 403, "InvalidOSSBucket.EncryptUnsupported"),
        (disk1("images", "nothing.raw"), 400, "InvalidOSSObject.NotFound"),
        (disk1("images", "zero.raw"), 400, "InvalidOSSObject.Size"),
        (disk1("images", "text.raw"), 403, "InvalidImageFormat.Malformed"),
        (format!("{IMPORT}&DryRun=True"), 400, "DryRunOperation"),
    ] {
        assert_eq!(fixture.refused("ImportImage", &params).await, (status, code.to_owned()), "{params}");
    }
    fixture.import("&ImageName=rocky").await;
    let taken = fixture.refused("ImportImage", &format!("{IMPORT}&ImageName=rocky&DryRun=true")).await;
    assert_eq!(taken.1, "InvalidImageName.Duplicated", "an image that is being imported has its name");
    let quota = fixture.refused("ImportImage", &format!("{IMPORT}&ImageName=other")).await;
    assert_eq!(quota.1, "QuotaExceed.Image");
}

#[tokio::test]
async fn damage_deeper_in_the_image_fails_the_task() {
    let fixture = Fixture::new(|_| {});
    let mut unbootable = disk();
    unbootable[510] = 0;
    fixture.put("images", "disk.raw", unbootable);
    let (image, task) = fixture.import("").await;
    fixture.pass(100);
    let failed = fixture.task(&task).await;
    assert_eq!((&failed["TaskStatus"], &failed["FailedCount"]), (&json!("Failed"), &json!(1)));
    let operation = &failed["OperationProgressSet"]["OperationProgress"][0];
    assert_eq!(operation["ErrorCode"], "InvalidImageFormat.Malformed");
    assert_eq!(fixture.image("cn-hangzhou", &image).await["Status"], "CreateFailed");
}

#[tokio::test]
async fn a_windows_disk_is_good_for_windows_only() {
    let fixture = Fixture::new(|_| {});
    let mut windows = disk();
    windows[450] = 7;
    windows[(1 << 20) + 1080..(1 << 20) + 1082].fill(0);
    windows[(1 << 20) + 3..(1 << 20) + 11].copy_from_slice(b"NTFS    ");
    fixture.put("images", "disk.raw", windows);
    let (_, good) = fixture.import("&OSType=windows&Platform=Windows Server 2019").await;
    let (_, bad) = fixture.import("&OSType=linux").await;
    fixture.pass(200);
    assert_eq!(fixture.task(&good).await["TaskStatus"], "Finished");
    assert_eq!(fixture.task(&bad).await["TaskStatus"], "Failed");
}

#[tokio::test]
async fn a_client_token_repeats_the_answer_and_refuses_other_parameters() {
    let fixture = Fixture::new(|_| {});
    let first = fixture.import("&ImageName=rocky&ClientToken=c1").await;
    assert_eq!(fixture.import("&ImageName=rocky&ClientToken=c1").await, first);
    let other = fixture.refused("ImportImage", &format!("{IMPORT}&ImageName=debian&ClientToken=c1")).await;
    assert_eq!(other, (400, "IdempotentParameterMismatch".to_owned()));
    assert_ne!(fixture.import("&ImageName=debian&ClientToken=c2").await, first);
    fixture.pass(25 * 60 * 60);
    let forgotten = fixture.refused("ImportImage", &format!("{IMPORT}&ImageName=rocky&ClientToken=c1")).await;
    assert_eq!(forgotten.1, "InvalidImageName.Duplicated");
}

#[tokio::test]
async fn a_cancelled_import_is_gone_and_makes_room() {
    let fixture = Fixture::new(|options| options.running_limit = 1);
    let (first, first_task) = fixture.import("&ImageName=one").await;
    let (second, second_task) = fixture.import("&ImageName=two").await;
    assert_eq!(fixture.task(&second_task).await["TaskStatus"], "Waiting");
    assert_eq!(fixture.image("cn-hangzhou", &second).await["Status"], "Waiting");
    fixture.pass(10);
    fixture.good("CancelTask", &format!("RegionId=cn-hangzhou&TaskId={first_task}")).await;
    assert_eq!(fixture.task(&first_task).await["TaskStatus"], "Deleted");
    assert_eq!(fixture.image("cn-hangzhou", &first).await, Value::Null);
    fixture.pass(99);
    let waited = fixture.task(&second_task).await;
    assert_eq!((&waited["TaskStatus"], &waited["TaskProcess"]), (&json!("Processing"), &json!("99%")));

    let fixture = Fixture::new(|options| options.cancel_leaves_image = true);
    let (image, task) = fixture.import("&ImageName=one").await;
    fixture.good("CancelTask", &format!("RegionId=cn-hangzhou&TaskId={task}")).await;
    assert_eq!(fixture.image("cn-hangzhou", &image).await["Status"], "CreateFailed");
    fixture.good("DeleteImage", &format!("RegionId=cn-hangzhou&ImageId={image}")).await;
}

#[tokio::test]
async fn an_object_that_changes_fails_its_import() {
    let fixture = Fixture::new(|_| {});
    let (image, task) = fixture.import("").await;
    fixture.pass(40);
    assert_eq!(fixture.task(&task).await["TaskProcess"], "40%");
    *fixture.clock.0.lock().unwrap() += SignedDuration::from_secs(1);
    fixture.put("images", "disk.raw", disk());
    let failed = fixture.task(&task).await;
    assert_eq!((&failed["TaskStatus"], &failed["TaskProcess"]), (&json!("Failed"), &json!("41%")));
    let operation = &failed["OperationProgressSet"]["OperationProgress"][0];
    assert_eq!(operation["ErrorCode"], "InvalidOSSObject.NotFound");
    assert_eq!(fixture.image("cn-hangzhou", &image).await["Status"], "CreateFailed");
}

#[tokio::test]
async fn copies_have_no_task_and_names_are_of_a_region() {
    let fixture = Fixture::new(|_| {});
    let (image, _) = fixture.import("&ImageName=rocky").await;
    let copy = |name: &str, to: &str| {
        format!("RegionId=cn-hangzhou&ImageId={image}&DestinationRegionId={to}&DestinationImageName={name}")
    };
    let early = fixture.refused("CopyImage", &copy("rocky", "cn-beijing")).await;
    assert_eq!(early, (400, "IncorrectImageStatus".to_owned()));
    fixture.pass(100);
    let made = fixture.good("CopyImage", &copy("rocky", "cn-beijing")).await;
    let id = made["ImageId"].as_str().unwrap().to_owned();
    assert!(made.get("TaskId").is_none());
    let shown = fixture.image("cn-beijing", &id).await;
    assert_eq!((&shown["Status"], &shown["IsCopied"]), (&json!("Creating"), &json!(true)));
    let delete = format!("RegionId=cn-hangzhou&ImageId={image}");
    assert_eq!(fixture.refused("DeleteImage", &delete).await.1, "OperationDenied.ImageCopying");
    let again = fixture.refused("CopyImage", &copy("rocky", "cn-beijing")).await;
    assert_eq!(again.1, "InvalidImageName.Duplicated");
    let second = fixture.good("CopyImage", &copy("second", "cn-beijing")).await;
    let second = format!("RegionId=cn-beijing&ImageId={}", second["ImageId"].as_str().unwrap());
    fixture.good("CancelCopyImage", &second).await;
    assert_eq!(
        fixture.refused("CancelCopyImage", &second).await,
        (404, "InvalidImageId.NotFound".to_owned())
    );
    assert_eq!(fixture.refused("CancelCopyImage", &delete).await.1, "ImageCreatedNotFromCopy");
    fixture.pass(100);
    assert_eq!(fixture.image("cn-beijing", &id).await["Status"], "Available");
    fixture.good("DeleteImage", &delete).await;
    assert_eq!(fixture.image("cn-beijing", &id).await["Status"], "Available", "a copy stands by itself");
    for (params, code) in [
        (copy("x1", "cn-hangzhou"), "IncorrectDestinationRegion"),
        (copy("x1", "xx-1"), "DestinationRegion.NotFound"),
        (copy("1x", "cn-beijing"), "InvalidImageName.Malformed"),
        (copy("x1", "cn-shanghai"), "InvalidImageId.NotFound"),
    ] {
        assert_eq!(fixture.refused("CopyImage", &params).await.1, code, "{params}");
    }
}

#[tokio::test]
async fn images_are_tagged_all_or_none_and_copies_are_in_no_family() {
    let fixture = Fixture::new(|_| {});
    let (image, _) = fixture.import("&ImageName=rocky&Tag.1.Key=team&Tag.1.Value=web").await;
    fixture.pass(100);
    let of = format!("RegionId=cn-hangzhou&ResourceType=image&ResourceId.1={image}");
    fixture.good("TagResources", &format!("{of}&Tag.1.Key=team&Tag.1.Value=db&Tag.2.Key=old")).await;
    let tags = json!([{"TagKey": "team", "TagValue": "db"}, {"TagKey": "old", "TagValue": ""}]);
    assert_eq!(fixture.image("cn-hangzhou", &image).await["Tags"]["Tag"], tags);
    for (params, code) in [
        (format!("{of}&ResourceId.2=m-none&Tag.1.Key=new"), "InvalidResourceId.NotFound"),
        (of.clone(), "MissingParameter"),
        ("RegionId=cn-hangzhou&ResourceType=image&Tag.1.Key=new".to_owned(), "MissingParameter"),
        ("RegionId=cn-hangzhou&ResourceType=disk&ResourceId.1=d-1&Tag.1.Key=k".to_owned(), "NotImplemented"),
    ] {
        assert_eq!(fixture.refused("TagResources", &params).await.1, code, "{params}");
    }
    assert_eq!(fixture.image("cn-hangzhou", &image).await["Tags"]["Tag"], tags);

    let of = format!("RegionId=cn-hangzhou&ImageId={image}");
    fixture.good("ModifyImageAttribute", &format!("{of}&ImageFamily=web")).await;
    let copy = fixture.good("CopyImage", &format!("{of}&DestinationRegionId=cn-beijing")).await;
    let copied = fixture.image("cn-beijing", copy["ImageId"].as_str().unwrap()).await;
    assert_eq!((&copied["ImageFamily"], &copied["Tags"]["Tag"]), (&json!(""), &json!([])));
}

#[tokio::test]
async fn what_is_not_known_is_not_ignored() {
    let fixture = Fixture::new(|options| options.probe = false);
    let (image, task) = fixture.import("").await;
    for parameter in ["StartTime", "EndTime", "TaskGroupId"] {
        let params = format!("RegionId=cn-hangzhou&{parameter}=x");
        assert_eq!(fixture.refused("DescribeTasks", &params).await, (400, "NotImplemented".to_owned()));
    }
    let of = format!("RegionId=cn-hangzhou&TaskId={task}");
    fixture.good("CancelTask", &of).await;
    let ended = fixture.good("DescribeTaskAttribute", &of).await;
    let operation = &ended["OperationProgressSet"]["OperationProgress"][0];
    assert_eq!((&ended["TaskStatus"], &operation["OperationStatus"]), (&json!("Deleted"), &json!("Failed")));
    assert!(ended.get("ResourceId").is_none(), "{ended}");
    let launch = format!("RegionId=cn-hangzhou&ImageId={image}&LaunchPermission=HIDDEN");
    let refused = fixture.refused("ModifyImageSharePermission", &launch).await;
    assert_eq!(refused, (400, "NotImplemented".to_owned()));
}

#[tokio::test]
async fn sharing_is_additive_and_keeps_an_image_from_deletion() {
    let fixture = Fixture::new(|_| {});
    let (image, _) = fixture.import("").await;
    fixture.pass(100);
    let of = format!("RegionId=cn-hangzhou&ImageId={image}");
    fixture
        .good("ModifyImageSharePermission", &format!("{of}&AddAccount.1=1111111111&AddAccount.2=2222222222"))
        .await;
    fixture
        .good(
            "ModifyImageSharePermission",
            &format!("{of}&AddAccount.1=1111111111&RemoveAccount.1=2222222222"),
        )
        .await;
    let shares = fixture.good("DescribeImageSharePermission", &of).await;
    assert_eq!(shares["Accounts"]["Account"], json!([{"AliyunId": "1111111111"}]));
    assert_eq!(fixture.refused("DeleteImage", &of).await, (403, "ImageUseShared".to_owned()));
    let unknown = fixture.refused("ModifyImageSharePermission", &format!("{of}&AddAccount.1=me")).await;
    assert_eq!(unknown, (404, "InvalidAccount.NotFound".to_owned()));
    fixture.good("ModifyImageSharePermission", &format!("{of}&RemoveAccount.1=1111111111")).await;
    fixture.good("DeleteImage", &of).await;
}

#[tokio::test]
async fn an_image_is_retired_only_after_it_was_taken_back_and_then_no_longer_given_out() {
    let fixture = Fixture::new(|options| options.images_in_use = Some("used".to_owned()));
    let (image, _) = fixture.import("&ImageName=rocky").await;
    let of = format!("RegionId=cn-hangzhou&ImageId={image}");
    let early = fixture.refused("ModifyImageAttribute", &format!("{of}&Status=Deprecated")).await;
    assert_eq!(early, (400, "IncorrectImageStatus".to_owned()));
    fixture.pass(100);
    let public = |public: bool| format!("{of}&IsPublic={public}");
    fixture.good("ModifyImageSharePermission", &public(true)).await;
    assert_eq!(fixture.image("cn-hangzhou", &image).await["IsPublic"], json!(true));
    let copy = format!("{of}&DestinationRegionId=cn-beijing");
    let community = (400, "OperationDenied.CommunityImage".to_owned());
    assert_eq!(fixture.refused("CopyImage", &copy).await, community);
    let share = format!("{of}&AddAccount.1=1111111111");
    assert_eq!(fixture.refused("ModifyImageSharePermission", &share).await, community);
    let shared = (403, "ImageUseShared".to_owned());
    assert_eq!(fixture.refused("ModifyImageAttribute", &format!("{of}&Status=Deprecated")).await, shared);
    assert_eq!(fixture.refused("DeleteImage", &of).await, shared);

    fixture.good("ModifyImageSharePermission", &public(false)).await;
    fixture.good("ModifyImageAttribute", &format!("{of}&Status=Deprecated&ImageName=used")).await;
    let status = (400, "IncorrectImageStatus".to_owned());
    for (action, params) in [
        ("CopyImage", &copy),
        ("ModifyImageSharePermission", &share),
        ("ModifyImageSharePermission", &public(true)),
    ] {
        assert_eq!(fixture.refused(action, params).await, status, "{params}");
    }
    fixture.good("ModifyImageSharePermission", &public(false)).await;

    assert_eq!(fixture.refused("DeleteImage", &of).await, (403, "ImageUsingByInstance".to_owned()));
    let used = "RegionId=cn-hangzhou&Status=Deprecated&Usage=instance";
    assert_eq!(fixture.good("DescribeImages", used).await["TotalCount"], json!(1));
    fixture.good("DeleteImage", &format!("{of}&Force=true")).await;
}

#[tokio::test]
async fn snapshots_are_tagged_found_by_their_tags_and_outlive_their_image() {
    let fixture = Fixture::new(|options| options.foreign_image = Some("theirs".to_owned()));
    let (image, _) = fixture.import("").await;
    fixture.pass(100);
    let shown = fixture.image("cn-hangzhou", &image).await;
    let snapshot = shown["DiskDeviceMappings"]["DiskDeviceMapping"][0]["SnapshotId"].as_str().unwrap();
    let of = format!("RegionId=cn-hangzhou&ResourceType=snapshot&ResourceId.1={snapshot}");
    fixture.good("TagResources", &format!("{of}&Tag.1.Key=a&Tag.1.Value=1&Tag.2.Key=b")).await;
    fixture.good("DeleteImage", &format!("RegionId=cn-hangzhou&ImageId={image}")).await;
    fixture.good("UntagResources", &format!("{of}&TagKey.1=b&TagKey.2=none")).await;
    let listed = fixture.good("ListTagResources", &of).await;
    let tag = json!({"ResourceType": "snapshot", "ResourceId": snapshot, "TagKey": "a", "TagValue": "1"});
    assert_eq!(listed["TagResources"]["TagResource"], json!([tag]));
    for (filter, count) in [("Tag.1.Key=a", 1), ("Tag.1.Key=a&Tag.1.Value=2", 0), ("Tag.1.Key=b", 0)] {
        let found = fixture.good("DescribeSnapshots", &format!("RegionId=cn-hangzhou&{filter}")).await;
        assert_eq!(found["TotalCount"], json!(count), "{filter}");
    }

    let others = "RegionId=cn-hangzhou&ImageOwnerAlias=others";
    for (params, name) in
        [(others.to_owned(), "theirs"), (format!("{others}&IsPublic=true"), "theirs-community")]
    {
        let found = fixture.good("DescribeImages", &params).await;
        assert_eq!(found["Images"]["Image"][0]["ImageName"], json!(name));
    }
    let own = fixture.refused("DescribeImages", "RegionId=cn-hangzhou&IsPublic=true").await;
    assert_eq!(own.1, "InvalidImageOwnerAlias.PublicImageUnsupported");
}

#[tokio::test]
async fn attributes_change() {
    let fixture = Fixture::new(|_| {});
    let (image, _) = fixture.import("&ImageName=rocky").await;
    let of = format!("RegionId=cn-hangzhou&ImageId={image}");
    let change = "&ImageName=rocky9&ImageFamily=rocky&BootMode=UEFI-Preferred&Features.ImdsSupport=v2";
    fixture.good("ModifyImageAttribute", &format!("{of}{change}")).await;
    let shown = fixture.image("cn-hangzhou", &image).await;
    assert_eq!((&shown["ImageName"], &shown["ImageFamily"]), (&json!("rocky9"), &json!("rocky")));
    assert_eq!(
        (&shown["BootMode"], &shown["Features"]["ImdsSupport"]),
        (&json!("UEFI-Preferred"), &json!("v2"))
    );
    let back = fixture.refused("ModifyImageAttribute", &format!("{of}&Features.ImdsSupport=v1")).await;
    assert_eq!(back.1, "InvalidParameter.FeaturesImdsSupport");
}

#[tokio::test]
async fn switches_show_what_a_client_must_survive() {
    let fixture = Fixture::new(|options| {
        options.looks_before_available = 1;
        options.looks_before_usable = 1;
        options.paused = true;
        options.late_snapshot_ids = true;
        options.fuzzy_neighbours = true;
        options.stringly_typed = true;
    });
    let (image, task) = fixture.import("&ImageName=rocky").await;
    fixture.pass(40);
    assert_eq!(fixture.task(&task).await["TaskStatus"], "Paused");
    let shown = fixture.image("cn-hangzhou", &image).await;
    assert_eq!(shown["DiskDeviceMappings"]["DiskDeviceMapping"][0]["SnapshotId"], "");
    fixture.pass(60);
    assert_eq!(fixture.task(&task).await["TaskStatus"], "Finished");
    let copy = format!("RegionId=cn-hangzhou&ImageId={image}&DestinationRegionId=cn-beijing");
    assert_eq!(fixture.refused("CopyImage", &copy).await.1, "OperationDenied.ImageCopying");
    let mut looks = Vec::new();
    for _ in 0..3 {
        let shown = fixture.image("cn-hangzhou", &image).await;
        looks.push((
            shown["Status"].as_str().unwrap().to_owned(),
            shown["Usable"].as_str().unwrap().to_owned(),
        ));
    }
    let expected = [("Creating", "False"), ("Available", "False"), ("Available", "True")];
    assert_eq!(looks, expected.map(|(status, usable)| (status.to_owned(), usable.to_owned())));
    let named = fixture.good("DescribeImages", "RegionId=cn-hangzhou&Status=ALL&ImageName=rocky").await;
    assert_eq!(named["Images"]["Image"][0]["ImageName"], "x-rocky-old");
    assert_eq!(
        (&named["Images"]["Image"][1]["ImageName"], &named["TotalCount"]),
        (&json!("rocky"), &json!("2"))
    );

    fixture.emulator.update_ecs(|options| options.forget_ended_tasks = true);
    let gone = fixture.refused("DescribeTaskAttribute", &format!("RegionId=cn-hangzhou&TaskId={task}")).await;
    assert_eq!(gone, (400, "InvalidTaskId.NotFound".to_owned()));
}

#[tokio::test]
async fn a_task_may_be_finished_and_yet_have_failed() {
    let fixture = Fixture::new(|options| {
        options.finished_but_failed = true;
        options.task_id_field = "ImportTaskId".to_owned();
    });
    let made = fixture.good("ImportImage", IMPORT).await;
    let task = made["ImportTaskId"].as_str().unwrap().to_owned();
    fixture.pass(100);
    let task = fixture.task(&task).await;
    assert_eq!((&task["TaskStatus"], &task["TaskProcess"]), (&json!("Finished"), &json!("40%")));
    assert_eq!(task["FailedCount"], 1);
    let image = fixture.image("cn-hangzhou", made["ImageId"].as_str().unwrap()).await;
    assert_eq!(image["Status"], "CreateFailed");
}

#[tokio::test]
async fn the_role_is_made_and_seen_after_a_while() {
    let fixture = Fixture::new(|options| {
        options.import_role = false;
        options.role_code = "NoSetRoletoECSServiceAccount".to_owned();
        options.role_propagation = Duration::from_secs(30);
    });
    let name = "RoleName=AliyunECSImageImportDefaultRole";
    assert_eq!(fixture.refused("GetRole", name).await, (404, "EntityNotExist.Role".to_owned()));
    assert_eq!(fixture.refused("ImportImage", IMPORT).await.1, "NoSetRoletoECSServiceAccount");
    let trust = r#"{"Statement":[{"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"Service":["ecs.aliyuncs.com"]}}],"Version":"1"}"#;
    fixture.good("CreateRole", &format!("{name}&AssumeRolePolicyDocument={trust}")).await;
    let again = fixture.refused("CreateRole", &format!("{name}&AssumeRolePolicyDocument={trust}")).await;
    assert_eq!(again, (409, "EntityAlreadyExists.Role".to_owned()));
    assert_eq!(fixture.good("GetRole", name).await["Role"]["AssumeRolePolicyDocument"], trust);
    fixture.pass(10);
    assert_eq!(fixture.refused("ImportImage", IMPORT).await.1, "NoSetRoletoECSServiceAccount");
    fixture.pass(20);
    assert_eq!(fixture.refused("ImportImage", IMPORT).await.1, "InvalidOSS.NotAuthorized");
    let attach = format!("{name}&PolicyType=System&PolicyName=AliyunECSImageImportRolePolicy");
    fixture.good("AttachPolicyToRole", &attach).await;
    assert_eq!(fixture.refused("AttachPolicyToRole", &attach).await.1, "EntityAlreadyExists.Role.Policy");
    let policies = fixture.good("ListPoliciesForRole", name).await;
    assert_eq!(policies["Policies"]["Policy"][0]["PolicyName"], "AliyunECSImageImportRolePolicy");
    fixture.import("").await;
    let fixture = fixture.reopened();
    assert_eq!(fixture.good("GetRole", name).await["Role"]["RoleName"], "AliyunECSImageImportDefaultRole");
}

#[tokio::test]
async fn sts_gives_credentials_that_work_until_they_end() {
    let fixture = Fixture::new(|_| {});
    let role = "RoleArn=acs:ram::1234567890123456:role/aliyunecsimageimportdefaultrole&RoleSessionName=ossup";
    let made = fixture.good("AssumeRole", &format!("{role}&DurationSeconds=900")).await;
    let text = |name: &str| made["Credentials"][name].as_str().unwrap().to_owned();
    let (id, secret, token) = (text("AccessKeyId"), text("AccessKeySecret"), text("SecurityToken"));
    assert!(id.starts_with("STS."));
    assert_eq!(text("Expiration"), "2025-06-01T12:15:00Z");
    let who = |now| acs3_request(now, (&id, &secret), Some(&token), ("GetCallerIdentity", "2015-04-01"), "");
    let now = fixture.emulator.now();
    let (status, identity) = fixture.send(who(now)).await;
    assert_eq!((status, &identity["IdentityType"]), (200, &json!("AssumedRoleUser")));
    *fixture.clock.0.lock().unwrap() += SignedDuration::from_mins(15);
    let (status, expired) = fixture.send(who(fixture.emulator.now())).await;
    assert_eq!((status, &expired["Code"]), (400, &json!("InvalidSecurityToken.Expired")));

    for (params, code) in [
        (format!("{role}&DurationSeconds=60"), "InvalidParameter.DurationSeconds"),
        ("RoleArn=x&RoleSessionName=ossup".to_owned(), "InvalidParameter.RoleArn"),
        ("RoleArn=acs:ram::1234567890123456:role/no&RoleSessionName=ossup".to_owned(), "EntityNotExist.Role"),
        ("RoleArn=acs:ram::1:role/other&RoleSessionName=a b".to_owned(), "InvalidParameter.RoleSessionName"),
    ] {
        assert_eq!(fixture.refused("AssumeRole", &params).await.1, code, "{params}");
    }
}

#[tokio::test]
async fn a_role_is_assumed_with_a_token_and_without_a_signature() {
    let fixture = Fixture::new(|_| {});
    let query = |token: &str| {
        format!(
            "Action=AssumeRoleWithOIDC&Version=2015-04-01&Format=JSON&RoleArn=acs:ram::99:role/r\
             &RoleSessionName=ossup&OIDCProviderArn=acs:ram::99:oidc-provider/p&OIDCToken={token}"
        )
    };
    let send =
        |token: &str| request(query(token), header_map([("host", "localhost")]), fixture.emulator.now());
    let (status, made) = fixture.send(send("a.b.c")).await;
    assert_eq!(status, 200, "{made}");
    assert!(made["Credentials"]["SecurityToken"].is_string());
    let (status, refused) = fixture.send(send("nonsense")).await;
    assert_eq!((status, &refused["Code"]), (401, &json!("AuthenticationFail.OIDCToken.Invalid")));
}

#[tokio::test]
async fn every_action_that_a_fault_may_name_is_known() {
    let fixture = Fixture::new(|_| {});
    for action in ACTIONS {
        let (_, value) = fixture.call(action, "RegionId=cn-hangzhou").await;
        assert_ne!(value["Code"], "NotImplemented", "{action}");
    }
}

#[tokio::test]
async fn copies_are_encrypted_also_within_their_region_and_then_not_public() {
    let refusal = |status: u16, code: &str| (status, code.to_owned());
    let fixture = Fixture::new(|_| {});
    let (image, _) = fixture.import("&ImageName=rocky").await;
    fixture.pass(100);
    let of = format!("RegionId=cn-hangzhou&ImageId={image}");
    let key = "KMSKeyId=e522b26d-abf6-4e0d-b5da-04b7aaaaaa3c";
    let to = |region: &str, more: &str| format!("{of}&DestinationRegionId={region}&{more}");
    for (params, refused) in [
        (to("cn-beijing", key), (400, "InvalidParameter.EncryptedIllegal")),
        (to("cn-beijing", "Encrypted=true&KMSKeyId=none"), (404, "InvalidParameter.KMSKeyId.NotFound")),
        (to("cn-hangzhou", "Encrypted=false"), (403, "IncorrectDestinationRegion")),
    ] {
        assert_eq!(fixture.refused("CopyImage", &params).await, refusal(refused.0, refused.1), "{params}");
    }
    let copy = async |region: &str, more: &str| {
        let copied = fixture.good("CopyImage", &to(region, more)).await;
        copied["ImageId"].as_str().unwrap().to_owned()
    };
    let own = copy("cn-beijing", &format!("Encrypted=true&{key}")).await;
    let service = copy("cn-hangzhou", "Encrypted=true").await;
    fixture.pass(100);
    let shown = fixture.image("cn-hangzhou", &service).await;
    assert_eq!(shown["DiskDeviceMappings"]["DiskDeviceMapping"][0]["Encrypted"], json!(true));
    let snapshots = fixture.good("DescribeSnapshots", "RegionId=cn-beijing").await;
    let snapshot = &snapshots["Snapshots"]["Snapshot"][0];
    assert_eq!(
        (&snapshot["Encrypted"], &snapshot["KMSKeyId"]),
        (&json!(true), &json!("e522b26d-abf6-4e0d-b5da-04b7aaaaaa3c"))
    );
    let share = "ModifyImageSharePermission";
    let sealed = refusal(403, "OperationDeined.EncryptedSnapshot");
    let service = format!("RegionId=cn-hangzhou&ImageId={service}");
    let own = format!("RegionId=cn-beijing&ImageId={own}");
    assert_eq!(fixture.refused(share, &format!("{service}&AddAccount.1=1111111111")).await, sealed);
    assert_eq!(fixture.refused(share, &format!("{own}&IsPublic=true")).await, sealed);
    fixture.good(share, &format!("{own}&AddAccount.1=1111111111")).await;
}
