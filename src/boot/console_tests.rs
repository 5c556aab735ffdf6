use proptest::prelude::*;

use super::*;

fn read(text: &str) -> (Vec<Seen>, Console) {
    let mut console = Console::default();
    let seen = console.read(text.as_bytes());
    (seen, console)
}

/// Returns the milestones of a console text, each once, and the first stop.
fn story(text: &str) -> (Vec<Milestone>, Option<Cause>) {
    let mut reached = Vec::new();
    let mut stopped = None;
    for seen in read(text).0 {
        match seen {
            Seen::Reached(milestone, _) if !reached.contains(&milestone) => reached.push(milestone),
            Seen::Reached(..) => {}
            Seen::Stopped(cause, _) => stopped = stopped.or(Some(cause)),
        }
    }
    (reached, stopped)
}

#[test]
fn good_starts_of_several_distributions_are_followed_to_the_prompt() {
    use Milestone::*;
    let debian = "\x1bc\x1b[?7l\x1b[2J\x1b[0mSeaBIOS (version 1.16.2-debian-1.16.2-1)\r\n\
        Booting from Hard Disk...\r\nGRUB loading.\r\nWelcome to GRUB!\r\n\r\n\
        \x1b[H\x1b[J\x1b[1;1H  Booting `Debian GNU/Linux'\r\n\r\nLoading Linux 6.1.0-28-cloud-amd64 ...\r\n\
        Loading initial ramdisk ...\r\n\
        [    0.000000] Linux version 6.1.0-28-cloud-amd64 (debian-kernel@lists.debian.org)\r\n\
        Loading, please wait...\r\nBegin: Mounting root file system ... done.\r\n\
        [    2.513861] EXT4-fs (vda1): mounted filesystem with ordered data mode. Quota mode: none.\r\n\
        Begin: Running /scripts/init-bottom ... done.\r\n\
        [    3.022012] systemd[1]: systemd 252.31-1~deb12u1 running in system mode (+PAM +AUDIT)\r\n\
        \r\nWelcome to \x1b[1mDebian GNU/Linux 12 (bookworm)\x1b[0m!\r\n\r\n\
        [\x1b[0;32m  OK  \x1b[0m] Reached target \x1b[0;1;39mmulti-user.target\x1b[0m - Multi-User System.\r\n\
        \r\nDebian GNU/Linux 12 web ttyS0\r\n\r\nweb login: ";
    assert_eq!(story(debian), (vec![Loader, Kernel, Root, Init, Prompt], None));

    let fedora = "BdsDxe: starting Boot0001 \"UEFI Misc Device\" from PciRoot(0x0)/Pci(0x2,0x0)\r\n\
        [    0.000000] Linux version 6.11.4-301.fc41.x86_64 (mockbuild@0a0d)\r\n\
        [    1.100000] systemd[1]: Running in initrd.\r\n\
        \r\nWelcome to \x1b[0;38;2;60;110;180mFedora Linux 41 (Cloud Edition) dracut-103-3.fc41 (Initramfs)\x1b[0m!\r\n\
        [  OK  ] Mounted sysroot.mount - /sysroot.\r\n\
        [    5.000000] systemd-journald[190]: Received SIGTERM from PID 1 (systemd).\r\n\
        \r\nWelcome to Fedora Linux 41 (Cloud Edition)!\r\n\
        [   20.1] cloud-init[700]: Cloud-init v. 24.2 finished at Tue, 01 Jan 2026 00:00:00 +0000. \
        Datasource DataSourceAliYun.  Up 20.1 seconds\r\nfedora login: ";
    assert_eq!(story(fedora), (vec![Loader, Kernel, Root, Init, CloudInit, Prompt], None));

    let alpine = "EFI stub: Loaded initrd from LINUX_EFI_INITRD_MEDIA_GUID device path\r\n\
        [    0.000000] Linux version 6.6.49-0-virt\r\nAlpine Init 3.11.1-r0\r\n * Mounting root: ok.\r\n\
        \r\n   OpenRC 0.54 is starting up Linux 6.6.49-0-virt (x86_64)\r\n\r\n\
        udhcpc: lease of 100.100.100.15 obtained from 100.100.100.2, lease time 86400\r\n\
        Welcome to Alpine Linux 3.20\r\nKernel 6.6.49-0-virt on an x86_64 (/dev/ttyS0)\r\n\r\nlocalhost login: ";
    assert_eq!(story(alpine), (vec![Loader, Kernel, Root, Init, Network, Prompt], None));

    let centos6 = "Decompressing Linux... Parsing ELF... done.\r\n\
        dracut: Switching root\r\nINIT: version 2.86 booting\r\n\
        Determining IP information for eth0...DHCPACK from 100.100.100.2 (xid=0x1)\r\nlocalhost.localdomain login: ";
    assert_eq!(story(centos6), (vec![Kernel, Init, Network, Prompt], None));
}

