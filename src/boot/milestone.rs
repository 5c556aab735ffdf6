use std::fmt;

/// How far a system has come. Later ones come later, but for what happens side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Milestone {
    /// The firmware started a boot loader.
    Loader,
    /// The kernel runs.
    Kernel,
    /// The root file system is mounted.
    Root,
    /// The init program of the installed system runs.
    Init,
    /// DHCP gave an address.
    Network,
    /// cloud-init asked the metadata service for the instance.
    DataSource,
    /// The serial line asks for a login.
    Prompt,
    /// An SSH server answers.
    SshAnswers,
    /// A login by SSH with the key that the metadata service handed in.
    SshLogin,
    /// cloud-init has finished.
    CloudInit,
}

impl Milestone {
    /// Every one, in order.
    pub const ALL: [Self; 10] = [
        Self::Loader,
        Self::Kernel,
        Self::Root,
        Self::Init,
        Self::Network,
        Self::DataSource,
        Self::Prompt,
        Self::SshAnswers,
        Self::SshLogin,
        Self::CloudInit,
    ];
}

impl fmt::Display for Milestone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Loader => "boot loader started",
            Self::Kernel => "kernel started",
            Self::Root => "root file system mounted",
            Self::Init => "init reached",
            Self::Network => "network up by DHCP",
            Self::DataSource => "cloud-init took the data source",
            Self::Prompt => "login prompt reached",
            Self::SshAnswers => "SSH server answers",
            Self::SshLogin => "SSH works",
            Self::CloudInit => "cloud-init finished",
        })
    }
}
