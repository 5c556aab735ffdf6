//! Proxy and certificates.

use std::path::PathBuf;

use ossup::http::{HttpOptions, ProxyUrl};

use super::{Env, SettingsError};
use crate::args::ConnectionArgs;

/// How the network is reached. `Debug` shows no proxy: its URL may hold a password.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Network {
    proxy: Option<ProxyUrl>,
    no_proxy: Option<String>,
    authorities: Option<Vec<u8>>,
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network")
            .field("proxied", &self.proxy.is_some())
            .field("own_authorities", &self.authorities.is_some())
            .finish_non_exhaustive()
    }
}

impl Network {
    /// Returns how the web is reached, whatever the services are.
    pub(crate) fn of_web(
        args: &ConnectionArgs,
        https: bool,
        outside: &Env<'_>,
    ) -> Result<Self, SettingsError> {
        Self::resolve(args, (https, true), outside, &mut |_| {})
    }

    /// Finds the proxy for the scheme in use, and the certificates. Where no network is `used`, the environment's
    /// network settings are ignored.
    pub(super) fn resolve(
        args: &ConnectionArgs,
        (https, used): (bool, bool),
        outside: &Env<'_>,
        say: &mut dyn FnMut(String),
    ) -> Result<Self, SettingsError> {
        let set = |name: &str| (outside.env)(name).filter(|value| !value.is_empty());
        // Lower case takes precedence, as in curl.
        let either = |name: &str| {
            let lower = name.to_ascii_lowercase();
            set(&lower)
                .map(|value| (value, lower))
                .or_else(|| set(name).map(|value| (value, name.to_owned())))
        };
        let proxy = match &args.proxy {
            Some(url) => Some((url.clone(), "--proxy".to_owned())),
            None if used => {
                either(if https { "HTTPS_PROXY" } else { "HTTP_PROXY" }).or_else(|| either("ALL_PROXY"))
            }
            None => None,
        };
        let proxy = match proxy {
            None => None,
            Some((text, origin)) => {
                let url: Result<ProxyUrl, _> = text.parse();
                let url = url.map_err(|source| SettingsError::Proxy { origin: origin.clone(), source })?;
                say(format!("proxy from {origin}: {url}"));
                Some(url)
            }
        };
        let ca_file = match &args.ca_file {
            Some(path) => Some((path.clone(), "--ca-file")),
            None => set("SSL_CERT_FILE").map(|path| (PathBuf::from(path), "SSL_CERT_FILE")),
        };
        let authorities = match ca_file {
            None => None,
            Some((path, origin)) => {
                say(format!("certificates of {} from {origin}", path.display()));
                let read = (outside.read)(&path);
                let why = " for its certificates";
                Some(read.map_err(|source| SettingsError::Read { path, why, source })?)
            }
        };
        let no_proxy = either("NO_PROXY").map(|(value, _)| value);
        Ok(Self { proxy, no_proxy, authorities })
    }

    /// Whether requests go through a proxy, unless `NO_PROXY` names their host.
    pub(crate) fn is_proxied(&self) -> bool {
        self.proxy.is_some()
    }

    /// Returns the options of the library's transport.
    pub(crate) fn options(&self) -> HttpOptions {
        let mut options = HttpOptions::default();
        if let Some(proxy) = &self.proxy {
            options = options.with_proxy(proxy.clone(), self.no_proxy.clone());
        }
        if let Some(authorities) = &self.authorities {
            options = options.with_ca_certificates(authorities.clone());
        }
        options
    }
}
