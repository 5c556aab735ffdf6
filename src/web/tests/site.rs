//! A web server behind the transport's trait: no socket, so that the paused clock decides alone what waits.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{Request, Response, header};
use http_body::Frame;
use http_body_util::StreamBody;

use crate::credentials::BoxFuture;
use crate::http::{Body, Transport, TransportError, TransportErrorKind, full};
use crate::web::{WebObject, WebOptions, WebSource};

pub(super) const FILE: &str = "https://host.example/disk.raw";

/// What goes wrong with one request for the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing.
    Good,
    /// No connection.
    Unreachable,
    /// This status, with a Retry-After in seconds.
    Status(u16, Option<u64>),
    /// The connection breaks after so many bytes of the body.
    Cut(usize),
    /// The body ends in an orderly way after so many bytes.
    Short(usize),
    /// Nothing more comes after so many bytes.
    Stall(usize),
    /// No head ever comes.
    Mute,
    /// So many bytes follow behind the end.
    Longer(usize),
    /// The range begins this much later than asked for, and says so.
    Shifted(u64),
    /// A range is ignored.
    Whole,
    /// The header is missing.
    Without(&'static str),
    /// Another file of the same length is there from now on.
    #[cfg_attr(not(feature = "emulator"), expect(dead_code, reason = "only an upload meets it"))]
    Changed,
    /// The Content-Length is 1 more than that of the range.
    WrongLength,
}

/// A request that came.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) url: String,
    pub(super) headers: http::HeaderMap,
}

impl Seen {
    pub(super) fn header(&self, name: header::HeaderName) -> Option<&str> {
        Some(self.headers.get(name)?.to_str().unwrap())
    }
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) content: Vec<u8>,
    /// Headers of every answer that gives bytes.
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) no_ranges: bool,
    pub(super) no_length: bool,
    /// Whether preconditions are passed over, as some servers do.
    pub(super) careless: bool,
    /// One for each request for the file, in their order; then all are good.
    pub(super) faults: VecDeque<Fault>,
    /// By URL: status and location, or a plain status.
    pub(super) elsewhere: HashMap<String, (u16, Option<String>)>,
    pub(super) seen: Vec<Seen>,
    /// The bytes that were handed out.
    pub(super) sent: usize,
}

/// The server, which tests change while it is used.
#[derive(Debug, Clone, Default)]
pub(super) struct Site(Arc<Mutex<State>>);

impl Site {
    /// A server of a file with an ETag.
    pub(super) fn new(length: usize) -> Self {
        let site = Self::default();
        site.with(|state| {
            state.content = (0..length).map(|at| (at / 251 + at % 251) as u8).collect();
            state.headers.push(("etag", "\"one\"".to_owned()));
        });
        site
    }

    pub(super) fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.lock().unwrap())
    }

    pub(super) fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.with(|state| state.faults.extend(faults));
    }

    /// Puts another file of the same length in the place.
    pub(super) fn change(&self) {
        self.with(State::change);
    }

    pub(super) fn content(&self) -> Vec<u8> {
        self.with(|state| state.content.clone())
    }

    pub(super) fn options(&self) -> WebOptions {
        WebOptions::new(Arc::new(self.clone())).with_dice(Arc::new(|| 0.5))
    }

    pub(super) async fn open(&self) -> WebObject {
        WebObject::open(FILE.parse().unwrap(), self.options()).await.unwrap()
    }

    pub(super) async fn source(&self) -> WebSource {
        self.open().await.by_ranges().unwrap()
    }
}

impl Transport for Site {
    fn send(&self, request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, TransportError>> {
        let answer = self.with(|state| state.answer(&request));
        Box::pin(async move {
            match answer {
                Some(answer) => answer,
                None => std::future::pending().await,
            }
        })
    }
}

impl State {
    fn change(&mut self) {
        self.content.iter_mut().for_each(|byte| *byte = !*byte);
        self.headers = vec![("etag", "\"two\"".to_owned())];
    }

