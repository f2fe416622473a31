//! This member's part in a hot backup: one at a time, from being asked to being told.
//!
//! Law: the store stands still between `Hold` and `Go`, for a time that is bounded, and behind that there is no backup; a `Go`
//! that is answered was heard while it stood still. A backup that is given up is taken back, finished or not. Must not know:
//! the other members.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jet_admin_api::backup::{BackupState, ToldBackup};
use jet_admin_api::refusal::{Code, Refusal};
use jet_core::Generation;
use jet_hotstore::{BackupError, Company};
use tracing::{info, warn};

use super::turn::{Stage, Turn, failure};
use super::{Attempt, BackupAnswer, BackupAsk, BackupTold};
use crate::store::Keeper;

/// Time until a store stands still; a seal that comes in between takes longer.
const HOLDS_WITHIN: Duration = Duration::from_secs(5);

/// This member's part.
pub struct Part {
    keeper: Arc<Keeper>,
    turn: Mutex<Option<Arc<Turn>>>,
}

impl Part {
    /// Of this store.
    pub fn new(keeper: Arc<Keeper>) -> Arc<Self> {
        Arc::new(Self { keeper, turn: Mutex::default() })
    }

    /// Whether one was begun that has not ended.
    pub fn is_under_way(&self) -> bool {
        self.turn().as_ref().is_some_and(|turn| turn.is_open())
    }

    /// Does a step.
    pub async fn answer(self: Arc<Self>, ask: BackupAsk) -> BackupAnswer {
        match ask {
            BackupAsk::Prepare(attempt) => self.prepare(attempt).await,
            BackupAsk::Hold(attempt) => self.hold(&attempt).await,
            BackupAsk::Go(attempt) => self.go(&attempt),
            BackupAsk::GiveUp(attempt, why) => self.give_up(attempt, why).await,
            BackupAsk::Tell(name) => self.tell(name).await,
        }
    }

    fn turn(&self) -> MutexGuard<'_, Option<Arc<Turn>>> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn_of(&self, attempt: &Attempt) -> Result<Arc<Turn>, Refusal> {
        let turn = self.turn().clone().filter(|turn| turn.attempt == *attempt);
        let Attempt { name, set } = attempt;
        turn.ok_or_else(|| Refusal::new(Code::StepOrder, format!("backup '{name}' ({set}) is not under way here")))
    }

    async fn prepare(&self, attempt: Attempt) -> BackupAnswer {
        let name = attempt.name.clone();
        let turn = {
            let mut last = self.turn();
            match last.as_ref().filter(|turn| turn.is_open()) {
                Some(other) if other.attempt.name == name => return Err(exists(&name)),
                Some(other) => return Err(under_way(&other.attempt.name)),
                None => {}
            }
            let turn = Arc::new(Turn::new(attempt));
            *last = Some(turn.clone());
            turn
        };
        let keeper = self.keeper.clone();
        match blocking(move || keeper.ready_for_backup(&name)).await.and_then(|ready| ready) {
            Ok(generation) => {
                turn.generation.get_or_init(|| generation);
                Ok(told(&turn))
            }
            Err(refusal) => {
                turn.step(|_| true, Stage::Ended(failure(&refusal.message)));
                Err(refusal)
            }
        }
    }

    async fn hold(&self, attempt: &Attempt) -> BackupAnswer {
        let turn = self.turn_of(attempt)?;
        if !turn.step(|stage| matches!(stage, Stage::Prepared), Stage::Asked) {
            return Err(Refusal::new(
                Code::StepOrder,
                format!("backup '{}' was given up here, or is made already", attempt.name),
            ));
        }
        let (keeper, making) = (self.keeper.clone(), turn.clone());
        crate::host::blocking(move || make(&keeper, &making));
        let why = match tokio::time::timeout(HOLDS_WITHIN, turn.stands_still()).await {
            Ok(Ok(())) => return Ok(told(&turn)),
            Ok(Err(why)) => why,
            Err(_) => format!("its store did not stand still within {HOLDS_WITHIN:?}; ask again"),
        };
        turn.step(|stage| !matches!(stage, Stage::Ended(_)), Stage::GivenUp(why.clone()));
        Err(Refusal::new(Code::ClusterState, why))
    }

    fn go(&self, attempt: &Attempt) -> BackupAnswer {
        let turn = self.turn_of(attempt)?;
        match turn.step(|stage| matches!(stage, Stage::Held), Stage::Going) {
            true => Ok(told(&turn)),
            false => Err(Refusal::new(Code::StepOrder, "it stands still no more".to_owned())),
        }
    }

    async fn give_up(&self, attempt: Attempt, why: String) -> BackupAnswer {
        let (keeper, its) = (self.keeper.clone(), attempt.clone());
        let take_back = move || blocking(move || keeper.take_back(&its.name, its.set));
        let Ok(turn) = self.turn_of(&attempt) else {
            // The process before this one may have made it, or this one before another was begun.
            take_back().await??;
            return Ok(BackupTold { attempt: Some(attempt), told: failure(&why) });
        };
        if turn.is_made() {
            // Whoever is at work on it takes it back.
            turn.step(|stage| !matches!(stage, Stage::Ended(_)), Stage::GivenUp(why.clone()));
        } else if turn.step(|stage| matches!(stage, Stage::Prepared), Stage::Ended(failure(&why))) {
            return Ok(told(&turn));
        }
        let finished = matches!(&*turn.stage(), Stage::Ended(told) if told.state == BackupState::Success);
        if finished {
            take_back().await??;
            turn.step(|_| true, Stage::Ended(failure(&why)));
        }
        Ok(told(&turn))
    }

    async fn tell(&self, name: Option<String>) -> BackupAnswer {
        let last = self.turn().clone();
        if let Some(turn) = last.filter(|turn| name.as_ref().is_none_or(|name| turn.attempt.name == *name)) {
            return Ok(told(&turn));
        }
        let Some(name) = name else {
            return Ok(BackupTold { attempt: None, told: ToldBackup::only(BackupState::NotStarted, None) });
        };
        let keeper = self.keeper.clone();
        let found = blocking(move || keeper.backup_told(&name)).await??;
        let told = found.unwrap_or_else(|| ToldBackup::only(BackupState::NotStarted, None));
        Ok(BackupTold { attempt: None, told })
    }
}

