//! Checks before the first byte is sent: the request by the documented rules, then the account.

use ossup::image::{Finding, Report, Rule, Severity};
use ossup::import::{ImportError, ImportRequest, RoleState};
use ossup::publish::{Preflight, Problem, Publish};

use super::importing::{Disk, Imports};
use super::inspection;
use crate::args::InspectionArgs;
use crate::context::Context;
use crate::failure::{Failure, Kind};
use crate::ui::advice;

/// Refuses a request that breaks the documented rules, before any service is called. What the inspection of the
/// disks has reported, or was `told` before, is not repeated.
pub(crate) fn refuse_by_rules<'a>(
    request: &ImportRequest,
    disks: impl IntoIterator<Item = &'a Disk>,
    told: &'a [Finding],
    args: &InspectionArgs,
    context: &Context,
) -> Result<(), Failure> {
    let reports = disks.into_iter().filter_map(|disk| disk.report.as_ref());
    let told: Vec<&Finding> = reports.flat_map(|report| &report.findings).chain(told).collect();
    let mut findings = request.check();
    findings.retain(|finding| finding.refuses() || !told.contains(&finding));
    if request.is_refused() {
        return Err(ImportError::Refused { findings }.into());
    }
    if !args.force {
        refuse_unlisted_platform(&findings)?;
    }
    let warnings = findings.iter().filter(|finding| finding.severity == Severity::Warn);
    let warnings: Vec<String> = warnings.map(|warning| inspection::sentence(warning, None)).collect();
    if args.strict && !warnings.is_empty() {
        let failure =
            Failure::new(Kind::ImageRefused, format!("the request is refused: {}", warnings.join("; ")));
        return Err(failure.hint("without --strict, warnings are not errors"));
    }
    warnings.iter().for_each(|warning| context.output.warning(warning));
    Ok(())
}

/// Refuses a platform that the service does not list: otherwise a misspelt one is noticed only after the upload.
fn refuse_unlisted_platform(findings: &[Finding]) -> Result<(), Failure> {
    let Some(unlisted) = findings.iter().find(|finding| finding.rule == Rule::PPlatform) else {
        return Ok(());
    };
    let mut refusal = unlisted.clone();
    refusal.severity = Severity::Fix;
    let advice =
        unlisted.fix.as_ref().map(|fix| format!("{}; ", advice::text(fix, None))).unwrap_or_default();
    let failure = Failure::from(ImportError::Refused { findings: vec![refusal] });
    Err(failure.hint(format!("{advice}`ossup image platforms` lists them all; --force sends it as it is")))
}

/// Warns where the service chooses how the image boots, because that could not be detected.
pub(crate) fn warn_of_unknown_boot_mode(request: &ImportRequest, system: &Disk, context: &Context) {
    let said = |report: &Report| report.findings.iter().any(|finding| finding.rule == Rule::RBoot);
    if request.boot_mode().is_none() && !system.report.as_ref().is_some_and(said) {
        context.output.warning(
            "cannot tell how the image boots: without --boot-mode the service assumes BIOS, or UEFI for arm64",
        );
    }
}

impl Imports {
    /// Checks all that would make the service refuse the publish, and sets up the role if requested; in a dry run only
    /// says that it would.
    pub(crate) async fn check(
        &mut self,
        context: &Context,
        publish: Publish,
        create_role: bool,
        force: bool,
        dry_run: bool,
    ) -> Result<Publish, Failure> {
        let problems = Preflight::new(&publish)
            .with_name_taken(publish.has_begun()?)
            .with_bucket_made(self.local)
            .run()
            .await;
        let (mut refusals, mut role) = (Vec::new(), false);
        for problem in problems {
            match problem {
                Problem::Role(state) if create_role && state != RoleState::Untrusting => role = true,
                problem if problem.refuses() && !force => refusals.push(problem),
                problem => context.output.warning(problem.to_string()),
            }
        }
        if let Some(failure) = refused(&refusals) {
            return Err(failure);
        }
        if role && dry_run {
            context.output.status("the RAM role that lets ECS read OSS would be set up");
        } else if role {
            let set_up = self.importer.create_role().await?;
            context.output.status("the RAM role that lets ECS read OSS is set up");
            self.importer = self.importer.clone().with_role_grace(set_up.grace());
            return Ok(publish.with_importer(self.importer.clone()));
        }
        Ok(publish)
    }
}

/// Returns the failure of a request that would be refused: all reasons, and what to do about the first.
fn refused(problems: &[Problem]) -> Option<Failure> {
    let first = problems.first()?;
    let text = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let kind = match first {
        Problem::Role(_) | Problem::RenameDenied { .. } => Kind::Credentials,
        Problem::NoBucket { .. } | Problem::BucketRegion { .. } => Kind::Usage,
        _ => Kind::Import,
    };
    let failure = match first {
        Problem::BootTest { .. } => Failure::new(kind, format!("nothing is sent: {text}")),
        _ => Failure::new(kind, format!("the import would be refused: {text}")),
    };
    Some(match first {
        Problem::Role(_) => failure.hint(crate::failure::role_advice()),
        Problem::NoBucket { bucket } => {
            failure.hint(format!("create it: `ossup bucket create oss://{bucket}`"))
        }
        Problem::BucketRegion { region, .. } => {
            failure.hint(format!("pass --region {region}, and copy the image with --copy-to"))
        }
        Problem::BucketOwner { .. } | Problem::BucketEncrypted { .. } => {
            failure.hint("use a bucket of the account's own without default encryption; --force tries anyway")
        }
        Problem::BootTest { .. } => failure.hint(
            "another --instance-type, a --vswitch in another zone, or the permission (docs/permissions.md) may help; \
             without --boot-test the image is published untested",
        ),
        Problem::NameOfAnotherAccount { .. } => {
            failure.hint("names are an account's own: without --replace the image is made beside that one")
        }
        Problem::RenameDenied { .. } => failure.hint("grant ecs:ModifyImageAttribute on the images"),
        Problem::NameTaken { image_id, region, ours, status, .. } => {
            let delete = format!("`ossup image delete {image_id} --region {region}`");
            failure.hint(match (ours, status.is_pending()) {
                (true, false) => format!("choose another --name, replace the image with --replace, or delete it: {delete}"),
                (true, true) => "another command is making it: wait for that, or choose another --name".to_owned(),
                (false, _) => format!(
                    "choose another --name, or delete that image: {delete}; no command of ossup made it, so --replace \
                     leaves it alone unless you tag it `{}=by.hand`",
                    ossup::import::ORIGIN_TAG
                ),
            })
        }
        _ => failure,
    })
}
