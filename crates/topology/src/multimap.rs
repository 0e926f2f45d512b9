//! A map to sets that is cheap to clone, for indexes. Most sets have one member, which costs no set.
//!
//! # One map for all kinds of ids
//! There are dozens of indexes, and a map of each pair of types is compiled by itself. So what is the same in memory is kept as
//! the same type ([`Kept`]): that saves half a megabyte of an agent's program, which stays in memory on every host.

use imbl::{OrdMap, OrdSet};

/// What can be in a map, and as what it is kept there.
pub(crate) trait Kept {
    type As: Clone + Ord;
    /// As it is looked up.
    fn kept(&self) -> &Self::As;
    /// As it is put in.
    fn keep(self) -> Self::As;
    /// As it was.
    fn back(kept: &Self::As) -> Self;
}

/// Keeps a type as the one that it consists of.
macro_rules! kept_as {
    ($outer:ident => $inner:ty) => {
        impl $crate::multimap::Kept for $outer {
            type As = $inner;

            fn kept(&self) -> &$inner {
                &self.0
            }

            fn keep(self) -> $inner {
                self.0
            }

            fn back(kept: &$inner) -> Self {
                $outer(kept.clone())
            }
        }
    };
}
pub(crate) use kept_as;

/// Keeps types as they are.
macro_rules! kept_as_it_is {
    ($($kind:ty),* $(,)?) => {$(
        impl $crate::multimap::Kept for $kind {
            type As = Self;

            fn kept(&self) -> &Self {
                self
            }

            fn keep(self) -> Self {
                self
            }

            fn back(kept: &Self) -> Self {
                kept.clone()
            }
        }
    )*};
}
pub(crate) use kept_as_it_is;

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
pub(crate) struct MultiMap<K: Kept, V: Kept> {
    entries: Entries<K::As, V::As>,
}

/// What all maps of the same types have in common.
#[derive(Clone)]
struct Entries<K, V>(OrdMap<K, Members<V>>);

impl<K: Kept, V: Kept> Default for MultiMap<K, V> {
    fn default() -> Self {
        Self { entries: Entries(OrdMap::new()) }
    }
}

impl<K: Clone + Ord, V: Clone + Ord> Entries<K, V> {
    fn insert(&mut self, key: K, value: V) {
        match self.0.get(&key) {
            None => {
                self.0.insert(key, Members::One(value));
            }
            // What changes nothing must not copy what is shared with other clones.
            Some(members) if members.contains(&value) => {}
            Some(_) => {
                if let Some(members) = self.0.get_mut(&key) {
                    members.insert(value);
                }
            }
        }
    }

    fn remove(&mut self, key: &K, value: &V) {
        match self.0.get(key) {
            Some(Members::Many(many)) if many.len() > 1 && many.contains(value) => {
                if let Some(Members::Many(many)) = self.0.get_mut(key) {
                    many.remove(value);
                }
            }
            Some(members) if members.contains(value) => drop(self.0.remove(key)),
            _ => {}
        }
    }

    fn iter<'a>(&'a self, key: &K) -> impl Iterator<Item = &'a V> + use<'a, K, V> {
        let members = self.0.get(key);
        let one = members.and_then(|members| if let Members::One(one) = members { Some(one) } else { None });
        let many =
            members.and_then(|members| if let Members::Many(many) = members { Some(many) } else { None });
        one.into_iter().chain(many.into_iter().flat_map(OrdSet::iter))
    }

    fn agrees(&self, other: &Self, key: &K) -> bool {
        match (self.0.get(key), other.0.get(key)) {
            (Some(Members::Many(ours)), Some(Members::Many(theirs))) => ours.ptr_eq(theirs) || ours == theirs,
            _ => self.iter(key).eq(other.iter(key)),
        }
    }

    fn contains(&self, key: &K, value: &V) -> bool {
        self.0.get(key).is_some_and(|members| members.contains(value))
    }
}

impl<K: Kept, V: Kept> MultiMap<K, V> {
    pub(crate) fn insert(&mut self, key: K, value: V) {
        self.entries.insert(key.keep(), value.keep());
    }

    pub(crate) fn remove(&mut self, key: &K, value: &V) {
        self.entries.remove(key.kept(), value.kept());
    }

    pub(crate) fn iter<'a>(&'a self, key: &K) -> impl Iterator<Item = V> + use<'a, K, V> {
        self.entries.iter(key.kept()).map(V::back)
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = K> {
        self.entries.0.keys().map(K::back)
    }

    pub(crate) fn collect(&self, key: &K) -> Vec<V> {
        self.iter(key).collect()
    }

    pub(crate) fn first(&self, key: &K) -> Option<V> {
        self.iter(key).next()
    }

    /// Whether a key has the same values here and there.
    pub(crate) fn agrees(&self, other: &Self, key: &K) -> bool {
        self.entries.agrees(&other.entries, key.kept())
    }

    pub(crate) fn contains(&self, key: &K, value: &V) -> bool {
        self.entries.contains(key.kept(), value.kept())
    }
}
