//! An image whose form and object are decided.

use std::path::Path;
use std::sync::Arc;

use ossup::checksum_file::Sha256;
use ossup::client::Client;
use ossup::image::{Expected, Format, Report};
use ossup::model::{DiskFormat, ObjectForm, ObjectRef};
use ossup::source::map::DataMap;
use ossup::source::{DiskSource, FileSource, Passage, Source, SourceIdentity, Stream};
use ossup::upload::Upload;

use super::form::becomes;
use super::late::{Late, most_held};
use super::passage::{All, Inspecting, Judge, Refused};
use super::report::{of_head, of_source};
use super::{Input, blocking, exactly};
use crate::args::InspectionArgs;
use crate::commands::inspection;
use crate::context::Context;
use crate::failure::{Failure, Kind};
use crate::ui::advice::Subject;

/// An image to be inspected and uploaded.
pub(crate) struct Ready {
    pub(crate) name: String,
    pub(crate) subject: Subject,
    pub(crate) object: ObjectRef,
    pub(super) form: ObjectForm,
    pub(super) format: Format,
    pub(super) input: Input,
    pub(super) in_use: bool,
    /// Whether the image is the disk inside another one.
    pub(super) of_disk: bool,
    pub(super) expected_sha256: Option<Sha256>,
    /// What is held against a stream as it is fetched.
    pub(super) fetched_sha256: Option<Sha256>,
    pub(super) expected_size: Option<u64>,
    pub(super) exact_size: Option<u64>,
    pub(super) map: Option<DataMap>,
    pub(super) inspecting: Option<MakePassage>,
    /// How much of a stream's data is held meanwhile to be looked into at its end.
    pub(super) most_held: u64,
    /// What is seen later, if not all is seen before anything is sent.
    pub(super) late: Option<Late>,
    /// What was decided for the user.
    pub(super) notice: Option<String>,
}

pub(super) type MakePassage = Arc<dyn Fn() -> Box<dyn Passage> + Send + Sync>;

impl Ready {
    /// Inspects the image before anything is sent, shows what matters, and stops if it is refused. With `guest` the system
    /// that is installed on it is looked at too. What a stream does not show at its beginning is checked while it passes.
    pub(crate) async fn inspect(
        &mut self,
        context: &Context,
        mut expected: Expected,
        args: &InspectionArgs,
        guest: bool,
    ) -> Result<Option<Report>, Failure> {
        if args.no_inspect {
            self.refuse_empty()?;
            self.tell(context);
            return Ok(None);
        }
        expected.key = Some(self.object.key.as_str().to_owned());
        expected.becomes = self.becomes();
        let (looked, whole) = match &self.input {
            Input::Positional { source, allocated } => {
                expected.allocated_size = *allocated;
                (Some(source), true)
            }
            // The same bytes, which only travel in another way.
            Input::Stream { ranged, .. } => (ranged.as_ref(), ranged.is_some()),
        };
        let report = match (looked, &self.input) {
            (Some(source), _) => Some(
                of_source(context, Arc::clone(source), expected.clone(), guest && !args.no_guest, args.deep)
                    .await?,
            ),
            (None, Input::Stream { head, .. }) if !head.is_unread() => {
                of_head(head, expected.clone(), guest && !args.no_guest)?
            }
            _ => None,
        };
        if let Some(report) = &report {
            inspection::settle(&self.name, &self.subject, report, args, context.output)?;
        }
        self.tell(context);
        if !whole {
            let is_here = matches!(&self.input, Input::Stream { head, .. } if head.image().is_some());
            let most = (guest && !args.no_guest && !is_here).then_some(self.most_held);
            let late = Late::new(&self.object, &expected, most, report.as_ref());
            self.inspecting = Some(self.passage(context, expected, args, &late));
            self.late = (!is_here).then_some(late);
        }
        Ok(report)
    }

    /// Refuses a stream without a byte, of which nothing should be begun.
    fn refuse_empty(&self) -> Result<(), Failure> {
        match &self.input {
            Input::Stream { head, .. } if head.whole() == Some(0) => {
                Err(Failure::new(Kind::ImageRefused, format!("`{}` is empty", self.name)))
            }
            _ => Ok(()),
        }
    }

    fn tell(&self, context: &Context) {
        self.notice.iter().for_each(|notice| context.output.status(notice));
    }

    /// Returns the object's format, if it follows from its form.
    pub(crate) fn becomes(&self) -> Option<DiskFormat> {
        becomes(self.form.format)
    }

