//! Writing the log: one owner. Chunks are begun whole (header, spaces, carried records) or not at all.
//!
//! The law: a file whose write or sync failed is never written or synced again; what was not durable is carried over
//! into a new file. Batches are filled up to the blocks of the device, so that no byte is ever written twice. A mark is
//! written only after a successful sync of everything before it.
//! Must not know: queues, callers, why records come.

mod open;

use super::chunk::{self, ChunkHeader, ChunkId, Previous};
use super::lot::{Kept, Lot, fill_up};
use super::plan::{Head, Place, Plan};
use super::record::{self, Record, Space};
use crate::disk::{BLOCK, Batch, Disk, batch};
use crate::failure::{On, StoreError};
use crate::frame;
use crate::layout;
use bytes::Bytes;
use open::{First, OpenChunk};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use uuid::Uuid;

/// Whose files these are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// Cluster.
    pub founding: Uuid,
    /// Member.
    pub member: Uuid,
    /// Boot.
    pub boot: u64,
}

/// Sizes that decide when a chunk is closed.
#[derive(Debug, Clone, Copy)]
pub struct ChunkLimits {
    /// Close a chunk at this length.
    pub chunk_bytes: u64,
    /// Begin a new chunk early when that many dead bytes can then be dropped.
    pub drop_bytes: u64,
}

/// Why the log stands still.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The given-up file.
    pub file: PathBuf,
    /// Why.
    pub reason: String,
}

impl From<&Failure> for StoreError {
    fn from(f: &Failure) -> StoreError {
        StoreError::Failed { file: f.file.clone(), reason: f.reason.clone() }
    }
}

/// What the reader of the log found, for the writer to go on from.
#[derive(Debug, Clone, Default)]
pub struct Heritage {
    /// Chain of chunks with their durable lengths, oldest first.
    pub chain: Vec<(ChunkId, u64)>,
    /// Plan of the durable records.
    pub plan: Plan,
    /// Records behind the last durable length, to be carried over.
    pub carry: Vec<Record>,
    /// Spaces.
    pub spaces: BTreeMap<u32, Space>,
    /// First chunk number that no file of the store has.
    pub next_number: u64,
}

/// The writing end of the log.
pub struct Appender {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    origin: Origin,
    limits: ChunkLimits,
    open: Option<OpenChunk>,
    chain: Vec<(ChunkId, u64)>,
    plan: Plan,
    unsynced: Vec<Kept>,
    unsynced_bytes: u64,
    /// Buffers of lots that are durable.
    buffers: Vec<Batch>,
    spaces: BTreeMap<u32, Space>,
    next_number: u64,
    retained: BTreeSet<ChunkId>,
    held: BTreeSet<ChunkId>,
    dead_but_held: Vec<ChunkId>,
    failure: Option<Failure>,
    generation: u64,
    after_seal: u64,
    spoilt: Option<ChunkId>,
}

impl Appender {
    /// A writer that has not begun a chunk yet.
    pub fn new(disk: Arc<dyn Disk>, dir: &Path, origin: Origin, limits: ChunkLimits, heritage: Heritage) -> Self {
        let unsynced = Lot::packed(&heritage.carry);
        Appender {
            disk,
            dir: dir.to_path_buf(),
            origin,
            limits,
            open: None,
            chain: heritage.chain,
            plan: heritage.plan,
            unsynced_bytes: unsynced.iter().map(|kept| kept.size() as u64).sum(),
            unsynced,
            buffers: Vec::new(),
            spaces: heritage.spaces,
            next_number: heritage.next_number.max(1),
            retained: BTreeSet::new(),
            held: BTreeSet::new(),
            dead_but_held: Vec::new(),
            failure: None,
            generation: 0,
            after_seal: 0,
            spoilt: None,
        }
    }

    /// Plan of what is durable.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Chain of chunks with durable lengths, the open one last.
    pub fn chain(&self) -> Vec<(ChunkId, u64)> {
        let mut chain = self.chain.clone();
        chain.extend(self.open.as_ref().map(|open| (open.id, open.durable)));
        chain
    }

