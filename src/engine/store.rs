//! What the engine found out about models that no job changes, so that it is found out once.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    fmt::Debug,
    mem::size_of_val,
    sync::Arc,
};

use super::{Grid, Measured};
use crate::eval::{Answers, Examined, Features, Judged, Outputs, References, Seen, frechet};
use crate::models::Model;
use crate::saliency::Scores;
use crate::subject::Items;
use crate::words::Metrics;

/// Bytes that are kept: what was not used for longest goes first, and is found out again when it is asked for.
const BUDGET: usize = 1 << 30;

/// Something that is worth keeping.
pub trait Kept: Any + Send + Sync {
    /// Bytes of main memory that it takes, about.
    fn bytes(&self) -> usize;
}

/// Values by their type and their key, within a budget.
pub struct Store {
    entries: HashMap<(TypeId, String), Entry>,
    budget: usize,
    /// Counts uses.
    clock: u64,
}

struct Entry {
    value: Arc<dyn Any + Send + Sync>,
    bytes: usize,
    used: u64,
}

impl Default for Store {
    fn default() -> Self {
        Self { entries: HashMap::new(), budget: BUDGET, clock: 0 }
    }
}

impl Store {
    /// What is kept by this key.
    pub fn get<T: Kept>(&mut self, key: &impl Debug) -> Option<Arc<T>> {
        let entry = self.entries.get_mut(&address::<T>(key))?;
        self.clock += 1;
        entry.used = self.clock;
        entry.value.clone().downcast().ok()
    }

    /// Keeps a value; others make room for it.
    pub fn put<T: Kept>(&mut self, key: &impl Debug, value: T) -> Arc<T> {
        let (bytes, value) = (value.bytes(), Arc::new(value));
        self.clock += 1;
        let entry = Entry { value: value.clone(), bytes, used: self.clock };
        self.entries.insert(address::<T>(key), entry);
        while self.bytes() > self.budget && self.entries.len() > 1 {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.used);
            let Some(oldest) = oldest.map(|(address, _)| address.clone()) else { break };
            self.entries.remove(&oldest);
        }
        value
    }

    /// All values of a type.
    pub fn all<T: Kept>(&self) -> impl Iterator<Item = &T> {
        self.entries.values().filter_map(|entry| entry.value.downcast_ref())
    }

    /// Forgets what has a name in its key.
    pub fn forget(&mut self, name: &str) {
        // Keys are kept as they are told.
        let name = format!("{name:?}");
        self.entries.retain(|(_, key), _| !key.contains(name.trim_matches('"')));
    }

    /// Forgets all values of a type.
    pub fn let_go<T: Kept>(&mut self) {
        self.entries.retain(|(kind, _), _| *kind != TypeId::of::<T>());
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    fn bytes(&self) -> usize {
        self.entries.values().map(|entry| entry.bytes).sum()
    }
}

fn address<T: 'static>(key: &impl Debug) -> (TypeId, String) {
    (TypeId::of::<T>(), format!("{key:?}"))
}

impl Kept for Scores {
    fn bytes(&self) -> usize {
        size_of_val(&self.scores[..])
    }
}

impl Kept for Grid {
    fn bytes(&self) -> usize {
        self.pixels.len()
    }
}

impl Kept for Metrics {
    fn bytes(&self) -> usize {
        size_of_val(self)
    }
}

impl Kept for Vec<f32> {
    fn bytes(&self) -> usize {
        size_of_val(&self[..])
    }
}

impl Kept for Model {
    fn bytes(&self) -> usize {
        size_of_val(&self.weights.values[..])
    }
}

impl Kept for Measured {
    fn bytes(&self) -> usize {
        self.grid.bytes() + self.answers.as_ref().map_or(0, |answers| answers.bytes())
    }
}

impl Kept for Vec<Judged> {
    fn bytes(&self) -> usize {
        self.iter().map(Judged::bytes).sum()
    }
}

impl Kept for [Vec<Option<Seen>>; 2] {
    fn bytes(&self) -> usize {
        self.iter().map(|seen| size_of_val(&seen[..])).sum()
    }
}

impl Kept for Answers {
    fn bytes(&self) -> usize {
        [&self.forget, &self.retain, &self.test].map(Outputs::bytes).iter().sum()
    }
}

impl Kept for Examined {
    fn bytes(&self) -> usize {
        let layer = |of: &Features| size_of_val(&of.values[..]);
        self.answers.bytes() + self.layers.iter().flatten().map(layer).sum::<usize>()
    }
}

impl Kept for References {
    fn bytes(&self) -> usize {
        self.bytes()
    }
}

impl Kept for frechet::Reference {
    fn bytes(&self) -> usize {
        self.bytes()
    }
}

impl Kept for [Items; 2] {
    fn bytes(&self) -> usize {
        self.iter().map(Items::bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_unused_goes_first_and_types_have_keys_of_their_own() {
        let mut store = Store { budget: 32, ..Store::default() };
        store.put(&("a", 1), vec![1.0f32; 4]);
        store.put(&("b", 1), vec![2.0f32; 4]);
        assert!(
            store.get::<Vec<f32>>(&("a", 1)).is_some() && store.get::<Metrics>(&("a", 1)).is_none()
        );
        let last = store.put(&("c", 1), vec![3.0f32; 4]);
        assert!(
            store.get::<Vec<f32>>(&("b", 1)).is_none()
                && store.get::<Vec<f32>>(&("a", 1)).is_some()
        );
        assert_eq!(store.get::<Vec<f32>>(&("c", 1)), Some(last));
        // One that is larger than the budget is kept alone.
        store.put(&("d", 1), vec![0.0f32; 100]);
        assert_eq!((store.all::<Vec<f32>>().count(), store.bytes()), (1, 400));
        store.put(&("c:\\e", 1), vec![0.0f32; 1]);
        store.forget("c:\\e");
        assert_eq!(store.bytes(), 0);
    }
}
