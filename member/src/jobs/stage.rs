//! One runtime generation on this member: what is open, what was handed over, why it ended.
//!
//! Law: an epoch is opened once, by its number; a member answers "gathered" only when every worker here has all its
//! parts on every replica that counts; the first cause of an end is the cause. Must not know: who asks, and when.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jet_core::machine::{RuntimeGeneration, RuntimeJob};
use jet_core::{Epoch, ExecutionId, JobId, RuntimeNumber, TableVersion};
use jet_engine::{EngineEvents, GenerationHandle, JobCounters, Report, WorkerDone};
use tokio::sync::Notify;

use super::words::{Gathered, Mark, Standing, Wanted};

/// One generation here.
pub struct Stage {
    /// As the machine has it.
    pub generation: RuntimeGeneration,
    /// Worker threads here.
    pub workers: usize,
    state: Mutex<State>,
    /// Something that a waiting call looks at has changed.
    pub changed: Notify,
    /// The coordinator should look.
    pub news: Arc<Notify>,
}

#[derive(Default)]
struct State {
    handle: Option<GenerationHandle>,
    over: Option<String>,
    stopped: bool,
    books: BTreeMap<JobId, Book>,
}

/// What is known of one job.
#[derive(Default)]
struct Book {
    execution: ExecutionId,
    open: Option<Open>,
    committed: Epoch,
    exhausted: bool,
    trouble: Option<String>,
}

struct Open {
    epoch: Epoch,
    terminal: bool,
    gathered: Gathered,
}

impl Stage {
    /// Nothing is built yet.
    pub fn new(generation: RuntimeGeneration, workers: usize, news: Arc<Notify>) -> Arc<Self> {
        let book = |job: &RuntimeJob| {
            let committed = job.restore.as_ref().map_or(Epoch(0), |restore| restore.epoch);
            (job.job, Book { execution: job.execution, committed, ..Book::default() })
        };
        let books = generation.jobs.iter().map(book).collect();
        let state = Mutex::new(State { books, ..State::default() });
        Arc::new(Self { generation, workers, state, changed: Notify::new(), news })
    }

    /// Its number.
    pub fn number(&self) -> RuntimeNumber {
        self.generation.number
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self) {
        self.changed.notify_waiters();
        self.news.notify_one();
    }

    /// It runs; given back: it was stopped meanwhile, and is to be joined by who built it.
    pub fn built(&self, handle: GenerationHandle) -> Option<GenerationHandle> {
        let mut state = self.state();
        if state.stopped {
            return Some(handle);
        }
        state.handle = Some(handle);
        drop(state);
        self.tell();
        None
    }

    /// It is completely built and runs.
    pub fn runs(&self) -> bool {
        let state = self.state();
        state.handle.is_some() && state.over.is_none()
    }

    /// Why it fell down, if nobody stopped it.
    pub fn fallen(&self) -> Option<String> {
        let state = self.state();
        state.over.clone().filter(|_| !state.stopped)
    }

    /// It is over, or was stopped.
    pub fn ended(&self) -> bool {
        let state = self.state();
        state.over.is_some() || state.stopped
    }

    /// It fell down.
    pub fn fall(&self, cause: String) {
        self.state().over.get_or_insert(cause);
        self.tell();
    }

    /// Ends it on request; what is to be joined.
    pub fn stop(&self) -> Option<GenerationHandle> {
        let mut state = self.state();
        state.stopped = true;
        let handle = state.handle.take();
        drop(state);
        if let Some(handle) = &handle {
            handle.trip("stopped");
        }
        self.tell();
        handle
    }

    /// How its jobs stand.
    pub fn standings(&self) -> Vec<Standing> {
        let standing = |(job, book): (&JobId, &Book)| Standing {
            job: *job,
            execution: book.execution,
            open: book.open.as_ref().map(|open| (open.epoch, open.terminal)),
            committed: book.committed,
            exhausted: book.exhausted,
            trouble: book.trouble.clone(),
        };
        self.state().books.iter().map(standing).collect()
    }

    /// Opens an epoch unless it is open; what was gathered if that is complete.
    pub fn gather(&self, wanted: &Wanted) -> Result<Option<Gathered>, String> {
        let mut state = self.state();
        let State { handle, books, over, .. } = &mut *state;
        if let Some(cause) = over {
            return Err(format!("runtime generation {} is over here: {cause}", self.number()));
        }
        let handle = handle.as_ref().ok_or("it is not built yet")?;
        let book = book(books, wanted.job, wanted.execution)?;
        if let Some(trouble) = &book.trouble {
            return Err(trouble.clone());
        }
        match &book.open {
            Some(open) if (open.epoch, open.terminal) == (wanted.epoch, wanted.terminal) => {
                let complete = open.gathered.workers.len() == self.workers;
                return Ok(complete.then(|| open.gathered.clone()));
            }
            Some(open) => {
                return Err(format!("epoch {} of job {} is open, terminal: {}", open.epoch, wanted.job, open.terminal));
            }
            None => {}
        }
        // Before the engine opens it: parts may come at once.
        book.open = Some(Open { epoch: wanted.epoch, terminal: wanted.terminal, gathered: Gathered::default() });
        if let Err(refused) = handle.open_epoch(wanted.job.0, wanted.epoch.0, wanted.terminal) {
            book.open = None;
            return Err(refused.to_string());
        }
        Ok(None)
    }

