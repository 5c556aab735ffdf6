//! Ignition, which sets up Fedora CoreOS, RHEL CoreOS and Flatcar at their first start in place of cloud-init.

use super::facts::{Answer, BootEntry, Ignition, OsRelease, Told};
use super::text::{lines, shown};
use super::tree::Tree;
use super::volume::Read;

/// The argument of the kernel that tells which platform it is on.
const ARGUMENT: &str = "ignition.platform.id";
/// The platform whose user data are those of ECS ("Supported Platforms" of Ignition).
const ALIYUN: &str = "aliyun";
/// Where Flatcar says what it is made for.
const OEM: &str = "/oem/grub.cfg";
/// Ids of systems that Ignition sets up.
const IDS: [&str; 4] = ["coreos", "flatcar", "rhcos", "scos"];

/// Tells where Ignition takes its configuration from; `None` if it does not set up the system.
pub(super) fn read(
    tree: &mut Tree,
    os: &Answer<OsRelease>,
    entries: &Answer<Vec<BootEntry>>,
) -> Option<Ignition> {
    let entry = entries.found().and_then(|entries| entries.iter().find(|entry| entry.is_default));
    let named = entry.and_then(|entry| Some((entry, entry.argument(ARGUMENT)?)));
    if named.is_none() && !os.found().is_some_and(is_set_up_by_it) {
        return None;
    }
    let (platform, place) = match named {
        Some((entry, id)) => (Some(id.to_owned()), format!("{} line {}", entry.file, entry.line)),
        None => match oem(tree) {
            Ok(Some((line, id))) => (Some(id), format!("{OEM} line {line}")),
            Ok(None) => (None, "nothing that was read".to_owned()),
            Err(reason) => return Some(Ignition { platform: None, finds_ecs: Told::Unread(reason) }),
        },
    };
    let finds_ecs = match platform.as_deref() {
        Some(ALIYUN) => Told::Yes,
        Some(other) => Told::No(format!("{place} names the platform {other}")),
        None => Told::Unread(format!("{place} names its platform")),
    };
    Some(Ignition { platform, finds_ecs })
}

fn is_set_up_by_it(os: &OsRelease) -> bool {
    os.id.as_deref().is_some_and(|id| IDS.contains(&id)) || os.variant_id.as_deref() == Some("coreos")
}

/// Returns what Flatcar's own partition says of the platform, and in which line.
fn oem(tree: &mut Tree) -> Read<(usize, String)> {
    let Some(text) = tree.read(OEM, 64 << 10)? else { return Ok(None) };
    let said = lines(&text).find_map(|(number, line)| {
        let value = line.strip_prefix("set ")?.trim_start().strip_prefix("oem_id=")?;
        Some((number, shown(value.trim_matches(['"', '\'']).as_bytes())))
    });
    Ok(said)
}
