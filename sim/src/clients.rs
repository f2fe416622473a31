//! Clients of a simulated cluster: each asks one thing at a time, of any member, and notes what it was told.
//!
//! Law: a call whose process dies or that takes too long has an unknown outcome. Some only read, and stay at one member, also
//! where that is cut off from the others: a member that answers without a lease is seen by nobody else. Must not know: the
//! cluster.

use std::ops::Range;

use bytes::Bytes;
use jet_map::{Op, Query, QueryReply, Refusal, Reply, Requester};
use jet_member::map::MapService;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use crate::dice::Dice;
use crate::history::{self, Asked, Call, Told};
use crate::process::{ON_DISK, Process};
use crate::trace::Trace;
use crate::world::Script;

/// A map that is in RAM only until it is flushed.
const IN_RAM: &str = "m";
/// A client waits so long for an answer, in milliseconds;
const PATIENCE: u64 = 8_000;
/// where some stay, so long for one of a change: who waits at a member that is cut off does not see what the others do;
const LITTLE_PATIENCE: u64 = 1_500;
/// and so long for that of a read.
const LEAST_PATIENCE: u64 = 400;
/// Between two calls of a client, in milliseconds.
const PAUSE: Range<u64> = 2..60;

struct Open {
    call: Call,
    told: oneshot::Receiver<Told>,
}

/// One client.
struct Client {
    next: u64,
    open: Option<Open>,
    /// It only reads, and asks only this member.
    stays_at: Option<usize>,
}

/// The clients of a world.
pub struct Clients {
    dice: Dice,
    keys: u64,
    writes: u64,
    /// For an answer to a read, and to a change.
    patience: [u64; 2],
    clients: Vec<Client>,
    values: u64,
    trace: Trace,
    /// Everything that was asked and told.
    pub calls: Vec<Call>,
}

impl Clients {
    /// Of a world of this script.
    pub fn new(seed: u64, script: &Script, trace: Trace) -> Self {
        let go_around = (0..script.clients).map(|_| Client { next: 0, open: None, stays_at: None });
        let stay = (0..script.members).filter(|_| script.some_stay);
        let stay = stay.map(|member| Client { next: 0, open: None, stays_at: Some(member) });
        Clients {
            dice: Dice::of(seed, "clients"),
            keys: script.keys,
            writes: script.writes,
            patience: if script.some_stay { [LEAST_PATIENCE, LITTLE_PATIENCE] } else { [PATIENCE; 2] },
            clients: go_around.chain(stay).collect(),
            values: 0,
            trace,
            calls: Vec::new(),
        }
    }

    /// Takes what was told, and asks anew where nothing is open: one of these processes.
    pub fn step(&mut self, now: u64, processes: &[&Process], asks: bool) {
        for number in 0..self.clients.len() {
            self.take(number, now);
            let client = &self.clients[number];
            if !asks || client.open.is_some() || client.next > now || processes.is_empty() {
                continue;
            }
            let (asked, process) = match client.stays_at {
                None => (self.choose(), *self.dice.one_of(processes)),
                Some(member) => match processes.iter().find(|process| process.begin.ordinal == member) {
                    Some(process) => (Asked::Read, *process),
                    None => continue,
                },
            };
            let key = self.dice.within(0..self.keys);
            self.ask(number, now, process, key, asked);
        }
    }

    /// Nobody waits for anything.
    pub fn idle(&self) -> bool {
        self.clients.iter().all(|client| client.open.is_none())
    }

    /// Asks what is there now.
    pub fn read(&mut self, now: u64, process: &Process, key: u64) {
        self.ask(0, now, process, key, Asked::Read);
    }

    fn choose(&mut self) -> Asked {
        if self.dice.within(0..100) >= self.writes {
            return Asked::Read;
        }
        if self.dice.once_in(6) {
            return Asked::Write(None);
        }
        self.values += 1;
        Asked::Write(Some(self.values))
    }

    fn ask(&mut self, client: usize, now: u64, process: &Process, key: u64, asked: Asked) {
        let Some((_, maps)) = process.running() else { return };
        let (tell, told) = oneshot::channel();
        process.spawn(async move {
            let _ = tell.send(carry(&maps, key, asked).await);
        });
        let call = Call { client, key, asked, from: now, to: now, told: Told::Unknown };
        self.clients[client].open = Some(Open { call, told });
    }

    fn take(&mut self, number: usize, now: u64) {
        let Some(open) = &mut self.clients[number].open else { return };
        let patience = self.patience[usize::from(open.call.asked != Asked::Read)];
        let told = match open.told.try_recv() {
            Ok(told) => told,
            Err(TryRecvError::Closed) => Told::Unknown,
            Err(TryRecvError::Empty) if now >= open.call.from + patience => Told::Unknown,
            Err(TryRecvError::Empty) => return,
        };
        let call = Call { to: now, told, ..open.call };
        let value = match told {
            Told::Value(value) => value.unwrap_or(0),
            Told::Refused => u64::MAX,
            Told::Unknown => u64::MAX - 1,
        };
        self.trace.note("told", &[number as u64, call.key, call.from, now, value]);
        self.calls.push(call);
        let pause = self.dice.within(PAUSE);
        let client = &mut self.clients[number];
        (client.open, client.next) = (None, now + pause);
    }
}

fn number(value: Option<Bytes>) -> Option<u64> {
    value.and_then(|bytes| Some(u64::from_le_bytes(bytes.as_ref().try_into().ok()?)))
}

async fn carry(maps: &MapService, key: u64, asked: Asked) -> Told {
    let map = if history::waits_for_disks(key) { ON_DISK } else { IN_RAM };
    let (map, key) = (map.to_owned(), Bytes::from(format!("key-{key}")));
    let partition = maps.partition_of(&key);
    let change = match asked {
        Asked::Read => None,
        Asked::Write(Some(value)) => {
            Some(Op::Put { map: map.clone(), key: key.clone(), value: Bytes::copy_from_slice(&value.to_le_bytes()) })
        }
        Asked::Write(None) => Some(Op::Remove { map: map.clone(), key: key.clone() }),
    };
    let result = match change {
        Some(op) => maps.invoke(partition, Requester::Client, op).await.map(|done| match done.reply {
            Reply::Previous(before) => Told::Value(number(before)),
            _ => Told::Unknown,
        }),
        None => maps.ask(partition, Requester::Client, Query::Get { map, key }).await.map(|reply| match reply {
            QueryReply::Value(value) => Told::Value(number(value)),
            _ => Told::Unknown,
        }),
    };
    result.unwrap_or_else(|refusal| match refusal {
        Refusal::Unconfirmed { .. } | Refusal::NotOnDisk { .. } => Told::Unknown,
        Refusal::Unreachable { .. } | Refusal::Unreadable { .. } => Told::Unknown,
        _ => Told::Refused,
    })
}
