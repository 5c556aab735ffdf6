//! Where an image comes from: what the user named, as what the library takes.
//!
//! [`Opening::open`] opens a file, a device, a pipe or a file on the web, and looks at its beginning: contents decide, not
//! names. What is packed becomes a stream of what is inside. [`Opened::settle`] decides on the object's form and key, and
//! the [`Ready`] image is inspected and uploaded.
//!
//! What can be read at any position stays so wherever that is of use; the rest passes once. Nothing is sent here.

mod checks;
mod form;
mod head;
mod late;
mod passage;
pub(crate) mod ranged;
mod ready;
mod report;
mod sequential;
mod settle;

pub(crate) use late::Late;
pub(crate) use passage::Refused;
pub(crate) use ready::Ready;

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ossup::image::{Archive, Compression, Format, detect};
use ossup::model::limits::MAX_OBJECT_SIZE;
use ossup::model::{ObjectFormat, Unpacked};
use ossup::source::{ExactSize, FileSource, InputError, STANDARD_INPUT, Sha256Checked, Source};
use ossup::unpack;
use ossup::web::{WebObject, WebOptions, WebUrl};

use crate::args::{ConnectionArgs, FormArg, ImageArg, RetryArgs, SourceArgs, unpacked_name};
use crate::context::Context;
use crate::failure::{Failure, Kind};
use crate::ui::advice::Subject;
use checks::Checks;
use form::{Choice, choose};
use head::Head;
use sequential::{NamedPipe, Sequential};

/// How images are opened.
#[derive(Clone, Copy)]
pub(crate) struct Opening<'a> {
    pub(crate) context: &'a Context,
    pub(crate) args: &'a SourceArgs,
    pub(crate) connection: &'a ConnectionArgs,
    pub(crate) retry: &'a RetryArgs,
    /// Whether a device may be in use.
    pub(crate) allow_busy: bool,
    /// How much memory was allowed, if that was said.
    pub(crate) memory: Option<u64>,
    /// Whether nothing may be taken out of pipes.
    pub(crate) dry_run: bool,
    /// The form where none was asked for.
    pub(crate) default: FormArg,
}

/// An image that is open.
pub(crate) struct Opened {
    pub(crate) name: String,
    pub(crate) subject: Subject,
    /// The name of the file, or of what is inside.
    file_name: Option<String>,
    input: Input,
    format: Format,
    unpacked: Option<Unpacked>,
    checks: Checks,
    in_use: bool,
}

/// How the bytes of an image can be had.
enum Input {
    /// At any position. Of a file with holes, how much it takes on its disk is known.
    Positional { source: Arc<dyn Source>, allocated: Option<u64> },
    /// Once, from the beginning on. Where a server serves ranges of the same bytes too, they are what is inspected.
    Stream { head: Head, label: String, ranged: Option<Arc<dyn Source>> },
}

