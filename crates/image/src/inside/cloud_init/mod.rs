//! cloud-init: which one is there, whether it runs, and where it will look for data.

mod config;
mod elsewhere;
mod installed;

use super::facts::{Answer, BootEntry, CloudInit, Told};
use super::text::{lines, shown};
use super::tree::Tree;
use super::units::{Unit, Units};
use super::volume::{Read, Reason};
pub(super) use config::{Network, Setting, Sources};
pub(super) use elsewhere::Elsewhere;
pub(super) use installed::{Version, version_of};

/// Its units, by the names that they have had.
const UNITS: [&str; 6] = [
    "cloud-init-main.service",
    "cloud-init-local.service",
    "cloud-init.service",
    "cloud-init-network.service",
    "cloud-config.service",
    "cloud-final.service",
];
const DISABLED: &str = "/etc/cloud/cloud-init.disabled";
pub(super) const IDENTIFY: &str = "/etc/cloud/ds-identify.cfg";

/// What keeps cloud-init from running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// A file that is there for that.
    File(&'static str),
    /// An argument of the kernel, in this line of the boot loader's configuration.
    Argument(String, usize),
    /// `policy: disabled` in this line of `ds-identify.cfg`.
    Policy(usize),
    /// The files that mask these units.
    Masked(Vec<(String, &'static str)>),
    /// Nothing starts its units.
    NotEnabled,
}

impl Obstacle {
    /// Says what was found where.
    pub(super) fn because(&self) -> String {
        match self {
            Self::File(path) => format!("{path} is there"),
            Self::Argument(file, line) => format!("{file} line {line} has the argument cloud-init=disabled"),
            Self::Policy(line) => format!("{IDENTIFY} line {line} says policy: disabled"),
            Self::Masked(units) => {
                let files: Vec<_> = units.iter().map(|(file, _)| file.as_str()).collect();
                format!("its units are masked by {}", files.join(", "))
            }
            Self::NotEnabled => "nothing starts its services".to_owned(),
        }
    }
}

/// What was read of an installed cloud-init.
#[derive(Debug)]
pub(super) struct Evidence {
    pub(super) version: Option<String>,
    pub(super) folder: String,
    /// The `datasource_list` that counts.
    pub(super) sources: Read<Setting<Sources>>,
    /// The `network` that counts.
    pub(super) network: Read<Setting<Network>>,
    /// `manual_cache_clean: true`.
    pub(super) keeps_cache: Read<Setting<()>>,
    /// The argument of the kernel that names the data source.
    pub(super) argument: Read<Elsewhere>,
    /// Data in the image for another one.
    pub(super) seed: Read<Elsewhere>,
    /// `datasource` in `ds-identify.cfg`, and its line.
    pub(super) one_source: Read<(usize, String)>,
    /// Whether `ds-identify` chooses among the data sources, before cloud-init starts.
    pub(super) identifies: Result<bool, Reason>,
    /// What keeps it from running, as far as that could be read.
    pub(super) obstacles: Vec<Obstacle>,
    /// Why other obstacles were not looked for.
    pub(super) unread: Option<Reason>,
}

/// Reads what there is of cloud-init; `None` if it is not installed.
pub(super) fn read(tree: &mut Tree, entries: &Answer<Vec<BootEntry>>) -> Read<Evidence> {
    let Some((version, folder)) = installed::find(tree)? else { return Ok(None) };
    let config = config::read(tree);
    let identify = tree.read(IDENTIFY, 64 << 10);
    let said = |key| {
        let found = identify.as_ref().map(|text| assigned(text.as_deref().unwrap_or_default(), key));
        found.map_err(Clone::clone)
    };
    let (policy, one_source) = (said("policy"), said("datasource"));
    let mut obstacles = Vec::new();
    let mut unread = None;
    let mut look = |found: Read<Obstacle>| match found {
        Ok(found) => obstacles.extend(found),
        Err(reason) => unread = Some(reason),
    };
    look(tree.has(DISABLED).map(|there| there.then_some(Obstacle::File(DISABLED))));
    look(policy.clone().map(|policy| {
        policy.and_then(|(line, policy)| {
            (policy.split(',').next() == Some("disabled")).then_some(Obstacle::Policy(line))
        })
    }));
    look(argument(entries));
    look(units(tree));
    let identifies = policy.and_then(|policy| {
        let leaves_it =
            policy.is_some_and(|(_, policy)| policy.starts_with("enabled") || policy.starts_with("report"));
        let there = ["/usr/lib/cloud-init/ds-identify", "/usr/libexec/cloud-init/ds-identify"]
            .iter()
            .try_fold(false, |there, path| Ok::<_, Reason>(there || tree.has(path)?))?;
        Ok(there && !leaves_it)
    });
    Ok(Some(Evidence {
        version,
        folder,
        sources: config.sources,
        network: config.network,
        keeps_cache: config.keeps_cache,
        argument: elsewhere::argument(entries),
        seed: elsewhere::seed(tree),
        one_source,
        identifies,
        obstacles,
        unread,
    }))
}

impl Evidence {
    /// Tells what follows from it.
    pub(super) fn facts(&self) -> CloudInit {
        CloudInit {
            version: self.version.clone(),
            folder: self.folder.clone(),
            runs: match (self.obstacles.first(), &self.unread) {
                (Some(obstacle), _) => Told::No(obstacle.because()),
                (None, Some(reason)) => Told::Unread(reason.clone()),
                (None, None) => Told::Yes,
            },
            finds_ecs: self.finds_ecs(),
            sets_up_network: match &self.network {
                Ok(Some(Setting { file, line, value: Network::Disabled })) => {
                    Told::No(format!("{file} line {line} says so"))
                }
                Ok(Some(Setting { file, line, value: Network::Own })) => {
                    Told::No(format!("{file} line {line} has a configuration of its own"))
                }
                Ok(None) => Told::Yes,
                Err(reason) => Told::Unread(reason.clone()),
            },
        }
    }

    fn finds_ecs(&self) -> Told {
        match &self.argument {
            Ok(Some(found @ Elsewhere::Argument { names, .. })) => {
                match names.iter().any(|name| is_ecs(name)) {
                    true => Told::Yes,
                    false => Told::No(found.because()),
                }
            }
            Ok(_) => self.finds_by_files(),
            Err(reason) => self.finds_by_files().and(&Told::Unread(reason.clone())),
        }
    }

    /// Tells the same where no argument of the kernel decides.
    pub(super) fn finds_by_files(&self) -> Told {
        if let Ok(Some((line, source))) = &self.one_source {
            return match is_ecs(source) {
                true => Told::Yes,
                false => {
                    Told::No(format!("{IDENTIFY} line {line} says datasource: {}", shown(source.as_bytes())))
                }
            };
        }
        match (&self.one_source, &self.sources) {
            (Err(reason), _) | (_, Err(reason)) => Told::Unread(reason.clone()),
            (_, Ok(None)) => self.unless_seeded(),
            (_, Ok(Some(setting))) if setting.value.has_both() => self.unless_seeded(),
            (_, Ok(Some(setting))) if setting.value.names.iter().any(|name| is_ecs(name)) => Told::Yes,
            // `ds-identify` takes no list but one in a line, and puts what it finds before what cloud-init has read.
            (_, Ok(Some(setting))) if !setting.value.is_one_line && self.identifies != Ok(false) => {
                Told::Unread("ds-identify and cloud-init take datasource_list differently".to_owned())
            }
            (_, Ok(Some(setting))) => Told::No(setting.said()),
        }
    }
}

impl Evidence {
    /// Tells whether ECS is found where NoCloud is looked for too, and would come first.
    fn unless_seeded(&self) -> Told {
        match &self.seed {
            Ok(None) => Told::Yes,
            Ok(Some(seed)) => Told::No(seed.because()),
            Err(reason) => Told::Unread(reason.clone()),
        }
    }
}

impl Sources {
    /// Whether it has ECS, and NoCloud before it.
    fn has_both(&self) -> bool {
        let at = |is: fn(&str) -> bool| self.names.iter().position(|name| is(name));
        let no_cloud = at(|name| name.trim().eq_ignore_ascii_case("nocloud"));
        at(is_ecs).is_some_and(|ecs| no_cloud.is_some_and(|first| first < ecs))
    }
}

impl Setting<Sources> {
    /// Says what is said where.
    pub(super) fn said(&self) -> String {
        let names = shown(self.value.names.join(", ").as_bytes());
        format!("{} line {} says datasource_list: [{names}]", self.file, self.line)
    }
}

/// Whether this is the data source of ECS. cloud-init names it `AliYun`; in pages of the vendor it is `Aliyun` too.
fn is_ecs(source: &str) -> bool {
    source.trim().eq_ignore_ascii_case("aliyun")
}

/// Returns the line and value of a key in `ds-identify.cfg`, the first as its own reader takes it.
fn assigned(text: &[u8], key: &str) -> Option<(usize, String)> {
    lines(text).find_map(|(number, line)| {
        let line = line.split('#').next().unwrap_or_default();
        let (name, value) = line.split_once(':')?;
        (name.trim() == key).then(|| (number, value.trim().trim_matches(['"', '\'']).to_owned()))
    })
}

/// Looks at the arguments of the kernel that is started.
fn argument(entries: &Answer<Vec<BootEntry>>) -> Read<Obstacle> {
    let entries = match entries {
        Answer::Found(entries) => entries,
        Answer::Absent => return Ok(None),
        Answer::Unread(reason) => return Err(reason.clone()),
    };
    let default = entries.iter().find(|entry| entry.is_default);
    Ok(default
        .filter(|entry| entry.argument("cloud-init") == Some("disabled"))
        .map(|entry| Obstacle::Argument(entry.file.clone(), entry.line)))
}

/// Looks whether its units are started.
fn units(tree: &mut Tree) -> Read<Obstacle> {
    let units = Units::of(tree)?;
    let mut masked = Vec::new();
    let (mut there, mut starts) = (false, false);
    for name in UNITS {
        match units.state(tree, name)? {
            Unit::Absent => {}
            Unit::Disabled => there = true,
            Unit::Masked(file) => masked.push((file, name)),
            Unit::Starts(_) => (there, starts) = (true, true),
        }
    }
    if !masked.is_empty() {
        return Ok(Some(Obstacle::Masked(masked)));
    }
    match (there, starts) {
        (true, false) => Ok(Some(Obstacle::NotEnabled)),
        (true, true) => Ok(None),
        (false, _) => Err("none of the services of cloud-init was found".to_owned()),
    }
}
