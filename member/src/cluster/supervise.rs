//! The supervisor's loop: at the leader, machine and observations → commands into the log.
//!
//! Law: only the leader plans, by the machine that it has applied; its clock is monotonic and begins anew with each
//! leadership. A refusal is no error: the machine knew better. Must not know: why a command is planned.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jet_core::report::Observations;
use jet_core::supervisor::{self, Watch};
use jet_core::{Command, MemberId, Outcome};
use tracing::{debug, info, warn};

use super::node::Node;
use crate::clock::Moment;

/// Pause between two looks when nothing was applied meanwhile.
const LOOK: Duration = Duration::from_millis(100);
/// Time for one command.
const COMMAND: Duration = Duration::from_secs(2);

/// Runs until the process ends.
pub async fn run(node: Arc<Node>) {
    let mut machines = node.machines();
    let mut watch: Option<(u64, Watch)> = None;
    let mut said = BTreeMap::new();
    loop {
        let applied = async {
            // A burst of entries is one look.
            let _ = machines.changed().await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = applied => {}
        }
        let Some(term) = node.standing().and_then(|s| s.leading) else {
            watch = None;
            continue;
        };
        let (known, mut own) = watch.take().unwrap_or((term, Watch::default()));
        if known != term {
            own = Watch::default();
        }
        let commands = look(&node, &mut own, term);
        watch = Some((term, own));
        for command in commands {
            write(&node, command, &mut said).await;
        }
    }
}

fn look(node: &Node, watch: &mut Watch, term: u64) -> Vec<Command> {
    let machine = node.machines().borrow().clone();
    let now = Moment::now();
    let mut presence = node.presence();
    let Some(since) = presence.lead(Some(term), now) else { return Vec::new() };
    let mut members = presence.observed(now);
    drop(presence);
    members.retain(|member, _| machine.roster.contains_key(member));
    let observations = Observations {
        members,
        leader_for_ms: u64::try_from(now.since(since).as_millis()).unwrap_or(u64::MAX),
        operation_for_ms: watch.observe(&machine, now.millis()),
    };
    supervisor::plan(&machine, &observations)
}

/// What was said last about each kind of command, so that a repeated refusal is one line.
type Said = BTreeMap<String, String>;

async fn write(node: &Node, command: Command, said: &mut Said) {
    let kind = kind(&command);
    let machine = node.machines().borrow().clone();
    node.presence().depose(supervisor::deposed(&machine, &command));
    let written = node.write(command.clone(), COMMAND).await;
    // Without an outcome they stay without a lease until another command of ours has one, or another leads.
    if written.is_ok() {
        node.presence().outcome_known();
    }
    let words = match written {
        Ok(Outcome::Done { index, what }) => {
            info!(index, command = %kind, %what, "supervisor");
            said.remove(&kind);
            return;
        }
        Ok(Outcome::Refused(refused)) => refused.to_string(),
        Err(error) => error.to_string(),
    };
    debug!(?command, %words, "supervisor: not done");
    if said.insert(kind.clone(), words.clone()).as_ref() != Some(&words) {
        warn!(command = %kind, why = %words, "supervisor: not done");
    }
}

/// The command's name, for people.
pub fn kind(command: &Command) -> String {
    let text = format!("{command:?}");
    text.split([' ', '{', '(']).next().unwrap_or_default().to_owned()
}

/// The members of the roster that the leader does not hear.
pub fn unheard(node: &Node) -> Vec<MemberId> {
    let now = Moment::now();
    let machine = node.machines().borrow().clone();
    let presence = node.presence();
    machine.roster.keys().filter(|member| !presence.present(**member, now)).copied().collect()
}
