use std::fmt;
use std::io;
use std::sync::Arc;

use tokio::runtime::Handle;

use super::convert::Conversion;
use super::maker::{Form, Maker};
use super::{Supply, SupplyError, on_thread, reading};
use crate::blocks::Limits;
use crate::checksum_file::Sha256;
use crate::model::{ObjectForm, ObjectFormat};
use crate::plan::{CutRule, Plan, PlanError};
use crate::source::{Passage, Source, SourceIdentity, Stream, Witness};

/// What is uploaded.
#[derive(Debug, Clone)]
enum Input {
    Positional(Arc<dyn Source>),
    Stream(Arc<Stream>),
}

/// Makes what looks at an image, anew for each time that it passes.
#[derive(Clone)]
pub(crate) struct Passages(pub(crate) Arc<dyn Fn() -> Box<dyn Passage> + Send + Sync>);

impl fmt::Debug for Passages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passages")
    }
}

/// What is uploaded, and how the object is made of it. It can be followed again as long as the source is there.
#[derive(Debug, Clone)]
pub(crate) struct Recipe {
    input: Input,
    form: ObjectForm,
    passages: Option<Passages>,
    sha256: bool,
}

impl Recipe {
    /// The object has the bytes of the source.
    pub(crate) fn as_is(source: Arc<dyn Source>) -> Self {
        Self { input: Input::Positional(source), form: ObjectForm::default(), passages: None, sha256: false }
    }

    /// The object has the bytes of the stream.
    pub(crate) fn of_stream(stream: Stream) -> Self {
        let input = Input::Stream(Arc::new(stream));
        Self { input, form: ObjectForm::default(), passages: None, sha256: false }
    }

    pub(crate) fn set_form(&mut self, form: ObjectForm) {
        self.form = form;
    }

    /// Has the image looked at as it passes.
    pub(crate) fn set_passages(&mut self, passages: Passages) {
        self.passages = Some(passages);
    }

    /// Has the SHA-256 of the image computed as it passes.
    pub(crate) fn hash(&mut self) {
        self.sha256 = true;
    }

    pub(crate) fn form(&self) -> &ObjectForm {
        &self.form
    }

    /// Returns the same with another view of the source, through which it is read.
    pub(crate) fn through(&self, view: impl FnOnce(Arc<dyn Source>) -> Arc<dyn Source>) -> Self {
        let mut recipe = self.clone();
        if let Input::Positional(source) = &self.input {
            recipe.input = Input::Positional(view(Arc::clone(source)));
        }
        recipe
    }

    /// Returns the identity that the source had when it was opened, if it has one.
    pub(crate) fn identity(&self) -> Option<&SourceIdentity> {
        match &self.input {
            Input::Positional(source) => source.identity(),
            Input::Stream(stream) => Some(stream.identity()),
        }
    }

    /// Returns the identity that the source has now. It may block.
    ///
    /// # Errors
    ///
    /// When the source can no longer be inspected.
    pub(crate) fn current_identity(&self) -> io::Result<Option<SourceIdentity>> {
        match &self.input {
            Input::Positional(source) => source.current_identity(),
            // What has passed is what it was.
            Input::Stream(_) => Ok(None),
        }
    }

    /// Waits until later writes show in the identity. It may block.
    pub(crate) fn settle(&self) {
        if let Input::Positional(source) = &self.input {
            source.settle();
        }
    }

    /// Returns how far the identity shows every change of the content. What a stream gave cannot change any more, and
    /// another one may give anything.
    pub(crate) fn witness(&self) -> Witness {
        match &self.input {
            Input::Positional(source) => source.witness(),
            Input::Stream(_) => Witness::WhileOpen,
        }
    }

    /// Drops what memory holds of the source, so that it is read from where it is. It may block.
    pub(crate) fn forget_cached(&self) {
        if let Input::Positional(source) = &self.input {
            source.done_with(crate::model::ByteRange::new(0, source.length()));
        }
    }

