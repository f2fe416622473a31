//! Who listens to changes of maps, and what is told to whom when.
//!
//! Laws:
//! 1. **Nothing that is taken back.** A change is told when every replica that counts has it, in the order of its partition,
//!    by its primary; a client's change of a map with fsync when it is on their disks too, whoever gave up waiting for that.
//!    What a primary had not told when it ceased to be one is told by nobody: who must know of that hears another
//!    installation. What a store or a copy brings is not told.
//! 2. **Nobody waits.** Telling is putting into queues, under the lock of the partition. A queue is bounded in bytes; who is
//!    so slow that it is full, or would have to be told what was not kept for it, is told that something is lost, and
//!    nothing more: an event is never missing between two others.
//! 3. **Free where nobody listens.** Events are made only of maps that somebody listens to here.
//! 4. **A map that is emptied** is a change of each partition, and one for whoever counts entries: who asked for it here
//!    tells the sum, once, when all of it is acknowledged.
//!
//! Attacks, and where they are tried (`tests/told.rs`): a change that no follower confirms; one that no disk has; a listener
//! that takes nothing; a primary that is one no more; order of one key; what is heard after forgetting.
//! Must not know: who listens, over which protocol.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::task::AtomicWaker;
use jet_map::{MapEvent, MemberId, Op, PartitionEntry, PartitionId, TableVersion, Version, What};
use uuid::Uuid;

use super::elsewhere::Elsewhere;
use super::{MapService, lock};

/// Bytes of events of one partition that wait to be acknowledged; beyond, who would be told is told that they are lost.
const UNTOLD_MOST: usize = 16 << 20;
/// An event without its key and values.
const EVENT_BYTES: usize = 128;

/// Kinds of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds(u8);

impl Kinds {
    /// These.
    pub fn of(kinds: impl IntoIterator<Item = What>) -> Self {
        Self(kinds.into_iter().fold(0, |all, what| all | (1 << what as u8)))
    }

    pub(super) fn has(self, what: What) -> bool {
        self.0 & (1 << what as u8) != 0
    }
}

/// How a listener is told that a map was emptied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emptied {
    /// Once, with the sum, by the member that was asked for it.
    AsAWhole,
    /// For each partition of which anything went, by its primary.
    ByPartition,
}

/// What somebody wants to hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Of this map.
    pub map: String,
    /// Of this key alone, and of what is about all keys.
    pub key: Option<Bytes>,
    /// Of these kinds.
    pub what: Kinds,
    /// What is about all keys.
    pub emptied: Emptied,
}

impl Wish {
    fn is_for(&self, partition: Option<PartitionId>, event: &MapEvent) -> bool {
        let emptied = if partition.is_some() { Emptied::ByPartition } else { Emptied::AsAWhole };
        let fits = match &event.key {
            Some(key) => self.key.as_ref().is_none_or(|wanted| wanted == key),
            None => self.emptied == emptied,
        };
        fits && self.what.has(event.what)
    }
}

/// What somebody hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Under which name it was asked for.
    pub listener: Uuid,
    /// Partition, and under which installation it is led; none: of the map as a whole.
    pub from: Option<(PartitionId, TableVersion)>,
    /// What.
    pub event: Arc<MapEvent>,
}

/// Something was not told, and nothing is told any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more happened than waits for one who listens: {most} bytes of events")]
pub struct Lost {
    /// Bound of the queue.
    pub most: usize,
}

/// Where events wait for one who listens.
pub(super) struct Ear {
    most: usize,
    queue: Mutex<Queue>,
    waker: AtomicWaker,
}

#[derive(Default)]
struct Queue {
    heard: VecDeque<Heard>,
    bytes: usize,
    lost: bool,
}

impl Ear {
    pub(super) fn hear(&self, heard: Heard) {
        let mut queue = lock(&self.queue);
        if queue.lost {
            return;
        }
        let bytes = size(&heard.event);
        if queue.bytes + bytes > self.most {
            *queue = Queue { lost: true, ..Queue::default() };
        } else {
            queue.bytes += bytes;
            queue.heard.push_back(heard);
        }
        drop(queue);
        self.waker.wake();
    }

    pub(super) fn lose(&self) {
        *lock(&self.queue) = Queue { lost: true, ..Queue::default() };
        self.waker.wake();
    }

    fn next(&self) -> Option<Result<Heard, Lost>> {
        let mut queue = lock(&self.queue);
        if queue.lost {
            return Some(Err(Lost { most: self.most }));
        }
        let heard = queue.heard.pop_front()?;
        queue.bytes -= size(&heard.event);
        Some(Ok(heard))
    }
}

pub(super) fn size(event: &MapEvent) -> usize {
    let of = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
    EVENT_BYTES + event.map.len() + of(&event.key) + of(&event.old) + of(&event.new)
}

