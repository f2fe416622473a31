//! Links and copies of a backup under its temporary name.
//!
//! The law: a file in it is a link to one that is never written to again, or a copy that was fsynced; `settle` makes every
//! name durable. Must not know: why these files.

use super::BackupError;
use crate::backup::{self, BackedUp};
use crate::disk::Disk;
use crate::epoch::EpochInfo;
use crate::failure::{On, StoreError};
use crate::frame;
use crate::layout;
use crate::log::chunk::{self, ChunkId, Extent};
use crate::seal::SealSummary;
use crate::store::Known;
use crate::store::load::epoch_path;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

/// What is said of a link that cannot be made.
pub(super) const LINK: &str = "link";
/// The head of a link until nobody waits for it to be read.
const UNREAD: &str = "";

/// The disk says that there can be no such link, whatever is tried.
pub(super) fn cannot_be(error: &io::Error) -> bool {
    use io::ErrorKind::{PermissionDenied, TooManyLinks, Unsupported};
    matches!(error.kind(), TooManyLinks | Unsupported | PermissionDenied)
}

pub(super) struct Making<'a> {
    disk: &'a dyn Disk,
    from: &'a Path,
    to: &'a Path,
    dirs: BTreeSet<PathBuf>,
    files: BTreeMap<String, BackedUp>,
    pub linked_bytes: u64,
    pub copied_bytes: u64,
}

impl<'a> Making<'a> {
    /// Makes the directory, in the room of backups in `home`; nothing of that name may be there.
    pub fn begin(disk: &'a dyn Disk, from: &'a Path, home: &Path, to: &'a Path) -> Result<Self, StoreError> {
        disk.make_dir(to).on("make", to)?;
        disk.sync_dir(home).on("fsync the directory", home)?;
        let (dirs, files) = (BTreeSet::from([to.to_path_buf()]), BTreeMap::new());
        Ok(Making { disk, from, to, dirs, files, linked_bytes: 0, copied_bytes: 0 })
    }

    /// The same place in the backup, its directory made.
    fn place(&mut self, name: &str) -> Result<PathBuf, StoreError> {
        let path = self.to.join(name);
        for dir in path.ancestors().skip(1).take_while(|dir| dir.starts_with(self.to)) {
            if self.dirs.insert(dir.to_path_buf()) {
                self.disk.make_dir(dir).on("make", dir)?;
            }
        }
        Ok(path)
    }

    fn link_only(&mut self, name: &str) -> Result<u64, StoreError> {
        let (from, to) = (self.from.join(name), self.place(name)?);
        self.disk.link(&from, &to).on(LINK, &to)?;
        let length = self.disk.length(&to).on("look at", &to)?.unwrap_or(0);
        self.linked_bytes += length;
        Ok(length)
    }

    /// Links a file; `covered`: how much of it counts, if not all.
    fn link(&mut self, name: &str, covered: Option<u64>, digest: Option<String>) -> Result<(), StoreError> {
        if self.files.contains_key(name) {
            return Ok(());
        }
        let found = self.link_only(name)?;
        let length = covered.unwrap_or(found);
        self.note(BackedUp { name: name.to_owned(), length, head: UNREAD.to_owned(), digest, chunk: None });
        Ok(())
    }

    fn note(&mut self, file: BackedUp) {
        self.files.insert(file.name.clone(), file);
    }

    /// Writes a file and makes its bytes durable.
    pub fn copy(&mut self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.place(name)?;
        let mut file = self.disk.create(&path).on("create", &path)?;
        file.write_at(0, bytes).on("write", &path)?;
        file.sync().on("fsync", &path)?;
        let length = bytes.len() as u64;
        self.copied_bytes += length;
        let digest = Some(blake3::hash(bytes).to_hex().to_string());
        let head = blake3::hash(&bytes[..bytes.len().min(backup::HEAD_BYTES)]).to_hex().to_string();
        self.note(BackedUp { name: name.to_owned(), length, head, digest, chunk: None });
        Ok(())
    }

