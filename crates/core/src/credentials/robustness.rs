//! Both parsers against arbitrary bytes: no panic, and no secret in an error.

use proptest::prelude::*;

use super::{aliyun, ossutil};

/// Lines that are nearly right lead deeper into the parsers than random bytes.
fn ini_line() -> impl Strategy<Value = String> {
    let key = prop::sample::select(vec![
        "mode",
        "accessKeyID",
        "access-key-secret",
        "sts_token",
        "roleArn",
        "source-profile",
        "tokenTimeOut",
        "stsRegion",
        "endpoint",
        "addressing-style",
        "credentialProcess",
        "credentialProcessTimeout",
        "region",
    ]);
    let value = prop_oneof![
        prop::sample::select(vec![
            "AK",
            "StsToken",
            "RamRoleArn",
            "EcsRamRole",
            "oidcRoleArn",
            "Process",
            "default",
            "0",
            "900",
            "99999999999999999999",
            "\"",
            "'x'",
            "cn-hangzhou",
            "sts.aliyuncs.com",
        ])
        .prop_map(str::to_owned),
        ".*",
    ];
    prop_oneof![
        (key, value).prop_map(|(key, value)| format!("{key} = {value}")),
        prop::sample::select(vec![
            "[default]",
            "[Credentials]",
            "[profile a]",
            "[buckets b]",
            "[Bucket-Cname]",
            "[AkService]",
            "[",
            "[]",
            "=",
            "profile",
        ])
        .prop_map(str::to_owned),
    ]
}

proptest! {
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400), name in prop::option::of(".{0,8}")) {
        let _ = ossutil::parse(&bytes, name.as_deref());
        let _ = aliyun::parse(&bytes, name.as_deref());
    }

    #[test]
    fn any_lines(lines in prop::collection::vec(ini_line(), 0..20), name in "default|a") {
        let text = lines.join("\n");
        if let Ok(profile) = ossutil::parse(text.as_bytes(), Some(&name)) {
            prop_assert_eq!(profile.name, name);
        }
    }

    #[test]
    fn any_fields(
        mode in "AK|StsToken|RamRoleArn|ChainableRamRoleArn|EcsRamRole|OIDC|External|.{0,6}",
        fields in prop::collection::btree_map(
            "access_key_id|access_key_secret|sts_token|ram_role_arn|source_profile|expired_seconds|region_id",
            ".{0,12}", 0..7),
    ) {
        let mut profile = serde_json::json!({"name": "default", "mode": mode});
        for (key, value) in fields {
            profile[key] = value.into();
        }
        let file = serde_json::json!({"profiles": [profile]}).to_string();
        let _ = aliyun::parse(file.as_bytes(), None);
    }

    #[test]
    fn a_secret_is_in_no_error(cut in 0_usize..200, secret in "s3cr3t[a-z]{8}") {
        let ini = format!("[default]\nmode=RamRoleArn\naccessKeyID=i\naccessKeySecret={secret}\nstsToken={secret}");
        let json = format!(
            r#"{{"profiles":[{{"name":"default","mode":"RamRoleArn","sts_token":"{secret}","access_key_secret":"{secret}"}}]}}"#
        );
        let short = |text: &str| text.as_bytes()[..cut.min(text.len())].to_vec();
        for shown in [
            format!("{:?} ", ossutil::parse(&short(&ini), None)),
            format!("{:?} ", aliyun::parse(&short(&json), None)),
        ] {
            prop_assert!(!shown.contains("s3cr3t"), "{}", shown);
        }
    }
}

#[test]
fn what_is_too_large_is_not_read() {
    let large = vec![b'\n'; super::MAX_CONFIG_BYTES + 1];
    assert_eq!(ossutil::parse(&large, None), Err(super::ProfileError::TooLarge));
    assert_eq!(aliyun::parse(&large, None), Err(super::ProfileError::TooLarge));
}
