use ossup::source::FileSource;
use ossup::state::{Checkpoint, StateDir};
use serde_json::json;

use super::transfer;
use crate::args::values::EndpointArg;
use crate::args::{ConnectionArgs, ResumeArgs, TargetArgs};
use crate::context::Context;
use crate::failure::{Failure, Kind};

/// Continues the unfinished uploads that the state directory knows, one after the other.
///
/// One that fails does not keep the others from going on; the first failure is the command's.
pub(crate) async fn run(args: &ResumeArgs, context: &Context) -> Result<(), Failure> {
    let root = context.state_dir(&args.connection)?;
    let stored = StateDir::new(root).uploads()?;
    let wanted = |checkpoint: &Checkpoint| {
        args.object.as_ref().is_none_or(|object| *object == checkpoint.object)
            && args.connection.region.as_ref().is_none_or(|region| *region == checkpoint.region)
    };
    let unfinished: Vec<_> =
        stored.readable.into_iter().map(|upload| upload.checkpoint).filter(wanted).collect();
    let (mut done, mut failed) = (Vec::new(), None::<Failure>);
    for error in stored.unreadable {
        // Whose upload it is cannot be told. Who asks for everything must learn that something is left.
        match &failed {
            None if args.object.is_none() => failed = Some(error.into()),
            _ => context.output.warning(error.to_string()),
        }
    }
    if let (Some(object), true) = (&args.object, unfinished.is_empty()) {
        return Err(Failure::new(Kind::Other, format!("no unfinished upload of `{object}` is known here")));
    }
    if unfinished.is_empty() && failed.is_none() {
        context.output.remark("nothing is unfinished");
    }
    let limits = transfer::limits(&args.transfer);
    for checkpoint in unfinished {
        match one(&checkpoint, args, context, &limits).await {
            Ok((object, url)) => {
                context.output.text(&url)?;
                done.push(object);
            }
            Err(failure) => {
                let stop = failure.is_interruption();
                match &failed {
                    // Only one failure can be the command's; the others are shown as they come.
                    Some(_) => context.output.warning(failure.text()),
                    None => failed = Some(failure),
                }
                if stop {
                    break;
                }
            }
        }
    }
    match failed {
        Some(failure) => Err(failure),
        None => context.output.object(json!({"uploads": done})),
    }
}

async fn one(
    checkpoint: &Checkpoint,
    args: &ResumeArgs,
    context: &Context,
    limits: &ossup::transfer::Limits,
) -> Result<(serde_json::Value, String), Failure> {
    let object = &checkpoint.object;
    context.output.remark(format!("resuming `{}` to `{object}`", checkpoint.source.name));
    let mut connection: ConnectionArgs = args.connection.clone();
    connection.region = Some(checkpoint.region.clone());
    if connection.endpoint.is_none() {
        connection.endpoint = Some(EndpointArg::Url(checkpoint.endpoint.clone()));
    }
    let source = FileSource::open(&checkpoint.source.name)?;
    let connection = context.connect(&connection, &args.transfer.retry, Some(&object.bucket))?;
    let target = TargetArgs { overwrite: checkpoint.overwrite, ..TargetArgs::default() };
    let report =
        transfer::upload(context, &connection, source, object, &target, &args.transfer, limits).await?;
    let url = connection.url(object);
    context.output.remark(transfer::sentence(&report));
    Ok((transfer::object(&report, &url), url))
}
