//! How services are reached: options of every command that connects to one.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use ossup::model::{AddressingStyle, Region};

use super::values::{EndpointArg, Span, endpoint};

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectionArgs {
    /// URL, internal, accelerate, dual-stack, or local:DIR for the embedded store (no account needed)
    #[arg(long, value_name = "URL|KIND|local:DIR", value_parser = endpoint)]
    pub(crate) endpoint: Option<EndpointArg>,
    /// URL of ECS, RAM and STS; by default a loopback or local: endpoint serves them too
    #[arg(long, hide_short_help = true, value_name = "URL")]
    pub(crate) ecs_endpoint: Option<String>,
    /// Region of the bucket, such as cn-hangzhou
    #[arg(long)]
    pub(crate) region: Option<Region>,
    /// Where the bucket's name goes in URLs
    #[arg(long, hide_short_help = true, value_enum, value_name = "STYLE")]
    pub(crate) addressing_style: Option<AddressingArg>,
    /// Profile of the configuration file
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// Configuration file of ossutil or of the aliyun CLI
    #[arg(long, hide_short_help = true, value_name = "FILE")]
    pub(crate) config_file: Option<PathBuf>,
    /// Folder for the state of uploads and imports; OSSUP_STATE_DIR sets it too
    #[arg(long, hide_short_help = true, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// CA certificates to trust in addition to the system's; SSL_CERT_FILE sets them too
    #[arg(long, hide_short_help = true, value_name = "PEM")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Proxy for all services; HTTPS_PROXY, HTTP_PROXY and NO_PROXY are honoured too
    #[arg(long, hide_short_help = true, value_name = "URL")]
    pub(crate) proxy: Option<String>,
    /// Signature version
    #[arg(long, hide_short_help = true, value_enum, default_value_t = SignVersionArg::V4, value_name = "VERSION")]
    pub(crate) sign_version: SignVersionArg,
}

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct RetryArgs {
    /// Give up after this long without progress [default: 30m]
    // Last under its heading in every command, wherever the group is flattened.
    #[arg(long, hide_short_help = true, value_name = "DURATION", display_order = 1000)]
    pub(crate) retry_timeout: Option<Span>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AddressingArg {
    /// BUCKET.HOST/KEY
    Virtual,
    /// HOST/BUCKET/KEY
    Path,
    /// HOST/KEY: the host is a custom domain of the bucket
    Cname,
}

impl From<AddressingArg> for AddressingStyle {
    fn from(arg: AddressingArg) -> Self {
        match arg {
            AddressingArg::Virtual => Self::Virtual,
            AddressingArg::Path => Self::Path,
            AddressingArg::Cname => Self::Cname,
        }
    }
}

impl From<AddressingStyle> for AddressingArg {
    fn from(style: AddressingStyle) -> Self {
        match style {
            AddressingStyle::Virtual => Self::Virtual,
            AddressingStyle::Path => Self::Path,
            AddressingStyle::Cname => Self::Cname,
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum SignVersionArg {
    /// Legacy, HMAC-SHA1
    V1,
    /// Current, HMAC-SHA256
    #[default]
    V4,
}
