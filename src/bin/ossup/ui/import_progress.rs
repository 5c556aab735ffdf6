//! Progress of imports and copies on stderr.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::ProgressBar;
use ossup::event::{Event, EventSink, ImportProgress};
use ossup::model::{ImageId, Region, SnapshotStatus};

use super::bar::Line;
use super::progress::Form;
use super::text::{duration, json_line};
use super::{Output, events, terminal};

/// A plain line is repeated after this long even if nothing changed.
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
    /// How to follow what was started: region and id.
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
                terminal::end_bar(bar);
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
            Event::Notice { text } => self.output.status(text),
            Event::Submitted { region, image_id, task_id } => {
                let task = task_id.as_ref().map(|id| format!(", task {id}")).unwrap_or_default();
                self.output.status(format!("{region}: image {image_id}{task} started"));
            }
            Event::Importing(progress) => self.show(progress),
            Event::BootTest { region, instance_id, text, .. } => {
                self.output.status(format!("{region}: instance {instance_id} {text}"));
            }
            Event::Available { region, image_id, name, waited } => {
                self.available(region, image_id, name.as_deref(), *waited);
            }
            _ => {}
        }
    }

    /// Ends an image's bar and reports at once that it can be used: other images may take hours more.
    fn available(&self, region: &Region, image_id: &ImageId, name: Option<&str>, waited: Duration) {
        let bar = self.state().images.remove(image_id).and_then(|image| image.bar);
        bar.iter().for_each(terminal::end_bar);
        let name = name.map(|name| format!(" ({name})")).unwrap_or_default();
        let took = if waited.as_secs() > 0 { format!(", {}", duration(waited)) } else { String::new() };
        self.output.status(format!("image {image_id}{name} is Available in {region}{took}"));
    }

    fn show(&self, progress: &ImportProgress) {
        let mut state = self.state();
        if progress.snapshot == Some(SnapshotStatus::Failed) && !state.told_of_snapshots {
            state.told_of_snapshots = true;
            self.output.status(
                "until the import is done, the console shows the image's snapshot as failed; ignore that",
            );
        }
        let line = line(progress);
        let image = state.images.entry(progress.image_id.clone()).or_default();
        match self.output.progress() {
            Form::Bar => {
                let bar = image.bar.get_or_insert_with(terminal::bar);
                bar.set_message(bar_line(progress).fit(terminal::width()));
            }
            Form::Plain if image.line != line || progress.waited >= image.shown_at + REPEAT => {
                let waited = duration(progress.waited);
                self.output.status(format!("{}: {line}, {waited}", progress.region));
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

fn bar_line(progress: &ImportProgress) -> Line {
    let status = match (&progress.task, &progress.image) {
        (Some(task), _) => task.to_string(),
        (None, Some(image)) => image.to_string(),
        (None, None) => "waiting".to_owned(),
    };
    Line {
        percent: Some(progress.percent.unwrap_or(0)),
        facts: vec![status, duration(progress.waited), progress.region.to_string()],
        details: Vec::new(),
        name: progress.image_id.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use ossup::model::{ImageStatus, TaskStatus};

    use super::*;

    /// What a terminal of 50, 80 and 120 columns shows of an upload and of an import.
    #[test]
    fn the_lines_of_progress_read_so() {
        let mut progress = ImportProgress::new(
            "cn-hangzhou".parse().unwrap(),
            "m-bp1g7004ksh0oeuco5hp".parse().unwrap(),
            Duration::from_secs(4320),
        );
        let waiting = bar_line(&progress);
        progress.percent = Some(32);
        progress.task = Some(TaskStatus::from("Processing"));
        progress.image = Some(ImageStatus::from("Creating"));
        let importing = bar_line(&progress);
        let [began, sending, completing] =
            super::super::meter::stages("rocky-linux-9.4-x86_64-web-2026-01.qcow2");
        let lines = [began, sending, completing, waiting, importing];
        let mut text = String::new();
        for width in [50, 80, 120] {
            text += &format!("{width} columns\n");
            for line in &lines {
                text += &format!("|{}\n", line.fit(width - 1));
            }
        }
        insta::with_settings!({
            snapshot_path => concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshots"),
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, { insta::assert_snapshot!("progress", text.trim_end()); });
    }
}