fn told(turn: &Turn) -> BackupTold {
    BackupTold { attempt: Some(turn.attempt.clone()), told: turn.told() }
}

/// Makes it. Blocks.
fn make(keeper: &Keeper, turn: &Turn) {
    let Attempt { name, set } = &turn.attempt;
    let ended = match keeper.store().backup_together(name, *set, turn) {
        Ok(report) => {
            let (files, bytes) = (report.manifest.files.len() as u64, report.manifest.bytes);
            let dir = report.dir.display().to_string();
            let told = ToldBackup { state: BackupState::Success, dir, files, bytes, why: None };
            let of = Generation(report.manifest.generation);
            if turn.generation.get() != Some(&of) {
                let why = format!("generation {of} was opened in the middle of it; ask again");
                turn.step(|_| true, Stage::GivenUp(why));
            }
            if turn.step(|stage| matches!(stage, Stage::Going), Stage::Ended(told)) {
                info!(
                    name,
                    %set,
                    files,
                    bytes,
                    linked = report.linked_bytes,
                    waited_ms = turn.waited_for().as_millis() as u64,
                    "a hot backup of this store is made"
                );
                return;
            }
            if let Err(error) = keeper.take_back(name, *set) {
                warn!(name, %set, %error, "a hot backup that not every member has could not be removed; remove it by hand");
            }
            failure(&turn.given_up().unwrap_or_default())
        }
        Err(error) => {
            warn!(name, %error, "no hot backup of this store is made; the store goes on");
            failure(&words(&error))
        }
    };
    turn.step(|_| true, Stage::Ended(ended));
}

fn words(error: &BackupError) -> String {
    match error {
        BackupError::Company { why } => why.clone(),
        error => error.to_string(),
    }
}

fn exists(name: &str) -> Refusal {
    Refusal::new(Code::Exists, format!("backup '{name}' is made already"))
}

