//! What is checked of an image as it passes.

use std::io;
use std::sync::Arc;

use ossup::image::{Expected, Format, Report};
use ossup::source::Passage;

use super::late::{Late, Watched};

/// Several checks of one image.
pub(super) struct All(pub(super) Vec<Box<dyn Passage>>);

impl Passage for All {
    fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.iter_mut().try_for_each(|one| one.data(bytes))
    }

    fn zeros(&mut self, count: u64) -> io::Result<()> {
        self.0.iter_mut().try_for_each(|one| one.zeros(count))
    }

    fn holds(&self) -> bool {
        self.0.iter().any(|one| one.holds())
    }

    fn end(&mut self) -> io::Result<()> {
        self.0.iter_mut().try_for_each(|one| one.end())
    }
}

/// Why an image is refused after it has passed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Refused {
    pub(crate) message: String,
    /// What to do.
    pub(crate) hint: Option<String>,
}

impl From<Refused> for io::Error {
    fn from(refused: Refused) -> Self {
        Self::new(io::ErrorKind::InvalidData, refused)
    }
}

/// Judges the report on an image that has passed.
pub(super) type Judge = Arc<dyn Fn(&Report) -> Result<(), Refused> + Send + Sync>;

/// Inspects an image that passes once. Its beginning was judged before, so nothing is held back.
pub(super) struct Inspecting {
    image: Option<Watched>,
    /// What it was taken for by its beginning, if the object's form depends on that.
    format: Option<Format>,
    judge: Judge,
    /// Where what was seen is kept.
    late: Late,
}

impl Inspecting {
    pub(super) fn new(expected: Expected, format: Option<Format>, judge: Judge, late: Late) -> Self {
        Self { image: Some(late.watch(expected)), format, judge, late }
    }
}

impl Passage for Inspecting {
    fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(image) = &mut self.image {
            image.data(bytes);
        }
        Ok(())
    }

    fn zeros(&mut self, count: u64) -> io::Result<()> {
        if let Some(image) = &mut self.image {
            image.zeros(count);
        }
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        let Some(image) = self.image.take() else { return Ok(()) };
        let seen = image.finish()?;
        let report = &seen.report;
        if self.format.is_some_and(|format| format != report.format) {
            let message = format!(
                "the image is a {}, which only its end says, and was about to be made a QCOW2 as if it were a RAW disk",
                report.format.name()
            );
            let hint = "pass --as as-is to send it as it is, or give it as a file".to_owned();
            return Err(Refused { message, hint: Some(hint) }.into());
        }
        (self.judge)(report)?;
        self.late.keep(seen);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inspecting(format: Option<Format>, refuses: bool) -> Inspecting {
        let judge: Judge =
            Arc::new(move |report: &Report| match refuses || report.file_size != (1 << 20) + 1024 {
                true => Err(Refused { message: "no".to_owned(), hint: None }),
                false => Ok(()),
            });
        let (object, expected) = ("oss://images/x".parse().unwrap(), Expected::default());
        let late = Late::new(&object, &expected, None, None);
        Inspecting::new(expected, format, judge, late)
    }

    fn pass(passage: &mut dyn Passage, bytes: &[u8]) -> io::Result<()> {
        passage.data(bytes)?;
        passage.zeros(1 << 20)?;
        passage.data(bytes)?;
        passage.end()
    }

    #[test]
    fn an_image_is_judged_when_all_of_it_has_passed() {
        let mut fine = inspecting(Some(Format::Raw), false);
        pass(&mut fine, &[1; 512]).unwrap();
        let mut all = All(vec![Box::new(inspecting(None, false)), Box::new(inspecting(None, true))]);
        assert!(!all.holds());
        let error = pass(&mut all, &[1; 512]).unwrap_err();
        assert_eq!(error.to_string(), "no");
    }

    #[test]
    fn what_turns_out_to_be_another_format_is_not_converted() {
        let mut footer = vec![0; 512];
        footer[..8].copy_from_slice(b"conectix");
        let mut vhd = inspecting(Some(Format::Raw), false);
        vhd.zeros(4 << 20).unwrap();
        vhd.data(&footer).unwrap();
        let error = vhd.end().unwrap_err();
        assert!(error.to_string().contains("vhd"), "{error}");
    }
}
