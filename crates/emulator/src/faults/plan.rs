use serde::{Deserialize, Serialize};

use super::super::{api, oss};

/// What goes wrong, and when.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct FaultPlan {
    /// The seed of [`FaultRule::probability`]: the same seed gives the same results.
    pub seed: u64,
    /// How far the emulator's clock is ahead of the real one, in seconds.
    pub clock_skew: i64,
    /// The first rule that matches a request applies.
    pub rules: Vec<FaultRule>,
}

/// A plan that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed fault plan: {0}")]
pub struct FaultPlanError(String);

impl FaultPlan {
    /// Returns a plan of these rules.
    pub fn of(rules: impl IntoIterator<Item = FaultRule>) -> Self {
        Self { rules: rules.into_iter().collect(), ..Self::default() }
    }

    /// Reads a plan in JSON.
    ///
    /// # Errors
    ///
    /// When the text is not a plan; unknown fields and operations are refused.
    pub fn from_json(text: &str) -> Result<Self, FaultPlanError> {
        let plan: Self = serde_json::from_str(text).map_err(|error| FaultPlanError(error.to_string()))?;
        match plan.rules.iter().filter_map(|rule| rule.operation.as_deref()).find_map(unknown_operation) {
            Some(error) => Err(error),
            None => Ok(plan),
        }
    }

    /// Sets the seed.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Puts the emulator's clock ahead by `seconds`.
    #[must_use]
    pub fn with_clock_skew(mut self, seconds: i64) -> Self {
        self.clock_skew = seconds;
        self
    }
}

/// Returns an error for an unknown operation: its rule would never apply.
fn unknown_operation(name: &str) -> Option<FaultPlanError> {
    let known = || oss::operations().chain(api::ACTIONS.iter().copied());
    if known().any(|operation| operation == name) {
        return None;
    }
    let close = known().map(|operation| (strsim::jaro_winkler(name, operation), operation));
    let (_, closest) = close.max_by(|a, b| a.0.total_cmp(&b.0)).expect("there are operations");
    Some(FaultPlanError(format!(
        "there is no operation `{}`; did you mean `{closest}`?",
        name.escape_debug()
    )))
}

/// Which requests a fault applies to. A field that is not given matches all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct FaultRule {
    /// The operation's name in the API reference: `UploadPart`, `ImportImage`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// The object key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The part number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<u16>,
    /// The first and the last attempt, from 1. Attempts of one part of one key count together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<(u32, u32)>,
    /// How often it applies at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// The probability that it applies where it matches, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// What goes wrong.
    pub fault: Fault,
}

impl FaultRule {
    /// Returns a rule that applies to every request of an operation.
    pub fn on(operation: impl Into<String>, fault: Fault) -> Self {
        Self { operation: Some(operation.into()), ..Self::always(fault) }
    }

    /// Returns a rule that applies to every request.
    pub fn always(fault: Fault) -> Self {
        Self { operation: None, key: None, part: None, attempts: None, times: None, probability: None, fault }
    }

    /// Applies only to this key.
    #[must_use]
    pub fn with_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Applies only to this part.
    #[must_use]
    pub fn with_part(mut self, part: u16) -> Self {
        self.part = Some(part);
        self
    }

    /// Applies only to the attempts `first` to `last`, from 1.
    #[must_use]
    pub fn with_attempts(mut self, first: u32, last: u32) -> Self {
        self.attempts = Some((first, last));
        self
    }

    /// Applies at most this many times.
    #[must_use]
    pub fn with_times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    /// Applies with this probability, 0 to 1.
    #[must_use]
    pub fn with_probability(mut self, probability: f64) -> Self {
        self.probability = Some(probability);
        self
    }
}

/// A moment of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum When {
    /// Its head has arrived.
    #[default]
    Head,
    /// This many bytes of its body have arrived.
    BodyByte(u64),
    /// It has arrived whole and has not been carried out.
    BeforeCommit,
    /// What it asked for is done and lasts; the answer is yet to be sent.
    AfterCommit,
}

/// What goes wrong with a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Fault {
    /// It is answered with an error.
    Status {
        /// HTTP status.
        status: u16,
        /// The error's code.
        code: String,
        /// When.
        #[serde(default)]
        when: When,
        /// Seconds of a `Retry-After` header.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<u64>,
    },
    /// It is answered with a web page, as by a proxy or a server that is not OSS.
    Page {
        /// HTTP status.
        status: u16,
    },
    /// The connection breaks.
    Reset {
        /// When.
        #[serde(default)]
        when: When,
    },
    /// Nothing happens for a while.
    Stall {
        /// When.
        #[serde(default)]
        when: When,
        /// How long, in seconds; for ever if not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seconds: Option<f64>,
    },
    /// The body is taken in slowly.
    Slow {
        /// Bytes for each second.
        bytes_per_second: u64,
    },
    /// The body is damaged on its way in.
    CorruptRequest {
        /// The byte that changes, from 0.
        byte: u64,
    },
    /// The connection breaks within the answer's body.
    TruncateResponse {
        /// How many bytes of it arrive.
        bytes: u64,
    },
    /// The answer's body is damaged on its way out.
    CorruptResponse {
        /// The byte that changes, from 0.
        byte: u64,
    },
    /// The answer's CRC-64 is not that of what was stored.
    WrongCrc,
    /// A header of the answer is another, or missing.
    ResponseHeader {
        /// Its name.
        name: String,
        /// Its text; missing if not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<String>,
    },
    /// The emulator's clock is ahead for this request.
    ClockSkew {
        /// By how many seconds.
        seconds: i64,
    },
    /// The request's token counts as expired.
    DeadToken,
    /// The emulator's disk is full.
    DiskFull {
        /// How many bytes of the body still fit.
        byte: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_operation_is_refused_with_the_closest_one() {
        let plan = |operation: &str| {
            FaultPlan::from_json(&format!(
                r#"{{"rules": [{{"operation": "{operation}", "fault": {{"kind": "reset"}}}}]}}"#
            ))
        };
        for known in ["UploadPart", "ListObjectsV2", "ImportImage", "AssumeRole"] {
            assert!(plan(known).is_ok(), "{known}");
        }
        for (name, closest) in [
            ("UploadPArt", "UploadPart"),
            ("InitiateMultipart", "InitiateMultipartUpload"),
            ("importImage", "ImportImage"),
        ] {
            let error = plan(name).unwrap_err().to_string();
            assert!(error.contains(&format!("`{name}`; did you mean `{closest}`?")), "{error}");
        }
        assert!(plan("").is_err());
    }
}
