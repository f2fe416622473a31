//! One backup of this member, stage by stage.
//!
//! Law: it stands still from its moment until it is told to go on, and no longer than [`MOST_HELD`]; which of the two came first
//! is decided once. Must not know: the store, the other members.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jet_admin_api::backup::{BackupState, ToldBackup};
use jet_hotstore::Company;
use tokio::sync::Notify;

/// A store stands still so long. Well below the time in which a change of a map with fsync has to be on the disks.
pub const MOST_HELD: Duration = Duration::from_secs(2);
/// A backup that was only prepared makes way for another one after so long.
const PREPARED_FOR: Duration = Duration::from_secs(10);

/// How far one backup is here.
#[derive(Clone, Debug)]
pub enum Stage {
    /// Nobody else may begin one.
    Prepared,
    /// On its way to its moment.
    Asked,
    /// It stands still.
    Held,
    /// All others stood still too.
    Going,
    /// Somebody is at work on it, and will take it back.
    GivenUp(String),
    /// And how.
    Ended(ToldBackup),
}

/// One backup.
pub struct Turn {
    /// Its name.
    pub name: String,
    begun: Instant,
    stage: Mutex<Stage>,
    changed: Condvar,
    /// Told of every step.
    pub news: Notify,
}

impl Turn {
    /// Prepared.
    pub fn new(name: String) -> Self {
        let (stage, changed, news) = (Mutex::new(Stage::Prepared), Condvar::new(), Notify::new());
        Self { name, begun: Instant::now(), stage, changed, news }
    }

    /// Where it is.
    pub fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From one stage to another, if it is in that one.
    pub fn step(&self, from: fn(&Stage) -> bool, to: Stage) -> bool {
        let mut stage = self.stage();
        let may = from(&stage);
        if may {
            *stage = to;
        }
        drop(stage);
        self.changed.notify_all();
        self.news.notify_waiters();
        may
    }

    /// Nobody else may begin one.
    pub fn is_open(&self) -> bool {
        match &*self.stage() {
            Stage::Prepared => self.begun.elapsed() < PREPARED_FOR,
            Stage::Ended(_) => false,
            _ => true,
        }
    }

    /// Whether somebody is at work on it.
    pub fn is_made(&self) -> bool {
        !matches!(&*self.stage(), Stage::Prepared | Stage::Ended(_))
    }

    /// What is told of it.
    pub fn told(&self) -> ToldBackup {
        match &*self.stage() {
            Stage::Ended(told) => told.clone(),
            Stage::Prepared if self.begun.elapsed() >= PREPARED_FOR => failure("whoever asked for it went away"),
            Stage::GivenUp(why) => ToldBackup::only(BackupState::InProgress, Some(why.clone())),
            _ => ToldBackup::only(BackupState::InProgress, None),
        }
    }

    /// Returns when it stands still, or with why it does not.
    pub async fn stands_still(&self) -> Result<(), String> {
        loop {
            let news = self.news.notified();
            tokio::pin!(news);
            news.as_mut().enable();
            match &*self.stage() {
                Stage::Held | Stage::Going => return Ok(()),
                Stage::GivenUp(why) => return Err(why.clone()),
                Stage::Ended(told) => return Err(told.why.clone().unwrap_or_default()),
                Stage::Prepared | Stage::Asked => {}
            }
            news.await;
        }
    }
}

impl Company for Turn {
    fn meet(&self) -> Result<(), String> {
        self.step(|stage| matches!(stage, Stage::Asked), Stage::Held);
        let is_held = |stage: &mut Stage| matches!(stage, Stage::Held);
        let waited = self.changed.wait_timeout_while(self.stage(), MOST_HELD, is_held);
        let (mut stage, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match &*stage {
            Stage::Going => Ok(()),
            Stage::GivenUp(why) => Err(why.clone()),
            _ => {
                let why = format!("it stood still for {MOST_HELD:?} and the others did not; ask again");
                *stage = Stage::GivenUp(why.clone());
                Err(why)
            }
        }
    }

    fn given_up(&self) -> Option<String> {
        match &*self.stage() {
            Stage::GivenUp(why) => Some(why.clone()),
            _ => None,
        }
    }
}

/// There is none, and why.
pub fn failure(why: &str) -> ToldBackup {
    ToldBackup::only(BackupState::Failure, Some(why.to_owned()))
}
