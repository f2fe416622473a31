//! This member and its cluster in the words of the REST.
//!
//! Law: the words are the original's; where it says yes with a member missing, we say no. Must not know: requests.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use jet_admin_api::cluster::{ClusterStateView, ClusterView, RosterMember};
use jet_admin_api::member::{MemberPhase, MemberView};
use jet_admin_api::rest::reply::{Health, Members, OneMember};
use uuid::Uuid;

const IN_TRANSITION: &str = "IN_TRANSITION";

/// State of this member. One that cannot go on is not `SHUT_DOWN`: a probe must not have it killed while it holds.
pub fn node_state(view: &MemberView) -> &'static str {
    match view.phase {
        MemberPhase::Serving if cluster_state(view) == "PASSIVE" => "PASSIVE",
        MemberPhase::Serving => "ACTIVE",
        MemberPhase::Sealed => "PASSIVE",
        MemberPhase::NoStore
        | MemberPhase::Founding
        | MemberPhase::Joining
        | MemberPhase::Recovering
        | MemberPhase::WaitingForActivate
        | MemberPhase::Held => "STARTING",
    }
}

/// State of the cluster.
pub fn cluster_state(view: &MemberView) -> &'static str {
    view.cluster.as_ref().map_or(IN_TRANSITION, |cluster| word(cluster.state))
}

/// A program that knows the original knows no other words: whatever passes is a transition.
pub fn word(state: ClusterStateView) -> &'static str {
    match state {
        ClusterStateView::Active => "ACTIVE",
        ClusterStateView::NoMigration => "NO_MIGRATION",
        ClusterStateView::Frozen => "FROZEN",
        ClusterStateView::Passive => "PASSIVE",
        ClusterStateView::InTransition | ClusterStateView::Recovering | ClusterStateView::Activating => IN_TRANSITION,
    }
}

/// Start is complete, as the original's `ready`: also in PASSIVE, where our own `/readyz` says no.
pub fn started(view: &MemberView) -> bool {
    view.phase == MemberPhase::Serving
}

/// Nothing is lost if any one member goes now.
pub fn safe(view: &MemberView) -> bool {
    let backed = |cluster: &ClusterView| {
        let partitions = &cluster.partitions;
        let settled = cluster_state(view) != IN_TRANSITION;
        let all_here = cluster.roster.iter().all(|member| member.present);
        settled && all_here && partitions.absent == 0 && partitions.fully_backed == partitions.count
    };
    view.cluster.as_ref().is_some_and(backed) && view.store.lagging.is_none()
}

/// Copies under way.
pub fn migrating(view: &MemberView) -> u16 {
    view.cluster.as_ref().map_or(0, |cluster| cluster.partitions.migrating)
}

fn heard(view: &MemberView) -> impl Iterator<Item = &RosterMember> {
    view.cluster.iter().flat_map(|cluster| &cluster.roster).filter(|member| member.present)
}

/// Members that are heard.
pub fn size(view: &MemberView) -> usize {
    heard(view).count()
}

/// All of it.
pub fn health(view: &MemberView) -> Health {
    Health {
        node_state: node_state(view).into(),
        cluster_state: cluster_state(view).into(),
        cluster_safe: safe(view),
        migration_queue_size: migrating(view),
        cluster_size: size(view),
    }
}

