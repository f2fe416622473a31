//! SQL to a job: planned once, here, for all members.
//!
//! Law: what is not supported is refused with the planner's own words; files are looked at now and never again. Must
//! not know: what the plan does.

use std::sync::Arc;

use jet_admin_api::job::SubmitJob;
use jet_admin_api::refusal::{Code, Refusal};
use jet_core::{Command, Guarantee, Machine};
use jet_engine::sql::DiskFiles;
use jet_engine::{JobPlan, Mapping, plan_job};

/// Intervals between snapshots that are taken.
const INTERVAL_MS: std::ops::RangeInclusive<u64> = 50..=3_600_000;
/// Longest name of a job.
const LONGEST_NAME: usize = 253;

/// Plans a job; answers the command that submits it.
pub(super) async fn plan(job: SubmitJob, machine: Arc<Machine>) -> Result<Command, Refusal> {
    let planned = tokio::task::spawn_blocking(move || plan_now(&job, &machine)).await;
    planned.map_err(|error| Refusal::new(Code::Internal, format!("the planner ended: {error}")))?
}

fn plan_now(job: &SubmitJob, machine: &Machine) -> Result<Command, Refusal> {
    let plan = plan_job(&job.sql, &known_mappings(machine), &DiskFiles)
        .map_err(|refused| Refusal::new(Code::BadSql, refused.to_string()))?;
    // The request names the job; the name in its text serves where there is none.
    let name = if job.name.is_empty() { plan.name.clone() } else { job.name.clone() };
    if let Some(why) = unusable(&name) {
        return Err(Refusal::new(Code::BadRequest, why)
            .hint(format!("choose one of letters, digits, '_', '-' and '.', at most {LONGEST_NAME} of them")));
    }
    let interval_ms = job.snapshot_interval_ms.unwrap_or(plan.options.snapshot_interval_ms);
    if !INTERVAL_MS.contains(&interval_ms) {
        return Err(Refusal::new(Code::BadRequest, format!("a snapshot interval of {interval_ms} ms is not offered"))
            .hint("50 ms to 1 h"));
    }
    let plan = JobPlan { name: name.clone(), ..plan };
    let fingerprint = plan.fingerprint.clone();
    let text = serde_json::to_string(&plan)
        .map_err(|error| Refusal::new(Code::Internal, format!("the plan cannot be written: {error}")))?;
    Ok(Command::Submit {
        name,
        sql: job.sql.clone(),
        guarantee: Guarantee::ExactlyOnce,
        interval_ms,
        plan: text,
        fingerprint,
    })
}

/// A name that could not stand in a path would be one of a job that nobody can cancel.
fn unusable(name: &str) -> Option<String> {
    let strange = name.chars().find(|c| !(c.is_ascii_alphanumeric() || "_-.".contains(*c)));
    match strange {
        _ if name.is_empty() => Some("the job has no name".into()),
        _ if name.len() > LONGEST_NAME => Some(format!("the job's name has {} bytes", name.len())),
        Some(strange) => Some(format!("the job's name '{name}' has a {strange:?}")),
        None => None,
    }
}

/// Mappings that jobs brought with them; of one name the newest job's.
pub fn known_mappings(machine: &Machine) -> Vec<Mapping> {
    let mut known: Vec<Mapping> = Vec::new();
    for job in machine.jobs.values() {
        let Ok(plan) = serde_json::from_str::<JobPlan>(&job.plan) else { continue };
        for mapping in [plan.source, plan.sink] {
            known.retain(|older| older.name != mapping.name);
            known.push(mapping);
        }
    }
    known
}
