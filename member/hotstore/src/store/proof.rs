//! Reading back what was written, while RAM still has it.
//!
//! The law: a chunk is proved when its bytes, asked from the device, were walked to their durable length. Closed chunks are
//! proved one by one while the cluster runs, so that a seal has only the last one to read. One that does not verify is spoilt:
//! whatever has content in it is written anew from RAM, and no seal names it. Must not know: who has the RAM.

use super::load::stream::{Source, check_only};
use super::progress::Doing;
use super::{Store, locked};
use crate::failure::StoreError;
use crate::layout;
use crate::log::chunk::ChunkId;
use crate::refusal::Refused;
use crate::seal::{SealSummary, SealedFile};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// What is known of chunks on the device.
#[derive(Debug, Default)]
pub(super) struct Proofs {
    whole: BTreeMap<ChunkId, SealedFile>,
    spoilt: BTreeSet<ChunkId>,
}

impl Store {
    /// Proves one closed chunk that was not read back yet; `false`: there is none. An error names a chunk that does not
    /// verify; [`Store::partitions_to_rewrite`] then gives whatever has content in it. Blocks for a chunk's length.
    pub fn prove_one(&self) -> Result<bool, StoreError> {
        let chain = locked(&self.appender).as_ref().map(crate::log::appender::Appender::chain).unwrap_or_default();
        let Some((_, closed)) = chain.split_last() else { return Ok(false) };
        let next = {
            let mut proofs = locked(&self.proofs);
            let oldest = chain.first().map(|(id, _)| *id);
            proofs.whole.retain(|id, _| oldest.is_some_and(|oldest| *id >= oldest));
            proofs.spoilt.retain(|id| oldest.is_some_and(|oldest| *id >= oldest));
            let known = |(id, length): &&(ChunkId, u64)| {
                proofs.spoilt.contains(id) || proofs.whole.get(id).is_some_and(|file| file.length == *length)
            };
            closed.iter().find(|chunk| !known(chunk)).copied()
        };
        let Some((id, length)) = next else { return Ok(false) };
        self.proved(&[(id, length)], None).map(|_| true)
    }

    /// Chunks as a seal names them: as they were proved before, or proved now, in one reading, which is told as this.
    pub(super) fn proved(&self, chunks: &[(ChunkId, u64)], told: Option<Doing>) -> Result<Vec<SealedFile>, StoreError> {
        let is_new = |(id, length): &&(ChunkId, u64)| {
            locked(&self.proofs).whole.get(id).is_none_or(|file| file.length != *length)
        };
        let new: Vec<_> =
            chunks.iter().filter(is_new).map(|(id, length)| (*id, *length, self.chunk_path(*id))).collect();
        let sources: Vec<_> = new.iter().map(|(id, length, path)| Source { id: *id, path, length: *length }).collect();
        let far = told.map(|doing| self.board.begin(doing, sources.iter().map(|source| source.length).sum()));
        let read = check_only(self.disk.as_ref(), &sources, &mut |_, _| {}, &mut |_, _| {}, true, far.as_ref());
        drop(far);
        let digests = read.inspect_err(|error| self.note_spoilt(error, &new))?;
        let mut proofs = locked(&self.proofs);
        for ((id, length, path), digest) in new.iter().zip(digests) {
            let name = path.strip_prefix(&self.dir).unwrap_or(path).to_string_lossy().into_owned();
            proofs.whole.insert(*id, SealedFile { name, length: *length, digest, chunk: Some(*id) });
        }
        let named = |(id, _): &(ChunkId, u64)| {
            let unproved =
                || StoreError::Failed { file: self.chunk_path(*id), reason: "it was not read back".to_owned() };
            proofs.whole.get(id).cloned().ok_or_else(unproved)
        };
        chunks.iter().map(named).collect()
    }

    fn chunk_path(&self, id: ChunkId) -> PathBuf {
        layout::chunk(&self.dir, id.generation, id.number)
    }

    /// What is refused does not verify; a read that fails proves nothing.
    fn note_spoilt(&self, error: &StoreError, read: &[(ChunkId, u64, PathBuf)]) {
        let StoreError::Refused(refused) = error else { return };
        if matches!(refused, Refused::Locked { .. }) {
            return;
        }
        let Some((id, ..)) = read.iter().find(|(_, _, path)| refused.file() == Some(path)) else { return };
        locked(&self.proofs).spoilt.insert(*id);
        if let Some(appender) = locked(&self.appender).as_mut() {
            appender.is_spoilt(*id);
        }
    }

    /// What a load compared with its seal is proved.
    pub(super) fn proved_by(&self, seal: &SealSummary) {
        let chunks = seal.manifest.files.iter().filter_map(|file| Some((file.chunk?, file.clone())));
        locked(&self.proofs).whole.extend(chunks);
    }

    /// Digest of a chunk at this length, if it was read back.
    pub(super) fn proved_digest(&self, id: ChunkId, length: u64) -> Option<String> {
        let proofs = locked(&self.proofs);
        proofs.whole.get(&id).filter(|file| file.length == length).map(|file| file.digest.clone())
    }

    /// The newest chunk that does not verify.
    pub(super) fn newest_spoilt(&self) -> Option<ChunkId> {
        locked(&self.proofs).spoilt.last().copied()
    }
}
