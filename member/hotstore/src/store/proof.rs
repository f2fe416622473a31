//! Reading back what was written, while RAM still has it.
//!
//! The law: a chunk is proved when its bytes, asked from the device, were walked to their durable length. Closed chunks are
//! proved one by one while the cluster runs, so that a seal has only the last one to read. One that does not verify is spoilt:
//! whatever has content in it is written anew from RAM, and no seal names it. Must not know: who has the RAM.

use super::{Store, locked};
use crate::failure::{On, StoreError};
use crate::layout;
use crate::log::chunk::{self, ChunkId, Extent};
use crate::refusal::Refused;
use crate::seal::{SealSummary, SealedFile};
use std::collections::{BTreeMap, BTreeSet};

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
        self.proved(id, length).map(|_| true)
    }

    /// A chunk as a seal names it: as it was proved before, or proved now.
    pub(super) fn proved(&self, id: ChunkId, length: u64) -> Result<SealedFile, StoreError> {
        if let Some(known) = locked(&self.proofs).whole.get(&id).filter(|file| file.length == length) {
            return Ok(known.clone());
        }
        let path = layout::chunk(&self.dir, id.generation, id.number);
        let bytes = self.disk.read_past_cache(&path).on("read back", &path)?;
        let why = "it is part of the content".to_owned();
        let read = bytes.ok_or_else(|| Refused::Missing { file: path.clone(), why });
        let walked = read.and_then(|bytes| {
            chunk::walk(&path, &bytes, Extent::Exactly(length), &mut |_, _| {})?;
            Ok(bytes)
        });
        match walked {
            Ok(bytes) => {
                let name = path.strip_prefix(&self.dir).unwrap_or(&path).to_string_lossy().into_owned();
                let digest = blake3::hash(&bytes[..length as usize]).to_hex().to_string();
                let file = SealedFile { name, length, digest, chunk: Some(id) };
                locked(&self.proofs).whole.insert(id, file.clone());
                Ok(file)
            }
            Err(refused) => {
                locked(&self.proofs).spoilt.insert(id);
                if let Some(appender) = locked(&self.appender).as_mut() {
                    appender.is_spoilt(id);
                }
                Err(refused.into())
            }
        }
    }

    /// What a load compared with its seal is proved.
    pub(super) fn proved_by(&self, seal: &SealSummary) {
        let chunks = seal.manifest.files.iter().filter_map(|file| Some((file.chunk?, file.clone())));
        locked(&self.proofs).whole.extend(chunks);
    }

    /// The newest chunk that does not verify.
    pub(super) fn newest_spoilt(&self) -> Option<ChunkId> {
        locked(&self.proofs).spoilt.last().copied()
    }
}
