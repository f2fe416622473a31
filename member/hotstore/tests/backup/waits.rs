//! Who waits for a backup, for how much of it, and who does not wait.
//!
//! Must not know: clocks; what is waited for is counted in calls of the disk.

use super::gate::Gate;
use super::*;
use std::cell::Cell;

/// Counts the calls of the disk between its questions while others wait, and gives up at one of them.
struct Asks {
    disk: SimulatedDisk,
    waits: Cell<bool>,
    asked: Cell<u64>,
    at: Cell<u64>,
    most: Cell<u64>,
    ends_at: Option<u64>,
}

impl Asks {
    fn of(disk: &SimulatedDisk, ends_at: Option<u64>) -> Asks {
        let (waits, asked, at, most) = (Cell::new(false), Cell::new(0), Cell::new(0), Cell::new(0));
        Asks { disk: disk.clone(), waits, asked, at, most, ends_at }
    }

    fn look(&self) {
        let calls = calls(&self.disk);
        self.most.set(self.most.get().max(calls - self.at.replace(calls)));
        self.asked.set(self.asked.get() + 1);
    }
}

impl Company for Asks {
    fn begins(&self) {
        self.waits.set(true);
        self.at.set(calls(&self.disk));
    }

    fn meet(&self, _pressed: &dyn Fn() -> Option<String>) -> Result<(), String> {
        self.look();
        self.waits.set(false);
        Ok(())
    }

    fn given_up(&self) -> Option<String> {
        if self.waits.get() {
            self.look();
        }
        let is_over = self.ends_at.is_some_and(|at| self.asked.get() >= at);
        is_over.then(|| "its time is over".to_owned())
    }
}

/// Changes and reads.
fn calls(disk: &SimulatedDisk) -> u64 {
    disk.calls() + disk.reads()
}

/// Much is queued, and much lies on the shelf.
fn laden(disk: &SimulatedDisk) -> Store {
    let store = written(disk);
    for n in 10..=49 {
        epoch(&store, n);
    }
    for n in 14..=200 {
        put(&store, 0, n);
    }
    store
}

/// Disk calls to end the log and to begin its next chunk; of all else there is less between two questions.
const A_STEP: u64 = 30;

#[test]
fn however_much_is_to_be_done_whoever_waits_for_a_backup_waits_for_one_step() {
    let disk = SimulatedDisk::new();
    let (store, company) = (laden(&disk), Asks::of(&disk, None));
    store.backup_together("nightly", SET, &company).unwrap();
    assert!(company.asked.get() > 40, "{} questions", company.asked.get());
    assert!(company.most.get() <= A_STEP, "{} calls of the disk between two questions", company.most.get());
    for ends_at in (0..company.asked.get()).step_by(4) {
        let disk = SimulatedDisk::new();
        let (store, company) = (laden(&disk), Asks::of(&disk, Some(ends_at)));
        let error = store.backup_together("nightly", SET, &company).unwrap_err();
        assert!(matches!(&error, BackupError::Company { why } if why == "its time is over"), "{ends_at}: {error}");
        assert_eq!((company.asked.get(), names(&store)), (ends_at, vec![]));
        let mut log = store.consensus_log().unwrap();
        log.append(&[LogEntry { index: 2, term: 3, bytes: b"two".to_vec() }]).unwrap();
        put(&store, 0, 201);
        store.flush().unwrap();
        drop(log);
        store.backup("nightly").unwrap();
    }
}

#[test]
fn all_that_was_appended_is_written_before_anybody_waits() {
    struct Looks<'a>(&'a Store, Cell<Option<usize>>);
    impl Company for Looks<'_> {
        fn begins(&self) {
            self.1.set(Some(self.0.health().waiting_bytes));
        }

        fn meet(&self, _pressed: &dyn Fn() -> Option<String>) -> Result<(), String> {
            Ok(())
        }

        fn given_up(&self) -> Option<String> {
            None
        }
    }
    let store = laden(&SimulatedDisk::new());
    assert!(store.health().waiting_bytes > 0);
    let looks = Looks(&store, Cell::new(None));
    store.backup_together("nightly", SET, &looks).unwrap();
    assert_eq!(looks.1.get(), Some(0));
}

#[test]
fn a_company_that_meets_late_makes_nobody_lag() {
    let disk = SimulatedDisk::new();
    let bound = Options { queue_bytes: 4000, ..options() };
    let (store, _) = Store::open(dir(), Arc::new(disk.clone()), bound).unwrap();
    begun(&store);
    struct Late<'a>(&'a Store);
    impl Company for Late<'_> {
        fn begins(&self) {}

        fn meet(&self, pressed: &dyn Fn() -> Option<String>) -> Result<(), String> {
            (14..1000)
                .find_map(|n| {
                    put(self.0, 0, n);
                    pressed().map(Err)
                })
                .expect("it says so before anything lags")
        }

        fn given_up(&self) -> Option<String> {
            None
        }
    }
    let error = store.backup_together("nightly", SET, &Late(&store)).unwrap_err();
    assert!(error.to_string().contains("bytes wait for the disk of /store, and half of 4000 may"), "{error}");
    assert_eq!(store.health().lagging, Vec::<u16>::new());
    store.flush().unwrap();
    store.backup("nightly").unwrap();
}

#[test]
fn who_asks_for_epochs_while_they_are_linked_does_not_wait() {
    let disk = SimulatedDisk::new();
    let gate = Gate::on(disk.clone(), ".tmp/data/gen-1/epoch");
    let (store, _) = Store::open(dir(), Arc::new(gate.clone()), options()).unwrap();
    begun(&store);
    gate.close();
    std::thread::scope(|scope| {
        let store = &store;
        let backup = scope.spawn(|| store.backup("nightly"));
        let linking = gate.wait_until_somebody_waits(WAIT);
        let (tell, told) = std::sync::mpsc::channel();
        scope.spawn(move || tell.send(store.epochs().len()));
        let told = told.recv_timeout(WAIT);
        gate.open();
        assert!(linking, "an epoch is being linked");
        assert_eq!(told, Ok(1));
        backup.join().unwrap().unwrap();
    });
}
