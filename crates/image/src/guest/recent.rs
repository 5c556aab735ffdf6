use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

/// The stretches of bytes that were used last, by where they come from. Several threads share it; none waits while
/// another one reads or unpacks.
pub(crate) struct Recent {
    most: usize,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    uses: u64,
    /// Each with the number of its last use.
    stretches: HashMap<u64, (u64, Arc<[u8]>)>,
}

impl fmt::Debug for Recent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recent").field("most", &self.most).finish_non_exhaustive()
    }
}

impl Recent {
    /// Holds at most `most` stretches, at least one.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, held: Mutex::default() }
    }

    pub(crate) fn get(&self, key: u64) -> Option<Arc<[u8]>> {
        let mut held = self.held();
        held.uses += 1;
        let uses = held.uses;
        let (used, bytes) = held.stretches.get_mut(&key)?;
        *used = uses;
        Some(Arc::clone(bytes))
    }

    /// Takes a stretch, in place of the one that was not used for longest.
    pub(crate) fn put(&self, key: u64, bytes: Arc<[u8]>) {
        let mut held = self.held();
        if held.stretches.len() >= self.most && !held.stretches.contains_key(&key) {
            let oldest = held.stretches.iter().min_by_key(|(_, (used, _))| *used).map(|(key, _)| *key);
            oldest.map(|oldest| held.stretches.remove(&oldest));
        }
        held.uses += 1;
        let uses = held.uses;
        held.stretches.insert(key, (uses, bytes));
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.held().stretches.len()
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().expect("nothing panics while the lock is held")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_used_for_longest_makes_room() {
        let recent = Recent::new(2);
        for key in [1, 2] {
            recent.put(key, [key as u8].into());
        }
        assert_eq!(recent.get(1).as_deref(), Some([1].as_slice()));
        recent.put(3, [3].into());
        assert_eq!(
            (recent.get(1).is_some(), recent.get(2).is_some(), recent.get(3).is_some()),
            (true, false, true)
        );
        recent.put(3, [4].into());
        assert!(recent.get(1).is_some(), "the same key takes no second place");
    }
}
