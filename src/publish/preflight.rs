//! What can be asked before the first byte is sent, so that hours are not spent on what ECS will refuse.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use futures::StreamExt;
use futures::stream;

use super::Publish;
use crate::ErrorKind;
use crate::client::CallError;
use crate::import::{CustomImage, ImportError, ImportRequest, Importer, RoleState, has_origin};
use crate::model::{BucketName, ImageId, ImageStatus, Region};
use crate::protocol::ecs::{DescribeImages, ImageOwner, ModifyImageAttribute};
use crate::protocol::oss::{self, GetBucketInfo};
use crate::protocol::sts::GetCallerIdentity;

/// How many names are looked up at a time, each in its region.
const NAMES_AT_ONCE: usize = 8;

/// How long each check may take: it is not worth waiting for a service that the network blocks.
const CHECK_LIMIT: Duration = Duration::from_secs(30);

/// Something that stands in the way of an import, or that could not be checked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// The bucket lies in another region than the image is made in.
    BucketRegion {
        /// The bucket.
        bucket: BucketName,
        /// Where it lies.
        region: Region,
    },
    /// The bucket encrypts objects. ECS is known to import none that are encrypted with keys of KMS or with SM4; with
    /// AES256 it was seen to import them.
    BucketEncrypted {
        /// The bucket.
        bucket: BucketName,
        /// The encryption.
        algorithm: String,
    },
    /// Objects of the bucket are archived unless they ask for another class.
    BucketArchived {
        /// The bucket.
        bucket: BucketName,
        /// Its storage class.
        class: String,
    },
    /// The bucket belongs to another account, and ECS imports only from the caller's own.
    BucketOwner {
        /// The bucket.
        bucket: BucketName,
        /// The account of its owner.
        owner: String,
        /// The account of the credentials.
        account: String,
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
        /// Where.
        region: Region,
        /// The image that has it.
        image_id: ImageId,
        /// Its state.
        status: ImageStatus,
        /// Whether a command of ours made it, so that it can be replaced.
        ours: bool,
    },
    /// The name belongs to an image that another account shares with this one, and this one has none to replace.
    NameOfAnotherAccount {
        /// The name.
        name: String,
        /// Where.
        region: Region,
        /// The image that has it.
        image_id: ImageId,
        /// Whose it is, if the service says so.
        owner: Option<String>,
    },
    /// The image that has the name is to be replaced, and may not be renamed.
    RenameDenied {
        /// Where.
        region: Region,
        /// The image.
        image_id: ImageId,
        /// Why not.
        reason: String,
    },
    /// ECS may not read OSS: the role is missing or useless.
    Role(RoleState),
    /// The instance of the boot test could not be had.
    BootTest {
        /// The service's refusal.
        reason: String,
    },
    /// A check was not allowed or not possible; it has no result.
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
        match self {
            Self::Unchecked { .. } | Self::BucketArchived { .. } | Self::Role(RoleState::Unknown) => false,
            Self::BucketEncrypted { algorithm, .. } => !is_aes256(algorithm),
            _ => true,
        }
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
            Self::BucketEncrypted { bucket, algorithm } if is_aes256(algorithm) => {
                write!(
                    f,
                    "bucket `{bucket}` encrypts its objects ({algorithm}); ECS may refuse to import from it"
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
            Self::BucketOwner { bucket, owner, account } => write!(
                f,
                "bucket `{bucket}` belongs to account {owner}, and the image would to {account}; ECS imports only \
                 from buckets of the same account"
            ),
            Self::NoBucket { bucket } => write!(f, "there is no bucket `{bucket}`"),
            Self::NameTaken { name, region, image_id, status, .. } => {
                write!(f, "the image name `{name}` is taken by {image_id} ({status}) in {region}")
            }
            Self::NameOfAnotherAccount { name, region, image_id, owner } => {
                let owner = owner.as_ref().map(|owner| format!(" ({owner})")).unwrap_or_default();
                write!(
                    f,
                    "the image `{name}` in {region}, {image_id}, belongs to another account{owner} and cannot be replaced"
                )
            }
            Self::RenameDenied { region, image_id, reason } => {
                write!(
                    f,
                    "image {image_id} in {region}, which is to be replaced, may not be renamed: {reason}"
                )
            }
            Self::Role(RoleState::Missing) => {
                f.write_str("ECS is not yet authorized to read OSS: the role is missing")
            }
            Self::Role(RoleState::Untrusting) => f.write_str("the role for imports does not trust ECS"),
            Self::Role(RoleState::Powerless) => f.write_str("the role for imports has no policy"),
            Self::Role(_) => f.write_str("the role for imports could not be checked"),
            Self::BootTest { reason } => write!(f, "an instance for the boot test cannot be had: {reason}"),
            Self::Unchecked { what, reason } => write!(f, "{what} could not be checked: {reason}"),
        }
    }
}

