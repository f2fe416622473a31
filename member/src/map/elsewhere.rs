//! Hearing of what other members tell, for clients that have a connection to this one alone.
//!
//! Laws. *One question at a time* to each other member, over and over, of everything that is wanted here; it is answered when
//! there is something, or soon. *Nothing is missing in between*: batches are numbered, one whose answer was lost is given
//! again, and where the other has nothing of before, all that listen here are told that something is lost. *A listener is
//! there* when every member that is connected knows of it, within [`KNOWN_WITHIN`]. *Bounded*: at the other member what waits for
//! this one is bounded as for any one who listens, and is forgotten with who asks no more. Must not know: who listens here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jet_core::{Boot, MemberId};
use jet_map::fence::Process;
use jet_map::wire::{Hear, Heard as Batch, Listening, Request, Response, Told};
use jet_map::{Refusal, What};
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::{debug, info};
use uuid::Uuid;

use super::told::{Ear, Emptied, Hearing, Kinds, Lost, Wish};
use super::{Heard, MapService, Shared, lock};
use crate::net::Lane;

/// A listener is known everywhere within this, or is answered all the same.
const KNOWN_WITHIN: Duration = Duration::from_secs(5);
/// Nothing to tell is said after so long.
const SILENT: Duration = Duration::from_millis(200);
/// Between a question that failed and the next, and between two looks at who is there.
const PAUSE: Duration = Duration::from_millis(200);
/// A question is answered within this.
const ANSWER_WITHIN: Duration = Duration::from_secs(4);
/// Bytes of events that wait for another member.
const MOST: usize = 32 << 20;
/// Bytes of events in one batch; one larger event makes a larger batch.
const BATCH: usize = 512 << 10;
/// Who asks no more is forgotten after this.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(30);

/// What is wanted of others, and how far each is.
#[derive(Default)]
pub struct Elsewhere {
    wanted: Mutex<Wanted>,
    known: Notify,
    asked_by: Mutex<BTreeMap<MemberId, Arc<tokio::sync::Mutex<Asking>>>>,
}

#[derive(Default)]
struct Wanted {
    number: u64,
    wishes: BTreeMap<Uuid, (Wish, Arc<Ear>)>,
    asked: BTreeMap<MemberId, Asked>,
    looks: bool,
}

/// Another member of which something is wanted.
#[derive(Clone, Copy)]
struct Asked {
    boot: Boot,
    /// Of what it knows.
    number: Option<u64>,
    after: u64,
    /// It was heard of.
    begun: bool,
    running: bool,
}

/// Another member that wants something of this one.
struct Asking {
    boot: Boot,
    number: u64,
    hearing: Hearing,
    known: BTreeSet<Uuid>,
    batch: u64,
    last: Vec<Told>,
    at: Instant,
    begins: bool,
}

impl Elsewhere {
    fn add(&self, id: Uuid, wish: Wish, ear: Arc<Ear>) -> u64 {
        let mut wanted = lock(&self.wanted);
        wanted.wishes.insert(id, (wish, ear));
        wanted.number += 1;
        wanted.number
    }

    /// Not any more.
    pub(super) fn forget(&self, id: Uuid) {
        let mut wanted = lock(&self.wanted);
        if wanted.wishes.remove(&id).is_some() {
            wanted.number += 1;
        }
    }

    /// Next question to a member.
    fn question(&self, member: MemberId) -> Option<Hear> {
        let mut wanted = lock(&self.wanted);
        let number = wanted.number;
        if wanted.wishes.is_empty() {
            wanted.asked.remove(&member);
            return None;
        }
        let asked = *wanted.asked.get(&member)?;
        let list = || wanted.wishes.iter().map(|(id, (wish, _))| listening(*id, wish)).collect();
        Some(Hear { number, listening: (asked.number != Some(number)).then(list), after: asked.after })
    }

