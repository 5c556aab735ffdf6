use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use hyper::body::Bytes;

use ossup_core::model::Region;

/// What an instance is told of itself. Paths and their meaning: "Instance metadata" page of ECS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceMetadata {
    /// `instance-id`. A new one makes cloud-init set up the system again.
    pub instance_id: String,
    /// `region-id`.
    pub region: Region,
    /// `hostname`.
    pub hostname: String,
    /// `private-ipv4`.
    pub address: Ipv4Addr,
    /// `mac`.
    pub mac: String,
    /// `public-keys/0/openssh-key`: a line of `authorized_keys`.
    pub public_key: Option<String>,
    /// `user-data`; without it there is no such path.
    pub user_data: Option<Vec<u8>>,
}

impl InstanceMetadata {
    /// Returns what is below a path: a value, or the names there, of which those of folders end in `/`.
    pub(super) fn get(&self, path: &str) -> Option<Bytes> {
        let path = path.strip_prefix('/')?;
        let (version, path) = path.split_once('/').unwrap_or((path, ""));
        if !is_version(version) {
            return None;
        }
        if path == "user-data" {
            return self.user_data.clone().map(Bytes::from);
        }
        let values = self.values();
        if let Some(value) = values.get(path) {
            return Some(value.clone().into());
        }
        let folder = match path.trim_end_matches('/') {
            "" => String::new(),
            folder => format!("{folder}/"),
        };
        let below = values.keys().filter_map(|name| name.strip_prefix(&folder));
        let names: BTreeSet<_> = below
            .map(|name| name.split_once('/').map_or(name.to_owned(), |(folder, _)| format!("{folder}/")))
            .collect();
        (!names.is_empty()).then(|| names.into_iter().collect::<Vec<_>>().join("\n").into())
    }

    fn values(&self) -> BTreeMap<String, String> {
        let (id, region, address, mac) = (&self.instance_id, &self.region, self.address, &self.mac);
        let zone = format!("{region}-a");
        let card = format!("meta-data/network/interfaces/macs/{mac}");
        let document = serde_json::json!({
            "zone-id": zone, "region-id": region.as_str(), "instance-id": id, "mac": mac,
            "private-ipv4": address.to_string(), "instance-type": "ecs.g7.large",
            "owner-account-id": "1000000000000000", "image-id": "m-ossupboot", "serial-number": id,
        });
        let values = [
            ("meta-data/instance-id", id.clone()),
            ("meta-data/region-id", region.to_string()),
            ("meta-data/zone-id", zone),
            ("meta-data/hostname", self.hostname.clone()),
            ("meta-data/instance/instance-type", "ecs.g7.large".to_owned()),
            ("meta-data/instance/instance-name", self.hostname.clone()),
            ("meta-data/image-id", "m-ossupboot".to_owned()),
            ("meta-data/serial-number", id.clone()),
            ("meta-data/private-ipv4", address.to_string()),
            ("meta-data/mac", mac.clone()),
            ("meta-data/network-type", "vpc".to_owned()),
            ("meta-data/network/interfaces/macs/MAC/network-interface-id", "eni-ossupboot".to_owned()),
            ("meta-data/network/interfaces/macs/MAC/primary-ip-address", address.to_string()),
            ("meta-data/network/interfaces/macs/MAC/private-ipv4s", format!("[\"{address}\"]")),
            ("meta-data/network/interfaces/macs/MAC/netmask", "255.255.255.0".to_owned()),
            ("meta-data/network/interfaces/macs/MAC/vswitch-cidr-block", "100.100.100.0/24".to_owned()),
            ("meta-data/network/interfaces/macs/MAC/vpc-cidr-block", "100.100.100.0/24".to_owned()),
            ("meta-data/network/interfaces/macs/MAC/vpc-id", "vpc-ossupboot".to_owned()),
            ("meta-data/network/interfaces/macs/MAC/vswitch-id", "vsw-ossupboot".to_owned()),
            ("meta-data/owner-account-id", "1000000000000000".to_owned()),
            ("dynamic/instance-identity/document", document.to_string()),
        ];
        let key = self.public_key.as_ref().map(|key| ("meta-data/public-keys/0/openssh-key", key.clone()));
        let placed = |name: &str| name.replacen("meta-data/network/interfaces/macs/MAC", &card, 1);
        values.into_iter().chain(key).map(|(name, value)| (placed(name), value)).collect()
    }
}

/// Whether this names a version: `latest`, or a date.
fn is_version(text: &str) -> bool {
    let is_date = text.len() == 10
        && text
            .bytes()
            .enumerate()
            .all(|(at, b)| if matches!(at, 4 | 7) { b == b'-' } else { b.is_ascii_digit() });
    text == "latest" || is_date
}

#[cfg(test)]
pub(super) fn example() -> InstanceMetadata {
    InstanceMetadata {
        instance_id: "i-example".to_owned(),
        region: "cn-hangzhou".parse().unwrap(),
        hostname: "web".to_owned(),
        address: Ipv4Addr::new(100, 100, 100, 15),
        mac: "00:16:3e:0a:00:0f".to_owned(),
        public_key: Some("ssh-ed25519 AAAA test".to_owned()),
        user_data: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(metadata: &InstanceMetadata, path: &str) -> Option<String> {
        metadata.get(path).map(|body| String::from_utf8(body.to_vec()).unwrap())
    }

    /// As `MetadataMaterializer` of cloud-init walks: what ends in `/` is a folder, all else a value.
    #[test]
    fn every_name_that_is_listed_can_be_asked_for() {
        fn walk(metadata: &InstanceMetadata, folder: &str, values: &mut Vec<String>) {
            for name in get(metadata, folder).unwrap().lines() {
                let path = format!("{folder}{name}");
                match name.ends_with('/') {
                    true => walk(metadata, &path, values),
                    false => {
                        get(metadata, &path).unwrap_or_else(|| panic!("{path}"));
                        values.push(path);
                    }
                }
            }
        }
        let mut values = Vec::new();
        walk(&example(), "/2016-01-01/meta-data/", &mut values);
        assert!(values.contains(&"/2016-01-01/meta-data/public-keys/0/openssh-key".to_owned()), "{values:?}");
        assert!(values.len() > 18, "{values:?}");
    }

    #[test]
    fn user_data_and_keys_are_there_only_if_there_are_any() {
        let bare = InstanceMetadata { public_key: None, ..example() };
        assert_eq!(get(&bare, "/latest/user-data"), None);
        assert_eq!(get(&bare, "/latest/meta-data/public-keys/"), None);
        let full = InstanceMetadata { user_data: Some(b"#cloud-config\n".to_vec()), ..example() };
        assert_eq!(get(&full, "/2016-01-01/user-data").unwrap(), "#cloud-config\n");
    }

    #[test]
    fn nothing_is_below_what_is_no_version() {
        for path in ["", "/", "/meta-data/", "/2016/meta-data/", "/2016-01-1x/meta-data/", "/latest/../x"] {
            assert_eq!(get(&example(), path), None, "{path}");
        }
        let document = get(&example(), "/latest/dynamic/instance-identity/document").unwrap();
        assert!(document.contains("\"instance-id\":\"i-example\""), "{document}");
    }
}
