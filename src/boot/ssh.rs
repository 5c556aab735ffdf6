//! Whom to log in as.

use crate::image::OsRelease;

/// Longest name of a user that is believed.
const LONGEST_NAME: usize = 32;

/// Returns the users that cloud-init gives the key to, the likeliest first: `root` as in ECS's own images, and the
/// default user of the distribution, as its `cloud.cfg` names it.
pub fn login_users(os: Option<&OsRelease>) -> Vec<&'static str> {
    let default = match os.and_then(|os| os.id.as_deref()) {
        Some("debian") => Some("debian"),
        Some("ubuntu") => Some("ubuntu"),
        Some("fedora") => Some("fedora"),
        Some("centos" | "rhel" | "ol") => Some("cloud-user"),
        Some("almalinux") => Some("almalinux"),
        Some("rocky") => Some("rocky"),
        Some("alpine") => Some("alpine"),
        Some("arch") => Some("arch"),
        Some("amzn") => Some("ec2-user"),
        Some("opensuse" | "opensuse-leap" | "opensuse-tumbleweed") => Some("opensuse"),
        Some("openEuler") => Some("openeuler"),
        _ => None,
    };
    ["root"].into_iter().chain(default).collect()
}

/// Returns the user that cloud-init's forced command for root asks to log in as:
/// `Please login as the user "debian" rather than the user "root".`
pub fn user_asked_for(output: &str) -> Option<&str> {
    let (_, rest) = output.split_once("Please login as the user \"")?;
    let (name, _) = rest.split_once('"')?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    // It becomes an argument of `ssh`, and must not look like an option.
    let is_name = !name.is_empty()
        && name.len() <= LONGEST_NAME
        && name.bytes().all(plain)
        && name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    is_name.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_is_the_one_that_cloud_init_asks_for() {
        let said = "Please login as the user \"debian\" rather than the user \"root\".\n\n";
        assert_eq!(user_asked_for(said), Some("debian"));
        for hostile in [
            "Please login as the user \"-oProxyCommand=id\" rather",
            "Please login as the user \"a b\" rather",
            "Please login as the user \"\" rather",
            "Please login as the user \"debian",
            "Permission denied (publickey).",
        ] {
            assert_eq!(user_asked_for(hostile), None, "{hostile}");
        }
    }

    #[test]
    fn root_comes_first_and_then_the_user_of_the_distribution() {
        let mut os = OsRelease::default();
        assert_eq!(login_users(None), ["root"]);
        assert_eq!(login_users(Some(&os)), ["root"]);
        os.id = Some("ubuntu".to_owned());
        assert_eq!(login_users(Some(&os)), ["root", "ubuntu"]);
    }
}
