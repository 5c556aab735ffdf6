//! Other uploaders, where they are installed, with their own defaults.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::options::{Case, Options};
use crate::target::Target;

const OSS2: &str = include_str!("peers/oss2.py");
const OSS_V2: &str = include_str!("peers/oss_v2.py");

/// An uploader and the first words of its command.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    program: Vec<String>,
}

/// Returns the peers that can be run, and reports which cannot.
pub(crate) fn installed(options: &Options, case: &Case, target: &Target) -> Vec<Peer> {
    if !options.peers {
        return Vec::new();
    }
    let python = options.python.display().to_string();
    let s5cmd =
        ["s5cmd".to_owned(), "--endpoint-url".to_owned(), target.endpoint.to_string(), "cp".to_owned()];
    let mut peers = Vec::new();
    for (name, import, program) in [
        ("s5cmd", None, s5cmd.to_vec()),
        ("oss2", Some("oss2"), vec![python.clone(), "-c".to_owned(), OSS2.to_owned()]),
        (
            "alibabacloud-oss-v2",
            Some("alibabacloud_oss_v2"),
            vec![python, "-c".to_owned(), OSS_V2.to_owned()],
        ),
    ] {
        let mut probe = Command::new(&program[0]);
        match import {
            Some(module) => probe.args(["-c", &format!("import {module}")]),
            None => probe.arg("version"),
        };
        let runs = probe.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !runs.is_ok_and(|status| status.success()) {
            println!("{name} is not installed");
        } else if name == "s5cmd" && *case == Case::Emulator {
            println!("{name} signs for S3 only, which the emulator refuses");
        } else {
            peers.push(Peer { name, program });
        }
    }
    peers
}

impl Peer {
    /// Returns the command that uploads `image`.
    pub(crate) fn command(&self, target: &Target, image: &Path) -> Command {
        let mut command = Command::new(&self.program[0]);
        command.args(&self.program[1..]).arg(image).envs(target.environment());
        let key = format!("ossup-bench-{}", self.name);
        let (endpoint, bucket) = (target.endpoint.to_string(), target.bucket.as_str());
        match self.name {
            "s5cmd" => command.arg(format!("s3://{bucket}/{key}")),
            "oss2" => command.args([&endpoint, bucket, &key]),
            _ => command.args([&endpoint, bucket, &key, target.region.as_str()]),
        };
        command
    }
}
