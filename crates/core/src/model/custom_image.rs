use std::fmt;
use std::str::FromStr;

use super::InvalidValue;

/// Makes a newtype for an id that a service gives out: opaque text that is kept as sent.
macro_rules! service_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Returns the id.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidValue;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
                if text.is_empty() || text.len() > MAX_ID_BYTES || !text.bytes().all(allowed) {
                    let shown: String = text.chars().take(80).collect();
                    return Err(InvalidValue::new(
                        format!(concat!($kind, " `{}`"), shown.escape_debug()),
                        "must be 1 to 64 letters, digits, `-`, `_` and `.`",
                    ));
                }
                Ok(Self(text.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidValue;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

/// Longest id that is believed; ECS's are prefix and 20 characters, and a ClientToken has at most 64.
const MAX_ID_BYTES: usize = 64;

service_id! {
    /// A custom image's id: `m-` and 20 characters, the first three of which encode the region.
    ImageId, "image id"
}
service_id! {
    /// The id of an asynchronous task: `t-` and 20 characters.
    TaskId, "task id"
}
service_id! {
    /// A snapshot's id: `s-` and 20 characters.
    SnapshotId, "snapshot id"
}
service_id! {
    /// An instance's id: `i-` and 20 characters.
    InstanceId, "instance id"
}
service_id! {
    /// The id of an Alibaba Cloud account (its UID).
    AccountId, "account id"
}
service_id! {
    /// A caller's name for one request: the same token and parameters give the same answer again ("How to
    /// ensure idempotence" page).
    ClientToken, "client token"
}

impl ClientToken {
    /// Returns a token that no other request has.
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4().to_string())
    }
}

