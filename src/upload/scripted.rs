//! A transport between client and emulator that loses, refuses and falsifies by script.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use http_body_util::BodyExt;

use crate::credentials::BoxFuture;
use crate::emulator::Emulator;
use crate::http::{Body, Transport, TransportError, TransportErrorKind, full};

/// What happens to a request.
#[derive(Clone)]
pub(super) enum Effect {
    /// This answer comes instead, and the emulator sees nothing.
    Answer(u16, String),
    /// The connection breaks before the request arrives.
    LostRequest,
    /// The request is carried out and the connection breaks before the answer arrives.
    LostAnswer,
    /// No connection, or none that is one.
    Fails(TransportErrorKind),
    /// The request is carried out, and this answer comes instead of its own.
    Instead(u16, String),
    /// Nothing ever comes back.
    Silence,
    /// The request is carried out, and nothing ever comes back.
    SilentAnswer,
    /// A header of the answer is replaced, or removed.
    Header(&'static str, Option<&'static str>),
    /// So are several.
    Headers(&'static [(&'static str, Option<&'static str>)]),
    /// It is refused with a Retry-After.
    Refused { status: u16, code: &'static str, retry_after: &'static str },
    /// The request arrives with a bit flipped in its body, and the answer has no CRC-64.
    Damaged,
    /// This status, and a body that repeats all headers of the request, as a gateway's page for developers does.
    Echo(u16),
    /// The body of the answer is changed.
    Body(fn(&str) -> String),
    /// The test does something first; then the request goes its way.
    First(Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>),
}

struct Rule {
    operation: &'static str,
    /// How many matching requests pass first.
    skip: usize,
    /// How many are then affected.
    times: usize,
    effect: Effect,
}

/// The emulator behind a script. It keeps the names of all operations that it saw.
#[derive(Clone)]
pub(super) struct Scripted {
    emulator: Emulator,
    rules: Arc<Mutex<Vec<Rule>>>,
    seen: Arc<Mutex<Vec<&'static str>>>,
    resets: Arc<AtomicUsize>,
}

impl Scripted {
    pub(super) fn new(emulator: Emulator) -> Self {
        Self { emulator, rules: Arc::default(), seen: Arc::default(), resets: Arc::default() }
    }

    /// Affects the `times` requests of an operation that follow the first `skip`.
    pub(super) fn rule(&self, operation: &'static str, skip: usize, times: usize, effect: Effect) {
        self.rules.lock().unwrap().push(Rule { operation, skip, times, effect });
    }

    /// Refuses the next `times` requests of an operation with an error document.
    pub(super) fn refuse(&self, operation: &'static str, times: usize, status: u16, code: &str) {
        let document = format!("<Error><Code>{code}</Code><Message>scripted</Message></Error>");
        self.rule(operation, 0, times, Effect::Answer(status, document));
    }

    /// Drops what is left of the script.
    pub(super) fn clear(&self) {
        self.rules.lock().unwrap().clear();
    }

    /// Returns how many requests of an operation were sent.
    pub(super) fn count(&self, operation: &str) -> usize {
        self.seen.lock().unwrap().iter().filter(|name| **name == operation).count()
    }

    /// Returns the operations that were sent, in order, repetitions once.
    pub(super) fn order(&self) -> Vec<&'static str> {
        let mut order = self.seen.lock().unwrap().clone();
        order.dedup();
        order
    }

    /// Returns how often all connections were dropped.
    pub(super) fn resets(&self) -> usize {
        self.resets.load(Ordering::Relaxed)
    }

    fn effect(&self, operation: &'static str) -> Option<Effect> {
        self.seen.lock().unwrap().push(operation);
        let mut rules = self.rules.lock().unwrap();
        let rule =
            rules.iter_mut().find(|rule| rule.operation == operation && (rule.skip > 0 || rule.times > 0))?;
        if rule.skip > 0 {
            rule.skip -= 1;
            return None;
        }
        rule.times -= 1;
        Some(rule.effect.clone())
    }
}

impl std::fmt::Debug for Scripted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scripted")
    }
}

