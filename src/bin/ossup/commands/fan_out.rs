//! What follows an import, as it was typed: which regions it means, and what cannot be.

use ossup::import::Importer;
use ossup::model::Region;
use ossup::protocol::ecs::{DescribeRegions, RegionInfo};
use ossup::publish::{Encryption, Fate, PublishReport, Replaced, ReplacedImage};
use serde_json::{Value, json};

use crate::args::{Destination, FanOutArgs, KmsKey, ReplacedArg};
use crate::failure::{Failure, Kind};
use crate::settings::regions;

/// Returns the regions that an image is to be copied to. One that does not exist is refused; without the permission
/// to list regions, only `all` needs it.
pub(super) async fn regions(importer: &Importer, args: &FanOutArgs) -> Result<Vec<Region>, Failure> {
    let wants_all = args.copy_to.contains(&Destination::All);
    let named = || {
        args.copy_to.iter().filter_map(|destination| match destination {
            Destination::All => None,
            Destination::Region(region) => Some(region),
        })
    };
    let keys = || args.kms_key.iter().filter_map(|key| key.region.as_ref());
    if args.copy_to.is_empty() && keys().next().is_none() {
        return Ok(Vec::new());
    }
    let known = match importer.client().call(&DescribeRegions::new()).await {
        Ok(known) => listed(&known),
        Err(_) if !wants_all => return Ok(without(named().cloned(), &args.except)),
        Err(error) => {
            let failure = Failure::from_error(error.kind().into(), &error);
            let failure = failure.context("cannot list the regions that `--copy-to all` means");
            return Err(failure.hint("grant ecs:DescribeRegions, or name the regions"));
        }
    };
    refuse_unknown(&known, named().chain(&args.except).chain(keys()))?;
    match wants_all {
        true => Ok(without(known.into_iter(), &args.except)),
        false => Ok(without(named().cloned(), &args.except)),
    }
}

/// Refuses regions that do not exist. Without the permission to list them, this is not checked.
pub(super) async fn refuse_unknown_regions(importer: &Importer, wanted: &[Region]) -> Result<(), Failure> {
    if wanted.is_empty() {
        return Ok(());
    }
    let Ok(known) = importer.client().call(&DescribeRegions::new()).await else { return Ok(()) };
    refuse_unknown(&listed(&known), wanted)
}

fn listed(known: &[RegionInfo]) -> Vec<Region> {
    known.iter().filter_map(|known| known.region_id.parse().ok()).collect()
}

fn refuse_unknown<'a>(known: &[Region], wanted: impl IntoIterator<Item = &'a Region>) -> Result<(), Failure> {
    let Some(unknown) = wanted.into_iter().find(|region| !known.contains(region)) else { return Ok(()) };
    let failure = Failure::new(Kind::Usage, format!("there is no region `{unknown}` to copy to"));
    Err(match regions::meant(unknown) {
        Some(meant) => failure.hint(format!("did you mean {meant}?")),
        None => failure,
    })
}

fn without(regions: impl Iterator<Item = Region>, except: &[Region]) -> Vec<Region> {
    regions.filter(|region| !except.contains(region)).collect()
}

/// Returns whether images are to be replaced, and what becomes of them.
pub(super) fn replaced(args: &FanOutArgs) -> Option<Replaced> {
    args.replace.then_some(match args.replaced {
        ReplacedArg::Rename => Replaced::Rename,
        ReplacedArg::Deprecate => Replaced::Deprecate,
        ReplacedArg::Delete => Replaced::Delete,
    })
}

/// Returns what became of the images that were replaced.
pub(super) fn fates(report: &PublishReport) -> Value {
    let one = |old: &ReplacedImage| {
        let fate = match old.fate {
            Fate::Renamed => "renamed",
            Fate::Deprecated => "deprecated",
            Fate::Deleted => "deleted",
            Fate::InUse => "in-use",
            _ => "unknown",
        };
        json!({"region": old.region, "image_id": old.image_id, "name": old.name, "fate": fate})
    };
    report.replaced.iter().map(one).collect()
}

/// Returns how the copies are to be encrypted.
pub(super) fn encryption(args: &FanOutArgs) -> Option<Encryption> {
    let with_key = |encryption: Encryption, key: &KmsKey| match &key.region {
        Some(region) => encryption.with_key_in(region.clone(), &key.id),
        None => encryption.with_key(&key.id),
    };
    args.encrypt.then(|| args.kms_key.iter().fold(Encryption::new(), with_key))
}