impl Opening<'_> {
    /// Opens what was named.
    pub(crate) async fn open(&self, image: &ImageArg) -> Result<Opened, Failure> {
        let checks = Checks::gather(self, image).await?;
        match image {
            ImageArg::StandardInput => {
                let stdin = io::stdin();
                if stdin.is_terminal() {
                    let failure = Failure::new(Kind::Usage, "standard input is a terminal, not an image");
                    return Err(failure.hint("pipe the image in: `xz -dc disk.raw.xz | ossup … -`"));
                }
                if self.dry_run {
                    return Ok(self.unread(image, STANDARD_INPUT.to_owned(), checks));
                }
                let file = stdin.as_fd().try_clone_to_owned();
                let file: File = file.map_err(|error| failed_read(&error))?.into();
                self.stream(image, Box::new(file), STANDARD_INPUT.to_owned(), checks).await
            }
            ImageArg::File(path) if is_pipe(path) => {
                let path = absolute(path)?;
                let label = path.display().to_string();
                if self.dry_run {
                    return Ok(self.unread(image, label, checks));
                }
                self.stream(image, Box::new(NamedPipe::Closed(path)), label, checks).await
            }
            ImageArg::File(path) => self.file(image, &absolute(path)?, checks).await,
            ImageArg::Web(url) => self.web(image, url, checks).await,
        }
    }

    async fn file(&self, image: &ImageArg, path: &Path, checks: Checks) -> Result<Opened, Failure> {
        let source = match self.allow_busy {
            true => FileSource::open_shared(path)?,
            false => FileSource::open(path)?,
        };
        let metadata = source.file().metadata().ok().filter(std::fs::Metadata::is_file);
        let allocated = metadata.map(|metadata| metadata.blocks() * 512);
        let in_use = self.allow_busy && source.is_device();
        let source: Arc<dyn Source> = Arc::new(source);
        let format = self.look(&source).await?;
        if self.unpacks(format) {
            let reader = Box::new(Sequential::new(source));
            let opened = self.stream(image, reader, path.display().to_string(), checks).await?;
            return Ok(Opened { in_use, ..opened });
        }
        Ok(Opened { in_use, ..self.opened(image, Input::Positional { source, allocated }, format, checks) })
    }

    async fn web(&self, image: &ImageArg, url: &WebUrl, checks: Checks) -> Result<Opened, Failure> {
        let options = self.web_options(url)?;
        let object = async { Ok(WebObject::open(url.clone(), options).await?) };
        let object = self.context.stop.or(object).await?;
        let (reader, label, length) = (object.reader(), url.to_string(), object.length());
        let Ok(source) = object.by_ranges() else {
            let mut opened = self.stream(image, Box::new(reader), label, checks).await?;
            if let (Input::Stream { head, .. }, None) = (&mut opened.input, &opened.unpacked) {
                head.size_hint = length;
            }
            return Ok(opened);
        };
        let source: Arc<dyn Source> = Arc::new(source);
        let format = self.look(&source).await?;
        if self.unpacks(format) {
            return self.stream(image, Box::new(reader), label, checks).await;
        }
        // To look for zeros, and to compute a checksum, is to read everything: then it is fetched once and in order.
        let hashed = checks.fetched.is_some() || checks.content.is_some();
        let by_ranges = match choose(self.wish(), self.args.compat.into(), format, false) {
            Choice::Of(ObjectFormat::AsIs) => !hashed,
            Choice::Of(ObjectFormat::Raw) | Choice::DiskAsQcow2 => true,
            _ => self.args.map.is_some(),
        };
        if by_ranges {
            return Ok(self.opened(image, Input::Positional { source, allocated: None }, format, checks));
        }
        let mut opened = self.stream(image, Box::new(reader), label, checks).await?;
        if let Input::Stream { head, ranged, .. } = &mut opened.input {
            (head.size_hint, *ranged) = (length, Some(source));
        }
        Ok(Opened { format, ..opened })
    }

    /// Leaves a pipe alone. What passes there is not known.
    fn unread(&self, image: &ImageArg, label: String, checks: Checks) -> Opened {
        self.context.output.status(format!(
            "nothing is read of {label} in a dry run: the form is that of a RAW image that is not packed"
        ));
        let input = Input::Stream { head: Head::unread(), label, ranged: None };
        self.opened(image, input, Format::Raw, checks)
    }

    /// Reads the beginning of a stream.
    async fn stream(
        &self,
        image: &ImageArg,
        reader: Box<dyn Read + Send>,
        label: String,
        checks: Checks,
    ) -> Result<Opened, Failure> {
        let reader: Box<dyn Read + Send> = match checks.fetched {
            Some(sha256) => Box::new(Sha256Checked::new(reader, sha256)),
            None => reader,
        };
        let mut options = unpack::Options::new(MAX_OBJECT_SIZE);
        if let Some(member) = &self.args.member {
            options = options.with_member(member);
        }
        if let Some(memory) = self.memory {
            options = options.with_memory(memory.max(unpack::DEFAULT_MEMORY));
        }
        let options = (!self.args.keeps_packed()).then_some(options);
        let found = self.blocking(move || head::read(reader, options.as_ref())).await??;
        let head::Found { head, format, unpacked } = found;
        let mut opened = self.opened(image, Input::Stream { head, label, ranged: None }, format, checks);
        if let Some(unpacked) = unpacked {
            let of_member = unpacked.member.as_deref().and_then(|member| member.rsplit('/').next());
            let of_file = image.file_name().map(|name| unpacked_name(&name).to_owned());
            opened.file_name = of_member.map(str::to_owned).or(of_file);
            opened.unpacked = Some(unpacked);
        }
        Ok(opened)
    }

    fn opened(&self, image: &ImageArg, input: Input, format: Format, checks: Checks) -> Opened {
        let subject = match image {
            ImageArg::File(path) => Subject::file(path),
            _ => Subject::object(&image.file_name().unwrap_or_default()),
        };
        Opened {
            name: image.to_string(),
            subject,
            file_name: image.file_name(),
            input,
            format,
            unpacked: None,
            checks,
            in_use: false,
        }
    }

    /// Returns what the contents of a source are.
    async fn look(&self, source: &Arc<dyn Source>) -> Result<Format, Failure> {
        let source = Arc::clone(source);
        let found = self.blocking(move || detect(&source)).await?;
        found.map_err(|error| failed_read(&error.into()))
    }

    /// Whether what is inside is sent, and not the file.
    fn unpacks(&self, format: Format) -> bool {
        let packed = match format {
            Format::Compressed(Compression::Lzma, _) => false,
            Format::Compressed(..) | Format::Archive(Archive::Tar) => true,
            _ => false,
        };
        !self.args.keeps_packed() && (packed || self.args.member.is_some())
    }

    fn wish(&self) -> FormArg {
        self.args.wish(self.default)
    }

    /// Returns how files on the web are read: over the same proxy as everything, and without credentials.
    pub(crate) fn web_options(&self, url: &WebUrl) -> Result<WebOptions, Failure> {
        let transport = self.context.web(self.connection, url)?;
        let mut options = WebOptions::new(transport);
        if let Some(timeout) = self.retry.retry_timeout {
            options = options.with_retry_timeout(timeout.0);
        }
        Ok(options)
    }

    /// Runs what waits for bytes on a thread of its own. A signal ends the wait.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Failure> {
        blocking(self.context, work).await
    }
}

