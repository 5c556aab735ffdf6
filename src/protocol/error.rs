use std::fmt;

/// What to do about a failed attempt (see the error tables of each service).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RetryClass {
    /// Send again after a backoff, for as long as the budget of time without progress lasts.
    Retry,
    /// Send again, at most three attempts in all.
    RetryFew,
    /// Send again once, with the data read from the source again.
    RetryOnce,
    /// Send again after a longer backoff and with fewer requests in flight.
    Throttled,
    /// Correct the clock from the answer and send again, as often as it is set.
    FixClock,
    /// Ask for other credentials and send again, once.
    RefreshCredentials,
    /// Stop: the bucket lives behind another endpoint, which the error names.
    OtherEndpoint,
    /// Stop: the caller finds out what became of the request.
    Settle,
    /// Stop: the same request can never succeed.
    Never,
}

/// An error answer of a service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServiceError {
    /// HTTP status.
    pub status: u16,
    /// The service's code, such as `NoSuchUpload`; none if the answer was no error document.
    pub code: Option<String>,
    /// The service's message, or the beginning of an answer that is not an error document.
    pub message: String,
    /// The id to quote to the vendor's support.
    pub request_id: Option<String>,
    /// OSS's finer code, such as `0042-00000203`.
    pub ec: Option<String>,
    /// A page that the service recommends reading.
    pub recommend: Option<String>,
    /// The endpoint that the bucket must be addressed by, from OSS's `Endpoint` element.
    pub endpoint: Option<String>,
    /// The bucket that the error is about, from OSS's `BucketName` element.
    pub bucket: Option<String>,
    /// The server's time, from OSS's `ServerTime` element.
    pub server_time: Option<jiff::Timestamp>,
    /// The upload id that the error is about.
    pub upload_id: Option<String>,
    /// The action that is not allowed, from `AccessDeniedDetail`: `oss:PutObject`.
    pub denied_action: Option<String>,
    /// Seconds to wait, from `Retry-After`.
    pub retry_after: Option<u64>,
}

impl ServiceError {
    /// Whether the service's code is `code`.
    pub fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }

    /// Whether nothing in the answer shows that it came from the service: it has neither a code nor the id of a
    /// request.
    pub fn is_foreign(&self) -> bool {
        self.code.is_none() && self.request_id.is_none()
    }
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the service answered {}", self.status)?;
        if let Some(code) = &self.code {
            write!(f, " `{code}`")?;
        }
        if let Some(ec) = &self.ec {
            write!(f, " (EC {ec})")?;
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for ServiceError {}

/// An answer that is not what the operation promises.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the answer to {operation} {reason}")]
pub struct DecodeError {
    /// The operation's name.
    pub operation: &'static str,
    /// What is wrong, as the end of a sentence: "lacks the ETag header".
    pub reason: String,
}

impl DecodeError {
    /// Makes the error for what is wrong with the answer to `operation`.
    pub fn new(operation: &'static str, reason: impl Into<String>) -> Self {
        Self { operation, reason: reason.into() }
    }
}
