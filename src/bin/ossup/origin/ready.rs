//! An image whose form and object are decided.

use std::path::Path;
use std::sync::{Arc, Mutex};

use ossup::checksum_file::Sha256;
use ossup::client::Client;
use ossup::image::{Expected, Format, GuestReport, Report, Severity, inspect, look_inside};
use ossup::model::{DiskFormat, ObjectForm, ObjectFormat, ObjectRef};
use ossup::read::ReadError;
use ossup::source::map::{DataMap, Mapped};
use ossup::source::{DiskSource, FileSource, Passage, Sha256Checked, Source, SourceIdentity, Stream};
use ossup::upload::{Upload, WORTH_SAVING, saving};

use super::form::{Choice, becomes, choose, is_disk};
use super::passage::{All, Inspecting, Judge, Refused};
use super::sequential::Sequential;
use super::{Input, Opened, Opening, blocking, check_length, exactly, failed_read};
use crate::args::{FormArg, InspectionArgs, qcow2_name};
use crate::commands::inspection;
use crate::context::Context;
use crate::failure::{Failure, Kind};
use crate::ui::advice::Subject;
use crate::ui::bytes;

/// An image to be inspected and uploaded.
pub(crate) struct Ready {
    pub(crate) name: String,
    pub(crate) subject: Subject,
    pub(crate) object: ObjectRef,
    form: ObjectForm,
    format: Format,
    input: Input,
    in_use: bool,
    expected_sha256: Option<Sha256>,
    /// What is held against a stream as it is fetched.
    fetched_sha256: Option<Sha256>,
    expected_size: Option<u64>,
    exact_size: Option<u64>,
    map: Option<DataMap>,
    inspecting: Option<MakePassage>,
    /// What was decided for the user.
    notice: Option<String>,
}

type MakePassage = Arc<dyn Fn() -> Box<dyn Passage> + Send + Sync>;

impl Opened {
    /// Decides on the object. `object` gives the one of a name, `known` the form in which an upload of it was begun.
    pub(crate) async fn settle(
        self,
        opening: &Opening<'_>,
        object: impl Fn(Option<&str>) -> Result<ObjectRef, Failure>,
        known: impl Fn(&ObjectRef) -> Result<Option<ObjectForm>, Failure>,
    ) -> Result<Ready, Failure> {
        let (args, context) = (opening.args, opening.context);
        let wish = opening.wish();
        let is_stream = matches!(self.input, Input::Stream { .. });
        let name = self.file_name.as_deref();
        // Where the key is made of the name, it follows the form.
        let as_qcow2 = name.map(qcow2_name).filter(|_| is_disk(self.format) || self.format == Format::Vhd);
        let objects = [object(name)?, object(as_qcow2.as_deref().or(name))?];
        let mut begun = None;
        if wish == FormArg::Auto {
            // An upload goes on as it was begun.
            for object in &objects {
                begun = begun.or(known(object)?);
            }
        }
        let mut notice = None;
        let choice = choose(wish, args.compat.into(), self.format, is_stream);
        let (format, of_disk) = match (choice, begun) {
            (Choice::WhereItSaves, Some(form)) => (form.format, false),
            (Choice::Of(ObjectFormat::Qcow2 { .. }), Some(form)) if wish == FormArg::Auto => {
                (form.format, false)
            }
            (Choice::Of(format), _) => (format, format == ObjectFormat::Raw),
            (Choice::DiskAsQcow2, _) => (ObjectFormat::Qcow2 { compat: args.compat.into() }, true),
            (Choice::WhereItSaves, None) => match self.saving(opening).await? {
                share if share < WORTH_SAVING => (ObjectFormat::AsIs, false),
                share => {
                    notice = Some(self.saved(share));
                    (ObjectFormat::Qcow2 { compat: args.compat.into() }, false)
                }
            },
            (Choice::NeedsPositions, _) => return Err(needs_positions(&self.name, self.format)),
        };
        let [as_it_is, as_qcow2] = objects;
        let object = if matches!(format, ObjectFormat::Qcow2 { .. }) { as_qcow2 } else { as_it_is };
        let checks = self.checks;
        let (mut expected_sha256, map) = (checks.content, checks.map);
        let input = match self.input {
            Input::Stream { head, label } => {
                check_map_of_stream(map.as_ref(), opening, self.format, head.size_hint)?;
                if let Some(length) = head.whole() {
                    check_length(length, checks.exact_size)?;
                }
                Input::Stream { head, label }
            }
            Input::Positional { mut source, allocated } => {
                // The checksum of what is fetched is that of the image, unless that is inside.
                match checks.fetched {
                    Some(sha256) if of_disk => verify(context, &source, sha256).await?,
                    Some(sha256) => expected_sha256 = Some(sha256),
                    None => {}
                }
                if of_disk {
                    let file = Arc::clone(&source);
                    source = Arc::new(blocking(context, move || DiskSource::open(file)).await??);
                }
                check_length(source.length(), checks.exact_size)?;
                if let Some(map) = &map {
                    if !of_disk && !is_disk(self.format) {
                        return Err(map_needs_disk(self.format));
                    }
                    source = Arc::new(Mapped::new(source, map.clone())?);
                }
                Input::Positional { source, allocated }
            }
        };
        Ok(Ready {
            name: self.name,
            subject: self.subject,
            object,
            form: ObjectForm { unpacked: self.unpacked, format },
            format: if of_disk { Format::Raw } else { self.format },
            input,
            in_use: self.in_use,
            expected_sha256,
            fetched_sha256: checks.fetched,
            expected_size: checks.expected_size,
            exact_size: checks.exact_size,
            map,
            inspecting: None,
            notice,
        })
    }

