//! Calls that are over at once, or wait for followers and for nothing else.
//!
//! Law: judged as every call is, in the same order; where more is needed (another member, a disk, a table that changes),
//! nothing was done and the call is made the long way. One lock, one look at the machine, nothing that is allocated or
//! spawned without need. Must not know: who the callers are.

use std::sync::Arc;

use jet_map::op::Acknowledged;
use jet_map::{Op, PartitionId, Query, QueryReply, Refusal, Requester};
use tokio::time::Instant;

use super::calls::{CONFIRM_WITHIN, MOST_CHANGE_BYTES};
use super::cell::{Cell, NotOrdered, Ordered};
use super::doors::InFlight;
use super::{MapService, Shared};

/// How far a change is.
pub enum Invoked {
    /// Done, or refused.
    Over(Result<Acknowledged, Refusal>),
    /// It is in order here.
    Waits(Unacknowledged),
    /// Nothing was done: it is to be made by [`MapService::invoke`].
    NotNow(Op),
}

/// A change that waits for its followers.
pub struct Unacknowledged {
    shared: Arc<Shared>,
    cell: Arc<Cell>,
    ordered: Ordered,
    deadline: Instant,
    _in_flight: InFlight,
}

impl Unacknowledged {
    /// Waits.
    pub async fn acknowledged(self) -> Result<Acknowledged, Refusal> {
        let Self { shared, cell, ordered, deadline, _in_flight } = self;
        shared.confirmed(&cell, ordered.installed, ordered.version, deadline).await?;
        Ok(shared.acknowledged(ordered))
    }
}

impl MapService {
    /// A question to a partition, if it can be answered at once.
    pub fn ask_now(
        &self,
        partition: PartitionId,
        requester: Requester,
        query: &Query,
    ) -> Option<Result<QueryReply, Refusal>> {
        let _in_flight = self.shared.doors.read();
        if let Err(refusal) = self.shared.doors.door().admit_query(requester, query) {
            return Some(Err(refusal));
        }
        let cell = self.shared.cell(partition).ok()?;
        let (reply, was_so, installed) = {
            let mut state = cell.state();
            let version = state.replica.version();
            // Also: this member does not lead it.
            if state.settle()? < version {
                return None;
            }
            let reply = self.shared.look(partition, &mut state, query);
            (reply, state.replica.version() == version, state.lead.as_ref()?.installed)
        };
        if !was_so {
            // Time went on with the look, and that is to come to all copies first.
            self.shared.kick(&cell);
            return None;
        }
        let reply = reply.ok()?;
        // In this order: by a later table than that of the lease another may lead.
        (self.shared.cluster.leased() && cell.still_leads(installed)).then_some(Ok(reply))
    }

    /// A change of a partition, as far as it goes at once.
    pub fn invoke_now(&self, partition: PartitionId, requester: Requester, op: Op) -> Invoked {
        let shared = &self.shared;
        let bytes = op.size();
        if bytes > MOST_CHANGE_BYTES {
            return Invoked::Over(Err(Refusal::TooLarge { bytes, most: MOST_CHANGE_BYTES }));
        }
        let in_flight = shared.doors.write();
        if let Err(refusal) = shared.doors.door().admit(requester, &op) {
            return Invoked::Over(Err(refusal));
        }
        if shared.waits_for_disks(requester, &op) {
            return Invoked::NotNow(op);
        }
        let Ok(cell) = shared.cell(partition) else { return Invoked::NotNow(op) };
        let ordered = match cell.order_now(shared, requester, op) {
            Ok(ordered) => ordered,
            Err(NotOrdered::Refused(refusal)) => return Invoked::Over(Err(refusal)),
            Err(NotOrdered::Back(op)) => return Invoked::NotNow(op),
        };
        if !ordered.is_acknowledged || !shared.cluster.leased() || !cell.still_leads(ordered.installed) {
            shared.kick(&cell);
            let (shared, deadline) = (shared.clone(), Instant::now() + CONFIRM_WITHIN);
            return Invoked::Waits(Unacknowledged { shared, cell, ordered, deadline, _in_flight: in_flight });
        }
        Invoked::Over(Ok(shared.acknowledged(ordered)))
    }
}
