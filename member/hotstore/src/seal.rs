//! The manifest of a seal: what exactly this member has on its volume, so that it can be proved later without anybody's help.
//!
//! The law: a manifest is written only when everything that it names is durable and was read back; it is never changed.
//! Must not know: why the cluster stops, what the machine copy says.

use crate::disk::Disk;
use crate::failure::StoreError;
use crate::frame::{self, Magic};
use crate::layout;
use crate::log::chunk::ChunkId;
use crate::log::plan::Plan;
use crate::log::record::{Space, Version};
use crate::refusal::Refused;
use serde::{Deserialize, Serialize};
use std::path::Path;
use uuid::Uuid;

const MAGIC: Magic = *b"JETSEALM";
const COSTS: &str = "the proof of what this member had when the cluster stopped";

/// Content of one partition at the seal, as the caller counted it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionContent {
    /// Partition.
    pub partition: u16,
    /// Version.
    pub version: Version,
    /// Entries in all spaces.
    pub entries: u64,
    /// Content digest as the caller computes it.
    pub digest: String,
}

/// What a seal is made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealRequest {
    /// Operation id.
    pub operation: String,
    /// Attempt of that operation.
    pub attempt: u32,
    /// Generation that is sealed; must be the current one.
    pub generation: u64,
    /// Content of every partition held.
    pub partitions: Vec<PartitionContent>,
    /// Copy of the cluster's memory, opaque.
    pub machine: Vec<u8>,
    /// Log index of that copy.
    pub machine_index: u64,
    /// Digest of the roster.
    pub roster_digest: String,
}

/// One file that the seal covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedFile {
    /// Path below the store's directory.
    pub name: String,
    /// Bytes from the start that are covered.
    pub length: u64,
    /// blake3 of those bytes, hex.
    pub digest: String,
    /// The chunk, if it is one.
    pub chunk: Option<ChunkId>,
}

/// The manifest's body. Its canonical bytes are the bytes written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Cluster.
    pub founding: Uuid,
    /// Incarnation.
    pub incarnation: u64,
    /// Member.
    pub member: Uuid,
    /// Generation.
    pub generation: u64,
    /// Number of the seal in this store; the highest is the newest.
    pub number: u64,
    /// Operation id.
    pub operation: String,
    /// Attempt.
    pub attempt: u32,
    /// Boot that sealed.
    pub boot: u64,
    /// Files, in order.
    pub files: Vec<SealedFile>,
    /// Partitions, in order.
    pub partitions: Vec<PartitionContent>,
    /// What counts of the chunks: with it they are read once.
    pub plan: Plan,
    /// Spaces that records belong to, in order.
    pub spaces: Vec<Space>,
    /// Sum of entries.
    pub entries: u64,
    /// Sum of file lengths.
    pub bytes: u64,
    /// Log index of the machine copy.
    pub machine_index: u64,
    /// blake3 of the machine copy, hex.
    pub machine_digest: String,
    /// Digest of the roster.
    pub roster_digest: String,
}

/// A seal as read or made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealSummary {
    /// What it says.
    pub manifest: Manifest,
    /// Copy of the cluster's memory.
    pub machine: Vec<u8>,
    /// blake3 over the manifest's canonical bytes, hex: the name of this content.
    pub digest: String,
}

impl Manifest {
    /// What in it cannot be true of any store in `dir`, whatever its files hold.
    pub(crate) fn contradiction(&self, dir: &Path) -> Option<String> {
        if let Some(file) = self.files.iter().find(|file| !file.is_named_as_it_is(dir)) {
            return Some(format!("it names {} as what cannot have that name", file.name));
        }
        let numbers = self.files.iter().filter_map(|file| file.chunk).map(|chunk| chunk.number);
        if !ascend(numbers) {
            return Some("its chunks are in no order".to_owned());
        }
        if !ascend(self.spaces.iter().map(|space| u64::from(space.id))) {
            return Some("its maps are in no order".to_owned());
        }
        if !ascend(self.partitions.iter().map(|content| u64::from(content.partition))) {
            return Some("its partitions are in no order".to_owned());
        }
        let entries = sum(self.partitions.iter().map(|content| content.entries));
        let bytes = sum(self.files.iter().map(|file| file.length));
        let is_summed = entries == Some(self.entries) && bytes == Some(self.bytes);
        (!is_summed).then(|| "its sums are not those of its parts".to_owned())
    }
}

fn ascend(mut numbers: impl Iterator<Item = u64>) -> bool {
    let mut last = None;
    numbers.all(|number| last.replace(number).is_none_or(|last| last < number))
}

fn sum(mut numbers: impl Iterator<Item = u64>) -> Option<u64> {
    numbers.try_fold(0, u64::checked_add)
}

impl SealedFile {
    fn is_named_as_it_is(&self, dir: &Path) -> bool {
        let path = dir.join(&self.name);
        match self.chunk {
            Some(id) => path == layout::chunk(dir, id.generation, id.number),
            None => {
                let room = path.parent().filter(|room| room.parent() == Some(layout::data(dir).as_path()));
                let name = |path: &Path| path.file_name().map(|name| layout::parse(&name.to_string_lossy()));
                name(&path) == Some(layout::Name::Epoch)
                    && matches!(room.and_then(name), Some(layout::Name::Generation(_)))
            }
        }
    }
}

/// The seal digest of a manifest.
pub fn digest_of(manifest: &Manifest) -> Result<String, StoreError> {
    let bytes = serde_json::to_vec(manifest)
        .map_err(|error| StoreError::Misuse { call: "encode a seal", why: error.to_string() })?;
    Ok(blake3::hash(&bytes).to_hex().to_string())
}

pub(crate) fn write(disk: &dyn Disk, dir: &Path, manifest: &Manifest, machine: &[u8]) -> Result<(), StoreError> {
    let path = layout::seal(dir, manifest.generation, manifest.number);
    frame::save_pair(disk, MAGIC, &path, manifest.number, manifest, machine)
}

/// Reads one seal; the second part lists a damaged copy whose twin is whole.
pub(crate) fn read(
    disk: &dyn Disk,
    dir: &Path,
    generation: u64,
    number: u64,
) -> Result<(SealSummary, Vec<Refused>), StoreError> {
    let path = layout::seal(dir, generation, number);
    let pair = frame::load_pair::<Manifest>(disk, MAGIC, &path, COSTS)?;
    let Some((_, frame)) = pair.newest else {
        return Err(Refused::Missing { file: path, why: "it was listed a moment ago".to_owned() }.into());
    };
    let (manifest, machine) = (frame.body, frame.blob);
    if blake3::hash(&machine).to_hex().as_str() != manifest.machine_digest {
        let why = "its copy of the cluster's memory has another digest than it says".to_owned();
        return Err(Refused::Inconsistent { file: path, why }.into());
    }
    if let Some(why) = manifest.contradiction(dir) {
        return Err(Refused::Inconsistent { file: path, why }.into());
    }
    let digest = digest_of(&manifest)?;
    Ok((SealSummary { manifest, machine, digest }, pair.damaged))
}
