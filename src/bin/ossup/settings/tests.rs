use std::collections::HashMap;

use ossup::credentials::Credentials;

use super::*;

#[derive(Default)]
struct World {
    env: Vec<(&'static str, &'static str)>,
    files: HashMap<PathBuf, &'static str>,
}

impl World {
    fn env(mut self, pairs: &[(&'static str, &'static str)]) -> Self {
        self.env.extend(pairs);
        self
    }

    fn file(mut self, path: &str, text: &'static str) -> Self {
        self.files.insert(PathBuf::from(path), text);
        self
    }

    fn resolve(&self, args: &ConnectionArgs) -> Result<Settings, SettingsError> {
        let outside = Env {
            env: &|name| {
                self.env.iter().rev().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            },
            home: Some(Path::new("/home/me")),
            read: &|path| match self.files.get(path) {
                Some(text) => Ok(text.as_bytes().to_vec()),
                None => Err(io::ErrorKind::NotFound.into()),
            },
        };
        Settings::resolve(args, Some(&"images".parse().unwrap()), &outside)
    }
}

const OSS_PAIR: &[(&str, &str)] = &[("OSS_ACCESS_KEY_ID", "oss"), ("OSS_ACCESS_KEY_SECRET", "s")];
const CLOUD_PAIR: &[(&str, &str)] =
    &[("ALIBABA_CLOUD_ACCESS_KEY_ID", "cloud"), ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "s")];
const OSSUTIL: &str = "/home/me/.ossutilconfig";
const ALIYUN: &str = "/home/me/.aliyun/config.json";
const OSSUTIL_TEXT: &str = "[default]\naccessKeyID=ossutil\naccessKeySecret=s\nregion=cn-beijing\n\
    endpoint=oss-cn-beijing-internal.aliyuncs.com\n[profile prod]\naccessKeyID=prod\naccessKeySecret=s\n";
const ALIYUN_TEXT: &str = r#"{"current":"default","profiles":[
    {"name":"default","mode":"AK","access_key_id":"aliyun","access_key_secret":"s","region_id":"us-west-1"},
    {"name":"other","mode":"AK","access_key_id":"other","access_key_secret":"s"}]}"#;

fn args() -> ConnectionArgs {
    ConnectionArgs::default()
}

fn region(name: &str) -> ConnectionArgs {
    ConnectionArgs { region: Some(name.parse().unwrap()), ..args() }
}

fn endpoint(text: &str) -> ConnectionArgs {
    ConnectionArgs { endpoint: Some(text.parse().unwrap()), ..args() }
}

fn key_id(settings: &mut Settings) -> String {
    match settings.credentials().unwrap() {
        CredentialSource::Keys(keys) => keys.access_key_id,
        other => panic!("{other:?}"),
    }
}

fn network(settings: &Settings) -> String {
    match &settings.place {
        Target::Network(endpoint) => endpoint.to_string(),
        Target::Local(folder) => panic!("{folder:?}"),
    }
}

#[test]
fn credentials_come_from_the_first_source_that_has_any() {
    let all = || World::default().file(OSSUTIL, OSSUTIL_TEXT).file(ALIYUN, ALIYUN_TEXT);
    for (world, id) in [
        (all().env(OSS_PAIR).env(CLOUD_PAIR), "oss"),
        (all().env(CLOUD_PAIR), "cloud"),
        (all(), "ossutil"),
        (World::default().file(ALIYUN, ALIYUN_TEXT), "aliyun"),
    ] {
        assert_eq!(key_id(&mut world.resolve(&region("cn-hangzhou")).unwrap()), id);
    }
}

#[test]
fn a_profile_flag_ranks_above_the_environment_and_stands_alone() {
    let world = World::default().env(OSS_PAIR).file(OSSUTIL, OSSUTIL_TEXT).file(ALIYUN, ALIYUN_TEXT);
    let with = |name: &str| ConnectionArgs { profile: Some(name.to_owned()), ..region("cn-hangzhou") };
    assert_eq!(key_id(&mut world.resolve(&with("prod")).unwrap()), "prod");
    assert_eq!(key_id(&mut world.resolve(&with("other")).unwrap()), "other", "found in the second file");
    let error = world.resolve(&with("none")).and_then(|mut settings| settings.credentials()).unwrap_err();
    assert!(
        crate::failure::chain(&error).contains("only `default`, `prod`, `default`, `other`"),
        "{error:?}"
    );
    assert!(!error.is_about_credentials());
}

