//! Sets of records.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

/// Records, by collection.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Records(BTreeMap<Box<str>, BTreeSet<Uuid>>);

impl Records {
    /// The records in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Uuid)> {
        self.0
            .iter()
            .flat_map(|(collection, records)| records.iter().map(move |record| (&**collection, *record)))
    }

    /// True if there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True if the record is one of them.
    #[must_use]
    pub fn contains(&self, collection: &str, record: Uuid) -> bool {
        self.0.get(collection).is_some_and(|records| records.contains(&record))
    }

    pub(super) fn insert(&mut self, collection: &str, record: Uuid) {
        match self.0.get_mut(collection) {
            Some(records) => {
                records.insert(record);
            }
            None => {
                self.0.insert(collection.into(), [record].into());
            }
        }
    }
}

impl<'a> FromIterator<(&'a str, Uuid)> for Records {
    fn from_iter<T: IntoIterator<Item = (&'a str, Uuid)>>(records: T) -> Self {
        let mut set = Self::default();
        for (collection, record) in records {
            set.insert(collection, record);
        }
        set
    }
}