    /// Inspects an image to its end, wherever it comes from. What is installed in it is looked at where that is a matter
    /// of reading a file here and there.
    pub(crate) async fn report(self, context: &Context, mut expected: Expected) -> Result<Report, Failure> {
        const ELSEWHERE: &str = "not looked at, which is done for files alone";
        let report = match self.input {
            Input::Positional { source, allocated } => {
                expected.allocated_size = allocated;
                let both = move || {
                    let mut report = inspect(&source, &expected)?;
                    if inspection::may_hold_system(&report) {
                        report.guest = Some(match source.identity() {
                            Some(SourceIdentity::File(_) | SourceIdentity::Device(_)) => {
                                look_inside(source, &report)
                            }
                            _ => GuestReport::unread(ELSEWHERE),
                        });
                    }
                    Ok(report)
                };
                blocking(context, both).await?
            }
            Input::Stream { head, .. } => {
                let read = blocking(context, move || head.inspect(expected)).await?;
                let mut report = read.map_err(|error| failed_read(&error))?;
                if let Ok(report) = &mut report
                    && inspection::may_hold_system(report)
                {
                    report.guest = Some(GuestReport::unread(ELSEWHERE));
                }
                report
            }
        };
        report.map_err(|error: ReadError| failed_read(&error.into()))
    }

    /// Returns which share of a RAW disk need not be sent if it goes as QCOW2.
    async fn saving(&self, opening: &Opening<'_>) -> Result<f64, Failure> {
        let Input::Positional { source, .. } = &self.input else { return Ok(0.0) };
        let (disk, map) = (Arc::clone(source), self.checks.map.clone());
        let share = blocking(opening.context, move || match map.map(|map| Mapped::new(&disk, map)) {
            Some(Ok(mapped)) => saving(&mapped),
            // A map of another image is refused when the image is read through it.
            Some(Err(_)) => Ok(0.0),
            None => saving(&disk),
        });
        share.await?.map_err(|error| failed_read(&error))
    }

    /// Returns what is said of a RAW disk that goes as QCOW2.
    fn saved(&self, share: f64) -> String {
        let Input::Positional { source, .. } = &self.input else { return String::new() };
        let length = source.length();
        format!(
            "`{}` goes as QCOW2, which saves about {:.0} %: {} of {} are zeros (--as as-is sends the file as it is)",
            self.name,
            share * 100.0,
            bytes((share * length as f64) as u64),
            bytes(length),
        )
    }
}

