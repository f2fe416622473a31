//! Life and death of a generation in this process.
//!
//! `start` says hello to every peer, builds exactly the list of jobs and runs until the fence is
//! tripped: by the shell, a lost peer, a broken frame or a panic. Then all threads are joined and the
//! process lives on. Law: the first cause is the cause; nothing here decides to start again.

use std::collections::BTreeMap;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use timely::communication::allocator::zero_copy::initialize::initialize_networking_from_sockets;
use timely::communication::allocator::{AllocatorBuilder, ProcessBuilder};

use super::fence::{Fence, Link};
use super::handle::GenerationHandle;
use super::ports::{EngineEvents, JobStart, Report, SnapshotOut};
use super::socket::PeerSocket;
use super::source_side::Place;
use super::worker::{Command, Given};
use super::{MAX_WORKERS, export, hello, worker};
use crate::operators::route::PartitionOf;

/// Everything that a generation is made of. All members give the same, but for `me` and the sockets.
pub struct RuntimeGeneration {
    /// Number; a stream of another one is refused.
    pub number: u64,
    /// Members, in the roster's order.
    pub members: usize,
    /// This member.
    pub me: usize,
    /// Worker threads of every member.
    pub workers: usize,
    /// For each partition the member that owns it.
    pub owners: Vec<usize>,
    /// The cluster's hash of key bytes.
    pub partition_of: PartitionOf,
    /// Jobs in the machine's order.
    pub jobs: Vec<JobStart>,
    /// One stream per member, none for `me`.
    pub sockets: Vec<Option<Box<dyn PeerSocket>>>,
    /// Takes snapshots.
    pub snapshots: Arc<dyn SnapshotOut>,
    /// Takes reports.
    pub events: Arc<dyn EngineEvents>,
}

/// Why a generation did not start. All streams are closed then.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StartRefused {
    /// The description makes no sense.
    #[error("generation {number} cannot be formed: {reason}")]
    Description {
        /// Generation.
        number: u64,
        /// What is wrong.
        reason: String,
    },
    /// A peer does not fit.
    #[error("generation {number} cannot be formed: member {member} {reason}")]
    Peer {
        /// Generation.
        number: u64,
        /// Which.
        member: usize,
        /// What is wrong.
        reason: String,
    },
}

impl RuntimeGeneration {
    /// Says hello to all peers, then runs. Returns when the workers have been started.
    pub fn start(mut self) -> Result<GenerationHandle, StartRefused> {
        self.check()?;
        let (number, me) = (self.number, self.me);
        let sockets = std::mem::take(&mut self.sockets);
        let digest = hello::digest(self.members, self.workers, &self.owners, &self.jobs);
        let sockets = greet(sockets, number, me, &digest)?;
        let events = self.events.clone();
        let fence = Fence::new(Box::new(move |cause| {
            events.report(Report::Tripped { generation: number, cause: cause.to_string() });
        }));
        let refused = |reason: String| StartRefused::Description { number, reason };
        let mut links = Vec::with_capacity(self.members);
        for (peer, socket) in sockets.into_iter().enumerate() {
            let link = socket.map(|socket| Link::new(socket, fence.clone(), peer)).transpose();
            links.push(link.map_err(|error| refused(error.to_string()))?);
        }
        self.run(links, fence).map_err(refused)
    }

    fn check(&self) -> Result<(), StartRefused> {
        let refused = |reason: &str| Err(StartRefused::Description { number: self.number, reason: reason.into() });
        let streams = |peer: usize| self.sockets.get(peer).is_some_and(|socket| socket.is_some() == (peer != self.me));
        if self.me >= self.members || self.sockets.len() != self.members || !(0..self.members).all(streams) {
            return refused("there must be one stream to each other member");
        }
        if !(1..=MAX_WORKERS).contains(&self.workers) {
            return refused("the number of workers must be 1 to 64");
        }
        if self.owners.is_empty() || self.owners.iter().any(|owner| *owner >= self.members) {
            return refused("every partition must be owned by a member");
        }
        let mut numbers: Vec<u64> = self.jobs.iter().map(|job| job.job).collect();
        numbers.sort_unstable();
        numbers.dedup();
        if numbers.len() != self.jobs.len() {
            return refused("a job is in the list twice");
        }
        Ok(())
    }

    fn run(self, links: Vec<Option<Link>>, fence: Arc<Fence>) -> Result<GenerationHandle, String> {
        let hooks = timely::communication::Hooks::default();
        let processes = ProcessBuilder::new_typed_vector(self.workers, hooks.refill.clone(), None);
        let (builders, guard) = initialize_networking_from_sockets(processes, links, self.me, self.workers, hooks)
            .map_err(|e| e.to_string())?;
        let builders = builders.into_iter().map(AllocatorBuilder::Tcp).collect();
        let (exports, exported) = channel();
        let mut commands: Vec<Sender<Command>> = Vec::new();
        let mut given = Vec::new();
        let (owners, began) = (Arc::new(self.owners), Instant::now());
        for local in 0..self.workers {
            let (sender, receiver) = channel();
            commands.push(sender);
            given.push(Mutex::new(Some(Given {
                place: Place { members: self.members, workers: self.workers, member: self.me, local },
                owners: owners.clone(),
                partition_of: self.partition_of.clone(),
                began,
                fence: fence.clone(),
                exports: exports.clone(),
                commands: receiver,
            })));
        }
        drop(exports);
        let workers = self.workers;
        let run = move |timely: &mut timely::worker::Worker| {
            let slot = given.get(timely.index() % workers);
            let taken = slot.and_then(|slot| slot.lock().unwrap_or_else(PoisonError::into_inner).take());
            if let Some(given) = taken {
                worker::run(timely, &given);
            }
        };
        let handle = GenerationHandle {
            number: self.number,
            fence: fence.clone(),
            events: self.events.clone(),
            commands,
            jobs: Mutex::new(BTreeMap::new()),
            guards: None,
            exporter: None,
        };
        for job in self.jobs {
            handle.add_job(job).map_err(|error| error.to_string())?;
        }
        let guards = timely::execute::execute_from(builders, Box::new(guard), timely::WorkerConfig::default(), run)?;
        let (out, events, seen) = (self.snapshots, self.events, fence);
        let exporter = std::thread::Builder::new()
            .name("jet:export".into())
            .spawn(move || export::run(&exported, out.as_ref(), events.as_ref(), &seen))
            .map_err(|error| error.to_string());
        let mut handle = handle;
        handle.guards = Some(guards);
        handle.exporter = Some(exporter?);
        Ok(handle)
    }
}

fn greet(
    mut sockets: Vec<Option<Box<dyn PeerSocket>>>,
    number: u64,
    me: usize,
    digest: &[u8; 32],
) -> Result<Vec<Option<Box<dyn PeerSocket>>>, StartRefused> {
    let greeted = (|| {
        for (member, socket) in sockets.iter_mut().enumerate() {
            let Some(socket) = socket else { continue };
            hello::say(socket.as_mut(), number, me, digest).map_err(|error| StartRefused::Peer {
                number,
                member,
                reason: format!("cannot be written to: {error}"),
            })?;
        }
        for (member, socket) in sockets.iter_mut().enumerate() {
            let Some(socket) = socket else { continue };
            hello::hear(socket.as_mut(), number, member, digest).map_err(|reason| StartRefused::Peer {
                number,
                member,
                reason,
            })?;
        }
        Ok(())
    })();
    match greeted {
        Ok(()) => Ok(sockets),
        Err(refused) => {
            sockets.iter().flatten().for_each(|socket| socket.close());
            Err(refused)
        }
    }
}
