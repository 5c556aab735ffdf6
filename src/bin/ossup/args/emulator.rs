//! The emulator, its buckets and its settings.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use ossup::emulator::{BucketRecord, EcsOptionError, EcsOptions, Encryption, OssOptionError, OssOptions};
use ossup::model::{BucketName, Region, StorageClass};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ossup emulator --data /tmp/oss --bucket images
  ossup emulator --listen 127.0.0.1:0 --discard --bucket images@eu-central-1
  ossup emulator --bucket images,encryption=KMS,class=IA,owner=1234567890123456
  ossup emulator --bucket images --faults faults.json
  ossup emulator --bucket images --ecs paused --ecs system_disk_gib=40-500

A fault file, here one that loses the first response to CompleteMultipartUpload:
  {\"rules\": [{\"operation\": \"CompleteMultipartUpload\", \"times\": 1,
              \"fault\": {\"kind\": \"reset\", \"when\": \"after_commit\"}}]}

Settings for --ecs (a name alone means true):
  base_duration=SECONDS         minimum time of an import or a copy; bytes_per_second adds to it
  running_limit, image_quota    concurrent imports, images per region
  system_disk_gib, data_disk_gib=LOW-HIGH
                                accepted sizes
  check_suffix, probe=false     check the key's suffix; do not inspect objects
  refuse_aes256                 refuse to import what is encrypted with AES256
  import_role=false             the role that lets ECS read OSS is missing
  role_propagation=SECONDS      a new role takes effect only after this long
  role_code, task_id_field, dry_run_code, stringly_typed
                                other spellings in the service's responses
  looks_before_available, looks_before_usable
                                how many polls the image lags behind its finished task
  finished_but_failed, forget_ended_tasks, paused, late_snapshot_ids, fuzzy_neighbours, whole_names
                                how imports and searches behave
  detection_risks               the check after the import finds risks
  boot_duration=SECONDS, console=TEXT
                                how long instances take to start, and what they say meanwhile
  instance_quota=N, type_without_stock=TYPE
                                which instances cannot be had
  images_in_use=TEXT            instances use the images whose names contain it
  foreign_image=NAME            other accounts share an image of this name and publish another
  vhd_not_copyable, copies_to_fail, cancel_leaves_image
                                how copies and cancelled imports behave

Settings for --oss (a name alone means true), each the other possibility where the service's
behaviour is not known:
  refuse_empty_list, refuse_empty_part, exact_etags, merge_repeated_parts
                                what a Complete may list
  repeat_complete, one_upload_ec
                                what is said of an upload that is over
  forbidden_complete_aborts, forbid_at_complete_only
                                how an object that may not be overwritten is protected
  copies_without_crc, copy_unmodified_412, refuse_appendable_source, clip_copy_ranges,
  ignore_open_ranges, quoted_copy_conditions
                                how parts are copied
  key_before_bucket, ignore_write_conditions, ignore_traffic_limits
                                what is checked first, and ignored
  opaque_encrypted_etags, opaque_aes256_etags, sequential_md5
                                what is said of encrypted parts, and of uploads in sequence

On start it prints its key pair and endpoint as `export` lines for a shell.")]
pub(crate) struct EmulatorArgs {
    /// Address and port to listen on; port 0 picks a free one
    #[arg(long, value_name = "[ADDRESS:]PORT", default_value = "127.0.0.1:9000", value_parser = listen)]
    pub(crate) listen: SocketAddr,
    /// Host name that clients may use besides addresses, names without dots and those of OSS; may be repeated
    #[arg(long, value_name = "NAME")]
    pub(crate) host: Vec<String>,
    /// Folder for buckets, objects, uploads and images; by default a temporary one
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Region of requests whose host name has none
    #[arg(long, default_value = "cn-hangzhou")]
    pub(crate) region: Region,
    /// Create a bucket at start; may be repeated. `,owner=ACCOUNT`, `,encryption=ALGORITHM` and `,class=CLASS`
    /// may follow
    #[arg(long, value_name = "NAME[@REGION]")]
    pub(crate) bucket: Vec<NewBucket>,
    /// Access key id to accept instead of the data folder's random one
    #[arg(long, value_name = "ID", requires = "access_key_secret")]
    pub(crate) access_key_id: Option<String>,
    /// Secret of that access key: one for the emulator, never a real one
    #[arg(long, value_name = "SECRET", requires = "access_key_id")]
    pub(crate) access_key_secret: Option<String>,
    /// STS token to accept with the key pair
    #[arg(long, value_name = "TOKEN")]
    pub(crate) sts_token: Option<String>,
    /// Keep checksums and sizes but no bytes: objects cannot be read back
    #[arg(long)]
    pub(crate) discard: bool,
    /// Allow public ACLs, as for buckets created before Block Public Access was the default
    #[arg(long)]
    pub(crate) allow_public_access: bool,
    /// Id of a KMS key that exists besides the account's own; may be repeated
    #[arg(long, value_name = "ID")]
    pub(crate) kms_key: Vec<String>,
    /// JSON file of faults to inject, by operation, part and attempt
    #[arg(long, value_name = "FILE")]
    pub(crate) faults: Option<PathBuf>,
    /// Behaviour of OSS where the service's is not known, see below; may be repeated
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub(crate) oss: Vec<OssSetting>,
    /// Behaviour of ECS, RAM and STS, see below; may be repeated
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub(crate) ecs: Vec<EcsSetting>,
    /// How many times faster than real time imports and copies run
    #[arg(long, value_name = "TIMES", default_value_t = 1.0)]
    pub(crate) speed: f64,
}

/// Parses the address to listen on; a port alone means the loopback address.
fn listen(text: &str) -> Result<SocketAddr, &'static str> {
    let port = text.strip_prefix("localhost:").or_else(|| text.strip_prefix(':')).unwrap_or(text);
    match port.parse() {
        Ok(port) => Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        Err(_) => text
            .parse()
            .map_err(|_| "expected a port such as 9000, or an address and a port such as 127.0.0.1:9000"),
    }
}