/// Makes an enum of words that the API spells in one way and that people type in any case, or by another name.
macro_rules! api_word {
    (
        $(#[$doc:meta])* $name:ident, $kind:literal,
        $($(#[$vdoc:meta])* $variant:ident = $text:literal $(| $alias:literal)*),+ $(,)?
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub enum $name {
            $($(#[$vdoc])* $variant,)+
        }

        impl $name {
            /// All values.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Returns the API's spelling.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }

        impl FromStr for $name {
            type Err = InvalidValue;

            /// Compares without case.
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let is = |name: &str| name.eq_ignore_ascii_case(text);
                let found = match () {
                    $(() if is($text) $(|| is($alias))* => Some(Self::$variant),)+
                    () => None,
                };
                found.ok_or_else(|| {
                    let shown: String = text.chars().take(40).collect();
                    let names: Vec<_> = Self::ALL.iter().map(|value| value.as_str()).collect();
                    InvalidValue::new(
                        format!(concat!($kind, " `{}`"), shown.escape_debug()),
                        format!("must be one of {}", names.join(", ")),
                    )
                })
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidValue;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.as_str().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

api_word! {
    /// What processor an image runs on (ImportImage `Architecture`).
    Architecture, "architecture",
    /// 32-bit x86.
    I386 = "i386" | "i686" | "x86",
    /// 64-bit x86, the service's default.
    X86_64 = "x86_64" | "amd64" | "x86-64" | "x64",
    /// 64-bit ARM, which boots with UEFI only.
    Arm64 = "arm64" | "aarch64",
}
api_word! {
    /// The family of an image's operating system (ImportImage `OSType`).
    OsType, "operating system type",
    /// Linux and FreeBSD, the service's default.
    Linux = "linux",
    /// Windows.
    Windows = "windows",
}
api_word! {
    /// How an image boots (ImportImage and ModifyImageAttribute `BootMode`).
    BootMode, "boot mode",
    /// From the MBR, the service's default.
    Bios = "BIOS",
    /// From an EFI system partition.
    Uefi = "UEFI",
    /// Either; only ModifyImageAttribute takes it.
    UefiPreferred = "UEFI-Preferred",
}
api_word! {
    /// A disk file format that ECS imports (ImportImage `Format`).
    DiskFormat, "image format",
    /// The plain sequence of sectors.
    Raw = "RAW",
    /// Microsoft's VHD, also called VPC.
    Vhd = "VHD",
    /// QEMU's QCOW, version 2 or 3.
    Qcow2 = "QCOW2",
    /// VMware's VMDK, by invitation.
    Vmdk = "VMDK",
}
api_word! {
    /// The operating-system licence that instances use (ImportImage `LicenseType`).
    LicenseType, "license type",
    /// The service chooses.
    Auto = "Auto",
    /// Billed with the instance.
    Aliyun = "Aliyun",
    /// The owner's own.
    Byol = "BYOL",
}

/// Makes an enum of states that may grow: an unknown one is kept as sent.
macro_rules! api_state {
    ($(#[$doc:meta])* $name:ident, $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)?) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$vdoc])* $variant,)+
            /// A state that this program does not know.
            Other(String),
        }

        impl $name {
            /// Returns the API's spelling.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Other(text) => text,
                }
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                match text {
                    $(_ if text.eq_ignore_ascii_case($text) => Self::$variant,)+
                    _ => Self::Other(text.to_owned()),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

api_state! {
    /// A custom image's state (DescribeImages `Status`).
    ImageStatus,
    /// Queued: more tasks than run at once.
    Waiting = "Waiting",
    /// Being imported or copied.
    Creating = "Creating",
    /// Usable.
    Available = "Available",
    /// Not usable, for good.
    UnAvailable = "UnAvailable",
    /// The import or copy failed.
    CreateFailed = "CreateFailed",
    /// Withdrawn by its owner.
    Deprecated = "Deprecated",
}
api_state! {
    /// A task's state (DescribeTasks `TaskStatus`).
    TaskStatus,
    /// Queued.
    Waiting = "Waiting",
    /// Running.
    Processing = "Processing",
    /// Held; it goes on by itself.
    Paused = "Paused",
    /// Ended, which is not yet success.
    Finished = "Finished",
    /// Failed.
    Failed = "Failed",
    /// Cancelled.
    Deleted = "Deleted",
}
api_state! {
    /// A snapshot's state (DescribeSnapshots `Status`).
    ///
    /// While an import runs the console shows its snapshots as "Failed"; that says nothing about the import.
    SnapshotStatus,
    /// Being made.
    Progressing = "progressing",
    /// Complete.
    Accomplished = "accomplished",
    /// Failed, or not yet made by a running import.
    Failed = "failed",
}

api_state! {
    /// An instance's state (DescribeInstances `Status`).
    InstanceStatus,
    /// Being made.
    Pending = "Pending",
    /// Being started.
    Starting = "Starting",
    /// Started, whether its system is or not.
    Running = "Running",
    /// Being stopped.
    Stopping = "Stopping",
    /// Switched off.
    Stopped = "Stopped",
}

impl ImageStatus {
    /// Whether the state can still change by itself.
    pub fn is_pending(&self) -> bool {
        matches!(self, Self::Waiting | Self::Creating | Self::Other(_))
    }

    /// Whether the image can never be used.
    pub fn is_failed(&self) -> bool {
        matches!(self, Self::UnAvailable | Self::CreateFailed)
    }
}

impl TaskStatus {
    /// Whether the task has ended, well or badly.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Finished | Self::Failed | Self::Deleted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_in_any_case_and_written_as_the_api_spells_them() {
        assert_eq!("QCow2".parse::<DiskFormat>().unwrap().to_string(), "QCOW2");
        assert_eq!("uefi-preferred".parse::<BootMode>().unwrap(), BootMode::UefiPreferred);
        let error = "riscv64".parse::<Architecture>().unwrap_err().to_string();
        assert_eq!(error, "architecture `riscv64` must be one of i386, x86_64, arm64");
        assert_eq!(serde_json::to_string(&LicenseType::Byol).unwrap(), "\"BYOL\"");
        assert_eq!(serde_json::from_str::<OsType>("\"Windows\"").unwrap(), OsType::Windows);
    }

    #[test]
    fn architectures_have_the_names_that_other_tools_give_them() {
        for (text, architecture) in [
            ("amd64", Architecture::X86_64),
            ("X86-64", Architecture::X86_64),
            ("aarch64", Architecture::Arm64),
            ("i686", Architecture::I386),
        ] {
            assert_eq!(text.parse::<Architecture>().unwrap(), architecture, "{text}");
        }
    }

    #[test]
    fn unknown_states_are_kept_and_count_as_pending() {
        let state = ImageStatus::from("Thawing");
        assert_eq!(state.as_str(), "Thawing");
        assert!(state.is_pending() && !state.is_failed());
        assert_eq!(TaskStatus::from("finished"), TaskStatus::Finished);
        assert!(!TaskStatus::Paused.is_terminal());
    }

    #[test]
    fn ids_carry_no_separator_of_the_wire() {
        for bad in ["", "t-a,t-b", "m-1&x=2", "m 1", "t-\u{442}", &"x".repeat(65)] {
            assert!(bad.parse::<TaskId>().is_err(), "{bad}");
        }
        assert_eq!("t-bp122w42o0rbfmfkali3".parse::<TaskId>().unwrap().as_str().len(), 22);
    }
}
