//! Building a runtime generation on this member, and ending it.
//!
//! Law: one generation at a time; the next is built only when the one before is built or given up and its threads are
//! gone; whatever goes wrong while building is the cause of its fall, told by reports. Must not know: when a generation
//! is wanted.

use std::sync::Arc;

use jet_core::machine::{RuntimeGeneration, RuntimeJob};
use jet_core::{Command, Machine};
use jet_engine::operators::route::PartitionOf;
use jet_engine::{JobPlan, JobStart, compile};
use jet_map::{SnapshotId, partition_of};
use tracing::{info, warn};

use super::export::ToMap;
use super::stage::{Listener, Stage};
use super::{Shared, count, restore, streams};

/// Tries to bring one snapshot to its places.
const RESTORE_TRIES: u32 = 40;
/// Pause between two of them.
const RESTORE_AGAIN: std::time::Duration = std::time::Duration::from_millis(250);

/// Begins to build; what runs is ended.
pub fn start(shared: &Arc<Shared>, generation: RuntimeGeneration, machine: Arc<Machine>) {
    if shared.stage_of(generation.number).is_some() {
        return;
    }
    stop(shared);
    let agreed = Some(usize::from(generation.workers)).filter(|workers| *workers > 0);
    let stage = Stage::new(generation, agreed.unwrap_or(shared.workers), shared.news.clone());
    *shared.slot() = Some(stage.clone());
    let (owner, building) = (shared.clone(), stage.clone());
    let begun = shared.turns.take("jet:build", move || {
        if let Err(cause) = build(&owner, &building, &machine) {
            warn!(generation = %building.number(), %cause, "the runtime generation is not built");
            building.fall(cause);
        }
    });
    if let Err(error) = begun {
        stage.fall(format!("no thread to build it: {error}"));
    }
}

/// Ends what runs: tripped at once, joined behind the call.
pub fn stop(shared: &Arc<Shared>) {
    let Some(stage) = shared.slot().take() else { return };
    let number = stage.number();
    let Some(handle) = stage.stop() else { return };
    let torn = shared.turns.take("jet:end", move || {
        handle.join();
        info!(generation = %number, "the runtime generation is gone");
    });
    if let Err(error) = torn {
        warn!(generation = %number, %error, "no thread to end a runtime generation; it ends here");
    }
}

fn build(shared: &Arc<Shared>, stage: &Arc<Stage>, machine: &Arc<Machine>) -> Result<(), String> {
    let generation = &stage.generation;
    let me = generation
        .members
        .iter()
        .position(|member| *member == shared.cluster.me())
        .ok_or("this member is not in it")?;
    if stage.ended() {
        return Err("it was ended before it was built".into());
    }
    let begun = std::time::Instant::now();
    let jobs = generation.jobs.iter().map(|job| prepare(shared, machine, job)).collect::<Result<Vec<_>, _>>()?;
    for job in &generation.jobs {
        bring_back(shared, stage, job)?;
    }
    let sockets = shared.handle.block_on(async {
        let verified = count::verify(shared, generation);
        tokio::select! {
            sockets = streams::form(&shared.net, &shared.desk, generation, machine, me, verified) => sockets,
            () = until_ended(stage) => Err("it was ended while it was built".into()),
        }
    })?;
    let partitions = u16::try_from(machine.table.partitions.len()).map_err(|error| error.to_string())?;
    let hash: PartitionOf = Arc::new(move |key: &[u8]| u32::from(partition_of(key, partitions).0));
    let engine = jet_engine::RuntimeGeneration {
        number: generation.number.0,
        members: generation.members.len(),
        me,
        workers: stage.workers,
        owners: generation.owners.iter().map(|owner| usize::from(*owner)).collect(),
        partition_of: hash,
        jobs,
        sockets,
        snapshots: Arc::new(ToMap::new(stage.clone(), shared.maps.clone(), shared.handle.clone())),
        events: Arc::new(Listener(stage.clone())),
    };
    let handle = engine.start().map_err(|refused| refused.to_string())?;
    if let Some(handle) = stage.built(handle) {
        handle.trip("stopped");
        handle.join();
        return Err("it was ended while it was built".into());
    }
    let took_ms = begun.elapsed().as_millis();
    info!(generation = %generation.number, members = generation.members.len(), jobs = generation.jobs.len(), took_ms, "the runtime generation runs here");
    Ok(())
}

async fn until_ended(stage: &Stage) {
    loop {
        let changed = stage.changed.notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        if stage.ended() {
            return;
        }
        changed.await;
    }
}

/// The program of a job. A plan that this member cannot follow fails the job and not the others.
fn prepare(shared: &Arc<Shared>, machine: &Machine, built: &RuntimeJob) -> Result<JobStart, String> {
    let job = machine.jobs.get(&built.job).ok_or_else(|| format!("job {} is not in the machine", built.job))?;
    let compiled = serde_json::from_str::<JobPlan>(&job.plan)
        .map_err(|error| format!("its plan cannot be read: {error}"))
        .and_then(|plan| match plan.fingerprint == job.fingerprint {
            true => compile(&plan).map_err(|refused| refused.to_string()),
            false => Err(format!("its plan has fingerprint {}, the job {}", plan.fingerprint, job.fingerprint)),
        });
    match compiled {
        Ok(program) => Ok(JobStart {
            job: job.id.0,
            execution: built.execution.0,
            fingerprint: job.fingerprint.clone(),
            program: Arc::new(program),
            restore: built
                .restore
                .as_ref()
                .map(|snapshot| restore::from_map(&shared.maps, &shared.handle, job.id, snapshot)),
        }),
        Err(cause) => {
            let command =
                Command::JobFailed { job: job.id, execution: built.execution, cause: cause.clone(), progressed: false };
            let _ = shared.handle.block_on(shared.cluster.clone().propose(command));
            Err(format!("job '{}': {cause}", job.name))
        }
    }
}

/// Every partition that this member leads gets exactly the snapshot that the job goes on from.
fn bring_back(shared: &Arc<Shared>, stage: &Stage, built: &RuntimeJob) -> Result<(), String> {
    let Some(snapshot) = &built.restore else { return Ok(()) };
    let id = SnapshotId { job: built.job, execution: snapshot.execution, epoch: snapshot.epoch };
    let mut tries = 0;
    loop {
        tries += 1;
        let restoring = shared.maps.restore_snapshot(id, built.execution, || stage.ended());
        match shared.handle.block_on(restoring) {
            Ok(restored) => {
                info!(job = %built.job, execution = %id.execution, epoch = %id.epoch, ?restored, "a snapshot is in place");
                return Ok(());
            }
            Err(refusal) if stage.ended() || tries >= RESTORE_TRIES => {
                return Err(format!("epoch {} of job {} is not brought back: {refusal}", id.epoch, built.job));
            }
            Err(_) => std::thread::park_timeout(RESTORE_AGAIN),
        }
    }
}
