use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Endpoint;

/// Which service is used, whatever the spelling of its endpoint.
///
/// What is kept about an upload or an import belongs to the service that made it: an id of one means nothing to
/// another, and that another does not know it means nothing. Accounts are not distinguished.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ServiceId(String);

/// The domain of the vendor's own endpoints.
const PUBLIC_DOMAIN: &str = ".aliyuncs.com";
const PUBLIC: &str = "aliyun";
const FOLDER: &str = "folder:";

impl ServiceId {
    /// Returns the vendor's public cloud: one service, by whichever of its endpoints.
    pub fn public() -> Self {
        Self(PUBLIC.to_owned())
    }

    /// Returns the service behind an endpoint. Except for the public cloud's, each host and port counts as a separate
    /// service; that a custom domain leads to the public cloud cannot be seen.
    pub fn of_endpoint(endpoint: &Endpoint) -> Self {
        if endpoint.host().ends_with(PUBLIC_DOMAIN) {
            return Self::public();
        }
        // `localhost` and the loopback addresses are one machine: its services differ by their ports.
        let host = if endpoint.is_loopback() { "localhost" } else { endpoint.host() };
        let default = match endpoint.scheme() {
            super::Scheme::Http => 80,
            super::Scheme::Https => 443,
        };
        Self(format!("host:{host}:{}", endpoint.port().unwrap_or(default)))
    }

    /// Returns the store in a folder. The path should be canonical, so that it has one spelling.
    pub fn of_folder(folder: &Path) -> Self {
        Self(format!("{FOLDER}{}", folder.as_os_str().as_encoded_bytes().escape_ascii()))
    }

    /// Whether it is the vendor's public cloud.
    pub fn is_public(&self) -> bool {
        self.0 == PUBLIC
    }

    /// Whether it is a store in a folder of this machine, which no network leads to.
    pub fn is_folder(&self) -> bool {
        self.0.starts_with(FOLDER)
    }

    /// Returns `name`, which is unique within one service, as a name that is unique among all. In the public
    /// cloud it is the name itself, under which state was kept before services were distinguished.
    pub fn scoped(&self, name: &str) -> String {
        // An id holds no line end, so that no two services and names read alike.
        if self.is_public() { name.to_owned() } else { format!("{self}\n{name}") }
    }
}

impl fmt::Display for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(endpoint: &str) -> ServiceId {
        ServiceId::of_endpoint(&endpoint.parse().unwrap())
    }

    #[test]
    fn every_endpoint_of_the_public_cloud_is_one_service() {
        for endpoint in [
            "oss-cn-hangzhou.aliyuncs.com",
            "http://oss-us-west-1-internal.aliyuncs.com",
            "https://oss-accelerate.aliyuncs.com",
            "cn-shanghai.oss.aliyuncs.com",
            "ecs.eu-central-1.aliyuncs.com",
        ] {
            assert_eq!(of(endpoint), ServiceId::public(), "{endpoint}");
        }
        assert_eq!(ServiceId::public().scoped("a\nb"), "a\nb");
    }

    #[test]
    fn other_hosts_and_folders_are_services_of_their_own() {
        let services = [
            of("http://127.0.0.1:9000"),
            of("http://127.0.0.1:9001"),
            of("https://oss.example.com"),
            of("https://notaliyuncs.com"),
            ServiceId::of_folder(Path::new("/srv/a")),
            ServiceId::of_folder(Path::new("/srv/a\nb")),
            ServiceId::public(),
        ];
        for (n, service) in services.iter().enumerate() {
            assert!(services[n + 1..].iter().all(|other| other != service), "{service}");
            assert!(!service.to_string().contains('\n'), "{service}");
            assert_eq!(service.is_public(), n == 6);
            assert_eq!(service.is_folder(), n == 4 || n == 5);
        }
        assert_ne!(services[0].scoped("x"), services[1].scoped("x"));
        assert_eq!(of("http://localhost:9000"), of("http://[::1]:9000"));
        assert_eq!(of("https://oss.example.com"), of("https://oss.example.com:443"));
    }
}
