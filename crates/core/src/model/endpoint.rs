use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use super::{BucketName, InvalidValue, Region};

/// `http` or `https`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Clear text.
    Http,
    /// TLS.
    Https,
}

impl Scheme {
    /// Returns the name as in a URL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// Where the bucket's name goes in a URL. The signed resource does not depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AddressingStyle {
    /// `scheme://{bucket}.{host}/{key}`; the only style that public endpoints accept.
    Virtual,
    /// `scheme://{host}/{bucket}/{key}`; for IP addresses and `localhost`.
    Path,
    /// `scheme://{host}/{key}`: the host is a custom domain bound to the bucket.
    Cname,
}

/// A kind of endpoint that follows from a region alone ("Regions and endpoints" page).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndpointKind {
    /// `oss-{region}.aliyuncs.com`
    Public,
    /// `oss-{region}-internal.aliyuncs.com`, reachable from Alibaba Cloud networks of that region.
    Internal,
    /// `{region}.oss.aliyuncs.com`, IPv4 and IPv6, in some regions.
    DualStack,
    /// `oss-accelerate.aliyuncs.com`, to be enabled on the bucket.
    Accelerate,
}

/// Where OSS is reached: scheme, host, port and addressing style, without a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    scheme: Scheme,
    host: String,
    port: Option<u16>,
    style: AddressingStyle,
}

impl Endpoint {
    /// Returns the `https` endpoint of `kind` for `region`. The four finance regions break the pattern.
    pub fn for_region(region: &Region, kind: EndpointKind) -> Self {
        let host = match kind {
            EndpointKind::Public => match region.as_str() {
                "cn-hangzhou-finance" => "oss-cn-hzfinance.aliyuncs.com".to_owned(),
                "cn-shenzhen-finance-1" => "oss-cn-szfinance.aliyuncs.com".to_owned(),
                "cn-shanghai-finance-1" | "cn-beijing-finance-1" => format!("oss-{region}-pub.aliyuncs.com"),
                _ => format!("oss-{region}.aliyuncs.com"),
            },
            EndpointKind::Internal => format!("oss-{region}-internal.aliyuncs.com"),
            EndpointKind::DualStack => format!("{region}.oss.aliyuncs.com"),
            EndpointKind::Accelerate => "oss-accelerate.aliyuncs.com".to_owned(),
        };
        Self { scheme: Scheme::Https, host, port: None, style: AddressingStyle::Virtual }
    }

    /// Returns the endpoint with another addressing style.
    ///
    /// # Errors
    ///
    /// Virtual style needs a host that can carry a bucket in front: an IP address cannot.
    pub fn with_style(mut self, style: AddressingStyle) -> Result<Self, InvalidValue> {
        if style == AddressingStyle::Virtual && self.ip().is_some() {
            return Err(InvalidValue::new(
                format!("endpoint `{self}`"),
                "is an IP address and cannot be used with virtual-host addressing: use path style",
            ));
        }
        self.style = style;
        Ok(self)
    }

    /// Returns the scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Returns the host, an IPv6 address in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port if it was given.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Returns the addressing style.
    pub fn style(&self) -> AddressingStyle {
        self.style
    }

    /// Returns `host[:port]` with the bucket in front where the style wants it: the Host header.
    pub fn authority(&self, bucket: Option<&BucketName>) -> String {
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        match (self.style, bucket) {
            (AddressingStyle::Virtual, Some(bucket)) => format!("{bucket}.{}{port}", self.host),
            _ => format!("{}{port}", self.host),
        }
    }

    /// Returns the region that the host's name contains, if it contains one.
    pub fn region(&self) -> Option<Region> {
        let name = self.host.strip_suffix(".aliyuncs.com")?;
        let finance = match name {
            "oss" | "oss-internal" => Some("cn-hangzhou"),
            "oss-cn-hzfinance" => Some("cn-hangzhou-finance"),
            "oss-cn-szfinance" => Some("cn-shenzhen-finance-1"),
            "oss-cn-hzjbp-a-internal" | "oss-cn-hzjbp-b-internal" => Some("cn-hangzhou-finance"),
            _ => None,
        };
        if let Some(region) = finance {
            return region.parse().ok();
        }
        let id = match name.strip_suffix(".oss") {
            Some(region) => region,
            None => {
                let id = name.strip_prefix("oss-")?;
                if id.starts_with("accelerate") {
                    return None;
                }
                id.strip_suffix("-internal").or(id.strip_suffix("-pub")).unwrap_or(id)
            }
        };
        id.parse().ok()
    }

    /// Whether the host is this machine: `localhost` or a loopback address.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost"
            || self.host.ends_with(".localhost")
            || self.ip().is_some_and(|ip| ip.is_loopback())
    }

    /// Whether the host is one of Alibaba Cloud's internal endpoints.
    pub fn is_internal(&self) -> bool {
        self.host.ends_with("-internal.aliyuncs.com")
    }

    /// Whether the host is one of transfer acceleration, which a bucket has to allow.
    pub fn is_accelerated(&self) -> bool {
        self.host.starts_with("oss-accelerate") && self.host.ends_with(".aliyuncs.com")
    }

    fn ip(&self) -> Option<IpAddr> {
        self.host.trim_start_matches('[').trim_end_matches(']').parse().ok()
    }
}

