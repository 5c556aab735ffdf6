//! Requests for one file: redirects, preconditions, and what a failure means for the next attempt.

use std::fmt;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout};

use super::address::BadRedirect;
use super::head::{self, ContentRange, Version};
use super::{InvalidWebUrl, WebError, WebOptions, WebUrl};
use crate::http::{Body, TransportError, TransportErrorKind, empty};
use crate::model::ByteRange;
use crate::protocol::RetryClass;
use crate::retry::{Decision, RetryState};

/// How many redirects in a row are followed.
const MAX_REDIRECTS: usize = 10;

const HELD: &str = "nothing panics while the lock is held";

/// A failed attempt.
pub(super) struct Failure {
    pub(super) error: Box<WebError>,
    class: RetryClass,
    /// How long the server asks to wait.
    asked: Option<Duration>,
    /// The place that refused and may be there no longer, as a link that is good for a while.
    place: Option<Box<WebUrl>>,
}

impl Failure {
    pub(super) fn never(error: WebError) -> Self {
        Self { error: Box::new(error), class: RetryClass::Never, asked: None, place: None }
    }

    pub(super) fn again(error: WebError) -> Self {
        Self { error: Box::new(error), class: RetryClass::Retry, asked: None, place: None }
    }
}

/// A response whose redirects were followed.
pub(super) struct Answer {
    pub(super) url: WebUrl,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
}

/// The attempts at one thing since the last byte that arrived.
pub(super) struct Attempts {
    state: RetryState,
    count: u32,
    since: Instant,
    /// Whether the first URL was asked again.
    asked_again: bool,
    /// How long it may go on, if that is less than the options say.
    limit: Duration,
}

impl Attempts {
    pub(super) fn new() -> Self {
        Self::within(Duration::MAX)
    }

    fn within(limit: Duration) -> Self {
        Self { state: RetryState::default(), count: 0, since: Instant::now(), asked_again: false, limit }
    }

    /// Decides what follows a failure: a wait, or the error that ends it.
    pub(super) fn next(&mut self, failure: Failure, fetcher: &Fetcher) -> Result<Duration, WebError> {
        self.count += 1;
        if !self.asked_again && failure.place.as_deref().is_some_and(|place| fetcher.start_over(place)) {
            self.asked_again = true;
            return Ok(Duration::ZERO);
        }
        let budget = match fetcher.answered.load(Ordering::Relaxed) {
            true => fetcher.options.retry_timeout,
            false => fetcher.options.first_contact,
        };
        let budget = budget.min(self.limit);
        let silent = self.since.elapsed();
        let throw = (fetcher.options.dice)();
        match self.state.next(failure.class, budget.saturating_sub(silent), throw, failure.asked) {
            Decision::Again(delay) => {
                tracing::info!(
                    target: "ossup::request", operation = "GET", attempt = self.count, url = %fetcher.first,
                    delay_ms = delay.as_millis() as u64, reason = %failure.error, "failed"
                );
                Ok(delay)
            }
            _ if failure.class == RetryClass::Never => Err(*failure.error),
            _ => Err(WebError::GivenUp { attempts: self.count, silent, source: failure.error }),
        }
    }
}

/// Sends the requests for one file.
pub(super) struct Fetcher {
    pub(super) options: WebOptions,
    /// The URL as it was given.
    pub(super) first: WebUrl,
    /// Where redirects led last: one of many mirrors, or a link that is good for a while.
    place: Mutex<WebUrl>,
    /// Whether the server ever answered.
    answered: AtomicBool,
}

impl fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetcher").field("url", &self.first).finish_non_exhaustive()
    }
}

impl Fetcher {
    pub(super) fn new(first: WebUrl, options: WebOptions) -> Self {
        Self { options, place: Mutex::new(first.clone()), first, answered: AtomicBool::new(false) }
    }

    /// Leaves a place for the URL as it was given, which may lead elsewhere now. Returns whether that is another.
    fn start_over(&self, left: &WebUrl) -> bool {
        let mut place = self.place.lock().expect(HELD);
        // Another request may have found a new place already.
        if *place == *left {
            place.clone_from(&self.first);
        }
        *left != self.first
    }

