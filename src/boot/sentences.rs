//! What the lines of a console mean, of the firmware, of boot loaders, kernels and distributions.

use super::cause::Cause;
use super::milestone::Milestone;

/// What a line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The system came so far.
    Reached(Milestone),
    /// The system came to an end here.
    Stopped(Cause),
    /// Something is wrong, and may turn out to be why the system stops.
    Clue,
    /// GRUB could not load something. It may go on with another entry, or ask for a key.
    LoaderClue,
}

use Meaning::{Clue, LoaderClue, Reached, Stopped};

/// Sentences that stop a system, wherever they stand in a line.
const STOPS: [(&str, Cause); 27] = [
    ("Kernel panic - not syncing: VFS: Unable to mount root fs", Cause::PanicNoRoot),
    ("Kernel panic - not syncing", Cause::Panic),
    // SeaBIOS.
    ("No bootable device.", Cause::NoBootableDevice),
    // OVMF.
    ("BdsDxe: No bootable option or device was found", Cause::NoBootableDevice),
    ("UEFI Interactive Shell", Cause::NoBootableDevice),
    // Boot code of the first sector.
    ("Missing operating system", Cause::NoBootableDevice),
    ("Operating system not found", Cause::NoBootableDevice),
    ("GRUB Hard Disk Error", Cause::NoBootableDevice),
    ("Entering rescue mode...", Cause::GrubRescue),
    ("Minimal BASH-like line editing is supported", Cause::GrubPrompt),
    // initramfs-tools.
    ("does not exist.  Dropping to a shell!", Cause::InitramfsShell),
    ("No root device specified. Boot arguments must include a root= parameter.", Cause::InitramfsShell),
    // dracut.
    ("Generating \"/run/initramfs/rdsosreport.txt\"", Cause::InitramfsShell),
    ("Entering emergency mode. Exit the shell to continue.", Cause::InitramfsShell),
    ("FATAL: Don't know how to handle 'root=", Cause::InitramfsShell),
    // mkinitcpio.
    ("You are now being dropped into an emergency shell.", Cause::InitramfsShell),
    ("You are being dropped to a recovery shell", Cause::InitramfsShell),
    // Alpine.
    ("initramfs emergency recovery shell launched", Cause::InitramfsShell),
    // systemd, in the installed system or in an initramfs.
    ("You are in emergency mode", Cause::EmergencyMode),
    ("Welcome to emergency mode", Cause::EmergencyMode),
    ("Give root password for maintenance", Cause::EmergencyMode),
    ("Press Enter for maintenance", Cause::EmergencyMode),
    ("Cannot open access to console, the root account is locked", Cause::EmergencyMode),
    ("You are in rescue mode", Cause::RescueMode),
    ("Welcome to rescue mode", Cause::RescueMode),
    ("reboot: Power down", Cause::Ended),
    ("reboot: System halted", Cause::Ended),
];

/// Prompts: they end a line that goes on.
const PROMPTS: [(&str, Cause); 7] = [
    ("grub rescue>", Cause::GrubRescue),
    ("grub>", Cause::GrubPrompt),
    ("(initramfs)", Cause::InitramfsShell),
    ("dracut:/#", Cause::InitramfsShell),
    ("[rootfs ]#", Cause::InitramfsShell),
    ("[rootfs /]#", Cause::InitramfsShell),
    ("Shell>", Cause::NoBootableDevice),
];

const LOADER_CLUES: [&str; 7] = [
    "error: no such device",
    "error: no such partition",
    "error: unknown filesystem",
    "error: you need to load the kernel first",
    "error: disk `",
    "error: invalid magic number",
    "error: can't find command",
];

const CLUES: [&str; 22] = [
    "VFS: Cannot open root device",
    "does not exist. Dropping",
    "ALERT!",
    "Gave up waiting for root",
    "Gave up waiting for suspend",
    "dracut-initqueue: timeout",
    "Warning: Could not boot",
    "Unable to find root device",
    "ERROR: device '",
    "ERROR: Failed to mount",
    "Mounting root: failed",
    "mount: mounting ",
    "Timed out waiting for device",
    "Dependency failed for ",
    "Failed to mount ",
    "Failed to start ",
    "BdsDxe: failed to load",
    "BdsDxe: failed to start",
    "Boot failed:",
    "Out of memory",
    "No space left on device",
    "Used fallback datasource",
];

