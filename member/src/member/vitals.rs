//! What probes and a scrape read of this member.
//!
//! Law: a look at what is known, which waits for nothing; a member that is held says so and nothing else. Must not know: how it
//! is asked.

use jet_admin_api::member::MemberPhase;
use jet_admin_api::progress::StoreProgress;
use jet_core::agent::Doors;

use super::Member;
use crate::cluster::supervise;
use crate::health::Vitals;
use crate::ports::Cluster;

impl Vitals for Member {
    fn progress(&self) -> Option<StoreProgress> {
        self.store_progress()
    }

    fn ready(&self) -> Result<(), String> {
        let running = self.running.as_ref().map_err(Clone::clone)?;
        let machine = running.node.machine();
        let phase = self.phase(running, &machine);
        if running.maps.doors() != Doors::Open {
            return Err(format!("doors are closed: the member is {phase:?}, the cluster {}", machine.state));
        }
        match phase {
            MemberPhase::Serving if running.node.presence().was_leased() => Ok(()),
            MemberPhase::Serving => Err("the leader has not granted this member a lease yet".into()),
            other => Err(format!("the member is {other:?}")),
        }
    }

    fn metrics(&self) -> String {
        let Ok(running) = &self.running else { return "jet_held 1\n# EOF\n".into() };
        let machine = running.node.machine();
        let figures = jet_core::view::partition_figures(&machine);
        let moves = jet_core::view::move_figures(&machine);
        let standing = running.node.standing();
        let far = running.node.keeper().progress();
        let saves = far.doing != jet_hotstore::Doing::Idle;
        let rows = [
            ("jet_ready", u64::from(self.ready().is_ok())),
            ("jet_doors_open", u64::from(running.maps.doors() == Doors::Open)),
            ("jet_generation", machine.generation.0),
            ("jet_members", machine.roster.len() as u64),
            ("jet_members_unheard", supervise::unheard(&running.node).len() as u64),
            ("jet_leading", u64::from(standing.as_ref().is_some_and(|s| s.leading.is_some()))),
            ("jet_applied_index", standing.as_ref().map_or(0, |s| s.applied)),
            ("jet_durable_index", standing.as_ref().map_or(0, |s| s.durable)),
            ("jet_without_vote", u64::from(standing.as_ref().is_some_and(|s| s.failure.is_some()))),
            ("jet_partitions", u64::from(figures.count)),
            ("jet_partitions_fully_backed", u64::from(figures.fully_backed)),
            ("jet_partitions_absent", u64::from(figures.absent)),
            ("jet_moves", moves.moving as u64),
            ("jet_moves_handed_over", moves.handed_over as u64),
            ("jet_members_joining", moves.joining.len() as u64),
            ("jet_members_leaving", moves.leaving.len() as u64),
            ("jet_return_overdue", u64::from(self.overdue().alarm().is_some())),
            ("jet_store_lagging", u64::from(running.node.lagging().is_some())),
            ("jet_store_saves_or_loads", u64::from(saves)),
            ("jet_store_bytes_done", if saves { far.done } else { 0 }),
            ("jet_store_bytes_left", if saves { far.left() } else { 0 }),
            ("jet_store_slow", u64::from(far.pace(None).slow.is_some())),
            ("jet_backup_under_way", u64::from(running.node.backups().is_under_way())),
            ("jet_clients", self.clients().map_or(0, |clients| clients.connected() as u64)),
            ("jet_jobs", machine.jobs.values().filter(|job| !job.ended()).count() as u64),
        ];
        let lines: String = rows.iter().map(|(name, value)| format!("# TYPE {name} gauge\n{name} {value}\n")).collect();
        lines + "# EOF\n"
    }
}
