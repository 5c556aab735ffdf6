//! What ECS and RAM keep, in memory and on disk.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::super::StoreError;
use super::super::options::EmulatorOptions;
use super::super::store::Store;
use super::clock::{Millis, VirtualClock};
use super::entry::{Entry, ObjectState};
use super::instance::Instance;
use super::options::EcsOptions;
use super::world::{self, Entries};

/// Kinds of records in the store.
const IMAGES: &str = "images";
const INSTANCES: &str = "instances";
const ROLES: &str = "roles";
const CLOCK: &str = "clock";

/// The role that lets ECS read OSS.
pub(super) const IMPORT_ROLE: &str = "AliyunECSImageImportDefaultRole";
/// The vendor's policy for it.
pub(super) const IMPORT_POLICY: &str = "AliyunECSImageImportRolePolicy";

/// A RAM role.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Role {
    pub(super) name: String,
    pub(super) trust_policy: String,
    pub(super) description: String,
    /// Type and name of each policy.
    pub(super) policies: Vec<(String, String)>,
    pub(super) created: Timestamp,
    pub(super) since: Millis,
    pub(super) max_session: u32,
}

impl Role {
    fn import_role(created: Timestamp) -> Self {
        let trust = serde_json::json!({
            "Version": "1",
            "Statement": [{
                "Action": "sts:AssumeRole",
                "Effect": "Allow",
                "Principal": {"Service": ["ecs.aliyuncs.com"]},
            }],
        });
        Self {
            name: IMPORT_ROLE.to_owned(),
            trust_policy: trust.to_string(),
            description: String::new(),
            policies: vec![("System".to_owned(), IMPORT_POLICY.to_owned())],
            created,
            since: 0,
            max_session: 3600,
        }
    }
}

/// The emulated ECS and RAM.
#[derive(Debug)]
pub(crate) struct Cloud(Mutex<State>);

/// What is behind the lock.
#[derive(Debug)]
pub(super) struct State {
    pub(super) options: EcsOptions,
    pub(super) entries: Entries,
    pub(super) instances: BTreeMap<String, Instance>,
    pub(super) roles: BTreeMap<String, Role>,
    /// When each pair of access key and nonce was seen.
    pub(super) nonces: BTreeMap<(String, String), Timestamp>,
    clock: VirtualClock,
}

impl Cloud {
    /// Reads what was kept and lets its clock go on.
    pub(crate) fn open(options: &EmulatorOptions, store: &Store) -> Result<Self, StoreError> {
        let real = options.clock.now();
        let saved = store.load_records::<VirtualClock>(CLOCK)?.pop();
        let clock = match saved {
            Some(clock) => clock.resume(real, options.speed),
            None => VirtualClock::start(real, options.speed),
        };
        // A full disk can still be read. The clock goes on from the record that is there.
        if let Err(error) = store.save_record(CLOCK, CLOCK, &clock) {
            let cause = error.source().map(ToString::to_string).unwrap_or_default();
            tracing::warn!("{error}: {cause}; what is there can be read");
        }
        let entries = store.load_records::<Entry>(IMAGES)?;
        let instances = store.load_records::<Instance>(INSTANCES)?;
        let roles = store.load_records::<Role>(ROLES)?;
        let mut roles: BTreeMap<String, Role> =
            roles.into_iter().map(|role| (role.name.clone(), role)).collect();
        if options.ecs.import_role {
            roles.entry(IMPORT_ROLE.to_owned()).or_insert_with(|| Role::import_role(real));
        }
        Ok(Self(Mutex::new(State {
            options: options.ecs.clone(),
            entries: entries.into_iter().map(|entry| (entry.image.id.clone(), entry)).collect(),
            instances: instances.into_iter().map(|instance| (instance.id.clone(), instance)).collect(),
            roles,
            nonces: BTreeMap::new(),
            clock,
        })))
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no panic while the lock is held")
    }

    /// Changes how the services behave from now on.
    pub(crate) fn update(&self, change: impl FnOnce(&mut EcsOptions)) {
        change(&mut self.state().options);
    }

