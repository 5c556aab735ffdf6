//! What completes in a shell beside commands and options: regions, classes, words of the API, profiles of the
//! configuration files, and buckets that this machine has uploaded to.
//!
//! The shell asks the command itself, by the script of `ossup completions`. Nothing is sent to a service: a key press must
//! not wait for a network. The values of platforms, and of options with words of their own, come with their parsers.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Arg, Command, CommandFactory};
use clap_complete::CompleteEnv;
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use ossup::model::{Architecture, BootMode, DiskFormat, LicenseType, OsType, StorageClass};
use ossup::state::StateDir;

use crate::args::{Cli, ConnectionArgs};
use crate::settings::{self, Env, REGIONS, Settings};

/// The variable by which the shell's script asks.
pub(crate) const VARIABLE: &str = "OSSUP_COMPLETE";

/// Where values are looked for.
pub(crate) struct Outside {
    pub(crate) env: fn(&str) -> Option<String>,
    pub(crate) read: fn(&Path) -> io::Result<Vec<u8>>,
    pub(crate) home: Option<PathBuf>,
}

impl Outside {
    fn env(&self) -> Env<'_> {
        Env { env: &self.env, read: &self.read, home: self.home.as_deref() }
    }

    fn profiles(&self) -> Vec<String> {
        settings::profiles(&self.env())
    }

    fn buckets(&self) -> BTreeSet<String> {
        let Some(root) = Settings::state_dir_of(&ConnectionArgs::default(), &self.env()) else {
            return BTreeSet::new();
        };
        let state = StateDir::new(root);
        let open = state.uploads().map(|stored| stored.readable).unwrap_or_default();
        let open = open.into_iter().map(|upload| upload.checkpoint.object.bucket);
        open.chain(state.buckets()).map(|bucket| bucket.to_string()).collect()
    }
}

/// Answers the shell and ends the process, if a shell asks.
pub(crate) fn run(outside: Outside) {
    let outside = Arc::new(outside);
    CompleteEnv::with_factory(|| command(&outside)).var(VARIABLE).complete();
}

/// Returns the definition, with what completes its values.
fn command(outside: &Arc<Outside>) -> Command {
    with_values(Cli::command(), outside)
}

fn with_values(command: Command, outside: &Arc<Outside>) -> Command {
    command
        .mut_args(|argument| with_value(argument, outside))
        .mut_subcommands(|sub| with_values(sub, outside))
}

fn with_value(argument: Arg, outside: &Arc<Outside>) -> Arg {
    let name = argument.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
    let name = name.unwrap_or_else(|| argument.get_id().as_str().to_uppercase());
    let outside = Arc::clone(outside);
    match name.as_str() {
        name if name.starts_with("REGION") => argument.add(ArgValueCandidates::new(|| values(REGIONS))),
        "CLASS" => {
            argument.add(ArgValueCandidates::new(|| values(StorageClass::ALL.map(StorageClass::as_str))))
        }
        "ARCHITECTURE" => words(argument, Architecture::ALL.iter().map(|word| word.as_str())),
        "BOOT_MODE" => words(argument, BootMode::ALL.iter().map(|word| word.as_str())),
        "FORMAT" => words(argument, DiskFormat::ALL.iter().map(|word| word.as_str())),
        "LICENSE" => words(argument, LicenseType::ALL.iter().map(|word| word.as_str())),
        "OS_TYPE" => words(argument, OsType::ALL.iter().map(|word| word.as_str())),
        "NAME" if argument.get_id() == "profile" => {
            argument.add(ArgValueCandidates::new(move || values(outside.profiles())))
        }
        name if name.contains("oss://") => argument.add(ArgValueCandidates::new(move || {
            values(outside.buckets().into_iter().map(|bucket| format!("oss://{bucket}/")))
        })),
        _ => argument,
    }
}

fn words(argument: Arg, words: impl Iterator<Item = &'static str>) -> Arg {
    let words: Vec<_> = words.collect();
    argument.add(ArgValueCandidates::new(move || values(words.iter().copied())))
}

fn values<T: Into<std::ffi::OsString>>(values: impl IntoIterator<Item = T>) -> Vec<CompletionCandidate> {
    values.into_iter().map(CompletionCandidate::new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(words: &[&str]) -> Vec<String> {
        let outside = Arc::new(Outside {
            env: |_| None,
            read: |path| match path.ends_with(".aliyun/config.json") {
                true => {
                    Ok(br#"{"profiles": [{"name": "work", "mode": "AK"}, {"name": "home", "mode": "AK"}]}"#
                        .to_vec())
                }
                false => Err(io::ErrorKind::NotFound.into()),
            },
            home: Some(PathBuf::from("/nobody")),
        });
        let words: Vec<_> = words.iter().map(Into::into).collect();
        let last = words.len() - 1;
        let candidates = clap_complete::engine::complete(&mut command(&outside), words, last, None).unwrap();
        candidates.iter().map(|candidate| candidate.get_value().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn values_complete_wherever_they_may_stand() {
        assert_eq!(completed(&["ossup", "list", "--region", "eu-c"]), ["eu-central-1"]);
        assert_eq!(completed(&["ossup", "publish", "--copy-to", "us-east-1,us-w"]), ["us-east-1,us-west-1"]);
        assert_eq!(completed(&["ossup", "upload", "--storage-class", "S"]), ["Standard"]);
        assert_eq!(completed(&["ossup", "import", "--platform", "Ubu"]), ["Ubuntu"]);
        assert_eq!(completed(&["ossup", "publish", "--boot-mode", "UEFI-"]), ["UEFI-Preferred"]);
        assert_eq!(completed(&["ossup", "import", "--architecture", "a"]), ["arm64"]);
        assert_eq!(completed(&["ossup", "inspect", "--os-type", ""]), ["linux", "windows"]);
        assert_eq!(completed(&["ossup", "publish", "--license", "B"]), ["BYOL"]);
        assert_eq!(completed(&["ossup", "publish", "--format", "Q"]), ["QCOW2"]);
        assert_eq!(completed(&["ossup", "image", "list", "--profile", ""]), ["work", "home"]);
        assert_eq!(completed(&["ossup", "resu"]), ["resume"]);
    }
}
