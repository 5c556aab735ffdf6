//! Windows: what its registry and its files say of it, and whether it starts on ECS.
//!
//! What is asked goes through [`Evidence`], so that the checks can be tried without a disk. A hive whose logs were not
//! applied, or a volume that was not unmounted, still tells what it holds, but nothing is certainly absent from it.

mod boot;
mod checks;
mod hive;
mod settings;
#[cfg(test)]
mod tests;

use super::facts::{Answer, GuestVolume, WindowsDriver, WindowsSystem};
use super::ntfs::Ntfs;
use super::pages::View;
use super::text::shown;
use super::volume::{Kind, Read, Reason, guarded};
use crate::filesystem::FileSystem;
use crate::finding::Findings;
use crate::report::{Expected, Report};
pub(super) use checks::dynamic_disks;
use hive::{Hive, Source, Value};
use ossup_core::model::Architecture;
pub(super) use settings::settle;

/// Where the hives are.
const CONFIG: &str = "/Windows/System32/config";
const DRIVERS: &str = "/Windows/System32/drivers";
const VERSION: &str = "Microsoft\\Windows NT\\CurrentVersion";
const PACKAGES: &str = "Microsoft\\Windows\\CurrentVersion\\Component Based Servicing\\Packages";
/// What stands in paths for the set of the registry that is in use.
const CURRENT: &str = "CurrentControlSet";
/// Drivers that are told of: disks, the network, NVMe.
const TOLD: [&str; 4] = ["viostor", "vioscsi", "netkvm", "stornvme"];

/// A hive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum In {
    System,
    Software,
}

/// What can be asked of an installed Windows. Paths of files have slashes, those of keys backslashes.
trait Evidence {
    fn has(&self, path: &str) -> Result<bool, Reason>;
    /// Reads the front of a file.
    fn front(&self, path: &str, most: usize) -> Read<Vec<u8>>;
    fn is_read_only(&self, path: &str) -> Read<bool>;
    fn has_key(&self, hive: In, path: &str) -> Result<bool, Reason>;
    fn value(&self, hive: In, path: &str, name: &str) -> Read<Value>;
    /// Returns the state of the first package whose name begins so.
    fn package(&self, prefix: &str) -> Read<u32>;
    /// Whether the volume is to be checked at the next start, and whether it was unmounted.
    fn volume_state(&self) -> Result<(bool, bool), Reason>;

    fn number(&self, hive: In, path: &str, name: &str) -> Read<u32> {
        Ok(self.value(hive, path, name)?.and_then(|value| value.number()))
    }

    fn text(&self, hive: In, path: &str, name: &str) -> Read<String> {
        Ok(self.value(hive, path, name)?.map(|value| shown(value.text().as_bytes())))
    }
}

/// A Windows on a volume.
pub(super) struct Installed {
    view: View,
    ntfs: Ntfs,
    /// Where, in the list of places.
    place: String,
    system: Result<Hive, Reason>,
    software: Result<Hive, Reason>,
    /// The set of the registry that is in use.
    control: Result<String, Reason>,
    /// Why nothing is certainly absent from the volume.
    partial: Option<Reason>,
}

/// Finds the first volume with a Windows.
pub(super) fn find(places: &mut [(View, GuestVolume)]) -> Option<Installed> {
    let volumes = places.iter_mut().filter(|(_, volume)| volume.filesystem == FileSystem::Ntfs);
    for (view, volume) in volumes.filter(|(_, volume)| volume.unread.is_none()) {
        match Installed::open(view, &volume.place) {
            Ok(Some(installed)) => return Some(installed),
            Ok(None) => {}
            Err(reason) => volume.unread = Some(reason),
        }
    }
    None
}

/// Tells what a Windows is, and judges it.
pub(super) fn look(
    installed: &Installed,
    places: &[(View, GuestVolume)],
    report: &Report,
    expected: &Expected,
    findings: &mut Findings,
) -> WindowsSystem {
    let boot = boot::paths(places, report);
    let system = describe(installed, installed.place.clone(), boot);
    let scene = checks::Scene { guest: installed, system: &system, report, expected };
    checks::run(&scene, findings);
    system
}

