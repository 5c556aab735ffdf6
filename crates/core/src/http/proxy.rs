//! Which proxy, and for which hosts none.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use super::{TransportError, TransportErrorKind};
use crate::model::Secret;

/// What a proxy's URL may begin with.
const SCHEMES: [&str; 6] = ["http", "https", "socks5", "socks5h", "socks4", "socks4a"];

/// The URL of a proxy. It may hold a password: what is shown is host and port alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyUrl {
    url: Secret,
    shown: String,
}

/// A proxy's URL that cannot be used. The text does not repeat the URL, which may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidProxy {
    /// A scheme that no proxy has, or none that is supported.
    #[error("`{0}://` is not a supported proxy scheme")]
    Scheme(String),
    /// Anything else.
    #[error("the proxy's URL is malformed")]
    Malformed,
}

impl FromStr for ProxyUrl {
    type Err = InvalidProxy;

    /// Reads a URL; without a scheme it is that of an HTTP proxy, and `socks` is SOCKS 5, as desktops write it.
    fn from_str(text: &str) -> Result<Self, InvalidProxy> {
        let (scheme, rest) = text.trim().split_once("://").unwrap_or(("http", text.trim()));
        let scheme = match scheme.to_ascii_lowercase() {
            socks if socks == "socks" => "socks5".to_owned(),
            scheme => scheme,
        };
        if !SCHEMES.contains(&scheme.as_str()) {
            let known = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
            // Anything but a name may be a part of a password.
            return Err(match scheme.len() <= 20 && !scheme.is_empty() && scheme.chars().all(known) {
                true => InvalidProxy::Scheme(scheme),
                false => InvalidProxy::Malformed,
            });
        }
        let url = format!("{scheme}://{rest}");
        let parsed = reqwest::Url::parse(&url).map_err(|_| InvalidProxy::Malformed)?;
        let host = parsed.host_str().filter(|host| !host.is_empty()).ok_or(InvalidProxy::Malformed)?;
        let shown = parsed.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        reqwest::Proxy::all(&url).map_err(|_| InvalidProxy::Malformed)?;
        Ok(Self { url: Secret::new(url), shown })
    }
}

impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl ProxyUrl {
    /// Returns it as the HTTP library wants it.
    pub(super) fn to_reqwest(&self) -> Result<reqwest::Proxy, TransportError> {
        reqwest::Proxy::all(self.url.expose())
            .map_err(|_| TransportError::new(TransportErrorKind::Proxy, "the proxy's URL is malformed"))
    }

    /// Whether names of hosts are resolved here, and not by the proxy.
    pub(super) fn resolves_here(&self) -> bool {
        let url = self.url.expose();
        url.starts_with("socks5://") || url.starts_with("socks4://")
    }
}

/// The hosts to which connections go without a proxy, by the rules of Go's `net/http`, which most tools follow.
///
/// The list is separated by commas or blanks: `*` for all hosts; an address or a range, `10.0.0.0/8`; a domain with
/// all below it, `example.com`; all below it alone, `.example.com` or `*.example.com`; each but a range perhaps
/// with a port, `example.com:8080`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Bypass(Vec<Rule>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Rule {
    All,
    Range(IpNet),
    Address(IpAddr, Option<u16>),
    /// A domain in lower case, without a dot before it.
    Domain {
        name: String,
        port: Option<u16>,
        itself: bool,
    },
}

impl Bypass {
    /// Reads a list. What cannot be understood matches nothing.
    pub(super) fn new(list: &str) -> Self {
        Self(list.split([',', ' ', '\t', '\n', '\r']).filter_map(Rule::new).collect())
    }

    /// Whether the list has this host, which is a name or an address, brackets or not.
    pub(super) fn contains(&self, host: &str, port: u16) -> bool {
        let host = unbracketed(host).trim_end_matches('.').to_ascii_lowercase();
        let address: Option<IpAddr> = host.parse().ok();
        self.0.iter().any(|rule| rule.matches(&host, address, port))
    }
}

