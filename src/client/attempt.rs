use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::Method;
use http_body_util::{BodyExt, Limited};
use jiff::Timestamp;
use tokio::time::Instant;

use super::failure::{Failure, broken, malformed, reason};
use super::meter::{Meter, Metered};
use super::redact::Secrets;
use super::skew::{self, Signed};
use super::{Call, CallCause, Client, Progress};
use crate::credentials::Credentials;
use crate::http::{Body, TransportError, TransportErrorKind, empty, full};
use crate::model::Scheme;
use crate::protocol::{
    Content, Operation, Request, Response, RetryClass, ServiceError, TimeoutClass, oss, rpc, sign, uri,
};

/// The largest answer that is read: a page of 1,000 parts or images stays far below.
const MAX_ANSWER: usize = 8 << 20;

/// Counts what an attempt sent however it ends: a part may be dropped on its way.
struct CountSent<'a> {
    meter: &'a Meter,
    progress: &'a Progress,
}

impl Drop for CountSent<'_> {
    fn drop(&mut self) {
        self.progress.sent(self.meter.handed());
    }
}

impl Client {
    /// Makes one attempt and classifies its failure.
    pub(super) async fn attempt<O: Operation>(
        &self,
        operation: &O,
        call: &Call<'_>,
        attempt: u32,
        rejected: Option<Credentials>,
    ) -> Result<O::Output, Box<Failure>> {
        let began = Instant::now();
        let options = &self.shared.options;
        let credentials = options.credentials.credentials(rejected.as_ref()).await.map_err(|error| {
            let action = if error.transient { RetryClass::Retry } else { RetryClass::Never };
            Failure::new(CallCause::Credentials(error), action, false)
        })?;
        let request = operation.request();
        let meter = call.progress.meter();
        let signed_at = Signed { time: self.now(), at: Instant::now() };
        let signed = self.sign(&request, credentials.as_ref(), signed_at.time, call, &meter)?;
        let secrets = Secrets::of(credentials.as_ref(), &signed);
        // Only parts count: the list of a Complete is none of the object's bytes.
        let counted = call.part.map(|_| CountSent { meter: &meter, progress: call.progress });
        let sent = self.send(signed, &meter, operation.timeout(), call).await;
        drop(counted);
        // What a service or something on the way repeats of the request is foreign text from here on.
        let sent = sent
            .map(|answer| if answer.status.is_success() { answer } else { secrets.taken_out_of(&answer) });
        let request_id = sent.as_ref().ok().and_then(|answer| answer.request_id()).map(|id| {
            let mut id = id.to_owned();
            secrets.take_out(&mut id);
            id
        });
        let status = sent.as_ref().ok().map(|answer| answer.status.as_u16());
        let outcome = match sent {
            // Before a connection stands nothing can have been carried out.
            Err(error) => {
                let early = matches!(
                    error.kind,
                    TransportErrorKind::Resolve
                        | TransportErrorKind::Connect
                        | TransportErrorKind::Tls
                        | TransportErrorKind::Certificate(_)
                        | TransportErrorKind::Proxy
                        | TransportErrorKind::ProxyRefused
                        | TransportErrorKind::ProxyAuth
                );
                Err(broken(error, !early, self.shared.answered.load(Ordering::Relaxed)))
            }
            Ok(answer) => self.read(operation, &request, &answer, (signed_at, credentials)),
        };
        let outcome = outcome.map_err(|mut failure| {
            secrets.take_out_of_cause(&mut failure.cause);
            failure
        });
        self.trace(operation.name(), call, attempt, began, (status, request_id.as_deref()), &outcome);
        outcome
    }

    fn sign(
        &self,
        request: &Request,
        credentials: Option<&Credentials>,
        now: Timestamp,
        call: &Call<'_>,
        meter: &Arc<Meter>,
    ) -> Result<http::Request<Body>, Box<Failure>> {
        let options = &self.shared.options;
        let (method, uri, headers, content) = match request {
            Request::Oss(request) => {
                let mut headers = request.headers.clone();
                if let Some(credentials) = credentials {
                    let version = options.sign_version;
                    headers.extend(sign::sign_oss(version, request, credentials, &options.region, now));
                }
                let uri = uri::oss(&options.endpoint, request, &[]);
                (request.method.clone(), uri, headers, request.content.clone())
            }
            Request::Rpc(request) => {
                let nonce = uuid::Uuid::new_v4().to_string();
                let (scheme, host) = match &options.rpc_endpoint {
                    Some(endpoint) => (endpoint.scheme(), endpoint.authority(None)),
                    None => (Scheme::Https, rpc::host(request.service, request.region.as_ref())),
                };
                let version = options.rpc_sign_version;
                let signed = sign::sign_rpc(version, request, &host, credentials, now, &nonce);
                (Method::POST, uri::rpc(scheme, &host, &signed.query), signed.headers, Content::Empty)
            }
        };
        let body = match (content, call.body) {
            (Content::Empty, _) => empty(),
            (Content::Bytes(bytes), _) => full(bytes),
            (Content::Stream(_), Some(body)) => body.make(),
            (Content::Stream(_), None) => return Err(malformed("its body is missing")),
        };
        // The services refuse a body of unknown length, and a POST or PUT without a Content-Length.
        let length = http_body::Body::size_hint(&body).exact().unwrap_or_default();
        let mut builder = http::Request::builder().method(method).uri(uri);
        for (name, value) in &headers {
            builder = builder.header(name, value.as_bytes());
        }
        if length == 0 {
            builder = builder.header(http::header::CONTENT_LENGTH, 0);
        }
        builder.body(Metered::body(body, meter)).map_err(malformed)
    }

