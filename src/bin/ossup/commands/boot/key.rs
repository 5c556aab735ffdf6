//! The key pair of a boot.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tempfile::TempDir;
use tokio::process::Command;

use crate::failure::{Failure, Kind};

/// A key pair: the user's, or one that is made for the boot and removed after it.
pub(super) struct Key {
    pub(super) private: PathBuf,
    pub(super) public: String,
    /// Removed with this.
    _folder: Option<TempDir>,
}

impl Key {
    /// Returns the key pair of a file.
    pub(super) fn of_file(private: &Path) -> Result<Self, Failure> {
        let mut name = private.as_os_str().to_owned();
        name.push(".pub");
        let public = std::fs::read_to_string(&name).map_err(|error| {
            Failure::from_error(Kind::Usage, &error)
                .context(format!("cannot read the public key `{}`", name.to_string_lossy()))
        })?;
        Ok(Self { private: private.to_owned(), public: public.trim().to_owned(), _folder: None })
    }

    /// Makes a new pair with `ssh-keygen`, in a folder that no other user can enter.
    pub(super) async fn generate(ssh_keygen: &Path) -> Result<Self, Failure> {
        let failed = |error: &std::io::Error| {
            Failure::from_error(Kind::Other, error).context("cannot make a key pair with `ssh-keygen`")
        };
        let folder =
            tempfile::Builder::new().prefix("ossup-boot-").tempdir().map_err(|error| failed(&error))?;
        let private = folder.path().join("key");
        let output = Command::new(ssh_keygen)
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "ossup-boot", "-f"])
            .arg(&private)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|error| failed(&error))?;
        if !output.status.success() {
            return Err(failed(&std::io::Error::other(
                String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            )));
        }
        let mut key = Self::of_file(&private)?;
        key._folder = Some(folder);
        Ok(key)
    }
}
