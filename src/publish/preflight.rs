//! What can be asked before the first byte is sent, so that hours are not spent on what ECS will refuse.

use crate::client::CallError;
use crate::import::{ImportRequest, Importer, RoleState};
use crate::model::BucketName;
use crate::protocol::oss::GetBucketInfo;

/// Something that stands in the way of an import, or that could not be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// The bucket lies in another region than the image is made in.
    BucketRegion {
        /// The bucket.
        bucket: BucketName,
        /// Where it lies.
        region: crate::model::Region,
    },
    /// The bucket encrypts objects, and ECS imports none that are.
    BucketEncrypted {
        /// The bucket.
        bucket: BucketName,
        /// By what.
        algorithm: String,
    },
    /// Objects of the bucket are archived unless they ask for another class.
    BucketArchived {
        /// The bucket.
        bucket: BucketName,
        /// Its storage class.
        class: String,
    },
    /// There is no such bucket.
    NoBucket {
        /// The bucket.
        bucket: BucketName,
    },
    /// The image's name is taken.
    NameTaken {
        /// The name.
        name: String,
        /// The image that has it, with its state.
        by: String,
    },
    /// ECS may not read OSS: the role is missing or useless.
    Role(RoleState),
    /// A check was not allowed or not possible; it says nothing.
    Unchecked {
        /// What was to be checked.
        what: String,
        /// Why it was not.
        reason: String,
    },
}

impl Problem {
    /// Whether an import would be refused; everything else is a warning.
    pub fn refuses(&self) -> bool {
        !matches!(self, Self::Unchecked { .. } | Self::BucketArchived { .. } | Self::Role(RoleState::Unknown))
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::BucketRegion { bucket, region } => {
                write!(
                    f,
                    "bucket `{bucket}` lies in {region}; an image is imported in the region of its bucket"
                )
            }
            Self::BucketEncrypted { bucket, algorithm } => {
                write!(f, "bucket `{bucket}` encrypts its objects ({algorithm}); ECS cannot import from it")
            }
            Self::BucketArchived { bucket, class } => {
                write!(
                    f,
                    "bucket `{bucket}` is of class {class}; only objects of class Standard or IA are imported"
                )
            }
            Self::NoBucket { bucket } => write!(f, "there is no bucket `{bucket}`"),
            Self::NameTaken { name, by } => write!(f, "the image name `{name}` is taken by {by}"),
            Self::Role(RoleState::Missing) => {
                f.write_str("ECS is not yet authorized to read OSS: the role is missing")
            }
            Self::Role(RoleState::Untrusting) => f.write_str("the role for imports does not trust ECS"),
            Self::Role(RoleState::Powerless) => f.write_str("the role for imports has no policy"),
            Self::Role(_) => f.write_str("the role for imports could not be looked at"),
            Self::Unchecked { what, reason } => write!(f, "{what} could not be checked: {reason}"),
        }
    }
}

/// The checks of one request.
#[derive(Debug)]
pub struct Preflight<'a> {
    importer: &'a Importer,
    request: &'a ImportRequest,
    name_may_be_taken: bool,
    bucket_may_be_made: bool,
}

impl<'a> Preflight<'a> {
    /// Checks `request` before it is made.
    pub fn new(importer: &'a Importer, request: &'a ImportRequest) -> Self {
        Self { importer, request, name_may_be_taken: false, bucket_may_be_made: false }
    }

    /// Leaves the name alone: an earlier run may have taken it.
    #[must_use]
    pub fn name_may_be_taken(mut self, may: bool) -> Self {
        self.name_may_be_taken = may;
        self
    }

    /// Does not mind a missing bucket: the embedded store makes it.
    #[must_use]
    pub fn bucket_may_be_made(mut self, may: bool) -> Self {
        self.bucket_may_be_made = may;
        self
    }

    /// Looks at buckets, name and role. A check that is not allowed is a problem that refuses nothing.
    pub async fn run(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut buckets: Vec<&BucketName> =
            self.request.disks().iter().map(|disk| &disk.object.bucket).collect();
        buckets.sort_unstable();
        buckets.dedup();
        for bucket in buckets {
            self.bucket(bucket, &mut problems).await;
        }
        if !self.name_may_be_taken {
            match self.importer.find_image(self.request.region(), self.request.name()).await {
                Ok(None) => {}
                Ok(Some(image)) => problems.push(Problem::NameTaken {
                    name: self.request.name().to_owned(),
                    by: format!("{} ({})", image.image_id, image.status),
                }),
                Err(error) => problems.push(Problem::Unchecked {
                    what: "the image name".to_owned(),
                    reason: error.call_error().map_or_else(|| error.to_string(), reason),
                }),
            }
        }
        match self.importer.role_state().await {
            Ok(RoleState::Ready) => {}
            Ok(state) => problems.push(Problem::Role(state)),
            Err(error) => problems.push(Problem::Unchecked {
                what: "the role for imports".to_owned(),
                reason: error.call_error().map_or_else(|| error.to_string(), reason),
            }),
        }
        problems
    }

    async fn bucket(&self, bucket: &BucketName, problems: &mut Vec<Problem>) {
        let info = match self.importer.client().call(&GetBucketInfo { bucket: bucket.clone() }).await {
            Ok(info) => info,
            Err(error) if error.is("NoSuchBucket") => {
                if !self.bucket_may_be_made {
                    problems.push(Problem::NoBucket { bucket: bucket.clone() });
                }
                return;
            }
            Err(error) => {
                let what = format!("bucket `{bucket}`");
                problems.push(Problem::Unchecked { what, reason: reason(&error) });
                return;
            }
        };
        let bucket = bucket.clone();
        if info.region != *self.request.region() {
            problems.push(Problem::BucketRegion { bucket: bucket.clone(), region: info.region });
        }
        if let Some(encryption) = info.encryption {
            problems
                .push(Problem::BucketEncrypted { bucket: bucket.clone(), algorithm: encryption.algorithm });
        }
        if let Some(class) = info.storage_class.filter(|class| class.contains("Archive")) {
            problems.push(Problem::BucketArchived { bucket, class });
        }
    }
}

fn reason(error: &CallError) -> String {
    match error.service() {
        Some(answer) => answer.to_string(),
        None => format!("{error}: {}", error.cause),
    }
}
