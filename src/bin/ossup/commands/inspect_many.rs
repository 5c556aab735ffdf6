//! Many images at once: a table, in which one that cannot be read is a line as any other.

use std::path::Path;

use serde_json::{Value, json};

use super::inspect::{Inspected, look};
use super::report_text::{json_fields, word};
use super::{inspection, report_text};
use crate::args::{ImageArg, ImageOrObject, InspectArgs};
use crate::context::Context;
use crate::failure::{Failure, Kind};
use crate::ui::{Table, bytes};

/// Returns the images that were named; of a folder, the files in it.
pub(super) fn named(args: &InspectArgs) -> Result<Vec<ImageOrObject>, Failure> {
    let mut all = Vec::new();
    for image in &args.images {
        match image {
            ImageOrObject::Image(ImageArg::File(path)) if path.is_dir() => all.extend(files(path)?),
            other => all.push(other.clone()),
        }
    }
    Ok(all)
}

/// Whether several images were asked for, though a folder may hold one.
pub(super) fn is_asked(args: &InspectArgs) -> bool {
    let folder = |image: &ImageOrObject| match image {
        ImageOrObject::Image(ImageArg::File(path)) => path.is_dir(),
        _ => false,
    };
    args.images.len() > 1 || args.images.iter().any(folder)
}

/// Lists the files of a folder that are not hidden, by their names.
fn files(folder: &Path) -> Result<Vec<ImageOrObject>, Failure> {
    let failed = |error: std::io::Error| {
        Failure::from_error(Kind::Usage, &error)
            .context(format!("cannot read the folder `{}`", folder.display()))
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.is_file() {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(Failure::new(Kind::Usage, format!("there is no file in `{}`", folder.display())));
    }
    files.sort();
    Ok(files.into_iter().map(|path| ImageOrObject::Image(ImageArg::File(path))).collect())
}

/// Inspects one image after the other, and ends as the worst of them would.
pub(super) async fn run(
    args: &InspectArgs,
    images: &[ImageOrObject],
    context: &Context,
) -> Result<(), Failure> {
    let mut table = Table::new(&["IMAGE", "FORMAT", "SIZE", "GUEST", "VERDICT", "WORST FINDING"]);
    let (mut all, mut worst): (Vec<Value>, Option<Failure>) = (Vec::new(), None);
    for image in images {
        let looked = look(args, image, context).await;
        // Whoever stops the command does not mean one image.
        if context.stop.is_asked() {
            return looked.map(drop);
        }
        let failure = match looked {
            Ok(Inspected { name, subject, report }) => {
                let finding =
                    report.worst_first().first().map(|finding| inspection::sentence(finding, Some(&subject)));
                table.row([
                    name.clone(),
                    report.format.name().to_owned(),
                    report.virtual_size.map(bytes).unwrap_or_default(),
                    report_text::title(&report),
                    word(&report.verdict()),
                    finding.unwrap_or_default(),
                ]);
                all.push(json_fields(&name, &subject, &report));
                inspection::judge(&name, &subject, &report, args.strict, None).err()
            }
            Err(failure) => {
                let (name, line) = (image.to_string(), failure.line());
                all.push(json!({"image": name, "error": line}));
                table.row([name, String::new(), String::new(), String::new(), "unread".to_owned(), line]);
                Some(failure)
            }
        };
        // What is refused is worse than what could not be read: it is known.
        let rank = |failure: &Failure| (failure.kind == Kind::ImageRefused, failure.kind.exit_code());
        if let Some(failure) = failure
            && worst.as_ref().is_none_or(|worst| rank(&failure) > rank(worst))
        {
            worst = Some(failure);
        }
    }
    context.output.text(&table.text())?;
    let fields = json!({"images": all});
    match worst {
        None => context.output.object(fields),
        Some(failure) => Err(failure.with_members(fields)),
    }
}