    /// Makes attempts until one succeeds, or the time is used up that the options and `limit` allow.
    pub(super) async fn repeat<T>(
        &self,
        limit: Duration,
        attempt: impl AsyncFn() -> Result<T, Failure>,
    ) -> Result<T, WebError> {
        let mut attempts = Attempts::within(limit);
        loop {
            match attempt().await {
                Ok(done) => return Ok(done),
                Err(failure) => tokio::time::sleep(attempts.next(failure, self)?).await,
            }
        }
    }

    /// Asks for a range, or for the whole file, and follows redirects. The status is a success, or says that there
    /// is no such range.
    pub(super) async fn get(
        &self,
        range: Option<ByteRange>,
        pin: Option<&Version>,
    ) -> Result<Answer, Failure> {
        let mut url = self.place.lock().expect(HELD).clone();
        let mut seen = Vec::new();
        loop {
            let answer = self.send(&url, range, pin).await?;
            self.answered.store(true, Ordering::Relaxed);
            if !matches!(answer.status.as_u16(), 301 | 302 | 303 | 307 | 308) {
                self.place.lock().expect(HELD).clone_from(&url);
                return self.judged(answer);
            }
            let refused = |source| Failure {
                place: Some(Box::new(url.clone())),
                ..Failure::never(WebError::Redirect { url: url.to_string(), source })
            };
            let location = answer.headers.get(header::LOCATION).and_then(|location| location.to_str().ok());
            let next = url.redirected(location.ok_or_else(|| refused(BadRedirect::Location))?);
            let next = next.map_err(&refused)?;
            if next == url || seen.contains(&next) {
                return Err(refused(BadRedirect::Circle(next.to_string())));
            }
            if seen.len() == MAX_REDIRECTS {
                return Err(refused(BadRedirect::TooMany(MAX_REDIRECTS + 1)));
            }
            seen.push(std::mem::replace(&mut url, next));
        }
    }

    /// Sends one request and waits for the head of its response.
    async fn send(
        &self,
        url: &WebUrl,
        range: Option<ByteRange>,
        pin: Option<&Version>,
    ) -> Result<Answer, Failure> {
        let request = request(url, range, pin).map_err(|error| Failure::never(error.into()))?;
        let limit = self.options.stall_timeout;
        let failed = |source: TransportError| {
            use TransportErrorKind::{Certificate, NotHttp, ProxyAuth, ProxyRefused, Tls};
            let class = match source.kind {
                ProxyAuth => RetryClass::Never,
                Certificate(_) | Tls | NotHttp | ProxyRefused if !self.answered.load(Ordering::Relaxed) => {
                    RetryClass::RetryFew
                }
                _ => RetryClass::Retry,
            };
            let error = WebError::Transport { url: url.to_string(), source };
            Failure { error: Box::new(error), class, asked: None, place: None }
        };
        let (head, body) = match timeout(limit, self.options.transport.send(request)).await {
            Ok(answer) => answer.map_err(failed)?.into_parts(),
            Err(_) => {
                let message = format!("no answer came within {} s", limit.as_secs());
                return Err(failed(TransportError::new(TransportErrorKind::Timeout, message)));
            }
        };
        Ok(Answer { url: url.clone(), status: head.status, headers: head.headers, body })
    }

    fn judged(&self, answer: Answer) -> Result<Answer, Failure> {
        let status = answer.status.as_u16();
        match status {
            200 | 206 | 412 | 416 => {}
            _ => {
                let error = WebError::Status {
                    url: answer.url.to_string(),
                    status,
                    meaning: head::meaning(answer.status),
                };
                let asked = head::retry_after(&answer.headers, self.options.clock.now());
                let class = match status {
                    429 => RetryClass::Throttled,
                    503 if asked.is_some() => RetryClass::Throttled,
                    408 | 425 | 500 | 502..=504 | 520..=529 => RetryClass::Retry,
                    _ => RetryClass::Never,
                };
                let place = matches!(status, 400 | 401 | 403 | 404 | 410).then(|| Box::new(answer.url));
                return Err(Failure { error: Box::new(error), class, asked, place });
            }
        }
        match head::encoding(&answer.headers) {
            Some(encoding) if answer.status.is_success() => {
                Err(Failure::never(WebError::Encoded { url: answer.url.to_string(), encoding }))
            }
            _ => Ok(answer),
        }
    }

