//! Everything that a client can ask of entries and locks, against a plain model that knows nothing of replicas, logs or
//! disks.
//!
//! The law under test: what is answered is what the model answers, at every tick; a follower that got the changes as bytes
//! is equal; a copy is equal; what the log kept is equal in everything that a disk keeps.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use jet_map::digest::{content_of, digest_of};
use jet_map::journal::Logged;
use jet_map::life::PUT_OFF_AT;
use jet_map::lock::REMEMBERED;
use jet_map::replica::no_sinks;
use jet_map::wire::{Request, Response};
use jet_map::{
    Change, Content, CopySource, Followed, Keyed, Limits, MapEvent, Op, Owner, PartitionId, Query, QueryReply, Refusal,
    Replica, Reply, TableVersion, Version, What, Wished,
};
use proptest::prelude::*;
use uuid::Uuid;

const P: PartitionId = PartitionId(3);
const T: TableVersion = TableVersion(1);
const NEVER: u64 = u64::MAX;

fn bytes(n: u8) -> Bytes {
    Bytes::from(vec![n])
}

fn owner(n: u8) -> Owner {
    match n {
        0 => Owner::NOBODY,
        n => Owner { client: Uuid::from_u128(u128::from(n % 2)), thread: i64::from(n) },
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Held {
    value: u8,
    limits: Limits,
    created: u64,
    updated: u64,
    used: u64,
}

impl Held {
    fn end(&self) -> u64 {
        let end = |since: u64, time: u64| if time == 0 { NEVER } else { since + time };
        end(self.updated, self.limits.ttl).min(end(self.used, self.limits.idle + self.limits.idle / PUT_OFF_AT))
    }
}

/// What a map is.
#[derive(Clone, Debug, Default)]
struct Model {
    now: u64,
    entries: BTreeMap<u8, Held>,
    /// Owner, count, until, reference.
    locks: BTreeMap<u8, (Owner, u32, u64, i64)>,
    /// Who has unlocked a key, under which reference, and until when that is remembered where nobody has locked it since.
    freed: BTreeMap<u8, (Owner, i64, u64)>,
}

impl Model {
    fn at(&mut self, now: u64) {
        self.now = now;
        let over: Vec<u8> = self.locks.iter().filter(|(_, lock)| now >= lock.2).map(|(key, _)| *key).collect();
        for key in over {
            self.locks.remove(&key);
            self.freed.remove(&key);
        }
        let locks = &self.locks;
        self.freed.retain(|key, freed| now < freed.2 || locks.contains_key(key));
        let locks = &self.locks;
        self.entries.retain(|key, held| now < held.end() || locks.contains_key(key));
    }

    fn barred(&self, key: u8, by: Owner) -> bool {
        self.locks.get(&key).is_some_and(|lock| lock.0 != by)
    }

    fn put(&mut self, key: u8, value: u8, limits: Limits) -> Option<Bytes> {
        let created =
            self.entries.get(&key).filter(|held| held.limits != Limits::NONE).map_or(self.now, |held| held.created);
        let held = Held { value, limits, created, updated: self.now, used: self.now };
        self.entries.insert(key, held).map(|held| bytes(held.value))
    }

    fn take(&mut self, key: u8) -> Option<Bytes> {
        self.entries.remove(&key).map(|held| bytes(held.value))
    }

    fn clear(&mut self) {
        let locks = &self.locks;
        self.entries.retain(|key, _| locks.contains_key(key));
    }

    fn keyed(&mut self, op: &Keyed) -> Option<Reply> {
        let (key, of) = (op.key[0], |value: &Bytes| value[0]);
        if self.barred(key, op.by) && op.change != Change::Touch {
            return None;
        }
        let (limits, held) = (op.limits.or(Limits::NONE), self.entries.get(&key).copied());
        let told = |value| if op.quiet { Reply::Done } else { Reply::Previous(value) };
        Some(match &op.change {
            Change::Set(value) => told(self.put(key, of(value), limits)),
            Change::IfAbsent(_) if held.is_some() => Reply::Previous(held.map(|held| bytes(held.value))),
            Change::IfAbsent(value) => Reply::Previous(self.put(key, of(value), limits)),
            Change::IfPresent(_) if held.is_none() => Reply::Previous(None),
            Change::IfPresent(value) => Reply::Previous(self.put(key, of(value), limits)),
            Change::IfSame { expected, value } => {
                let same = held.is_some_and(|held| held.value == of(expected));
                if same {
                    self.put(key, of(value), limits);
                }
                Reply::Was(same)
            }
            Change::Remove if op.quiet => Reply::Was(self.take(key).is_some()),
            Change::Remove => Reply::Previous(self.take(key)),
            Change::RemoveIfSame(expected) => {
                let same = held.is_some_and(|held| held.value == of(expected));
                if same {
                    self.take(key);
                }
                Reply::Was(same)
            }
            Change::Evict => Reply::Was(self.take(key).is_some()),
            Change::Limit => {
                if let Some(held) = held {
                    let ttl = op.limits.ttl.unwrap_or(held.limits.ttl);
                    self.put(key, held.value, Limits { ttl, idle: op.limits.idle.unwrap_or(0) });
                }
                Reply::Was(held.is_some())
            }
            Change::Touch => {
                let now = self.now;
                if let Some(held) = self.entries.get_mut(&key).filter(|held| held.limits.idle > 0)
                    && now > held.used + held.limits.idle / PUT_OFF_AT
                {
                    held.used = now;
                }
                Reply::Done
            }
        })
    }

    /// None: refused.
    fn apply(&mut self, now: u64, op: &Op) -> Option<Reply> {
        let before = self.clone();
        self.at(now);
        let reply = self.change(op);
        if reply.is_none() {
            *self = before;
        }
        reply
    }

    fn change(&mut self, op: &Op) -> Option<Reply> {
        Some(match op {
            Op::Keyed(keyed) => return self.keyed(keyed),
            Op::Put { key, value, .. } if !self.barred(key[0], Owner::NOBODY) => {
                Reply::Previous(self.put(key[0], value[0], Limits::NONE))
            }
            Op::Remove { key, .. } if !self.barred(key[0], Owner::NOBODY) => Reply::Previous(self.take(key[0])),
            Op::Put { .. } | Op::Remove { .. } => return None,
            Op::PutAll { entries, by, limits, .. } => {
                if entries.iter().any(|(key, _)| self.barred(key[0], *by)) {
                    return None;
                }
                for (key, value) in entries {
                    self.put(key[0], value[0], limits.or(Limits::NONE));
                }
                Reply::Done
            }
            Op::ClearMap { .. } | Op::EvictAll { .. } => {
                let before = self.entries.len();
                self.clear();
                Reply::Count((before - self.entries.len()) as u64)
            }
            Op::TakeOut { keys, .. } => {
                let free = keys.iter().map(|key| key[0]).filter(|key| !self.locks.contains_key(key));
                Reply::Count(free.collect::<Vec<_>>().into_iter().filter(|key| self.take(*key).is_some()).count() as u64)
            }
            Op::Expire { .. } => Reply::Count(0),
            Op::Lock { key, owner, reference, lease, .. } => {
                let until = if *lease == 0 { NEVER } else { self.now + lease };
                match self.locks.get_mut(&key[0]) {
                    None => drop(self.locks.insert(key[0], (*owner, 1, until, *reference))),
                    Some(lock) if lock.0 != *owner => return None,
                    Some(lock) if lock.3 == *reference && *reference != 0 => return Some(Reply::AlreadySo),
                    Some(lock) => *lock = (*owner, lock.1 + 1, until, *reference),
                }
                Reply::Done
            }
            Op::Unlock { key, asked: None, .. } => {
                self.locks.remove(&key[0]);
                self.freed.remove(&key[0]);
                Reply::Done
            }
            Op::Unlock { key, asked: Some((owner, reference)), .. } => {
                let Some(lock) = self.locks.get_mut(&key[0]).filter(|lock| lock.0 == *owner) else {
                    let freed = self
                        .freed
                        .get(&key[0])
                        .filter(|freed| (freed.0, freed.1) == (*owner, *reference) && *reference != 0);
                    return freed.map(|_| Reply::AlreadySo);
                };
                if lock.3 == *reference && *reference != 0 {
                    return Some(Reply::AlreadySo);
                }
                (lock.1, lock.3) = (lock.1 - 1, *reference);
                if lock.1 == 0 {
                    self.locks.remove(&key[0]);
                    self.freed.insert(key[0], (*owner, *reference, self.now + REMEMBERED));
                }
                Reply::Done
            }
            Op::FreeLocks { client } => {
                let of: Vec<u8> =
                    self.locks.iter().filter(|(_, lock)| lock.0.client == *client).map(|(key, _)| *key).collect();
                for key in of {
                    self.locks.remove(&key);
                    self.freed.remove(&key);
                }
                let locks = &self.locks;
                self.freed.retain(|key, freed| locks.contains_key(key) || freed.0.client != *client);
                Reply::Done
            }
            other => panic!("{other:?} is no change of entries"),
        })
    }
}

fn key() -> impl Strategy<Value = Bytes> {
    (0u8..4).prop_map(bytes)
}

fn wished() -> impl Strategy<Value = Wished> {
    let time = |most: u64| prop_oneof![Just(None), Just(Some(0)), (1..most).prop_map(Some)];
    (time(60), time(90)).prop_map(|(ttl, idle)| Wished { ttl, idle })
}

fn keyed() -> impl Strategy<Value = Op> {
    let value = || (0u8..3).prop_map(bytes);
    let change = prop_oneof![
        4 => value().prop_map(Change::Set),
        2 => value().prop_map(Change::IfAbsent),
        1 => value().prop_map(Change::IfPresent),
        2 => (value(), value()).prop_map(|(expected, value)| Change::IfSame { expected, value }),
        1 => Just(Change::Remove),
        1 => value().prop_map(Change::RemoveIfSame),
        1 => Just(Change::Evict),
        2 => Just(Change::Limit),
        2 => Just(Change::Touch),
    ];
    (key(), 0u8..4, change, wished(), any::<bool>()).prop_map(|(key, by, change, limits, quiet)| {
        Op::Keyed(Keyed { map: "m".into(), key, by: owner(by), change, limits, quiet })
    })
}

fn op() -> impl Strategy<Value = Op> {
    let map = || "m".to_owned();
    let entries = prop::collection::vec((key(), (0u8..3).prop_map(bytes)), 0..4);
    prop_oneof![
        12 => keyed(),
        1 => (key(), 0u8..3).prop_map(move |(key, value)| Op::Put { map: map(), key, value: bytes(value) }),
        1 => key().prop_map(move |key| Op::Remove { map: map(), key }),
        2 => (entries, 0u8..4, wished())
            .prop_map(move |(entries, by, limits)| Op::PutAll { map: map(), entries, by: owner(by), limits }),
        1 => Just(Op::ClearMap { map: map() }),
        1 => Just(Op::EvictAll { map: map() }),
        1 => (prop::collection::vec(key(), 0..4), any::<bool>())
            .prop_map(move |(keys, evicted)| Op::TakeOut { map: map(), keys, evicted }),
        2 => (1u32..4).prop_map(|most| Op::Expire { most }),
        4 => (key(), 0u8..4, 0i64..3, 0u64..40)
            .prop_map(move |(key, by, reference, lease)| Op::Lock { map: map(), key, owner: owner(by), reference, lease }),
        3 => (key(), 0u8..4, 0i64..3).prop_map(move |(key, by, reference)| {
            let asked = (by > 0).then(|| (owner(by), reference));
            Op::Unlock { map: map(), key, asked }
        }),
        1 => (0u128..2).prop_map(|n| Op::FreeLocks { client: Uuid::from_u128(n) }),
    ]
}

/// A change as it reaches a follower.
fn follow(follower: &mut Replica, prev: Version, from: &Replica) -> (Followed, Vec<Logged>) {
    let changes = from.tail().after(prev, 1, 1).unwrap();
    let sent = Request::Follow { partition: P, changed: T, prev, changes };
    let Request::Follow { prev, changes, .. } = Request::decode(sent.clone().encode()).unwrap() else { panic!() };
    assert_eq!(Request::Follow { partition: P, changed: T, prev, changes: changes.clone() }, sent);
    follower.follow(prev, changes)
}

fn copy_of(from: &Replica) -> Replica {
    let (mut source, mut to) = (CopySource::of(from), Replica::empty(P, no_sinks));
    while let Some((piece, items)) = source.next_piece() {
        let sent = Request::CopyPiece { partition: P, changed: T, copy: 1, piece, items };
        let Request::CopyPiece { items, .. } = Request::decode(sent.encode()).unwrap() else { panic!() };
        to.copy_piece(1, piece, items).unwrap();
    }
    to.copy_end(1, source.pieces(), source.version, &source.digest()).unwrap();
    to
}

fn answer(replica: &Replica, query: Query, now: u64) -> QueryReply {
    let asked = Request::Ask { partition: P, requester: jet_map::Requester::Client, query: query.clone() };
    assert_eq!(Request::decode(asked.clone().encode()), Ok(asked));
    let reply = replica.content().look(&query, now).reply;
    let told = Response::Answer(reply.clone());
    assert_eq!(Response::decode(told.clone().encode()), Ok(told));
    reply
}

/// All entries, page by page, in order of keys.
fn scanned(replica: &Replica, now: u64) -> Vec<(Bytes, Bytes)> {
    let (mut all, mut from) = (Vec::new(), None);
    loop {
        let QueryReply::Page { entries, next } = answer(replica, Query::Scan { map: "m".into(), from, bytes: 3 }, now)
        else {
            panic!("an answer of another kind")
        };
        all.extend(entries);
        from = next;
        if from.is_none() {
            all.sort();
            return all;
        }
    }
}

/// Every question at a tick, against the model.
fn questions(replica: &Replica, model: &Model, now: u64) {
    let mut model = model.clone();
    model.at(now);
    let map = || "m".to_owned();
    let living: Vec<_> = model.entries.iter().map(|(key, held)| (bytes(*key), bytes(held.value))).collect();
    let keys: Vec<_> = living.iter().map(|(key, _)| key.clone()).collect();
    assert_eq!(answer(replica, Query::Size { map: map() }, now), QueryReply::Size(living.len() as u64));
    let page = QueryReply::Page { entries: living.clone(), next: None };
    assert_eq!(scanned(replica, now), living);
    let all = (0..4).map(bytes).collect();
    assert_eq!(answer(replica, Query::GetAll { map: map(), keys: all }, now), page);
    let QueryReply::Keys { keys: mut found, next: None } =
        answer(replica, Query::Keys { map: map(), from: None, bytes: 1 << 20 }, now)
    else {
        panic!("all in one answer")
    };
    found.sort();
    assert_eq!(found, keys);
    for n in 0..4 {
        let (key, held) = (bytes(n), model.entries.get(&n));
        let value = held.map(|held| bytes(held.value));
        assert_eq!(answer(replica, Query::Get { map: map(), key: key.clone() }, now), QueryReply::Value(value));
        let there = QueryReply::Was(held.is_some());
        assert_eq!(answer(replica, Query::ContainsKey { map: map(), key: key.clone() }, now), there);
        let value = model.entries.values().any(|held| held.value == n);
        assert_eq!(answer(replica, Query::ContainsValue { map: map(), value: bytes(n) }, now), QueryReply::Was(value));
        let locked = QueryReply::Was(model.locks.contains_key(&n));
        assert_eq!(answer(replica, Query::IsLocked { map: map(), key: key.clone() }, now), locked);
        let QueryReply::View(view) = answer(replica, Query::View { map: map(), key }, now) else { panic!() };
        let known = view
            .map(|view| (view.value[0], view.life.map(|life| (life.limits, life.created, life.updated, life.used))));
        let expected = held.map(|held| {
            let life = (held.limits, held.created, held.updated, held.used);
            (held.value, held.limits.is_mortal().then_some(life))
        });
        assert_eq!(known, expected);
    }
}

/// What listeners were told, carried out: the entries that there are.
fn told(entries: &mut BTreeMap<Bytes, Bytes>, event: MapEvent) {
    match (event.what, event.key, event.new) {
        (What::Added, Some(key), Some(new)) => assert_eq!(entries.insert(key, new), None),
        (What::Updated, Some(key), Some(new)) => assert_eq!(entries.insert(key, new), event.old),
        (What::Removed | What::Evicted | What::Expired, Some(key), None) => {
            let was = entries.remove(&key);
            // Who removes quietly has nobody told what it was.
            assert!(
                was == event.old || (event.what == What::Removed && event.old.is_none() && was.is_some()),
                "{was:?}"
            );
        }
        (What::Cleared | What::AllEvicted, None, None) => {
            assert!(event.count > 0 && event.count <= entries.len() as u64);
        }
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]
    #[test]
    fn it_is_a_map_wherever_it_is_asked(steps in prop::collection::vec((0u64..25, op(), 0u64..120), 1..50)) {
        let (mut primary, mut follower) = (Replica::empty(P, no_sinks), Replica::empty(P, no_sinks));
        let (mut model, mut now, mut disk, mut listener) = (Model::default(), 0, Content::default(), BTreeMap::new());
        for (later, op, ahead) in steps {
            now += later;
            let prev = primary.version();
            let expected = model.apply(now, &op);
            match primary.order(T, now, op.clone(), true) {
                Ok(ordered) => {
                    match (&op, &ordered.reply) {
                        (Op::Expire { most }, Reply::Count(count)) => prop_assert!(*count <= u64::from(2 * most)),
                        (_, reply) => prop_assert_eq!(Some(reply.clone()), expected, "{:?}", op),
                    }
                    let (followed, log) = follow(&mut follower, prev, &primary);
                    prop_assert_eq!(followed, Followed::At(ordered.version));
                    prop_assert_eq!(&log, &ordered.log, "a disk of a follower gets the same");
                    log.into_iter().for_each(|logged| disk.load(logged.record));
                    let many = ordered.events.iter().any(|event| event.key.is_none());
                    ordered.events.into_iter().for_each(|event| told(&mut listener, event));
                    if many {
                        let entries = primary.content().maps.get("m").into_iter().flatten();
                        listener = entries.map(|(key, entry)| (key.clone(), entry.value.clone())).collect();
                    }
                }
                Err(refusal) => {
                    prop_assert!(matches!(refusal, Refusal::Locked { .. } | Refusal::NotOwner { .. }), "{}", refusal);
                    prop_assert_eq!(expected, None, "{:?}", op);
                }
            }
            prop_assert_eq!(follower.content(), primary.content());
            let entries = primary.content().maps.get("m").into_iter().flatten();
            prop_assert_eq!(&listener, &entries.map(|(key, entry)| (key.clone(), entry.value.clone())).collect());
            questions(&primary, &model, primary.content().now);
            questions(&follower, &model, primary.content().now + ahead);
        }
        let copy = copy_of(&primary);
        prop_assert_eq!(copy.content(), primary.content());
        let (none, whole) = (BTreeSet::new(), Replica::empty(P, no_sinks));
        prop_assert_eq!(digest_of(&disk, Some(&none)), digest_of(primary.content(), Some(&none)));
        let mut written = whole;
        primary.content().on_disk().into_iter().for_each(|record| written.content_for_spoiling().load(record));
        prop_assert_eq!(digest_of(written.content(), Some(&none)), digest_of(primary.content(), Some(&none)));
    }
}

fn set(key: u8, limits: Limits) -> Op {
    let (key, limits) = (bytes(key), Wished::exactly(limits));
    Op::Keyed(Keyed { map: "m".into(), key, by: Owner::NOBODY, change: Change::Set(bytes(7)), limits, quiet: true })
}

fn lock(reference: i64, lease: u64) -> Op {
    Op::Lock { map: "m".into(), key: bytes(1), owner: owner(1), reference, lease }
}

/// Both were at the same version when the whole cluster stopped; one has kept its RAM, the other has read its disk.
#[test]
fn who_has_other_locks_or_lives_than_its_primary_is_copied_and_not_sent_to_for_ever() {
    for unkept in [set(1, Limits { ttl: 1_000, idle: 0 }), lock(1, 0)] {
        let mut primary = Replica::empty(P, no_sinks);
        primary.order(T, 0, Op::Put { map: "m".into(), key: bytes(0), value: bytes(0) }, false).unwrap();
        let ordered = primary.order(T, 500, unkept, false).unwrap();
        let mut disk = Content::default();
        primary.content().on_disk().into_iter().for_each(|record| disk.load(record));
        let mut follower = Replica::empty(P, no_sinks);
        follower.loaded(disk, ordered.version);
        let counted = BTreeSet::new();
        assert_eq!(content_of(P, &follower, &counted), content_of(P, &primary, &counted), "the disk has kept it all");

        let prev = primary.version();
        let op = primary.installs();
        primary.order(TableVersion(2), 600, op, false).unwrap();
        let (followed, _) = follow(&mut follower, prev, &primary);
        assert_eq!(followed, Followed::Elsewhere(Version::default()), "no version from which it can be sent to");
        assert_eq!(follower.version(), prev);
        let mut equal = copy_of(&primary);
        let prev = primary.version();
        let op = primary.installs();
        primary.order(TableVersion(3), 600, op, false).unwrap();
        assert_eq!(follow(&mut equal, prev, &primary).0, Followed::At(primary.version()));
        assert_eq!(equal.content(), primary.content());
    }
}

/// A read that finds an entry dead is told so when whoever leads next would say the same.
#[test]
fn a_key_found_dead_is_buried_before_that_is_told_and_an_idle_one_that_is_read_lives_on() {
    let mut primary = Replica::empty(P, no_sinks);
    primary.order(T, 100, set(1, Limits { ttl: 50, idle: 0 }), false).unwrap();
    primary.order(T, 100, set(2, Limits { ttl: 0, idle: 160 }), false).unwrap();
    let get = |key: u8| Query::Get { map: "m".into(), key: bytes(key) };
    let alive = primary.content().look(&get(1), 149);
    assert_eq!((alive.reply, alive.then), (QueryReply::Value(Some(bytes(7))), None));
    let dead = primary.content().look(&get(1), 150);
    assert_eq!(dead.reply, QueryReply::Value(None));
    let ordered = primary.order(T, 150, dead.then.unwrap(), true).unwrap();
    assert_eq!(ordered.events.iter().map(|event| event.what).collect::<Vec<_>>(), [What::Expired]);
    assert_eq!(primary.content().ask(&get(1)), QueryReply::Value(None), "at every later tick");

    assert_eq!(primary.content().look(&get(2), 110).then, None, "reads close to each other count once");
    let read = primary.content().look(&get(2), 200);
    primary.order(T, 200, read.then.unwrap(), false).unwrap();
    assert_eq!(primary.content().look(&get(2), 350).reply, QueryReply::Value(Some(bytes(7))));
    assert_eq!(primary.content().look(&get(2), 371).reply, QueryReply::Value(None));
}

#[test]
fn time_goes_by_in_bounded_pieces_and_what_is_locked_lives_on() {
    let mut primary = Replica::empty(P, no_sinks);
    for key in 0..10 {
        primary.order(T, 0, set(key, Limits { ttl: 10, idle: 0 }), false).unwrap();
    }
    primary.order(T, 0, lock(1, 30), false).unwrap();
    assert!(!primary.content().is_due(9) && primary.content().is_due(10));
    for expected in [4, 4, 1, 0] {
        let reply = primary.order(T, 20, Op::Expire { most: 4 }, false).unwrap().reply;
        assert_eq!(reply, Reply::Count(expected));
    }
    assert!(!primary.content().is_due(29), "what is locked is not tried again and again");
    assert_eq!(primary.content().entries(), 1);
    assert_eq!(primary.order(T, 30, Op::Expire { most: 4 }, false).unwrap().reply, Reply::Count(2), "entry and lock");
    assert_eq!((primary.content().entries(), primary.content().locks.is_empty()), (0, true));
}

/// A disk has every entry with its limits, and its time begins anew when it is read.
#[test]
fn after_a_return_an_entry_has_its_full_time_again_and_no_lock_is_left() {
    let mut primary = Replica::empty(P, no_sinks);
    primary.order(T, 0, set(1, Limits { ttl: 50, idle: 0 }), false).unwrap();
    primary.order(T, 40, lock(1, 0), false).unwrap();
    let mut back = Content::default();
    primary.content().on_disk().into_iter().for_each(|record| back.load(record));
    let get = Query::Get { map: "m".into(), key: bytes(1) };
    assert_eq!(back.look(&get, 49).reply, QueryReply::Value(Some(bytes(7))));
    assert_eq!(back.look(&get, 50).reply, QueryReply::Value(None));
    assert!(back.locks.is_empty());
}

/// A store that was sealed before entries could have limits is compared with what was agreed then.
#[test]
fn a_content_of_entries_alone_has_the_digest_that_it_always_had() {
    let mut replica = Replica::empty(P, no_sinks);
    for n in 0..3 {
        replica.order(T, 0, Op::Put { map: "m".into(), key: bytes(n), value: bytes(n) }, false).unwrap();
    }
    let always = "7e71f778f750336a6aa227351a4857480bf03a91f4bf7b50cb5342fadfd1364a";
    assert_eq!(content_of(P, &replica, &BTreeSet::new()).digest.0, always);
    assert_eq!(digest_of(replica.content(), None).0, always);
    replica.order(T, 7, Op::Put { map: "m".into(), key: bytes(0), value: bytes(0) }, false).unwrap();
    assert_eq!(content_of(P, &replica, &BTreeSet::new()).digest.0, always, "no disk knows a tick");
    assert_ne!(digest_of(replica.content(), None).0, always, "a copy does");
}
