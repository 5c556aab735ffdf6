use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::percent_decode_str;
use url::Url;

use crate::model::Secret;

/// The URL of a file on the web. It may hold a password or a signature: what is shown is scheme, host and path.
#[derive(Clone, PartialEq, Eq)]
pub struct WebUrl {
    /// Without user, password and fragment.
    url: Url,
    login: Option<Login>,
}

/// A user and a password, and where they may be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Login {
    scheme: String,
    host: String,
    port: Option<u16>,
    /// The value of an Authorization header.
    basic: Secret,
}

/// A URL that cannot be used. The text does not repeat the URL, which may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidWebUrl {
    /// It begins with something else.
    #[error("a URL of the web begins with `https://` or `http://`")]
    Scheme,
    /// It is no URL.
    #[error("the URL is malformed")]
    Malformed,
}

/// Why a redirect is not followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadRedirect {
    /// It gives up encryption.
    #[error(
        "it leads from https to `{0}`, where anyone on the way could change the file; give that URL if this is wanted"
    )]
    Downgrade(String),
    /// It leads out of the web.
    #[error("it leads to a `{0}:` address, which is not of the web")]
    Scheme(String),
    /// It names no place.
    #[error("it has no Location that can be read")]
    Location,
    /// It leads back to where it came from.
    #[error("it leads in a circle, back to `{0}`")]
    Circle(String),
    /// There are too many in a row.
    #[error("it is redirect {0} in a row, and more are not followed")]
    TooMany(usize),
}

impl FromStr for WebUrl {
    type Err = InvalidWebUrl;

    fn from_str(text: &str) -> Result<Self, InvalidWebUrl> {
        let begins = |scheme: &str| text.get(..scheme.len()).is_some_and(|t| t.eq_ignore_ascii_case(scheme));
        if !begins("http://") && !begins("https://") {
            return Err(InvalidWebUrl::Scheme);
        }
        if !names_plain_host(text) {
            return Err(InvalidWebUrl::Malformed);
        }
        let url = Url::parse(text).map_err(|_| InvalidWebUrl::Malformed)?;
        Self::new(url, None).ok_or(InvalidWebUrl::Malformed)
    }
}

/// Whether the host that a URL names, if it names one, is written as DNS has it. The library that reads URLs is built
/// without the tables of other scripts, and its checks of itself do not allow for such names.
fn names_plain_host(text: &str) -> bool {
    let text = text.replace(['\t', '\n', '\r'], "");
    let text = text.trim_start_matches(|c: char| c <= ' ');
    let is_scheme = |scheme: &str| scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    let slash = ['/', '\\'];
    let rest = match text.split_once(':') {
        Some((scheme, rest)) if is_scheme(scheme) => rest,
        _ if text.starts_with(slash) && text[1..].starts_with(slash) => text,
        _ => return true,
    };
    let authority = rest.trim_start_matches(slash).split(['/', '\\', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    host.bytes().all(|b| b.is_ascii() && b != b'%')
}

impl WebUrl {
    /// Takes the login out of a URL; without one, an earlier login stays known.
    fn new(mut url: Url, earlier: Option<Login>) -> Option<Self> {
        let host = url.host_str().filter(|host| !host.is_empty())?.to_owned();
        let login = match (url.username(), url.password()) {
            ("", None) => earlier,
            (user, password) => {
                let mut login: Vec<u8> = percent_decode_str(user).collect();
                login.push(b':');
                login.extend(percent_decode_str(password.unwrap_or_default()));
                let basic = Secret::new(format!("Basic {}", BASE64_STANDARD.encode(login)));
                let (scheme, port) = (url.scheme().to_owned(), url.port());
                Some(Login { scheme, host, port, basic })
            }
        };
        url.set_username("").ok()?;
        url.set_password(None).ok()?;
        url.set_fragment(None);
        Some(Self { url, login })
    }

    /// Whether the way to the file is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Returns the last segment of the path, which names the file, if there is one.
    pub fn file_name(&self) -> Option<String> {
        let last = self.url.path_segments()?.next_back().filter(|name| !name.is_empty())?;
        Some(percent_decode_str(last).decode_utf8_lossy().into_owned())
    }

    /// Returns where a redirect from here leads.
    pub(super) fn redirected(&self, location: &str) -> Result<Self, BadRedirect> {
        if !names_plain_host(location) {
            return Err(BadRedirect::Location);
        }
        let next = self.url.join(location).map_err(|_| BadRedirect::Location)?;
        match (self.url.scheme(), next.scheme()) {
            (_, "https") | ("http", "http") => {
                Self::new(next, self.login.clone()).ok_or(BadRedirect::Location)
            }
            (_, "http") => {
                let next = Self::new(next, None).ok_or(BadRedirect::Location)?;
                Err(BadRedirect::Downgrade(next.to_string()))
            }
            (_, scheme) => Err(BadRedirect::Scheme(scheme.to_owned())),
        }
    }

    /// Returns the Authorization header for a request to here: a login goes to the server that it was given for
    /// alone, or to the same host once that is encrypted.
    pub(super) fn authorization(&self) -> Option<&Secret> {
        let login = self.login.as_ref()?;
        let same_host = self.url.host_str() == Some(login.host.as_str());
        let same_port = self.url.scheme() == login.scheme && self.url.port() == login.port;
        let upgraded = self.url.scheme() == "https" && self.url.port().is_none() && login.port.is_none();
        (same_host && (same_port || upgraded)).then_some(&login.basic)
    }

    /// Returns the whole URL as a request wants it, a secret query included.
    pub(super) fn to_uri(&self) -> Result<http::Uri, InvalidWebUrl> {
        self.url.as_str().parse().map_err(|_| InvalidWebUrl::Malformed)
    }
}

impl fmt::Display for WebUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = self.url.as_str().split('?').next().unwrap_or_default();
        let query = if self.url.query().is_some() { "?[redacted]" } else { "" };
        write!(f, "{plain}{query}")
    }
}