fn under_way(name: &str) -> Refusal {
    let why = format!("another backup ('{name}') is under way");
    Refusal::new(Code::ClusterState, why).hint("wait for its end, or interrupt it")
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
    let ended = |error: tokio::task::JoinError| Refusal::new(Code::Internal, format!("a thread ended early: {error}"));
    crate::host::blocking(work).await.map_err(ended)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use jet_hotstore::SimulatedDisk;
    use uuid::Uuid;

    use super::*;

    async fn part() -> Arc<Part> {
        part_on(SimulatedDisk::new()).await
    }

    async fn part_on(disk: SimulatedDisk) -> Arc<Part> {
        let keeper = Keeper::open_on(Arc::new(disk), Path::new("/store"), None).unwrap();
        keeper.record_founded(uuid::Uuid::from_u128(7), 0).unwrap();
        keeper.open_generation(Generation(1)).unwrap();
        keeper.cluster_is_in(Generation(1));
        Part::new(Arc::new(keeper))
    }

    /// The first one of this name.
    fn attempt(name: &str) -> Attempt {
        Attempt { name: name.into(), set: Uuid::from_u128(1) }
    }

    async fn ask(part: &Arc<Part>, ask: BackupAsk) -> BackupAnswer {
        part.clone().answer(ask).await
    }

    async fn ended(part: &Arc<Part>, name: &str) -> ToldBackup {
        let turn = part.turn_of(&attempt(name)).unwrap();
        let over = async {
            loop {
                let news = turn.news.notified();
                tokio::pin!(news);
                news.as_mut().enable();
                if !turn.is_open() {
                    return turn.told();
                }
                news.await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), over).await.expect("it ends")
    }

    #[tokio::test]
    async fn it_stands_still_until_all_do_and_is_made_once() {
        let part = part().await;
        let name = || attempt("nightly");
        assert_eq!(ask(&part, BackupAsk::Tell(None)).await.unwrap().told.state, BackupState::NotStarted);
        assert_eq!(ask(&part, BackupAsk::Hold(name())).await.unwrap_err().code, Code::StepOrder);
        ask(&part, BackupAsk::Prepare(name())).await.unwrap();
        assert_eq!(ask(&part, BackupAsk::Prepare(name())).await.unwrap_err().code, Code::Exists);
        let other = ask(&part, BackupAsk::Prepare(attempt("other"))).await.unwrap_err();
        assert!(other.message.contains("another backup ('nightly') is under way"), "{other}");
        assert_eq!(ask(&part, BackupAsk::Go(name())).await.unwrap_err().code, Code::StepOrder);
        ask(&part, BackupAsk::Hold(name())).await.unwrap();
        ask(&part, BackupAsk::Go(name())).await.unwrap();
        let made = ended(&part, "nightly").await;
        assert_eq!(made.state, BackupState::Success, "{made:?}");
        assert!(made.files > 0 && made.bytes > 0 && made.dir.ends_with("backups/nightly"), "{made:?}");
        assert_eq!(ask(&part, BackupAsk::Prepare(name())).await.unwrap_err().code, Code::Exists);
        // The next process is asked of what lies there.
        let again = Part::new(part.keeper.clone());
        assert_eq!(ask(&again, BackupAsk::Tell(Some(name().name))).await.unwrap().told, made);
    }

    #[tokio::test]
    async fn what_is_given_up_is_none_before_its_moment_in_it_and_behind_it() {
        let part = part().await;
        let left = || part.keeper.store().backups().unwrap().len();
        let give_up = |name: &str| BackupAsk::GiveUp(attempt(name), "member 2 is full".into());
        ask(&part, BackupAsk::Prepare(attempt("a"))).await.unwrap();
        ask(&part, give_up("a")).await.unwrap();
        ask(&part, BackupAsk::Prepare(attempt("b"))).await.unwrap();
        ask(&part, BackupAsk::Hold(attempt("b"))).await.unwrap();
        ask(&part, give_up("b")).await.unwrap();
        ended(&part, "b").await;
        ask(&part, BackupAsk::Prepare(attempt("c"))).await.unwrap();
        ask(&part, BackupAsk::Hold(attempt("c"))).await.unwrap();
        ask(&part, BackupAsk::Go(attempt("c"))).await.unwrap();
        ended(&part, "c").await;
        assert_eq!(left(), 1);
        ask(&part, give_up("c")).await.unwrap();
        let told = ask(&part, BackupAsk::Tell(Some("c".into()))).await.unwrap().told;
        assert_eq!((told.state, told.why.as_deref()), (BackupState::Failure, Some("member 2 is full")));
        assert_eq!(left(), 0);
    }

    #[tokio::test]
    async fn a_backup_that_cannot_be_looked_at_is_unknown_and_not_absent() {
        let disk = SimulatedDisk::new();
        let part = part_on(disk.clone()).await;
        ask(&part, BackupAsk::Prepare(attempt("a"))).await.unwrap();
        ask(&part, BackupAsk::Hold(attempt("a"))).await.unwrap();
        ask(&part, BackupAsk::Go(attempt("a"))).await.unwrap();
        let made = ended(&part, "a").await;
        // The next process knows of it only by the disk.
        let again = Part::new(part.keeper.clone());
        disk.fail_read_at(disk.reads() + 1);
        let refusal = ask(&again, BackupAsk::Tell(Some("a".into()))).await.unwrap_err();
        assert_eq!(refusal.code, Code::Internal);
        assert!(refusal.message.contains("whether backup 'a' is there is not known"), "{refusal}");
        assert_eq!(ask(&again, BackupAsk::Tell(Some("a".into()))).await.unwrap().told, made);
    }

    #[tokio::test]
    async fn what_comes_late_from_one_attempt_does_nothing_to_the_next_of_the_same_name() {
        let part = part().await;
        let (first, second) = (attempt("a"), Attempt { set: Uuid::from_u128(2), ..attempt("a") });
        let late = || BackupAsk::GiveUp(attempt("a"), "member 2 is full".into());
        ask(&part, BackupAsk::Prepare(first.clone())).await.unwrap();
        ask(&part, late()).await.unwrap();
        ask(&part, BackupAsk::Prepare(second.clone())).await.unwrap();
        assert_eq!(ask(&part, BackupAsk::Hold(first.clone())).await.unwrap_err().code, Code::StepOrder);
        ask(&part, BackupAsk::Hold(second.clone())).await.unwrap();
        assert_eq!(ask(&part, BackupAsk::Go(first)).await.unwrap_err().code, Code::StepOrder);
        ask(&part, late()).await.unwrap();
        ask(&part, BackupAsk::Go(second)).await.unwrap();
        wait_for("the second is made", || part.keeper.backup_told("a").unwrap().is_some()).await;
        ask(&part, late()).await.unwrap();
        assert!(part.keeper.backup_told("a").unwrap().is_some(), "it is of another set");
    }

    #[tokio::test]
    async fn what_a_process_before_made_or_a_turn_before_is_taken_back_all_the_same() {
        let part = part().await;
        for name in ["a", "b"] {
            ask(&part, BackupAsk::Prepare(attempt(name))).await.unwrap();
            ask(&part, BackupAsk::Hold(attempt(name))).await.unwrap();
            ask(&part, BackupAsk::Go(attempt(name))).await.unwrap();
            ended(&part, name).await;
        }
        let again = Part::new(part.keeper.clone());
        for (at, part, name, left) in [(0, &part, "a", 1), (1, &again, "b", 0)] {
            let answer = ask(part, BackupAsk::GiveUp(attempt(name), "member 2 is full".into())).await.unwrap();
            assert_eq!(answer.told.why.as_deref(), Some("member 2 is full"), "{at}");
            assert_eq!(part.keeper.store().backups().unwrap().len(), left, "{at}");
        }
    }

    async fn wait_for(what: &str, is_so: impl Fn() -> bool) {
        let so = async {
            while !is_so() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), so).await.unwrap_or_else(|_| panic!("not in time: {what}"));
    }

    #[tokio::test]
    async fn a_generation_that_the_cluster_is_not_in_yet_is_not_backed_up() {
        let part = part().await;
        part.keeper.open_generation(Generation(2)).unwrap();
        let refusal = ask(&part, BackupAsk::Prepare(attempt("a"))).await.unwrap_err();
        assert_eq!(refusal.code, Code::ClusterState, "{refusal}");
        part.keeper.cluster_is_in(Generation(2));
        ask(&part, BackupAsk::Prepare(attempt("a"))).await.unwrap();
        part.keeper.open_generation(Generation(3)).unwrap();
        ask(&part, BackupAsk::Hold(attempt("a"))).await.unwrap();
        ask(&part, BackupAsk::Go(attempt("a"))).await.unwrap();
        let told = ended(&part, "a").await;
        assert!(told.why.as_ref().is_some_and(|why| why.contains("generation 3 was opened")), "{told:?}");
        assert_eq!(part.keeper.store().backups().unwrap(), []);
    }

    #[tokio::test]
    async fn a_store_whose_company_does_not_come_goes_on_by_itself() {
        let part = part().await;
        ask(&part, BackupAsk::Prepare(attempt("a"))).await.unwrap();
        ask(&part, BackupAsk::Hold(attempt("a"))).await.unwrap();
        let told = ended(&part, "a").await;
        assert_eq!(told.state, BackupState::Failure);
        assert!(told.why.as_ref().is_some_and(|why| why.contains("not all stores stood still")), "{told:?}");
        assert_eq!(ask(&part, BackupAsk::Go(attempt("a"))).await.unwrap_err().code, Code::StepOrder);
        assert_eq!(part.keeper.store().backups().unwrap(), []);
        part.keeper.flush().unwrap();
    }
}
