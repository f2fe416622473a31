//! Hot backup: a directory `backups/NAME` that is a store of its own, made of hard links while the member runs and writes.
//!
//! The laws:
//! 1. **A moment.** Everything that was appended when the backup was asked for is in it, and nothing is that was appended
//!    after its end. All of it is made durable and the chunk that is written to is closed (`cut`); the backup is the chain of
//!    closed chunks, and of the chunk begun behind them only what it began with. That one says how long each chunk before
//!    it is, so that no byte of the content is a tail that could be taken for torn: what is loaded is, of each partition,
//!    exactly its prefix by version, or it is refused. With the chunks come the finished snapshot epochs, what says which
//!    generation is open and what was founded, the boot counter, the last seal if all that it names is there, and the
//!    consensus log with its vote, as it stood at one moment not before. A sealed store is backed up as it is, sealed.
//! 2. **Linked or copied.** What is never written to again has a second name (closed chunks, epochs), and so has what is only
//!    ever replaced by a rename (small records, seals). What is written to in place is copied and fsynced: the beginning of
//!    the newest chunk, the consensus log. The identity is written anew.
//! 3. **Whole or not there.** It is made under `NAME.tmp`, files and directories are fsynced, then the manifest
//!    ([`crate::backup`]) is written, then the identity, then it gets its name and that is fsynced. What ends in `.tmp` is
//!    refused as a store, counts as no backup, and is removed by the next backup or start. What fails leaves no more than
//!    that, and costs the store nothing: not even the log stands still, unless the log itself failed.
//! 4. **Nobody waits.** Appending goes on all the time. The writer waits for one fsync and one new chunk, as it does when a
//!    chunk is full, and with the consensus log and whatever names or drops an epoch while small records and epochs are
//!    linked and the consensus log is read, not for chunks. Collecting goes on: chunks that die meanwhile are kept
//!    (`Appender::hold`) until they are linked. Before anybody waits all that was appended is written, so that little is left;
//!    while they wait nothing is done that could be done before or behind, and whether to go on is asked before each step and
//!    each epoch: of the company, and of the queue, which may not become half full for a backup. What is given up lets those
//!    go on first who wait for the consensus log.
//! 5. **Refused, not guessed.** Until it is opened as a store, a backup must hold exactly what its manifest says; a file that is
//!    missing, shorter, of another backup or of another time is refused by name before a boot is counted. What the manifest
//!    does not prove at once, the checksums and lengths of the chain prove when it is loaded.
//! 6. **One member.** Restoring is opening the directory (or a copy of it): `base-dir` points at it. It has the member, the
//!    cluster, the volume name and the boot counter of the original, and so it is to the cluster what every copy of a volume
//!    is: on a volume of another name the store refuses it until somebody answers for it, and the cluster does too; the next
//!    boot is above the one that made it. What this room adds: opened where it was made, it holds the lock of the store it
//!    was made from, so that original and backup, or two backups, never run at once on one directory tree. It relies on
//!    `naming` and the roster for the rest: it must not make a name or a number that would pass where a copy would not.
//! 7. **Removing** a backup takes its name first, then the files; the bytes that only it held are free. What was opened as a
//!    store since is no backup any more and is never removed here.
//!
//! 8. **Together.** With a [`Company`], the store stands still from its moment until all of that company do: nothing becomes
//!    durable, so that nobody is told so, until its word comes. There is then an instant at which every disk holds exactly its
//!    backup, and the backups of all are what a power loss of all at that instant would have left. The company bounds it.
//!
//! Must not know: who asks, who the company is, where a backup is brought to.
//!
//! Contents: here the order of it · `error` why there is none · `moment` what is taken while others wait · `cut` of the log · `making` links and copies · [`listing`] what is there, removing.

mod cut;
mod error;
pub(crate) mod listing;
mod making;
mod moment;

