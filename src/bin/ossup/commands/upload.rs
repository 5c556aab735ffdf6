use ossup::image::{DiskRole, Expected};
use serde_json::json;

use super::late;
use super::plan::{self, Planned};
use super::transfer;
use crate::args::{FormArg, UploadArgs};
use crate::context::Context;
use crate::failure::{Failure, Kind};
use crate::origin::{Opening, Ready};

/// Uploads images, one after the other, and prints the objects' URLs.
pub(crate) async fn run(args: &UploadArgs, context: &Context) -> Result<(), Failure> {
    let several = args.images.len() > 1;
    if several && !args.target.is_folder() {
        let text = format!("{} images cannot all become `{}`", args.images.len(), args.target);
        return Err(
            Failure::new(Kind::Usage, text).hint("end the destination with / to append each file's name")
        );
    }
    let opening = Opening {
        context,
        args: &args.source,
        connection: &args.connection,
        retry: &args.transfer.retry,
        allow_busy: args.transfer.allow_busy,
        memory: args.transfer.max_memory.map(|size| size.0),
        default: FormArg::AsIs,
        dry_run: args.plan.dry_run,
    };
    // Everything is checked before the first byte is sent.
    let mut opened = Vec::new();
    for image in &args.images {
        opened.push(opening.open(image).await?);
    }
    let connection = context.connect(&args.connection, &args.transfer.retry, Some(&args.target.bucket))?;
    let mut images: Vec<Ready> = Vec::new();
    for opened in opened {
        let named = |name: Option<&str>| {
            args.target.object_named(name).map_err(|error| Failure::from_error(Kind::Usage, &error))
        };
        let begun = |object: &_| transfer::begun_form(&connection, &args.object, object);
        let ready = opened.settle(&opening, named, begun).await?;
        if images.iter().any(|other| other.object == ready.object) {
            let text = format!("two images would become `{}`", ready.object);
            return Err(Failure::new(Kind::Usage, text).hint("upload them to different folders"));
        }
        images.push(ready);
    }
    let mut reports = Vec::new();
    for image in &mut images {
        // The disk's role and operating system are known only when it is imported.
        let expected = Expected::new(DiskRole::Data, image.name.clone());
        reports.push(image.inspect(context, expected, &args.inspection, true).await?);
    }
    let limits = transfer::limits(&args.transfer);
    if args.plan.dry_run {
        let planned = images.into_iter().zip(reports).map(|(image, report)| {
            Planned::new(context, &connection, (image, report), &args.object, &args.transfer, &limits)
        });
        let planned = planned.collect::<Result<Vec<_>, _>>()?;
        return plan::plan(context, &connection, &planned, &limits, args.plan).await?.show(
            context,
            json!({}),
            "",
        );
    }
    let mut done = Vec::new();
    for image in images {
        let (object, late) = (image.object.clone(), image.late().cloned());
        let uploaded = transfer::upload(context, &connection, image, &args.object, &args.transfer, &limits);
        let report = match uploaded.await {
            Ok(report) => report,
            Err(failure) if several => return Err(failure.with_members(json!({"uploads": done}))),
            Err(failure) => return Err(failure),
        };
        let url = connection.url(&object);
        context.output.text(&url)?;
        let unread = late.as_ref().and_then(late::unread);
        if let Some(reason) = unread {
            context.output.status(format!(
                "the system on the disk is not known: {reason}; `ossup inspect {object}` looks into the object"
            ));
        }
        done.push(transfer::object(&report, &url, unread));
    }
    match <[_; 1]>::try_from(done) {
        Ok([object]) => context.output.object(object),
        Err(done) => context.output.object(json!({"uploads": done})),
    }
}
