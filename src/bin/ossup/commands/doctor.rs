use std::time::Duration;

use ossup::credentials::CredentialSource;
use ossup::doctor::{self, Area, Check, Doctor, FIDELITY_PREFIX, Verdict};
use ossup::model::BucketName;
use ossup::protocol::oss::{self, GetBucketInfo, GetBucketWorm};
use ossup::transfer::HostLimits;
use serde_json::json;

use super::doctor_text;
use crate::args::{DoctorArgs, RetryArgs};
use crate::context::{Connection, Context};
use crate::failure::{self, Failure, Kind};
use crate::ui::counted;

/// How long each endpoint is measured.
const SPAN: Duration = Duration::from_secs(10);

/// Says what works from here and what does not.
pub(crate) async fn run(args: &DoctorArgs, context: &Context) -> Result<(), Failure> {
    if let Some(url) = args.bucket.as_ref().filter(|_| args.fidelity) {
        return fidelity(args, &url.bucket, context).await;
    }
    let mut checks = Vec::new();
    match connect(args, context) {
        Ok((connection, told)) => {
            checks.extend(settings(&connection));
            checks.extend(missing(&told));
            checks.extend(services(args, context, &connection, told.ok()).await);
        }
        Err(failure) => checks.push(of_failure("settings", failure)),
    }
    checks.extend(machine(args, context));
    if context.stop.is_asked() {
        context.output.text(&doctor_text::text(&checks))?;
        return Err(context.stop.failure("stopped; what was made is removed, or named above"));
    }
    let failed = checks.iter().filter(|check| check.verdict == Verdict::Fail).count();
    let object = json!({"checks": checks, "failed": failed});
    match worst(&checks) {
        None => context.output.print(object, &doctor_text::text(&checks)),
        Some(kind) => {
            context.output.text(&doctor_text::text(&checks))?;
            let text =
                if failed == 1 { "one check failed".to_owned() } else { format!("{failed} checks failed") };
            Err(Failure::new(kind, text).with_members(object))
        }
    }
}

/// Asks what only a real account can settle, and prints the report.
async fn fidelity(args: &DoctorArgs, bucket: &BucketName, context: &Context) -> Result<(), Failure> {
    let connection = context.connect(&args.connection, &RetryArgs::default(), Some(bucket))?;
    refuse_what_keeps(&connection, bucket).await?;
    context.output.status(format!("asking what OSS and ECS do, under oss://{bucket}/{FIDELITY_PREFIX}"));
    let doctor = Doctor::new(&connection.client, None).with_cancellation(context.stop.token());
    let report = doctor.fidelity(bucket).await;
    for left in &report.remains {
        context.output.warning(format!("could not be removed: {left}"));
    }
    context.output.print(serde_json::to_value(&report).unwrap_or_default(), report.markdown().trim_end())?;
    if context.stop.is_asked() {
        return Err(context.stop.failure("stopped; what was made is removed, or named above"));
    }
    match report.remains.is_empty() {
        true => Ok(()),
        false => {
            let text = format!(
                "{} could not be removed from the bucket",
                counted(report.remains.len() as u64, "thing", "things")
            );
            Err(Failure::new(Kind::Other, text))
        }
    }
}