/// The checks of one publish.
#[derive(Debug)]
pub struct Preflight<'a> {
    publish: &'a Publish,
    importer: &'a Importer,
    /// As it is to be sent.
    request: ImportRequest,
    name_may_be_taken: bool,
    bucket_may_be_made: bool,
}

impl<'a> Preflight<'a> {
    /// Checks a publish before it is run.
    pub fn new(publish: &'a Publish) -> Self {
        let request = publish.import_request();
        let importer = &publish.importer;
        Self { publish, importer, request, name_may_be_taken: false, bucket_may_be_made: false }
    }

    /// Does not check the name: an earlier run may have taken it ([`Publish::has_begun`]).
    #[must_use]
    pub fn with_name_taken(mut self, may: bool) -> Self {
        self.name_may_be_taken = may;
        self
    }

    /// Does not mind a missing bucket: the embedded store makes it.
    #[must_use]
    pub fn with_bucket_made(mut self, may: bool) -> Self {
        self.bucket_may_be_made = may;
        self
    }

    /// Looks at buckets, name, role and the instance of a boot test, all at once. A check that is not allowed, or not
    /// answered within half a minute, is a problem that refuses nothing.
    pub async fn run(&self) -> Vec<Problem> {
        let (buckets, name, role, boot_test) = tokio::join!(
            in_time("the bucket", self.buckets()),
            in_time("the image name", self.name()),
            in_time("the role for imports", self.role()),
            in_time("the instance for the boot test", self.publish.check_boot_test()),
        );
        [buckets, name, role, boot_test].concat()
    }

    async fn buckets(&self) -> Vec<Problem> {
        let buckets: BTreeSet<&BucketName> =
            self.request.disks().iter().map(|disk| &disk.object.bucket).collect();
        let (mut problems, mut owners) = (Vec::new(), Vec::new());
        for bucket in buckets {
            if let Some(owner) = self.bucket(bucket, &mut problems).await {
                owners.push((bucket, owner));
            }
        }
        if owners.is_empty() {
            return problems;
        }
        match self.importer.client().call(&GetCallerIdentity::new()).await {
            Ok(caller) => {
                let foreign = owners.into_iter().filter(|(_, owner)| differ(owner, &caller.account_id));
                problems.extend(foreign.map(|(bucket, owner)| Problem::BucketOwner {
                    bucket: bucket.clone(),
                    owner,
                    account: caller.account_id.clone(),
                }));
            }
            Err(error) => problems
                .push(Problem::Unchecked { what: "whose the bucket is".to_owned(), reason: reason(&error) }),
        }
        problems
    }

    async fn name(&self) -> Vec<Problem> {
        if self.name_may_be_taken {
            return Vec::new();
        }
        let import = (self.request.region().clone(), self.request.name());
        let copies =
            self.publish.destinations().into_iter().map(|region| (region, self.publish.request.name()));
        let places = std::iter::once((import, false)).chain(copies.map(|place| (place, true)));
        let looks: Vec<_> =
            places.map(|((region, name), is_copy)| self.one_name(region, name, is_copy)).collect();
        let mut problems = stream::iter(looks).buffered(NAMES_AT_ONCE).concat().await;
        // What may not be looked at in one region may not be in the others.
        problems.dedup();
        problems
    }

    /// Looks who has the name that the import or a copy is to get.
    async fn one_name(&self, region: Region, name: &str, is_copy: bool) -> Vec<Problem> {
        match self.importer.find_image(&region, name).await {
            Ok(None) if self.publish.replace.is_some() => self.foreign(region, name).await,
            Ok(None) => Vec::new(),
            Ok(Some(image)) if self.publish.may_lose_name(&image) => self.rename(region, name, image).await,
            // An earlier run, maybe on another machine; whether of the same objects is seen once they are there.
            Ok(Some(image))
                if !is_copy && self.request.may_have_made(&image) && !image.status.is_failed() =>
            {
                Vec::new()
            }
            // Of which image it is a copy is seen when that is there. One that failed is made again.
            Ok(Some(image)) if is_copy && image.is_copied && has_origin(&image) => Vec::new(),
            Ok(Some(image)) => vec![Problem::NameTaken {
                name: name.to_owned(),
                region,
                ours: has_origin(&image),
                image_id: image.image_id,
                status: image.status,
            }],
            Err(error) => vec![unchecked("the image name", &error)],
        }
    }

