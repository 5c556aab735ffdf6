//! Commands that continue something, as a user would type them.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::ValueEnum;
use ossup::model::{ObjectRef, UploadId};

use crate::args::values::EndpointArg;
use crate::args::{ConnectionArgs, SignVersionArg};
use crate::ui::word;

/// Returns the command that resumes an upload, with the options that its checkpoint does not record.
pub(crate) fn resume(object: &ObjectRef, connection: &ConnectionArgs) -> String {
    let local = connection.endpoint.as_ref().filter(|endpoint| matches!(endpoint, EndpointArg::Local(_)));
    let style = connection.addressing_style.and_then(|style| style.to_possible_value());
    let options = [
        ("--endpoint", local.and_then(typed)),
        ("--addressing-style", style.map(|style| style.get_name().to_owned())),
        ("--state-dir", connection.state_dir.as_ref().map(|path| path.display().to_string())),
        ("--sign-version", (connection.sign_version == SignVersionArg::V1).then(|| "v1".to_owned())),
    ];
    let words = ["ossup", "resume", &object.to_string()].map(str::to_owned);
    command(&words, options.into_iter().chain(account(connection)))
}

/// Returns the command that aborts one of several uploads of an object.
pub(crate) fn abort(object: &ObjectRef, id: &UploadId, connection: &ConnectionArgs) -> String {
    let style = connection.addressing_style.and_then(|style| style.to_possible_value());
    let options = [
        ("--region", connection.region.as_ref().map(ToString::to_string)),
        ("--endpoint", connection.endpoint.as_ref().and_then(as_typed)),
        ("--addressing-style", style.map(|style| style.get_name().to_owned())),
        ("--state-dir", connection.state_dir.as_ref().map(|path| path.display().to_string())),
        ("--sign-version", (connection.sign_version == SignVersionArg::V1).then(|| "v1".to_owned())),
    ];
    let words = ["ossup", "abort", &object.to_string(), &format!("--upload-id={id}")].map(str::to_owned);
    command(&words, options.into_iter().chain(account(connection)))
}

/// An endpoint as it was typed.
fn as_typed(endpoint: &EndpointArg) -> Option<String> {
    Some(match endpoint {
        EndpointArg::Public => "public".to_owned(),
        EndpointArg::Internal => "internal".to_owned(),
        EndpointArg::Accelerate => "accelerate".to_owned(),
        EndpointArg::DualStack => "dual-stack".to_owned(),
        EndpointArg::Local(_) | EndpointArg::Url(_) => return typed(endpoint),
    })
}

/// Returns the `ossup image` command about an image or its task, in its own region.
pub(crate) fn image(verb: &str, id: &str, region: &str, connection: &ConnectionArgs) -> String {
    let options = [
        ("--region", Some(region.to_owned())),
        ("--endpoint", connection.endpoint.as_ref().and_then(typed)),
        ("--ecs-endpoint", connection.ecs_endpoint.clone()),
    ];
    let words = ["ossup", "image", verb, id].map(str::to_owned);
    command(&words, options.into_iter().chain(account(connection)))
}

/// An endpoint as it was typed, if it is an address and not a kind.
fn typed(endpoint: &EndpointArg) -> Option<String> {
    match endpoint {
        EndpointArg::Local(folder) => Some(format!("local:{}", folder.display())),
        EndpointArg::Url(url) => Some(url.clone()),
        _ => None,
    }
}

/// The options that select the account and the network path.
fn account(connection: &ConnectionArgs) -> [(&'static str, Option<String>); 4] {
    let path = |path: &PathBuf| path.display().to_string();
    [
        ("--profile", connection.profile.clone()),
        ("--config-file", connection.config_file.as_ref().map(path)),
        ("--ca-file", connection.ca_file.as_ref().map(path)),
        // A proxy's URL may hold a password.
        ("--proxy", connection.proxy.clone().filter(|url| !url.contains('@'))),
    ]
}

fn command(words: &[String], options: impl Iterator<Item = (&'static str, Option<String>)>) -> String {
    let mut command = words.iter().map(|text| word(text)).collect::<Vec<_>>().join(" ");
    for (name, value) in options {
        if let Some(value) = value {
            let _ = write!(command, " {name} {}", word(&value));
        }
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_that_resumes_has_what_the_checkpoint_does_not_remember() {
        let object = "oss://images/it's.raw".parse().unwrap();
        let mut connection =
            ConnectionArgs { proxy: Some("http://u:secret@proxy".into()), ..Default::default() };
        connection.endpoint = Some(EndpointArg::Url("https://oss-cn-hangzhou.aliyuncs.com".into()));
        assert_eq!(resume(&object, &connection), r"ossup resume 'oss://images/it'\''s.raw'");
        connection.endpoint = Some(EndpointArg::Local("my store".into()));
        connection.state_dir = Some("state".into());
        connection.sign_version = SignVersionArg::V1;
        assert_eq!(
            resume(&"oss://images/x".parse().unwrap(), &connection),
            "ossup resume oss://images/x --endpoint 'local:my store' --state-dir state --sign-version v1"
        );
    }

    #[test]
    fn the_command_that_aborts_reaches_the_same_bucket() {
        let connection = ConnectionArgs {
            region: Some("cn-hangzhou".parse().unwrap()),
            endpoint: Some(EndpointArg::Internal),
            ..ConnectionArgs::default()
        };
        let command = abort(&"oss://images/a b".parse().unwrap(), &UploadId::new("ID"), &connection);
        let expected =
            "ossup abort 'oss://images/a b' --upload-id=ID --region cn-hangzhou --endpoint internal";
        assert_eq!(command, expected);
    }

    #[test]
    fn the_command_that_follows_an_import_asks_the_same_service_by_the_same_account() {
        let region = "cn-hangzhou";
        let mut connection = ConnectionArgs::default();
        assert_eq!(
            image("wait", "t-1", region, &connection),
            "ossup image wait t-1 --region cn-hangzhou",
            "the variables and the default profile are there next time too"
        );
        connection.endpoint = Some(EndpointArg::Local("store".into()));
        connection.profile = Some("prod".into());
        assert_eq!(
            image("wait", "t-1", region, &connection),
            "ossup image wait t-1 --region cn-hangzhou --endpoint local:store --profile prod"
        );
    }
}
