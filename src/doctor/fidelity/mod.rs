//! What only a real account can settle: each point is asked of the service, and its answer read.
//!
//! The project rests on some things that no page of the vendor states. Each has a row in `docs/fidelity.md` and a
//! [`Point`] here: requests that are small, under a prefix of their own, and whatever they make is removed. Imports are
//! dry runs.

mod copies;
mod images;
mod lab;
mod uploads;

use jiff::Timestamp;
use serde::Serialize;

use super::Doctor;
use crate::credentials::BoxFuture;
use crate::model::{BucketName, Region};
use lab::Lab;

/// Begins the key of everything that is made.
pub const FIDELITY_PREFIX: &str = "ossup-fidelity/";

/// How an answer stands to what the project assumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stance {
    /// As assumed; the emulator does the same unless it is told otherwise.
    AsAssumed,
    /// Not as assumed.
    Otherwise,
    /// It could not be found out.
    Open,
}

impl Stance {
    /// Returns the words for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AsAssumed => "as assumed",
            Self::Otherwise => "otherwise",
            Self::Open => "open",
        }
    }
}

/// What was found out about a point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Settled {
    /// The point's name, which never changes.
    pub id: &'static str,
    /// What is asked, and how.
    pub question: &'static str,
    /// What came.
    pub came: String,
    /// How that stands to what the project assumes.
    pub stance: Stance,
    /// What it means for `ossup` and its emulator.
    pub means: &'static str,
}

/// An open point.
struct Point {
    id: &'static str,
    question: &'static str,
    settle: for<'a> fn(&'a Lab) -> BoxFuture<'a, Found>,
}

/// What came, before it is joined to its point.
struct Found {
    came: String,
    stance: Stance,
    means: &'static str,
}

impl Found {
    /// Of a question with two answers.
    fn either(
        came: impl Into<String>,
        as_assumed: bool,
        assumed: &'static str,
        otherwise: &'static str,
    ) -> Self {
        let (stance, means) = match as_assumed {
            true => (Stance::AsAssumed, assumed),
            false => (Stance::Otherwise, otherwise),
        };
        Self { came: came.into(), stance, means }
    }

    fn open(came: impl Into<String>, means: &'static str) -> Self {
        Self { came: came.into(), stance: Stance::Open, means }
    }
}

/// All points, and what remains of what they made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The region that was asked.
    pub region: Region,
    /// When, by the service's clock where that is known.
    pub asked_at: Timestamp,
    /// The points.
    pub points: Vec<Settled>,
    /// Keys and open uploads that could not be removed.
    pub remains: Vec<String>,
}

impl Doctor {
    /// Asks all points on a bucket, and removes what it made, also when it is stopped.
    pub async fn fidelity(&self, bucket: &BucketName) -> Report {
        self.settle(bucket, |_| true).await
    }

    /// Asks the points that are wanted.
    async fn settle(&self, bucket: &BucketName, wanted: impl Fn(&str) -> bool) -> Report {
        let prefix = format!("{FIDELITY_PREFIX}{}/", uuid::Uuid::new_v4().simple());
        let lab = Lab::new(self.client.clone(), bucket.clone(), prefix);
        let mut points = Vec::new();
        let all = uploads::POINTS.iter().chain(copies::POINTS).chain(images::POINTS);
        for point in all.filter(|point| wanted(point.id)) {
            let Some(found) = self.stop.run_until_cancelled((point.settle)(&lab)).await else { break };
            let Found { came, stance, means } = found;
            points.push(Settled { id: point.id, question: point.question, came, stance, means });
        }
        let remains = lab.remove().await;
        let asked_at = self.client.service_time().unwrap_or_else(|| self.client.now());
        Report { region: self.client.region().clone(), asked_at, points, remains }
    }
}

impl Report {
    /// Returns the report as Markdown. It names neither bucket nor account.
    pub fn markdown(&self) -> String {
        let count = |stance| self.points.iter().filter(|point| point.stance == stance).count();
        let mut text = format!(
            "# What OSS and ECS do in {}\n\nossup {}, {}: {} points as assumed, {} otherwise, {} open.\n\n\
             | Point | Stance | What came |\n|---|---|---|\n",
            self.region,
            env!("CARGO_PKG_VERSION"),
            self.asked_at.strftime("%Y-%m-%d"),
            count(Stance::AsAssumed),
            count(Stance::Otherwise),
            count(Stance::Open),
        );
        for point in &self.points {
            let came = point.came.replace('|', "\\|").replace(['\n', '\r'], " ");
            text += &format!("| `{}` | {} | {came} |\n", point.id, point.stance.as_str());
        }
        for point in &self.points {
            text += &format!(
                "\n## {}\n\n{}\n\n- came: {}\n- {}: {}\n",
                point.id,
                point.question,
                point.came.replace(['\n', '\r'], " "),
                point.stance.as_str(),
                point.means
            );
        }
        if !self.remains.is_empty() {
            text += &format!("\n{} could not be removed.\n", self.remains.len());
        }
        text
    }
}

#[cfg(all(test, feature = "emulator"))]
mod tests;
