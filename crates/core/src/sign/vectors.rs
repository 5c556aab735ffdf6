//! The known answers: signatures that the vendor's own SDKs made with a fixed time, and examples of its pages.

use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use jiff::Timestamp;
use serde::Deserialize;

use super::*;
use crate::model::{Endpoint, Scheme};
use crate::request::{Content, RpcService};
use crate::uri;

const OSS: &str = include_str!("../../../../tests/data/oss-signature-vectors.json");
const ECS: &str = include_str!("../../../../tests/data/ecs-signature-vectors.json");

#[derive(Deserialize)]
struct OssFile {
    vectors: Vec<OssVector>,
}

#[derive(Deserialize)]
struct OssVector {
    id: String,
    kind: String,
    input: serde_json::Value,
    expected: OssExpected,
}

#[derive(Deserialize)]
struct OssInput {
    access_key_id: String,
    access_key_secret: String,
    security_token: Option<String>,
    method: String,
    bucket: Option<String>,
    key: Option<String>,
    query: Query,
    headers: BTreeMap<String, String>,
    additional_headers: Vec<String>,
    extra_subresources: Vec<String>,
    region: Option<String>,
    product: Option<String>,
    time_unix: i64,
    expires_seconds: Option<u64>,
}

#[derive(Deserialize)]
struct StsInput {
    access_key_secret: String,
    method: String,
    params: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct OssExpected {
    signature: String,
    string_to_sign: String,
    canonical_request: Option<String>,
    path_and_key_encoded: Option<String>,
    authorization: Option<String>,
    authorization_as_sent_by_oss2: Option<String>,
    request_headers: Option<BTreeMap<String, String>>,
    url: Option<String>,
}

impl OssInput {
    fn of(vector: &OssVector) -> Self {
        serde_json::from_value(vector.input.clone()).unwrap()
    }

    fn request(&self) -> OssRequest {
        OssRequest {
            method: Method::from_bytes(self.method.as_bytes()).unwrap(),
            bucket: self.bucket.as_ref().map(|name| name.parse().unwrap()),
            key: self.key.as_ref().map(|key| key.parse().unwrap()),
            query: self.query.clone(),
            headers: self.headers.clone().into_iter().collect(),
            content: Content::Empty,
        }
    }

    fn credentials(&self) -> Credentials {
        let pair = Credentials::new(&self.access_key_id, &self.access_key_secret);
        match &self.security_token {
            Some(token) => pair.with_token(token),
            None => pair,
        }
    }

    fn at(&self) -> Timestamp {
        Timestamp::from_second(self.time_unix).unwrap()
    }

    fn scope(&self) -> oss_v4::Scope {
        let mut scope = oss_v4::Scope::oss(self.at(), &self.region.as_ref().unwrap().parse().unwrap());
        scope.product.clone_from(self.product.as_ref().unwrap());
        scope
    }

