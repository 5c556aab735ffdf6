use std::fmt;

use super::format::Format;

/// What helps against a [`Finding`](super::Finding): something to run, to set or to do.
///
/// It holds no text of a command: whoever shows it knows the image's name and how the user's shell quotes it.
/// `Display` writes `IMAGE` and `NEW` for files, for logs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Fix {
    /// Commands to run one after the other, each if the one before succeeded.
    Run {
        /// The commands.
        commands: Vec<Command>,
        /// The file, or the folder with the file, that is to be taken instead of the image afterwards.
        result: Word,
    },
    /// Options of an import to set or to omit.
    Set(Vec<Setting>),
    /// Commands for a shell of root in the running guest, or in a `chroot` to its root, each of which may be run
    /// again.
    InGuest(Vec<String>),
    /// Something that a person does, in words.
    Do(String),
}

/// A program with its arguments, none of them quoted.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Command {
    /// Name of the program.
    pub program: &'static str,
    /// Its arguments.
    pub words: Vec<Word>,
    /// The file that its output goes to.
    pub stdout: Option<Word>,
}

/// An argument of a command.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Word {
    /// Text as it is.
    Text(String),
    /// The path of the image.
    Image,
    /// The path of the image as the last value of an option of QEMU, which wants commas doubled, behind this text.
    ImageOption(&'static str),
    /// A file or folder that the commands make. It must not exist before; the same suffix is the same file.
    New {
        /// What stands in front of the name, in the same argument.
        before: &'static str,
        /// The suffix that its name should have, without a dot.
        suffix: &'static str,
    },
}

/// An option of an import request.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Setting {
    /// The option's name on the command line: `--boot-mode`.
    pub option: &'static str,
    /// Its value; none if the option is to be omitted.
    pub value: Option<String>,
}

impl Setting {
    pub(super) fn new(option: &'static str, value: impl Into<String>) -> Self {
        Self { option, value: Some(value.into()) }
    }

    /// Omits an option.
    pub(super) fn without(option: &'static str) -> Self {
        Self { option, value: None }
    }
}

impl From<Setting> for Fix {
    fn from(setting: Setting) -> Self {
        Self::Set(vec![setting])
    }
}

impl<const N: usize> From<[Setting; N]> for Fix {
    fn from(settings: [Setting; N]) -> Self {
        Self::Set(settings.into())
    }
}

impl From<&str> for Fix {
    fn from(text: &str) -> Self {
        Self::Do(text.to_owned())
    }
}

impl From<String> for Fix {
    fn from(text: String) -> Self {
        Self::Do(text)
    }
}

/// A new file with this suffix.
pub(super) fn new_file(suffix: &'static str) -> Word {
    Word::New { before: "", suffix }
}

impl Command {
    /// Splits `line` at spaces. A word `IMAGE` is the image, and `NEW.suffix` a new file.
    pub(super) fn new(program: &'static str, line: &'static str) -> Self {
        let word = |word: &'static str| match (word, word.split_once("NEW.")) {
            ("IMAGE", _) => Word::Image,
            (_, Some((before, suffix))) => Word::New { before, suffix },
            _ => Word::Text(word.to_owned()),
        };
        Self { program, words: line.split_whitespace().map(word).collect(), stdout: None }
    }

    fn with(mut self, words: impl IntoIterator<Item = Word>) -> Self {
        self.words.extend(words);
        self
    }
}

impl Fix {
    /// Runs commands in the guest.
    pub(super) fn in_guest<T: Into<String>>(commands: impl IntoIterator<Item = T>) -> Self {
        Self::InGuest(commands.into_iter().map(Into::into).collect())
    }

    /// Runs one command that changes the image itself.
    pub(super) fn in_place(command: Command) -> Self {
        Self::Run { commands: vec![command], result: Word::Image }
    }

    /// Runs commands that make a file with this suffix.
    pub(super) fn make(commands: impl Into<Vec<Command>>, suffix: &'static str) -> Self {
        Self::Run { commands: commands.into(), result: new_file(suffix) }
    }

    /// Converts the image to QCOW2, which has none of the rules of the other formats.
    pub(super) fn to_qcow2(from: Format) -> Self {
        let from = [Word::Text("-f".to_owned()), Word::Text(from.qemu_name().to_owned()), Word::Image];
        Self::make(
            [Command::new("qemu-img", "convert -O qcow2").with(from).with([new_file("qcow2")])],
            "qcow2",
        )
    }