impl Rule {
    fn new(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        if text.is_empty() {
            return None;
        }
        if text == "*" {
            return Some(Self::All);
        }
        if let Ok(range) = text.parse() {
            return Some(Self::Range(range));
        }
        if let Ok(address) = unbracketed(&text).parse() {
            return Some(Self::Address(address, None));
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host.to_owned(), Some(port.parse().ok()?)),
            None => (text, None),
        };
        if let Ok(address) = unbracketed(&host).parse() {
            return Some(Self::Address(address, port));
        }
        let below = host.strip_prefix("*.").or_else(|| host.strip_prefix('.'));
        let name = below.unwrap_or(&host).trim_end_matches('.').to_owned();
        (!name.is_empty()).then(|| Self::Domain { itself: below.is_none(), name, port })
    }

    fn matches(&self, host: &str, address: Option<IpAddr>, port: u16) -> bool {
        match self {
            Self::All => true,
            Self::Range(range) => address.is_some_and(|address| range.contains(&address)),
            Self::Address(known, only) => address == Some(*known) && only.is_none_or(|only| only == port),
            Self::Domain { name, port: only, itself } => {
                let below = host.strip_suffix(name).map(|rest| (rest.is_empty(), rest.ends_with('.')));
                address.is_none()
                    && only.is_none_or(|only| only == port)
                    && below.is_some_and(|(same, below)| below || same && *itself)
            }
        }
    }
}

fn unbracketed(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_has_a_scheme_that_is_known() {
        for (text, shown) in [
            ("http://proxy.example:3128", "proxy.example:3128"),
            ("proxy:3128", "proxy:3128"),
            ("user:secret@proxy:3128", "proxy:3128"),
            ("HTTP://user:secret@proxy:3128/", "proxy:3128"),
            ("https://proxy", "proxy"),
            ("socks5h://[::1]:1080", "[::1]:1080"),
            ("socks4a://proxy:1080", "proxy:1080"),
        ] {
            let url: ProxyUrl = text.parse().unwrap();
            assert_eq!(url.to_string(), shown);
            assert!(!format!("{url:?}").contains("secret"));
        }
        let gnome: ProxyUrl = "socks://127.0.0.1:1080/".parse().unwrap();
        assert!(gnome.resolves_here() && gnome.url.expose().starts_with("socks5://"));
        for scheme in ["sock5", "htp", "ftp", "socks6"] {
            let refused = format!("{scheme}://proxy:1").parse::<ProxyUrl>();
            assert_eq!(refused, Err(InvalidProxy::Scheme(scheme.to_owned())));
        }
        for text in ["", "http://", "http://:3128", "user:secret@proxy://x", "http://a b:1"] {
            assert_eq!(text.parse::<ProxyUrl>(), Err(InvalidProxy::Malformed), "{text}");
        }
    }

    /// The table of golang.org/x/net/http/httpproxy, in short.
    #[test]
    fn no_proxy_is_taken_as_go_takes_it() {
        for (list, host, port, expected) in [
            ("*", "anything.example", 443, true),
            ("*", "10.1.2.3", 443, true),
            ("*", "::1", 443, true),
            ("example.com", "example.com", 443, true),
            ("example.com", "www.Example.COM", 443, true),
            ("example.com", "notexample.com", 443, false),
            (".example.com", "www.example.com", 443, true),
            (".example.com", "example.com", 443, false),
            ("*.example.com", "a.b.example.com", 443, true),
            ("*.example.com", "example.com", 443, false),
            ("*.example.com", "badexample.com", 443, false),
            ("example.com:80", "example.com", 80, true),
            ("example.com:80", "example.com", 443, false),
            ("*.example.com:80", "www.example.com", 80, true),
            ("10.0.0.0/8", "10.200.0.1", 443, true),
            ("10.0.0.0/8", "11.0.0.1", 443, false),
            ("10.0.0.7", "10.0.0.7", 443, true),
            ("10.0.0.7:8080", "10.0.0.7", 443, false),
            ("10.0.0.7:8080", "10.0.0.7", 8080, true),
            ("fd00::/8", "[fd12::1]", 443, true),
            ("[fd12::1]:443", "fd12::1", 443, true),
            ("fd12::1", "[fd12::1]", 443, true),
            ("a.example, b.example", "b.example", 443, true),
            ("a.example b.example", "b.example", 443, true),
            (",, ,", "example.com", 443, false),
            ("example.com:x", "example.com", 443, false),
            (":80", "example.com", 80, false),
            ("1", "10.0.0.1", 443, false),
        ] {
            assert_eq!(Bypass::new(list).contains(host, port), expected, "{list}: {host}:{port}");
        }
    }
}
