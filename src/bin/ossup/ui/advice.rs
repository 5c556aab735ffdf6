//! Advice as text: commands quoted for a POSIX shell, with the names of real files.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use ossup::image::{Command, Fix, Setting, Word};

use super::text::quoted;

/// The image that advice is about.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    /// The file, or where an object's bytes would be if it was fetched into the current folder.
    path: PathBuf,
    /// Where new files go.
    folder: PathBuf,
}

impl Subject {
    /// A file. New files go beside it, but not beside a device.
    pub(crate) fn file(path: &Path) -> Self {
        let beside = path.metadata().is_ok_and(|metadata| metadata.is_file());
        let folder = path.parent().filter(|_| beside).unwrap_or(Path::new(""));
        Self { path: path.to_owned(), folder: folder.to_owned() }
    }

    /// An object, which must be fetched first.
    pub(crate) fn object(key: &str) -> Self {
        let name = key.rsplit('/').find(|name| !name.is_empty()).unwrap_or("image");
        Self { path: name.into(), folder: PathBuf::new() }
    }

    /// Returns a file of this suffix that is not there, named after the image.
    fn new_file(&self, suffix: &str) -> PathBuf {
        let stem = self.path.file_stem().unwrap_or(OsStr::new("image"));
        let bare = Path::new(stem).extension() == Some(OsStr::new(suffix));
        let stem = if bare { Path::new(stem).file_stem().unwrap_or(stem) } else { stem };
        let named = |number: u32| {
            let mut name = stem.to_owned();
            if number > 1 {
                name.push(format!("-{number}"));
            }
            name.push(format!(".{suffix}"));
            self.folder.join(name)
        };
        let taken = |path: &PathBuf| path.symlink_metadata().is_ok() || *path == self.path;
        (1..=u32::MAX).map(named).find(|path| !taken(path)).expect("a folder holds fewer files")
    }
}

/// Returns advice as text. Without a subject, as for a request, the files of commands have placeholders.
pub(crate) fn text(fix: &Fix, subject: Option<&Subject>) -> String {
    match (fix, subject) {
        (Fix::Run { commands, .. }, Some(subject)) => {
            let texts: Vec<_> = commands.iter().map(|each| command(each, subject)).collect();
            texts.join(" && ")
        }
        (Fix::InGuest(commands), _) => format!("in the guest: {}", commands.join("; ")),
        (Fix::Set(settings), _) => settings.iter().map(setting).collect::<Vec<_>>().join(" "),
        _ => fix.to_string(),
    }
}

/// Returns the file to use instead of the image after the commands ran.
pub(crate) fn result(fix: &Fix, subject: &Subject) -> Option<PathBuf> {
    match fix {
        Fix::Run { result: Word::New { suffix, .. }, .. } => Some(subject.new_file(suffix)),
        Fix::Run { .. } => Some(subject.path.clone()),
        _ => None,
    }
}

/// Returns the commands that are meant for the guest.
pub(crate) fn in_guest(fix: &Fix) -> &[String] {
    match fix {
        Fix::InGuest(commands) => commands,
        _ => &[],
    }
}

/// Returns the kind of advice, for JSON.
pub(crate) fn kind(fix: &Fix) -> &'static str {
    match fix {
        Fix::Run { .. } => "command",
        Fix::Set(_) => "setting",
        Fix::InGuest(_) => "in-guest",
        _ => "sentence",
    }
}

fn setting(setting: &Setting) -> String {
    match &setting.value {
        Some(value) => format!("{} {}", setting.option, quoted(value.as_bytes())),
        None => format!("without {}", setting.option),
    }
}

fn command(command: &Command, subject: &Subject) -> String {
    let mut text = command.program.to_owned();
    for argument in &command.words {
        text.push(' ');
        text.push_str(&word(argument, subject));
    }
    if let Some(file) = &command.stdout {
        text.push_str(" > ");
        text.push_str(&word(file, subject));
    }
    text
}

fn word(word: &Word, subject: &Subject) -> String {
    match word {
        Word::Image => quoted(&plain(&subject.path)),
        Word::ImageOption(before) => {
            let path = plain(&subject.path);
            let doubled =
                path.iter().flat_map(|byte| std::iter::repeat_n(*byte, if *byte == b',' { 2 } else { 1 }));
            quoted(&before.bytes().chain(doubled).collect::<Vec<_>>())
        }
        Word::New { before, suffix } => {
            let path = plain(&subject.new_file(suffix));
            quoted(&before.bytes().chain(path).collect::<Vec<_>>())
        }
        other => quoted(other.to_string().as_bytes()),
    }
}

/// Returns a path that no program mistakes for an option or for a host's address.
fn plain(path: &Path) -> Vec<u8> {
    let bytes = path.as_os_str().as_bytes().to_vec();
    let first = bytes.split(|byte| *byte == b'/').next().unwrap_or_default();
    if first.starts_with(b"-") || first.contains(&b':') { [&b"./"[..], &bytes].concat() } else { bytes }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fix() -> Fix {
        // From the library, which alone makes fixes: a VMDK is to be converted.
        let mut vmdk = vec![0; 1 << 20];
        vmdk[..4].copy_from_slice(b"KDMV");
        vmdk[28] = 1;
        vmdk[512..533].copy_from_slice(b"# Disk DescriptorFile");
        let report = ossup::image::inspect(&vmdk, &ossup::image::Expected::default()).unwrap();
        report.findings.into_iter().find_map(|finding| finding.fix).unwrap()
    }

    #[test]
    fn what_is_made_is_never_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("disk.qcow2");
        std::fs::write(&image, "x").unwrap();
        let subject = Subject::file(&image);
        assert_eq!(subject.new_file("qcow2"), folder.path().join("disk-2.qcow2"));
        std::os::unix::fs::symlink("nowhere", folder.path().join("disk-2.qcow2")).unwrap();
        assert_eq!(subject.new_file("qcow2"), folder.path().join("disk-3.qcow2"));
        assert_eq!(subject.new_file("raw"), folder.path().join("disk.raw"));
        let packed = folder.path().join("disk.qcow2.gz");
        std::fs::write(&packed, "x").unwrap();
        assert_eq!(Subject::file(&packed).new_file("qcow2"), folder.path().join("disk-3.qcow2"));
        assert_eq!(result(&fix(), &subject), Some(folder.path().join("disk-3.qcow2")));
    }

    #[test]
    fn what_is_made_of_a_device_or_an_object_goes_into_the_current_folder() {
        assert_eq!(Subject::file(Path::new("/dev/null")).new_file("qcow2"), Path::new("null.qcow2"));
        let object = Subject::object("images/web/a b.vmdk");
        assert_eq!(text(&fix(), Some(&object)), "qemu-img convert -O qcow2 -f vmdk 'a b.vmdk' 'a b.qcow2'");
    }

    #[test]
    fn a_name_is_no_option_and_no_host() {
        let of = |name: &str| text(&fix(), Some(&Subject::file(Path::new(name))));
        assert_eq!(of("-rf"), "qemu-img convert -O qcow2 -f vmdk ./-rf ./-rf.qcow2");
        assert_eq!(of("nbd:x"), "qemu-img convert -O qcow2 -f vmdk ./nbd:x ./nbd:x.qcow2");
    }
}
