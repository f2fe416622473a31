//! Locks of clients that are gone.
//!
//! Laws. *Whoever leads frees*: each member looks at the locks of the partitions that it leads, and at nothing else, so that
//! also the lock of a client is freed whose only member went with it. *Nobody who is alive loses a lock*: a client is gone
//! when, at each look for as long as is configured, every member that may have it was asked and none had a connection of its id.
//! A look at which one of them did not answer, or at which this member holds no lease, counts for nothing, and the time
//! begins anew. *May have it*: who has a replica by the table, and who else of the roster is connected here. *Back again*: a
//! client that is seen once begins anew too. A lock that a client holds longer than it is connected is as in the original its own
//! risk.
//!
//! Attacks, and where they are tried: a client that is connected elsewhere alone (`tests/clients/gone.rs`); one that comes
//! back in time, one that moves, a member that does not answer (here). Must not know: what a client asks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jet_core::MemberId;
use jet_map::wire::{Request, Response};
use jet_map::{Op, PartitionId, Requester};
use tracing::{debug, info};
use uuid::Uuid;

use super::{MapService, Shared, lock};
use crate::clock::Moment;
use crate::net::Lane;

/// Looks within the time after which a client is gone.
const LOOKS: u32 = 8;
/// The longest between two.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Clients in one question.
const ASKED_AT_ONCE: usize = 4_096;
/// A member answers within this.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Clients that are connected to this member, and how often.
#[derive(Default)]
pub struct Here {
    connected: Mutex<BTreeMap<Uuid, usize>>,
}

/// A connection of a client; it is over when this is dropped.
pub struct Connected {
    here: Arc<Here>,
    client: Uuid,
}

impl Here {
    /// A client is connected, for the first time or once more.
    fn is_back(self: &Arc<Self>, client: Uuid) -> Connected {
        *lock(&self.connected).entry(client).or_default() += 1;
        Connected { here: self.clone(), client }
    }

    fn is_gone(&self, client: Uuid) {
        let mut connected = lock(&self.connected);
        if let Some(count) = connected.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                connected.remove(&client);
            }
        }
    }

    /// Those of these that are connected.
    pub(super) fn of(&self, clients: &[Uuid]) -> Vec<Uuid> {
        let connected = lock(&self.connected);
        clients.iter().filter(|client| connected.contains_key(client)).copied().collect()
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.here.is_gone(self.client);
    }
}

/// Since when nobody has the clients that own locks.
#[derive(Debug, Default)]
struct Missing {
    since: BTreeMap<Uuid, Moment>,
}

impl Missing {
    /// Of these owners `known` are connected somewhere; none: that is not known of all members. Gives those that are gone.
    fn look(
        &mut self,
        owners: &BTreeSet<Uuid>,
        known: Option<&BTreeSet<Uuid>>,
        now: Moment,
        after: Duration,
    ) -> Vec<Uuid> {
        let Some(known) = known else {
            self.since.clear();
            return Vec::new();
        };
        self.since.retain(|client, _| owners.contains(client) && !known.contains(client));
        for client in owners.difference(known) {
            self.since.entry(*client).or_insert(now);
        }
        self.since.iter().filter(|(_, since)| now.since(**since) >= after).map(|(client, _)| *client).collect()
    }
}

impl MapService {
    /// A client is connected to this member, until what this gives is dropped.
    pub fn client_is_here(&self, client: Uuid) -> Connected {
        self.shared.here.is_back(client)
    }

    /// From now on frees the locks of clients that are gone for so long.
    pub fn keep_freeing(&self, after: Duration) {
        let weak = Arc::downgrade(&self.shared);
        tokio::spawn(async move {
            let mut missing = Missing::default();
            loop {
                tokio::time::sleep((after / LOOKS).min(LOOK_EVERY)).await;
                let Some(shared) = weak.upgrade() else { return };
                shared.free(&mut missing, after).await;
            }
        });
    }
}

impl Shared {
    async fn free(self: &Arc<Self>, missing: &mut Missing, after: Duration) {
        let locks = self.locks();
        let owners: BTreeSet<Uuid> = locks.values().flatten().copied().collect();
        if owners.is_empty() {
            return missing.since.clear();
        }
        let known = self.known_anywhere(&owners).await.filter(|_| self.cluster.leased());
        let gone = missing.look(&owners, known.as_ref(), Moment::now(), after);
        for client in gone {
            info!(%client, ?after, "maps: a client is gone, and what it has locked is free");
            for (partition, _) in locks.iter().filter(|(_, owners)| owners.contains(&client)) {
                let freed = self.invoke_here(*partition, Requester::Client, Op::FreeLocks { client }, false).await;
                if let Err(refusal) = freed {
                    debug!(%partition, %client, %refusal, "maps: the locks of a client are freed later");
                }
            }
        }
    }

