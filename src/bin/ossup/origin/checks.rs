//! What the image has to be, as it was typed and as files beside it say.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use ossup::checksum_file::{MAX_CHECKSUM_FILE, Sha256, published};
use ossup::source::map::{DataMap, MAX_MAP_FILE};
use ossup::web::WebObject;

use super::Opening;
use crate::args::{ImageArg, Sha256Of, SidecarArg, unpacked_name};
use crate::failure::{Failure, Kind};

/// What is checked of an image while it passes.
#[derive(Debug, Default)]
pub(super) struct Checks {
    /// The SHA-256 of the bytes as they are fetched.
    pub(super) fetched: Option<Sha256>,
    /// The SHA-256 of what is inside.
    pub(super) content: Option<Sha256>,
    /// About how many bytes the image has.
    pub(super) expected_size: Option<u64>,
    /// Exactly how many it has.
    pub(super) exact_size: Option<u64>,
    pub(super) map: Option<DataMap>,
}

impl Checks {
    /// Reads what has to be read of it.
    pub(super) async fn gather(opening: &Opening<'_>, image: &ImageArg) -> Result<Self, Failure> {
        let args = opening.args;
        let sha256 = match (&args.sha256, &args.sha256_file) {
            (Some(sha256), _) => Some(*sha256),
            (None, Some(sidecar)) => Some(of_checksum_file(opening, image, sidecar).await?),
            (None, None) => None,
        };
        let (fetched, content) = match args.sha256_of {
            Sha256Of::Fetched => (sha256, None),
            Sha256Of::Content => (None, sha256),
        };
        let map = match (&args.bmap, &args.map) {
            (Some(sidecar), _) => {
                let bytes = read(opening, sidecar, MAX_MAP_FILE).await?;
                let map = DataMap::from_bmap(&bytes);
                Some(map.map_err(|error| Failure::from(error).context(cannot_use(sidecar)))?)
            }
            (None, Some(path)) => {
                let sidecar = SidecarArg::File(path.clone());
                let bytes = read(opening, &sidecar, MAX_MAP_FILE).await?;
                let map = DataMap::from_qemu(&bytes);
                Some(map.map_err(|error| Failure::from(error).context(cannot_use(&sidecar)))?)
            }
            (None, None) => None,
        };
        let expected_size = args.expected_size.map(|size| size.0);
        Ok(Self {
            fetched,
            content,
            expected_size,
            exact_size: expected_size.filter(|_| args.exact_size),
            map,
        })
    }
}

fn cannot_use(sidecar: &SidecarArg) -> String {
    format!("cannot use `{sidecar}`")
}

/// Returns what a checksum file says for the image.
async fn of_checksum_file(
    opening: &Opening<'_>,
    image: &ImageArg,
    sidecar: &SidecarArg,
) -> Result<Sha256, Failure> {
    let bytes = read(opening, sidecar, MAX_CHECKSUM_FILE).await?;
    let name = image.file_name();
    let inside = name.as_deref().map(unpacked_name);
    let found = match opening.args.sha256_of {
        Sha256Of::Fetched => published(&bytes, name.as_deref()),
        Sha256Of::Content => published(&bytes, inside),
    };
    let found = found.map_err(|error| {
        let failure = Failure::from_error(Kind::Usage, &error).context(cannot_use(sidecar));
        failure.hint("pass the image's own with --sha256 HEX")
    })?;
    if found.signed {
        let text = format!("`{sidecar}` is signed, and the signature is not verified here");
        opening.context.output.verbose(text);
    }
    Ok(found.sha256)
}

/// Reads a file beside the image; of one that is longer than `limit` a byte more, by which that shows.
async fn read(opening: &Opening<'_>, sidecar: &SidecarArg, limit: usize) -> Result<Vec<u8>, Failure> {
    let failed = |error: io::Error| {
        let kind = if error.kind() == io::ErrorKind::NotFound { Kind::Usage } else { Kind::Other };
        Failure::from_error(kind, &error).context(format!("cannot read `{sidecar}`"))
    };
    match sidecar {
        SidecarArg::File(path) => from_disk(path, limit).map_err(failed),
        SidecarArg::Web(url) => {
            let fetched = async {
                let options = opening.web_options(url)?;
                let object = WebObject::open(url.clone(), options).await?;
                let bytes = object.small(limit).await.map_err(|error| super::failed_read(&error))?;
                Ok(bytes.to_vec())
            };
            opening.context.stop.or(fetched).await
        }
    }
}

fn from_disk(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
