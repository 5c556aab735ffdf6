use ossup::image::{Role, Wishes};

use super::{inspection, transfer};
use crate::args::UploadArgs;
use crate::context::Context;
use crate::failure::{Failure, Kind};

/// Uploads an image and prints the object's URL.
pub(crate) async fn run(args: &UploadArgs, context: &Context) -> Result<(), Failure> {
    let object =
        args.target.object_for(&args.image).map_err(|error| Failure::from_error(Kind::Usage, &error))?;
    let source = transfer::open(&transfer::absolute(&args.image)?, &args.transfer)?;
    let connection = context.connect(&args.connection, &args.transfer.retry, Some(&object.bucket))?;
    let mut wishes = Wishes::new(Role::System, args.image.display().to_string());
    wishes.key = Some(object.key.as_str().to_owned());
    inspection::before_upload(context, &source, wishes, &args.inspection)?;
    let limits = transfer::limits(&args.transfer);
    let report =
        transfer::upload(context, &connection, source, &object, &args.object, &args.transfer, &limits)
            .await?;
    let url = connection.url(&object);
    context.output.result(transfer::object(&report, &url), &url)
}
