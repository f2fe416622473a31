//! Members and partitions as clients see them.
//!
//! Laws. *Versions grow* while the process lives, each with what it counts, and are about the same at every member (they
//! follow the log's index and the table's version); a client is told the newest and may miss those between. *An id is of an
//! open generation*: it is made of founding, incarnation and generation, so that it is new after each activation and the
//! same at every member, and it is told only by a machine that runs, looked at after the doors. *A minority misleads
//! nobody*: who holds no lease shows no new view, and after [`ALONE`] serves no client, so that they go where a majority is.
//! Must not know: who listens.
//!
//! Clients are told of other members by the address at which members reach them, with the port that this member has for
//! clients itself: all members of a cluster must have the same one.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jet_core::agent::Doors;
use jet_core::{Machine, MemberId};
use jet_protocol::message::client::add_cluster_view_listener::{
    ClusterVersion, MemberGroupsView, MembersView, PartitionsView,
};
use jet_protocol::structure::{Address, EndpointQualifier, MemberInfo, MemberVersion, Version, endpoint};
use tokio::sync::watch;
use tracing::error;
use uuid::Uuid;

use super::SPOKEN;
use crate::clock::Moment;
use crate::cluster::Node;
use crate::ports::{Cluster, Maps};

/// Between two looks at what nobody tells of: who is heard, and the doors.
const LOOK: Duration = Duration::from_millis(200);

/// Before it is looked anew behind a look that broke down.
const BROKE_DOWN: Duration = Duration::from_secs(1);

/// A member without a lease closes its clients after so long: longer than an election, shorter than clients wait.
const ALONE: Duration = Duration::from_secs(8);

/// What clients see of the cluster, as this member sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// The cluster's id for clients, if this member serves any.
    pub cluster: Option<Uuid>,
    /// Grows with `members`.
    pub members_version: i32,
    /// Who is heard, with its address; this member's own is known to each connection by itself.
    pub members: BTreeMap<Uuid, Option<SocketAddr>>,
    /// Grows with `owners`.
    pub partitions_version: i32,
    /// Who leads which partitions.
    pub owners: BTreeMap<Uuid, Vec<i32>>,
    /// Number of partitions.
    pub partitions: i32,
    /// No state of the cluster that passes by itself.
    pub settled: bool,
    /// Of the log and of the table by which this was seen.
    pub(super) seen_by: (i32, i32),
}

impl View {
    /// The members, this one at `own`.
    pub fn members(&self, own: SocketAddr) -> MembersView {
        let info = |(uuid, address): (&Uuid, &Option<SocketAddr>)| member_info(*uuid, address.unwrap_or(own));
        MembersView { version: self.members_version, members: self.members.iter().map(info).collect() }
    }

    /// Who leads which partitions.
    pub fn partitions(&self) -> PartitionsView {
        let owners = self.owners.iter().map(|(member, partitions)| (*member, partitions.clone()));
        PartitionsView { version: self.partitions_version, partitions: owners.collect() }
    }

    /// All members are one group: each is as good as any other to whoever reaches only some.
    pub fn groups(&self) -> MemberGroupsView {
        MemberGroupsView { version: self.members_version, groups: vec![self.members.keys().copied().collect()] }
    }

    /// The version of the cluster in the words of the original.
    pub fn version() -> ClusterVersion {
        let (major, minor, _) = SPOKEN;
        ClusterVersion { version: Version { major, minor } }
    }

    /// The same with versions that say what of it is new.
    fn after(mut self, former: &Self) -> Self {
        let counted = |changed: bool, version: i32, seen_by: i32| match changed {
            true => version.saturating_add(1).max(seen_by),
            false => version,
        };
        let (index, table) = std::mem::take(&mut self.seen_by);
        self.members_version = counted(self.members != former.members, former.members_version, index);
        self.partitions_version = counted(self.owners != former.owners, former.partitions_version, table);
        self
    }

    /// What is shown without a lease: what was seen last, and to nobody once that is long ago.
    fn alone(former: &Self, since: Duration) -> Self {
        Self { cluster: former.cluster.filter(|_| since < ALONE), ..former.clone() }
    }
}