    /// Number of the newest chunk; 0: none was begun.
    pub fn newest(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| open.id.number)
    }

    /// Bytes of all chunks.
    pub fn chain_bytes(&self) -> u64 {
        let open = self.open.as_ref().map_or(0, |open| open.durable);
        open + self.chain.iter().map(|(_, length)| length).sum::<u64>()
    }

    /// Bytes written since the last sync.
    pub fn unsynced_bytes(&self) -> u64 {
        self.unsynced_bytes
    }

    /// Why it stands still, if it does.
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// Spaces known.
    pub fn spaces(&self) -> &BTreeMap<u32, Space> {
        &self.spaces
    }

    /// Chunks that must stay although the log does not need them (the last seal's).
    pub fn retain(&mut self, chunks: BTreeSet<ChunkId>) {
        self.retained = chunks;
    }

    /// Chunks that are being linked: if they die meanwhile, they keep their names until [`Appender::let_go`].
    pub fn hold(&mut self, chunks: BTreeSet<ChunkId>) {
        self.held = chunks;
    }

    /// Chunks held.
    pub fn held(&self) -> &BTreeSet<ChunkId> {
        &self.held
    }

    /// Nothing is linked any more.
    pub fn let_go(&mut self) {
        self.held.clear();
        for id in std::mem::take(&mut self.dead_but_held) {
            self.unlink(id);
        }
    }

    /// Closes the chunk that is written to for good and begins the next. Where that fails before the next has a name,
    /// nothing has happened and the open one goes on.
    pub fn roll(&mut self) -> Result<(), StoreError> {
        self.healthy()?;
        let (number, path) = (self.next_number, layout::chunk(&self.dir, self.generation, self.next_number));
        match self.start_chunk() {
            Err(error) if self.next_number != number => Err(self.fail(error, &path)),
            done => done,
        }
    }

    /// Chunks begun from now on void the seals up to this number.
    pub fn set_after_seal(&mut self, number: u64) {
        self.after_seal = number;
    }

    /// This chunk does not verify: nothing more goes into it, and as soon as nothing needs it any more a new one says so.
    pub fn is_spoilt(&mut self, chunk: ChunkId) {
        self.spoilt = self.spoilt.max(Some(chunk));
        if self.open.as_ref().is_some_and(|open| open.id == chunk)
            && let Err(error) = self.begin(self.generation)
        {
            tracing::warn!(%error, "the log could not leave a chunk that does not verify; it waits for a retry");
        }
    }

    fn fail(&mut self, error: StoreError, file: &Path) -> StoreError {
        self.failure = Some(Failure { file: file.to_path_buf(), reason: error.to_string() });
        error
    }

    fn healthy(&self) -> Result<(), StoreError> {
        self.failure.as_ref().map_or(Ok(()), |failure| Err(failure.into()))
    }

    /// Begins writing in `generation`: a new chunk that carries what was not durable.
    pub fn begin(&mut self, generation: u64) -> Result<(), StoreError> {
        self.generation = generation;
        let path = layout::chunk(&self.dir, generation, self.next_number);
        match self.start_chunk() {
            Ok(()) => {
                self.failure = None;
                Ok(())
            }
            Err(error) => Err(self.fail(error, &path)),
        }
    }

    /// After a failed [`Appender::begin`]: it will be begun again. Where a chunk was open before, the failure stays: the new
    /// one may be found instead of what would be written there.
    pub fn forget_failure(&mut self) {
        if self.open.is_none() {
            self.failure = None;
        }
    }

    /// Goes on in a new file after a failure.
    pub fn retry(&mut self) -> Result<(), StoreError> {
        if self.failure.is_none() {
            return Ok(());
        }
        self.start_chunk()?;
        self.failure = None;
        Ok(())
    }

    /// Takes records; durable only after [`Appender::sync`]. After a failure they wait for the new file.
    pub fn write(&mut self, lot: Lot) -> Result<(), StoreError> {
        let healthy = self.healthy();
        self.spaces.extend(lot.spaces().into_iter().map(|space| (space.id, space)));
        self.unsynced_bytes += lot.size() as u64;
        let open = self.open.as_mut().filter(|_| healthy.is_ok());
        let Some(open) = open else {
            self.unsynced.push(lot.without_place());
            let why = "no chunk is begun".to_owned();
            return healthy.and(Err(StoreError::Misuse { call: "write to the log", why }));
        };
        let kept = open.place(lot);
        let (given, path) = (open.give(kept.bytes.clone()), open.path.clone());
        self.unsynced.push(kept);
        given.map_err(|error| self.fail(error, &path))
    }

    /// Buffers that nobody needs any more.
    pub fn buffers(&mut self) -> Vec<Batch> {
        std::mem::take(&mut self.buffers)
    }

    /// Makes everything written durable, then notes it and closes the chunk if it is time.
    pub fn sync(&mut self) -> Result<(), StoreError> {
        if self.sync_chunk()? {
            self.roll_if_due();
        }
        Ok(())
    }

    /// Nothing follows for a while: what is durable is said without it. The sync before is valid whether or not this is
    /// written, so its failure only ends the use of the file.
    pub fn rest(&mut self) {
        if self.failure.is_some() {
            return;
        }
        let Some(open) = self.open.as_mut().filter(|open| open.length == open.durable && !open.ended) else { return };
        let Some(mark) = open.mark() else { return };
        let path = open.path.clone();
        if let Err(error) = open.give(mark) {
            self.fail(error, &path);
        }
    }

    /// Makes everything durable; nothing is written behind it before the next record or chunk.
    pub fn finish(&mut self) -> Result<(), StoreError> {
        self.sync_chunk()?;
        if let Some(open) = self.open.as_mut() {
            open.ended = true;
        }
        Ok(())
    }

    fn sync_chunk(&mut self) -> Result<bool, StoreError> {
        self.healthy()?;
        let Some(open) = self.open.as_mut().filter(|open| open.length > open.durable) else {
            return Ok(false);
        };
        let path = open.path.clone();
        if let Err(error) = open.file.sync().on("fsync", &path) {
            return Err(self.fail(error, &path));
        }
        open.durable = open.length;
        let chunk = open.id;
        let news = !self.unsynced.is_empty();
        if !news {
            // What was synced is the mark itself.
            open.marked = open.durable;
        }
        for kept in self.unsynced.drain(..) {
            kept.notes.iter().for_each(|(offset, head)| self.plan.note(Place { chunk, offset: *offset }, *head));
            self.buffers.extend(kept.buffer());
        }
        self.unsynced_bytes = 0;
        Ok(news)
    }

    fn droppable(&self) -> u64 {
        let floor = self.plan.floor();
        let dead = self.chain.iter().filter(|(id, _)| floor.is_none_or(|f| *id < f));
        dead.map(|(_, length)| length).sum()
    }

    fn roll_if_due(&mut self) {
        let full = self.open.as_ref().is_some_and(|open| open.durable >= self.limits.chunk_bytes);
        let freed = self.spoilt.is_some_and(|spoilt| self.plan.floor().is_none_or(|floor| floor > spoilt));
        if self.failure.is_none() && (full || freed || self.droppable() >= self.limits.drop_bytes) {
            let path = layout::chunk(&self.dir, self.generation, self.next_number);
            if let Err(error) = self.start_chunk() {
                self.fail(error, &path);
            }
        }
    }

    /// A new chunk: complete and durable under its name before anything refers to it.
    fn start_chunk(&mut self) -> Result<(), StoreError> {
        let id = ChunkId { generation: self.generation, number: self.next_number };
        let previous = self.chain().last().map(|(id, length)| Previous { id: *id, length: *length });
        let file_id = self.disk.fresh().as_u64_pair().0;
        let path = layout::chunk(&self.dir, id.generation, id.number);
        self.make_generation(id.generation)?;
        let tmp = path.with_extension("jl.tmp");
        let begun = self.first_write(&tmp, id, file_id, previous).inspect_err(|_| self.give_up(&tmp))?;
        let First { file, header, length, placed } = begun;
        // From here on the number may be taken.
        self.next_number += 1;
        self.disk.rename(&tmp, &path).on("rename", &tmp).inspect_err(|_| self.give_up(&tmp))?;
        let room = layout::generation(&self.dir, id.generation);
        self.disk.sync_dir(&room).on("fsync the directory", &room)?;
        let open = OpenChunk { id, file_id, path, file, length, durable: length, marked: length, ended: false };
        let former = self.open.replace(open);
        self.chain.extend(former.map(|open| (open.id, open.durable)));
        placed.iter().for_each(|(offset, head)| self.plan.note(Place { chunk: id, offset: *offset }, *head));
        self.unsynced.clear();
        self.unsynced_bytes = 0;
        self.drop_dead(header.floor);
        Ok(())
    }

    /// A disk that is full is not made fuller by each try.
    fn give_up(&self, tmp: &Path) {
        if let Err(error) = self.disk.remove(tmp) {
            tracing::debug!(%error, "a file that could not be begun stays; it only costs room");
        }
    }

    fn first_write(
        &self,
        tmp: &Path,
        id: ChunkId,
        file_id: u64,
        previous: Option<Previous>,
    ) -> Result<First, StoreError> {
        let mut file = self.disk.create_append(tmp).on("create", tmp)?;
        let (header, filled, placed) = self.compose(id, file_id, previous, file.alignment())?;
        let length = filled.len() as u64;
        file.append(0, Arc::new(filled)).on("write", tmp)?;
        file.sync().on("fsync", tmp)?;
        Ok(First { file, header, length, placed })
    }

    /// All that a chunk begins with, up to the next block.
    #[allow(clippy::type_complexity)]
    fn compose(
        &self,
        id: ChunkId,
        file_id: u64,
        previous: Option<Previous>,
        alignment: usize,
    ) -> Result<(ChunkHeader, Batch, Vec<(u64, Head)>), StoreError> {
        let mut spaces = Lot::new(batch(BLOCK));
        for space in self.spaces.values() {
            spaces.push(&describe(space)?);
        }
        let spaces = spaces.without_place();
        let first: Vec<&Kept> = std::iter::once(&spaces).chain(&self.unsynced).collect();
        let header = ChunkHeader {
            founding: self.origin.founding,
            member: self.origin.member,
            id,
            file_id,
            boot: self.origin.boot,
            after_seal: self.after_seal,
            previous,
            floor: self.plan.floor().unwrap_or(id),
            first_bytes: first.iter().map(|kept| kept.size() as u64).sum(),
        };
        let bytes = frame::encode(chunk::MAGIC, &header, &[])?;
        let mut filled = batch(bytes.len() + header.first_bytes as usize + 2 * BLOCK);
        filled.extend_from_slice(&bytes);
        let mut placed = Vec::new();
        first.iter().for_each(|kept| kept.carry(file_id, &mut filled, &mut placed));
        fill_up(&mut filled, file_id, 0, alignment);
        Ok((header, filled, placed))
    }

    fn make_generation(&self, generation: u64) -> Result<(), StoreError> {
        let room = layout::generation(&self.dir, generation);
        self.disk.make_dir(&room).on("make", &room)?;
        let data = layout::data(&self.dir);
        self.disk.sync_dir(&self.dir).on("fsync the directory", &self.dir)?;
        self.disk.sync_dir(&data).on("fsync the directory", &data)
    }

    /// Unlinks chunks that a durable header has declared dead. A failure to unlink costs only room.
    fn drop_dead(&mut self, floor: ChunkId) {
        self.spoilt = self.spoilt.filter(|spoilt| *spoilt >= floor);
        let (dead, live) = std::mem::take(&mut self.chain).into_iter().partition(|(id, _)| *id < floor);
        self.chain = live;
        let dead: Vec<(ChunkId, u64)> = dead;
        for (id, _) in dead.into_iter().filter(|(id, _)| !self.retained.contains(id)).collect::<Vec<_>>() {
            match self.held.contains(&id) {
                true => self.dead_but_held.push(id),
                false => self.unlink(id),
            }
        }
    }

    fn unlink(&self, id: ChunkId) {
        let path = layout::chunk(&self.dir, id.generation, id.number);
        if let Err(error) = self.disk.remove(&path) {
            tracing::warn!(file = %path.display(), %error, "a dead chunk could not be removed; it only costs room");
        }
    }
}

/// The record that describes a space.
pub fn describe(space: &Space) -> Result<Record, StoreError> {
    let json = serde_json::to_vec(space)
        .map_err(|error| StoreError::Misuse { call: "describe a space", why: error.to_string() })?;
    let mut record = Record::complete(0, record::Version::default());
    record.kind = record::Kind::Space;
    record.space = space.id;
    record.value = Bytes::from(json);
    Ok(record)
}

#[cfg(test)]
mod tests;