struct Listener {
    id: Uuid,
    wish: Wish,
    ear: Arc<Ear>,
}

/// All that listen at this member.
#[derive(Default)]
pub struct Listeners {
    count: AtomicUsize,
    by_map: RwLock<BTreeMap<String, Vec<Listener>>>,
}

impl Listeners {
    /// Whether anybody wants to hear what a change may do.
    pub(super) fn listen_to(&self, op: &Op) -> bool {
        self.count.load(Ordering::Acquire) > 0 && op.map().is_none_or(|map| self.read(|all| all.contains_key(map)))
    }

    fn read<T>(&self, look: impl FnOnce(&BTreeMap<String, Vec<Listener>>) -> T) -> T {
        look(&self.by_map.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn each(&self, partition: Option<PartitionId>, event: &MapEvent, told: impl Fn(&Listener)) {
        self.read(|all| {
            let of_map = all.get(&event.map).into_iter().flatten();
            of_map.filter(|listener| listener.wish.is_for(partition, event)).for_each(told);
        });
    }

    fn tell(&self, from: Option<(PartitionId, TableVersion)>, event: MapEvent) {
        let event = Arc::new(event);
        self.each(from.map(|(partition, _)| partition), &event, |listener| {
            listener.ear.hear(Heard { listener: listener.id, from, event: event.clone() });
        });
    }

    fn add(&self, id: Uuid, wish: Wish, ear: Arc<Ear>) {
        let mut all = self.by_map.write().unwrap_or_else(PoisonError::into_inner);
        all.entry(wish.map.clone()).or_default().push(Listener { id, wish, ear });
        self.count.fetch_add(1, Ordering::Release);
    }

    fn forget(&self, map: &str, gone: impl Fn(&Listener) -> bool) -> bool {
        let mut all = self.by_map.write().unwrap_or_else(PoisonError::into_inner);
        let Some(of_map) = all.get_mut(map) else { return false };
        let before = of_map.len();
        of_map.retain(|listener| !gone(listener));
        let forgotten = before - of_map.len();
        if of_map.is_empty() {
            all.remove(map);
        }
        self.count.fetch_sub(forgotten, Ordering::Release);
        forgotten > 0
    }
}

/// One who listens, to as much as it wants: it hears in the order in which things were told here. Forgotten when dropped.
pub struct Hearing {
    all: Arc<Listeners>,
    elsewhere: Arc<Elsewhere>,
    ear: Arc<Ear>,
    mine: BTreeMap<Uuid, String>,
}

impl Hearing {
    /// From now on it hears this, under that name.
    pub fn listen(&mut self, id: Uuid, wish: Wish) {
        self.mine.insert(id, wish.map.clone());
        self.all.add(id, wish, self.ear.clone());
    }

    /// It hears that no more, but for what waits already. Whether it did.
    pub fn forget(&mut self, id: Uuid) -> bool {
        self.elsewhere.forget(id);
        self.mine.remove(&id).is_some_and(|map| self.all.forget(&map, |listener| listener.id == id))
    }

    pub(super) fn ear(&self) -> Arc<Ear> {
        self.ear.clone()
    }

    /// The next.
    pub(super) async fn next(&mut self) -> Result<Heard, Lost> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The next.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Heard, Lost>> {
        self.ear.waker.register(cx.waker());
        self.ear.next().map_or(Poll::Pending, Poll::Ready)
    }
}

impl Drop for Hearing {
    fn drop(&mut self) {
        for (id, map) in &self.mine {
            self.elsewhere.forget(*id);
            self.all.forget(map, |listener| listener.id == *id);
        }
    }
}

impl MapService {
    /// Somebody who listens to nothing yet, for whom so many bytes of events may wait.
    pub fn hearing(&self, most: usize) -> Hearing {
        let ear = Ear { most, queue: Mutex::default(), waker: AtomicWaker::new() };
        let (all, elsewhere) = (self.shared.listeners.clone(), self.shared.elsewhere.clone());
        Hearing { all, elsewhere, ear: Arc::new(ear), mine: BTreeMap::new() }
    }

    /// Partitions that a member leads by the table, and under which installation.
    pub fn led_by(&self, member: MemberId) -> Vec<(PartitionId, TableVersion)> {
        let machine = self.shared.cluster.machine();
        let leads = |entry: &PartitionEntry| entry.primary().is_some_and(|primary| primary.member == member);
        let led = machine.table.entries().filter(|(_, entry)| leads(entry));
        led.map(|(partition, entry)| (partition, entry.installed)).collect()
    }

    /// Under which installation a partition is led, if somebody leads it.
    pub fn installed(&self, partition: PartitionId) -> Option<TableVersion> {
        let machine = self.shared.cluster.machine();
        machine.table.entry(partition).filter(|entry| entry.primary().is_some()).map(|entry| entry.installed)
    }

    /// A map was emptied for somebody who asked here: of so many entries.
    pub fn emptied(&self, map: &str, what: What, count: u64) {
        if count > 0 {
            self.shared
                .listeners
                .tell(None, MapEvent { map: map.to_owned(), what, key: None, old: None, new: None, count });
        }
    }
}

/// What a change did that is not told yet.
struct Change {
    version: Version,
    /// It is acknowledged when it is on the disks.
    to_disk: bool,
    bytes: usize,
    events: Vec<MapEvent>,
}

/// Changes of one partition that are not told yet. Those of maps with fsync are apart: the others do not wait for disks.
pub struct Untold {
    partition: PartitionId,
    all: Arc<Listeners>,
    in_ram: VecDeque<Change>,
    on_disk: VecDeque<Change>,
    bytes: usize,
}

impl Untold {
    /// Of a partition.
    pub fn of(partition: PartitionId, all: Arc<Listeners>) -> Self {
        Self { partition, all, in_ram: VecDeque::new(), on_disk: VecDeque::new(), bytes: 0 }
    }

    /// A change was put in order. `kept`: its map is one with fsync; `to_disk`: it waits for the disks.
    pub fn add(&mut self, version: Version, events: Vec<MapEvent>, kept: bool, to_disk: bool) {
        if events.is_empty() {
            return;
        }
        let bytes = events.iter().map(size).sum();
        if self.bytes + bytes > UNTOLD_MOST {
            self.lose();
            events.iter().for_each(|event| self.lost(event));
            return;
        }
        self.bytes += bytes;
        let queue = if kept { &mut self.on_disk } else { &mut self.in_ram };
        queue.push_back(Change { version, to_disk, bytes, events });
    }

    /// There is nothing.
    pub fn is_empty(&self) -> bool {
        self.in_ram.is_empty() && self.on_disk.is_empty()
    }

    /// What waits for disks to be told.
    pub fn wanted(&self) -> Option<Version> {
        self.on_disk.front().filter(|change| change.to_disk).map(|change| change.version)
    }

    /// Tells what every replica that counts has, and of that what `is_on_disk` where it waits for disks.
    pub fn tell(&mut self, installed: TableVersion, upto: Version, is_on_disk: impl Fn(Version) -> bool) {
        let (all, from) = (&self.all, Some((self.partition, installed)));
        for queue in [&mut self.in_ram, &mut self.on_disk] {
            while let Some(change) = queue.front()
                && change.version <= upto
                && (!change.to_disk || is_on_disk(change.version))
                && let Some(change) = queue.pop_front()
            {
                self.bytes -= change.bytes;
                change.events.into_iter().for_each(|event| all.tell(from, event));
            }
        }
    }

    /// This member leads the partition no more.
    pub fn clear(&mut self) {
        (self.in_ram, self.on_disk, self.bytes) = (VecDeque::new(), VecDeque::new(), 0);
    }

    fn lose(&mut self) {
        for change in self.in_ram.iter().chain(&self.on_disk) {
            change.events.iter().for_each(|event| self.lost(event));
        }
        self.clear();
    }

    fn lost(&self, event: &MapEvent) {
        self.all.each(Some(self.partition), event, |listener| listener.ear.lose());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTITION: PartitionId = PartitionId(3);
    const INSTALLED: TableVersion = TableVersion(5);

    fn at(seq: u64) -> Version {
        Version { installed: INSTALLED, seq }
    }

    fn event(what: What, key: &'static str, bytes: usize) -> MapEvent {
        let new = Some(Bytes::from(vec![0; bytes]));
        MapEvent { map: "m".into(), what, key: Some(Bytes::from_static(key.as_bytes())), old: None, new, count: 1 }
    }

    fn all() -> Kinds {
        Kinds::of([What::Added, What::Removed, What::Cleared])
    }

    fn wish(key: Option<&'static str>, what: Kinds, emptied: Emptied) -> Wish {
        Wish { map: "m".into(), key: key.map(|key| Bytes::from_static(key.as_bytes())), what, emptied }
    }

    fn hearing(listeners: &Arc<Listeners>, most: usize) -> Hearing {
        let ear = Ear { most, queue: Mutex::default(), waker: AtomicWaker::new() };
        Hearing { all: listeners.clone(), elsewhere: Arc::default(), ear: Arc::new(ear), mine: BTreeMap::new() }
    }

    fn keys(hearing: &mut Hearing) -> Result<Vec<String>, Lost> {
        let key = |heard: Heard| String::from_utf8_lossy(heard.event.key.as_deref().unwrap_or(b"all")).into_owned();
        std::iter::from_fn(|| hearing.ear.next()).map(|heard| heard.map(key)).take(100).collect()
    }

    #[test]
    fn nothing_is_told_before_it_is_acknowledged_and_then_in_order() {
        let listeners = Arc::<Listeners>::default();
        let mut untold = Untold::of(PARTITION, listeners.clone());
        let mut hears = hearing(&listeners, 1 << 20);
        hears.listen(Uuid::nil(), wish(None, all(), Emptied::AsAWhole));
        for (seq, key, kept) in [(1, "a", false), (2, "b", true), (3, "c", false), (4, "d", true)] {
            untold.add(at(seq), vec![event(What::Added, key, 1)], kept, kept && seq == 2);
        }
        untold.tell(INSTALLED, at(2), |_| false);
        assert_eq!(keys(&mut hears).unwrap(), ["a"], "the disks do not have b");
        untold.tell(INSTALLED, at(4), |_| false);
        assert_eq!(keys(&mut hears).unwrap(), ["c"], "others do not wait for it, but what came behind it does");
        assert_eq!(untold.wanted(), Some(at(2)));
        untold.tell(INSTALLED, at(4), |version| version <= at(2));
        assert_eq!(keys(&mut hears).unwrap(), ["b", "d"]);
        assert!(untold.is_empty() && untold.bytes == 0);
        untold.add(at(5), vec![event(What::Added, "e", 1)], false, false);
        untold.clear();
        untold.tell(INSTALLED, at(9), |_| true);
        assert_eq!(keys(&mut hears).unwrap(), [""; 0], "who leads no more tells nothing");
    }

    #[test]
    fn who_listens_hears_what_it_asked_for_and_nothing_after_it_forgot() {
        let listeners = Arc::<Listeners>::default();
        let [mut of_key, mut of_kind, mut by_partition] = [(); 3].map(|()| hearing(&listeners, 1 << 20));
        of_key.listen(Uuid::from_u128(1), wish(Some("a"), all(), Emptied::AsAWhole));
        of_kind.listen(Uuid::from_u128(2), wish(None, Kinds::of([What::Removed]), Emptied::AsAWhole));
        by_partition.listen(Uuid::from_u128(3), wish(None, all(), Emptied::ByPartition));
        let from = Some((PARTITION, INSTALLED));
        let cleared = MapEvent { key: None, ..event(What::Cleared, "", 0) };
        let tell = || {
            for what in [What::Added, What::Removed, What::Updated] {
                ["a", "b"].into_iter().for_each(|key| listeners.tell(from, event(what, key, 1)));
            }
            listeners.tell(from, cleared.clone());
            listeners.tell(None, cleared.clone());
            listeners.tell(from, MapEvent { map: "other".into(), ..event(What::Added, "a", 1) });
        };
        tell();
        assert_eq!(keys(&mut of_key).unwrap(), ["a", "a", "all"]);
        assert_eq!(keys(&mut of_kind).unwrap(), ["a", "b"]);
        assert_eq!(keys(&mut by_partition).unwrap(), ["a", "b", "a", "b", "all"]);
        assert!(of_key.forget(Uuid::from_u128(1)) && !of_key.forget(Uuid::from_u128(1)));
        drop(by_partition);
        tell();
        assert_eq!((keys(&mut of_key).unwrap().len(), keys(&mut of_kind).unwrap().len()), (0, 2));
        drop(of_kind);
        let put = Op::Put { map: "m".into(), key: Bytes::new(), value: Bytes::new() };
        assert!(!listeners.listen_to(&put) && listeners.read(BTreeMap::is_empty));
    }

    #[test]
    fn who_is_too_slow_is_told_so_once_and_others_hear_on() {
        let listeners = Arc::<Listeners>::default();
        let (mut slow, mut other) = (hearing(&listeners, 4 * 1_024), hearing(&listeners, 1 << 30));
        for hears in [&mut slow, &mut other] {
            hears.listen(Uuid::nil(), wish(None, all(), Emptied::AsAWhole));
        }
        for _ in 0..3 {
            listeners.tell(None, event(What::Added, "a", 1_024));
        }
        assert_eq!(keys(&mut slow).unwrap().len(), 3, "what was taken does not count");
        for _ in 0..4 {
            listeners.tell(None, event(What::Added, "b", 1_024));
        }
        assert_eq!(slow.ear.next(), Some(Err(Lost { most: 4 * 1_024 })));
        assert_eq!(keys(&mut other).unwrap().len(), 7);
        // What is never acknowledged is bounded too.
        let mut untold = Untold::of(PARTITION, listeners.clone());
        untold.add(at(1), vec![event(What::Added, "a", UNTOLD_MOST / 2)], false, false);
        assert!(other.ear.next().is_none());
        untold.add(at(2), vec![event(What::Added, "a", UNTOLD_MOST / 2)], false, false);
        assert!(matches!(other.ear.next(), Some(Err(_))) && untold.is_empty());
    }
}
