//! The members' network of a simulated world: sessions between processes, and letters on their way.
//!
//! Law: as the sockets' one. A session is opened when both know each other by their hellos, and never to a lower boot than
//! one already seen; what one sends on a lane arrives in that order, late, once or, when the session breaks, perhaps not. A
//! cut holds letters back; after [`SILENCE`] it breaks the sessions. Must not know: what is said.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use jet_member::net::hello::{Hello, LANES, judge};
use jet_member::net::{CallError, EngineStream, Handler, Lane, Peer, Way};
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

use crate::dice::Dice;
use crate::trace::Trace;

/// Shortest time of a letter, in milliseconds: a process runs so long without hearing of the others.
pub const QUANTUM: u64 = 2;
/// A peer that is not heard for so long is gone; in milliseconds.
const SILENCE: u64 = 4_000;

/// A letter that has arrived.
pub struct Arrived {
    /// Who sent it.
    pub from: Peer,
    /// Who answers.
    pub handler: Arc<dyn Handler>,
    /// What is asked.
    pub request: Bytes,
    /// By what the answer is sent back.
    pub call: u64,
}

enum Body {
    Request(Lane, Bytes),
    Answer(Bytes),
}

struct Letter {
    from: usize,
    to: usize,
    session: u64,
    call: u64,
    body: Body,
}

struct End {
    hello: Hello,
    handlers: [Option<Arc<dyn Handler>>; LANES],
    changes: watch::Sender<u64>,
    listens: bool,
    known: BTreeMap<Uuid, u64>,
}

/// Of the calls that one makes to another.
#[derive(Default)]
struct Link {
    session: Option<Session>,
    /// When it is opened again, at the earliest.
    next: u64,
    /// One of both is gone without a word: when the other notices.
    breaks: Option<u64>,
}

struct Session {
    number: u64,
    peer: Peer,
    last: [u64; LANES + 1],
}

struct Waiting {
    from: usize,
    session: u64,
    tell: oneshot::Sender<Bytes>,
}

struct State {
    now: u64,
    dice: Dice,
    ends: BTreeMap<usize, End>,
    links: BTreeMap<(usize, usize), Link>,
    cuts: BTreeMap<(usize, usize), u64>,
    /// By whom they are for, when they are there, and in which order they were sent.
    flying: BTreeMap<(usize, u64, u64), Letter>,
    held: Vec<Letter>,
    waiting: BTreeMap<u64, Waiting>,
    numbers: u64,
    /// Before that no session is opened, unless something changes: then it is 0.
    opens_at: u64,
    /// Before that no session breaks because one of both is gone.
    breaks_at: u64,
    /// Longest extra time of a letter.
    slowness: u64,
    trace: Trace,
}

/// The network. Clones are the same.
#[derive(Clone)]
pub struct Network(Arc<Mutex<State>>);

