//! A map to sets that is cheap to clone, for indexes. Most sets have one member, which costs no set.

use imbl::{OrdMap, OrdSet};

#[derive(Clone)]
enum Members<V> {
    One(V),
    Many(OrdSet<V>),
}

impl<V: Clone + Ord> Members<V> {
    fn contains(&self, value: &V) -> bool {
        match self {
            Self::One(one) => one == value,
            Self::Many(many) => many.contains(value),
        }
    }

    fn insert(&mut self, value: V) {
        match self {
            Self::One(one) => *self = Self::Many(OrdSet::from_iter([one.clone(), value])),
            Self::Many(many) => drop(many.insert(value)),
        }
    }
}

/// A persistent map from a key to an ordered set of values.
#[derive(Clone)]
pub(crate) struct MultiMap<K, V> {
    entries: OrdMap<K, Members<V>>,
}

impl<K, V> Default for MultiMap<K, V> {
    fn default() -> Self {
        Self { entries: OrdMap::new() }
    }
}

impl<K: Clone + Ord, V: Clone + Ord> MultiMap<K, V> {
    pub(crate) fn insert(&mut self, key: K, value: V) {
        match self.entries.get(&key) {
            None => {
                self.entries.insert(key, Members::One(value));
            }
            // What changes nothing must not copy what is shared with other clones.
            Some(members) if members.contains(&value) => {}
            Some(_) => {
                if let Some(members) = self.entries.get_mut(&key) {
                    members.insert(value);
                }
            }
        }
    }

    pub(crate) fn remove(&mut self, key: &K, value: &V) {
        match self.entries.get(key) {
            Some(Members::Many(many)) if many.len() > 1 && many.contains(value) => {
                if let Some(Members::Many(many)) = self.entries.get_mut(key) {
                    many.remove(value);
                }
            }
            Some(members) if members.contains(value) => drop(self.entries.remove(key)),
            _ => {}
        }
    }

    pub(crate) fn iter<'a>(&'a self, key: &K) -> impl Iterator<Item = &'a V> + use<'a, K, V> {
        let members = self.entries.get(key);
        let one = members.and_then(|members| if let Members::One(one) = members { Some(one) } else { None });
        let many =
            members.and_then(|members| if let Members::Many(many) = members { Some(many) } else { None });
        one.into_iter().chain(many.into_iter().flat_map(OrdSet::iter))
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        self.entries.keys()
    }

    pub(crate) fn collect(&self, key: &K) -> Vec<V> {
        self.iter(key).cloned().collect()
    }

    pub(crate) fn first(&self, key: &K) -> Option<&V> {
        self.iter(key).next()
    }

    /// Whether a key has the same values here and there.
    pub(crate) fn agrees(&self, other: &Self, key: &K) -> bool {
        match (self.entries.get(key), other.entries.get(key)) {
            (Some(Members::Many(ours)), Some(Members::Many(theirs))) => ours.ptr_eq(theirs) || ours == theirs,
            _ => self.iter(key).eq(other.iter(key)),
        }
    }

    pub(crate) fn contains(&self, key: &K, value: &V) -> bool {
        self.entries.get(key).is_some_and(|members| members.contains(value))
    }
}
