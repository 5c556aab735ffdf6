use std::io;
use std::time::Duration;

use super::address::{BadRedirect, InvalidWebUrl};
use crate::http::TransportError;

/// Why a file on the web cannot be read. URLs are shown without user, password and query.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebError {
    /// The URL cannot be used.
    #[error("cannot use the URL")]
    Url(#[from] InvalidWebUrl),
    /// The server could not be reached, or did not answer.
    #[error("cannot get `{url}`")]
    Transport {
        /// The file.
        url: String,
        /// What failed below.
        source: TransportError,
    },
    /// The server refused.
    #[error("the server answered {status} for `{url}`: {meaning}")]
    Status {
        /// The file, where redirects led.
        url: String,
        /// The status.
        status: u16,
        /// What that means, and what may help.
        meaning: &'static str,
    },
    /// A redirect is not followed.
    #[error("the redirect from `{url}` is not followed")]
    Redirect {
        /// Where it comes from.
        url: String,
        /// Why.
        source: BadRedirect,
    },
    /// A web page came in the place of a file.
    #[error(
        "`{url}` gave a web page and not a file: open it in a browser, which may show an error, a login or the link to the file"
    )]
    Page {
        /// The URL.
        url: String,
    },
    /// The server encodes what it sends, although it was asked not to.
    #[error(
        "the server sends `{url}` in the encoding `{encoding}`, so its bytes are not the file's: download it with another tool and give the file"
    )]
    Encoded {
        /// The file.
        url: String,
        /// The Content-Encoding.
        encoding: String,
    },
    /// The file changed since it was opened.
    #[error("the file on the server changed: {what} (`{url}`); run the same command again for the new file")]
    Changed {
        /// The file.
        url: String,
        /// What differs.
        what: String,
    },
    /// The answer contradicts the request, or itself.
    #[error("the server's answer for `{url}` cannot be right: {what}")]
    Contradiction {
        /// The file.
        url: String,
        /// What is wrong.
        what: String,
    },
    /// The connection broke in the body, or was silent for too long.
    #[error("the connection for `{url}` {what} at byte {offset}")]
    Cut {
        /// The file.
        url: String,
        /// "broke", "was silent for 60 s".
        what: String,
        /// The first byte that did not arrive.
        offset: u64,
        /// What the connection says.
        source: Option<io::Error>,
    },
    /// The body broke, and this server cannot begin anywhere but at the beginning.
    #[error("this server cannot continue a download, so it has to begin again: run the same command again")]
    NoContinuation(#[source] Box<WebError>),
    /// The file is longer than what was asked for.
    #[error("`{url}` is longer than {limit} bytes")]
    TooLong {
        /// The file.
        url: String,
        /// The limit in bytes.
        limit: usize,
    },
    /// Nothing arrived for too long.
    #[error("given up after {attempts} attempts, with nothing new for {} s", silent.as_secs())]
    GivenUp {
        /// How many attempts there were since the last byte.
        attempts: u32,
        /// How long nothing had arrived.
        silent: Duration,
        /// The last failure.
        source: Box<WebError>,
    },
}

impl WebError {
    /// Returns what an error of a read, or of a stream, says of the web.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// Whether it says that the file is another than the one that was opened.
    pub fn is_change(&self) -> bool {
        match self {
            Self::Changed { .. } => true,
            Self::GivenUp { source, .. } | Self::NoContinuation(source) => source.is_change(),
            _ => false,
        }
    }
}

impl From<WebError> for io::Error {
    fn from(error: WebError) -> Self {
        // An unexpected end would be taken for the source's own.
        let kind = if error.is_change() { io::ErrorKind::InvalidData } else { io::ErrorKind::Other };
        Self::new(kind, error)
    }
}
