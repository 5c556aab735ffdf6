//! The arguments as typed; `settings` resolves what they mean.

mod after;
#[cfg(test)]
mod book;
mod boot;
mod boot_test;
mod doctor;
mod emulator;
mod import;
mod manage;
mod plan;
mod remote;
mod source;
mod sync;
mod transfer;
pub(crate) mod values;

pub(crate) use after::{Destination, FanOutArgs, KmsKey, ReplacedArg};
pub(crate) use boot::{BootArgs, BootModeArg, MachineArgs, UntilArg};
pub(crate) use boot_test::{BootTestArg, BootTestArgs, ImageBootTestArgs, InstanceArgs};
pub(crate) use doctor::DoctorArgs;
pub(crate) use emulator::EmulatorArgs;
pub(crate) use import::{
    ImageArgs, ImageCommand, ImageCopyArgs, ImageShareArgs, ImageWaitArgs, ImdsArg, ImportArgs, PublishArgs,
    RequestArgs, TaskOrImage,
};
pub(crate) use manage::{
    ImageDeleteArgs, ImageDeprecateArgs, ImageListArgs, ImagePruneArgs, ImageTagArgs, ImageUntagArgs,
    OneImageArgs, WhereArgs,
};
pub(crate) use plan::PlanArgs;
pub(crate) use remote::{AddressingArg, ConnectionArgs, RetryArgs, SignVersionArg};
pub(crate) use source::{
    FormArg, ImageArg, ImageOrObject, Sha256Of, SidecarArg, SourceArgs, qcow2_name, unpacked_name,
};
pub(crate) use sync::SyncArgs;
pub(crate) use transfer::{
    AbortArgs, DemoArgs, GcArgs, InspectArgs, InspectionArgs, ListArgs, ResumeArgs, TargetArgs, TransferArgs,
    UploadArgs,
};

use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue};
use clap::{Args, Parser, Subcommand, ValueEnum};
use ossup::model::Region;

use values::{BucketUrl, ObjectUrl, Span, bucket};

/// Upload large machine images to Alibaba Cloud OSS, resumably, and import them into ECS
#[derive(Debug, Parser)]
#[command(
    name = "ossup",
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = "\
Examples:
  ossup demo                               try it on the embedded emulator
  ossup upload disk.qcow2 oss://images/    upload; run it again to resume
  ossup publish disk.qcow2 oss://images/ --name web-2026-01
                                           upload, import and wait for the image

Exit codes: 0 success; 1 other failure; 2 usage; 3 image refused; 4 credentials or permission;
5 network failure, resumable; 6 integrity, or the source changed; 7 import refused or failed;
8 wait timed out, the import continues; 9 locked, or the object exists;
10 server certificate refused; 11 the image does not boot;
129, 130, 143 ended by SIGHUP, SIGINT, SIGTERM."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show upload and import on the embedded emulator: no account, no network
    Demo(DemoArgs),
    /// Upload an image in parts; run it again to resume
    Upload(Box<UploadArgs>),
    /// Import an object into ECS as a custom image
    Import(Box<ImportArgs>),
    /// Upload an image, import it and wait until it is available
    Publish(Box<PublishArgs>),
    /// Make images as a file describes them, or show what would change
    Sync(Box<SyncArgs>),
    /// Show what an image is and whether ECS can import it
    Inspect(InspectArgs),
    /// Boot an image on this machine, as ECS would show it the world
    Boot(BootArgs),
    /// Print an object's URL
    Url(UrlArgs),
    /// List open uploads, known to this machine or on a bucket
    List(ListArgs),
    /// Continue unfinished uploads
    Resume(ResumeArgs),
    /// Abort an open upload and delete its parts
    Abort(AbortArgs),
    /// Abort old open uploads of a bucket, whoever started them
    Gc(GcArgs),
    /// Say what works from here and what does not, and the way out
    Doctor(DoctorArgs),
    /// Create and show buckets
    #[command(subcommand)]
    Bucket(BucketCommand),
    /// Manage custom images and their tasks
    #[command(subcommand)]
    Image(ImageCommand),
    /// Serve an emulated OSS, ECS, RAM and STS on one port
    Emulator(EmulatorArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    /// Write what a package installs beside the command: manual pages and completion scripts
    #[command(hide = true)]
    PackageFiles(PackageFilesArgs),
}