/// Runs what waits for bytes on a thread of its own. A signal ends the wait.
async fn blocking<T: Send + 'static>(
    context: &Context,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    let task = tokio::task::spawn_blocking(work);
    context.stop.or(async { task.await.map_err(|error| Failure::from_error(Kind::Other, &error)) }).await
}

/// Returns the path as the state keeps it, so that it is found from any folder.
pub(crate) fn absolute(image: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(image).map_err(|error| Failure::from_error(Kind::Usage, &error))
}

/// Whether a path leads to something that passes once: a named pipe, or what a shell's `<(…)` gives.
fn is_pipe(path: &Path) -> bool {
    let Ok(metadata) = std::fs::metadata(path) else { return false };
    let kind = metadata.file_type();
    let of_the_shell = ["/dev/fd", "/dev/stdin", "/proc/self/fd"].iter().any(|shell| path.starts_with(shell));
    kind.is_fifo() || of_the_shell && kind.is_socket()
}

/// Returns the failure of a read, with what helps.
pub(crate) fn failed_read(error: &io::Error) -> Failure {
    Failure::of_read(error).unwrap_or_else(|| Failure::from_error(Kind::Other, error))
}

/// Puts the promised number of bytes to the test.
fn exactly(reader: Box<dyn Read + Send>, bytes: Option<u64>) -> Box<dyn Read + Send> {
    match bytes {
        Some(bytes) => Box::new(ExactSize::new(reader, bytes)),
        None => reader,
    }
}

/// Compares a length that is known at once with the one that was promised.
fn check_length(found: u64, expected: Option<u64>) -> Result<(), Failure> {
    let error = match expected {
        Some(expected) if found < expected => InputError::TooShort { expected, found },
        Some(expected) if found > expected => InputError::TooLong { expected },
        _ => return Ok(()),
    };
    Err(error.into())
}