/// The same as headers.
pub fn health_headers(view: &MemberView) -> [(&'static str, String); 4] {
    [
        ("hazelcast-nodestate", node_state(view).into()),
        ("hazelcast-clusterstate", cluster_state(view).into()),
        ("hazelcast-migrationqueuesize", migrating(view).to_string()),
        ("hazelcast-clustersize", size(view).to_string()),
    ]
}

/// Where members are, as far as this one is connected to them.
pub struct Addresses {
    /// Of this member.
    pub own: SocketAddr,
    /// Of the others.
    pub others: BTreeMap<Uuid, SocketAddr>,
}

impl Addresses {
    fn of(&self, view: &MemberView, member: &RosterMember) -> String {
        let known = if member.uuid == view.uuid { Some(&self.own) } else { self.others.get(&member.uuid) };
        known.map_or_else(|| "[]:0".into(), |address| format!("[{}]:{}", address.ip(), address.port()))
    }
}

/// Members that are heard. All run one version: an image is not changed one by one yet.
pub fn members(view: &MemberView, addresses: &Addresses) -> Members {
    let one = |member: &RosterMember| OneMember {
        address: addresses.of(view, member),
        lite_member: false,
        local_member: member.uuid == view.uuid,
        uuid: member.uuid.to_string(),
        member_version: view.version.clone(),
    };
    let members = heard(view).map(one).collect();
    Members { members, connection_count: 0, all_connection_count: addresses.others.len() }
}

/// Text of `…/nodes`: members, program version, and in place of the Java version that there is none.
pub fn nodes(view: &MemberView, addresses: &Addresses) -> String {
    let one = |member: &RosterMember| {
        let this = if member.uuid == view.uuid { " this" } else { "" };
        format!("Member {} - {}{this}", addresses.of(view, member), member.uuid)
    };
    let members: Vec<String> = heard(view).map(one).collect();
    format!("[{}]\n{}\n-", members.join(", "), view.version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jet_admin_api::cluster::PartitionsView;
    use jet_admin_api::member::{StoreState, StoreView};

    fn view(phase: MemberPhase, state: ClusterStateView) -> MemberView {
        let member = |n: u128| RosterMember {
            uuid: Uuid::from_u128(n),
            ordinal: n as u32,
            boot: 1,
            volume_id: "v".into(),
            present: true,
            loaded: true,
        };
        let partitions = PartitionsView {
            count: 271,
            backups_wanted: 1,
            fully_backed: 271,
            absent: 0,
            migrating: 0,
            table_version: 1,
        };
        let cluster = ClusterView {
            founding_id: Uuid::nil(),
            incarnation: 0,
            generation: 1,
            state,
            former_state: None,
            leader: None,
            applied_index: 1,
            durable_index: 1,
            roster: (0..3).map(member).collect(),
            roster_digest: String::new(),
            partitions,
            moves: Default::default(),
            operation: None,
            highest_operation: 0,
            stop_request: None,
            jobs: Vec::new(),
            missing: Vec::new(),
        };
        let store = StoreView {
            state: StoreState::Open,
            generation: 1,
            volume_id: "v".into(),
            seal: None,
            live_bytes: 0,
            retained_bytes: 0,
            free_bytes: 0,
            lagging: None,
            progress: None,
        };
        MemberView {
            uuid: Uuid::from_u128(0),
            ordinal: 0,
            boot: 1,
            version: "0.1.0".into(),
            phase,
            ready: true,
            waiting_for: String::new(),
            doors_open: true,
            founding_id: None,
            store,
            cluster: Some(cluster),
            primaries: 0,
            work: Vec::new(),
        }
    }

    fn serving(state: ClusterStateView) -> MemberView {
        view(MemberPhase::Serving, state)
    }

    fn change(mut view: MemberView, change: impl FnOnce(&mut ClusterView)) -> MemberView {
        change(view.cluster.as_mut().unwrap());
        view
    }

    /// The recorded answer of a real member of three, all well.
    #[test]
    fn a_healthy_member_says_what_a_real_one_says() {
        let said = serde_json::to_string(&health(&serving(ClusterStateView::Active))).unwrap();
        assert_eq!(
            said,
            r#"{"nodeState":"ACTIVE","clusterState":"ACTIVE","clusterSafe":true,"migrationQueueSize":0,"clusterSize":3}"#
        );
    }

    #[test]
    fn states_are_told_in_the_words_of_the_original() {
        use ClusterStateView as C;
        use MemberPhase as P;
        for (phase, state, node, cluster, ready) in [
            (P::Serving, C::Active, "ACTIVE", "ACTIVE", true),
            (P::Serving, C::NoMigration, "ACTIVE", "NO_MIGRATION", true),
            (P::Serving, C::Frozen, "ACTIVE", "FROZEN", true),
            // Ready in PASSIVE, as upstream.
            (P::Serving, C::Passive, "PASSIVE", "PASSIVE", true),
            (P::Sealed, C::Passive, "PASSIVE", "PASSIVE", false),
            (P::Serving, C::InTransition, "ACTIVE", "IN_TRANSITION", true),
            (P::Recovering, C::Recovering, "STARTING", "IN_TRANSITION", false),
            (P::WaitingForActivate, C::Recovering, "STARTING", "IN_TRANSITION", false),
            (P::Held, C::Active, "STARTING", "ACTIVE", false),
        ] {
            let view = view(phase, state);
            assert_eq!((node_state(&view), cluster_state(&view), started(&view)), (node, cluster, ready), "{phase:?}");
        }
        let blank = MemberView { cluster: None, ..view(P::NoStore, C::Active) };
        assert_eq!((node_state(&blank), cluster_state(&blank), size(&blank)), ("STARTING", "IN_TRANSITION", 0));
        assert!(!safe(&blank));
    }

    /// Where we differ on purpose: a real member of a FROZEN or PASSIVE cluster says `clusterSafe: true` with a member
    /// missing, so that nobody can decide by it whether another may go.
    #[test]
    fn with_a_member_missing_nothing_is_safe() {
        for state in [ClusterStateView::Active, ClusterStateView::Frozen, ClusterStateView::Passive] {
            assert!(safe(&serving(state)));
            let view = change(serving(state), |cluster| cluster.roster[2].present = false);
            assert_eq!((safe(&view), size(&view)), (false, 2), "{state:?}");
        }
        for spoil in [
            |cluster: &mut ClusterView| cluster.partitions.fully_backed = 270,
            |cluster: &mut ClusterView| cluster.partitions.absent = 1,
            |cluster: &mut ClusterView| cluster.state = ClusterStateView::Recovering,
        ] {
            assert!(!safe(&change(serving(ClusterStateView::Active), spoil)));
        }
        let mut behind = serving(ClusterStateView::Active);
        behind.store.lagging = Some("the disk is full".into());
        assert!(!safe(&behind));
    }

    #[test]
    fn members_are_named_as_in_the_original() {
        let view = change(serving(ClusterStateView::Active), |cluster| cluster.roster[2].present = false);
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let others = BTreeMap::from([(Uuid::from_u128(1), address(5703))]);
        let addresses = Addresses { own: address(5702), others };
        let (me, other) = (Uuid::from_u128(0), Uuid::from_u128(1));
        assert_eq!(
            nodes(&view, &addresses),
            format!("[Member [127.0.0.1]:5702 - {me} this, Member [127.0.0.1]:5703 - {other}]\n0.1.0\n-")
        );
        let members = members(&view, &addresses);
        assert_eq!((members.connection_count, members.all_connection_count), (0, 1));
        assert_eq!(members.members.iter().map(|m| m.local_member).collect::<Vec<_>>(), [true, false]);
    }
}
