//! Failures of what is done with images after their import.

use ossup::manage::ManageError;
use ossup::model::ImageStatus;

use super::{Failure, import, service};
use crate::settings::regions;

impl From<ManageError> for Failure {
    fn from(error: ManageError) -> Self {
        Self::from(&error)
    }
}

impl From<&ManageError> for Failure {
    fn from(error: &ManageError) -> Self {
        let failure = Self::from_error(error.kind().into(), error);
        let resumable = matches!(error, ManageError::Partly { .. });
        match advice(error) {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
        .resumable(resumable)
    }
}

fn advice(error: &ManageError) -> Option<String> {
    Some(match error {
        ManageError::NotFound { .. } => {
            "`ossup image list` shows the images of the region; --all-regions looks in all of them".to_owned()
        }
        ManageError::Nowhere { .. } => "`ossup image list --all-regions` shows all images".to_owned(),
        ManageError::Ambiguous { .. } => "name the one that is meant by its id".to_owned(),
        ManageError::NoRegion { region } => format!("did you mean {}?", regions::meant(region)?),
        ManageError::Foreign { image_id, .. } => format!(
            "only its owner can change it; `ossup image copy {image_id}` makes one of your own if the owner allows that"
        ),
        ManageError::Status { image_id, region, status, .. } => match status {
            ImageStatus::Deprecated => {
                format!("make it Available again first: `ossup image restore {image_id} --region {region}`")
            }
            status if status.is_failed() => {
                format!("it can never be used: `ossup image delete {image_id} --region {region}`")
            }
            _ => format!(
                "wait for it (`ossup image wait {image_id} --region {region}`), or stop it (`ossup image cancel \
                 {image_id} --region {region}`)"
            ),
        },
        ManageError::InUse { .. } => {
            "delete it all the same with --force: the system disks of those instances can then no longer be \
             initialised again"
                .to_owned()
        }
        ManageError::Shared { .. } => {
            "--withdraw takes it back first, from the public and from all accounts".to_owned()
        }
        ManageError::NameTaken { .. } => {
            "choose another name, or rename or delete that image first".to_owned()
        }
        ManageError::Unproved { .. } => "run the same command again".to_owned(),
        ManageError::Partly { source, .. } => {
            let again = "then run the same command again, which does the rest";
            match advice(source) {
                Some(first) => format!("{first}; {again}"),
                None => "run the same command again, which does the rest".to_owned(),
            }
        }
        // A denial that does not name what was denied; wrong keys are no denial.
        ManageError::Call { source, .. } if source.service().is_some_and(service::is_unnamed_denial) => {
            format!("grant `ecs:{}` to the user or role", source.operation)
        }
        ManageError::Call { source, .. } => import::advice_on_call(source)?,
        ManageError::Import(error) => import::advice(error)?,
        _ => return None,
    })
}