    /// A snapshot is committed in the cluster.
    pub fn committed(&self, job: JobId, execution: ExecutionId, epoch: Epoch) -> Result<(), String> {
        let mut state = self.state();
        let State { handle, books, .. } = &mut *state;
        let book = book(books, job, execution)?;
        if book.committed >= epoch {
            return Ok(());
        }
        match &book.open {
            Some(open) if open.epoch == epoch => {}
            other => {
                return Err(format!(
                    "epoch {epoch} of job {job} is not open here, open is {:?}",
                    other.as_ref().map(|open| open.epoch)
                ));
            }
        }
        if let Some(handle) = handle {
            handle.committed(job.0, epoch.0).map_err(|refused| refused.to_string())?;
        }
        book.committed = epoch;
        book.open = None;
        Ok(())
    }

    /// A part is on every replica that counts.
    pub fn part(&self, job: JobId, execution: ExecutionId, epoch: Epoch, part: Part) {
        self.in_open(job, execution, epoch, |open| {
            let gathered = &mut open.gathered;
            gathered.bytes += part.bytes;
            gathered.rows_read += part.rows_read;
            let (oldest, newest) = gathered.tables.unwrap_or((part.table, part.table));
            gathered.tables = Some((oldest.min(part.table), newest.max(part.table)));
            gathered.marks.push(part.mark);
        });
    }

    /// A worker has put all its parts.
    pub fn worker_done(&self, done: &WorkerDone) {
        let (job, execution, epoch) = (JobId(done.job), ExecutionId(done.execution), Epoch(done.epoch));
        self.in_open(job, execution, epoch, |open| {
            open.gathered.of_workers = done.workers as u64;
            open.gathered.workers.push(done.worker as u64);
        });
        self.tell();
    }

    fn in_open(&self, job: JobId, execution: ExecutionId, epoch: Epoch, change: impl FnOnce(&mut Open)) {
        let mut state = self.state();
        if let Ok(book) = book(&mut state.books, job, execution)
            && let Some(open) = book.open.as_mut().filter(|open| open.epoch == epoch)
        {
            change(open);
        }
    }

    /// The job cannot go on here; the first cause counts.
    pub fn trouble(&self, job: JobId, execution: ExecutionId, cause: String) {
        if let Ok(book) = book(&mut self.state().books, job, execution) {
            book.trouble.get_or_insert(cause);
        }
        self.tell();
    }

    /// Counters of its jobs.
    pub fn counters(&self) -> Vec<(JobId, ExecutionId, JobCounters)> {
        let state = self.state();
        let Some(handle) = &state.handle else { return Vec::new() };
        let of = |(job, book): (&JobId, &Book)| handle.counters(job.0).map(|counters| (*job, book.execution, counters));
        state.books.iter().filter_map(of).collect()
    }
}

/// A part that was acknowledged.
pub struct Part {
    /// How it is counted.
    pub mark: Mark,
    /// Its length.
    pub bytes: u64,
    /// Rows that its range has given.
    pub rows_read: u64,
    /// Table under which it was acknowledged.
    pub table: TableVersion,
}

fn book(books: &mut BTreeMap<JobId, Book>, job: JobId, execution: ExecutionId) -> Result<&mut Book, String> {
    let found = books.get_mut(&job).filter(|book| book.execution == execution);
    found.ok_or_else(|| format!("execution {execution} of job {job} does not run here"))
}

/// Takes the engine's reports.
pub struct Listener(pub Arc<Stage>);

impl EngineEvents for Listener {
    fn report(&self, report: Report) {
        let stage = &self.0;
        match report {
            Report::Exhausted { job, execution } => {
                if let Ok(book) = book(&mut stage.state().books, JobId(job), ExecutionId(execution)) {
                    book.exhausted = true;
                }
                stage.tell();
            }
            Report::JobFailed { job, execution, cause } => stage.trouble(JobId(job), ExecutionId(execution), cause),
            Report::SnapshotFailed { job, execution, epoch, cause } => {
                // What fails because the generation ends is no fault of the job.
                if !stage.ended() {
                    stage.trouble(
                        JobId(job),
                        ExecutionId(execution),
                        format!("snapshot {epoch} could not be handed over: {cause}"),
                    );
                }
            }
            Report::Tripped { cause, .. } => stage.fall(cause),
        }
    }
}