/// An address as clients know it.
pub fn address(of: SocketAddr) -> Address {
    Address { port: of.port().into(), host: of.ip().to_string().as_str().into() }
}

/// Java takes no member that has no address for members: it is told the same, though no client may call there.
fn member_info(uuid: Uuid, at: SocketAddr) -> MemberInfo {
    let (major, minor, patch) = SPOKEN;
    let for_whom = |protocol| (EndpointQualifier { protocol, identifier: None }, address(at));
    MemberInfo {
        uuid,
        lite: false,
        address: address(at),
        attributes: Vec::new(),
        version: MemberVersion { major, minor, patch },
        addresses: Some(vec![for_whom(endpoint::MEMBER), for_whom(endpoint::CLIENT)]),
    }
}

/// The id of this activation of a cluster.
fn cluster_id(machine: &Machine) -> Option<Uuid> {
    let founding = machine.founding.as_ref()?;
    let activation = format!("{}.{}", founding.incarnation, machine.generation);
    Some(Uuid::new_v5(&founding.id.0, activation.as_bytes()))
}

/// What can be seen now. `port`: for clients.
fn look(node: &Node, maps: &dyn Maps, port: u16) -> View {
    // Before the machine: doors that are open by an older one than this may be closed by it, and never the other way. As
    // they are wanted: doors are closed when nothing is in flight, and what clients do not take would be in flight for long.
    let open = maps.wanted_doors() != Doors::ClosedForAll;
    let machine = node.machines().borrow().clone();
    let (me, addresses, now) = (node.me(), node.net().addresses(), Moment::now());
    let mut members = BTreeMap::from([(me.0, None)]);
    {
        let presence = node.presence();
        let others = machine.roster.keys().filter(|member| **member != me && presence.present(**member, now));
        members.extend(others.filter_map(|member| {
            let reached = addresses.get(&member.0)?;
            Some((member.0, Some(SocketAddr::new(reached.ip(), port))))
        }));
    }
    let table = &machine.table;
    View {
        cluster: (open && machine.state.runs()).then(|| cluster_id(&machine)).flatten(),
        members,
        owners: owners(&machine),
        partitions: i32::try_from(table.partitions.len()).unwrap_or(i32::MAX),
        settled: machine.state.settled().is_some(),
        seen_by: (number(machine.applied), number(table.version.0)),
        ..View::default()
    }
}

/// As far as a version of the protocol counts.
fn number(number: u64) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn owners(machine: &Machine) -> BTreeMap<Uuid, Vec<i32>> {
    let mut owners: BTreeMap<Uuid, Vec<i32>> = BTreeMap::new();
    for (partition, entry) in machine.table.entries() {
        if let Some(primary) = entry.primary() {
            let MemberId(owner) = primary.member;
            owners.entry(owner).or_default().push(partition.0.into());
        }
    }
    owners
}

/// Shows every view to `seen` until nobody looks any more; a look that breaks down is begun again, or clients would be shown
/// the last one for ever.
pub async fn keep_watching(node: Arc<Node>, maps: Arc<dyn Maps>, port: u16, seen: watch::Sender<Arc<View>>) {
    let seen = Arc::new(seen);
    again(|| watch(node.clone(), maps.clone(), port, seen.clone())).await;
}

/// Does it until it ends by itself.
async fn again<F>(begin: impl Fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    while let Err(error) = tokio::spawn(begin()).await {
        error!(%error, "what clients are shown of the cluster broke down; it is looked at anew");
        tokio::time::sleep(BROKE_DOWN).await;
    }
}