impl Network {
    /// Of the world of a seed.
    pub fn new(seed: u64, trace: Trace) -> Self {
        Network(Arc::new(Mutex::new(State {
            now: 0,
            dice: Dice::of(seed, "network"),
            ends: BTreeMap::new(),
            links: BTreeMap::new(),
            cuts: BTreeMap::new(),
            flying: BTreeMap::new(),
            held: Vec::new(),
            waiting: BTreeMap::new(),
            numbers: 0,
            opens_at: 0,
            breaks_at: u64::MAX,
            slowness: 3,
            trace,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A process comes.
    pub fn come(&self, ordinal: usize, hello: Hello) -> Arc<Door> {
        let mut state = self.state();
        let handlers = [const { None }; LANES];
        let changes = watch::Sender::new(0);
        let end = End { hello, handlers, changes, listens: false, known: BTreeMap::new() };
        state.ends.insert(ordinal, end);
        state.opens_at = 0;
        Arc::new(Door { network: self.clone(), ordinal })
    }

    /// A process is gone: the others hear its connections end, or, where the machine went with it, nothing.
    pub fn go(&self, ordinal: usize, silently: bool) {
        let mut state = self.state();
        state.ends.remove(&ordinal);
        let now = state.now;
        let gone: Vec<u64> =
            state.waiting.iter().filter(|(_, waiting)| waiting.from == ordinal).map(|(call, _)| *call).collect();
        gone.iter().for_each(|call| drop(state.waiting.remove(call)));
        let (mut ended, mut breaks_at) = (Vec::new(), state.breaks_at);
        for ((from, to), link) in &mut state.links {
            if *from == ordinal || (*to == ordinal && !silently) {
                ended.push((*from, *to));
            } else if *to == ordinal && link.session.is_some() {
                breaks_at = breaks_at.min(*link.breaks.get_or_insert(now + SILENCE));
            }
        }
        state.breaks_at = breaks_at;
        for (from, to) in ended {
            state.end(from, to);
        }
    }

    /// Nothing goes from one to the other.
    pub fn cut(&self, from: usize, to: usize) {
        let mut state = self.state();
        let now = state.now;
        state.cuts.entry((from, to)).or_insert(now);
    }

    /// Everything goes from one to the other again.
    pub fn uncut(&self, from: usize, to: usize) {
        let mut state = self.state();
        state.cuts.remove(&(from, to));
        state.opens_at = 0;
        let (freed, held) =
            std::mem::take(&mut state.held).into_iter().partition(|l: &Letter| (l.from, l.to) == (from, to));
        state.held = held;
        for letter in freed as Vec<Letter> {
            state.post(letter);
        }
    }

    /// Everything goes everywhere.
    pub fn heal(&self) {
        let mut state = self.state();
        state.cuts.clear();
        state.opens_at = 0;
        let held = std::mem::take(&mut state.held);
        for letter in held {
            state.post(letter);
        }
    }

    /// Letters take up to so many milliseconds longer than they must.
    pub fn slowness(&self, most: u64) {
        self.state().slowness = most.max(1);
    }

    /// It is so late: sessions are opened and break, and what has come for each is handed over by [`Network::arrived`].
    pub fn tick(&self, now: u64) {
        let mut state = self.state();
        state.now = now;
        state.break_sessions();
        state.open_sessions();
    }

    /// What has come for one, in order.
    pub fn arrived(&self, ordinal: usize) -> Vec<Arrived> {
        let mut state = self.state();
        let now = state.now;
        let mut arrived = Vec::new();
        while let Some((at, _)) = state.flying.range((ordinal, 0, 0)..(ordinal, now + 1, 0)).next() {
            let at = *at;
            let letter = state.flying.remove(&at);
            arrived.extend(letter.and_then(|letter| state.hand_over(letter)));
        }
        arrived
    }

    /// An answer is on its way back.
    pub fn answer(&self, from: usize, call: u64, body: Bytes) {
        let mut state = self.state();
        let Some((to, session)) = state.waiting.get(&call).map(|waiting| (waiting.from, waiting.session)) else {
            return;
        };
        state.post(Letter { from, to, session, call, body: Body::Answer(body) });
    }
}

impl State {
    fn session(&self, from: usize, to: usize, number: u64) -> bool {
        let link = self.links.get(&(from, to));
        link.and_then(|link| link.session.as_ref()).is_some_and(|session| session.number == number)
    }

    fn post(&mut self, letter: Letter) {
        if self.cuts.contains_key(&(letter.from, letter.to)) {
            return self.held.push(letter);
        }
        let at = match &letter.body {
            Body::Request(lane, _) => Lane::ALL.iter().position(|known| known == lane).unwrap_or(0),
            Body::Answer(_) => LANES,
        };
        let pair = match letter.body {
            Body::Request(..) => (letter.from, letter.to),
            Body::Answer(_) => (letter.to, letter.from),
        };
        let late = self.dice.within(0..self.slowness);
        let due = self.now + QUANTUM + late;
        let Some(session) = self.links.get_mut(&pair).and_then(|link| link.session.as_mut()) else { return };
        // Answers overtake one another: they are made by tasks of their own.
        let due = if at == LANES { due } else { due.max(session.last[at]) };
        session.last[at] = due;
        self.numbers += 1;
        self.flying.insert((letter.to, due, self.numbers), letter);
    }

    fn hand_over(&mut self, letter: Letter) -> Option<Arrived> {
        match letter.body {
            Body::Request(lane, request) if self.session(letter.from, letter.to, letter.session) => {
                self.trace.letter("request", letter.from, letter.to, &request, self.now);
                let hello = &self.ends.get(&letter.from)?.hello;
                let from = Peer { member: hello.member, ordinal: hello.ordinal, boot: hello.boot };
                let at = Lane::ALL.iter().position(|known| *known == lane)?;
                let handler = self.ends.get(&letter.to)?.handlers[at].clone()?;
                Some(Arrived { from, handler, request, call: letter.call })
            }
            Body::Answer(body) if self.session(letter.to, letter.from, letter.session) => {
                self.trace.letter("answer", letter.from, letter.to, &body, self.now);
                let waiting = self.waiting.remove(&letter.call)?;
                let _ = waiting.tell.send(body);
                None
            }
            _ => None,
        }
    }

    /// The caller's side of a session ends: its open calls get no answer.
    fn end(&mut self, from: usize, to: usize) {
        let pause = self.dice.within(50..400);
        let now = self.now;
        self.opens_at = 0;
        let Some(link) = self.links.get_mut(&(from, to)) else { return };
        link.breaks = None;
        link.next = now + pause;
        let Some(session) = link.session.take() else { return };
        self.trace.note("ended", &[from as u64, to as u64, now]);
        let open: Vec<u64> = self
            .waiting
            .iter()
            .filter(|(_, waiting)| waiting.from == from && waiting.session == session.number)
            .map(|(call, _)| *call)
            .collect();
        open.iter().for_each(|call| drop(self.waiting.remove(call)));
        for end in [from, to] {
            if let Some(end) = self.ends.get(&end) {
                end.changes.send_modify(|n| *n += 1);
            }
        }
    }

    fn break_sessions(&mut self) {
        let now = self.now;
        if self.cuts.is_empty() && now < self.breaks_at {
            return;
        }
        let silent: Vec<(usize, usize)> =
            self.cuts.iter().filter(|(_, since)| now >= **since + SILENCE).map(|(pair, _)| *pair).collect();
        let mut over: BTreeSet<(usize, usize)> = silent.iter().flat_map(|(a, b)| [(*a, *b), (*b, *a)]).collect();
        over.extend(
            self.links.iter().filter(|(_, link)| link.breaks.is_some_and(|at| at <= now)).map(|(pair, _)| *pair),
        );
        for (from, to) in over {
            if self.links.get(&(from, to)).is_some_and(|link| link.session.is_some()) {
                self.end(from, to);
                self.held.retain(|letter| {
                    let pair = [(letter.from, letter.to), (letter.to, letter.from)];
                    !pair.contains(&(from, to))
                });
            }
        }
        self.breaks_at = self.links.values().filter_map(|link| link.breaks).min().unwrap_or(u64::MAX);
    }

    fn open_sessions(&mut self) {
        if self.now < self.opens_at {
            return;
        }
        self.opens_at = u64::MAX;
        let ordinals: Vec<usize> = self.ends.keys().copied().collect();
        for from in &ordinals {
            for to in ordinals.iter().filter(|to| *to != from) {
                self.open(*from, *to);
            }
        }
    }

    fn open(&mut self, from: usize, to: usize) {
        let (Some(caller), Some(listener)) = (self.ends.get(&from), self.ends.get(&to)) else { return };
        if !caller.listens || !listener.listens {
            return;
        }
        let link = self.links.entry((from, to)).or_default();
        let newer = link.session.as_ref().is_some_and(|session| {
            (session.peer.member, session.peer.boot) != (listener.hello.member, listener.hello.boot)
        });
        let cut = self.cuts.contains_key(&(from, to)) || self.cuts.contains_key(&(to, from));
        if cut || (link.session.is_some() && !newer) {
            return;
        }
        if link.next > self.now {
            self.opens_at = self.opens_at.min(link.next);
            return;
        }
        let known = |end: &End, of: &Hello| end.known.get(&of.member).copied();
        let there = judge(&listener.hello, &caller.hello, from as u32, known(listener, &caller.hello));
        let here = judge(&caller.hello, &listener.hello, to as u32, known(caller, &listener.hello));
        let (Ok(caller_is), Ok(peer)) = (there, here) else {
            link.next = self.now + 100;
            self.opens_at = self.opens_at.min(link.next);
            return;
        };
        if newer {
            self.end(from, to);
        }
        self.numbers += 1;
        let session = Session { number: self.numbers, peer, last: [0; LANES + 1] };
        self.trace.note("opened", &[from as u64, to as u64, self.now]);
        if let Some(link) = self.links.get_mut(&(from, to)) {
            (link.session, link.breaks) = (Some(session), None);
        }
        for (end, met) in [(from, peer), (to, caller_is)] {
            if let Some(end) = self.ends.get_mut(&end) {
                end.known.insert(met.member, met.boot);
                end.changes.send_modify(|n| *n += 1);
            }
        }
    }
}

/// The way of one process into the network.
pub struct Door {
    network: Network,
    ordinal: usize,
}

impl Door {
    fn send(&self, to: Uuid, lane: Lane, request: Bytes) -> Result<oneshot::Receiver<Bytes>, CallError> {
        let mut state = self.network.state();
        let open = |link: &Link| link.session.as_ref().filter(|s| s.peer.member == to).map(|s| s.number);
        let mine = state.links.iter().filter(|((from, _), _)| *from == self.ordinal);
        let found = mine.filter_map(|((_, other), link)| Some((*other, open(link)?))).next();
        let Some((other, session)) = found else { return Err(CallError::NotConnected { to }) };
        state.numbers += 1;
        let (call, (tell, told)) = (state.numbers, oneshot::channel());
        state.waiting.insert(call, Waiting { from: self.ordinal, session, tell });
        let body = Body::Request(lane, request);
        state.post(Letter { from: self.ordinal, to: other, session, call, body });
        Ok(told)
    }
}

impl Way for Door {
    fn serve(&self, lane: Lane, handler: Arc<dyn Handler>) {
        let at = Lane::ALL.iter().position(|known| *known == lane).unwrap_or(0);
        if let Some(end) = self.network.state().ends.get_mut(&self.ordinal) {
            end.handlers[at].get_or_insert(handler);
        }
    }

    fn start(&self, _: SocketAddr) -> BoxFuture<'_, std::io::Result<()>> {
        let mut state = self.network.state();
        state.opens_at = 0;
        if let Some(end) = state.ends.get_mut(&self.ordinal) {
            end.listens = true;
        }
        Box::pin(std::future::ready(Ok(())))
    }

    fn call(&self, to: Uuid, lane: Lane, request: Bytes, timeout: Duration) -> BoxFuture<'_, Result<Bytes, CallError>> {
        let sent = self.send(to, lane, request);
        Box::pin(async move {
            match tokio::time::timeout(timeout, sent?).await {
                Ok(Ok(answer)) => Ok(answer),
                Ok(Err(_)) => Err(CallError::Unknown { to, why: "the connection ended" }),
                Err(_) => Err(CallError::Unknown { to, why: "time ran out" }),
            }
        })
    }

    fn peers(&self, _: Lane) -> Vec<Peer> {
        let state = self.network.state();
        let mine = state.links.iter().filter(|((from, _), _)| *from == self.ordinal);
        let mut peers: Vec<Peer> = mine.filter_map(|(_, link)| Some(link.session.as_ref()?.peer)).collect();
        peers.sort();
        peers
    }

    fn addresses(&self) -> BTreeMap<Uuid, SocketAddr> {
        let address = |peer: &Peer| SocketAddr::from(([127, 0, 0, 1], 5701 + peer.ordinal as u16));
        self.peers(Lane::Control).iter().map(|peer| (peer.member, address(peer))).collect()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        let state = self.network.state();
        state.ends.get(&self.ordinal).map_or_else(|| watch::channel(0).1, |end| end.changes.subscribe())
    }

    fn founded(&self, founding: Uuid, incarnation: u32) {
        let mut state = self.network.state();
        state.opens_at = 0;
        if let Some(end) = state.ends.get_mut(&self.ordinal) {
            (end.hello.founding, end.hello.incarnation) = (Some(founding), incarnation);
        }
    }

    fn hint(&self, _: BTreeSet<String>) {}

    fn open_stream(&self, to: Uuid, _: u64) -> BoxFuture<'_, Result<EngineStream, CallError>> {
        Box::pin(std::future::ready(Err(CallError::NotConnected { to })))
    }
}
