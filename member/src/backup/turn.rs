//! One backup of this member, stage by stage.
//!
//! Law: others wait for it from its begin until it is told to go on, and no longer than [`MOST_HELD`] and one step of the store;
//! which of the two came first is decided once. Must not know: the store, the other members.

use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use jet_admin_api::backup::{BackupState, ToldBackup};
use jet_core::Generation;
use jet_hotstore::Company;
use tokio::sync::Notify;

use super::{Attempt, STEP, WORD};

/// So long others wait for this store. With them waits the consensus core, which may not miss an election's time, nor a lease.
pub const MOST_HELD: Duration = Duration::from_millis(500);
/// While it stands still it looks so often whether it has to go on.
const LOOK: Duration = Duration::from_millis(10);
/// A backup that was only prepared makes way for another one after so long: behind the time in which the first is prepared,
/// then all others, and the word to stand still comes.
const PREPARED_FOR: Duration = Duration::from_secs(2 * STEP.as_secs() + WORD.as_secs());

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
    /// Which.
    pub attempt: Attempt,
    /// The generation that it is prepared for.
    pub generation: OnceLock<Generation>,
    begun: Instant,
    /// Since when others wait for it.
    since: OnceLock<Instant>,
    /// How long they had waited when it went on.
    stood: OnceLock<Duration>,
    stage: Mutex<Stage>,
    changed: Condvar,
    /// Told of every step.
    pub news: Notify,
}

impl Turn {
    /// Prepared.
    pub fn new(attempt: Attempt) -> Self {
        let (stage, changed, news) = (Mutex::new(Stage::Prepared), Condvar::new(), Notify::new());
        let (generation, since, stood) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        Self { attempt, generation, begun: Instant::now(), since, stood, stage, changed, news }
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

    /// How long others have waited for it.
    pub fn waited_for(&self) -> Duration {
        let until_now = || self.since.get().map_or(Duration::ZERO, Instant::elapsed);
        self.stood.get().copied().unwrap_or_else(until_now)
    }

    /// Its time is over, unless all others stood still before that.
    fn is_over(&self) -> Option<String> {
        let why =
            || format!("others waited {MOST_HELD:?} for its store, and not all stores stood still by then; ask again");
        (self.waited_for() >= MOST_HELD).then(why)
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
    fn begins(&self) {
        self.since.get_or_init(Instant::now);
    }

    fn meet(&self, pressed: &dyn Fn() -> Option<String>) -> Result<(), String> {
        self.step(|stage| matches!(stage, Stage::Asked), Stage::Held);
        let met = self.stands(pressed);
        self.stood.get_or_init(|| self.since.get().map_or(Duration::ZERO, Instant::elapsed));
        met
    }

    fn given_up(&self) -> Option<String> {
        if let Some(why) = self.is_over() {
            self.step(|stage| matches!(stage, Stage::Asked), Stage::GivenUp(why));
        }
        match &*self.stage() {
            Stage::GivenUp(why) => Some(why.clone()),
            _ => None,
        }
    }
}

impl Turn {
    /// Until all stand still, or its time is over.
    fn stands(&self, pressed: &dyn Fn() -> Option<String>) -> Result<(), String> {
        let mut stage = self.stage();
        loop {
            match &*stage {
                Stage::Going => return Ok(()),
                Stage::GivenUp(why) => return Err(why.clone()),
                _ => {}
            }
            if let Some(why) = pressed().or_else(|| self.is_over()) {
                *stage = Stage::GivenUp(why.clone());
                return Err(why);
            }
            stage = self.changed.wait_timeout(stage, LOOK).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// There is none, and why.
pub fn failure(why: &str) -> ToldBackup {
    ToldBackup::only(BackupState::Failure, Some(why.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> Turn {
        let turn = Turn::new(Attempt { name: "nightly".into(), set: uuid::Uuid::nil() });
        turn.step(|stage| matches!(stage, Stage::Prepared), Stage::Asked);
        turn
    }

    #[test]
    fn its_time_runs_from_when_others_wait_and_not_from_its_moment() {
        let turn = asked();
        assert_eq!(turn.given_up(), None, "nobody waits yet");
        turn.begins();
        let bound = Instant::now() + 20 * MOST_HELD;
        let why = loop {
            assert!(Instant::now() < bound, "{:?}", turn.stage());
            match turn.given_up() {
                Some(why) => break why,
                None => std::thread::yield_now(),
            }
        };
        assert!(turn.waited_for() >= MOST_HELD && why.contains("ask again"), "{why}");
        assert_eq!(turn.meet(&|| None), Err(why), "it meets nobody any more");
    }

    #[test]
    fn who_is_told_to_go_on_in_time_has_all_the_time_to_finish() {
        let turn = asked();
        turn.begins();
        turn.step(|stage| matches!(stage, Stage::Asked), Stage::Going);
        let bound = Instant::now() + 20 * MOST_HELD;
        while turn.is_over().is_none() {
            assert!(Instant::now() < bound, "{:?}", turn.waited_for());
            std::thread::yield_now();
        }
        assert_eq!((turn.meet(&|| None), turn.given_up()), (Ok(()), None));
    }

    #[test]
    fn it_stands_still_no_longer_when_changes_would_have_to_wait() {
        let turn = asked();
        turn.begins();
        let full = || Some("the queue is half full".to_owned());
        assert_eq!(turn.meet(&full), Err("the queue is half full".to_owned()));
        assert_eq!(turn.given_up().as_deref(), Some("the queue is half full"));
    }
}