#[test]
fn a_configuration_file_may_be_of_either_tool() {
    let world = World::default().env(OSS_PAIR).file("/a", ALIYUN_TEXT).file("/o", OSSUTIL_TEXT);
    let with = |path: &str| ConnectionArgs { config_file: Some(path.into()), ..args() };
    assert_eq!(key_id(&mut world.resolve(&with("/a")).unwrap()), "aliyun");
    let mut settings = world.resolve(&with("/o")).unwrap();
    assert_eq!(settings.region.as_str(), "cn-beijing");
    assert_eq!(key_id(&mut settings), "ossutil");
    assert!(matches!(world.resolve(&with("/missing")), Err(SettingsError::Read { .. })));
}

#[test]
fn half_a_pair_is_an_error_that_names_the_variable_though_a_file_has_a_pair() {
    let world = World::default().env(&[("OSS_ACCESS_KEY_ID", "oss")]).file(OSSUTIL, OSSUTIL_TEXT);
    let error = match world.resolve(&region("cn-hangzhou")) {
        Ok(mut settings) => settings.credentials().unwrap_err(),
        Err(error) => error,
    };
    assert!(error.is_about_credentials());
    assert!(crate::failure::chain(&error).contains("OSS_ACCESS_KEY_SECRET"));
}

#[test]
fn no_credentials_name_the_places_that_were_looked_at() {
    let mut settings = World::default().resolve(&region("cn-hangzhou")).unwrap();
    let error = settings.credentials().unwrap_err();
    assert!(error.is_about_credentials());
    let text = error.to_string();
    for place in ["OSS_*", "ALIBABA_CLOUD_*", OSSUTIL, ALIYUN] {
        assert!(text.contains(place), "{text}");
    }
}

#[test]
fn region_comes_from_flag_endpoint_environment_or_profile_in_this_order() {
    let env = World::default().env(OSS_PAIR).env(&[("OSS_REGION", "cn-shanghai")]);
    let resolved = |world: &World, args: &ConnectionArgs| {
        let settings = world.resolve(args).unwrap();
        (settings.region.as_str().to_owned(), network(&settings))
    };
    let pair = |region: &str, endpoint: &str| (region.to_owned(), endpoint.to_owned());
    assert_eq!(resolved(&env, &region("us-west-1")), pair("us-west-1", "https://oss-us-west-1.aliyuncs.com"));
    assert_eq!(
        resolved(&env, &endpoint("oss-eu-central-1.aliyuncs.com")),
        pair("eu-central-1", "https://oss-eu-central-1.aliyuncs.com")
    );
    assert_eq!(resolved(&env, &args()), pair("cn-shanghai", "https://oss-cn-shanghai.aliyuncs.com"));
    assert_eq!(
        resolved(&env, &endpoint("internal")),
        pair("cn-shanghai", "https://oss-cn-shanghai-internal.aliyuncs.com")
    );
    assert_eq!(
        resolved(&env, &endpoint("https://img.example.com")),
        pair("cn-shanghai", "https://img.example.com")
    );
    let file = World::default().file(ALIYUN, ALIYUN_TEXT);
    assert_eq!(resolved(&file, &args()), pair("us-west-1", "https://oss-us-west-1.aliyuncs.com"));
}

#[test]
fn a_region_flag_discards_an_endpoint_of_another_region_that_was_not_typed() {
    let world = World::default().file(OSSUTIL, OSSUTIL_TEXT);
    let settings = world.resolve(&region("cn-hangzhou")).unwrap();
    assert_eq!(network(&settings), "https://oss-cn-hangzhou.aliyuncs.com");
    assert!(settings.origins.iter().any(|line| line.contains("not used")), "{:?}", settings.origins);
    let settings = world.resolve(&region("cn-beijing")).unwrap();
    assert_eq!(network(&settings), "https://oss-cn-beijing-internal.aliyuncs.com");

    let typed = ConnectionArgs {
        region: Some("cn-hangzhou".parse().unwrap()),
        ..endpoint("oss-us-west-1.aliyuncs.com")
    };
    assert!(matches!(world.resolve(&typed), Err(SettingsError::RegionConflict { .. })));
}

#[test]
fn without_region_and_endpoint_it_is_a_usage_error() {
    let world = World::default().env(OSS_PAIR);
    assert!(matches!(world.resolve(&args()), Err(SettingsError::NoRegion)));
    assert!(matches!(world.resolve(&endpoint("accelerate")), Err(SettingsError::NoRegion)));
    assert!(matches!(
        world.resolve(&endpoint("img.example.com")),
        Err(SettingsError::EndpointWithoutRegion(_))
    ));
}