    fn heard(&self, member: MemberId, number: u64, batch: Batch) {
        let mut wanted = lock(&self.wanted);
        let Some(asked) = wanted.asked.get_mut(&member) else { return };
        let lost = batch.begins && asked.begun;
        let next = batch.batch == asked.after + 1 || batch.begins;
        asked.number = Some(batch.number).filter(|known| *known == number);
        (asked.after, asked.begun) = (batch.batch, (asked.begun && !lost) || asked.number.is_some());
        if lost {
            info!(%member, "maps: a member has nothing of what it was to tell; who listens to it from here begins anew");
            wanted.wishes.values().for_each(|(_, ear)| ear.lose());
        } else if next {
            for Told { listener, from, event } in batch.told {
                if let Some((_, ear)) = wanted.wishes.get(&listener) {
                    ear.hear(Heard { listener, from, event: Arc::new(event) });
                }
            }
        }
        drop(wanted);
        self.known.notify_waiters();
    }

    fn stops(&self, member: MemberId) {
        if let Some(asked) = lock(&self.wanted).asked.get_mut(&member) {
            asked.running = false;
        }
        self.known.notify_waiters();
    }

    /// Who of these is not asked yet is from now on.
    fn begins(&self, present: &[Process]) -> Option<Vec<MemberId>> {
        let mut wanted = lock(&self.wanted);
        if wanted.wishes.is_empty() {
            wanted.looks = false;
            return None;
        }
        let mut begin = Vec::new();
        for Process { member, boot } in present {
            let new = Asked { boot: *boot, number: None, after: 0, begun: false, running: false };
            let asked = wanted.asked.entry(*member).or_insert(new);
            if asked.boot != *boot {
                *asked = Asked { running: asked.running, ..new };
            }
            if !std::mem::replace(&mut asked.running, true) {
                begin.push(*member);
            }
        }
        Some(begin)
    }

    fn is_known(&self, number: u64, present: &[Process]) -> bool {
        let wanted = lock(&self.wanted);
        let knows =
            |member| wanted.asked.get(member).and_then(|asked| asked.number).is_some_and(|known| known >= number);
        present.iter().all(|process| knows(&process.member))
    }
}

fn listening(id: Uuid, wish: &Wish) -> Listening {
    let what = What::ALL.into_iter().filter(|what| wish.what.has(*what)).collect();
    let by_partition = wish.emptied == Emptied::ByPartition;
    Listening { id, map: wish.map.clone(), key: wish.key.clone(), what, by_partition }
}

fn wish(listening: Listening) -> Wish {
    let Listening { map, key, what, by_partition, .. } = listening;
    let emptied = if by_partition { Emptied::ByPartition } else { Emptied::AsAWhole };
    Wish { map, key, what: Kinds::of(what), emptied }
}

impl MapService {
    /// It hears this of all members. What is given is over when all know of it that are here.
    pub fn listen_everywhere(&self, hearing: &mut Hearing, id: Uuid, wish: Wish) -> impl Future<Output = ()> + use<> {
        hearing.listen(id, wish.clone());
        let shared = self.shared.clone();
        let number = shared.elsewhere.add(id, wish, hearing.ear());
        let looks = std::mem::replace(&mut lock(&shared.elsewhere.wanted).looks, true);
        if !looks {
            shared.home.spawn(shared.clone().keep_looking());
        }
        async move {
            let deadline = Instant::now() + KNOWN_WITHIN;
            loop {
                let known = shared.elsewhere.known.notified();
                tokio::pin!(known);
                known.as_mut().enable();
                if shared.elsewhere.is_known(number, &shared.others()) {
                    return;
                }
                let until = deadline.min(Instant::now() + PAUSE);
                let _ = tokio::time::timeout_at(until, known).await;
                if Instant::now() >= deadline {
                    return;
                }
            }
        }
    }
}

impl Shared {
    /// Members that are connected.
    fn others(&self) -> Vec<Process> {
        let machine = self.cluster.machine();
        let peers = self.net.peers(Lane::Data).into_iter();
        let process = peers.map(|peer| Process { member: MemberId(peer.member), boot: Boot(peer.boot) });
        process.filter(|process| machine.roster.contains_key(&process.member)).collect()
    }