/// Suggests the command for a name that other programs use for it.
pub(crate) fn with_suggestion(mut error: clap::Error) -> clap::Error {
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else { return error };
    // The usage begins with the command whose subcommand it should have been.
    let usage = error.get(ContextKind::Usage).map(ToString::to_string).unwrap_or_default();
    let of = ["bucket", "image"].into_iter().find(|group| usage.contains(&format!("ossup {group} ")));
    let meant = match word.as_str() {
        "ls" if of == Some("image") => "list",
        "rm" if of == Some("image") => "delete",
        "mb" if of == Some("bucket") => "create",
        "stat" | "info" if of.is_some() => "show",
        _ if of.is_some() => return error,
        "cp" | "copy" | "put" | "push" | "send" => "upload",
        "ls" => "list",
        "rm" => "abort",
        "mb" => "bucket",
        "sign" | "presign" => "url",
        "stat" | "info" | "check" => "inspect",
        "serve" | "server" => "emulator",
        _ => return error,
    };
    let meant = ContextValue::Strings(vec![meant.to_owned()]);
    error.insert(ContextKind::SuggestedSubcommand, meant);
    error
}

impl Command {
    /// Takes the region from the address of an object or bucket, unless a region or an endpoint was typed.
    pub(crate) fn with_region_of_address(mut self) -> Self {
        let (connection, region): (&mut ConnectionArgs, Option<&Region>) = match &mut self {
            Self::Upload(args) => (&mut args.connection, args.target.region.as_ref()),
            Self::Import(args) => (&mut args.connection, args.object.region.as_ref()),
            Self::Publish(args) => (&mut args.connection, args.target.region.as_ref()),
            Self::Inspect(args) => {
                let region = args.images.iter().find_map(|image| match image {
                    ImageOrObject::Object(object) => object.region.as_ref(),
                    ImageOrObject::Image(_) => None,
                });
                (&mut args.connection, region)
            }
            Self::Url(args) => (&mut args.connection, args.object.region.as_ref()),
            Self::List(args) => {
                (&mut args.connection, args.bucket.as_ref().and_then(|url| url.region.as_ref()))
            }
            Self::Resume(args) => {
                (&mut args.connection, args.object.as_ref().and_then(|url| url.region.as_ref()))
            }
            Self::Abort(args) => (&mut args.connection, args.object.region.as_ref()),
            Self::Gc(args) => (&mut args.connection, args.bucket.region.as_ref()),
            Self::Doctor(args) => {
                (&mut args.connection, args.bucket.as_ref().and_then(|url| url.region.as_ref()))
            }
            Self::Bucket(BucketCommand::Create(args) | BucketCommand::Show(args)) => {
                (&mut args.connection, args.bucket.region.as_ref())
            }
            Self::Sync(_) | Self::Demo(_) | Self::Boot(_) | Self::Image(_) | Self::Emulator(_) => {
                return self;
            }
            Self::Completions(_) | Self::PackageFiles(_) => return self,
        };
        if connection.endpoint.is_none() && connection.region.is_none() {
            connection.region = region.cloned();
        }
        self
    }
}

