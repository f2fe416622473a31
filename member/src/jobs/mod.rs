//! Jobs of this member: the engine between consensus and maps.
//!
//! Law: EXACT: what runs is exactly the generation that the machine names; a snapshot counts when its record is
//! committed in the map, behind every part; a sink publishes what is committed and nothing else. Must not know: SQL's
//! meaning, sockets' bytes, disks.
//!
//! | room | what is in it |
//! |---|---|
//! | [`life`] | building a generation, ending it · [`stage`] one generation here, its epochs and reports |
//! | [`turns`] | building and ending, one after another |
//! | [`streams`] | the generation's streams · [`restore`] parts back into the engine · [`export`] parts out of it |
//! | [`parts`] | numbers, places and digest of parts · [`count`] counting a snapshot again, part by part |
//! | [`words`], [`answer`] | what the coordinator asks, and the answers |
//! | [`coordinator`] | at the leader: when an epoch opens, what is committed, published, written to disk, ended |
//! | [`submit`] | SQL to a job's plan · [`select`] a bounded SELECT over maps |

mod answer;
pub mod coordinator;
mod count;
mod export;
mod life;
mod parts;
mod restore;
mod select;
mod stage;
mod streams;
mod submit;
mod turns;
mod words;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::BoxFuture;
use jet_admin_api::job::SubmitJob;
use jet_admin_api::map::{SqlQuery, SqlRows};
use jet_admin_api::member::JobWork;
use jet_admin_api::refusal::Refusal;
use jet_core::machine::RuntimeGeneration;
use jet_core::{Command, Machine, RuntimeNumber};
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc};

use crate::config::Settings;
use crate::map::MapService;
use crate::net::{EngineStream, Lane, Net};
use crate::ports::{Cluster, Jobs};
use stage::Stage;
use streams::Desk;
pub use submit::known_mappings;
use turns::Turns;

/// Reads a sink part in the engine's encoding; what partitions are handed to apply one.
pub fn decode_sink(bytes: &[u8]) -> Result<jet_map::SinkDelta, String> {
    let delta = jet_engine::SinkDelta::decode(bytes).map_err(|error| error.to_string())?;
    let write = |entry: jet_engine::Entry| (entry.key.into(), Some(entry.value.into()));
    Ok(jet_map::SinkDelta { map: delta.map, writes: delta.entries.into_iter().map(write).collect() })
}

/// Jobs of one member. Cheap to clone.
#[derive(Clone)]
pub struct JobService {
    shared: Arc<Shared>,
}

struct Shared {
    net: Net,
    maps: MapService,
    cluster: Arc<dyn Cluster>,
    workers: usize,
    handle: Handle,
    desk: Arc<Desk>,
    stage: Mutex<Option<Arc<Stage>>>,
    /// What is built is built after what was asked for before is built, or gone.
    turns: Turns,
    /// The coordinator should look.
    news: Arc<Notify>,
}

impl JobService {
    /// Jobs of this member; answers on the jobs' lane and coordinates whenever this member leads. To be called inside
    /// the async runtime.
    pub fn new(
        net: Net,
        maps: MapService,
        cluster: Arc<dyn Cluster>,
        streams: mpsc::Receiver<EngineStream>,
        settings: &Settings,
    ) -> Self {
        let desk = Arc::<Desk>::default();
        let shared = Arc::new(Shared {
            net: net.clone(),
            maps,
            cluster,
            workers: settings.workers,
            handle: Handle::current(),
            desk: desk.clone(),
            stage: Mutex::default(),
            turns: Turns::default(),
            news: Arc::default(),
        });
        tokio::spawn(desk.receive(streams));
        net.serve(Lane::Jobs, Arc::new(answer::Answers { shared: shared.clone() }));
        tokio::spawn(coordinator::run(shared.clone()));
        Self { shared }
    }
}

impl Shared {
    fn slot(&self) -> MutexGuard<'_, Option<Arc<Stage>>> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stage(&self) -> Option<Arc<Stage>> {
        self.slot().clone()
    }

    /// The stage of this generation, if it is the one here.
    fn stage_of(&self, number: RuntimeNumber) -> Option<Arc<Stage>> {
        self.stage().filter(|stage| stage.number() == number)
    }
}

impl Jobs for JobService {
    fn start(&self, generation: RuntimeGeneration, machine: &Arc<Machine>) {
        life::start(&self.shared, generation, machine.clone());
    }

    fn stop(&self) {
        life::stop(&self.shared);
    }

    fn running(&self) -> Option<RuntimeNumber> {
        self.shared.stage().map(|stage| stage.number())
    }

    fn built(&self) -> Option<RuntimeNumber> {
        self.shared.stage().filter(|stage| stage.runs()).map(|stage| stage.number())
    }

    fn lost(&self) -> Option<(RuntimeNumber, String)> {
        let stage = self.shared.stage()?;
        stage.fallen().map(|cause| (stage.number(), cause))
    }

    fn workers(&self) -> u16 {
        u16::try_from(self.shared.workers).unwrap_or(u16::MAX)
    }

    fn applied(&self, _: &Arc<Machine>) {
        self.shared.news.notify_one();
    }

    fn plan(&self, job: SubmitJob) -> BoxFuture<'static, Result<Command, Refusal>> {
        let machine = self.shared.cluster.machine();
        Box::pin(submit::plan(job, machine))
    }

    fn select(&self, query: SqlQuery) -> BoxFuture<'static, Result<SqlRows, Refusal>> {
        let (maps, machine) = (self.shared.maps.clone(), self.shared.cluster.machine());
        Box::pin(select::run(maps, machine, query))
    }

    fn work(&self) -> Vec<JobWork> {
        let Some(stage) = self.shared.stage() else { return Vec::new() };
        let machine = self.shared.cluster.machine();
        let work = |(job, execution, counters): (jet_core::JobId, jet_core::ExecutionId, jet_engine::JobCounters)| {
            Some(JobWork {
                job: machine.jobs.get(&job)?.name.clone(),
                execution: execution.0,
                rows_in: counters.rows_in,
                bytes_out: counters.bytes_to_others,
                bytes_in: counters.bytes_from_others,
            })
        };
        stage.counters().into_iter().filter_map(work).collect()
    }
}
