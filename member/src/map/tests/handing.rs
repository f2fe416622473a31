//! A primary that gives its place: what is answered then, and what is said of it.

use jet_map::{Query, QueryReply};

use super::*;
use crate::map::Invoked;

/// Who comes to a world of one.
const OTHER: jet_core::MemberId = jet_core::MemberId(Uuid::from_u128(9));
const OTHERS_BOOT: Boot = Boot(4);

const P: PartitionId = PartitionId(1);

fn get() -> Query {
    Query::Get { map: "out".into(), key: Bytes::from_static(b"k") }
}

fn put() -> Op {
    Op::Put { map: "out".into(), key: Bytes::from_static(b"k"), value: Bytes::from_static(b"late") }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_answered_from_the_release_on() {
    let world = World::running();
    world.puts(P.0, "k", "v").await;
    let shared = &world.maps.shared;
    let changed = shared.cell(P).unwrap().state().lead.as_ref().unwrap().changed;
    world.maps.release(P, changed.next());
    assert!(
        world.maps.ask_now(P, Requester::Client, &get()).is_some(),
        "a release of another change of the entry counts"
    );
    let waits = shared.cell(P).unwrap().state().handing.answering();
    world.maps.release(P, changed);
    assert!(world.maps.ask_now(P, Requester::Client, &get()).is_none());
    assert!(matches!(world.maps.invoke_now(P, Requester::Client, put()), Invoked::NotNow(_)));
    let asked = shared.ask_here(P, Requester::Client, get()).await;
    assert!(matches!(asked, Err(Refusal::NotPrimary { .. })), "{asked:?}");
    let order = shared.cell(P).unwrap().order(shared, Requester::Job, put()).map(|ordered| ordered.version);
    assert!(matches!(order, Err(Refusal::NotPrimary { .. })), "{order:?}");
    assert!(world.maps.released().is_empty(), "somebody waits for an answer");
    drop(waits);
    assert_eq!(world.maps.released().into_iter().collect::<Vec<_>>(), [(P, changed)]);
    shared.cell(P).unwrap().state().handing.follow_table(changed.next());
    let found = shared.ask_here(P, Requester::Client, get()).await;
    assert_eq!(found, Ok(QueryReply::Value(Some(Bytes::from_static(b"v")))), "it keeps its place");
    assert!(world.maps.released().is_empty());
}

impl World {
    fn entry(&self) -> jet_core::PartitionEntry {
        self.cluster.machine().table.entry(P).unwrap().clone()
    }

    /// Another member comes.
    fn has_two(&self) {
        let entry = RosterEntry { ordinal: 1, boot: OTHERS_BOOT, volume_id: "w".into(), log_line: 1 };
        let member = Founder { member: OTHER, entry };
        self.does(Command::Admit { member, opened: Generation(0), permit_digest: Digest::default() });
        let generation = self.cluster.machine().generation;
        self.does(Command::Opened { member: OTHER, boot: OTHERS_BOOT, generation });
    }

    /// And leads the partition, all at once: a log may tell of it all in one go.
    fn is_led_elsewhere(&self) {
        let (me, boot) = (self.cluster.me, self.cluster.boot);
        let changed = || self.entry().changed;
        self.does(Command::Move { partition: P, from: me, to: OTHER, table_version: changed() });
        self.does(Command::Synced { partition: P, member: OTHER, boot: OTHERS_BOOT, table_version: changed() });
        self.does(Command::Releasing { partition: P, to: OTHER, table_version: changed() });
        self.does(Command::Released { partition: P, member: me, boot, table_version: changed() });
        assert_eq!(self.entry().primary().map(|primary| primary.member), Some(OTHER));
    }

    /// It is led elsewhere when so many more looks at the lease were taken.
    fn is_led_elsewhere_before_lease(self: &Arc<Self>, looks: usize) {
        let world = self.clone();
        *lock(&self.cluster.before_lease) = Some((looks, Box::new(move || world.is_led_elsewhere())));
    }

    async fn led_here_with_two() -> Arc<Self> {
        let world = Arc::new(Self::founded());
        world.puts(P.0, "k", "v").await;
        world.has_two();
        world
    }
}

/// The lease that is looked at last may be under a table by which another leads: what was looked up before is not told by it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_under_a_later_table_covers_nothing_from_before_it() {
    let world = World::led_here_with_two().await;
    world.is_led_elsewhere_before_lease(0);
    let asked = world.maps.ask_now(P, Requester::Client, &get());
    assert!(asked.is_none(), "told at once: {asked:?}");

    let world = World::led_here_with_two().await;
    world.is_led_elsewhere_before_lease(0);
    let asked = world.maps.shared.ask_here(P, Requester::Client, get()).await;
    assert!(matches!(asked, Err(Refusal::Unconfirmed { .. })), "{asked:?}");

    let world = World::led_here_with_two().await;
    world.is_led_elsewhere_before_lease(0);
    let told = match world.maps.invoke_now(P, Requester::Client, put()) {
        Invoked::Waits(waits) => waits.acknowledged().await,
        Invoked::Over(over) => over,
        Invoked::NotNow(op) => panic!("{op:?} is not done"),
    };
    assert!(matches!(told, Err(Refusal::Unconfirmed { .. })), "{told:?}");

    let world = World::led_here_with_two().await;
    world.is_led_elsewhere_before_lease(0);
    let told = world.maps.shared.invoke_here(P, Requester::Client, put(), false).await;
    assert!(matches!(told, Err(Refusal::Unconfirmed { .. })), "{told:?}");

    // A change that waits for the disks looks twice.
    let world = World::led_here_with_two().await;
    world.is_led_elsewhere_before_lease(1);
    let told = world.maps.shared.invoke_here(P, Requester::Client, put(), true).await;
    assert!(told.is_err(), "{told:?}");
    assert!(lock(&world.cluster.before_lease).is_none(), "it looked once only");
}
