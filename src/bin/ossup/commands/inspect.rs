use super::inspection::{self, Depth};
use super::report_text::{json_fields, text};
use crate::args::{FormArg, ImageOrObject, InspectArgs, SourceArgs};
use crate::context::Context;
use crate::failure::Failure;
use crate::origin::Opening;
use crate::ui::advice::Subject;

/// Prints what an image is and what the checks found.
pub(crate) async fn run(args: &InspectArgs, context: &Context) -> Result<(), Failure> {
    let (name, subject, report) = match &args.image {
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
            let report = opened.report(context, args.expected(name.clone()), args.looks_inside()).await?;
            (name, subject, report)
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
            (object.to_string(), Subject::object(object.key.as_str()), report)
        }
    };
    let json_fields = json_fields(&name, &subject, &report);
    context.output.text(&text(&name, &subject, &report))?;
    match inspection::judge(&name, &subject, &report, args.strict, None) {
        Ok(()) => context.output.object(json_fields),
        // JSON output is one object: the report, with the error in it.
        Err(failure) => Err(failure.with_members(json_fields)),
    }
}
