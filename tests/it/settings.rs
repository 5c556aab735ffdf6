//! Where settings come from, seen from outside.

use crate::support::{Server, World};

#[test]
fn a_plain_url_needs_no_credentials_and_takes_the_key_literally() {
    let mut world = World::new();
    let url = |world: &World, args: &[&str]| world.ok(&[&["url"], args].concat()).stdout.trim().to_owned();
    assert_eq!(
        url(&world, &["oss://images/a b/%20+中.raw", "--region=cn-hangzhou"]),
        "https://images.oss-cn-hangzhou.aliyuncs.com/a%20b/%2520%2B%E4%B8%AD.raw"
    );
    assert_eq!(
        url(&world, &["oss://images/x", "--region=cn-beijing", "--endpoint=internal"]),
        "https://images.oss-cn-beijing-internal.aliyuncs.com/x"
    );
    world.env("OSS_REGION", "us-west-1");
    assert_eq!(url(&world, &["oss://images/x"]), "https://images.oss-us-west-1.aliyuncs.com/x");
    assert_eq!(
        url(&world, &["oss://images/x", "--endpoint=img.example.com", "--addressing-style=cname"]),
        "https://img.example.com/x"
    );
}

#[test]
fn a_presigned_url_is_signed_by_the_profile_asked_for() {
    let world = World::new();
    let config = "[default]\naccessKeyID=first\naccessKeySecret=s\nregion=cn-hangzhou\n\
                  [profile other]\naccessKeyID=second\naccessKeySecret=s\nregion=cn-hangzhou\n";
    std::fs::write(world.path(".ossutilconfig"), config).unwrap();
    let signed = world.json(&["url", "oss://images/x", "--sign=2h", "--profile=other"]);
    let url = signed["url"].as_str().unwrap();
    assert!(url.contains("second") && url.contains("x-oss-expires=7200"), "{url}");
    assert!(signed["expires"].is_string());
}

#[test]
fn verbose_says_where_values_came_from_and_no_secret() {
    let mut world = World::new();
    world.env("OSS_ACCESS_KEY_ID", "LTAIid");
    world.env("OSS_ACCESS_KEY_SECRET", "hunter2");
    let finished = world.ok(&["url", "oss://images/x", "--region=cn-hangzhou", "-vv"]);
    for part in ["region cn-hangzhou from --region", "access key LTAIid", "OSS_*"] {
        assert!(finished.stderr.contains(part), "{part}: {}", finished.stderr);
    }
    assert!(!finished.stderr.contains("hunter2"));
}

#[test]
fn half_a_pair_names_the_variable() {
    let mut world = World::new();
    world.env("OSS_ACCESS_KEY_ID", "LTAIid");
    let stderr = world.fails(4, &["list", "oss://images", "--region=cn-hangzhou"]);
    assert!(stderr.contains("OSS_ACCESS_KEY_SECRET"), "{stderr}");
}

#[test]
fn a_profile_s_role_is_assumed_and_its_credentials_sign() {
    let mut world = World::new();
    let server = Server::start(&mut world, &[]);
    for name in ["OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET"] {
        world.env(name, "");
    }
    let config = format!(
        "[default]\nmode=RamRoleArn\naccessKeyID={}\naccessKeySecret={}\nregion=cn-hangzhou\nendpoint={}\n\
         roleArn=acs:ram::1234567890123456:role/aliyunecsimageimportdefaultrole\n",
        server.access_key_id, server.access_key_secret, server.endpoint
    );
    std::fs::write(world.path(".ossutilconfig"), config).unwrap();
    world.file("disk.raw", 1 << 20, 1);
    let finished = world.ok(&["upload", "disk.raw", "oss://images/x", "--no-inspect", "-v"]);
    assert!(finished.stderr.contains("operation=\"AssumeRole\""), "{}", finished.stderr);
}

#[test]
fn a_profile_that_cannot_be_used_is_named_where_it_alone_knows_the_region() {
    let world = World::new();
    let text = "[default]\nacessKeyID=ID\naccessKeySecret=S\nregion=cn-hangzhou\n";
    std::fs::write(world.path(".ossutilconfig"), text).unwrap();
    let stderr = world.fails(4, &["list", "oss://images"]);
    assert!(stderr.contains(".ossutilconfig") && stderr.contains("accessKeyID"), "{stderr}");
}

#[test]
fn a_failed_connection_names_the_host() {
    let mut world = World::new();
    world.env("OSS_ACCESS_KEY_ID", "ID");
    world.env("OSS_ACCESS_KEY_SECRET", "SECRET");
    let args = ["list", "oss://images", "--endpoint=http://127.0.0.1:1", "--retry-timeout=0s"];
    let stderr = world.fails(5, &args);
    assert!(stderr.contains("127.0.0.1"), "{stderr}");
}
