//! A whole member whose maps keep a diary: what they are told when, and what is true at that moment.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use clap::Parser;
use futures::future::BoxFuture;
use jet_admin_api::refusal::Refusal;
use jet_core::agent::{Copying, Doors};
use jet_core::report::EpochReport;
use jet_core::{
    Boot, Command, Digest, LogIndex, Machine, MemberId, Outcome, PartitionContent, PartitionId, TableVersion, Version,
};
use jet_hotstore::Store;
use jet_member::config::{Launch, Settings};
use jet_member::idle::{NoJobs, NoMaps};
use jet_member::map::MapService;
use jet_member::member::{Member, Parts};
use jet_member::ports::{Cluster, Jobs, Maps};

use crate::pki::Pki;
use crate::wires::{CLUSTER, until};

/// Looks at the doors for which a store that closes too early, or doors that open again, have time to show: the agent
/// looks every twentieth time.
const LOOKS: u64 = 40;

/// What a panic says.
const MISTAKE: &str = "a mistake on purpose";

/// Maps without entries that note what happens to them.
struct Diary {
    maps: NoMaps,
    cluster: Arc<dyn Cluster>,
    store: Arc<Store>,
    told: Mutex<Vec<Doors>>,
    looks: AtomicU64,
    /// A call is in flight.
    busy: AtomicBool,
    applied: Mutex<Arc<Machine>>,
    published: AtomicU64,
    /// Who counts its contents panics.
    breaks: AtomicBool,
    /// `published` was called while the cluster still gave an older machine.
    early: AtomicBool,
}

static DIARIES: Mutex<BTreeMap<PathBuf, Arc<Diary>>> = Mutex::new(BTreeMap::new());

fn make(parts: Parts) -> (Arc<dyn Maps>, Arc<dyn Jobs>) {
    let diary = Arc::new(Diary {
        maps: NoMaps::new(parts.cluster.clone(), parts.store.clone()),
        cluster: parts.cluster,
        store: parts.store,
        told: Mutex::default(),
        looks: AtomicU64::new(0),
        busy: AtomicBool::new(false),
        applied: Mutex::default(),
        published: AtomicU64::new(0),
        breaks: AtomicBool::new(false),
        early: AtomicBool::new(false),
    });
    DIARIES.lock().unwrap().insert(parts.settings.base_dir.clone(), diary.clone());
    (diary, Arc::new(NoJobs::default()))
}

impl Diary {
    fn told(&self) -> Vec<Doors> {
        self.told.lock().unwrap().clone()
    }

    fn store_is_closed(&self) -> bool {
        self.store.health().closed.is_some()
    }
}

impl Maps for Diary {
    fn applied(&self, machine: &Arc<Machine>) {
        *self.applied.lock().unwrap() = machine.clone();
    }

    fn published(&self) {
        self.published.fetch_add(1, Ordering::SeqCst);
        if self.cluster.machine() != *self.applied.lock().unwrap() {
            self.early.store(true, Ordering::SeqCst);
        }
    }

    fn set_doors(&self, doors: Doors) {
        self.told.lock().unwrap().push(doors);
        self.maps.set_doors(doors);
    }

    fn doors(&self) -> Doors {
        self.looks.fetch_add(1, Ordering::SeqCst);
        match self.maps.doors() {
            Doors::ClosedForAll if self.busy.load(Ordering::SeqCst) => Doors::ClosedForWriters,
            doors => doors,
        }
    }

    fn load(&self) -> BoxFuture<'static, Result<Digest, String>> {
        self.maps.load()
    }

    fn versions(&self) -> Vec<Option<Version>> {
        self.maps.versions()
    }

    fn contents(&self) -> BoxFuture<'static, Result<Vec<PartitionContent>, String>> {
        assert!(!self.breaks.load(Ordering::SeqCst), "{MISTAKE}");
        self.maps.contents()
    }

    fn ship(&self, partition: PartitionId, to: MemberId, boot: Boot, changed: TableVersion) {
        self.maps.ship(partition, to, boot, changed);
    }

    fn copies(&self) -> BTreeMap<(PartitionId, MemberId), Copying> {
        self.maps.copies()
    }

    fn store_open(&self) {
        self.maps.store_open();
    }

    fn final_at(&self, applied: LogIndex) -> LogIndex {
        self.maps.final_at(applied)
    }

    fn epochs(&self) -> (Vec<EpochReport>, Vec<EpochReport>) {
        self.maps.epochs()
    }

    fn for_clients(&self) -> Option<MapService> {
        self.maps.for_clients()
    }

    fn get(&self, map: String, key: Bytes) -> BoxFuture<'static, Result<Option<Bytes>, Refusal>> {
        self.maps.get(map, key)
    }

    fn put(&self, map: String, key: Bytes, value: Option<Bytes>) -> BoxFuture<'static, Result<Option<Bytes>, Refusal>> {
        self.maps.put(map, key, value)
    }
}

