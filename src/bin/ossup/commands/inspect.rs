use ossup::image::Report;
use serde_json::json;

use super::inspection::{self, Depth};
use super::report_text::{json_fields, text};
use super::{fix_script, inspect_many};
use crate::args::{FormArg, ImageOrObject, InspectArgs, SourceArgs};
use crate::context::Context;
use crate::failure::Failure;
use crate::origin::Opening;
use crate::ui::advice::Subject;

/// An image, and what the checks found.
pub(super) struct Inspected {
    pub(super) name: String,
    pub(super) subject: Subject,
    pub(super) report: Report,
}

/// Prints what images are and what the checks found, or what mends it.
pub(crate) async fn run(args: &InspectArgs, context: &Context) -> Result<(), Failure> {
    let images = inspect_many::named(args)?;
    let [image] = &images[..] else { return inspect_many::run(args, &images, context).await };
    if inspect_many::is_asked(args) {
        return inspect_many::run(args, &images, context).await;
    }
    let Inspected { name, subject, report } = look(args, image, context).await?;
    if args.fix_script {
        let script = fix_script::script(&name, &subject, &report);
        return context.output.print(json!({"image": name, "fix_script": script}), &script);
    }
    let json_fields = json_fields(&name, &subject, &report);
    context.output.text(&text(&name, &subject, &report))?;
    match inspection::judge(&name, &subject, &report, args.strict, None) {
        Ok(()) => context.output.object(json_fields),
        // JSON output is one object: the report, with the error in it.
        Err(failure) => Err(failure.with_members(json_fields)),
    }
}

/// Inspects one image.
pub(super) async fn look(
    args: &InspectArgs,
    image: &ImageOrObject,
    context: &Context,
) -> Result<Inspected, Failure> {
    match image {
        ImageOrObject::Image(image) => {
            let source =
                SourceArgs { member: args.member.clone(), as_is: args.as_is, ..SourceArgs::default() };
            let opening = Opening {
                context,
                args: &source,
                connection: &args.connection,
                retry: &args.retry,
                allow_busy: true,
                memory: None,
                default: FormArg::AsIs,
                dry_run: false,
            };
            let opened = opening.open(image).await?;
            let (name, subject) = (opened.name.clone(), opened.subject.clone());
            let report =
                opened.report(context, args.expected(name.clone()), args.looks_inside(), args.deep).await?;
            Ok(Inspected { name, subject, report })
        }
        ImageOrObject::Object(object) => {
            let connection = context.connect(&args.connection, &args.retry, Some(&object.bucket))?;
            let mut expected = args.expected(object.to_string());
            expected.key = Some(object.key.as_str().to_owned());
            let depth = match (args.looks_inside(), args.deep) {
                (false, _) => Depth::Image,
                (true, false) => Depth::Guest,
                (true, true) => Depth::Deep,
            };
            let report = inspection::object(&connection.client, object, &expected, depth).await?;
            Ok(Inspected { name: object.to_string(), subject: Subject::object(object.key.as_str()), report })
        }
    }
}