#[test]
fn each_way_to_stop_is_told_from_the_others() {
    for (text, cause) in [
        (
            "Booting from Hard Disk...\r\nBoot failed: not a bootable disk\r\n\r\nNo bootable device.\r\n",
            Cause::NoBootableDevice,
        ),
        (
            "BdsDxe: failed to load Boot0001 \"UEFI Misc Device\": Not Found\r\n\
             BdsDxe: No bootable option or device was found.\r\n",
            Cause::NoBootableDevice,
        ),
        ("\x1b[33mUEFI Interactive Shell v2.2\r\nShell> ", Cause::NoBootableDevice),
        ("error: no such device: 1a2b.\r\nEntering rescue mode...\r\ngrub rescue> ", Cause::GrubRescue),
        ("GRUB loading.\r\ngrub rescue> ", Cause::GrubRescue),
        ("\x1b[2;1HMinimal BASH-like line editing is supported.\x1b[5;1Hgrub> ", Cause::GrubPrompt),
        ("\x1b[5;1Hgrub> ", Cause::GrubPrompt),
        (
            "[    1.2] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\r\n",
            Cause::PanicNoRoot,
        ),
        (
            "[    1.2] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100\r\n",
            Cause::Panic,
        ),
        // Debian and Ubuntu.
        (
            "ALERT!  UUID=0e0d0c0b-0000-4000-8000-000000000001 does not exist.  Dropping to a shell!\r\n",
            Cause::InitramfsShell,
        ),
        (
            "BusyBox v1.35.0 (Debian 1:1.35.0-4) built-in shell (ash)\r\n\r\n(initramfs) ",
            Cause::InitramfsShell,
        ),
        // RHEL family, Fedora, SUSE.
        (
            "[  190.1] dracut-initqueue[350]: Warning: dracut-initqueue: timeout, still waiting\r\n\
             Warning: Could not boot.\r\n\r\nGenerating \"/run/initramfs/rdsosreport.txt\"\r\n",
            Cause::InitramfsShell,
        ),
        // The same systemd in an initramfs, whose root account has no password.
        (
            "[  OK  ] Reached target Initrd Root Device.\r\n\
             Cannot open access to console, the root account is locked.\r\n",
            Cause::InitramfsShell,
        ),
        // Arch.
        (
            "ERROR: device 'UUID=1' not found. Skipping fsck.\r\n\
             You are now being dropped into an emergency shell.\r\nsh: can't access tty; job control turned off\r\n",
            Cause::InitramfsShell,
        ),
        ("[rootfs ]# ", Cause::InitramfsShell),
        // Alpine.
        (
            " * Mounting root: failed. \r\ninitramfs emergency recovery shell launched. Type 'exit' to continue boot\r\n",
            Cause::InitramfsShell,
        ),
        (
            "Welcome to Debian GNU/Linux 12 (bookworm)!\r\n\
             You are in emergency mode. After logging in, type \"journalctl -xb\" to view\r\n\
             Cannot open access to console, the root account is locked.\r\n",
            Cause::EmergencyMode,
        ),
        ("Welcome to Ubuntu 24.04.1 LTS!\r\nPress Enter for maintenance\r\n", Cause::EmergencyMode),
        ("Welcome to CentOS Stream 9!\r\nYou are in rescue mode. After logging in\r\n", Cause::RescueMode),
        ("[   40.1] reboot: Power down\r\n", Cause::Ended),
    ] {
        assert_eq!(story(text).1, Some(cause), "{text}");
    }
}

