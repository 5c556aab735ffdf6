use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::client::CallError;

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It works, and something about it is worth knowing.
    Warn,
    /// Something that is needed does not work.
    Fail,
    /// It could not be found out.
    Unknown,
}

impl Verdict {
    /// Returns the word for people and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a check is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Area {
    /// What the settings are and where they came from.
    Settings,
    /// Who the credentials are.
    Credentials,
    /// Clock, names, connections.
    Network,
    /// The bucket.
    Bucket,
    /// What ECS needs for an import.
    Import,
    /// What the credentials may do.
    Permissions,
    /// This machine.
    Machine,
    /// The rate of an upload.
    Speed,
}

impl Area {
    /// Returns the word for people and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Credentials => "credentials",
            Self::Network => "network",
            Self::Bucket => "bucket",
            Self::Import => "import",
            Self::Permissions => "permissions",
            Self::Machine => "machine",
            Self::Speed => "speed",
        }
    }
}

/// One question and its answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Check {
    /// What it is about.
    pub area: Area,
    /// What was asked, as a name that never changes its meaning: `identity`, `oss:PutObject`.
    pub id: String,
    /// What was found.
    pub verdict: Verdict,
    /// What was found, as a sentence without a final period.
    pub text: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub way_out: Option<String>,
    /// What was measured or read, for programs.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub facts: Value,
}

impl Check {
    /// Makes a check of these words.
    pub fn new(area: Area, id: impl Into<String>, verdict: Verdict, text: impl Into<String>) -> Self {
        Self { area, id: id.into(), verdict, text: text.into(), way_out: None, facts: Value::Null }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn with_way_out(mut self, way_out: impl Into<String>) -> Self {
        self.way_out = Some(way_out.into());
        self
    }

    /// Adds what was measured or read.
    #[must_use]
    pub fn with_facts(mut self, facts: Value) -> Self {
        self.facts = facts;
        self
    }
}

/// Returns why a request failed, in one line, with the id that the vendor's support asks for.
pub(super) fn reason(error: &CallError) -> String {
    match error.service() {
        Some(answer) => {
            let id = answer.request_id.as_deref().map(|id| format!(", request id {id}")).unwrap_or_default();
            format!("{answer}{id}")
        }
        None => error.cause.to_string(),
    }
}