fn describe(guest: &dyn Evidence, root: String, boot: Vec<super::facts::WindowsBoot>) -> WindowsSystem {
    let text = |name| Answer::from(guest.text(In::Software, VERSION, name));
    let (product, installation) = (text("ProductName"), text("InstallationType"));
    let build = guest.text(In::Software, VERSION, "CurrentBuild");
    let build = Answer::from(build.map(|build| build.and_then(|build| build.parse().ok())));
    let platform = platform(build.found().copied(), product.found(), installation.found());
    WindowsSystem {
        root,
        platform,
        edition: text("EditionID"),
        revision: guest.number(In::Software, VERSION, "UBR").into(),
        architecture: architecture(guest).into(),
        drivers: TOLD.into_iter().map(|name| driver(guest, name)).collect(),
        product,
        installation,
        build,
        boot,
    }
}

/// Returns the platform that goes with a version of Windows.
fn platform(
    build: Option<u32>,
    product: Option<&String>,
    installation: Option<&String>,
) -> Option<&'static str> {
    let server = match installation {
        Some(installation) => installation.starts_with("Server"),
        // Windows 2003 does not say it so.
        None => product.is_some_and(|product| product.contains("Server")),
    };
    if !server {
        return None;
    }
    Some(match build? {
        3790 => "Windows Server 2003",
        6001..=6003 | 7600 | 7601 => "Windows Server 2008",
        9200 | 9600 => "Windows Server 2012",
        14_393 => "Windows Server 2016",
        17_763 => "Windows Server 2019",
        20_348 => "Windows Server 2022",
        _ => "Other Windows",
    })
}

fn architecture(guest: &dyn Evidence) -> Read<Architecture> {
    let path = format!("{CURRENT}\\Control\\Session Manager\\Environment");
    match guest.text(In::System, &path, "PROCESSOR_ARCHITECTURE")?.as_deref() {
        None => Ok(None),
        Some("AMD64") => Ok(Some(Architecture::X86_64)),
        Some("x86") => Ok(Some(Architecture::I386)),
        Some("ARM64") => Ok(Some(Architecture::Arm64)),
        Some(other) => Err(format!("it is for the processor {other}")),
    }
}

fn driver(guest: &dyn Evidence, name: &'static str) -> WindowsDriver {
    let start = guest.number(In::System, &format!("{CURRENT}\\Services\\{name}"), "Start");
    let file = driver_file(guest, name);
    let there = file.and_then(|file| Ok(guest.has(&file)?.then(|| shown(file.as_bytes()))));
    WindowsDriver { name, start: start.into(), file: there.into() }
}

/// Returns the path of a driver's file: what its service says, or by its name.
fn driver_file(guest: &dyn Evidence, name: &str) -> Result<String, Reason> {
    let image = guest.text(In::System, &format!("{CURRENT}\\Services\\{name}"), "ImagePath")?;
    let Some(image) = image.filter(|image| !image.is_empty()) else {
        return Ok(format!("{DRIVERS}/{name}.sys"));
    };
    let slashes = image.replace('\\', "/");
    let lower = slashes.to_ascii_lowercase();
    // `\SystemRoot\System32\…`, `system32\…`, `\??\C:\Windows\…`
    let at = ["/systemroot/", "%systemroot%/", "/??/c:/windows/", "c:/windows/"]
        .iter()
        .find(|front| lower.starts_with(**front))
        .map_or(0, |front| front.len());
    Ok(format!("/Windows/{}", slashes[at..].trim_start_matches('/')))
}

