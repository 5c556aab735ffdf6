//! Whose requests the door over TCP takes: programs', not those of web pages.
//!
//! A browser lets any page send requests to a loopback address, and lets it read the answers once its own name
//! resolves there (DNS rebinding). Such requests carry the page's name in `Host`, or its origin in `Origin` and
//! `Sec-Fetch-Site`; programs send neither.

use std::collections::BTreeSet;
use std::net::IpAddr;

use http::HeaderMap;
use http::header::{HOST, ORIGIN};

const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// Decides by a request's headers alone.
#[derive(Debug)]
pub(super) struct Guard {
    /// Names that are served beside those that no page can have.
    hosts: BTreeSet<String>,
    listening: IpAddr,
}

impl Guard {
    pub(super) fn new(listening: IpAddr, hosts: impl IntoIterator<Item = String>) -> Self {
        Self { hosts: hosts.into_iter().map(|host| host.to_ascii_lowercase()).collect(), listening }
    }

    /// Returns why a request is refused, if it is.
    pub(super) fn refusal(&self, headers: &HeaderMap) -> Option<String> {
        let host = match headers.get(HOST).map(|host| host.to_str()) {
            None => "",
            Some(Ok(host)) => host,
            Some(Err(_)) => return Some("The Host header is not text.".to_owned()),
        };
        if !self.serves(host) {
            return Some(format!("The emulator does not serve the host {host}."));
        }
        let same_origin = |origin: &[u8]| {
            let origin = std::str::from_utf8(origin).unwrap_or_default();
            origin.split_once("://").is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host))
        };
        if headers.get_all(ORIGIN).iter().any(|origin| !same_origin(origin.as_bytes())) {
            return Some("The emulator does not serve web pages of another origin.".to_owned());
        }
        let foreign = |site: &[u8]| !matches!(site, b"none" | b"same-origin");
        if headers.get_all(SEC_FETCH_SITE).iter().any(|site| foreign(site.as_bytes())) {
            return Some("The emulator does not serve web pages of another site.".to_owned());
        }
        None
    }

    /// Whether a `Host` header names this emulator and cannot be the name of somebody's page: an address, a name
    /// without dots, one of the service's own, or one that was given.
    fn serves(&self, host: &str) -> bool {
        let name = name_of(host).to_ascii_lowercase();
        if let Ok(address) = name.trim_matches(['[', ']']).parse::<IpAddr>() {
            return address.is_loopback() || address == self.listening || self.listening.is_unspecified();
        }
        !name.contains('.')
            || name.ends_with(".localhost")
            || name.ends_with(".aliyuncs.com")
            || self.hosts.contains(&name)
    }
}

/// Returns the host without its port.
fn name_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !host.ends_with(']') => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(listening: &str, headers: &[(&'static str, &str)]) -> bool {
        let guard = Guard::new(listening.parse().unwrap(), ["Images.Example.com".to_owned()]);
        let headers: HeaderMap =
            headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        guard.refusal(&headers).is_some()
    }

    #[test]
    fn hosts_that_a_page_could_have_are_refused() {
        for (listening, host, expected) in [
            ("127.0.0.1", "127.0.0.1:9000", false),
            ("127.0.0.1", "[::1]:9000", false),
            ("127.0.0.1", "[::1]", false),
            ("127.0.0.1", "localhost", false),
            ("127.0.0.1", "images.LOCALHOST:9000", false),
            ("127.0.0.1", "emulator:9000", false),
            ("127.0.0.1", "", false),
            ("127.0.0.1", "images.oss-cn-hangzhou.aliyuncs.com", false),
            ("127.0.0.1", "images.example.com:9000", false),
            ("127.0.0.1", "evil.example:9000", true),
            ("127.0.0.1", "evilaliyuncs.com", true),
            ("127.0.0.1", "localhost.evil.example", true),
            ("127.0.0.1", "127.0.0.1.evil.example", true),
            ("127.0.0.1", "192.168.0.7:9000", true),
            ("192.168.0.7", "192.168.0.7:9000", false),
            ("192.168.0.7", "evil.example", true),
            ("0.0.0.0", "192.168.0.7:9000", false),
            ("0.0.0.0", "evil.example:9000", true),
        ] {
            assert_eq!(refused(listening, &[("host", host)]), expected, "{listening} {host}");
        }
    }

    #[test]
    fn requests_that_a_browser_makes_for_another_page_are_refused() {
        let host = ("host", "127.0.0.1:9000");
        for (name, value, expected) in [
            ("origin", "https://evil.example", true),
            ("origin", "null", true),
            ("origin", "http://127.0.0.1:3000", true),
            ("origin", "http://127.0.0.1:9000", false),
            ("sec-fetch-site", "cross-site", true),
            ("sec-fetch-site", "same-site", true),
            ("sec-fetch-site", "same-origin", false),
            ("sec-fetch-site", "none", false),
        ] {
            assert_eq!(refused("127.0.0.1", &[host, (name, value)]), expected, "{name}: {value}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(HOST, "127.0.0.1:9000".parse().unwrap());
        headers.append(ORIGIN, "http://127.0.0.1:9000".parse().unwrap());
        headers.append(ORIGIN, "https://evil.example".parse().unwrap());
        assert!(Guard::new("127.0.0.1".parse().unwrap(), []).refusal(&headers).is_some());
    }
}
