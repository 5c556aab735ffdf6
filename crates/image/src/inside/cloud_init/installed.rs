//! Which cloud-init is installed.

use super::super::text::{assigned, lines, shown};
use super::super::tree::Tree;
use super::super::volume::Read;

/// Most folders of Python that are looked at.
const MOST_PYTHONS: usize = 16;

/// A version as far as it decides what it knows of ECS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::inside) enum Version {
    /// 18 or newer.
    Current,
    /// A build of the vendor that is new enough.
    Vendors,
    Old,
    Unknown,
}

/// Finds the version of cloud-init by its own file, and the folder of Python that it is in.
pub(super) fn find(tree: &mut Tree) -> Read<(Option<String>, String)> {
    // The vendor's own builds lie below `/usr/local`, and come first there.
    for folder in ["/usr/local/lib", "/usr/lib"] {
        let pythons = tree.list(folder)?.unwrap_or_default();
        for python in pythons.iter().filter(|name| name.starts_with(b"python")).take(MOST_PYTHONS) {
            let Ok(python) = std::str::from_utf8(python) else { continue };
            for packages in ["dist-packages", "site-packages"] {
                let packages = format!("{folder}/{python}/{packages}");
                if !tree.has(&format!("{packages}/cloudinit"))? {
                    continue;
                }
                let said = tree.read(&format!("{packages}/cloudinit/version.py"), 64 << 10)?;
                let said = said.as_deref().and_then(of_source);
                // What the vendor adds to a version stands in the name of the installation alone.
                if folder == "/usr/lib" && said.is_some() {
                    return Ok(Some((said, packages)));
                }
                let names = tree.list(&packages)?.unwrap_or_default();
                let installed =
                    names.iter().find_map(|name| of_installation(std::str::from_utf8(name).ok()?));
                return Ok(Some((installed.or(said), packages)));
            }
        }
    }
    Ok(None)
}

/// Returns the version in `version.py`.
fn of_source(bytes: &[u8]) -> Option<String> {
    let value = |key| lines(bytes).find_map(|(_, line)| assigned(line, key));
    let packaged = value("_PACKAGED_VERSION").filter(|version| !version.starts_with("@@"));
    // Before 0.7.9 it is but an argument.
    let called = || {
        lines(bytes).find_map(|(_, line)| {
            Some(line.split_once("StrictVersion(")?.1.split(')').next()?.trim_matches(['"', '\'']))
        })
    };
    packaged.or_else(|| value("__VERSION__")).or_else(called).map(|version| shown(version.as_bytes()))
}

/// Returns the version in the name of what `pip` and `setup.py` leave beside a package.
fn of_installation(name: &str) -> Option<String> {
    let version = name.strip_prefix("cloud_init-")?;
    let version = version.strip_suffix(".egg-info").or_else(|| version.strip_suffix(".dist-info"))?;
    let version = version.split_once("-py").map_or(version, |(version, _)| version);
    Some(shown(version.as_bytes()))
}

/// Tells what a version means on ECS: the vendor's page asks for 18 or newer, or one of its builds, from 0.7.6a15 on with
/// Python 2 and from 19.1.3 on.
pub(in crate::inside) fn version_of(version: &str) -> Version {
    let number =
        |text: &str| text.split(|c: char| !c.is_ascii_digit()).next().and_then(|text| text.parse().ok());
    let Some(major) = number(version) else { return Version::Unknown };
    let of_vendor = || number(version.strip_prefix("0.7.6a")?);
    match (major, of_vendor()) {
        (_, Some(15_u32..)) => Version::Vendors,
        (18_u32.., _) => Version::Current,
        _ => Version::Old,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::memory;
    use super::*;

    fn found(files: &[(&str, &str)]) -> Option<(Option<String>, String)> {
        find(&mut memory::tree(files)).unwrap()
    }

    fn some(version: &str, folder: &str) -> Option<(Option<String>, String)> {
        Some((Some(version.to_owned()), folder.to_owned()))
    }

    #[test]
    fn the_version_is_the_packages_where_it_says_so() {
        // Debian 12.
        let debian = "__VERSION__ = \"22.4.2\"\n_PACKAGED_VERSION = \"@@PACKAGED_VERSION@@\"\n";
        let path = "/usr/lib/python3/dist-packages";
        let file = format!("{path}/cloudinit/version.py");
        assert_eq!(found(&[(&file, debian)]), some("22.4.2", path));
        // Rocky 9.
        let rocky = "__VERSION__ = \"23.4\"\n_PACKAGED_VERSION = '23.4-7.el9_4'\n";
        let path = "/usr/lib/python3.9/site-packages";
        let file = format!("{path}/cloudinit/version.py");
        assert_eq!(found(&[(&file, rocky)]), some("23.4-7.el9_4", path));
        // CentOS 7, and 7.2 before its version had a name.
        let path = "/usr/lib/python2.7/site-packages";
        let file = format!("{path}/cloudinit/version.py");
        assert_eq!(found(&[(&file, "__VERSION__ = \"19.4\"\n")]), some("19.4", path));
        let older = "def version():\n    return vr.StrictVersion(\"0.7.5\")\n";
        assert_eq!(found(&[(&file, older)]), some("0.7.5", path));
        assert_eq!(found(&[(&file, "")]), Some((None, path.to_owned())));
        assert_eq!(found(&[("/usr/lib/python3/dist-packages/apt/version.py", debian)]), None);
    }

    #[test]
    fn a_build_of_the_vendor_is_named_by_its_installation() {
        let path = "/usr/local/lib/python3.6/site-packages";
        let file = format!("{path}/cloudinit/version.py");
        let distribution =
            ("/usr/lib/python3/dist-packages/cloudinit/version.py", "__VERSION__ = \"17.1\"\n");
        for (name, version) in [
            ("cloud_init-19.1.3-py3.6.egg-info", "19.1.3"),
            ("cloud_init-0.7.6a15-py2.7.egg-info", "0.7.6a15"),
            ("cloud_init-23.2.2.dist-info", "23.2.2"),
        ] {
            let installation = format!("{path}/{name}/");
            let files = [(&*file, "__VERSION__ = \"0\"\n"), (&installation, ""), distribution];
            assert_eq!(found(&files), some(version, path));
        }
    }

    #[test]
    fn from_18_on_and_in_builds_of_the_vendor_ecs_is_known() {
        for (version, means) in [
            ("22.4.2", Version::Current),
            ("18.2", Version::Current),
            ("18.5-3.el7", Version::Current),
            ("17.1-27", Version::Old),
            ("0.7.9", Version::Old),
            ("0.7.6a14", Version::Old),
            ("0.7.6a15", Version::Vendors),
            ("99999999999.1", Version::Unknown),
            ("main", Version::Unknown),
        ] {
            assert_eq!(version_of(version), means, "{version}");
        }
    }
}