impl Transport for Scripted {
    fn send(
        &self,
        request: http::Request<Body>,
    ) -> BoxFuture<'_, Result<http::Response<Body>, TransportError>> {
        Box::pin(async move {
            let broken = || TransportError::new(TransportErrorKind::Broken, "scripted");
            match self.effect(operation(&request)) {
                None => self.emulator.send(request).await,
                Some(Effect::Answer(status, document)) => {
                    // A server reads the body before it answers.
                    request.into_body().collect().await.map_err(|_| broken())?;
                    Ok(http::Response::builder().status(status).body(full(document)).unwrap())
                }
                Some(Effect::LostRequest) => Err(broken()),
                Some(Effect::LostAnswer) => {
                    let answer = self.emulator.send(request).await?;
                    assert!(answer.status().is_success(), "the scripted request was to succeed");
                    Err(broken())
                }
                Some(Effect::Fails(kind)) => Err(TransportError::new(kind, "scripted")),
                Some(Effect::Instead(status, document)) => {
                    let answer = self.emulator.send(request).await?;
                    assert!(answer.status().is_success(), "the scripted request was to succeed");
                    Ok(http::Response::builder().status(status).body(full(document)).unwrap())
                }
                Some(Effect::Silence) => std::future::pending().await,
                Some(Effect::SilentAnswer) => {
                    self.emulator.send(request).await?;
                    std::future::pending().await
                }
                Some(Effect::Header(name, value)) => {
                    self.emulator.send(request).await.map(|answer| with_headers(answer, &[(name, value)]))
                }
                Some(Effect::Headers(headers)) => {
                    self.emulator.send(request).await.map(|answer| with_headers(answer, headers))
                }
                Some(Effect::Refused { status, code, retry_after }) => {
                    request.into_body().collect().await.map_err(|_| broken())?;
                    let document = format!("<Error><Code>{code}</Code></Error>");
                    let answer = http::Response::builder().status(status).header("retry-after", retry_after);
                    Ok(answer.body(full(document)).unwrap())
                }
                Some(Effect::Damaged) => {
                    let (head, body) = request.into_parts();
                    let mut bytes = body.collect().await.map_err(|_| broken())?.to_bytes().to_vec();
                    bytes[0] ^= 1;
                    let answer = self.emulator.send(http::Request::from_parts(head, full(bytes))).await?;
                    Ok(with_headers(answer, &[("x-oss-hash-crc64ecma", None)]))
                }
                Some(Effect::Echo(status)) => {
                    let headers = request.headers().iter();
                    let headers: String = headers
                        .map(|(name, value)| format!("{name}: {} ", value.to_str().unwrap()))
                        .collect();
                    let page = match status {
                        400.. => format!("<Error><Code>Echo</Code><Message>{headers}</Message></Error>"),
                        _ => format!("<{}/>", headers.replace([' ', ':', '<', '/', '=', ',', '"'], "")),
                    };
                    Ok(http::Response::builder()
                        .status(status)
                        .header("x-oss-request-id", headers)
                        .body(full(page))
                        .unwrap())
                }
                Some(Effect::Body(change)) => {
                    let (mut head, body) = self.emulator.send(request).await?.into_parts();
                    let bytes = body.collect().await.map_err(|_| broken())?.to_bytes();
                    let text = change(std::str::from_utf8(&bytes).unwrap());
                    head.headers.remove(http::header::CONTENT_LENGTH);
                    Ok(http::Response::from_parts(head, full(text)))
                }
                Some(Effect::First(first)) => {
                    first().await;
                    self.emulator.send(request).await
                }
            }
        })
    }

    fn reset(&self) {
        self.resets.fetch_add(1, Ordering::Relaxed);
    }
}

fn with_headers(
    mut answer: http::Response<Body>,
    headers: &[(&'static str, Option<&'static str>)],
) -> http::Response<Body> {
    for (name, value) in headers {
        answer.headers_mut().remove(*name);
        if let Some(value) = value {
            answer.headers_mut().insert(*name, value.parse().unwrap());
        }
    }
    answer
}

fn operation(request: &http::Request<Body>) -> &'static str {
    let query = request.uri().query().unwrap_or_default();
    let has = |name: &str| query.split('&').any(|pair| pair.split('=').next() == Some(name));
    match request.method().as_str() {
        "POST" if has("uploads") => "Initiate",
        "POST" if has("uploadId") => "Complete",
        "PUT" if has("partNumber") => "UploadPart",
        "DELETE" if has("uploadId") => "Abort",
        "GET" if has("uploadId") => "ListParts",
        "GET" if has("uploads") => "ListUploads",
        "HEAD" => "HeadObject",
        _ => "other",
    }
}