impl FromStr for Endpoint {
    type Err = InvalidValue;

    /// Reads `[scheme://]host[:port][/]`; without a scheme it is `https`. IP addresses and `localhost` get
    /// path style, all other hosts virtual-host style.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = |reason: &str| InvalidValue::new(format!("endpoint `{}`", text.escape_debug()), reason);
        let (scheme, rest) = match text.split_once("://") {
            Some(("http", rest)) => (Scheme::Http, rest),
            Some(("https", rest)) => (Scheme::Https, rest),
            Some(_) => return Err(refuse("must start with http:// or https://")),
            None => (Scheme::Https, text),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match rest.strip_prefix('[') {
            Some(inner) => {
                let (address, after) = inner.split_once(']').ok_or_else(|| refuse("has an unclosed `[`"))?;
                let address: Ipv6Addr =
                    address.parse().map_err(|_| refuse("has no IPv6 address within its brackets"))?;
                (format!("[{address}]"), after.strip_prefix(':').or((!after.is_empty()).then_some("?")))
            }
            None => match rest.split_once(':') {
                Some((host, port)) => (host.to_ascii_lowercase(), Some(port)),
                None => (rest.to_ascii_lowercase(), None),
            },
        };
        let named = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
        if !host.starts_with('[') && (host.is_empty() || !host.bytes().all(named)) {
            return Err(refuse("must be a host name or address such as `oss-cn-hangzhou.aliyuncs.com`"));
        }
        let port = port
            .map(|port| port.parse::<u16>().ok().filter(|port| *port != 0))
            .map(|port| port.ok_or_else(|| refuse("has no valid port behind the `:`")))
            .transpose()?;
        let mut endpoint = Self { scheme, host, port, style: AddressingStyle::Virtual };
        if endpoint.ip().is_some() || endpoint.host == "localhost" {
            endpoint.style = AddressingStyle::Path;
        }
        Ok(endpoint)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.authority(None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(text: &str) -> Endpoint {
        text.parse().unwrap()
    }

    #[test]
    fn hosts_tell_their_region() {
        for (host, region) in [
            ("oss-cn-hangzhou.aliyuncs.com", Some("cn-hangzhou")),
            ("https://oss-us-west-1-internal.aliyuncs.com", Some("us-west-1")),
            ("cn-shanghai.oss.aliyuncs.com", Some("cn-shanghai")),
            ("oss-accelerate.aliyuncs.com", None),
            ("oss-accelerate-overseas.aliyuncs.com", None),
            ("oss.aliyuncs.com", Some("cn-hangzhou")),
            ("oss-cn-hzfinance.aliyuncs.com", Some("cn-hangzhou-finance")),
            ("oss-cn-beijing-finance-1-pub.aliyuncs.com", Some("cn-beijing-finance-1")),
            ("images.example.com", None),
            ("http://127.0.0.1:9000", None),
        ] {
            assert_eq!(endpoint(host).region().as_ref().map(Region::as_str), region, "{host}");
        }
    }

    #[test]
    fn every_kind_of_endpoint_is_derived_from_the_region() {
        let region: Region = "eu-central-1".parse().unwrap();
        for (kind, host) in [
            (EndpointKind::Public, "https://oss-eu-central-1.aliyuncs.com"),
            (EndpointKind::Internal, "https://oss-eu-central-1-internal.aliyuncs.com"),
            (EndpointKind::DualStack, "https://eu-central-1.oss.aliyuncs.com"),
            (EndpointKind::Accelerate, "https://oss-accelerate.aliyuncs.com"),
        ] {
            assert_eq!(Endpoint::for_region(&region, kind).to_string(), host);
        }
    }

    #[test]
    fn addresses_and_localhost_get_path_style() {
        for text in ["http://127.0.0.1:9000", "http://localhost:9000", "http://[::1]:9000/"] {
            let endpoint = endpoint(text);
            assert_eq!(endpoint.style(), AddressingStyle::Path, "{text}");
            assert!(endpoint.is_loopback(), "{text}");
            assert!(
                endpoint.clone().with_style(AddressingStyle::Virtual).is_ok()
                    == (endpoint.host() == "localhost")
            );
        }
        assert_eq!(endpoint("http://[::1]:9000/").authority(None), "[::1]:9000");
    }

    #[test]
    fn the_bucket_goes_in_front_of_the_host_in_virtual_style_alone() {
        let bucket: BucketName = "images".parse().unwrap();
        let public = endpoint("oss-cn-hangzhou.aliyuncs.com");
        assert_eq!(public.authority(Some(&bucket)), "images.oss-cn-hangzhou.aliyuncs.com");
        let custom = endpoint("img.example.com").with_style(AddressingStyle::Cname).unwrap();
        assert_eq!(custom.authority(Some(&bucket)), "img.example.com");
    }

    #[test]
    fn malformed_endpoints_are_refused() {
        for bad in [
            "",
            "ftp://x",
            "http://",
            "http://a b",
            "http://h:0",
            "http://h:99999",
            "http://[::1",
            "h/p",
            "u@h",
            "[::1]9",
        ] {
            assert!(bad.parse::<Endpoint>().is_err(), "{bad}");
        }
    }
}
