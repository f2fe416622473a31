//! Founding: the first entry.
//!
//! Law: once, by one permit. Must not know: how the founders agreed.

use std::collections::{BTreeMap, BTreeSet};

use super::{Answer, already};
use crate::cluster_state::{ClusterState, Settled};
use crate::ids::{Digest, FoundingId, Generation, MemberId, TableVersion};
use crate::machine::{CLUSTER_VERSION, Founding, Machine};
use crate::outcome::Refused;
use crate::partition::assign::assign;
use crate::partition::{PartitionEntry, PartitionTable, Replica};
use crate::roster::{Founder, MEMBERS_MOST, RosterEntry};
use crate::voters::{self, Voters};

const MOST_PARTITIONS: u16 = 8191;
const MOST_BACKUPS: u8 = 6;

pub(super) struct Permit {
    pub id: FoundingId,
    pub members: Vec<Founder>,
    pub partition_count: u16,
    pub backup_count: u8,
    pub permit_digest: Digest,
}

pub(super) fn found(machine: &mut Machine, permit: Permit) -> Answer {
    if let Some(known) = &machine.founding {
        let same = known.id == permit.id && known.permit_digest == permit.permit_digest;
        return if same { already() } else { Err(Refused::FoundingDiffers { known: known.permit_digest.clone() }) };
    }
    if let Some(why) = unusable(&permit) {
        return Err(Refused::BadFounding { why });
    }
    let mut founded = machine.clone();
    founded.founding = Some(Founding {
        id: permit.id,
        incarnation: 1,
        cluster_version: CLUSTER_VERSION,
        partition_count: permit.partition_count,
        backup_count: permit.backup_count,
        permit_digest: permit.permit_digest,
    });
    founded.roster = permit.members.into_iter().map(|founder| (founder.member, founder.entry)).collect();
    founded.voters = Voters { changes: 0, members: voters::first(&founded.candidates()) };
    let nothing = vec![Vec::new(); usize::from(permit.partition_count)];
    let lists = assign(&nothing, &founded.candidates(), founded.copies_wanted())
        .map_err(|why| Refused::BadFounding { why: why.to_string() })?;
    founded.table = empty_copies(&founded, lists, TableVersion(1));
    founded.former = Some(Settled::Active);
    founded.state =
        ClusterState::Activating { generation: Generation(1), op: None, opened: BTreeMap::new(), wishes: Vec::new() };
    *machine = founded;
    Ok(format!("founded by {} members", machine.roster.len()))
}

fn unusable(permit: &Permit) -> Option<String> {
    let members: BTreeSet<_> = permit.members.iter().map(|founder| founder.member).collect();
    let ordinals: BTreeSet<_> = permit.members.iter().map(|founder| founder.entry.ordinal).collect();
    if !(1..=MEMBERS_MOST).contains(&permit.members.len()) {
        return Some(format!("it names {} members; 1 to {MEMBERS_MOST} are possible", permit.members.len()));
    }
    if members.len() != permit.members.len() || ordinals.len() != permit.members.len() {
        return Some("a member or an ordinal stands in it twice".into());
    }
    if !(1..=MOST_PARTITIONS).contains(&permit.partition_count) {
        return Some(format!("{} partitions; 1 to {MOST_PARTITIONS} are possible", permit.partition_count));
    }
    (permit.backup_count > MOST_BACKUPS)
        .then(|| format!("{} backups; at most {MOST_BACKUPS} are possible", permit.backup_count))
}

/// Members by ordinal.
pub(super) fn by_ordinal(roster: &BTreeMap<MemberId, RosterEntry>) -> Vec<MemberId> {
    let mut members: Vec<_> = roster.iter().map(|(member, entry)| (entry.ordinal, *member)).collect();
    members.sort_unstable();
    members.into_iter().map(|(_, member)| member).collect()
}

/// The table of a cluster that holds nothing yet: empty copies are equal copies.
pub(super) fn empty_copies(machine: &Machine, lists: Vec<Vec<MemberId>>, version: TableVersion) -> PartitionTable {
    let replica =
        |member: MemberId| machine.roster.get(&member).map(|entry| Replica { member, boot: entry.boot, synced: true });
    let entry = |list: Vec<MemberId>| PartitionEntry {
        installed: version,
        changed: version,
        replicas: list.into_iter().filter_map(replica).collect(),
    };
    PartitionTable { version, partitions: lists.into_iter().map(entry).collect() }
}
