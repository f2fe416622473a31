//! The moment of a backup: up to where the log goes in it, and which chunks that is.
//!
//! The law: what was appended before is durable when the cut is made; the chunks that belong to it stay until the cut is
//! dropped, and nothing more becomes durable before `quiet` is. Must not know: names and directories of the backup.

use super::BackupError;
use crate::log::appender::{Appender, Origin};
use crate::log::chunk::ChunkId;
use crate::seal::SealSummary;
use crate::store::{Known, Phase, Store, locked};
use std::collections::BTreeMap;
use std::sync::MutexGuard;

/// What belongs to a backup.
pub(super) struct Cut<'a> {
    pub origin: Origin,
    pub generation: u64,
    pub sealed: bool,
    /// All records up to this one are in it.
    pub ticket: u64,
    /// Chunks that are not written to any more, with the length that counts.
    pub closed: BTreeMap<ChunkId, u64>,
    /// The chunk begun behind them, with the length that it began with.
    pub begun: Option<(ChunkId, u64)>,
    /// The seal that the backup keeps: it stands, or is void and kept as a floor.
    pub seal: Option<SealSummary>,
    /// The log stands still as long as this is there; dropped before `held`, which asks for the log.
    pub quiet: Option<MutexGuard<'a, Option<Appender>>>,
    pub held: Option<Held<'a>>,
}

/// Keeps the chunks of a cut.
pub(super) struct Held<'a>(&'a Store);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Some(appender) = locked(&self.0.appender).as_mut() {
            appender.let_go();
        }
    }
}

impl Store {
    /// Makes the cut. `known` is locked by the caller, so that nothing is sealed or opened meanwhile.
    pub(super) fn cut(&self, known: &Known, seal: Option<SealSummary>) -> Result<Cut<'_>, BackupError> {
        let origin = self.origin()?;
        let files = seal.iter().flat_map(|seal| &seal.manifest.files);
        let mut closed: BTreeMap<ChunkId, u64> = files.filter_map(|file| Some((file.chunk?, file.length))).collect();
        let mut guard = locked(&self.appender);
        let mut begun = None;
        if let Some(appender) = guard.as_mut() {
            if known.phase == Phase::Open {
                self.queue.pump_to_end(appender).map_err(BackupError::Log)?;
                let rolled = appender.roll();
                self.queue.refresh(appender);
                if let Err(error) = rolled {
                    let failed = appender.failure().is_some();
                    return Err(if failed { BackupError::Log(error) } else { error.into() });
                }
                let mut chain = appender.chain();
                begun = chain.pop();
                closed.extend(chain);
            }
            appender.hold(closed.keys().copied().chain(begun.map(|(id, _)| id)).collect());
        }
        let held = guard.is_some().then(|| Held(self));
        let quiet = Some(guard);
        let (generation, sealed) = (known.generation, known.phase == Phase::Sealed);
        let ticket = self.queue.health().durable.0;
        Ok(Cut { origin, generation, sealed, ticket, closed, begun, seal, quiet, held })
    }
}