    /// Converts a VHD whose geometry qemu-img would believe, and so lose or invent its end.
    pub(super) fn vhd_by_current_size() -> Self {
        let image = Word::ImageOption("driver=vpc,force_size_calc=current_size,file.filename=");
        let convert = Command::new("qemu-img", "convert -O qcow2 --image-opts");
        Self::make([convert.with([image, new_file("qcow2")])], "qcow2")
    }

    /// Writes both copies of a GPT where they belong. sgdisk works on RAW disks only.
    pub(super) fn rewrite_gpt(format: Format) -> Self {
        Self::on_raw(format, [Command::new("sgdisk", "-e")])
    }

    /// Enlarges the disk to `size` bytes, and moves the backup of its GPT to the new end if it has one.
    pub(super) fn grow(format: Format, size: u64, gpt: bool) -> Self {
        let resize = Command::new("qemu-img", "resize -f raw");
        let mut commands = vec![resize];
        if gpt {
            commands.push(Command::new("sgdisk", "-e"));
        }
        let mut fix = Self::on_raw(format, commands);
        if let Self::Run { commands, .. } = &mut fix
            && let Some(resize) =
                commands.iter_mut().find(|command| command.words.contains(&Word::Text("resize".to_owned())))
        {
            resize.words.push(Word::Text(size.to_string()));
        }
        fix
    }

    /// Runs commands whose last argument is a RAW disk: on the image itself if it is one, else on a copy that then
    /// becomes QCOW2.
    fn on_raw(format: Format, commands: impl IntoIterator<Item = Command>) -> Self {
        let disk = if format == Format::Raw { Word::Image } else { new_file("raw") };
        let commands: Vec<_> = commands.into_iter().map(|command| command.with([disk.clone()])).collect();
        if format == Format::Raw {
            return Self::Run { commands, result: Word::Image };
        }
        let from = [Word::Text("-f".to_owned()), Word::Text(format.qemu_name().to_owned()), Word::Image];
        let unpack = Command::new("qemu-img", "convert -O raw").with(from).with([disk]);
        let pack = Command::new("qemu-img", "convert -f raw -O qcow2 NEW.raw NEW.qcow2");
        let all: Vec<_> = std::iter::once(unpack).chain(commands).chain([pack]).collect();
        Self::make(all, "qcow2")
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Image => f.write_str("IMAGE"),
            Self::ImageOption(before) => write!(f, "{before}IMAGE"),
            Self::New { before, suffix } => write!(f, "{before}NEW.{suffix}"),
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.program)?;
        self.words.iter().try_for_each(|word| write!(f, " {word}"))?;
        self.stdout.iter().try_for_each(|word| write!(f, " > {word}"))
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) if value.contains(' ') => write!(f, "{} '{value}'", self.option),
            Some(value) => write!(f, "{} {value}", self.option),
            None => write!(f, "no {}", self.option),
        }
    }
}

impl fmt::Display for Fix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let join = |f: &mut fmt::Formatter<'_>, parts: Vec<String>, by: &str| f.write_str(&parts.join(by));
        match self {
            Self::Run { commands, .. } => join(f, commands.iter().map(ToString::to_string).collect(), " && "),
            Self::Set(settings) => join(f, settings.iter().map(ToString::to_string).collect(), " "),
            Self::InGuest(commands) => join(f, commands.clone(), "; "),
            Self::Do(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_values_until_they_are_shown() {
        assert_eq!(
            Fix::to_qcow2(Format::Vhd).to_string(),
            "qemu-img convert -O qcow2 -f vpc IMAGE NEW.qcow2"
        );
        assert_eq!(
            Fix::grow(Format::Raw, 1 << 20, true).to_string(),
            "qemu-img resize -f raw IMAGE 1048576 && sgdisk -e IMAGE"
        );
        assert_eq!(
            Fix::grow(Format::Vhd, 1 << 20, true).to_string(),
            "qemu-img convert -O raw -f vpc IMAGE NEW.raw && qemu-img resize -f raw NEW.raw 1048576 \
             && sgdisk -e NEW.raw && qemu-img convert -f raw -O qcow2 NEW.raw NEW.qcow2"
        );
        assert_eq!(
            Fix::from(Setting::new("--platform", "Rocky Linux")).to_string(),
            "--platform 'Rocky Linux'"
        );
    }

    #[test]
    fn no_command_writes_to_the_image_under_another_name() {
        let fixes = [
            Fix::to_qcow2(Format::Qcow2),
            Fix::rewrite_gpt(Format::Qcow2),
            Fix::grow(Format::Vhd, 1, false),
            Fix::vhd_by_current_size(),
        ];
        for fix in fixes {
            let Fix::Run { result, .. } = &fix else { panic!("{fix}") };
            assert!(matches!(result, Word::New { .. }), "{fix}");
        }
    }
}