/// How results and progress are shown.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArgs {
    /// Format of results on stdout
    #[arg(long, global = true, value_enum, default_value_t = OutputFormat::Text)]
    pub(crate) output: OutputFormat,
    /// Format of progress on stderr
    #[arg(long, global = true, value_enum, default_value_t = ProgressArg::Auto)]
    pub(crate) progress: ProgressArg,
    /// Print only results and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Show where each setting came from, and one line per request; repeat for more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressArg {
    /// A bar on a terminal, otherwise plain lines
    Auto,
    /// A bar
    Bar,
    /// A line every 10 seconds
    Plain,
    /// One JSON event per line
    Json,
    /// Nothing
    None,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ossup url oss://images/disk.qcow2 --region cn-hangzhou
  ossup url oss://images/disk.qcow2 --region cn-hangzhou --sign 2h")]
pub(crate) struct UrlArgs {
    /// Object
    #[arg(value_name = "oss://BUCKET/KEY")]
    pub(crate) object: ObjectUrl,
    /// Sign the URL, so that anyone who has it can read the object for this long (at most 7d)
    #[arg(long, value_name = "DURATION")]
    pub(crate) sign: Option<Span>,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BucketCommand {
    /// Create a bucket in the region
    #[command(after_help = "Example:\n  ossup bucket create images --region cn-hangzhou")]
    Create(BucketArgs),
    /// Show a bucket's region, endpoints and the settings that matter for an import
    #[command(after_help = "Example:\n  ossup bucket show images --region cn-hangzhou")]
    Show(BucketArgs),
}

#[derive(Debug, Args)]
pub(crate) struct BucketArgs {
    /// Bucket
    #[arg(value_name = "[oss://]BUCKET", value_parser = bucket)]
    pub(crate) bucket: BucketUrl,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    #[command(flatten)]
    pub(crate) retry: RetryArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ossup completions bash > /etc/bash_completion.d/ossup")]
pub(crate) struct CompletionsArgs {
    /// Shell
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ossup package-files target/package")]
pub(crate) struct PackageFilesArgs {
    /// Folder for `man1`, `bash`, `zsh` and `fish`; made if it is missing
    pub(crate) dir: PathBuf,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_an_example() {
        fn check(command: &clap::Command, path: &str) {
            let path = format!("{path} {}", command.get_name());
            if command.has_subcommands() {
                for sub in command.get_subcommands() {
                    check(sub, &path);
                }
                return;
            }
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Example") && help.contains(path.trim()), "{path}: {help}");
        }
        check(&Cli::command(), "");
    }

    #[test]
    fn a_command_is_suggested_only_where_it_exists() {
        for (typed, expected) in [
            (&["ls"][..], Some("'list'")),
            (&["image", "ls"], Some("'list'")),
            (&["image", "rm"], Some("'delete'")),
            (&["bucket", "mb"], Some("'create'")),
            (&["bucket", "info"], Some("'show'")),
            (&["bucket", "ls"], None),
            (&["bucket", "put"], None),
        ] {
            let error = Cli::try_parse_from(["ossup"].iter().chain(typed)).unwrap_err();
            let text = with_suggestion(error).to_string();
            let tip = text.lines().find_map(|line| line.trim().strip_prefix("tip: "));
            assert_eq!(tip.is_some(), expected.is_some(), "{text}");
            assert!(tip.unwrap_or_default().ends_with(expected.unwrap_or_default()), "{text}");
        }
    }

    /// Returns the words of a line as a shell has them; quotes are all that the examples need.
    fn words(line: &str) -> Vec<String> {
        let odd = |(index, piece): (usize, &str)| match index % 2 {
            1 => vec![format!("{piece}\u{0}")],
            _ => piece.split_whitespace().map(str::to_owned).collect(),
        };
        let pieces = line.split('"').enumerate().flat_map(odd);
        pieces.map(|word| word.trim_end_matches('\u{0}').to_owned()).collect()
    }

