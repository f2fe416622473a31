//! What hot backups ask of the store beside making one.
//!
//! Law: every call blocks; a refusal has changed nothing. Must not know: the other members.

use jet_admin_api::backup::{BackupState, ToldBackup};
use jet_admin_api::refusal::{Code, Refusal};
use jet_core::Generation;
use jet_hotstore::BackupError;
use jet_hotstore::backup::{Is, Manifest};
use uuid::Uuid;

use super::Keeper;

impl Keeper {
    /// Whether a backup of this name could be made now, and of which generation. What was appended is on the disk then, so
    /// that the moment is short. Of a generation that the cluster is not in yet there is none: by it a restored store tells
    /// when the cluster has gone on behind the restore.
    pub fn ready_for_backup(&self, name: &str) -> Result<Generation, Refusal> {
        self.store.may_back_up(name).map_err(|error| refusal(&error))?;
        let Some(generation) = self.runs_in() else {
            let why = "a generation is being opened, and the cluster is not in it yet";
            return Err(Refusal::new(Code::ClusterState, why).hint("ask again"));
        };
        let behind = |why: String| {
            let refusal = Refusal::new(Code::ClusterState, format!("the store is behind what is in RAM: {why}"));
            refusal.hint("ask again when the disk has caught up")
        };
        self.flush().map_err(|error| behind(error.to_string()))?;
        self.lagging().map_or(Ok(generation), |why| Err(behind(why)))
    }

    /// What lies there under this name, if it is a backup. That it cannot be looked at is not that there is none.
    pub fn backup_told(&self, name: &str) -> Result<Option<ToldBackup>, Refusal> {
        Ok(self.manifest_of(name)?.map(|manifest| ToldBackup {
            state: BackupState::Success,
            dir: self.store.backup_dir(name).display().to_string(),
            files: manifest.files.len() as u64,
            bytes: manifest.bytes,
            why: None,
        }))
    }

    fn manifest_of(&self, name: &str) -> Result<Option<Manifest>, Refusal> {
        let all = self.store.backups().map_err(|error| {
            let why = format!("whether backup '{name}' is there is not known, because they cannot be listed: {error}");
            Refusal::new(Code::Internal, why).hint("ask again")
        })?;
        Ok(all.into_iter().find(|told| told.name == name && told.is == Is::Untouched).and_then(|told| told.manifest))
    }

    /// Removes the backup of this name, if it is of this set; any other stays.
    pub fn take_back(&self, name: &str, set: Uuid) -> Result<(), Refusal> {
        match self.manifest_of(name)? {
            Some(manifest) if manifest.set == Some(set) => {
                self.store.remove_backup(name).map_err(|error| refusal(&error))
            }
            _ => Ok(()),
        }
    }
}

fn refusal(error: &BackupError) -> Refusal {
    let code = match error {
        BackupError::Name { .. } => Code::BadRequest,
        BackupError::Exists { .. } => Code::Exists,
        BackupError::UnderWay { .. } | BackupError::NotOpen { .. } | BackupError::TooMany { .. } => Code::ClusterState,
        _ => Code::Internal,
    };
    Refusal::new(code, error.to_string())
}
