use std::fmt;
use std::path::PathBuf;

use crate::{Fallible, GIB};

/// What was asked for.
pub(crate) struct Options {
    /// Size of the image in bytes.
    pub(crate) size: u64,
    pub(crate) rounds: usize,
    pub(crate) endpoint: Option<String>,
    pub(crate) bucket: String,
    pub(crate) region: String,
    pub(crate) ca_file: Option<PathBuf>,
    /// Where the image is made; by default where the system has temporary files.
    pub(crate) dir: PathBuf,
    pub(crate) floor_threads: usize,
    pub(crate) python: PathBuf,
    pub(crate) peers: bool,
    /// Whether conversions are measured instead.
    pub(crate) convert: bool,
    only: Vec<Case>,
    /// Flags for `ossup upload`.
    pub(crate) flags: Vec<String>,
}

/// What is sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    Null,
    NullTls,
    Emulator,
    Endpoint,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "HTTP, a server that throws bytes away",
            Self::NullTls => "HTTPS, a server that throws bytes away",
            Self::Emulator => "HTTP, ossup emulator --discard",
            Self::Endpoint => "the endpoint that was given",
        })
    }
}

const USAGE: &str = "options:
  --size GIB          size of the image (1)
  --rounds N          rounds that count (5)
  --only http|https|emulator   one of the servers that are started by default; may be repeated
  --endpoint URL      this server instead, with --bucket NAME, --region REGION, --ca-file PEM
  --dir DIR           where the image is made
  --floor-threads N   threads of the floor (4)
  --convert           disks that go as QCOW2, compared with sending their data alone
  --no-peers          no s5cmd, oss2, alibabacloud-oss-v2
  --python PATH       the interpreter that has oss2 and alibabacloud-oss-v2 (python3)
  -- FLAG …           flags for `ossup upload`";

impl Options {
    pub(crate) fn parse(arguments: &[String]) -> Fallible<Self> {
        let mut options = Self {
            size: GIB,
            rounds: 5,
            endpoint: None,
            bucket: "bench".to_owned(),
            region: "cn-hangzhou".to_owned(),
            ca_file: None,
            dir: std::env::temp_dir(),
            floor_threads: 4,
            python: "python3".into(),
            peers: true,
            convert: false,
            only: Vec::new(),
            flags: Vec::new(),
        };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
            match argument.as_str() {
                "--size" => options.size = (value()?.parse::<f64>()? * GIB as f64) as u64,
                "--rounds" => options.rounds = value()?.parse()?,
                "--endpoint" => options.endpoint = Some(value()?.clone()),
                "--bucket" => options.bucket.clone_from(value()?),
                "--region" => options.region.clone_from(value()?),
                "--ca-file" => options.ca_file = Some(value()?.into()),
                "--dir" => options.dir = value()?.into(),
                "--floor-threads" => options.floor_threads = value()?.parse()?,
                "--python" => options.python = value()?.into(),
                "--convert" => options.convert = true,
                "--no-peers" => options.peers = false,
                "--only" => options.only.push(match value()?.as_str() {
                    "http" => Case::Null,
                    "https" => Case::NullTls,
                    "emulator" => Case::Emulator,
                    other => return Err(format!("no server `{other}`\n{USAGE}").into()),
                }),
                "--" => options.flags = arguments.by_ref().cloned().collect(),
                other => return Err(format!("unknown argument `{other}`\n{USAGE}").into()),
            }
        }
        Ok(options)
    }

    pub(crate) fn gib(&self) -> f64 {
        self.size as f64 / GIB as f64
    }

    pub(crate) fn cases(&self) -> Vec<Case> {
        match &self.endpoint {
            Some(_) => vec![Case::Endpoint],
            None if self.only.is_empty() => vec![Case::Null, Case::NullTls, Case::Emulator],
            None => self.only.clone(),
        }
    }
}
