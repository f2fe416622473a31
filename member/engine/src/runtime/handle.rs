//! What the shell holds of a running generation: commands in, counters out, the end with its cause.
//!
//! Law: one epoch of a job is open at a time, and the next opens only after the commit of the one
//! before; a refused command has changed nothing.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use timely::communication::initialize::WorkerGuards;

use super::MAX_EPOCH;
use super::fence::Fence;
use super::ports::{EngineEvents, JobCounters, JobStart};
use super::vertex::JobShared;
use super::worker::Command;

/// Why a command was not taken. Nothing has changed then.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum CommandRefused {
    /// No such job here.
    #[error("job {job} is not in this generation")]
    NoJob {
        /// Job.
        job: u64,
    },
    /// The job is here already.
    #[error("job {job} is in this generation already")]
    JobThere {
        /// Job.
        job: u64,
    },
    /// An epoch is open, or the number is not the next.
    #[error("job {job}: {what} of epoch {epoch} refused: {reason}")]
    Epoch {
        /// Job.
        job: u64,
        /// Opening or commit.
        what: &'static str,
        /// Epoch.
        epoch: u64,
        /// Why.
        reason: String,
    },
    /// The generation is over.
    #[error("the generation is over: {cause}")]
    Over {
        /// Why.
        cause: String,
    },
}

/// A running generation of this member.
pub struct GenerationHandle {
    pub(super) number: u64,
    pub(super) fence: Arc<Fence>,
    pub(super) events: Arc<dyn EngineEvents>,
    pub(super) commands: Vec<Sender<Command>>,
    pub(super) jobs: Mutex<BTreeMap<u64, Arc<JobShared>>>,
    pub(super) guards: Option<WorkerGuards<()>>,
    pub(super) exporter: Option<JoinHandle<()>>,
}

impl GenerationHandle {
    /// Number of the generation.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Ends the generation on this member; the peers notice within milliseconds.
    pub fn trip(&self, cause: impl Into<String>) {
        self.fence.trip(cause);
    }

    /// The cause, once the generation is over.
    pub fn cause(&self) -> Option<String> {
        self.fence.cause()
    }

    /// Bytes written to all peers.
    pub fn bytes_out(&self) -> u64 {
        self.fence.bytes_out.load(Ordering::Relaxed)
    }

    /// Waits until the generation is over and all its threads are gone; the cause.
    pub fn join(mut self) -> String {
        self.gather();
        self.fence.cause().unwrap_or_else(|| "the workers left by themselves".into())
    }

    fn gather(&mut self) {
        if let Some(guards) = self.guards.take() {
            let joined = catch_unwind(AssertUnwindSafe(|| guards.join()));
            if joined.is_err() {
                self.fence.trip("a communication thread panicked");
            }
        }
        if let Some(exporter) = self.exporter.take() {
            let _ = exporter.join();
        }
    }

    /// Adds a job; every member must add the same jobs in the same order.
    pub fn add_job(&self, start: JobStart) -> Result<(), CommandRefused> {
        self.alive()?;
        let job = start.job;
        let mut jobs = self.jobs();
        if jobs.contains_key(&job) {
            return Err(CommandRefused::JobThere { job });
        }
        let shared = JobShared::new(start, self.events.clone());
        jobs.insert(job, shared.clone());
        self.tell(Command::Add(shared));
        Ok(())
    }

    /// Ends a job without a snapshot, or takes away one that ended at a terminal snapshot.
    pub fn end_job(&self, job: u64) -> Result<(), CommandRefused> {
        self.jobs().remove(&job).ok_or(CommandRefused::NoJob { job })?;
        self.tell(Command::End { job });
        Ok(())
    }

    /// Opens snapshot `epoch`: the boundary of every worker of this member. With `terminal`, the job's
    /// tasks end there and stay idle. The epoch before must have been committed; numbers may be skipped.
    pub fn open_epoch(&self, job: u64, epoch: u64, terminal: bool) -> Result<(), CommandRefused> {
        self.alive()?;
        let shared = self.job(job)?;
        let refused = |reason: String| Err(CommandRefused::Epoch { job, what: "opening", epoch, reason });
        let mut gate = shared.gate();
        if let Some(open) = gate.open {
            return refused(format!("epoch {open} is open; commit it, or end the generation"));
        }
        if gate.ended {
            return refused("the job has ended at a terminal snapshot".into());
        }
        if epoch <= gate.committed || epoch > MAX_EPOCH {
            return refused(format!("the last one is {}", gate.committed));
        }
        gate.open = Some(epoch);
        gate.terminal = terminal;
        self.tell(Command::Open { job, epoch, terminal });
        Ok(())
    }

    /// Snapshot `epoch` is committed in the cluster.
    pub fn committed(&self, job: u64, epoch: u64) -> Result<(), CommandRefused> {
        let shared = self.job(job)?;
        let mut gate = shared.gate();
        if gate.open != Some(epoch) {
            let reason = format!("the open one is {:?}", gate.open);
            return Err(CommandRefused::Epoch { job, what: "commit", epoch, reason });
        }
        gate.open = None;
        gate.committed = epoch;
        gate.ended = gate.terminal;
        Ok(())
    }

    /// Counters of a job on this member.
    pub fn counters(&self, job: u64) -> Option<JobCounters> {
        self.job(job).ok().map(|shared| shared.counters())
    }

    fn alive(&self) -> Result<(), CommandRefused> {
        match self.fence.cause() {
            Some(cause) => Err(CommandRefused::Over { cause }),
            None => Ok(()),
        }
    }

    fn job(&self, job: u64) -> Result<Arc<JobShared>, CommandRefused> {
        self.jobs().get(&job).cloned().ok_or(CommandRefused::NoJob { job })
    }

    fn jobs(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Arc<JobShared>>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, command: Command) {
        for worker in &self.commands {
            // A worker that is gone has tripped the fence.
            let _ = worker.send(command.clone());
        }
    }
}

impl Drop for GenerationHandle {
    fn drop(&mut self) {
        self.fence.trip("the handle of the generation was dropped");
        self.gather();
    }
}
