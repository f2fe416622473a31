//! The line to each follower: changes of many partitions in one message.
//!
//! Law: of a partition one message at a time is under way to a follower, so order needs no other care; what becomes of one
//! partition in a message says nothing of the others. What is no plain change (a copy, an answer that was lost, a table that
//! the follower does not know yet) goes alone. Bounded: [`TOGETHER`] and [`BYTES_TOGETHER`] in a message, [`UNDER_WAY`]
//! messages to a follower; what waits is at most each partition once.
//!
//! Attacked:
//! - *Loses a change*: a partition changes between its answer and the end of its turn: `sending` is given back only under the
//!   cell's lock and only when nothing is to be sent (`next_step`), else it stands in line again.
//! - *Stays alone*: whoever was sent alone once would send each change in a message of its own for ever: it stands in line again
//!   as soon as something of it went (`Shared::send_alone`).
//! - *Hangs*: whoever drives a line ends while a partition is put into it: who puts one in and finds nobody begins, under one
//!   lock with the end of whoever drove it.
//! - *Waits for others*: a follower that is slow for one partition answers for all at once, and never waits for a table
//!   meanwhile (`serve::follow_now`).
//!
//! Must not know: what changes say.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use jet_core::MemberId;
use jet_map::wire::{Request, Response};
use jet_map::{Asked, Refusal};
use tokio::sync::Notify;

use super::cell::Cell;
use super::follow::Step;
use super::{Shared, lock};

/// Partitions in one message.
const TOGETHER: usize = 256;
/// Bytes of changes after which no other partition comes into a message.
const BYTES_TOGETHER: usize = 1 << 20;
/// Messages to one follower: while one is answered the next is on its way, and what comes meanwhile goes together.
const UNDER_WAY: usize = 2;

/// All lines.
#[derive(Default)]
pub struct Lines {
    lines: Mutex<BTreeMap<MemberId, Arc<Line>>>,
}

#[derive(Default)]
struct Line {
    waiting: Mutex<Waiting>,
    more: Notify,
}

#[derive(Default)]
struct Waiting {
    cells: VecDeque<Arc<Cell>>,
    /// Somebody sends.
    driven: bool,
}

impl Shared {
    /// A partition whose changes wait for a follower, and that nobody sends for.
    pub(super) fn line(self: &Arc<Self>, member: MemberId, cell: Arc<Cell>) {
        let line = lock(&self.lines.lines).entry(member).or_default().clone();
        let begins = {
            let mut waiting = lock(&line.waiting);
            waiting.cells.push_back(cell);
            !std::mem::replace(&mut waiting.driven, true)
        };
        if begins {
            self.home.spawn(self.clone().drive(member, line));
        } else {
            line.more.notify_one();
        }
    }

    async fn drive(self: Arc<Self>, member: MemberId, line: Arc<Line>) {
        let mut under_way = FuturesUnordered::new();
        loop {
            while under_way.len() < UNDER_WAY {
                let together = self.taken(member, &line);
                if together.is_empty() {
                    break;
                }
                under_way.push(self.clone().send_together(member, together));
            }
            if under_way.is_empty() {
                if line.ends() {
                    return;
                }
                continue;
            }
            let full = under_way.len() == UNDER_WAY;
            tokio::select! {
                biased;
                Some(()) = under_way.next() => {}
                () = line.more.notified(), if !full => {}
            }
        }
    }

    /// Those that go together; whoever does not is sent alone.
    fn taken(self: &Arc<Self>, member: MemberId, line: &Line) -> Vec<(Arc<Cell>, Asked, Request)> {
        let (mut together, mut bytes) = (Vec::new(), 0);
        while together.len() < TOGETHER && bytes < BYTES_TOGETHER {
            let Some(cell) = lock(&line.waiting).cells.pop_front() else { break };
            match cell.next_step(member) {
                Some(Step::Batch { asked, request }) => {
                    bytes += size(&request);
                    together.push((cell, asked, request));
                }
                Some(copy) => {
                    self.home.spawn(self.clone().send_alone(cell, member, Some(copy)));
                }
                None => {}
            }
        }
        together
    }

    async fn send_together(self: Arc<Self>, member: MemberId, mut together: Vec<(Arc<Cell>, Asked, Request)>) {
        let (asked, requests): (Vec<_>, Vec<_>) =
            together.drain(..).map(|(cell, asked, request)| ((cell, asked), request)).unzip();
        let answers = match self.to_follower(member, Request::Together(requests)).await {
            Ok(Response::Together(answers)) if answers.len() == asked.len() => Ok(answers),
            Ok(_) => Err(Refusal::Unreadable { why: "it does not answer each of several changes".into() }),
            Err(refusal) => Err(refusal),
        };
        for (n, (cell, asked)) in asked.into_iter().enumerate() {
            let answer = match &answers {
                Ok(answers) => answers.get(n).cloned().ok_or(Refusal::Unreadable { why: "no answer".into() }),
                Err(refusal) => Err(refusal.clone()),
            };
            if !cell.answered(asked, answer) {
                self.home.spawn(self.clone().send_alone(cell, member, None));
            } else if cell.goes_on(member) {
                self.line(member, cell);
            }
        }
    }
}

impl Line {
    /// Nobody waits; whoever comes next begins anew.
    fn ends(&self) -> bool {
        let mut waiting = lock(&self.waiting);
        waiting.driven = !waiting.cells.is_empty();
        !waiting.driven
    }
}

impl Cell {
    /// Whether there is more to be sent; if not, nobody sends any more.
    pub(super) fn goes_on(&self, member: MemberId) -> bool {
        let mut state = self.state();
        let more = state.has_next(member);
        if !more {
            state.sending.remove(&member);
        }
        more
    }
}

fn size(request: &Request) -> usize {
    match request {
        Request::Follow { changes, .. } => changes.iter().map(|change| change.op.size()).sum(),
        _ => 0,
    }
}