impl Installed {
    fn open(view: &View, place: &str) -> Read<Self> {
        let ntfs = guarded(view, || Ntfs::open(view))?;
        let unmounted = guarded(view, || ntfs.was_unmounted());
        let partial = match unmounted {
            Ok(true) => None,
            Ok(false) => Some("it may be in the log of NTFS, which is not applied".to_owned()),
            Err(reason) => Some(reason),
        };
        let path = format!("{CONFIG}/SYSTEM");
        match guarded(view, || ntfs.kind(path.as_bytes()))? {
            Some(Kind::File) => {}
            _ => return partial.map_or(Ok(None), Err),
        }
        let hive = |name: &str| {
            let path = format!("{CONFIG}/{name}");
            let file = guarded(view, || ntfs.file(path.as_bytes()))?;
            Hive::open(Source::File(file.ok_or_else(|| format!("the hive {name} is missing"))?))
        };
        let (system, software) = (hive("SYSTEM"), hive("SOFTWARE"));
        let control = system.as_ref().map_err(Clone::clone).and_then(|system| {
            let current = system.value_at("Select", "Current")?.and_then(|value| value.number());
            let current = current.ok_or("the registry does not say which of its sets is in use")?;
            Ok(format!("ControlSet{current:03}"))
        });
        let place = place.to_owned();
        Ok(Some(Self { view: view.clone(), ntfs, place, system, software, control, partial }))
    }

    /// Returns a hive, and the path in it.
    fn hive(&self, hive: In, path: &str) -> Result<(&Hive, String), Reason> {
        let found = match hive {
            In::System => &self.system,
            In::Software => &self.software,
        };
        let found = found.as_ref().map_err(Clone::clone)?;
        let path = match path.strip_prefix(CURRENT) {
            Some(rest) => self.control.clone()? + rest,
            None => path.to_owned(),
        };
        Ok((found, path))
    }

    /// What is not there may yet be in what was not applied.
    fn or_in_logs<T>(found: Option<T>, hive: &Hive) -> Read<T> {
        match found {
            None if hive.is_behind() => {
                Err("it may be in the logs of the registry, which are not applied".to_owned())
            }
            found => Ok(found),
        }
    }

    fn or_in_log<T>(&self, found: Option<T>) -> Read<T> {
        match (found, &self.partial) {
            (None, Some(reason)) => Err(reason.clone()),
            (found, _) => Ok(found),
        }
    }
}

impl Evidence for Installed {
    fn has(&self, path: &str) -> Result<bool, Reason> {
        let found = guarded(&self.view, || self.ntfs.kind(path.as_bytes()))?;
        Ok(self.or_in_log(found)?.is_some())
    }

    fn front(&self, path: &str, most: usize) -> Read<Vec<u8>> {
        let found = guarded(&self.view, || {
            self.ntfs.file(path.as_bytes())?.map(|file| file.front(most)).transpose()
        })?;
        self.or_in_log(found)
    }

    fn is_read_only(&self, path: &str) -> Read<bool> {
        guarded(&self.view, || self.ntfs.is_read_only(path.as_bytes()))
    }

    fn has_key(&self, hive: In, path: &str) -> Result<bool, Reason> {
        let (hive, path) = self.hive(hive, path)?;
        Ok(Self::or_in_logs(hive.key(&path)?, hive)?.is_some())
    }

    fn value(&self, hive: In, path: &str, name: &str) -> Read<Value> {
        let (hive, path) = self.hive(hive, path)?;
        Self::or_in_logs(hive.value_at(&path, name)?, hive)
    }

    fn package(&self, prefix: &str) -> Read<u32> {
        let (hive, path) = self.hive(In::Software, PACKAGES)?;
        let Some(packages) = hive.key(&path)? else { return Self::or_in_logs(None, hive) };
        let state = match hive.beginning(&packages, prefix)? {
            Some(package) => hive.value(&package, "CurrentState")?.and_then(|value| value.number()),
            None => None,
        };
        Self::or_in_logs(state, hive)
    }

    fn volume_state(&self) -> Result<(bool, bool), Reason> {
        Ok((
            guarded(&self.view, || self.ntfs.is_dirty())?,
            guarded(&self.view, || self.ntfs.was_unmounted())?,
        ))
    }
}