    /// Sends a request and reads the whole answer, under the limits of its class.
    async fn send(
        &self,
        request: http::Request<Body>,
        meter: &Meter,
        class: TimeoutClass,
        call: &Call<'_>,
    ) -> Result<Response, TransportError> {
        let length = http_body::Body::size_hint(request.body()).exact().unwrap_or_default();
        let exchange = async {
            let (head, body) = self.shared.options.transport.send(request).await?.into_parts();
            if head.status.is_success() && meter.handed() < length {
                let what = "an answer came before the whole body was sent";
                return Err(TransportError::new(TransportErrorKind::Broken, what));
            }
            let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(|error| {
                TransportError::new(TransportErrorKind::Broken, "the answer was cut or too long")
                    .with_source(error)
            })?;
            Ok(Response { status: head.status, headers: head.headers, body: body.to_bytes() })
        };
        tokio::pin!(exchange);
        let mut resets = self.shared.resets.subscribe();
        loop {
            let left = meter.time_left(class, call.progress.rate(), Instant::now())?;
            tokio::select! {
                answer = &mut exchange => return answer,
                _ = resets.changed() => {
                    return Err(TransportError::new(TransportErrorKind::Broken, "the connection was dropped to start over"));
                }
                () = tokio::time::sleep(left) => {}
            }
        }
    }

    fn read<O: Operation>(
        &self,
        operation: &O,
        request: &Request,
        answer: &Response,
        (signed, credentials): (Signed, Option<Credentials>),
    ) -> Result<O::Output, Box<Failure>> {
        let arrived = Instant::now();
        if let Some(what) = answer.intercepted() {
            let message = format!("{what} came in place of the service's answer");
            let error = TransportError::new(TransportErrorKind::Intercepted, message);
            return Err(broken(error, true, self.shared.answered.load(Ordering::Relaxed)));
        }
        if answer.status.is_success() {
            answer.header("date").inspect(|date| self.shared.time.observe(date));
            return operation.decode(answer).map_err(|error| {
                Box::new(Failure::new(CallCause::Decode(error), RetryClass::RetryFew, true))
            });
        }
        let error = parse_error(request, answer);
        let temporary = credentials.as_ref().is_some_and(Credentials::is_temporary);
        let action = Self::action_for(request, &error, temporary);
        let server_time = error.server_time.or_else(|| skew::http_date(answer.header("date")?));
        let server_time = server_time.map(|time| (time, arrived));
        // With any status but 5xx the service has looked at the request and refused it.
        let maybe_done = answer.status.is_server_error();
        Err(Box::new(Failure {
            cause: CallCause::Service(Box::new(error)),
            action,
            maybe_done,
            server_time,
            signed: Some(signed),
            credentials,
        }))
    }

    /// Logs one line for each attempt: what it was, and how it ended.
    fn trace<T>(
        &self,
        operation: &'static str,
        call: &Call<'_>,
        attempt: u32,
        began: Instant,
        (status, request_id): (Option<u16>, Option<&str>),
        outcome: &Result<T, Box<Failure>>,
    ) {
        let ms = began.elapsed().as_millis() as u64;
        let part = call.part.map(u16::from);
        match outcome {
            Ok(_) => tracing::info!(
                target: "ossup::request", operation, part, attempt, status, request_id, ms, "ok"
            ),
            Err(failure) => match &failure.cause {
                // The id of an error stands in its document, also where no header has it.
                CallCause::Service(error) => tracing::info!(
                    target: "ossup::request", operation, part, attempt, status,
                    request_id = error.request_id.as_deref(), ms, code = error.code.as_deref(), "refused"
                ),
                cause => tracing::info!(
                    target: "ossup::request", operation, part, attempt, status, request_id, ms,
                    reason = reason(cause), "failed"
                ),
            },
        }
    }
}

fn parse_error(request: &Request, answer: &Response) -> ServiceError {
    match request {
        Request::Oss(_) => oss::parse_error(answer),
        Request::Rpc(_) => rpc::error::parse(answer),
    }
}