const MILESTONES: [(&str, Milestone); 40] = [
    ("GRUB loading", Milestone::Loader),
    ("Welcome to GRUB!", Milestone::Loader),
    ("GNU GRUB", Milestone::Loader),
    ("SYSLINUX ", Milestone::Loader),
    ("EXTLINUX ", Milestone::Loader),
    ("Booting `", Milestone::Loader),
    ("Loading Linux ", Milestone::Loader),
    ("BdsDxe: starting Boot", Milestone::Loader),
    ("EFI stub: ", Milestone::Loader),
    ("Linux version ", Milestone::Kernel),
    ("Decompressing Linux", Milestone::Kernel),
    ("Run /init as init process", Milestone::Kernel),
    ("Loading, please wait...", Milestone::Kernel),
    ("Begin: Loading essential drivers", Milestone::Kernel),
    ("Begin: Mounting root file system", Milestone::Kernel),
    (":: running early hook", Milestone::Kernel),
    ("Running in initrd.", Milestone::Kernel),
    ("Running in initial RAM disk.", Milestone::Kernel),
    ("Mounted root (", Milestone::Root),
    ("VFS: Mounted root", Milestone::Root),
    ("Mounted sysroot.mount", Milestone::Root),
    ("Mounted /sysroot.", Milestone::Root),
    ("Reached target Switch Root", Milestone::Root),
    ("Reached target initrd-switch-root.target", Milestone::Root),
    ("Switching root.", Milestone::Root),
    ("): mounted filesystem ", Milestone::Root),
    ("): Ending clean mount", Milestone::Root),
    ("/scripts/init-bottom ... done", Milestone::Root),
    ("Mounting root: ok.", Milestone::Root),
    ("as init process", Milestone::Kernel),
    ("INIT: version ", Milestone::Init),
    ("OpenRC ", Milestone::Init),
    ("Reached target multi-user.target", Milestone::Init),
    ("Reached target Multi-User System", Milestone::Init),
    ("Remount Root and Kernel File Systems", Milestone::Init),
    ("udhcpc: lease of ", Milestone::Network),
    ("DHCPACK of ", Milestone::Network),
    ("DHCPACK from ", Milestone::Network),
    (": leased ", Milestone::Network),
    ("bound to ", Milestone::Network),
];

/// Says what a whole line means.
pub(super) fn of_line(line: &str) -> Option<Meaning> {
    if let Some((_, cause)) = STOPS.iter().find(|(sentence, _)| line.contains(sentence)) {
        return Some(Stopped(*cause));
    }
    if CLUES.iter().any(|clue| line.contains(clue)) {
        return Some(Clue);
    }
    if LOADER_CLUES.iter().any(|clue| line.contains(clue)) || is_missing_file(line) {
        return Some(LoaderClue);
    }
    if is_welcome(line) {
        return Some(Reached(Milestone::Init));
    }
    if line.contains("Cloud-init v. ") && line.contains(" finished at ") {
        return Some(Reached(Milestone::CloudInit));
    }
    // OVMF starts its own shell when nothing else is there to start.
    if line.contains("BdsDxe: starting Boot") && line.contains("Shell") {
        return Some(Clue);
    }
    if let Some((_, milestone)) = MILESTONES.iter().find(|(sentence, _)| line.contains(sentence)) {
        return Some(Reached(*milestone));
    }
    of_prompt(line)
}

/// Says what a line means that may go on.
pub(super) fn of_prompt(line: &str) -> Option<Meaning> {
    let line = line.trim_end();
    if let Some((_, cause)) = PROMPTS.iter().find(|(prompt, _)| line.ends_with(prompt)) {
        return Some(Stopped(*cause));
    }
    is_login(line).then_some(Reached(Milestone::Prompt))
}

/// Whether a line is `HOST login:`, as every getty asks. What the kernel says may stand before it.
fn is_login(line: &str) -> bool {
    let Some(before) = line.strip_suffix(" login:") else { return false };
    let host = before.rsplit(' ').next().unwrap_or_default();
    !host.is_empty()
        && host != "Last"
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
}

/// GRUB's "error: file `/boot/vmlinuz' not found."
fn is_missing_file(line: &str) -> bool {
    line.contains("error: file `") && line.contains("not found")
}

/// Whether systemd welcomes to a distribution, and not to its initramfs.
fn is_welcome(line: &str) -> bool {
    let Some((_, system)) = line.split_once("Welcome to ") else { return false };
    let initial = ["Initramfs", "initramfs", "dracut", "initrd"].iter().any(|word| system.contains(word));
    system.ends_with('!') && !system.contains("GRUB") && !initial
}