    async fn keep_looking(self: Arc<Self>) {
        while let Some(begin) = self.elsewhere.begins(&self.others()) {
            for member in begin {
                tokio::spawn(self.clone().keep_hearing(member));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn keep_hearing(self: Arc<Self>, member: MemberId) {
        while let Some(hear) = self.elsewhere.question(member) {
            let number = hear.number;
            let answer = self.net.call(member.0, Lane::Data, Request::Hear(hear).encode(), ANSWER_WITHIN).await;
            match answer.map(Response::decode) {
                Ok(Ok(Response::Heard(batch))) => self.elsewhere.heard(member, number, batch),
                other => {
                    debug!(%member, ?other, "maps: a member does not tell what was changed");
                    tokio::time::sleep(PAUSE).await;
                    if !self.others().iter().any(|process| process.member == member) {
                        return self.elsewhere.stops(member);
                    }
                }
            }
        }
    }

    /// Answers another member.
    pub(super) async fn tell_elsewhere(self: &Arc<Self>, from: Process, hear: Hear) -> Result<Response, Refusal> {
        let asking = self.asking(from);
        let mut asking = asking.lock().await;
        if asking.boot != from.boot || (asking.batch != hear.after && asking.batch != hear.after + 1) {
            *asking = Asking::new(MapService { shared: self.clone() }.hearing(MOST), from.boot);
        }
        asking.at = Instant::now();
        let lists = hear.listening.is_some();
        if let Some(listening) = hear.listening {
            asking.takes(hear.number, listening);
        }
        let within = if lists { Duration::ZERO } else { SILENT };
        if asking.number == hear.number && asking.gathers(hear.after, within).await.is_err() {
            // This begins anew, and who asks is told.
            *asking = Asking::new(MapService { shared: self.clone() }.hearing(MOST), from.boot);
            return Ok(Response::Heard(Batch { begins: true, ..Batch::default() }));
        }
        let Asking { number, batch, begins, .. } = *asking;
        asking.begins &= !lists;
        Ok(Response::Heard(Batch { number, batch, told: asking.last.clone(), begins: begins && lists }))
    }

    fn asking(self: &Arc<Self>, from: Process) -> Arc<tokio::sync::Mutex<Asking>> {
        let mut all = lock(&self.elsewhere.asked_by);
        if let Some(asking) = all.get(&from.member) {
            return asking.clone();
        }
        let hearing = MapService { shared: self.clone() }.hearing(MOST);
        let asking = Arc::new(tokio::sync::Mutex::new(Asking::new(hearing, from.boot)));
        all.insert(from.member, asking.clone());
        let (weak, watched) = (Arc::downgrade(self), asking.clone());
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(FORGOTTEN_AFTER).await;
                let Some(shared) = weak.upgrade() else { return };
                if watched.lock().await.at.elapsed() > FORGOTTEN_AFTER {
                    lock(&shared.elsewhere.asked_by).remove(&from.member);
                    return;
                }
            }
        });
        asking
    }
}

impl Asking {
    fn new(hearing: Hearing, boot: Boot) -> Self {
        let known = BTreeSet::new();
        Self { boot, number: 0, hearing, known, batch: 0, last: Vec::new(), at: Instant::now(), begins: true }
    }

    fn takes(&mut self, number: u64, listening: Vec<Listening>) {
        let wanted: BTreeSet<Uuid> = listening.iter().map(|listening| listening.id).collect();
        for gone in self.known.difference(&wanted) {
            self.hearing.forget(*gone);
        }
        for new in listening.into_iter().filter(|listening| !self.known.contains(&listening.id)) {
            self.hearing.listen(new.id, wish(new));
        }
        (self.known, self.number) = (wanted, number);
    }

    /// The next batch, or the last again where it did not come.
    async fn gathers(&mut self, after: u64, within: Duration) -> Result<(), Lost> {
        if self.batch != after {
            return Ok(());
        }
        self.last.clear();
        let (deadline, mut bytes) = (Instant::now() + within, 0);
        while bytes < BATCH {
            let until = if self.last.is_empty() { deadline } else { Instant::now() };
            match tokio::time::timeout_at(until, self.hearing.next()).await {
                Ok(heard) => {
                    let Heard { listener, from, event } = heard?;
                    bytes += super::told::size(&event);
                    self.last.push(Told { listener, from, event: event.as_ref().clone() });
                }
                Err(_) => break,
            }
        }
        self.batch += u64::from(!self.last.is_empty());
        Ok(())
    }
}
