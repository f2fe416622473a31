//! Backups in the crash scripts: what each must hold, and that it holds exactly that, or is refused, or is not there.
//!
//! Must not know: which call is cut.

use super::driver::{Driver, Step, Wrong, dir, door, options};
use super::model::{self, Model};
use jet_hotstore::{BackupError, Disk, Refused, SimulatedDisk, Store, StoreError};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Backups of an open store, of a sealed one, of the next generation; made before and after collecting, removed.
pub fn script() -> Vec<Step> {
    use Step::*;
    let mut steps = vec![OpenGeneration(1), Space, Put(0, 1, 1, 10), Put(1, 1, 1, 10), Flush, Epoch(1), Vote(1)];
    steps.extend([Put(2, 9, 9, 300), Backup("first"), Put(0, 1, 2, 700), Flush, Epoch(2), DropEpoch(1), Rewrite(0)]);
    steps.extend([Rewrite(1), Rewrite(2), Flush, Put(1, 2, 2, 900), Vote(2), Backup("second"), Seal("stop-1")]);
    steps.extend([Backup("sealed"), RemoveBackup("first"), Reopen, OpenGeneration(2), Rewrite(0), Put(3, 1, 1, 20)]);
    steps.extend([Flush, Backup("third"), Put(3, 1, 2, 20), Flush, RemoveBackup("second")]);
    steps
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Maybe,
    Must,
}

/// What is known of backups.
#[derive(Debug, Clone, Default)]
pub struct Backups {
    made: BTreeMap<&'static str, (Fate, Model, Option<u8>)>,
    vote: Option<u8>,
}

fn at(name: &str) -> PathBuf {
    dir().join("backups").join(name)
}

/// As the errors of the store itself, so that the scripts treat them alike.
fn wrong(error: BackupError) -> Wrong {
    Wrong::Store(match error {
        BackupError::Log(error) | BackupError::Store(error) => error,
        BackupError::NoRoom { file, source } => StoreError::Io { action: "back up to", file, source },
        BackupError::NotABackup { dir: file, why } => Refused::Inconsistent { file, why }.into(),
        other => return Wrong::Model(other.to_string()),
    })
}

impl Driver {
    pub fn vote(&mut self, vote: u8) -> Result<(), Wrong> {
        let mut log = self.store().consensus_log()?;
        log.save_vote(&[vote])?;
        self.backups.vote = Some(vote);
        Ok(())
    }

    pub fn backup(&mut self, name: &'static str) -> Result<(), Wrong> {
        let mut holds = self.model.clone();
        holds.ack();
        if !self.is_sealed() {
            holds.allowed = vec![(self.store().generation(), None)];
        }
        let again = self.backups.made.insert(name, (Fate::Maybe, holds.clone(), self.backups.vote)).is_some();
        match self.store().backup(name) {
            // What was refused a moment ago lies there all the same.
            Err(BackupError::Exists { .. }) if again => return Ok(()),
            made => drop(made.map_err(wrong)?),
        }
        self.model.ack();
        self.model.allowed = holds.allowed.clone();
        self.backups.made.insert(name, (Fate::Must, holds, self.backups.vote));
        Ok(())
    }

    pub fn remove_backup(&mut self, name: &'static str) -> Result<(), Wrong> {
        let Some((fate, ..)) = self.backups.made.get_mut(name) else { return Ok(()) };
        *fate = Fate::Maybe;
        match self.store().remove_backup(name) {
            Ok(()) | Err(BackupError::NotThere { .. }) => {}
            Err(error) => return Err(wrong(error)),
        }
        self.backups.made.remove(name);
        Ok(())
    }

    /// Looks at every backup on a copy of the disk.
    pub fn look_at_backups(&self) -> Result<(), Wrong> {
        if self.backups.made.is_empty() {
            return Ok(());
        }
        let found = self.disk.list(&dir().join("backups")).map_err(|error| Wrong::Model(error.to_string()))?;
        for name in found.iter().filter(|name| !self.backups.made.contains_key(name.as_str())) {
            match Store::open(&at(name), door(self.disk.copy(), self.way), options(self.way)) {
                Err(StoreError::Refused(_)) if name.ends_with(".tmp") => {}
                _ => return Err(Wrong::Model(format!("{name} counts, and was removed or not finished"))),
            }
        }
        for (name, (fate, holds, vote)) in &self.backups.made {
            if found.iter().any(|other| other == name) {
                self.look_at(&at(name), holds, *vote).map_err(|why| Wrong::Model(format!("backup {name}: {why}")))?;
            } else if *fate == Fate::Must && !self.model.betrayed {
                return Err(Wrong::Model(format!("backup {name} is gone")));
            }
        }
        Ok(())
    }

    fn look_at(&self, place: &Path, holds: &Model, vote: Option<u8>) -> Result<(), String> {
        match self.compare(self.disk.copy(), place, holds.clone(), vote) {
            Err(Wrong::Store(StoreError::Refused(why))) if !self.model.tail_may_go => Err(why.to_string()),
            Err(Wrong::Store(StoreError::Refused(_))) | Ok(()) => Ok(()),
            Err(wrong) => Err(format!("{wrong:?}")),
        }
    }

    /// Exactly what it was made of, nothing of it cut.
    fn compare(&self, disk: SimulatedDisk, place: &Path, mut holds: Model, vote: Option<u8>) -> Result<(), Wrong> {
        let (store, contents) = Store::open(place, door(disk, self.way), options(self.way))?;
        holds.stands(&contents).map_err(Wrong::Model)?;
        let mut loaded = BTreeMap::new();
        let report = store.load(&mut |record| model::apply(&mut loaded, record))?;
        if let Some(cut) = report.cut {
            return Err(Wrong::Model(format!("{cut:?}")));
        }
        holds.take_over(&report, &loaded).map_err(Wrong::Model)?;
        for info in store.epochs() {
            store.read_epoch(info.id)?.try_for_each(|part| part.map(drop))?;
        }
        let found = store.consensus_log()?.vote().map(<[u8]>::to_vec);
        match found == vote.map(|vote| vec![vote]) {
            true => Ok(()),
            false => Err(Wrong::Model(format!("its vote is {found:?}, not {vote:?}"))),
        }
    }
}
