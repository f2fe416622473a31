//! The loop of one worker: commands, sources, timely's step. Builds the dataflow of a job.
//!
//! Law: all workers build the same jobs in the same order, also a job that fails here; a panic ends the
//! generation with its words as the cause, never the process.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

use timely::container::NoopBuilder;
use timely::dataflow::channels::pact::DistributorPact;
use timely::dataflow::operators::generic::operator::Operator;
use timely::dataflow::operators::probe::Probe;
use timely::dataflow::{InputHandle, ProbeHandle};
use timely::worker::Worker;

use super::export::Export;
use super::fence::Fence;
use super::rows::{Rows, Whole};
use super::source_side::{Input, Place, SourceSide};
use super::vertex::{JobShared, VertexState};
use crate::operators::keyed::KeyedState;
use crate::operators::route::{PartitionOf, Router};

/// How long a worker without jobs sleeps.
const PARK: Duration = Duration::from_millis(5);

/// What the shell wants of every worker, in order.
#[derive(Clone)]
pub enum Command {
    Add(Arc<JobShared>),
    Open { job: u64, epoch: u64, terminal: bool },
    End { job: u64 },
}

/// What a worker is given.
pub struct Given {
    pub place: Place,
    pub owners: Arc<Vec<usize>>,
    pub partition_of: PartitionOf,
    pub began: Instant,
    pub fence: Arc<Fence>,
    pub exports: Sender<Export>,
    pub commands: Receiver<Command>,
}

/// Runs until the fence is tripped.
pub fn run(worker: &mut Worker, given: &Given) {
    let mut jobs: Vec<SourceSide> = Vec::new();
    let ran = catch_unwind(AssertUnwindSafe(|| work(worker, given, &mut jobs)));
    if let Err(panic) = ran {
        given.fence.trip(format!("worker {} of this member panicked: {}", given.place.local, words(&*panic)));
    }
    // Without this, timely would step what is left for ever.
    let dropped = catch_unwind(AssertUnwindSafe(|| {
        jobs.clear();
        for dataflow in worker.installed_dataflows() {
            worker.drop_dataflow(dataflow);
        }
    }));
    if dropped.is_err() {
        tracing::warn!("a dataflow panicked while it was dropped; the generation was over already");
    }
}

fn work(worker: &mut Worker, given: &Given, jobs: &mut Vec<SourceSide>) {
    let workers = given.place.workers;
    let worker_of: Vec<usize> =
        given.owners.iter().enumerate().map(|(p, member)| member * workers + p % workers).collect();
    let router = Rc::new(Router::new(given.partition_of.clone(), worker_of.clone()));
    while !given.fence.is_tripped() {
        while let Ok(command) = given.commands.try_recv() {
            match command {
                Command::Add(shared) => jobs.push(build(worker, given, &worker_of, router.clone(), shared)),
                Command::Open { job, epoch, terminal } => {
                    jobs.iter_mut()
                        .filter(|side| side.shared.start.job == job)
                        .for_each(|side| side.open_epoch(epoch, terminal));
                }
                Command::End { job } => {
                    jobs.iter_mut().filter(|side| side.shared.start.job == job).for_each(SourceSide::end);
                    jobs.retain(|side| side.shared.start.job != job);
                }
            }
        }
        let now = given.began.elapsed();
        let mut sent = false;
        for job in jobs.iter_mut() {
            sent |= job.pump(now);
        }
        let nap = jobs.iter().map(SourceSide::nap).min().unwrap_or(PARK);
        worker.step_or_park(Some(if sent { Duration::ZERO } else { nap }));
    }
}

fn build(
    worker: &mut Worker,
    given: &Given,
    worker_of: &[usize],
    router: Rc<Router>,
    shared: Arc<JobShared>,
) -> SourceSide {
    let (me, all) = (worker.index(), worker.peers());
    let owned = worker_of.iter().enumerate().filter(|(_, owner)| **owner == me).map(|(partition, _)| partition as u32);
    let state = KeyedState::new(shared.start.program.clone(), owned);
    let vertex = VertexState::new(shared.clone(), state, given.exports.clone(), me, all);
    let vertex = Rc::new(RefCell::new(vertex));
    let mut input: Input = InputHandle::new_with_builder();
    let probe = ProbeHandle::new();
    let inside = vertex.clone();
    worker.dataflow::<u64, _, _>(|scope| {
        input
            .to_stream(scope)
            .unary_frontier::<NoopBuilder<Rows>, _, _, _>(DistributorPact(|_| Whole), "keyed", move |_, _| {
                move |(input, frontier), _| {
                    let mut vertex = inside.borrow_mut();
                    input.for_each(|capability, rows| {
                        let time = capability.least().copied().unwrap_or_default();
                        vertex.on_rows(time, std::mem::take(rows));
                    });
                    vertex.on_frontier(|time| !frontier.less_than(&time));
                }
            })
            .probe_with(&probe);
    });
    SourceSide::new(shared, vertex, input, probe, router, given.place)
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_string()))
        .unwrap_or_else(|| "no words".into())
}