    /// Who has locked something, by partition, of those that are led here.
    fn locks(&self) -> BTreeMap<PartitionId, BTreeSet<Uuid>> {
        let owners = |cell: &Arc<super::cell::Cell>| {
            let state = cell.state();
            let led = state.lead.is_some() && !state.replica.content().locks.is_empty();
            led.then(|| state.replica.content().locks.iter().map(|(.., lock)| lock.owner.client).collect())
        };
        self.cells().iter().filter_map(|cell| Some((cell.partition, owners(cell)?))).collect()
    }

    /// Those of these clients that any member has; none: one of them did not say.
    async fn known_anywhere(&self, clients: &BTreeSet<Uuid>) -> Option<BTreeSet<Uuid>> {
        let mut unknown: Vec<Uuid> = clients.iter().copied().collect();
        let mut known: BTreeSet<Uuid> = self.here.of(&unknown).into_iter().collect();
        for member in self.who_may_have_clients() {
            unknown.retain(|client| !known.contains(client));
            for asked in unknown.chunks(ASKED_AT_ONCE) {
                known.extend(self.clients_of(member, asked.to_vec()).await?);
            }
        }
        Some(known)
    }

    fn who_may_have_clients(&self) -> BTreeSet<MemberId> {
        let machine = self.cluster.machine();
        let with_replicas =
            machine.table.entries().flat_map(|(_, entry)| &entry.replicas).map(|replica| replica.member);
        let connected = self.net.peers(Lane::Data).into_iter().map(|peer| MemberId(peer.member));
        let of_roster = connected.filter(|member| machine.roster.contains_key(member));
        let mut members: BTreeSet<MemberId> = with_replicas.chain(of_roster).collect();
        members.remove(&self.cluster.me());
        members
    }

    async fn clients_of(&self, member: MemberId, of: Vec<Uuid>) -> Option<Vec<Uuid>> {
        let answer = self.net.call(member.0, Lane::Data, Request::Clients { of }.encode(), ANSWER_WITHIN).await;
        match answer.map(Response::decode) {
            Ok(Ok(Response::Clients { here })) => Some(here),
            other => {
                debug!(%member, ?other, "maps: a member does not say which clients it has");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [Uuid; 0] = [];
    const AFTER: Duration = Duration::from_secs(60);

    fn at(seconds: u64) -> Moment {
        Moment::default().plus(Duration::from_secs(seconds))
    }

    fn clients<const N: usize>(numbers: [u128; N]) -> BTreeSet<Uuid> {
        numbers.into_iter().map(Uuid::from_u128).collect()
    }

    #[test]
    fn a_client_is_gone_when_nobody_had_it_at_any_look_for_so_long() {
        let (mut missing, owners, none) = (Missing::default(), clients([1, 2]), clients([]));
        let mut look = |known: Option<&BTreeSet<Uuid>>, seconds| missing.look(&owners, known, at(seconds), AFTER);
        assert_eq!(look(Some(&none), 0), NONE);
        // The first is seen somewhere, and begins anew.
        assert_eq!(look(Some(&clients([1])), 30), NONE);
        assert_eq!(look(Some(&none), 59), NONE);
        assert_eq!(look(Some(&none), 60), [Uuid::from_u128(2)]);
        assert_eq!(look(Some(&none), 119), [Uuid::from_u128(1), Uuid::from_u128(2)], "as long as it is not freed");
        // One that did not answer may have them.
        assert_eq!(look(None, 120), NONE);
        assert_eq!(look(Some(&none), 130), NONE);
        assert_eq!(look(Some(&none), 189), NONE);
        assert_eq!(look(Some(&none), 190).len(), 2);
        assert_eq!(missing.look(&none, Some(&none), at(191), AFTER), NONE);
        assert!(missing.since.is_empty(), "who owns nothing is not kept in mind");
    }

    #[test]
    fn a_client_is_here_as_long_as_one_of_its_connections_is() {
        let (here, one) = (Arc::<Here>::default(), Uuid::from_u128(1));
        let (first, second) = (here.is_back(one), here.is_back(one));
        drop(first);
        assert_eq!(here.of(&[one, Uuid::nil()]), [one]);
        drop(second);
        assert!(here.of(&[one]).is_empty() && lock(&here.connected).is_empty());
    }
}
