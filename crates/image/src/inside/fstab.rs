//! What a guest mounts.

use super::facts::{Answer, FstabLine};
use super::identity::Names;
use super::text::{lines, shown};

/// Most lines that are told of.
const MOST_LINES: usize = 64;
/// Types of what is on no disk of this machine.
const ELSEWHERE: [&str; 22] = [
    "9p",
    "afs",
    "cgroup",
    "cgroup2",
    "ceph",
    "cifs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "glusterfs",
    "nfs",
    "nfs4",
    "none",
    "overlay",
    "proc",
    "securityfs",
    "smb3",
    "sshfs",
    "sysfs",
    "tmpfs",
    "virtiofs",
];

/// Reads the lines of an fstab, and finds on the disk what they name.
pub(super) fn read(bytes: &[u8], names: &Names) -> Vec<FstabLine> {
    let found = lines(bytes).filter_map(|(line, text)| {
        let mut fields = text.split_whitespace();
        let device = fields.next().filter(|field| !field.starts_with('#'))?;
        let mut field = || shown(unescaped(fields.next().unwrap_or_default()).as_bytes());
        let (mount_point, filesystem, options) = (field(), field(), field());
        let on_disk = !ELSEWHERE.contains(&filesystem.as_str())
            && !filesystem.starts_with("fuse.")
            && !options.split(',').any(|option| matches!(option, "bind" | "rbind"));
        let device = unescaped(device);
        let place = on_disk.then(|| names.find(&device)).flatten();
        Some(FstabLine { line, device: shown(device.as_bytes()), mount_point, filesystem, options, place })
    });
    found.take(MOST_LINES).collect()
}

impl FstabLine {
    /// Whether it names something that is certainly not on this disk.
    pub fn is_missing(&self) -> bool {
        self.place == Some(Answer::Absent)
    }

    /// Returns the subvolume of btrfs that is mounted, if one is named.
    pub(super) fn subvolume(&self) -> Option<&str> {
        self.options.split(',').find_map(|option| option.strip_prefix("subvol="))
    }
}

/// Takes the octal escapes off a field: `\040` is a blank.
fn unescaped(field: &str) -> String {
    let mut plain = String::with_capacity(field.len());
    let mut rest = field;
    while let Some((before, after)) = rest.split_once('\\') {
        plain.push_str(before);
        let code = after.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()).filter(u8::is_ascii);
        match code {
            Some(code) => {
                plain.push(char::from(code));
                rest = &after[3..];
            }
            None => {
                plain.push('\\');
                rest = after;
            }
        }
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_named_by_its_contents_is_looked_for() {
        let text = "\n# UUID=a / ext4\nUUID=\"a\"\t/ ext4 defaults,subvol=@ 0 1\nLABEL=a\\040b /b\\134c xfs\n\
                    server:/x /x nfs\nUUID=a /bind none bind\n//s/x /y cifs\nUUID=a /z fuse.x\nodd\n";
        let lines = read(text.as_bytes(), &Names::default());
        let absent: Vec<_> = lines.iter().filter(|line| line.is_missing()).map(|line| line.line).collect();
        assert_eq!(absent, [3, 4]);
        assert_eq!((&*lines[0].device, lines[0].subvolume()), ("UUID=\"a\"", Some("@")));
        assert_eq!((&*lines[1].device, &*lines[1].mount_point), ("LABEL=a b", "/b\\c"));
        assert_eq!(lines.last().unwrap().mount_point, "");
        assert_eq!(unescaped("\\0\\999\\400é\\040"), "\\0\\999\\400é ");
    }
}
