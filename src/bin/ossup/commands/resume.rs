use ossup::session::SessionError;
use ossup::state::{Checkpoint, StateDir, StateError};
use ossup::upload::UploadError;
use serde_json::{Value, json};

use super::transfer::{self, Prepared};
use crate::args::values::EndpointArg;
use crate::args::{AddressingArg, ConnectionArgs, ResumeArgs, TargetArgs};
use crate::context::Context;
use crate::failure::{self, Failure, Kind, ResumeHint, again};
use crate::origin::Ready;

/// The outcome of one upload.
enum Outcome {
    /// It is done: its object for JSON, and its URL.
    Done(Value, String),
    /// It was not named, and this command cannot continue it.
    Skipped(String),
}

/// Continues the unfinished uploads that the state directory knows, one after the other.
///
/// One that fails does not stop the others; the first failure is the command's. Without an object, those that no longer
/// exist on the bucket, or that another process is running, are skipped.
pub(crate) async fn run(args: &ResumeArgs, context: &Context) -> Result<(), Failure> {
    let root = context.state_dir(&args.connection)?;
    let stored = StateDir::new(root).uploads()?;
    let wanted = |checkpoint: &Checkpoint| {
        args.object.as_deref().is_none_or(|object| *object == checkpoint.object)
            && args.connection.region.as_ref().is_none_or(|region| *region == checkpoint.region)
    };
    let unfinished: Vec<_> =
        stored.readable.into_iter().map(|upload| upload.checkpoint).filter(wanted).collect();
    let (mut done, mut skipped, mut failed) = (Vec::new(), Vec::new(), None::<Failure>);
    for error in stored.unreadable {
        // It is unknown which upload this is. Resuming everything must report that something is left.
        match &failed {
            None if args.object.is_none() => failed = Some(error.into()),
            _ => context.output.warning(error.to_string()),
        }
    }
    if let (Some(object), true) = (&args.object, unfinished.is_empty()) {
        return Err(Failure::new(Kind::Other, format!("no unfinished upload of `{object}` is known here")));
    }
    if unfinished.is_empty() && failed.is_none() {
        context.output.status("no unfinished uploads");
    }
    let limits = transfer::limits(&args.transfer);
    for checkpoint in unfinished {
        match one(&checkpoint, args, context, &limits).await {
            Ok(Outcome::Skipped(reason)) => {
                let object = &checkpoint.object;
                context.output.warning(format!("skipped `{object}`: {reason}"));
                skipped.push(json!({"bucket": object.bucket, "key": object.key, "reason": reason}));
            }
            Ok(Outcome::Done(object, url)) => {
                context.output.text(&url)?;
                done.push(object);
            }
            Err(failure) => {
                let stop = failure.is_interruption();
                let failure = match stop {
                    true => failure,
                    false => failure.context(format!("cannot resume the upload of `{}`", checkpoint.object)),
                };
                match &failed {
                    // Only one failure can be the command's; the others are shown as they come.
                    Some(_) => context.output.warning(failure.line()),
                    None => failed = Some(failure),
                }
                if stop {
                    break;
                }
            }
        }
    }
    let json_fields = json!({"uploads": done, "skipped": skipped});
    match failed {
        Some(failure) => Err(failure.with_members(json_fields)),
        None => context.output.object(json_fields),
    }
}

