//! Who is connected, under which boot, and how to reach them.
//!
//! Law: for each member only the highest boot seen is connected; a connection of a lower one is cancelled the moment
//! a higher is seen. Must not know: TLS, frames.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::hello::{LANES, Lane, Peer};
use super::lane::Caller;

#[derive(Default)]
pub(super) struct Registry {
    members: BTreeMap<Uuid, Known>,
    next: u64,
}

#[derive(Default)]
struct Known {
    boot: u64,
    ordinal: u32,
    address: Option<SocketAddr>,
    callers: [Option<(u64, Caller)>; LANES],
    connections: BTreeMap<u64, (u64, CancellationToken)>,
}

/// A registered connection; hand it back when the connection ends.
pub(super) struct Ticket {
    pub number: u64,
    pub over: CancellationToken,
    /// Nobody was connected under this boot of that member before.
    pub met: bool,
}

impl Registry {
    pub fn known_boot(&self, member: Uuid) -> Option<u64> {
        self.members.get(&member).map(|k| k.boot)
    }

    /// Registers a connection of `peer`; connections of its lower boots are cancelled.
    pub fn enter(&mut self, peer: Peer) -> Ticket {
        self.next += 1;
        let number = self.next;
        let over = CancellationToken::new();
        let known = self.members.entry(peer.member).or_default();
        known.ordinal = peer.ordinal;
        let met = peer.boot > known.boot;
        if met {
            known.boot = peer.boot;
            for (_, (_, token)) in known.connections.iter().filter(|(_, (boot, _))| *boot < peer.boot) {
                token.cancel();
            }
            known.callers = Default::default();
        }
        known.connections.insert(number, (peer.boot, over.clone()));
        Ticket { number, over, met }
    }

    pub fn open(&mut self, peer: Peer, lane: Lane, number: u64, address: SocketAddr, caller: Caller) {
        if let Some(known) = self.members.get_mut(&peer.member).filter(|k| k.boot == peer.boot) {
            known.address = Some(address);
            known.callers[lane.index()] = Some((number, caller));
        }
    }

    pub fn leave(&mut self, member: Uuid, number: u64) {
        if let Some(known) = self.members.get_mut(&member) {
            known.connections.remove(&number);
            for caller in &mut known.callers {
                if caller.as_ref().is_some_and(|(n, _)| *n == number) {
                    *caller = None;
                }
            }
        }
    }

    pub fn caller(&self, member: Uuid, lane: Lane) -> Option<Caller> {
        self.members.get(&member)?.callers[lane.index()].as_ref().map(|(_, c)| c.clone())
    }

    pub fn has(&self, member: Uuid, lane: Lane) -> bool {
        self.members.get(&member).is_some_and(|k| k.callers[lane.index()].is_some())
    }

    pub fn address(&self, member: Uuid) -> Option<SocketAddr> {
        self.members.get(&member)?.address
    }

    pub fn peers(&self, lane: Lane) -> Vec<Peer> {
        self.members
            .iter()
            .filter(|(_, k)| k.callers[lane.index()].is_some())
            .map(|(member, k)| Peer { member: *member, ordinal: k.ordinal, boot: k.boot })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_higher_boot_ends_the_connections_of_the_lower() {
        let mut registry = Registry::default();
        let peer = |boot| Peer { member: Uuid::from_u128(1), ordinal: 0, boot };
        let old = registry.enter(peer(3));
        let same = registry.enter(peer(3));
        assert!(!old.over.is_cancelled() && !same.over.is_cancelled());
        assert!(old.met && !same.met);
        let new = registry.enter(peer(4));
        assert!(new.met);
        assert!(old.over.is_cancelled() && same.over.is_cancelled() && !new.over.is_cancelled());
        assert_eq!(registry.known_boot(Uuid::from_u128(1)), Some(4));
    }
}
