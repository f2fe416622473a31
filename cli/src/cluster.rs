//! `jet cluster`: the cluster as its members agreed on it.
//!
//! Law: committed facts and the leader's observation of presence are told apart; how far a store is tells
//! its member alone. Must not know: Kubernetes.

use std::fmt::Write;

use jet_admin_api::client::MemberClient;
use jet_admin_api::cluster::ClusterView;
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
