//! Sending to followers what does not go together with that of others: whole copies, and changes again whose answer was lost.
//! One task for each partition and follower, one message at a time.
//!
//! Law: what is sent and what an answer means is said by the lead; a lost answer is asked for again, after a pause.
//! Must not know: what changes say.

use std::sync::Arc;
use std::time::Duration;

use jet_core::MemberId;
use jet_map::wire::{Request, Response};
use jet_map::{Asked, CopySource, Due, Next, Refusal, TableVersion};
use tracing::debug;

use super::Shared;
use super::cell::{Cell, State};
use crate::net::Lane;

/// Followers answer within this; a copy's last piece is verified within it too.
const ANSWER_WITHIN: Duration = Duration::from_secs(4);
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

pub(super) enum Step {
    Batch { asked: Asked, request: Request },
    Copy { asked: Asked, changed: TableVersion, number: u64, source: Box<CopySource> },
}

impl Shared {
    /// Begins to send wherever there is something to send and nobody does.
    pub fn kick(self: &Arc<Self>, cell: &Arc<Cell>) {
        let mut state = cell.state();
        let Some(lead) = &state.lead else { return };
        let idle: Vec<_> =
            lead.followers().map(|(member, _)| member).filter(|member| !state.sending.contains(member)).collect();
        for member in idle {
            if state.has_next(member) {
                state.sending.insert(member);
                self.line(member, cell.clone());
            }
        }
    }

    /// Until it went once; what there is behind that stands in line again. `begun`: what is to be sent first, else there is a
    /// pause first.
    pub(super) async fn send_alone(self: Arc<Self>, cell: Arc<Cell>, member: MemberId, mut begun: Option<Step>) {
        let mut pause = FIRST_PAUSE;
        if begun.is_none() {
            tokio::time::sleep(pause).await;
        }
        loop {
            let step = match begun.take() {
                Some(step) => step,
                None => match cell.next_step(member) {
                    Some(step) => step,
                    None => return,
                },
            };
            let went = match step {
                Step::Batch { asked, request } => {
                    let answer = self.to_follower(member, request).await;
                    cell.answered(asked, answer)
                }
                Step::Copy { asked, changed, number, source } => {
                    let answer = self.copy(&cell, member, changed, number, source).await;
                    cell.answered(asked, answer)
                }
            };
            if went {
                if cell.goes_on(member) {
                    self.line(member, cell);
                }
                return;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    pub(super) async fn to_follower(&self, member: MemberId, request: Request) -> Result<Response, Refusal> {
        let answer = self.net.call(member.0, Lane::Copies, request.encode(), ANSWER_WITHIN).await;
        Response::decode(answer.map_err(|error| Refusal::Unreachable { member, why: error.to_string() })?)
    }

    async fn copy(
        &self,
        cell: &Cell,
        member: MemberId,
        changed: TableVersion,
        copy: u64,
        mut source: Box<CopySource>,
    ) -> Result<Response, Refusal> {
        let partition = cell.partition;
        let Ok(_room) = self.copying.acquire().await else {
            return Err(Refusal::NotNow { what: "this member ends".into() });
        };
        while let Some((piece, items)) = source.next_piece() {
            match self.to_follower(member, Request::CopyPiece { partition, changed, copy, piece, items }).await? {
                Response::Taken => {}
                other => return Ok(other),
            }
        }
        let (pieces, version) = (source.pieces(), source.version);
        let digest = crate::host::blocking(move || source.digest())
            .await
            .map_err(|error| Refusal::NotNow { what: format!("the digest of a copy was not made: {error}") })?;
        let answer =
            self.to_follower(member, Request::CopyEnd { partition, changed, copy, pieces, version, digest }).await;
        debug!(%partition, to = %member, pieces, %version, ?answer, "maps: copy sent");
        answer
    }
}

impl State {
    pub(super) fn has_next(&self, member: MemberId) -> bool {
        let Some(lead) = &self.lead else { return false };
        match lead.due(member, self.replica.version(), self.replica.tail()) {
            Due::Nothing => false,
            Due::Batch => true,
            Due::Copy => self.may_copy(member),
        }
    }

    /// Who counts is copied to at once; who does not waits until the agent says so.
    fn may_copy(&self, member: MemberId) -> bool {
        let counts =
            self.lead.as_ref().is_some_and(|lead| lead.followers().any(|(m, follower)| m == member && follower.counts));
        counts || self.shipping.contains(&member)
    }

    fn step(&mut self, cell: &Cell, member: MemberId) -> Option<Step> {
        let lead = self.lead.as_ref()?;
        let (asked, changed) = (lead.asking(member)?, lead.changed);
        match lead.next(member, self.replica.version(), self.replica.tail()) {
            Next::Nothing => None,
            Next::Batch { prev, changes } => Some(Step::Batch {
                asked,
                request: Request::Follow { partition: cell.partition, changed, prev, changes },
            }),
            Next::Copy if self.may_copy(member) => {
                self.copies += 1;
                Some(Step::Copy {
                    asked,
                    changed,
                    number: self.copies,
                    source: Box::new(CopySource::of(&self.replica)),
                })
            }
            Next::Copy => None,
        }
    }
}

impl Cell {
    /// What is to be sent; if there is nothing, nobody sends any more.
    pub(super) fn next_step(&self, member: MemberId) -> Option<Step> {
        let mut state = self.state();
        let step = state.step(self, member);
        if step.is_none() {
            state.sending.remove(&member);
        }
        step
    }

    /// Takes an answer; whether it is worth going on at once.
    pub(super) fn answered(&self, asked: Asked, answer: Result<Response, Refusal>) -> bool {
        let mut state = self.state();
        let State { lead, replica, .. } = &mut *state;
        let Some(lead) = lead else { return true };
        let went = match answer {
            Ok(Response::At(version)) => {
                lead.confirmed(asked, version);
                true
            }
            Ok(Response::Elsewhere(version)) => {
                lead.elsewhere(asked, version, replica.tail());
                true
            }
            other => {
                debug!(partition = %self.partition, to = %asked.member, ?other, "maps: follower does not follow");
                lead.unknown(asked);
                false
            }
        };
        state.settle();
        drop(state);
        self.moved.notify_waiters();
        went
    }
}