#[test]
fn a_loopback_endpoint_serves_the_other_services_too() {
    let world = World::default().env(OSS_PAIR);
    let settings = world.resolve(&endpoint("http://127.0.0.1:9000")).unwrap();
    assert_eq!(settings.rpc, RpcTarget::At("http://127.0.0.1:9000".parse().unwrap()));
    assert_eq!(settings.region.as_str(), EMULATOR_REGION);
    let own = ConnectionArgs {
        ecs_endpoint: Some("http://[::1]:1".to_owned()),
        ..endpoint("http://127.0.0.1:9000")
    };
    assert_eq!(world.resolve(&own).unwrap().rpc, RpcTarget::At("http://[::1]:1".parse().unwrap()));
    assert_eq!(world.resolve(&region("cn-hangzhou")).unwrap().rpc, RpcTarget::Service);
}

#[test]
fn the_embedded_store_needs_nothing_and_is_used_only_if_typed() {
    let mut settings = World::default().resolve(&endpoint("local:/tmp/store")).unwrap();
    assert_eq!(settings.place, Target::Local("/tmp/store".into()));
    assert_eq!(settings.rpc, RpcTarget::Local);
    assert_eq!(settings.state_dir().unwrap(), Path::new("/tmp/store/ossup-state"));
    assert!(settings.credentials().is_ok());
    let world = World::default().env(OSS_PAIR).env(&[("OSS_ENDPOINT", "local:/tmp/store")]);
    assert!(matches!(world.resolve(&args()), Err(SettingsError::LocalNotTyped { .. })));
}

#[test]
fn the_state_directory_follows_flag_variable_xdg_and_home() {
    let dir = |world: World, args: &ConnectionArgs| world.resolve(args).unwrap().state_dir.unwrap();
    let xdg = || World::default().env(&[("XDG_STATE_HOME", "/xdg")]);
    let typed = ConnectionArgs { state_dir: Some("/flag".into()), ..region("cn-hangzhou") };
    let both = || xdg().env(&[("OSSUP_STATE_DIR", "/variable")]);
    assert_eq!(dir(both(), &typed), Path::new("/flag"));
    assert_eq!(dir(both(), &region("cn-hangzhou")), Path::new("/variable"));
    assert_eq!(dir(xdg(), &region("cn-hangzhou")), Path::new("/xdg/ossup"));
    assert_eq!(dir(World::default(), &region("cn-hangzhou")), Path::new("/home/me/.local/state/ossup"));
}

#[test]
fn a_broken_file_that_is_not_needed_is_a_warning() {
    let world = World::default().env(OSS_PAIR).file(OSSUTIL, "no section");
    let mut settings = world.resolve(&region("cn-hangzhou")).unwrap();
    assert_eq!(settings.warnings.len(), 1, "{:?}", settings.warnings);
    assert_eq!(key_id(&mut settings), "oss");
    let world = World::default().file(OSSUTIL, "no section").file(ALIYUN, ALIYUN_TEXT);
    assert!(world.resolve(&region("cn-hangzhou")).unwrap().credentials().is_err(), "but not a silent skip");
}

#[test]
fn a_bucket_s_own_endpoint_is_used() {
    let world = World::default().file(
        OSSUTIL,
        "[Credentials]\naccessKeyID=i\naccessKeySecret=s\nendpoint=oss-cn-hangzhou.aliyuncs.com\n\
         [Bucket-Endpoint]\nimages=oss-cn-beijing.aliyuncs.com\n",
    );
    let settings = world.resolve(&args()).unwrap();
    assert_eq!(settings.region.as_str(), "cn-beijing");
    assert_eq!(network(&settings), "https://oss-cn-beijing.aliyuncs.com");
}

#[test]
fn origins_name_every_value_and_no_secret() {
    let world = World::default().env(&[
        ("OSS_ACCESS_KEY_ID", "id"),
        ("OSS_ACCESS_KEY_SECRET", "hunter2"),
        ("HTTPS_PROXY", "http://u:hunter2@proxy"),
    ]);
    let settings = world.resolve(&region("cn-hangzhou")).unwrap();
    let text = settings.origins.join("\n");
    for part in
        ["region cn-hangzhou from --region", "access key id", "OSS_*", "proxy from HTTPS_PROXY", "state in"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!format!("{text}{settings:?}").contains("hunter2"));
}