    /// Looks for an image that another account shares with this one under a name that nobody here has.
    async fn foreign(&self, region: Region, name: &str) -> Vec<Problem> {
        let list = DescribeImages::new(region.clone()).with_owner(ImageOwner::Shared).with_name(name);
        // Who may not list them has nothing that could be taken for the image to be replaced.
        let shared = self.importer.client().call(&list).await.map(|page| page.images).unwrap_or_default();
        let theirs = shared.into_iter().find(|image| image.name.as_deref() == Some(name));
        let problem = theirs.map(|image| Problem::NameOfAnotherAccount {
            name: name.to_owned(),
            region,
            image_id: image.image_id,
            owner: image.owner_id,
        });
        problem.into_iter().collect()
    }

    /// Tries whether an image may be renamed: with the name that it has, so that nothing changes even where dry runs are
    /// unknown.
    async fn rename(&self, region: Region, name: &str, image: CustomImage) -> Vec<Problem> {
        let mut modify = ModifyImageAttribute::new(region.clone(), image.image_id.clone());
        (modify.name, modify.dry_run) = (Some(name.to_owned()), true);
        match self.importer.client().call(&modify).await {
            Err(error) if error.kind() == ErrorKind::Credentials => {
                vec![Problem::RenameDenied { region, image_id: image.image_id, reason: reason(&error) }]
            }
            // Success is an error as well. What else it may be is seen when the image is renamed.
            _ => Vec::new(),
        }
    }

    async fn role(&self) -> Vec<Problem> {
        match self.importer.role_state(self.request.role()).await {
            Ok(RoleState::Ready) => Vec::new(),
            Ok(state) => vec![Problem::Role(state)],
            Err(error) => vec![unchecked("the role for imports", &error)],
        }
    }

    /// Looks at one bucket and returns its owner, if that is known.
    async fn bucket(&self, bucket: &BucketName, problems: &mut Vec<Problem>) -> Option<String> {
        let info = match self.importer.client().call(&GetBucketInfo { bucket: bucket.clone() }).await {
            Ok(info) => info,
            Err(error) if error.is(oss::code::NO_SUCH_BUCKET) => {
                if !self.bucket_may_be_made {
                    problems.push(Problem::NoBucket { bucket: bucket.clone() });
                }
                return None;
            }
            Err(error) => {
                let what = format!("bucket `{bucket}`");
                problems.push(Problem::Unchecked { what, reason: reason(&error) });
                return None;
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
        info.owner_id
    }
}

/// Whether objects are encrypted with keys of OSS alone.
fn is_aes256(algorithm: &str) -> bool {
    algorithm.eq_ignore_ascii_case("AES256")
}

/// Ends a check that is not answered: it can only warn, and must not hold up an upload.
async fn in_time(what: &str, check: impl Future<Output = Vec<Problem>>) -> Vec<Problem> {
    let late = |_| {
        let reason = format!("no answer within {} s", CHECK_LIMIT.as_secs());
        vec![Problem::Unchecked { what: what.to_owned(), reason }]
    };
    tokio::time::timeout(CHECK_LIMIT, check).await.unwrap_or_else(late)
}

/// Whether two account ids are surely those of different accounts. An id in another form says nothing.
fn differ(owner: &str, account: &str) -> bool {
    let is_id = |id: &str| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
    is_id(owner) && is_id(account) && owner.trim_start_matches('0') != account.trim_start_matches('0')
}

fn unchecked(what: &str, error: &ImportError) -> Problem {
    let reason = error.call_error().map_or_else(|| error.to_string(), reason);
    Problem::Unchecked { what: what.to_owned(), reason }
}

pub(super) fn reason(error: &CallError) -> String {
    match error.service() {
        Some(answer) => answer.to_string(),
        None => format!("{error}: {}", error.cause),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_differ_only_where_both_are_known() {
        assert!(differ("1234567890123456", "1234567890123457"));
        for (owner, account) in [("0012", "12"), ("", "12"), ("user-name", "12"), ("12", "****12")] {
            assert!(!differ(owner, account), "{owner} {account}");
        }
    }

    #[test]
    fn only_encryption_that_is_known_to_be_refused_refuses() {
        let encrypted = |algorithm: &str| Problem::BucketEncrypted {
            bucket: "images".parse().unwrap(),
            algorithm: algorithm.to_owned(),
        };
        assert!(!encrypted("AES256").refuses());
        assert!(encrypted("KMS").refuses() && encrypted("SM4").refuses());
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_without_an_answer_is_a_warning() {
        let problems = in_time("the role", std::future::pending()).await;
        assert!(matches!(&problems[..], [problem] if !problem.refuses()), "{problems:?}");
    }
}