impl Ready {
    /// Inspects the image before anything is sent, shows what matters, and stops if it is refused. What a stream does not
    /// show at its beginning is checked while it passes.
    pub(crate) async fn inspect(
        &mut self,
        context: &Context,
        mut expected: Expected,
        args: &InspectionArgs,
    ) -> Result<Option<Report>, Failure> {
        if args.no_inspect {
            self.tell(context);
            return Ok(None);
        }
        expected.key = Some(self.object.key.as_str().to_owned());
        expected.becomes = self.becomes();
        let report = match &self.input {
            Input::Positional { source, allocated } => {
                expected.allocated_size = *allocated;
                let (source, asked) = (Arc::clone(source), expected.clone());
                let report = blocking(context, move || inspect(&source, &asked)).await?;
                Some(report.map_err(|error| failed_read(&error.into()))?)
            }
            Input::Stream { head, .. } if head.is_unread() => None,
            Input::Stream { head, .. } => {
                head.report(expected.clone()).map_err(|error| failed_read(&error))?
            }
        };
        if let Some(report) = &report {
            inspection::settle(&self.name, &self.subject, report, args, context.output)?;
        }
        self.tell(context);
        if self.is_stream() {
            self.inspecting = Some(self.passage(context, expected, args, report.as_ref()));
        }
        Ok(report)
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
        before: Option<&Report>,
    ) -> MakePassage {
        let (name, subject, args, output) =
            (self.name.clone(), self.subject.clone(), args.clone(), context.output);
        let told: Vec<_> =
            before.iter().flat_map(|report| &report.findings).map(|finding| finding.rule).collect();
        let judge: Judge = Arc::new(move |report: &Report| {
            let judged = inspection::judge(&name, &subject, report, args.strict, Some(args.force));
            judged.map_err(|failure| {
                let (message, hint) = failure.into_words();
                Refused { message, hint }
            })?;
            let new = report.findings.iter().filter(|finding| !told.contains(&finding.rule));
            for finding in new.filter(|finding| finding.severity >= Severity::Warn) {
                output.warning(inspection::sentence(finding, Some(&subject)));
            }
            Ok(())
        });
        let format = becomes(self.form.format).map(|_| self.format);
        let report: Arc<Mutex<Option<Report>>> = Arc::default();
        Arc::new(move || {
            let (judge, report) = (Arc::clone(&judge), Arc::clone(&report));
            Box::new(Inspecting::new(expected.clone(), format, judge, report))
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
        if !form.is_as_is() {
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
            expected_sha256: None,
            fetched_sha256: None,
            expected_size: None,
            exact_size: None,
            map: None,
            inspecting: None,
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

    /// Whether the object is a file's bytes as they are.
    pub(crate) fn is_file_as_it_is(&self) -> bool {
        let of_file = matches!(self.identity(), Some(SourceIdentity::File(_) | SourceIdentity::Device(_)));
        of_file && self.form.is_as_is() && self.map.is_none()
    }

    /// Returns the last part of the name.
    pub(crate) fn label(&self) -> &str {
        self.name.rsplit('/').find(|part| !part.is_empty()).unwrap_or(&self.name)
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
            Input::Stream { head, label } => {
                let expected = self.expected_size.or(head.whole()).or(head.size_hint);
                let mut stream = Stream::new(label, exactly(head.into_reader(), self.exact_size));
                if let Some(expected) = expected {
                    stream = stream.expected_size(expected);
                }
                if let Some(memory) = memory {
                    stream = stream.memory(memory);
                }
                if let Some(sha256) = self.fetched_sha256 {
                    stream = stream.fetched_as(sha256);
                }
                Upload::from_stream(client, stream, self.object)
            }
        };
        upload = upload.form(self.form);
        if let Some(sha256) = self.expected_sha256 {
            upload = upload.expect_sha256(sha256);
        }
        match (self.inspecting, self.map) {
            (None, None) => upload,
            (inspecting, map) => upload.passage(move || {
                let inspecting = inspecting.as_ref().map(|make| make());
                let mapped = map.as_ref().map(|map| Box::new(map.passage()) as Box<dyn Passage>);
                Box::new(All(inspecting.into_iter().chain(mapped).collect()))
            }),
        }
    }
}

/// Compares the checksum of a whole file.
async fn verify(context: &Context, source: &Arc<dyn Source>, sha256: Sha256) -> Result<(), Failure> {
    let mut reader = Sha256Checked::new(Sequential::new(Arc::clone(source)), sha256);
    let read = blocking(context, move || std::io::copy(&mut reader, &mut std::io::sink())).await?;
    read.map(drop).map_err(|error| failed_read(&error))
}

fn check_map_of_stream(
    map: Option<&DataMap>,
    opening: &Opening<'_>,
    format: Format,
    length: Option<u64>,
) -> Result<(), Failure> {
    let Some(map) = map else { return Ok(()) };
    if opening.args.map.is_some() {
        let text = "a stream is read from its beginning to its end, so --map saves nothing of it";
        return Err(Failure::new(Kind::Usage, text).hint("leave --map out, or give the image as a file"));
    }
    if !is_disk(format) {
        return Err(map_needs_disk(format));
    }
    length.map_or(Ok(()), |length| Ok(map.check_image(length)?))
}

fn map_needs_disk(format: Format) -> Failure {
    let text =
        format!("a map is of a disk's bytes, and this image is sent as the {} that it is", format.name());
    Failure::new(Kind::Usage, text).hint("pass --as raw or --as qcow2, or leave the map out")
}

fn needs_positions(name: &str, format: Format) -> Failure {
    let format = format.name();
    let text = format!(
        "the disk inside a {format} can be read only where every position can, and `{name}` passes once"
    );
    Failure::new(Kind::Usage, text)
        .hint("save it to a file and give that, or pass --as as-is to send it as it is")
}
