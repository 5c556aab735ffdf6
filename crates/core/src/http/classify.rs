//! What an error of the HTTP library means.

use std::error::Error;
use std::io;

use rustls::CertificateError;

use super::{CertificateFault, ProxyUrl, SourceFailed, TransportError, TransportErrorKind};

/// Classifies an error of the HTTP library. Of the URL only the host stays: the rest may be
/// presigned.
pub(super) fn classify(error: reqwest::Error, host: &str, proxy: Option<&ProxyUrl>) -> TransportError {
    let error = error.without_url();
    let (kind, message) = judge(&error, host, proxy);
    let mut error = TransportError::new(kind, message).with_source(error).about(host);
    error.proxy = proxy.map(ToString::to_string);
    error
}

fn judge(error: &reqwest::Error, host: &str, proxy: Option<&ProxyUrl>) -> (TransportErrorKind, String) {
    let through = proxy.map(|proxy| format!(" through the proxy `{proxy}`")).unwrap_or_default();
    if find::<SourceFailed>(error).is_some() {
        return (TransportErrorKind::Source, "the source could not be read".to_owned());
    }
    if let Some(error) = find::<rustls::Error>(error) {
        return tls(error, host, &through);
    }
    if let Some(proxy) = proxy.filter(|_| error.is_connect() || error.is_dns()) {
        return through_proxy(error, host, proxy);
    }
    if error.is_dns() {
        (TransportErrorKind::Resolve, format!("the host name `{host}` could not be resolved"))
    } else if error.is_connect() {
        (TransportErrorKind::Connect, format!("no connection to `{host}` could be made"))
    } else if error.is_timeout() {
        (TransportErrorKind::Timeout, format!("the connection to `{host}`{through} made no progress"))
    } else if causes(error).any(|cause| cause.to_string().contains("invalid HTTP version")) {
        (TransportErrorKind::NotHttp, format!("`{host}` does not speak HTTP here"))
    } else {
        (TransportErrorKind::Broken, format!("the connection to `{host}`{through} broke"))
    }
}

fn tls(error: &rustls::Error, host: &str, through: &str) -> (TransportErrorKind, String) {
    let (fault, what) = match error {
        rustls::Error::InvalidCertificate(error) => match error {
            CertificateError::UnknownIssuer => {
                (CertificateFault::Issuer, "was issued by an authority that is not trusted here")
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                (CertificateFault::Name, "is for another name")
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                (CertificateFault::Expired, "has expired")
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                (CertificateFault::NotYetValid, "is not yet valid")
            }
            _ => (CertificateFault::Other, "was refused"),
        },
        rustls::Error::NoCertificatesPresented => (CertificateFault::Other, "is missing"),
        rustls::Error::InvalidMessage(_) => {
            return (
                TransportErrorKind::Tls,
                format!("what answers at `{host}`{through} does not speak TLS on this port"),
            );
        }
        _ => return (TransportErrorKind::Tls, format!("the TLS connection to `{host}`{through} failed")),
    };
    (TransportErrorKind::Certificate(fault), format!("the certificate of `{host}`{through} {what}"))
}

/// A connection through a proxy that does not stand. The library's errors are of private types here.
fn through_proxy(error: &reqwest::Error, host: &str, proxy: &ProxyUrl) -> (TransportErrorKind, String) {
    let says = |words: &[&str]| {
        causes(error).any(|cause| {
            let text = cause.to_string();
            words.iter().any(|word| text.contains(word))
        })
    };
    if says(&["proxy authorization required", "credentials not accepted", "user/pass authentication"]) {
        (TransportErrorKind::ProxyAuth, format!("the proxy `{proxy}` asks for other credentials"))
    } else if error.is_dns() && !proxy.resolves_here() {
        (TransportErrorKind::Proxy, format!("the host name of the proxy `{proxy}` could not be resolved"))
    } else if error.is_dns() || says(&["could not resolve to acceptable"]) {
        let what = format!("one of `{host}` and the proxy `{proxy}` could not be resolved");
        (TransportErrorKind::Resolve, what)
    } else if says(&["tunnel error: unsuccessful"]) || says(&["SOCKS error"]) && !says(&["underlying"]) {
        (TransportErrorKind::ProxyRefused, format!("the proxy `{proxy}` made no connection to `{host}`"))
    } else {
        (TransportErrorKind::Proxy, format!("no connection to the proxy `{proxy}` could be made"))
    }
}

fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

/// Walks the whole chain, also through I/O errors, which hide what they wrap from `source`, and may nest.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    fn below<'a>(error: &&'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
        let error: &'a (dyn Error + 'static) = *error;
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        }
    }
    std::iter::successors(Some(error), below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_found_however_deep_they_nest() {
        let inner = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let nested = io::Error::other(io::Error::other(io::Error::new(io::ErrorKind::InvalidData, inner)));
        assert!(find::<rustls::Error>(&nested).is_some());
        assert!(find::<SourceFailed>(&nested).is_none());
    }
}
