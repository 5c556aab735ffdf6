//! Decides on the form and the object of an image that is open.

use std::sync::Arc;

use ossup::checksum_file::Sha256;
use ossup::image::Format;
use ossup::model::{ObjectForm, ObjectFormat, ObjectRef};
use ossup::source::map::{DataMap, Mapped};
use ossup::source::{DiskSource, Sha256Checked, Source};
use ossup::upload::{WORTH_SAVING, saving};

use super::form::{Choice, choose, is_disk};
use super::late::most_held;
use super::sequential::Sequential;
use super::{Input, Opened, Opening, Ready, blocking, check_length, failed_read};
use crate::args::{FormArg, qcow2_name};
use crate::context::Context;
use crate::failure::{Failure, Kind};
use crate::ui::bytes;

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
            Input::Stream { head, label, ranged } => {
                check_map_of_stream(map.as_ref(), opening, self.format, head.size_hint)?;
                if let Some(length) = head.whole() {
                    check_length(length, checks.exact_size)?;
                }
                Input::Stream { head, label, ranged }
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
        // A map of a stream is only compared with it.
        let mapped = map.is_some() && matches!(input, Input::Positional { .. });
        Ok(Ready {
            name: self.name,
            subject: self.subject,
            object,
            form: ObjectForm { unpacked: self.unpacked, format, mapped },
            format: if of_disk { Format::Raw } else { self.format },
            input,
            in_use: self.in_use,
            of_disk,
            expected_sha256,
            fetched_sha256: checks.fetched,
            expected_size: checks.expected_size,
            exact_size: checks.exact_size,
            map,
            inspecting: None,
            most_held: most_held(opening.memory),
            late: None,
            notice,
        })
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