/// Resumes one upload.
async fn one(
    checkpoint: &Checkpoint,
    args: &ResumeArgs,
    context: &Context,
    limits: &ossup::transfer::Limits,
) -> Result<Outcome, Failure> {
    let object = &checkpoint.object;
    let Some(path) = checkpoint.source.path() else {
        // Where its bytes come from is not kept: a pipe has no name, and the whole of a URL may be secret.
        let text = format!("the upload was started from {}, which cannot be opened again", checkpoint.source);
        if args.object.is_none() {
            return Ok(Outcome::Skipped(text));
        }
        return Err(Failure::new(Kind::Usage, text)
            .hint("run the command again that started it, with the same input"));
    };
    if checkpoint.form.mapped {
        let text = "the upload was started with a map of the image's data, which is not kept".to_owned();
        if args.object.is_none() {
            return Ok(Outcome::Skipped(text));
        }
        return Err(Failure::new(Kind::Usage, text).hint("run the command again that started it"));
    }
    context.output.status(format!("resuming {} to `{object}`", checkpoint.source));
    let connection = connection(checkpoint, &args.connection);
    let form = checkpoint.form.clone();
    let image = Ready::resumed(context, path, args.transfer.allow_busy, object.clone(), form).await?;
    let connection = context.connect(&connection, &args.transfer.retry, Some(&object.bucket))?;
    let (here, there) = (connection.client.service(), checkpoint.service());
    // In state from before services were distinguished, a store in a folder has the address of an emulator.
    let told = checkpoint.service.is_some() || there.is_public();
    if here != there && (there.is_folder() || here.is_folder() && told) {
        let failure = Failure::new(Kind::Usage, format!("the upload was started in another store, {there}"));
        if args.object.is_none() {
            return Ok(Outcome::Skipped(failure.line()));
        }
        return Err(failure.hint("pass that store as --endpoint, for a folder --endpoint local:DIR"));
    }
    let target = TargetArgs {
        overwrite: checkpoint.overwrite,
        storage_class: checkpoint.storage_class,
        ..TargetArgs::default()
    };
    let Prepared { upload, progress, .. } =
        transfer::prepare(context, &connection, image, &target, &args.transfer, limits)?;
    let all = args.object.is_none();
    let result = upload.with_resume_only(all).run().await;
    drop(progress);
    match result {
        Ok(report) => {
            let url = connection.url(object);
            Ok(Outcome::Done(transfer::object(&report, &url, None), url))
        }
        Err(UploadError::Session(SessionError::State(error @ StateError::Locked { .. }))) if all => {
            Ok(Outcome::Skipped(error.to_string()))
        }
        Err(UploadError::Gone { .. }) if all => {
            let again = again::resume(object, &args.connection);
            Ok(Outcome::Skipped(format!(
                "the upload no longer exists on the bucket, after an abort or by a lifecycle rule; `{again}` sends the \
                 file again"
            )))
        }
        Err(error) => Err(failure::upload(&error, ResumeHint::Resume(&connection.typed), &context.stop)),
    }
}

/// Returns how the service is reached: as before, unless something else was typed.
fn connection(checkpoint: &Checkpoint, typed: &ConnectionArgs) -> ConnectionArgs {
    let mut connection = typed.clone();
    connection.region = Some(checkpoint.region.clone());
    if connection.endpoint.is_none() {
        connection.endpoint = Some(EndpointArg::Url(checkpoint.endpoint.clone()));
        connection.addressing_style =
            typed.addressing_style.or(checkpoint.addressing_style.map(AddressingArg::from));
    }
    connection
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> Checkpoint {
        let text = r#"{"version":1,"region":"cn-hangzhou","endpoint":"https://cdn.example.com",
            "addressing_style":"cname","bucket":"images","key":"disk.raw","upload_id":"A",
            "source":{"name":"disk.raw","length":1,"modified_ns":0,"changed_ns":0,"device":0,"inode":0},
            "cut":{"unit":1048576,"part_size":null},"overwrite":false,"created":"2026-01-01T00:00:00Z"}"#;
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_custom_domain_is_still_one_when_the_upload_is_resumed() {
        let found = connection(&checkpoint(), &ConnectionArgs::default());
        assert_eq!(found.endpoint, Some(EndpointArg::Url("https://cdn.example.com".to_owned())));
        assert_eq!(found.addressing_style, Some(AddressingArg::Cname));
        assert_eq!(found.region, Some("cn-hangzhou".parse().unwrap()));
    }

    #[test]
    fn what_is_typed_comes_first() {
        let typed = ConnectionArgs { endpoint: Some(EndpointArg::Internal), ..ConnectionArgs::default() };
        let found = connection(&checkpoint(), &typed);
        assert_eq!((found.endpoint, found.addressing_style), (Some(EndpointArg::Internal), None));
        let typed = ConnectionArgs { addressing_style: Some(AddressingArg::Path), ..typed };
        assert_eq!(connection(&checkpoint(), &typed).addressing_style, Some(AddressingArg::Path));
    }
}
