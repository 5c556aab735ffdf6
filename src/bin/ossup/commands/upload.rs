use ossup::image::{DiskRole, Expected};
use serde_json::json;

use super::{inspection, transfer};
use crate::args::UploadArgs;
use crate::context::Context;
use crate::failure::{Failure, Kind};

/// Uploads images, one after the other, and prints the objects' URLs.
pub(crate) async fn run(args: &UploadArgs, context: &Context) -> Result<(), Failure> {
    let several = args.images.len() > 1;
    if several && !args.target.is_folder() {
        let text = format!("{} images cannot all become `{}`", args.images.len(), args.target);
        return Err(
            Failure::new(Kind::Usage, text).hint("end the destination with / to append each file's name")
        );
    }
    // Everything is checked before the first byte is sent.
    let mut files = Vec::new();
    for image in &args.images {
        let object =
            args.target.object_for(image).map_err(|error| Failure::from_error(Kind::Usage, &error))?;
        if files.iter().any(|(_, other)| *other == object) {
            let text = format!("two images would become `{object}`");
            return Err(Failure::new(Kind::Usage, text).hint("upload them to different folders"));
        }
        let source = transfer::open(&transfer::absolute(image)?, &args.transfer)?;
        files.push((source, object));
    }
    let bucket = Some(&args.target.bucket);
    let connection = context.connect(&args.connection, &args.transfer.retry, bucket)?;
    for (image, (source, object)) in args.images.iter().zip(&files) {
        // The disk's role and operating system are known only when it is imported.
        let mut expected = Expected::new(DiskRole::Data, image.display().to_string());
        expected.key = Some(object.key.as_str().to_owned());
        inspection::before_upload(context, source, expected, &args.inspection)?;
    }
    let limits = transfer::limits(&args.transfer);
    let mut done = Vec::new();
    for (source, object) in files {
        let uploaded =
            transfer::upload(context, &connection, source, &object, &args.object, &args.transfer, &limits);
        let report = match uploaded.await {
            Ok(report) => report,
            Err(failure) if several => return Err(failure.with_members(json!({"uploads": done}))),
            Err(failure) => return Err(failure),
        };
        let url = connection.url(&object);
        context.output.text(&url)?;
        done.push(transfer::object(&report, &url));
    }
    match <[_; 1]>::try_from(done) {
        Ok([object]) => context.output.object(object),
        Err(done) => context.output.object(json!({"uploads": done})),
    }
}