async fn watch(node: Arc<Node>, maps: Arc<dyn Maps>, port: u16, seen: Arc<watch::Sender<Arc<View>>>) {
    let (mut machines, mut connections) = (node.machines(), node.net().changes());
    let mut leased = None;
    loop {
        let now = Moment::now();
        leased = if node.leased() { Some(now) } else { leased };
        let view = look(&node, maps.as_ref(), port);
        seen.send_if_modified(|former| {
            let next = match leased {
                Some(leased) if leased < now => View::alone(former, now.since(leased)),
                Some(_) => view.after(former),
                None => View { cluster: None, ..view }.after(former),
            };
            let changed = **former != next;
            *former = Arc::new(next);
            changed
        });
        tokio::select! {
            () = seen.closed() => return,
            () = tokio::time::sleep(LOOK) => {}
            _ = machines.changed() => {}
            _ = connections.changed() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use jet_core::machine::Founding;
    use jet_core::{Digest, FoundingId, Generation};

    use super::*;

    fn seen(members: &[u128], owner: u128) -> View {
        let at = |n: &u128| (Uuid::from_u128(*n), Some(SocketAddr::from(([127, 0, 0, 1], 5701))));
        let owners = BTreeMap::from([(Uuid::from_u128(owner), vec![0, 1])]);
        View { members: members.iter().map(at).collect(), owners, ..View::default() }
    }

    #[test]
    fn a_version_grows_with_what_it_counts_and_with_nothing_else() {
        let versions = |view: &View| (view.members_version, view.partitions_version);
        let first = seen(&[1, 2], 1).after(&View::default());
        assert_eq!(versions(&first), (1, 1));
        let same = seen(&[1, 2], 1).after(&first);
        assert_eq!(same, first);
        let fewer = seen(&[1], 1).after(&same);
        assert_eq!(versions(&fewer), (2, 1));
        assert_eq!(versions(&seen(&[1], 2).after(&fewer)), (2, 2));
    }

    #[test]
    fn a_member_alone_shows_nothing_new_and_after_a_while_nothing() {
        let cluster = Some(Uuid::from_u128(9));
        let former = View { cluster, ..seen(&[1, 2, 3], 1).after(&View::default()) };
        let shortly = View::alone(&former, ALONE / 2);
        assert_eq!(shortly, former);
        assert_eq!(View::alone(&shortly, ALONE), View { cluster: None, ..former });
    }

    #[test]
    fn versions_follow_what_all_members_count() {
        let by = |index, table, view: View| View { seen_by: (index, table), ..view };
        let first = by(40, 7, seen(&[1, 2], 1)).after(&View::default());
        assert_eq!((first.members_version, first.partitions_version), (40, 7));
        let same = by(50, 9, seen(&[1, 2], 1)).after(&first);
        assert_eq!(same, first);
        let other = by(50, 7, seen(&[1], 2)).after(&same);
        assert_eq!((other.members_version, other.partitions_version), (50, 8));
    }

    #[test]
    fn s_the_id_of_a_cluster_is_new_with_each_activation_and_the_same_at_every_member() {
        let machine = |founding: u128, incarnation, generation| Machine {
            founding: Some(Founding {
                id: FoundingId(Uuid::from_u128(founding)),
                incarnation,
                cluster_version: 1,
                partition_count: 271,
                backup_count: 1,
                permit_digest: Digest::default(),
            }),
            generation: Generation(generation),
            ..Machine::default()
        };
        let id = |founding, incarnation, generation| cluster_id(&machine(founding, incarnation, generation)).unwrap();
        assert_eq!(id(1, 0, 1), id(1, 0, 1));
        let all = [id(1, 0, 1), id(1, 0, 2), id(1, 1, 1), id(2, 0, 1), id(1, 0, 11), id(1, 1, 0)];
        let different: std::collections::BTreeSet<_> = all.into_iter().collect();
        assert_eq!(different.len(), 6);
        assert_eq!(cluster_id(&Machine::default()), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_that_breaks_down_is_begun_again() {
        let begun = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let begin = || {
            let nth = begun.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            async move { assert!(nth >= 2, "the test wants the first two to break down") }
        };
        again(begin).await;
        assert_eq!(begun.load(std::sync::atomic::Ordering::Relaxed), 3);
    }

    #[test]
    fn a_member_has_an_address_for_everybody_who_looks_for_one() {
        let own = SocketAddr::from(([10, 0, 0, 7], 5701));
        let mut view = seen(&[2], 2);
        view.members.insert(Uuid::from_u128(1), None);
        let told = view.members(own);
        assert_eq!(told.members[0].address, address(own));
        assert_eq!(told.members[1].address, address(SocketAddr::from(([127, 0, 0, 1], 5701))));
        let for_whom: Vec<i32> = told.members[0].addresses.iter().flatten().map(|(q, _)| q.protocol).collect();
        assert_eq!(for_whom, [endpoint::MEMBER, endpoint::CLIENT]);
    }
}