    /// Returns what inspects a stream to its end. What was said of its beginning is not said again.
    fn passage(
        &self,
        context: &Context,
        expected: Expected,
        args: &InspectionArgs,
        late: &Late,
    ) -> MakePassage {
        let (name, subject, args, output) =
            (self.name.clone(), self.subject.clone(), args.clone(), context.output);
        let (told, late) = (late.told(), late.clone());
        let judge: Judge = Arc::new(move |report: &Report| {
            let judged = inspection::judge(&name, &subject, report, args.strict, Some(args.force));
            judged.map_err(|failure| {
                let (message, hint) = failure.into_words();
                Refused { message, hint }
            })?;
            inspection::warn_of_new(report, &told, &subject, output);
            Ok(())
        });
        let format = becomes(self.form.format).map(|_| self.format);
        Arc::new(move || {
            Box::new(Inspecting::new(expected.clone(), format, Arc::clone(&judge), late.clone()))
        })
    }

    /// Takes a file of which an upload was begun, in the form in which it was.
    pub(crate) async fn resumed(
        context: &Context,
        path: &Path,
        allow_busy: bool,
        object: ObjectRef,
        form: ObjectForm,
    ) -> Result<Self, Failure> {
        let file = if allow_busy { FileSource::open_shared(path)? } else { FileSource::open(path)? };
        let in_use = allow_busy && file.is_device();
        let mut source: Arc<dyn Source> = Arc::new(file);
        // A RAW file is its own disk.
        let of_disk = !form.is_as_is();
        if of_disk {
            let file = Arc::clone(&source);
            source = Arc::new(blocking(context, move || DiskSource::open(file)).await??);
        }
        Ok(Self {
            name: path.display().to_string(),
            subject: Subject::file(path),
            object,
            form,
            format: Format::Raw,
            input: Input::Positional { source, allocated: None },
            in_use,
            of_disk,
            expected_sha256: None,
            fetched_sha256: None,
            expected_size: None,
            exact_size: None,
            map: None,
            inspecting: None,
            most_held: most_held(None),
            late: None,
            notice: None,
        })
    }

    /// Returns what identifies the source, if it is read at any position.
    pub(crate) fn identity(&self) -> Option<&SourceIdentity> {
        match &self.input {
            Input::Positional { source, .. } => source.identity(),
            Input::Stream { .. } => None,
        }
    }

    /// Returns what identifies the file whose bytes are the image, if there is one.
    pub(crate) fn file_identity(&self) -> Option<&SourceIdentity> {
        let identity = self.identity().filter(|_| !self.of_disk && self.map.is_none())?;
        matches!(identity, SourceIdentity::File(_) | SourceIdentity::Device(_)).then_some(identity)
    }

    /// Whether the object is a file's bytes as they are.
    pub(crate) fn is_file_as_it_is(&self) -> bool {
        let of_file = matches!(self.identity(), Some(SourceIdentity::File(_) | SourceIdentity::Device(_)));
        of_file && self.form.is_as_is() && self.map.is_none()
    }

    /// Returns the last part of the name.
    pub(crate) fn label(&self) -> &str {
        self.name.rsplit('/').find(|part| !part.is_empty()).unwrap_or(&self.name)
    }

    /// Returns what is seen of the image later, if not all was seen by now.
    pub(crate) fn late(&self) -> Option<&Late> {
        self.late.as_ref()
    }

    /// Whether the image passes once.
    pub(crate) fn is_stream(&self) -> bool {
        matches!(self.input, Input::Stream { .. })
    }

    /// Returns about how many bytes the image has, if anything says so.
    pub(crate) fn length(&self) -> Option<u64> {
        match &self.input {
            Input::Positional { source, .. } => Some(source.length()),
            Input::Stream { head, .. } => head.whole().or(head.size_hint).or(self.expected_size),
        }
    }

    /// Whether the source is a device that may be in use.
    pub(crate) fn in_use(&self) -> bool {
        self.in_use
    }

    /// Returns the upload, which holds at most `memory` bytes of a stream.
    pub(crate) fn into_upload(self, client: Client, memory: Option<u64>) -> Upload {
        let mut upload = match self.input {
            Input::Positional { source, .. } => Upload::new(client, source, self.object),
            Input::Stream { head, label, .. } => {
                let expected = self.expected_size.or(head.whole()).or(head.size_hint);
                let mut stream = Stream::new(label, exactly(head.into_reader(), self.exact_size));
                if let Some(expected) = expected {
                    stream = stream.with_expected_size(expected);
                }
                if let Some(memory) = memory {
                    stream = stream.with_memory(memory);
                }
                if let Some(sha256) = self.fetched_sha256 {
                    stream = stream.with_fetched_sha256(sha256);
                }
                Upload::from_stream(client, stream, self.object)
            }
        };
        upload = upload.with_form(self.form);
        if let Some(sha256) = self.expected_sha256 {
            upload = upload.with_expected_sha256(sha256);
        }
        match (self.inspecting, self.map) {
            (None, None) => upload,
            (inspecting, map) => upload.with_passage(move || {
                let inspecting = inspecting.as_ref().map(|make| make());
                let mapped = map.as_ref().map(|map| Box::new(map.passage()) as Box<dyn Passage>);
                Box::new(All(inspecting.into_iter().chain(mapped).collect()))
            }),
        }
    }
}