/// Refuses a bucket in which what is deleted stays.
async fn refuse_what_keeps(connection: &Connection, bucket: &BucketName) -> Result<(), Failure> {
    let info = connection.client.call(&GetBucketInfo { bucket: bucket.clone() }).await?;
    let keeps = match connection.client.call(&GetBucketWorm { bucket: bucket.clone() }).await {
        _ if info.versioning.is_some() => "keeps versions",
        Ok(_) => "has a retention policy",
        Err(error) if error.is(oss::code::NO_SUCH_WORM_CONFIGURATION) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let failure =
        Failure::new(Kind::Usage, format!("bucket `{bucket}` {keeps}: what is made there would stay"));
    Err(failure.hint("use a bucket without versioning and retention"))
}

/// Connects, if need be without credentials: the network can be looked at nevertheless.
fn connect(args: &DoctorArgs, context: &Context) -> Result<(Connection, Result<String, Failure>), Failure> {
    let bucket = args.bucket.as_ref().map(|url| &url.bucket);
    let retry = RetryArgs::default();
    match context.connect(&args.connection, &retry, bucket) {
        Ok(connection) => {
            let told = connection.settings.told.clone();
            Ok((connection, Ok(told)))
        }
        Err(failure) if failure.kind == Kind::Credentials => {
            let anonymous = CredentialSource::Anonymous;
            let connection = context.connect_with(&args.connection, &retry, bucket, Some(anonymous))?;
            Ok((connection, Err(failure)))
        }
        Err(failure) => Err(failure),
    }
}

/// What the settings are, each with where it came from.
fn settings(connection: &Connection) -> Vec<Check> {
    let line = |text: &String| Check::new(Area::Settings, "setting", Verdict::Ok, text.clone());
    let mut checks: Vec<Check> = connection.settings.origins.iter().map(line).collect();
    let warnings = connection.settings.warnings.iter();
    checks.extend(warnings.map(|text| Check::new(Area::Settings, "warning", Verdict::Warn, text.clone())));
    checks
}

fn missing(told: &Result<String, Failure>) -> Option<Check> {
    let failure = told.as_ref().err()?;
    let mut check = Check::new(Area::Credentials, "identity", Verdict::Fail, failure.line());
    check.way_out = failure.advised().map(str::to_owned);
    Some(check)
}

fn of_failure(id: &str, failure: Failure) -> Check {
    let (text, way_out) = failure.into_words();
    let mut check = Check::new(Area::Settings, id, Verdict::Fail, text);
    check.way_out = way_out;
    check
}

async fn services(
    args: &DoctorArgs,
    context: &Context,
    connection: &Connection,
    told: Option<String>,
) -> Vec<Check> {
    let mut doctor = Doctor::new(&connection.client, told)
        .with_proxied(connection.settings.network.is_proxied())
        .with_makes(!args.read_only)
        .with_advice(failure::advice)
        .with_cancellation(context.stop.token());
    if let Some(url) = &args.bucket {
        doctor = doctor.with_bucket(url.bucket.clone());
    }
    let mut checks = doctor.run().await;
    if args.speed {
        context.output.status("measuring the rate, ten seconds for each endpoint");
        let speed = doctor.speed(SPAN, &checks).await;
        checks.extend(speed);
    }
    checks
}

fn machine(args: &DoctorArgs, context: &Context) -> Vec<Check> {
    let mut checks = doctor::limits(&HostLimits::detect(), std::thread::available_parallelism().ok());
    checks.push(match context.state_dir(&args.connection) {
        Ok(folder) => doctor::state_dir(&folder),
        Err(error) => {
            let (text, way_out) = Failure::from(error).into_words();
            let mut check = Check::new(Area::Machine, "state_dir", Verdict::Fail, text);
            check.way_out = way_out;
            check
        }
    });
    checks
}

/// Returns the kind of failure that the exit code tells: what is wrong with the credentials explains the rest.
fn worst(checks: &[Check]) -> Option<Kind> {
    let failed = |area: &[Area]| {
        checks.iter().any(|check| check.verdict == Verdict::Fail && area.contains(&check.area))
    };
    match () {
        () if failed(&[Area::Credentials, Area::Permissions]) => Some(Kind::Credentials),
        () if failed(&[Area::Network]) => Some(Kind::Network),
        () if checks.iter().any(|check| check.verdict == Verdict::Fail) => Some(Kind::Other),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_is_that_of_the_failure_that_explains_the_others() {
        let check = |area, verdict| Check::new(area, "x", verdict, "x");
        let warn = check(Area::Credentials, Verdict::Warn);
        let fail = |area| check(area, Verdict::Fail);
        assert_eq!(worst(std::slice::from_ref(&warn)), None);
        assert_eq!(worst(&[warn.clone(), fail(Area::Bucket)]), Some(Kind::Other));
        assert_eq!(worst(&[fail(Area::Bucket), fail(Area::Network)]), Some(Kind::Network));
        assert_eq!(worst(&[fail(Area::Network), fail(Area::Permissions)]), Some(Kind::Credentials));
    }
}
