//! What a change did to entries, for those who listen.
//!
//! The law: told of what was applied, in its order, and by the primary alone, after the change is acknowledged; nothing is
//! made of it where nobody listens. Must not know: who listens.

use bytes::Bytes;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// The key came.
    Added,
    /// It has another value.
    Updated,
    /// Somebody removed it.
    Removed,
    /// It went to make room, or because somebody said so.
    Evicted,
    /// Its time was over.
    Expired,
    /// All keys that were not locked went to make room.
    AllEvicted,
    /// All keys that were not locked were removed.
    Cleared,
}

impl What {
    /// All kinds.
    pub const ALL: [Self; 7] =
        [Self::Added, Self::Updated, Self::Removed, Self::Evicted, Self::Expired, Self::AllEvicted, Self::Cleared];
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapEvent {
    /// Map.
    pub map: String,
    /// What happened.
    pub what: What,
    /// To which key; none: to many.
    pub key: Option<Bytes>,
    /// Value before.
    pub old: Option<Bytes>,
    /// Value now.
    pub new: Option<Bytes>,
    /// How many entries.
    pub count: u64,
}

/// What is gathered while a change is applied.
#[derive(Debug, Default)]
pub struct Events {
    /// Somebody listens.
    pub wanted: bool,
    /// In order.
    pub all: Vec<MapEvent>,
}

impl Events {
    /// Of one key.
    pub fn note(&mut self, what: What, map: &str, key: &Bytes, old: Option<&Bytes>, new: Option<&Bytes>) {
        if self.wanted {
            let (key, old, new) = (Some(key.clone()), old.cloned(), new.cloned());
            self.all.push(MapEvent { map: map.to_owned(), what, key, old, new, count: 1 });
        }
    }

    /// Of a value that was set over another, or over none.
    pub fn note_set(&mut self, map: &str, key: &Bytes, old: Option<&Bytes>, new: &Bytes) {
        let what = if old.is_some() { What::Updated } else { What::Added };
        self.note(what, map, key, old, Some(new));
    }

    /// Of what a job set or removed.
    pub fn note_written(&mut self, map: &str, key: &Bytes, old: Option<&Bytes>, new: Option<&Bytes>) {
        match (old, new) {
            (old, Some(new)) => self.note_set(map, key, old, new),
            (Some(_), None) => self.note(What::Removed, map, key, old, None),
            (None, None) => {}
        }
    }

    /// Of many keys at once; of none nothing is told.
    pub fn note_many(&mut self, what: What, map: &str, count: u64) {
        if self.wanted && count > 0 {
            self.all.push(MapEvent { map: map.to_owned(), what, key: None, old: None, new: None, count });
        }
    }
}
