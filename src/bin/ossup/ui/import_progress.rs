//! Progress of imports and copies on stderr.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use ossup::event::{Event, EventSink, ImportProgress};
use ossup::model::{ImageId, SnapshotStatus};

use super::progress::Form;
use super::text::{duration, json_line};
use super::{Output, events, terminal};

/// A plain line is repeated after so long even if nothing changed.
const REPEAT: Duration = Duration::from_secs(600);

/// Shows imports and copies; what it shows ends when it is dropped.
pub(crate) struct ImportsShown(Arc<Shown>);

struct Shown {
    output: Output,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    images: BTreeMap<ImageId, Image>,
    /// How to follow what has begun: region and id.
    begun: Vec<(String, String)>,
    told_of_snapshots: bool,
}

#[derive(Default)]
struct Image {
    bar: Option<ProgressBar>,
    line: String,
    shown_at: Duration,
}

impl ImportsShown {
    pub(crate) fn start(output: Output) -> Self {
        Self(Arc::new(Shown { output, state: Mutex::default() }))
    }

    /// Returns where the events go.
    pub(crate) fn sink(&self) -> EventSink {
        let shown = Arc::clone(&self.0);
        EventSink::new(move |event| shown.take(&event))
    }

    /// Returns region and id of everything that was submitted, to be followed later.
    pub(crate) fn begun(&self) -> Vec<(String, String)> {
        self.0.state().begun.clone()
    }
}

impl Drop for ImportsShown {
    fn drop(&mut self) {
        for image in self.0.state().images.values() {
            if let Some(bar) = &image.bar {
                bar.finish_and_clear();
                terminal::bars().remove(bar);
            }
        }
    }
}

impl Shown {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, event: &Event) {
        if let Event::Submitted { region, image_id, task_id } = event {
            let id = task_id.as_ref().map_or(image_id.as_str(), |id| id.as_str());
            self.state().begun.push((region.to_string(), id.to_owned()));
        }
        if self.output.progress() == Form::Json {
            if let Some(line) = events::json(event) {
                terminal::write(format!("{}\n", json_line(&line)).as_bytes());
            }
            return;
        }
        match event {
            Event::Notice { text } => self.output.remark(text),
            Event::Submitted { region, image_id, task_id } => {
                let task = task_id.as_ref().map(|id| format!(", task {id}")).unwrap_or_default();
                self.output.remark(format!("{region}: image {image_id}{task} has begun"));
            }
            Event::Importing(progress) => self.show(progress),
            _ => {}
        }
    }

    fn show(&self, progress: &ImportProgress) {
        let mut state = self.state();
        if progress.snapshot == Some(SnapshotStatus::Failed) && !state.told_of_snapshots {
            state.told_of_snapshots = true;
            self.output.remark(
                "until the import is done, the console shows the image's snapshot as failed; that means nothing",
            );
        }
        let line = line(progress);
        let image = state.images.entry(progress.image_id.clone()).or_default();
        match self.output.progress() {
            Form::Bar => {
                let bar = image.bar.get_or_insert_with(bar);
                bar.set_position(u64::from(progress.percent.unwrap_or(0)));
                bar.set_message(format!("{}: {line}, {}", progress.region, duration(progress.waited)));
            }
            Form::Plain if image.line != line || progress.waited >= image.shown_at + REPEAT => {
                let waited = duration(progress.waited);
                self.output.remark(format!("{}: {line}, {waited}", progress.region));
                image.shown_at = progress.waited;
                image.line = line;
            }
            _ => {}
        }
    }
}

fn line(progress: &ImportProgress) -> String {
    let mut parts = vec![progress.image_id.to_string()];
    parts.extend(progress.percent.map(|percent| format!("{percent} %")));
    parts.extend(progress.task.as_ref().map(|status| format!("task {status}")));
    parts.extend(progress.image.as_ref().map(|status| format!("image {status}")));
    parts.join(", ")
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("[{bar:12}] {wide_msg}")
        .expect("the template is well-formed")
        .progress_chars("=> ");
    terminal::bars().add(ProgressBar::new(100).with_style(style))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_bar_s_template_is_well_formed() {
        drop(super::bar());
    }
}