    /// Returns what to call the source in a sentence.
    pub(crate) fn noun(&self) -> &'static str {
        match &self.input {
            Input::Positional(_) => "the file",
            Input::Stream(_) => "the stream",
        }
    }

    /// Whether the object can be made as often as need be.
    pub(crate) fn is_repeatable(&self) -> bool {
        matches!(self.input, Input::Positional(_))
    }

    /// Returns the SHA-256 that what is fetched for a stream has to have.
    pub(crate) fn fetched(&self) -> Option<Sha256> {
        match &self.input {
            Input::Positional(_) => None,
            Input::Stream(stream) => stream.fetched(),
        }
    }

    /// Whether it cannot be made any more: the stream has passed.
    pub(crate) fn is_spent(&self) -> bool {
        match &self.input {
            Input::Positional(_) => false,
            Input::Stream(stream) => stream.has_passed(),
        }
    }

    /// Returns the source, if it can be read at any position.
    pub(crate) fn positional(&self) -> Option<&Arc<dyn Source>> {
        match &self.input {
            Input::Positional(source) => Some(source),
            Input::Stream(_) => None,
        }
    }

    /// Returns how many bytes are held at most because they cannot be read again.
    pub(crate) fn held(&self) -> u64 {
        match &self.input {
            Input::Positional(_) => 0,
            Input::Stream(stream) => stream.memory_limit(),
        }
    }

    /// Returns about how long the image is, where that was said of a stream.
    pub(crate) fn expected(&self) -> Option<u64> {
        match &self.input {
            Input::Positional(_) => None,
            Input::Stream(stream) => stream.expected(),
        }
    }

    /// Returns the image's length in bytes, if it is known before everything was read.
    pub(crate) fn image_length(&self) -> Option<u64> {
        match &self.input {
            Input::Positional(source) => Some(source.length()),
            Input::Stream(_) => None,
        }
    }

    /// Returns the object's length in bytes, if it is known before everything was read.
    pub(crate) fn length(&self) -> Option<u64> {
        self.image_length().filter(|_| !self.converts())
    }

    /// Returns the rule by which the object is cut if it is begun now. It depends on nothing that may be otherwise on
    /// another machine.
    ///
    /// # Errors
    ///
    /// When no plan within the limits of OSS follows.
    pub(crate) fn rule(&self, part_size: Option<u64>) -> Result<CutRule, PlanError> {
        match (&self.input, self.length()) {
            (_, Some(length)) => CutRule::new(length, part_size),
            (Input::Stream(stream), None) => CutRule::open(stream.expected(), part_size, self.most_part()),
            (Input::Positional(_), None) => CutRule::open(None, part_size, self.most_part()),
        }
    }

    /// Lays a rule over the object.
    ///
    /// # Errors
    ///
    /// When the rule makes no plan: it came from a damaged checkpoint or another file. Or when its parts are too large
    /// for the memory of a stream.
    pub(crate) fn plan(&self, rule: CutRule) -> Result<Plan, PlanError> {
        if rule.largest() > self.most_part() {
            return Err(PlanError::LessMemory { part_size: rule.largest() });
        }
        match self.length() {
            Some(length) => Plan::new(length, rule),
            None => Plan::open(rule),
        }
    }

    /// Returns the largest part in bytes. Of a stream, which is held in memory, one part may be on its way, one be read
    /// and one be compared while the first one of a converted image waits for the end.
    pub(crate) fn most_part(&self) -> u64 {
        match &self.input {
            Input::Positional(_) => u64::MAX,
            Input::Stream(stream) => stream.memory_limit() / 4,
        }
    }

    /// Begins to make the object.
    ///
    /// # Errors
    ///
    /// [`SupplyError`] if the stream has passed already, or the system has no more threads.
    pub(crate) fn supply(&self) -> Result<Supply, SupplyError> {
        let passage = self.passages.as_ref().map(|Passages(make)| make());
        let (form, sha256) = (self.making(), self.sha256);
        match &self.input {
            Input::Positional(source) => {
                let read = Arc::clone(source);
                let scan = move |form| {
                    on_thread(move |out| {
                        reading::scan(&read, Maker::new(form, passage, sha256, u64::MAX, out));
                    })
                };
                if self.converts() {
                    return scan(form).map(Supply::reading);
                }
                let looks = self.passages.is_some() || sha256;
                let looking = looks.then(|| scan(Form::Elsewhere)).transpose()?;
                Ok(Supply::whole(Arc::clone(source), looking))
            }
            Input::Stream(stream) => {
                let passed = || SupplyError {
                    offset: 0,
                    source: io::Error::other("the stream has passed, and cannot be read again"),
                };
                let reader = stream.take().ok_or_else(passed)?;
                let (pool, runtime) = (Limits::new(stream.memory_limit()), Handle::current());
                let told = on_thread(move |out| {
                    let maker = Maker::new(form, passage, sha256, pool.memory() / 2, out);
                    reading::pass(reader, &pool, &runtime, maker);
                });
                told.map(Supply::reading)
            }
        }
    }

    /// Whether the object is made of the image by a conversion.
    pub(crate) fn converts(&self) -> bool {
        matches!(self.form.format, ObjectFormat::Qcow2 { .. })
    }

    fn making(&self) -> Form {
        match self.form.format {
            ObjectFormat::Qcow2 { compat } => Form::Qcow2(Conversion::new(compat)),
            // The disk inside an image is a source of its own.
            ObjectFormat::AsIs | ObjectFormat::Raw => Form::AsIs,
        }
    }
}
