//! Boots an image on this machine and says how far it comes.

mod guest;
pub(crate) mod helper;
mod key;
mod plan;
mod probe;
mod told;

use std::path::Path;

use ossup::boot::{Outcome, Verdict};
use ossup::image::{DiskRole, Expected, Report};
use serde_json::{Value, json};

use crate::args::{
    BootArgs, ConnectionArgs, FormArg, ImageArg, MachineArgs, RetryArgs, SourceArgs, UntilArg,
};
use crate::context::Context;
use crate::failure::{Failure, Kind};
use crate::origin::Opening;
use crate::ui::advice::Subject;
use plan::{Plan, Wish};

pub(super) use told::explaining;

/// Inspects the image, boots it in each mode that is asked for, and prints the verdict.
pub(crate) async fn run(args: &BootArgs, context: &Context) -> Result<(), Failure> {
    let report = inspect(&args.image, &args.machine, context).await?;
    let user_data = args.user_data.as_deref().map(|path| read(path, context)).transpose()?;
    let wish = Wish {
        machine: &args.machine,
        user_data,
        ssh: args.ssh,
        key: args.ssh_key.clone(),
        prompt_is_enough: args.until == UntilArg::Login,
        console: args.console.clone(),
    };
    boot(&args.image, &report, &wish, context).await
}

/// Shows where a system stopped that was booted elsewhere.
pub(super) fn show_stop(verdict: &Verdict, context: &Context) {
    if let Some(stop) = &verdict.stop {
        told::show_stop(stop, &verdict.last_lines, context);
    }
}

/// Boots an image that was inspected, with no more wishes than its machine.
pub(super) async fn test(
    image: &Path,
    report: Option<&Report>,
    machine: &MachineArgs,
    context: &Context,
) -> Result<(), Failure> {
    let inspected;
    let report = match report {
        Some(report) => report,
        None => {
            inspected = inspect(image, machine, context).await?;
            &inspected
        }
    };
    let wish =
        Wish { machine, user_data: None, ssh: false, key: None, prompt_is_enough: false, console: None };
    let (failure, _) = each(image, report, &wish, context).await?;
    failure.map_or(Ok(()), Err)
}

async fn boot(image: &Path, report: &Report, wish: &Wish<'_>, context: &Context) -> Result<(), Failure> {
    let (failure, boots) = each(image, report, wish, context).await?;
    let json_fields = json!({"image": image.display().to_string(), "boots": boots});
    match failure {
        Some(failure) => Err(failure.with_members(json_fields)),
        None => context.output.print(json_fields, &format!("{}: boots", image.display())),
    }
}

/// Boots in each mode. The first that does not come as far as it should fails it, once the others were tried too.
async fn each(
    image: &Path,
    report: &Report,
    wish: &Wish<'_>,
    context: &Context,
) -> Result<(Option<Failure>, Vec<Value>), Failure> {
    let name = image.display().to_string();
    let subject = Subject::file(image);
    let (mut failure, mut boots) = (None, Vec::new());
    for plan in Plan::all(image, report, wish, context)? {
        let verdict = guest::run(&plan, context).await?;
        let explained = explaining(&verdict, report);
        told::show(&plan, &verdict, context);
        boots.push(told::json_fields(&plan, &verdict, &explained, &subject));
        if verdict.outcome != Outcome::Boots && failure.is_none() {
            failure = Some(told::failure(&name, &plan, &verdict, &explained, &subject));
        }
    }
    Ok((failure, boots))
}

/// Inspects a file, and says what speaks against it: that is a prediction, which the boot puts to the test.
async fn inspect(image: &Path, machine: &MachineArgs, context: &Context) -> Result<Report, Failure> {
    let source = SourceArgs { as_is: true, ..SourceArgs::default() };
    let opening = Opening {
        context,
        args: &source,
        connection: &ConnectionArgs::default(),
        retry: &RetryArgs::default(),
        allow_busy: true,
        memory: None,
        default: FormArg::AsIs,
        dry_run: false,
    };
    if !image.is_file() {
        let text = format!("`{}` is not a file", image.display());
        return Err(Failure::new(Kind::Usage, text).hint("unpack or download the image first"));
    }
    let opened = opening.open(&ImageArg::File(image.to_owned())).await?;
    let mut expected = Expected::new(DiskRole::System, image.display().to_string());
    expected.architecture = machine.architecture;
    opened.report(context, expected, true, true).await
}

fn read(path: &Path, context: &Context) -> Result<Vec<u8>, Failure> {
    (context.read)(path).map_err(|error| {
        Failure::from_error(Kind::Usage, &error).context(format!("cannot read `{}`", path.display()))
    })
}
