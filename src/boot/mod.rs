//! Booting an image on this machine, as ECS would show it the world: what to start, and what to make of what is seen.
//!
//! [`Machine`] is the command line of QEMU as a value. [`Console`] reads the serial line, and [`Watch`] joins that with what
//! else is seen of the guest: what it asked the metadata service for, and what its SSH server answers. Out comes a
//! [`Verdict`]: how far the system came, or where it stopped and which checks of the image speak of that.
//!
//! Nothing is started here, no byte is read and no clock: processes, sockets and time are the caller's.

mod cause;
mod console;
mod machine;
mod milestone;
mod sentences;
mod ssh;
mod watch;

pub use cause::Cause;
pub use console::{Console, Seen};
pub use machine::{Accelerator, DiskBus, Firmware, Machine, firmware_places, packages, program};
pub use milestone::Milestone;
pub use ssh::{login_users, user_asked_for};
pub use watch::{Goal, Outcome, Reached, Stop, Verdict, Watch};

use std::net::Ipv4Addr;

/// Where ECS answers for its metadata.
pub const METADATA_ADDRESS: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 200);
/// The address that DHCP gives to the guest. The network is the one that the metadata service is in: QEMU forwards
/// addresses of its own network alone.
pub const GUEST_ADDRESS: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 15);
/// What ECS calls itself in the SMBIOS tables; `cloud-init` looks for exactly this.
pub const PRODUCT: &str = "Alibaba Cloud ECS";
/// The MAC address of the guest; those of ECS begin so.
pub const GUEST_MAC: &str = "00:16:3e:0a:00:0f";