    fn additional(&self) -> Vec<&str> {
        self.additional_headers.iter().map(String::as_str).collect()
    }
}

fn oss_vectors(kind: &str, count: usize) -> Vec<OssVector> {
    let file: OssFile = serde_json::from_str(OSS).unwrap();
    let vectors: Vec<_> = file.vectors.into_iter().filter(|vector| vector.kind == kind).collect();
    assert_eq!(vectors.len(), count, "vectors of kind {kind}");
    vectors
}

/// The path, and whatever else the SDKs say about the request as it goes out.
fn check_headers(vector: &OssVector, request: &OssRequest, added: &[(String, String)]) {
    let id = &vector.id;
    check_path(vector, request);
    let authorization = added.iter().find(|(name, _)| name == "authorization");
    if let Some(expected) = &vector.expected.authorization {
        assert_eq!(&authorization.unwrap().1, expected, "{id}");
    }
    assert!(authorization.unwrap().1.contains(&vector.expected.signature), "{id}");
    if let Some(expected) = &vector.expected.request_headers {
        for (name, value) in request.headers.iter().chain(added) {
            if name != "date" {
                assert_eq!(expected.get(name), Some(value), "{id}: {name}");
            }
        }
        let ours: BTreeSet<_> = request.headers.iter().chain(added).map(|(name, _)| name.as_str()).collect();
        let missing: Vec<_> = expected.keys().filter(|name| !ours.contains(name.as_str())).collect();
        assert!(missing.iter().all(|name| *name == "date"), "{id}: {missing:?}");
    }
}

fn check_path(vector: &OssVector, request: &OssRequest) {
    let endpoint: Endpoint = "oss-cn-hangzhou.aliyuncs.com".parse().unwrap();
    if let Some(path) = &vector.expected.path_and_key_encoded {
        let ours = uri::oss_path(&endpoint, request.bucket.as_ref(), request.key.as_ref());
        assert_eq!(&ours, path, "{}", vector.id);
    }
}

/// Compares the URL with the SDK's, whose parameters stand in another order.
fn check_url(vector: &OssVector, request: &OssRequest, added: &Query) {
    let endpoint: Endpoint = "oss-cn-hangzhou.aliyuncs.com".parse().unwrap();
    let url = uri::oss(&endpoint, request, added);
    let parsed: http::Uri = url.parse().unwrap();
    assert_eq!(parsed.to_string(), url, "{}", vector.id);
    check_path(vector, request);
    let Some(expected) = &vector.expected.url else { return };
    let split = |url: &str| {
        let (path, query) = url.split_once('?').unwrap();
        let mut query = encode::decode_query(query).unwrap();
        query.sort();
        let query = query.into_iter().map(|(name, value)| (name, value.unwrap_or_default()));
        (path.to_owned(), query.collect::<Vec<_>>())
    };
    assert_eq!(split(&url), split(expected), "{}", vector.id);
}

#[test]
fn oss_v4_headers() {
    for vector in oss_vectors("v4-header", 20) {
        let (id, input) = (&vector.id, OssInput::of(&vector));
        let (request, scope) = (input.request(), input.scope());
        let added = oss_v4::sign(&request, &input.credentials(), &scope, input.at(), &input.additional());
        check_headers(&vector, &request, &added);

        // The other side: everything again from what has arrived, and `authorization` says how.
        let arrived: Pairs = request.headers.iter().chain(&added).rev().cloned().collect();
        let authorization = header_value(&arrived, "Authorization").unwrap();
        let parsed = oss_v4::Authorization::parse(&authorization).unwrap();
        assert_eq!((&parsed.access_key_id, &parsed.scope), (&input.access_key_id, &scope), "{id}");
        let canonical = oss_v4::canonical_request(
            &SignedFields::of(&request, &request.query, &arrived),
            &parsed.additional.clone().unwrap_or_default(),
        );
        assert_eq!(Some(&canonical), vector.expected.canonical_request.as_ref(), "{id}");
        let date = header_value(&arrived, "x-oss-date").unwrap();
        let text = oss_v4::string_to_sign(&date, &parsed.scope, &canonical);
        assert_eq!(text, vector.expected.string_to_sign, "{id}");
        assert_eq!(
            oss_v4::signature(&input.access_key_secret, &parsed.scope, &text),
            parsed.signature,
            "{id}"
        );
        if let Some(spaced) = &vector.expected.authorization_as_sent_by_oss2 {
            assert_eq!(oss_v4::Authorization::parse(spaced), Some(parsed), "{id}");
        }
    }
}

#[test]
fn oss_v4_urls() {
    for vector in oss_vectors("v4-query", 11) {
        let (id, input) = (&vector.id, OssInput::of(&vector));
        let (request, scope) = (input.request(), input.scope());
        let validity = input.expires_seconds.unwrap();
        let additional = input.additional();
        let added =
            oss_v4::presign(&request, &input.credentials(), &scope, input.at(), validity, &additional);
        check_url(&vector, &request, &added);
        assert_eq!(added.last().unwrap().1.as_ref(), Some(&vector.expected.signature), "{id}");

        let arrived: Query = request.query.iter().chain(&added).rev().cloned().collect();
        let canonical = oss_v4::canonical_request(
            &SignedFields::of(&request, &arrived, &request.headers),
            &oss_v4::additional_headers(&additional, &request.headers),
        );
        assert_eq!(Some(&canonical), vector.expected.canonical_request.as_ref(), "{id}");
        let text = oss_v4::string_to_sign(&oss_v4::date_time(input.at()), &scope, &canonical);
        assert_eq!(text, vector.expected.string_to_sign, "{id}");
    }
}

#[test]
fn oss_v1_headers() {
    for vector in oss_vectors("v1-header", 17) {
        let (id, input) = (&vector.id, OssInput::of(&vector));
        for name in &input.extra_subresources {
            assert!(oss_v1::is_sub_resource(name), "{id}: {name}");
        }
        let request = input.request();
        let added = oss_v1::sign(&request, &input.credentials(), input.at());
        check_headers(&vector, &request, &added);

        let arrived: Pairs = request.headers.iter().chain(&added).rev().cloned().collect();
        let parts = SignedFields::of(&request, &request.query, &arrived);
        let text = oss_v1::string_to_sign(&parts, &oss_v1::date_line(&arrived));
        assert_eq!(text, vector.expected.string_to_sign, "{id}");
        let authorization = header_value(&arrived, "authorization").unwrap();
        let signature = oss_v1::signature(&input.access_key_secret, &text);
        assert_eq!(
            oss_v1::parse_authorization(&authorization),
            Some((input.access_key_id.as_str(), signature.as_str())),
            "{id}"
        );
    }
}

#[test]
fn oss_v1_urls() {
    for vector in oss_vectors("v1-query", 7) {
        let (id, input) = (&vector.id, OssInput::of(&vector));
        let request = input.request();
        let validity = input.expires_seconds.unwrap();
        let added = oss_v1::presign(&request, &input.credentials(), input.at(), validity);
        check_url(&vector, &request, &added);
        assert_eq!(added.last().unwrap().1.as_ref(), Some(&vector.expected.signature), "{id}");

        let arrived: Query = request.query.iter().chain(&added).rev().cloned().collect();
        let expires = (input.time_unix as u64 + validity).to_string();
        let text = oss_v1::string_to_sign(&SignedFields::of(&request, &arrived, &request.headers), &expires);
        assert_eq!(text, vector.expected.string_to_sign, "{id}");
    }
}

#[test]
fn sts_over_rpc_v1() {
    for vector in oss_vectors("sts-rpc", 2) {
        let input: StsInput = serde_json::from_value(vector.input.clone()).unwrap();
        let params: Pairs = input.params.into_iter().collect();
        let text = rpc_v1::string_to_sign(&input.method, &params);
        assert_eq!(text, vector.expected.string_to_sign, "{}", vector.id);
        let signature = rpc_v1::signature(&input.access_key_secret, &text);
        assert_eq!(signature, vector.expected.signature, "{}", vector.id);
    }
}

#[derive(Deserialize)]
struct EcsFile {
    vectors: Vec<EcsVector>,
    must_not_match: Vec<Mistake>,
}

#[derive(Deserialize)]
struct Mistake {
    of: String,
    mistake: String,
    wrong_signature: String,
}

#[derive(Deserialize)]
struct EcsVector {
    id: String,
    scheme: String,
    credentials: EcsCredentials,
    request: EcsRequest,
    canonical_query: String,
    string_to_sign: String,
    signature: String,
    signature_encoded: Option<String>,
    payload_sha256: Option<String>,
    canonical_request: Option<String>,
    signed_headers: Option<String>,
    authorization: Option<String>,
}

#[derive(Deserialize)]
struct EcsCredentials {
    access_key_id: String,
    access_key_secret: String,
    security_token: Option<String>,
}

#[derive(Deserialize)]
struct EcsRequest {
    method: String,
    host: String,
    query_params: BTreeMap<String, String>,
    #[serde(default)]
    body_params: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
    query_string: String,
    body: String,
}

fn ecs_file() -> EcsFile {
    serde_json::from_str(ECS).unwrap()
}

fn check_rpc_v1(vector: &EcsVector) -> String {
    let (id, request) = (&vector.id, &vector.request);
    let mut query: Pairs = request.query_params.clone().into_iter().collect();
    let params: Pairs = query.iter().cloned().chain(request.body_params.clone()).rev().collect();
    assert_eq!(rpc_v1::canonical_query(&params), vector.canonical_query, "{id}");
    let text = rpc_v1::string_to_sign(&request.method, &params);
    assert_eq!(text, vector.string_to_sign, "{id}");
    let signature = rpc_v1::signature(&vector.credentials.access_key_secret, &text);
    assert_eq!(signature, vector.signature, "{id}");
    assert_eq!(Some(encode::component(&signature)), vector.signature_encoded, "{id}");
    if request.body_params.is_empty() {
        query.push(("Signature".to_owned(), signature.clone()));
        query.sort();
        let url = uri::rpc(Scheme::Https, &request.host, &query);
        assert_eq!(url, format!("https://{}/?{}", request.host, request.query_string), "{id}");
    }
    signature
}

fn check_acs3(vector: &EcsVector) -> String {
    let (id, request) = (&vector.id, &vector.request);
    let query: Pairs = request.query_params.clone().into_iter().rev().collect();
    let headers: Pairs = request.headers.clone().into_iter().rev().collect();
    assert_eq!(acs3::canonical_query(&query), vector.canonical_query, "{id}");
    assert_eq!(vector.canonical_query, request.query_string, "{id}");
    let hash = acs3::payload_hash(request.body.as_bytes());
    assert_eq!(Some(&hash), vector.payload_sha256.as_ref(), "{id}");
    let parsed = acs3::Authorization::parse(vector.authorization.as_ref().unwrap()).unwrap();
    assert_eq!(parsed.access_key_id, vector.credentials.access_key_id, "{id}");
    assert_eq!(Some(parsed.signed_headers.join(";")), vector.signed_headers, "{id}");
    let signed: Vec<&str> = parsed.signed_headers.iter().map(String::as_str).collect();
    let canonical = acs3::canonical_request(&request.method, &query, &headers, &signed, &hash);
    assert_eq!(Some(&canonical), vector.canonical_request.as_ref(), "{id}");
    let text = acs3::string_to_sign(&canonical);
    assert_eq!(text, vector.string_to_sign, "{id}");
    let signature = acs3::signature(&vector.credentials.access_key_secret, &text);
    assert_eq!((&signature, &parsed.signature), (&vector.signature, &vector.signature), "{id}");
    signature
}

#[test]
fn rpc_signatures_and_the_known_mistakes() {
    let file = ecs_file();
    let mut ours = BTreeMap::new();
    for vector in &file.vectors {
        let signature = match vector.scheme.as_str() {
            "rpc-v1" => check_rpc_v1(vector),
            "acs3-hmac-sha256" => check_acs3(vector),
            other => panic!("unknown scheme {other}"),
        };
        ours.insert(vector.id.as_str(), signature);
    }
    assert_eq!((ours.len(), file.must_not_match.len()), (16, 8));
    for mistake in &file.must_not_match {
        assert_ne!(ours[mistake.of.as_str()], mistake.wrong_signature, "{}", mistake.mistake);
    }
}

/// What `sign_rpc` adds is rebuilt by the layer that the vectors hold.
#[test]
fn a_call_signed_by_us_verifies_from_what_arrives() {
    let at: Timestamp = "2025-03-04T05:06:07Z".parse().unwrap();
    for vector in ecs_file().vectors.iter().filter(|vector| vector.request.method == "POST") {
        let given = &vector.credentials;
        let credentials = Credentials::new(&given.access_key_id, &given.access_key_secret);
        let credentials = match &given.security_token {
            Some(token) => credentials.with_token(token),
            None => credentials,
        };
        let request = RpcRequest {
            service: RpcService::Ecs,
            action: "ImportImage",
            region: None,
            params: vector.request.query_params.clone().into_iter().collect(),
            signed: true,
        };
        let host = &vector.request.host;

        let sent = sign_rpc(RpcSignVersion::Acs3, &request, host, Some(&credentials), at, "n1");
        let mut headers = sent.headers.clone();
        headers.push(("Host".to_owned(), host.clone()));
        let parsed = acs3::Authorization::parse(&header_value(&headers, "authorization").unwrap()).unwrap();
        for name in headers.iter().map(|(name, _)| name.to_ascii_lowercase()) {
            assert_eq!(parsed.signed_headers.contains(&name), name != "authorization", "{name}");
        }
        let signed: Vec<&str> = parsed.signed_headers.iter().map(String::as_str).collect();
        let canonical =
            acs3::canonical_request("POST", &sent.query, &headers, &signed, &acs3::payload_hash(b""));
        let text = acs3::string_to_sign(&canonical);
        assert_eq!(acs3::signature(&given.access_key_secret, &text), parsed.signature, "{}", vector.id);

        let sent = sign_rpc(RpcSignVersion::V1, &request, host, Some(&credentials), at, "n1");
        let signature = &sent.query.iter().find(|(name, _)| name == "Signature").unwrap().1;
        let text = rpc_v1::string_to_sign("POST", &sent.query);
        assert_eq!(&rpc_v1::signature(&given.access_key_secret, &text), signature, "{}", vector.id);
        let token = sent.query.iter().find(|(name, _)| name == "SecurityToken").map(|(_, value)| value);
        assert_eq!(token, given.security_token.as_ref(), "{}", vector.id);
    }
}

/// DescribeRegions of the ECS pages, through the client's layer: the parameters and their signature are equal.
#[test]
fn the_documented_call_comes_out_of_the_client_layer() {
    let vector = &ecs_file().vectors[1];
    assert_eq!(vector.id, "v1-02-describe-regions-get");
    let request = RpcRequest {
        service: RpcService::Ecs,
        action: "DescribeRegions",
        region: None,
        params: [("AcceptLanguage", "en-US"), ("RegionId", "cn-hangzhou"), ("SignatureType", "")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
        signed: true,
    };
    let given = &vector.credentials;
    let credentials = Credentials::new(&given.access_key_id, &given.access_key_secret);
    let at = vector.request.query_params["Timestamp"].parse().unwrap();
    let nonce = &vector.request.query_params["SignatureNonce"];
    let mut query = rpc_v1::sign(&request, "GET", Some(&credentials), at, nonce);
    query.sort();
    let expected = format!("https://{}/?{}", vector.request.host, vector.request.query_string);
    assert_eq!(uri::rpc(Scheme::Https, &vector.request.host, &query), expected);
}

#[test]
fn unsigned_calls_carry_action_and_version_and_no_credential() {
    let request = RpcRequest {
        service: RpcService::Sts,
        action: "AssumeRoleWithOIDC",
        region: None,
        params: vec![("RoleArn".to_owned(), "acs:ram::1:role/r".to_owned())],
        signed: false,
    };
    let credentials = Credentials::new("id", "secret");
    for version in [RpcSignVersion::Acs3, RpcSignVersion::V1] {
        let sent =
            sign_rpc(version, &request, "sts.aliyuncs.com", Some(&credentials), Timestamp::UNIX_EPOCH, "n");
        let all: Pairs = sent.query.into_iter().chain(sent.headers).collect();
        let has = |text: &str| all.iter().any(|(_, value)| value == text);
        assert!(has("AssumeRoleWithOIDC") && has("2015-04-01") && has("acs:ram::1:role/r"), "{version:?}");
        let signed = |name: &String| ["authorization", "Signature", "AccessKeyId"].contains(&name.as_str());
        assert!(!all.iter().any(|(name, _)| signed(name)), "{version:?}");
    }
}

#[test]
fn malformed_authorizations_are_not_read() {
    for bad in [
        "",
        "OSS4-HMAC-SHA256",
        "OSS4-HMAC-SHA256 Credential=id,Signature=s",
        "OSS4-HMAC-SHA256 Credential=id/20250101/r/oss/other,Signature=s",
        "OSS4-HMAC-SHA256 Credential=id/20250101/r/oss/aliyun_v4_request/x,Signature=s",
        "OSS4-HMAC-SHA256 Credential=id/20250101/r/oss/aliyun_v4_request",
        "OSS4-HMAC-SHA256 Credential=id/20250101/r/oss/aliyun_v4_request,Signature=s,Other=o",
    ] {
        assert_eq!(oss_v4::Authorization::parse(bad), None, "{bad}");
    }
    for bad in ["", "ACS3-HMAC-SHA256 Credential=id", "ACS3-HMAC-SHA256 Credential=id,SignedHeaders=host,x"] {
        assert_eq!(acs3::Authorization::parse(bad), None, "{bad}");
    }
}

proptest::proptest! {
    #[test]
    fn reading_what_arrives_never_panics(text: String, tail in "[ =,;/a-zA-Z0-9]{0,60}") {
        for scheme in ["", oss_v4::ALGORITHM, acs3::ALGORITHM, "OSS"] {
            let value = format!("{scheme} {tail}{text}");
            let _ = (oss_v4::Authorization::parse(&value), acs3::Authorization::parse(&value));
            let _ = (oss_v1::parse_authorization(&value).is_some(), parse_http_date(&value));
        }
        let _ = oss_v4::Scope::parse(&text);
    }
}