/// A bucket that the emulator creates at start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewBucket {
    pub(crate) name: BucketName,
    pub(crate) region: Option<Region>,
    owner: Option<String>,
    encryption: Option<String>,
    class: Option<StorageClass>,
}

impl NewBucket {
    /// Applies the properties that were given besides name and region.
    pub(crate) fn settle(&self, record: &mut BucketRecord) {
        if let Some(owner) = &self.owner {
            record.owner.clone_from(owner);
        }
        if let Some(algorithm) = &self.encryption {
            record.encryption = Some(Encryption { algorithm: algorithm.clone(), ..Encryption::default() });
        }
        if let Some(class) = self.class {
            record.storage_class = class.to_string();
        }
    }
}

impl FromStr for NewBucket {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split(',');
        let place = parts.next().unwrap_or_default();
        let (name, region) = match place.split_once('@') {
            Some((name, region)) => (name, Some(region)),
            None => (place, None),
        };
        let region = region.map(str::parse).transpose().map_err(|error| format!("{error}"))?;
        let name = name.parse().map_err(|error| format!("{error}"))?;
        let mut bucket = Self { name, region, owner: None, encryption: None, class: None };
        for part in parts {
            match part.split_once('=') {
                Some(("owner", id)) if !id.is_empty() => bucket.owner = Some(id.to_owned()),
                Some(("encryption", algorithm @ ("AES256" | "KMS" | "SM4"))) => {
                    bucket.encryption = Some(algorithm.to_owned());
                }
                Some(("class", class)) => {
                    bucket.class = Some(class.parse().map_err(|error| format!("{error}"))?);
                }
                _ => {
                    return Err(format!(
                        "`{part}` is not one of owner=ACCOUNT, encryption=AES256|KMS|SM4, class=CLASS"
                    ));
                }
            }
        }
        Ok(bucket)
    }
}

/// A setting of the emulated OSS; a name alone means true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OssSetting {
    name: String,
    value: String,
}

impl OssSetting {
    pub(crate) fn apply(&self, options: &mut OssOptions) -> Result<(), OssOptionError> {
        options.set(&self.name, &self.value)
    }
}

impl FromStr for OssSetting {
    type Err = OssOptionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, value) = text.split_once('=').unwrap_or((text, "true"));
        let setting = Self { name: name.replace('-', "_"), value: value.to_owned() };
        setting.apply(&mut OssOptions::default())?;
        Ok(setting)
    }
}

/// A setting of the emulated ECS; a name alone means true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EcsSetting {
    name: String,
    value: String,
}

impl EcsSetting {
    pub(crate) fn apply(&self, options: &mut EcsOptions) -> Result<(), EcsOptionError> {
        options.set(&self.name, &self.value)
    }
}

impl FromStr for EcsSetting {
    type Err = EcsOptionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, value) = text.split_once('=').unwrap_or((text, "true"));
        // Hyphens and underscores are both accepted.
        let setting = Self { name: name.replace('-', "_"), value: value.to_owned() };
        // An invalid setting is reported before anything starts.
        setting.apply(&mut EcsOptions::default())?;
        Ok(setting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_may_say_where_it_is_whose_and_how() {
        let bucket: NewBucket = "images@oss-eu-central-1,owner=12,encryption=KMS,class=IA".parse().unwrap();
        assert_eq!(bucket.region.as_ref().unwrap().as_str(), "eu-central-1");
        let mut record = BucketRecord::new(
            bucket.name.clone(),
            "cn-hangzhou".parse().unwrap(),
            "2026-01-01T00:00:00Z".parse().unwrap(),
        );
        bucket.settle(&mut record);
        assert_eq!((record.owner.as_str(), record.storage_class.as_str()), ("12", "IA"));
        assert_eq!(record.encryption.unwrap().algorithm, "KMS");
        for text in
            ["Images", "images@", "images,owner=", "images,class=Cold", "images,colour=red", "images,"]
        {
            assert!(text.parse::<NewBucket>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_port_alone_is_one_of_this_machine() {
        for text in ["9400", ":9400", "localhost:9400", "127.0.0.1:9400"] {
            assert_eq!(listen(text), Ok("127.0.0.1:9400".parse().unwrap()), "{text}");
        }
        assert_eq!(listen("0.0.0.0:1"), Ok("0.0.0.0:1".parse().unwrap()));
        assert!(listen("somewhere").is_err() && listen("70000").is_err() && listen("").is_err());
    }

    #[test]
    fn settings_are_known_when_they_are_typed() {
        let mut options = EcsOptions::default();
        "finished-but-failed".parse::<EcsSetting>().unwrap().apply(&mut options).unwrap();
        assert!(options.finished_but_failed);
        assert!("finished".parse::<EcsSetting>().is_err());
        assert!("paused=often".parse::<EcsSetting>().is_err());
    }

    #[test]
    fn the_help_names_every_setting() {
        use clap::CommandFactory;

        #[derive(clap::Parser)]
        struct Alone {
            #[command(flatten)]
            _args: EmulatorArgs,
        }
        let help = Alone::command().get_after_help().unwrap().to_string();
        for name in EcsOptions::names().into_iter().chain(OssOptions::names()) {
            assert!(help.contains(&name), "{name}");
        }
    }
}