use super::Store;
use crate::backup::{self, Manifest};
use crate::failure::On;
use crate::identity;
use crate::layout;
use crate::log::chunk::ChunkId;
pub use error::BackupError;
use making::Making;
use moment::Moment;
use std::path::{Path, PathBuf};
use std::sync::{MutexGuard, TryLockError};
use uuid::Uuid;

/// A longer name is refused.
pub const LONGEST_NAME: usize = 64;
/// So many backups may lie beside a store.
pub const MOST_BACKUPS: usize = 128;

/// Those whose stores are backed up at one moment.
pub trait Company {
    /// From now on others wait for this store.
    fn begins(&self);
    /// This store stands still, and does until this returns: when all of them do, or `pressed` says why it cannot any longer.
    /// An error is why there is no backup.
    fn meet(&self, pressed: &dyn Fn() -> Option<String>) -> Result<(), String>;
    /// Why this backup is not to be finished, if so. Asked before each step while others wait, and between files.
    fn given_up(&self) -> Option<String>;
}

struct Nobody;

impl Company for Nobody {
    fn begins(&self) {}

    fn meet(&self, _pressed: &dyn Fn() -> Option<String>) -> Result<(), String> {
        Ok(())
    }

    fn given_up(&self) -> Option<String> {
        None
    }
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupReport {
    /// Where it lies: a `base-dir` for a restore.
    pub dir: PathBuf,
    /// What it holds.
    pub manifest: Manifest,
    /// Bytes of files that have a second name in it: they cost no room until the store drops them.
    pub linked_bytes: u64,
    /// Bytes of files that were copied.
    pub copied_bytes: u64,
}

/// Refuses a name that could be something else than a directory of its own.
fn check(name: &str) -> Result<(), BackupError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let why = match name {
        "" => "it is empty",
        _ if name.len() > LONGEST_NAME => "it is too long",
        _ if !name.chars().all(plain) => "it has other characters",
        _ if name.starts_with('.') => "it begins with a point",
        _ if layout::parse(name) == layout::Name::Tmp => "it ends like something unfinished",
        _ => return Ok(()),
    };
    Err(BackupError::Name { name: name.to_owned(), why })
}

impl Store {
    /// Makes the backup `name` of everything appended so far; it is whole and durable on return. Blocks for an fsync of the
    /// log and of the copies, and for a link to each file; nobody else waits for more than law 4 says.
    pub fn backup(&self, name: &str) -> Result<BackupReport, BackupError> {
        self.backup_of(name, None, &Nobody)
    }

    /// The same as one of `set`, at one moment with `company`, for which it also blocks.
    pub fn backup_together(&self, name: &str, set: Uuid, company: &dyn Company) -> Result<BackupReport, BackupError> {
        self.backup_of(name, Some(set), company)
    }

    fn backup_of(&self, name: &str, set: Option<Uuid>, company: &dyn Company) -> Result<BackupReport, BackupError> {
        check(name)?;
        let _alone = self.alone()?;
        let (dir, tmp) = self.place(name)?;
        let made = self.make((name, set), &tmp, company).and_then(|made| self.give_name(&tmp, &dir).map(|()| made));
        match made {
            Ok(made) => Ok(BackupReport { dir, ..made }),
            Err(error) => {
                listing::discard(self.disk.as_ref(), self.backups_in());
                Err(error)
            }
        }
    }

    /// Whether a backup of this name could be begun now. Nothing is made.
    pub fn may_back_up(&self, name: &str) -> Result<(), BackupError> {
        check(name)?;
        let _alone = self.alone()?;
        self.place(name).map(drop)
    }

    /// Where a backup of this name lies, if it is there.
    pub fn backup_dir(&self, name: &str) -> PathBuf {
        layout::backups(self.backups_in()).join(name)
    }

    /// Where it will lie, and where it is made; what is unfinished is gone.
    fn place(&self, name: &str) -> Result<(PathBuf, PathBuf), BackupError> {
        let room = layout::backups(self.backups_in());
        let (dir, tmp) = (room.join(name), room.join(format!("{name}.tmp")));
        listing::sweep(self.disk.as_ref(), self.backups_in())?;
        let there = self.disk.list(&room).on("list", &room)?;
        if there.iter().any(|other| other == name) {
            return Err(BackupError::Exists { dir });
        }
        if there.len() >= MOST_BACKUPS {
            return Err(BackupError::TooMany { dir: room });
        }
        Ok((dir, tmp))
    }