    #[test]
    fn every_example_can_be_pasted() {
        fn check(command: &clap::Command, count: &mut usize) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            for line in help.lines().filter_map(|line| line.strip_prefix("  ossup ")) {
                assert!(line.len() + "  ossup ".len() <= 80, "a narrow terminal breaks it: {line}");
                // The rest of the line explains it.
                let line = line.split("   ").next().unwrap().split(" > ").next().unwrap();
                // It goes on in the next one.
                let line = line.trim_end_matches('\\');
                let words = words(&format!("ossup {line}"));
                assert!(!line.contains('…'), "{line}");
                if let Err(error) = Cli::try_parse_from(&words) {
                    panic!("{words:?}: {error}");
                }
                *count += 1;
            }
            command.get_subcommands().for_each(|sub| check(sub, count));
        }
        let mut count = 0;
        check(&Cli::command(), &mut count);
        assert!(count > 30, "{count}");
    }

    #[test]
    fn the_help_names_each_value_that_an_error_asks_for() {
        let import = Cli::command().find_subcommand("import").unwrap().clone();
        for name in ["boot-mode", "license", "architecture", "os-type", "format"] {
            let words = ["ossup", "import", "oss://images/x", "--name=a", &format!("--{name}=?")];
            let error = Cli::try_parse_from(words).unwrap_err().to_string();
            let (_, asked) = error.lines().next().unwrap().split_once("must be one of ").expect(&error);
            let argument = import.get_arguments().find(|argument| argument.get_long() == Some(name)).unwrap();
            let help = argument.get_help().unwrap().to_string();
            for value in asked.split(", ") {
                assert!(help.contains(value), "--{name}: {value} is not in `{help}`");
            }
        }
    }

    #[test]
    fn the_options_of_the_connection_come_after_those_of_the_command() {
        fn check(command: &clap::Command, path: &str) {
            let own =
                |argument: &&clap::Arg| !argument.is_global_set() && argument.get_long() != Some("help");
            let headings: Vec<_> =
                command.get_arguments().filter(own).map(|argument| argument.get_help_heading()).collect();
            let connection = |heading: &Option<&str>| *heading == Some("Connection");
            let first = headings.iter().position(connection).unwrap_or(headings.len());
            assert!(headings[first..].iter().all(connection), "{path} {}: {headings:?}", command.get_name());
            command.get_subcommands().for_each(|sub| check(sub, command.get_name()));
        }
        check(&Cli::command(), "");
    }

    /// Every command's help, short and long, in a width that no terminal changes.
    #[test]
    fn the_help_reads_so() {
        fn check(command: &mut clap::Command, path: &str) {
            let name = path.replace(' ', "_");
            let text = format!(
                "$ {path} -h\n{}\n$ {path} --help\n{}",
                command.render_help(),
                command.render_long_help()
            );
            insta::with_settings!({
                snapshot_path => concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshots/help"),
                prepend_module_to_snapshot => false,
                omit_expression => true,
            }, { insta::assert_snapshot!(name, text); });
            for sub in command.get_subcommands_mut() {
                if sub.get_name() != "help" {
                    let path = format!("{path} {}", sub.get_name());
                    check(sub, &path);
                }
            }
        }
        let mut command = Cli::command().term_width(100);
        command.build();
        check(&mut command, "ossup");
    }

    #[test]
    fn the_help_s_default_is_the_library_s() {
        let cli = Cli::command();
        let mut arguments = cli.find_subcommand("upload").unwrap().get_arguments();
        let most = arguments.find(|argument| argument.get_long() == Some("max-parallel")).unwrap();
        let help = most.get_help().unwrap().to_string();
        assert!(help.contains(&format!("by default {},", ossup::upload::DEFAULT_MAX_PARALLEL)), "{help}");
    }

    #[test]
    fn no_flag_takes_a_secret_of_the_real_service() {
        fn check(command: &clap::Command) {
            for argument in command.get_arguments() {
                let name = argument.get_long().unwrap_or_default();
                let secret =
                    ["secret", "token", "password", "access-key"].iter().any(|word| name.contains(word));
                assert!(!secret || command.get_name() == "emulator", "{} --{name}", command.get_name());
            }
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }
}