    /// Answers a request; nothing if no answer ever comes.
    fn answer(&mut self, request: &Request<Body>) -> Option<Result<Response<Body>, TransportError>> {
        let url = request.uri().to_string();
        self.seen.push(Seen { url: url.clone(), headers: request.headers().clone() });
        if let Some((status, location)) = self.elsewhere.get(&url) {
            let mut response = Response::builder().status(*status);
            if let Some(location) = location {
                response = response.header(header::LOCATION, location);
            }
            return Some(Ok(response.body(full("")).unwrap()));
        }
        let fault = self.faults.pop_front().unwrap_or(Fault::Good);
        match fault {
            Fault::Unreachable => {
                let error = TransportError::new(TransportErrorKind::Connect, "no connection could be made");
                Some(Err(error))
            }
            Fault::Mute => None,
            Fault::Status(status, wait) => {
                let mut response = Response::builder().status(status);
                if let Some(wait) = wait {
                    response = response.header(header::RETRY_AFTER, wait);
                }
                Some(Ok(response.body(full("")).unwrap()))
            }
            Fault::Changed => {
                self.change();
                Some(Ok(self.file(request, Fault::Good)))
            }
            fault => Some(Ok(self.file(request, fault))),
        }
    }

    fn file(&mut self, request: &Request<Body>, fault: Fault) -> Response<Body> {
        let asked = |name| request.headers().get(name).map(|value| value.to_str().unwrap());
        let own =
            |name: &str| self.headers.iter().find(|(own, _)| *own == name).map(|(_, value)| value.as_str());
        let fails = [(header::IF_MATCH, "etag"), (header::IF_UNMODIFIED_SINCE, "last-modified")]
            .into_iter()
            .any(|(name, of)| asked(name).is_some_and(|value| Some(value) != own(of)));
        if fails && !self.careless {
            return Response::builder().status(412).body(full("")).unwrap();
        }
        let length = self.content.len();
        let mut response = Response::builder();
        for (name, value) in &self.headers {
            response = response.header(*name, value);
        }
        let range = asked(header::RANGE).filter(|_| !self.no_ranges && fault != Fault::Whole).map(|range| {
            let (first, last) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
            let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
            first..length.min(last + 1)
        });
        let (range, mut response) = match range {
            Some(range) if range.start >= length => {
                let response =
                    response.status(416).header(header::CONTENT_RANGE, format!("bytes */{length}"));
                return response.body(full("")).unwrap();
            }
            Some(mut range) => {
                if let Fault::Shifted(by) = fault {
                    range = range.start + by as usize..range.end;
                }
                let said = format!("bytes {}-{}/{length}", range.start, range.end - 1);
                (range, response.status(206).header(header::CONTENT_RANGE, said))
            }
            None => (0..length, response.status(200)),
        };
        let mut body = self.content[range].to_vec();
        if fault == Fault::WrongLength
            || !self.no_length && !matches!(fault, Fault::Longer(_) | Fault::Short(_))
        {
            let wrong = usize::from(fault == Fault::WrongLength);
            response = response.header(header::CONTENT_LENGTH, body.len() + wrong);
        }
        let end: Vec<io::Result<Frame<Bytes>>> = match fault {
            Fault::Cut(_) => vec![Err(io::ErrorKind::ConnectionReset.into())],
            _ => Vec::new(),
        };
        match fault {
            Fault::Cut(at) | Fault::Short(at) | Fault::Stall(at) => body.truncate(at),
            Fault::Longer(by) => body.extend(vec![0xee; by]),
            _ => {}
        }
        self.sent += body.len();
        let frames: Vec<_> = body
            .chunks(1000)
            .map(|chunk| Ok(Frame::data(Bytes::copy_from_slice(chunk))))
            .chain(end)
            .collect();
        let body = match fault {
            Fault::Stall(_) => Body::new(StreamBody::new(stream::iter(frames).chain(stream::pending()))),
            _ => Body::new(StreamBody::new(stream::iter(frames))),
        };
        let mut response = response.body(body).unwrap();
        if let Fault::Without(name) = fault {
            response.headers_mut().remove(name);
        }
        response
    }
}