    /// Records of which each lies in a file that is only ever replaced. Gives the seal that is among them.
    pub fn small_records(&mut self, known: &Known) -> Result<Option<SealSummary>, BackupError> {
        for name in self.disk.list(self.from).on("list", self.from)? {
            match layout::parse(&name) {
                layout::Name::Opened(_) => self.link(&name, None, None)?,
                layout::Name::Other if matches!(name.as_str(), "founding" | "founded") => {
                    self.link(&name, None, None)?
                }
                layout::Name::Other if matches!(name.as_str(), "boot.a" | "boot.b") => drop(self.link_only(&name)?),
                _ => {}
            }
        }
        let seal = match (&known.seal, &known.last_seal) {
            (Some(seal), _) => Some(seal),
            // It proves nothing where something that it names is gone by now.
            (None, Some(seal)) => Some(seal).filter(|seal| self.all_there(seal)),
            (None, None) => None,
        };
        if let Some(seal) = seal {
            for path in frame::copies(&layout::seal(self.from, seal.manifest.generation, seal.manifest.number)) {
                if self.disk.length(&path).on("look at", &path)?.is_some() {
                    self.link(&below(self.from, &path), None, None)?;
                }
            }
        }
        Ok(seal.cloned())
    }

    fn all_there(&self, seal: &SealSummary) -> bool {
        let mut files = seal.manifest.files.iter();
        files.all(
            |file| matches!(self.disk.length(&self.from.join(&file.name)), Ok(Some(found)) if found >= file.length),
        )
    }

    /// Snapshot epochs; the caller keeps their names. `go_on` is asked before each, because others wait meanwhile.
    pub fn epochs<'e>(
        &mut self,
        finished: impl Iterator<Item = &'e EpochInfo>,
        seal: Option<&SealSummary>,
        go_on: &dyn Fn() -> Result<(), BackupError>,
    ) -> Result<(), BackupError> {
        for file in seal.into_iter().flat_map(|seal| &seal.manifest.files).filter(|file| file.chunk.is_none()) {
            go_on()?;
            self.link(&file.name, Some(file.length), Some(file.digest.clone()))?;
        }
        for info in finished {
            go_on()?;
            self.link(&below(self.from, &epoch_path(self.from, info)), Some(info.length), None)?;
        }
        Ok(())
    }

    /// A chunk that is not written to any more.
    pub fn chunk(&mut self, id: ChunkId, length: u64, digest: Option<String>) -> Result<(), StoreError> {
        let name = below(self.from, &layout::chunk(self.from, id.generation, id.number));
        self.link(&name, Some(length), digest)?;
        self.is_chunk(&name, id);
        Ok(())
    }

    fn is_chunk(&mut self, name: &str, id: ChunkId) {
        if let Some(file) = self.files.get_mut(name) {
            file.chunk = Some(id);
        }
    }

    /// What a chunk began with; its file is written to further on.
    pub fn beginning(&mut self, id: ChunkId, length: u64) -> Result<(), StoreError> {
        let path = layout::chunk(self.from, id.generation, id.number);
        let bytes = self.disk.read_part(&path, 0, length as usize).on("read", &path)?;
        chunk::walk(&path, &bytes, Extent::Exactly(length), &mut |_, _| {})?;
        let name = below(self.from, &path);
        self.copy(&name, &bytes)?;
        self.is_chunk(&name, id);
        Ok(())
    }

    /// Makes every name durable; gives what the manifest says of the files.
    pub fn settle(&mut self) -> Result<Vec<BackedUp>, StoreError> {
        for file in self.files.values_mut().filter(|file| file.head == UNREAD) {
            file.head = backup::head_of(self.disk, &self.to.join(&file.name), file.length)?;
        }
        for dir in self.dirs.iter().rev() {
            self.disk.sync_dir(dir).on("fsync the directory", dir)?;
        }
        Ok(std::mem::take(&mut self.files).into_values().collect())
    }
}

fn below(dir: &Path, path: &Path) -> String {
    path.strip_prefix(dir).unwrap_or(path).to_string_lossy().into_owned()
}