    /// Refuses a directory of backups that hard links do not reach. Its own they do.
    pub fn reaches_backups(&self) -> Result<(), BackupError> {
        let home = self.backups_in();
        if home == self.dir {
            return Ok(());
        }
        let (owner, probe) = (layout::owner(&self.dir), home.join("reach.tmp"));
        self.disk.make_dir(home).on("make", home)?;
        if self.disk.length(&probe).on("look at", &probe)?.is_some() {
            self.disk.remove(&probe).on("remove", &probe)?;
        }
        self.disk.link(&owner, &probe).on(making::LINK, &probe)?;
        Ok(self.disk.remove(&probe).on("remove", &probe)?)
    }

    fn backups_in(&self) -> &Path {
        &self.backups_in
    }

    pub(super) fn alone(&self) -> Result<MutexGuard<'_, ()>, BackupError> {
        match self.backups.try_lock() {
            Ok(guard) => Ok(guard),
            Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => Err(BackupError::UnderWay { dir: self.dir.clone() }),
        }
    }

    /// All of it but its name.
    fn make(
        &self,
        (name, set): (&str, Option<Uuid>),
        tmp: &Path,
        company: &dyn Company,
    ) -> Result<BackupReport, BackupError> {
        let mut making = Making::begin(self.disk.as_ref(), &self.dir, self.backups_in(), tmp)?;
        let Moment { cut, identity, consensus } = self.moment(&mut making, company)?;
        consensus.into_iter().try_for_each(|(file, bytes)| making.copy(&format!("raft/{file}"), &bytes))?;
        for (id, length) in &cut.closed {
            if let Some(why) = company.given_up() {
                return Err(BackupError::Company { why });
            }
            making.chunk(*id, *length, self.digest_known(*id, *length, cut.seal.as_ref()))?;
        }
        if let Some((id, length)) = cut.begun {
            making.beginning(id, length)?;
        }
        drop(cut.held);
        let files = making.settle()?;
        let manifest = Manifest {
            name: name.to_owned(),
            set,
            founding: cut.origin.founding,
            incarnation: identity.incarnation,
            member: identity.member,
            generation: cut.generation,
            sealed: cut.sealed,
            boot: self.boot,
            ticket: cut.ticket,
            end: cut.begun.or_else(|| cut.closed.last_key_value().map(|(id, length)| (*id, *length))),
            bytes: files.iter().map(|file| file.length).sum(),
            files,
        };
        backup::write(self.disk.as_ref(), tmp, &manifest)?;
        identity::write(self.disk.as_ref(), tmp, &identity)?;
        let (linked_bytes, copied_bytes) = (making.linked_bytes, making.copied_bytes);
        Ok(BackupReport { dir: tmp.to_path_buf(), manifest, linked_bytes, copied_bytes })
    }

    fn give_name(&self, tmp: &Path, dir: &Path) -> Result<(), BackupError> {
        self.disk.rename(tmp, dir).on("rename", tmp)?;
        let room = layout::backups(self.backups_in());
        let named = self.disk.sync_dir(&room).on("fsync the directory", &room);
        if named.is_err() {
            // Whole it is in any case; what was refused shall not lie there, as far as the disk lets us.
            let _ = self.disk.rename(dir, tmp);
        }
        Ok(named?)
    }

    fn digest_known(&self, id: ChunkId, length: u64, seal: Option<&crate::seal::SealSummary>) -> Option<String> {
        let mut sealed = seal.into_iter().flat_map(|seal| &seal.manifest.files);
        let mut by_seal = || sealed.find(|file| file.chunk == Some(id) && file.length == length);
        self.proved_digest(id, length).or_else(|| by_seal().map(|file| file.digest.clone()))
    }
}
