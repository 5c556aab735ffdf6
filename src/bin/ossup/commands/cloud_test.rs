//! The boot test in an instance: of `publish --boot-test`, and of an image that is there.

use ossup::boot::{Milestone, Outcome, Verdict};
use ossup::boot_test::{BootTest, BootTestError, BootTester, LONGEST_LIMIT};
use ossup::image::Report;
use ossup::manage::Placed;
use serde_json::{Value, json};

use super::boot;
use super::inspection;
use super::manage;
use super::report_text::finding_members;
use crate::args::{ImageBootTestArgs, InstanceArgs, WhereArgs};
use crate::context::Context;
use crate::failure::{Failure, Kind};
use crate::ui::ImportsShown;
use crate::ui::advice::Subject;

/// Returns the test that is asked for. What it needs is not guessed: an instance costs money, and its network is the
/// user's.
pub(super) fn wanted(args: &InstanceArgs) -> Result<BootTest, Failure> {
    let (Some(instance_type), Some(vswitch), Some(group)) =
        (&args.instance_type, &args.vswitch, &args.security_group)
    else {
        let options = [
            ("--instance-type TYPE", args.instance_type.is_some()),
            ("--vswitch ID", args.vswitch.is_some()),
            ("--security-group ID", args.security_group.is_some()),
        ];
        let missing: Vec<_> =
            options.iter().filter(|(_, is_there)| !is_there).map(|(option, _)| *option).collect();
        let listed = match &missing[..] {
            [others @ .., last] if !others.is_empty() => format!("{} and {last}", others.join(", ")),
            missing => missing.concat(),
        };
        let text = format!("a boot test on the cloud needs {listed} too");
        return Err(Failure::new(Kind::Usage, text).hint(
            "nothing is chosen for you: the type of the instances that the image is for, and a vSwitch and a security \
             group of one VPC in the image's region",
        ));
    };
    let test = BootTest::new(instance_type, vswitch, group);
    Ok(match &args.boot_timeout {
        Some(limit) if limit.0 > LONGEST_LIMIT => {
            let hours = LONGEST_LIMIT.as_secs() / 3600;
            return Err(Failure::new(Kind::Usage, format!("--boot-timeout is at most {hours}h")));
        }
        Some(limit) => test.with_limit(limit.0),
        None => test,
    })
}

/// Tests an image that is there.
pub(crate) async fn run(args: &ImageBootTestArgs, context: &Context) -> Result<(), Failure> {
    let test = wanted(&args.instance)?;
    let place = WhereArgs {
        all_regions: false,
        except: Vec::new(),
        connection: args.connection.clone(),
        retry: args.retry.clone(),
    };
    let found = context.stop.or(manage::one(&place, &args.image, context)).await?;
    let Placed { region, image, .. } = found;
    if image.os_type.as_deref().is_some_and(|os| os.eq_ignore_ascii_case("windows")) {
        let text = format!("image {} is Windows, of which ECS shows no console", image.image_id);
        return Err(Failure::new(Kind::Usage, text));
    }
    let connection = context.connect(&args.connection, &args.retry, None)?;
    let shown = ImportsShown::start(context.output);
    let tester = BootTester::new(connection.client, test)
        .with_events(shown.sink())
        .with_cancellation(context.stop.token());
    // Why it could not be had is known before there is an instance.
    let architecture = image.architecture.as_deref().and_then(|name| name.parse().ok());
    match context.stop.or(async { Ok(tester.check(&region, architecture).await) }).await? {
        Err(BootTestError::Unchecked) | Ok(()) => {}
        Err(error) => return Err(error.into()),
    }
    let tested = tester.test(&region, &image.image_id).await;
    drop(shown);
    let fields = json!({"region": region, "image_id": image.image_id, "name": image.name});
    match tested {
        Ok(verdict) => {
            let text = format!("{}: boots, {}", image.image_id, at_login(&verdict));
            context.output.print(super::importing::joined(fields, members(&verdict, None)), &text)
        }
        Err(BootTestError::Cancelled) => Err(context.stop.failure("stopped").resumable(true)),
        Err(error) => Err(failure(error, None, context)),
    }
}

/// Returns the failure of a test. Where the image was inspected, what explains it is said.
pub(super) fn failure(
    error: BootTestError,
    looked: Option<(&Report, &Subject)>,
    context: &Context,
) -> Failure {
    let BootTestError::DoesNotBoot { region, image_id, verdict, .. } = &error else { return error.into() };
    boot::show_stop(verdict, context);
    let explained = looked.map(|(report, _)| boot::explaining(verdict, report)).unwrap_or_default();
    let said: Vec<_> = explained.iter().map(|finding| inspection::sentence(finding, None)).collect();
    let why = match (&said[..], &verdict.stop) {
        ([], Some(stop)) if stop.cause == ossup::boot::Cause::Silence => {
            "an instance is heard only if its kernel writes to ttyS0: `console=ttyS0` on the kernel's command line"
                .to_owned()
        }
        ([], _) => format!("`ossup boot` shows more of it on this machine; image {image_id} in {region} is kept"),
        _ => format!("this explains it: {}; image {image_id} in {region} is kept", said.join("; ")),
    };
    let fields = json!({"region": region, "image_id": image_id, "boot_test": members(verdict, looked)});
    Failure::from_error(Kind::DoesNotBoot, &error).hint(why).with_members(fields)
}

/// Returns a verdict for `--output json`.
pub(super) fn members(verdict: &Verdict, looked: Option<(&Report, &Subject)>) -> Value {
    let mut fields = serde_json::to_value(verdict).unwrap_or_default();
    fields["boots"] = json!(verdict.outcome == Outcome::Boots);
    if let Some((report, subject)) = looked {
        let explained = boot::explaining(verdict, report);
        fields["explained_by"] = explained.iter().map(|finding| finding_members(finding, subject)).collect();
    }
    fields
}

fn at_login(verdict: &Verdict) -> String {
    let prompt = verdict.reached.iter().find(|reached| reached.milestone == Milestone::Prompt);
    match prompt {
        Some(prompt) => format!("login prompt after {:.0} s", prompt.seconds),
        None => "login prompt reached".to_owned(),
    }
}