#[test]
fn the_proxy_is_that_of_the_scheme() {
    let world = World::default().env(OSS_PAIR).env(&[
        ("HTTPS_PROXY", "http://s"),
        ("HTTP_PROXY", "http://c"),
        ("https_proxy", "http://lower"),
    ]);
    let proxy = |args: &ConnectionArgs| world.resolve(args).unwrap().network.options().proxy;
    let url = |text: &str| Some(text.parse().unwrap());
    assert_eq!(proxy(&region("cn-hangzhou")), url("http://lower"));
    assert_eq!(proxy(&endpoint("http://oss-cn-hangzhou.aliyuncs.com")), url("http://c"));
    let flag = ConnectionArgs { proxy: Some("http://f".to_owned()), ..region("cn-hangzhou") };
    assert_eq!(proxy(&flag), url("http://f"));
}

#[test]
fn a_proxy_that_cannot_be_used_is_refused_and_never_passed_by() {
    for (variable, value) in [
        ("ALL_PROXY", "ftp://proxy"),
        ("https_proxy", "sock5://u:hunter2@proxy:1080"),
        ("HTTPS_PROXY", "htp://proxy:3128"),
        ("all_proxy", "http://"),
    ] {
        let world = World::default().env(OSS_PAIR).env(&[(variable, value)]);
        let error = world.resolve(&region("cn-hangzhou")).unwrap_err();
        assert!(error.to_string().contains(variable), "{error}");
        assert!(!crate::failure::chain(&error).contains("hunter2"));
        assert_eq!(crate::failure::Failure::from(error).kind.exit_code(), 2);
        world.resolve(&endpoint("local:/store")).unwrap();
    }
    let gnome = World::default().env(OSS_PAIR).env(&[("ALL_PROXY", "socks://127.0.0.1:1080/")]);
    let settings = gnome.resolve(&region("cn-hangzhou")).unwrap();
    assert_eq!(settings.network.options().proxy, "socks5://127.0.0.1:1080/".parse().ok());
}

#[test]
fn a_region_that_is_not_known_is_doubted_and_used() {
    let world = World::default().env(OSS_PAIR);
    let settings = world.resolve(&region("cn-hangzou")).unwrap();
    assert!(settings.is_doubtful() && settings.region.as_str() == "cn-hangzou");
    assert!(settings.warnings[0].contains("did you mean cn-hangzhou?"), "{:?}", settings.warnings);
    let settings = world.resolve(&region("cn-hangzhou")).unwrap();
    assert!(!settings.is_doubtful() && settings.warnings.is_empty());
}

#[test]
fn an_unknown_mode_is_named() {
    let world = World::default()
        .file(ALIYUN, r#"{"profiles":[{"name":"default","mode":"OAuth","access_key_id":"x"}]}"#);
    let error = world.resolve(&region("cn-hangzhou")).and_then(|mut s| s.credentials()).unwrap_err();
    assert!(crate::failure::chain(&error).contains("OAuth"));
}

#[test]
fn a_login_of_the_aliyun_cli_remembers_its_file() {
    let login = r#"{"current":"chained","profiles":[
        {"name":"sso","mode":"CloudSSO","cloud_sso_sign_in_url":"https://x","region_id":"cn-hangzhou"},
        {"name":"chained","mode":"ChainableRamRoleArn","source_profile":"sso","ram_role_arn":"arn"}]}"#;
    let world = World::default().file(ALIYUN, login);
    let is_kept = |method: &CredentialSource| {
        matches!(method, CredentialSource::CloudSso { profile, file: Some(file), .. }
            if profile == "sso" && file == Path::new(ALIYUN))
    };
    let named = ConnectionArgs { profile: Some("sso".to_owned()), ..region("cn-hangzhou") };
    assert!(is_kept(&world.resolve(&named).unwrap().credentials().unwrap()));
    let method = world.resolve(&region("cn-hangzhou")).unwrap().credentials().unwrap();
    assert!(matches!(method, CredentialSource::AssumeRole { source, .. } if is_kept(&source)));
}

#[test]
fn temporary_keys_stay_together() {
    let world = World::default().env(OSS_PAIR).env(&[("OSS_SESSION_TOKEN", "t")]);
    let method = world.resolve(&region("cn-hangzhou")).unwrap().credentials().unwrap();
    assert_eq!(method, CredentialSource::Keys(Credentials::new("oss", "s").with_token("t")));
}