    /// Asks for a range of the file as it was when it was opened, `length` bytes long, and returns the body.
    pub(super) async fn range(
        &self,
        range: ByteRange,
        version: &Version,
        length: u64,
    ) -> Result<Answer, Failure> {
        let answer = self.get(Some(range), Some(version)).await?;
        let url = answer.url.to_string();
        let contradicts = |what: String| Failure::never(WebError::Contradiction { url: url.clone(), what });
        let changed = |what: String| Failure::never(WebError::Changed { url: url.clone(), what });
        let said = ContentRange::of(&answer.headers);
        match answer.status.as_u16() {
            412 => return Err(changed("it is no longer the version that was begun".to_owned())),
            416 => {
                return Err(changed(match said.and_then(|said| said.length) {
                    Some(now) => format!("it had {length} bytes and has {now}"),
                    None => "it is shorter than it was".to_owned(),
                }));
            }
            _ => {}
        }
        version
            .compare(&Version::of(&answer.headers))
            .map_err(|difference| Failure::never(difference.into_error(url.clone())))?;
        if answer.status == StatusCode::OK {
            return Err(contradicts("it sent the whole file where a range was asked for".to_owned()));
        }
        let Some(said) = said else {
            return Err(contradicts("it sent a range without a Content-Range that can be read".to_owned()));
        };
        if said.length.is_some_and(|now| now != length) {
            let now = said.length.unwrap_or_default();
            return Err(changed(format!("it had {length} bytes and has {now}")));
        }
        if said.range != Some(range) {
            return Err(contradicts(format!(
                "bytes {} to {} were asked for and others came",
                range.start,
                range.end - 1
            )));
        }
        if head::content_length(&answer.headers).is_some_and(|said| said != range.len()) {
            return Err(contradicts("its Content-Length is not that of its Content-Range".to_owned()));
        }
        Ok(answer)
    }

    /// Returns the next bytes of a body, or nothing at its end. `at` is where they are in the file.
    pub(super) async fn chunk(&self, answer: &mut Answer, at: u64) -> Result<Option<Bytes>, Failure> {
        let cut = |what: String, source: Option<io::Error>| {
            Failure::again(WebError::Cut { url: self.first.to_string(), what, offset: at, source })
        };
        let limit = self.options.stall_timeout;
        loop {
            match timeout(limit, answer.body.frame()).await {
                Err(_) => return Err(cut(format!("was silent for {} s", limit.as_secs()), None)),
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => return Err(cut("broke".to_owned(), Some(error))),
                Ok(Some(Ok(frame))) => match frame.into_data() {
                    Ok(bytes) if !bytes.is_empty() => return Ok(Some(bytes)),
                    // Trailers say nothing about bytes.
                    _ => {}
                },
            }
        }
    }

    /// The failure of a body that ended before its end.
    pub(super) fn ended_early(&self, offset: u64) -> Failure {
        let what = "ended too early".to_owned();
        Failure::again(WebError::Cut { url: self.first.to_string(), what, offset, source: None })
    }
}

fn request(
    url: &WebUrl,
    range: Option<ByteRange>,
    pin: Option<&Version>,
) -> Result<http::Request<Body>, InvalidWebUrl> {
    let mut request = http::Request::get(url.to_uri()?)
        .header(header::ACCEPT, "*/*")
        .header(header::ACCEPT_ENCODING, "identity");
    if let Some(range) = range {
        request = request.header(header::RANGE, format!("bytes={}-{}", range.start, range.end - 1));
    }
    if let Some((name, value)) = pin.and_then(Version::precondition) {
        request = request.header(name, value);
    }
    if let Some(login) = url.authorization() {
        let mut value = HeaderValue::from_str(login.expose()).map_err(|_| InvalidWebUrl::Malformed)?;
        value.set_sensitive(true);
        request = request.header(header::AUTHORIZATION, value);
    }
    request.body(empty()).map_err(|_| InvalidWebUrl::Malformed)
}
