//! `jet cluster`: the cluster as its members agreed on it.
//!
//! Law: committed facts and the leader's observation of presence are told apart; how far a store is tells
//! its member alone. Must not know: Kubernetes.

use std::fmt::Write;

use jet_admin_api::client::MemberClient;
use jet_admin_api::cluster::{ClusterView, LeavingMember, MovesView};
use jet_admin_api::member::MemberView;

use crate::columns::aligned;
use crate::connection::ConnectionError;

/// State, members, partitions, operation, and how far the called member's store is with it.
pub async fn show(client: &MemberClient) -> Result<String, ConnectionError> {
    let cluster = client.cluster().await?;
    Ok(describe(&cluster, &client.member().await?))
}

/// The called member about itself, as the API answers it.
pub async fn member_as_json(client: &MemberClient) -> Result<String, ConnectionError> {
    Ok(serde_json::to_string(&client.member().await?)? + "\n")
}

/// A member is to leave; it has left when its places are with others.
pub async fn leave(client: &MemberClient, ordinal: u32) -> Result<String, ConnectionError> {
    Ok(client.leave(ordinal).await?.what + "\n")
}

fn moving(moves: &MovesView) -> String {
    let mut text = String::new();
    if moves.copies + moves.handed_over > 0 {
        let (copies, in_step, handed_over) = (moves.copies, moves.in_step, moves.handed_over);
        let _ = writeln!(text, "Moves:       {copies} copies move ({in_step} in step), {handed_over} are handed over");
    }
    for ordinal in &moves.joining {
        let _ = writeln!(text, "Joins:       member {ordinal}, when its store has opened the generation");
    }
    for LeavingMember { ordinal, waits_for, .. } in &moves.leaving {
        let _ = writeln!(text, "Leaves:      member {ordinal}; it waits: {waits_for}");
    }
    text
}

fn describe(cluster: &ClusterView, called: &MemberView) -> String {
    let mut text = format!(
        "State:       {:?}\nFounding id: {}\nGeneration:  {}\nPartitions:  {} of {} with all {} backups, {} absent\n",
        cluster.state,
        cluster.founding_id,
        cluster.generation,
        cluster.partitions.fully_backed,
        cluster.partitions.count,
        cluster.partitions.backups_wanted,
        cluster.partitions.absent,
    );
    if let Some(operation) = &cluster.operation {
        let _ = writeln!(text, "Operation:   {} {:?} {}", operation.id, operation.step, operation.progress);
    }
    text.push_str(&moving(&cluster.moves));
    if let Some(far) = &called.store.progress {
        let _ = writeln!(text, "Store:       member {} is {far}", called.ordinal);
    }
    for missing in &cluster.missing {
        let _ = writeln!(text, "Waiting for: member {} ({}): {}", missing.ordinal, missing.uuid, missing.why);
    }
    let rows: Vec<Vec<String>> = cluster
        .roster
        .iter()
        .map(|member| {
            let leader = if cluster.leader == Some(member.uuid) { "leader" } else { "" };
            let heard = if member.present { "yes" } else { "no" };
            vec![
                member.ordinal.to_string(),
                member.uuid.to_string(),
                member.boot.to_string(),
                heard.into(),
                leader.into(),
            ]
        })
        .collect();
    text + "\n" + &aligned(&["MEMBER", "UUID", "BOOT", "HEARD", "ROLE"], &rows)
}