    /// Puts the clock of imports and copies forward.
    pub(crate) fn advance(&self, by: Duration, store: &Store) -> Result<(), StoreError> {
        let mut state = self.state();
        let clock = state.clock.advanced(by);
        store.save_record(CLOCK, CLOCK, &clock)?;
        state.clock = clock;
        Ok(())
    }
}

impl State {
    /// Returns the time of imports and copies at `real`.
    pub(super) fn millis(&self, real: Timestamp) -> Millis {
        self.clock.at(real)
    }

    /// Moves all work on to `real`.
    pub(super) fn settle(&mut self, real: Timestamp, store: &Store) -> Result<(), StoreError> {
        let intact = |object: &ObjectState| {
            let found = store.object(&object.bucket, &object.key).ok().flatten();
            found.is_some_and(|found| object_state(object, &found.record) == *object)
        };
        let (now, limit) = (self.millis(real), self.options.running_limit.max(1));
        let changed = world::settle(&mut self.entries, now, real, limit, intact);
        for id in changed {
            store.save_record(IMAGES, &id, &self.entries[&id])?;
        }
        let is_over = |it: &&mut Instance| !it.released && it.release_at.is_some_and(|at| at <= real);
        for instance in self.instances.values_mut().filter(is_over) {
            instance.released = true;
            store.save_record(INSTANCES, &instance.id, instance)?;
        }
        Ok(())
    }

    /// Whether there are instances whose system disks are copies of an image.
    pub(super) fn is_used(&self, image: &Entry) -> bool {
        let named = self.options.images_in_use.as_ref().is_some_and(|part| image.image.name.contains(part));
        named || self.instances.values().any(|it| !it.released && it.image == image.image.id)
    }

    /// Saves an instance, new or changed.
    pub(super) fn put_instance(&mut self, instance: Instance, store: &Store) -> Result<(), StoreError> {
        store.save_record(INSTANCES, &instance.id, &instance)?;
        self.instances.insert(instance.id.clone(), instance);
        Ok(())
    }

    /// Returns the serial of the next entry.
    pub(super) fn next_serial(&self) -> u64 {
        self.entries.values().map(|entry| entry.serial).max().unwrap_or(0) + 1
    }

    /// Saves an entry, new or changed.
    pub(super) fn put(&mut self, entry: Entry, store: &Store) -> Result<(), StoreError> {
        store.save_record(IMAGES, &entry.image.id, &entry)?;
        self.entries.insert(entry.image.id.clone(), entry);
        Ok(())
    }

    /// Saves a role, new or changed.
    pub(super) fn put_role(&mut self, role: Role, store: &Store) -> Result<(), StoreError> {
        store.save_record(ROLES, &role.name, &role)?;
        self.roles.insert(role.name.clone(), role);
        Ok(())
    }
}

/// Returns the state of an object whose record is `record`, under the same name as `of`.
fn object_state(of: &ObjectState, record: &super::super::store::ObjectRecord) -> ObjectState {
    ObjectState { size: record.size, etag: record.etag.clone(), modified: record.modified, ..of.clone() }
}

/// Returns a new id: prefix, three characters for the region, and 17 more.
pub(super) fn new_id(prefix: &str, region: &str) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let digit = |value: u128| char::from(DIGITS[(value % 36) as usize]);
    let code = match region {
        "cn-hangzhou" => "bp1".to_owned(),
        "eu-central-1" => "gw8".to_owned(),
        other => {
            let sum = other.bytes().fold(5381_u128, |sum, byte| sum * 33 + u128::from(byte)) % 46_656;
            [sum / 1296, sum / 36, sum].map(digit).iter().collect()
        }
    };
    let mut value = Uuid::new_v4().as_u128();
    let mut text = format!("{prefix}-{code}");
    for _ in 0..17 {
        text.push(digit(value));
        value /= 36;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_a_prefix_a_region_and_twenty_characters() {
        for (region, code) in [("cn-hangzhou", "m-bp1"), ("eu-central-1", "m-gw8"), ("us-west-1", "m-")] {
            let (one, two) = (new_id("m", region), new_id("m", region));
            assert!(one.starts_with(code) && one.len() == 22 && one != two, "{one} {two}");
            assert!(one[2..].bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()), "{one}");
        }
    }
}
