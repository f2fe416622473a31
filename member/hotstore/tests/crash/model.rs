//! What the store may answer after a crash: per partition the states that it went through and the oldest one allowed.
//!
//! The law: an acknowledged state never goes back; whatever comes back was once the state, exactly.
//! Must not know: how the store keeps it.

use jet_hotstore::{Contents, EpochId, LoadReport, Loaded, Record, Version};
use std::collections::BTreeMap;

pub type Content = BTreeMap<(u32, Vec<u8>), Vec<u8>>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    pub version: Version,
    pub complete: bool,
    pub content: Content,
}

impl State {
    /// The version of a partition of which nothing is held says nothing (its record may have been collected).
    fn same(&self, other: &State) -> bool {
        let nothing = |s: &State| !s.complete && s.content.is_empty();
        self == other || (nothing(self) && nothing(other))
    }
}

#[derive(Debug, Clone)]
pub struct Part {
    /// Index 0: nothing on disk.
    pub states: Vec<State>,
    pub acked: usize,
    /// Content in RAM, ahead of what counts while a copy is in transfer.
    pub ram: Content,
    pub version: Version,
    pub counts: bool,
}

impl Default for Part {
    fn default() -> Self {
        let nothing = State { version: Version::default(), complete: false, content: Content::new() };
        Part { states: vec![nothing], acked: 0, ram: Content::new(), version: Version::default(), counts: true }
    }
}

impl Part {
    pub fn note(&mut self, complete: bool) {
        if self.counts {
            self.states.push(State { version: self.version, complete, content: self.ram.clone() });
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EpochFate {
    Maybe,
    Must,
}

#[derive(Debug, Clone, Default)]
pub struct Model {
    pub parts: BTreeMap<u16, Part>,
    pub epochs: BTreeMap<EpochId, EpochFate>,
    /// Generation and operation of its seal that the directory may stand at.
    pub allowed: Vec<(u64, Option<String>)>,
    /// The disk broke its contract without a word, and then the power went: what was acknowledged may be gone, but whatever
    /// comes back was once the state.
    pub betrayed: bool,
    /// The disk may break its contract without a word: a tail that was durable may be told as torn, with what was cut. Only
    /// the mark behind it proves that it was durable, and that one may be what was lost.
    pub tail_may_go: bool,
}

impl Model {
    pub fn ack(&mut self) {
        for part in self.parts.values_mut() {
            part.acked = part.states.len() - 1;
        }
    }

    /// Applies a live change to the RAM content.
    pub fn change(&mut self, record: &Record) {
        use jet_hotstore::Kind;
        let part = self.parts.entry(record.partition).or_default();
        part.version = record.version;
        let key = (record.space, record.key.to_vec());
        match record.kind {
            Kind::Put => {
                part.ram.insert(key, record.value.to_vec());
            }
            Kind::Remove => {
                part.ram.remove(&key);
            }
            Kind::Clear => part.ram.retain(|(space, _), _| *space != record.space),
            _ => {}
        }
        part.note(true);
    }

    pub fn stands(&self, contents: &Contents) -> Result<(), String> {
        let found = match contents {
            Contents::Blank => (0, None),
            Contents::Unsealed { generation, .. } => (*generation, None),
            Contents::Sealed(seal) => (seal.manifest.generation, Some(seal.manifest.operation.clone())),
            Contents::Founding(_) => return Err("founding".to_owned()),
        };
        if self.allowed.contains(&found) || self.betrayed {
            Ok(())
        } else {
            Err(format!("stands at {found:?}, allowed {:?}", self.allowed))
        }
    }

    /// Compares what was loaded; on success the model goes on from it.
    pub fn take_over(&mut self, report: &LoadReport, loaded: &BTreeMap<u16, Content>) -> Result<(), String> {
        for found in &report.partitions {
            self.parts.entry(found.partition).or_default();
        }
        for (partition, part) in &mut self.parts {
            let found = report.partitions.iter().find(|f| f.partition == *partition);
            let content = loaded.get(partition).cloned().unwrap_or_default();
            let state = State {
                version: found.map_or(Version::default(), |f| f.version),
                complete: found.is_some_and(|f| f.complete),
                content,
            };
            let is_told = self.tail_may_go && report.cut.is_some();
            let oldest = if self.betrayed || is_told { 0 } else { part.acked };
            let Some(at) = (oldest..part.states.len()).find(|i| part.states[*i].same(&state)) else {
                return Err(format!(
                    "partition {partition}: found {state:?}, allowed from {} of {:#?}",
                    part.acked, part.states
                ));
            };
            part.states.truncate(at + 1);
            part.acked = part.acked.min(at);
            part.ram = state.content;
            part.version = state.version;
            part.counts = !found.is_some_and(|f| f.interrupted);
        }
        self.take_over_epochs(report)
    }

    fn take_over_epochs(&mut self, report: &LoadReport) -> Result<(), String> {
        let found: Vec<EpochId> = report.epochs.iter().map(|info| info.id).collect();
        for (id, fate) in &self.epochs {
            // One whose file does not verify is told by name; the job goes on from an older one, or from a peer's.
            let told = !report.damaged_epochs.is_empty();
            if *fate == EpochFate::Must && !found.contains(id) && !told && !self.betrayed {
                return Err(format!("epoch {id:?} is gone"));
            }
        }
        match found.iter().find(|id| !self.epochs.contains_key(id)) {
            Some(id) => Err(format!("epoch {id:?} was never written")),
            None => Ok(()),
        }
    }
}

/// What the content of an epoch is, for any name.
pub fn epoch_content(id: EpochId) -> Vec<(u32, u16, Vec<u8>)> {
    (0..4u16).map(|p| (7, p, format!("{id:?} part {p}").repeat(usize::from(p) + 1).into_bytes())).collect()
}

pub fn apply(loaded: &mut BTreeMap<u16, Content>, record: Loaded<'_>) {
    match record {
        Loaded::Put { space, partition, key, value, .. } => {
            loaded.entry(partition).or_default().insert((space, key.to_vec()), value.to_vec());
        }
        Loaded::Remove { space, partition, key, .. } => {
            loaded.entry(partition).or_default().remove(&(space, key.to_vec()));
        }
        Loaded::Clear { space, partition, .. } => {
            loaded.entry(partition).or_default().retain(|(s, _), _| *s != space);
        }
    }
}