#[test]
fn what_only_looks_like_a_stop_or_a_prompt_is_none() {
    for text in [
        "Last login: ",
        "type your login:x",
        "Welcome to GRUB!\r\n",
        "echo grub> x\r\n",
        "[    1.0] systemd[1]: Starting emergency.service...\r\n",
        "[  OK  ] Stopped target emergency\r\n",
    ] {
        let (reached, stopped) = story(text);
        assert!(
            stopped.is_none() && !reached.contains(&Milestone::Prompt),
            "{text}: {reached:?} {stopped:?}"
        );
        assert!(!reached.contains(&Milestone::Init), "{text}");
    }
}

#[test]
fn an_initramfs_and_a_firmware_s_shell_do_not_pass_for_the_system() {
    let shell = "BdsDxe: starting Boot0002 \"EFI Internal Shell\" from Fv(7CB8BDC9)/FvFile(7C04A583)\r\n";
    assert_eq!(story(shell), (vec![], None));
    let text =
        "Welcome to openSUSE Leap 15.6 dracut-055 (Initramfs)!\r\nWelcome to Arch Linux (initramfs)!\r\n";
    assert_eq!(story(text), (vec![], None));
}

#[test]
fn clues_are_kept_in_order_and_each_once() {
    let (_, console) = read(
        "[ TIME ] Timed out waiting for device dev-disk-by\\x2duuid-1.device.\r\n\
         [DEPEND] Dependency failed for data.mount - /data.\r\n\
         [DEPEND] Dependency failed for data.mount - /data.\r\n",
    );
    assert_eq!(console.clues().len(), 2);
    assert!(console.clues()[0].contains("Timed out waiting for device"));
}

#[test]
fn a_loader_in_trouble_is_out_of_it_with_the_kernel() {
    let missing = "error: file `/boot/vmlinuz-6.1.0-9-amd64' not found.\r\nPress any key to continue...";
    let (seen, mut console) = read(missing);
    assert!(seen.is_empty() && console.is_loader_in_trouble());
    console.read(b"\r\n[    0.000000] Linux version 6.1.0-28\r\n");
    assert!(!console.is_loader_in_trouble());
}

#[test]
fn the_last_lines_are_plain_text_and_few() {
    let mut console = Console::default();
    for number in 0..1000 {
        console.read(format!("\x1b[31mline {number}\x1b[0m\x1b]0;title\x07 \u{9b}2J\r\n").as_bytes());
    }
    console.read(b"half");
    let lines = console.last_lines();
    assert_eq!((lines.len(), lines.last().unwrap().as_str()), (LAST_LINES + 1, "half"));
    assert_eq!(lines[LAST_LINES - 1], "line 999 \u{fffd}2J");
}

proptest! {
    /// Bytes of the guest are hostile: however they are cut, they say the same, and memory stays bounded.
    #[test]
    fn how_bytes_are_cut_changes_nothing(
        pieces in prop::collection::vec(prop_oneof![
            Just(b"\x1b[1;31m".to_vec()), Just(b"\x1b]x".to_vec()), Just(b"GRUB loading.\r\n".to_vec()),
            Just(b"\x1b[H".to_vec()), Just(b"error: no such device: x\n".to_vec()),
            prop::collection::vec(any::<u8>(), 0..40),
        ], 0..30),
        cut in 1_usize..7,
    ) {
        let bytes = pieces.concat();
        let mut whole = Console::default();
        // A line end, so that no prompt is open.
        whole.read(&bytes);
        whole.read(b"\x07\n");
        let mut parts = Console::default();
        for part in bytes.chunks(cut) {
            parts.read(part);
        }
        parts.read(b"\x07\n");
        prop_assert_eq!(whole.last_lines(), parts.last_lines());
        prop_assert_eq!(whole.clues(), parts.clues());
        prop_assert!(whole.last_lines().iter().all(|line| !line.contains(char::is_control)));
    }
}
