use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::StateError;
use super::dir::{StateDir, folder_name, parse_versioned};
use super::file::{self, write_atomically};
use crate::model::{Endpoint, Region};

const VERSION: u32 = 1;
/// For this long a link is assumed to be the same.
const KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);
/// A larger file is not one of these.
const MOST: u64 = 4 << 10;

/// What a finished upload learnt about an endpoint: where the next one starts. It is only a hint: without it, or with
/// one that is out of date, an upload finds out by itself.
#[derive(Debug, Serialize, Deserialize)]
struct Learnt {
    version: u32,
    /// Parts in flight that filled the link.
    parallel: usize,
    at: Timestamp,
}

impl StateDir {
    /// Returns how many parts in flight filled the link to an endpoint, if an upload found that out of late.
    pub(crate) fn learnt(&self, endpoint: &Endpoint, region: &Region, now: Timestamp) -> Option<usize> {
        let text = file::read(&self.learnt_path(endpoint, region), MOST).ok()?;
        let learnt: Learnt = parse_versioned(&text, VERSION..=VERSION).ok()?;
        let age = now.duration_since(learnt.at);
        (SignedDuration::ZERO..KEPT).contains(&age).then_some(learnt.parallel)
    }

    /// Keeps how many parts in flight filled the link to an endpoint, for the next upload.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub(crate) fn learn(
        &self,
        endpoint: &Endpoint,
        region: &Region,
        parallel: usize,
        now: Timestamp,
    ) -> Result<(), StateError> {
        let path = self.learnt_path(endpoint, region);
        let folder = path.parent().expect("it is in a folder of the state directory");
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(StateError::io("make", folder))?;
        let text =
            serde_json::to_vec(&Learnt { version: VERSION, parallel, at: now }).map_err(io::Error::other);
        text.and_then(|text| write_atomically(&path, &text)).map_err(StateError::io("write", &path))
    }

    fn learnt_path(&self, endpoint: &Endpoint, region: &Region) -> PathBuf {
        let name = folder_name(&format!("{}\n{region}", endpoint.authority(None)));
        self.root().join("endpoints").join(name).with_extension("json")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_learnt_about_an_endpoint_holds_for_a_week() {
        let folder = tempfile::tempdir().unwrap();
        let dir = StateDir::new(folder.path().join("state"));
        let (here, there): (Endpoint, Endpoint) =
            ("https://a.example.com".parse().unwrap(), "https://b.example.com".parse().unwrap());
        let region: Region = "cn-hangzhou".parse().unwrap();
        let at = Timestamp::UNIX_EPOCH;
        let learnt = |endpoint: &Endpoint, hours| {
            dir.learnt(endpoint, &region, at + SignedDuration::from_hours(hours))
        };
        assert_eq!(learnt(&here, 0), None);
        dir.learn(&here, &region, 48, at).unwrap();
        assert_eq!((learnt(&here, 0), learnt(&here, 167), learnt(&there, 0)), (Some(48), Some(48), None));
        assert_eq!((learnt(&here, 168), learnt(&here, -1)), (None, None));

        let file = dir.learnt_path(&here, &region);
        for damaged in ["", "{}", r#"{"version":2,"parallel":48,"at":"1970-01-01T00:00:00Z"}"#] {
            std::fs::write(&file, damaged).unwrap();
            assert_eq!(learnt(&here, 0), None, "{damaged}");
        }
    }
}