impl fmt::Debug for WebUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> WebUrl {
        text.parse().unwrap()
    }

    #[test]
    fn a_host_in_another_script_is_refused_and_a_path_in_one_is_not() {
        for text in
            ["http://-BBBBBBB\u{17d}Bkk/", "http://%C5%BDB/", "http://a@B\u{17d}B/", "http:/\t/B\u{17d}B"]
        {
            assert!(text.parse::<WebUrl>().is_err(), "{text:?}");
        }
        let base = url("http://host.example/a");
        for location in ["//B\u{17d}B/x", "http://B%C5%BDB/x", " ht\ttp:B\u{17d}B"] {
            assert!(matches!(base.redirected(location), Err(BadRedirect::Location)), "{location:?}");
        }
        assert_eq!(url("http://host/\u{17d}.raw").to_string(), "http://host/%C5%BD.raw");
        assert_eq!(base.redirected("/%C5%BD:x").unwrap().to_string(), "http://host.example/%C5%BD:x");
        assert!("http://user%40b:p%20w@host/".parse::<WebUrl>().is_ok());
    }

    #[test]
    fn a_secret_is_never_shown() {
        let url = url("https://user:pass%20word@host.example:8443/a/disk%20one.raw?sig=signature#fragment");
        let shown = "https://host.example:8443/a/disk%20one.raw?[redacted]";
        assert_eq!(url.to_string(), shown);
        let debug = format!("{url:?}");
        assert!(!debug.contains("pass") && !debug.contains("signature"), "{debug}");
        assert_eq!(url.file_name().as_deref(), Some("disk one.raw"));
        assert_eq!(url.authorization().unwrap().expose(), "Basic dXNlcjpwYXNzIHdvcmQ=");
        assert_eq!(
            url.to_uri().unwrap().to_string(),
            "https://host.example:8443/a/disk%20one.raw?sig=signature"
        );
    }

    #[test]
    fn what_is_no_url_of_the_web_is_refused() {
        for text in ["ftp://host/", "oss://bucket/key", "http:host", "disk.raw", "é"] {
            assert_eq!(text.parse::<WebUrl>(), Err(InvalidWebUrl::Scheme), "{text}");
        }
        for text in ["http://", "https://user:secret@/", "http://host:port/"] {
            assert_eq!(text.parse::<WebUrl>(), Err(InvalidWebUrl::Malformed), "{text}");
        }
    }

    #[test]
    fn a_login_goes_to_its_own_host_alone() {
        let start = url("http://user:secret@host.example/a");
        let sent = |location: &str| {
            let next = start.redirected(location).unwrap();
            next.authorization().is_some()
        };
        for location in ["/b", "http://host.example/c", "https://host.example/a"] {
            assert!(sent(location), "{location}");
        }
        for location in [
            "http://other.example/a",
            "http://host.example:81/a",
            "https://host.example:444/",
            "//sub.host.example/",
        ] {
            assert!(!sent(location), "{location}");
        }
        let secure = url("https://user:secret@host.example:8443/a");
        let away = secure.redirected("https://cdn.example/x").unwrap();
        assert!(away.authorization().is_none());
        let back = away.redirected("https://host.example:8443/y").unwrap();
        assert!(back.authorization().is_some(), "the way back is to the host that it was given for");
        let own = away.redirected("https://other:login@cdn.example/x").unwrap();
        assert_eq!(own.authorization().unwrap().expose(), "Basic b3RoZXI6bG9naW4=");
    }

    #[test]
    fn a_redirect_neither_gives_up_encryption_nor_leaves_the_web() {
        let start = url("https://host.example/a?token=secret");
        let refused = start.redirected("http://user:secret@host.example/a?token=secret").unwrap_err();
        assert!(refused.to_string().contains("`http://host.example/a?[redacted]`"), "{refused}");
        assert!(!refused.to_string().contains("secret"));
        assert_eq!(start.redirected("file:///etc/passwd"), Err(BadRedirect::Scheme("file".to_owned())));
        assert_eq!(start.redirected("https://"), Err(BadRedirect::Location));
        assert_eq!(start.redirected("../b").unwrap().to_string(), "https://host.example/b");
    }
}