/// A cluster of one, serving.
async fn serving() -> (tempfile::TempDir, Arc<Member>, Arc<Diary>) {
    let dir = tempfile::tempdir().unwrap();
    Pki::new(CLUSTER).write_members(&dir.path().join("tls"), 1);
    let path = |name: &str| dir.path().join(name).display().to_string();
    let (home, tls) = (path("home"), path("tls"));
    let arguments = ["jet-member", "--ordinal", "0", "--home", &home, "--tls", &tls, "--cluster", CLUSTER];
    let ports =
        ["--bind", "127.0.0.1", "--member-port", "0", "--admin-port", "0", "--health-port", "0", "--client-port", "0"];
    let launch = Launch::parse_from(arguments.into_iter().chain(ports).chain(["--founding", "configuration"]));
    let settings = Settings::load(&launch).unwrap();
    let place = settings.base_dir.clone();
    let member = Member::start(settings, make).await.unwrap();
    let diary = DIARIES.lock().unwrap().get(&place).cloned().unwrap();
    until("the doors are open", || async {
        let view = member.view().await;
        if view.ready { Ok(()) } else { Err(format!("{:?}: {}", view.phase, view.waiting_for)) }
    })
    .await;
    (dir, member, diary)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_ends_opens_no_door_and_closes_its_store_behind_the_last_call() {
    let (_dir, member, diary) = serving().await;
    diary.busy.store(true, Ordering::SeqCst);
    let before = diary.told().len();
    let ending = {
        let member = member.clone();
        tokio::spawn(async move { member.end().await })
    };
    until("the doors are told to close", || async {
        if diary.told().len() > before { Ok(()) } else { Err("not yet") }.map_err(str::to_owned)
    })
    .await;
    let looked = diary.looks.load(Ordering::SeqCst);
    until("the doors were looked at again and again", || async {
        let looks = diary.looks.load(Ordering::SeqCst) - looked;
        assert!(!diary.store_is_closed(), "the store was closed with a call in flight");
        if looks >= LOOKS { Ok(()) } else { Err(format!("{looks} looks")) }
    })
    .await;
    assert_eq!(diary.told()[before..], [Doors::ClosedForAll], "what the doors were told since");
    diary.busy.store(false, Ordering::SeqCst);
    ending.await.unwrap();
    assert!(diary.store_is_closed());
    assert_eq!(diary.told()[before..], [Doors::ClosedForAll], "what the doors were told since");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_a_machine_is_woken_when_it_can_be_seen() {
    let (_dir, member, diary) = serving().await;
    assert!(diary.published.load(Ordering::SeqCst) > 0, "nobody was woken");
    assert!(!diary.early.load(Ordering::SeqCst), "waiters were woken while the older machine was still given");
    member.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_action_panics_over_is_told_and_the_action_is_tried_again() {
    let (_dir, member, diary) = serving().await;
    let propose = async |command: Command| {
        let outcome = diary.cluster.clone().propose(command).await.unwrap();
        assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
    };
    diary.breaks.store(true, Ordering::SeqCst);
    let op: jet_core::OperationId = "1-stop".parse().unwrap();
    let begin = Command::Begin { op: op.clone(), requested_by: "test".into(), accepted: Vec::new(), transient: false };
    propose(begin).await;
    propose(Command::Freeze { op: op.clone(), commit_within_ms: 60_000 }).await;
    until("the panic is told", || async {
        let said = member.view().await.waiting_for;
        if said.contains(MISTAKE) { Ok(()) } else { Err(said) }
    })
    .await;
    diary.breaks.store(false, Ordering::SeqCst);
    until("the contents are counted and sealed", || async {
        let machine = diary.cluster.machine();
        let operation = machine.operation(&op).unwrap();
        if operation.seals.len() == 1 { Ok(()) } else { Err(format!("{:?}", operation.step)) }
    })
    .await;
    member.end().await;
}
