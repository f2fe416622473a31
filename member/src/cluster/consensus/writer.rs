//! The one who writes the consensus log, so that no task of the runtime ever waits for the disk.
//!
//! Law: orders are carried out in the order given; after the first failure nothing is written any more, whoever asks is
//! told why, and the disk is let go of, so that it can be opened anew. An older snapshot never replaces a newer one: one
//! that was built may come behind one that was received meanwhile. At most [`ORDERS`] wait. Must not know: openraft.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::watch;

use super::disk::{DiskFailed, LogDisk, RawEntry};
use crate::host;

/// Orders that may wait; the next one is refused, which ends this member's vote but not its data.
const ORDERS: usize = 4096;

type Done = Box<dyn FnOnce(Result<(), DiskFailed>) + Send>;

/// One thing to write.
pub enum Order {
    /// Append.
    Append(Vec<RawEntry>),
    /// Remove from this index on.
    Truncate(u64),
    /// Remove up to this index, which is of this term.
    Purge(u64, u64),
    /// Replace the small record.
    Mark(Vec<u8>),
    /// Replace the snapshot.
    Snapshot {
        /// Last index in it.
        index: u64,
        /// Meta.
        meta: Vec<u8>,
        /// Data.
        data: Vec<u8>,
    },
}

/// The way to who writes.
#[derive(Clone)]
pub struct Writer {
    orders: Sender<(Order, Done)>,
    state: Arc<State>,
}

/// What is told of it.
struct State {
    durable: AtomicU64,
    /// Last index in the snapshot on the disk.
    snapshot: watch::Sender<u64>,
    failed: OnceLock<DiskFailed>,
    let_go: AtomicBool,
}

impl Writer {
    /// Starts who writes. `durable`: last index that the disk holds already; `snapshot`: last one in its snapshot.
    pub fn start(disk: impl LogDisk, durable: u64, snapshot: u64) -> std::io::Result<Self> {
        let state = Arc::new(State {
            durable: AtomicU64::new(durable.max(snapshot)),
            snapshot: watch::Sender::new(snapshot),
            failed: OnceLock::new(),
            let_go: AtomicBool::new(false),
        });
        let mut work = Work { disk: Some(disk), state: state.clone() };
        let orders = host::worker("consensus-log", ORDERS, move |(order, done)| work.take(order, done))?;
        Ok(Self { orders, state })
    }

    /// Gives an order; `done` is called where it is written, once it is durable or not to be had.
    pub fn order(&self, order: Order, done: impl FnOnce(Result<(), DiskFailed>) + Send + 'static) {
        if let Err(unsent) = self.orders.try_send((order, Box::new(done))) {
            let ((_, done), why) = match unsent {
                TrySendError::Full(o) => (o, "the disk of the consensus log is too far behind"),
                TrySendError::Closed(o) => (o, "the consensus log is closed"),
            };
            let failure = DiskFailed(why.into());
            // Whoever asks why consensus ended is told that it was the disk.
            self.give_up(failure.clone());
            done(Err(failure));
        }
    }

    /// Nothing is written any more: who waits for it waits no more.
    pub fn give_up(&self, why: DiskFailed) {
        let _ = self.state.failed.set(why);
        self.state.snapshot.send_modify(|_| ());
    }

    /// Gives an order and waits until it is durable.
    pub async fn carry_out(&self, order: Order) -> Result<(), DiskFailed> {
        let (tell, told) = tokio::sync::oneshot::channel();
        self.order(order, move |result| {
            let _ = tell.send(result);
        });
        told.await.unwrap_or_else(|_| Err(DiskFailed("the consensus log is closed".into())))
    }

    /// Returns when the snapshot on the disk has everything up to an index, or there will be none.
    pub async fn covered(&self, index: u64) {
        let mut snapshot = self.state.snapshot.subscribe();
        let _ = snapshot.wait_for(|covered| *covered >= index || self.state.failed.get().is_some()).await;
    }

    /// Last durable index.
    pub fn durable(&self) -> u64 {
        self.state.durable.load(Ordering::Acquire)
    }

    /// Why nothing is written any more.
    pub fn failure(&self) -> Option<String> {
        self.state.failed.get().map(ToString::to_string)
    }

    /// It has failed and holds no file any more: whoever opens the log anew is its only owner.
    pub fn has_let_go(&self) -> bool {
        self.state.let_go.load(Ordering::Acquire)
    }
}

struct Work<D> {
    disk: Option<D>,
    state: Arc<State>,
}

impl<D: LogDisk> Work<D> {
    fn take(&mut self, order: Order, done: Done) {
        let state = &self.state;
        let result = match (state.failed.get(), self.disk.as_mut()) {
            (None, Some(disk)) => carry_out(disk, order, state),
            (failure, _) => Err(failure.cloned().unwrap_or_else(|| DiskFailed("the consensus log is closed".into()))),
        };
        if let Err(failure) = &result {
            if state.failed.set(failure.clone()).is_ok() {
                tracing::error!(error = %failure, "the consensus log cannot be written; this member gives up its vote for now");
            }
            drop(self.disk.take());
            state.let_go.store(true, Ordering::Release);
            // Who waits for a snapshot waits no more.
            state.snapshot.send_modify(|_| ());
        }
        done(result);
    }
}

impl<D> Drop for Work<D> {
    fn drop(&mut self) {
        let _ = self.state.failed.set(DiskFailed("the consensus log is closed".into()));
        drop(self.disk.take());
        self.state.let_go.store(true, Ordering::Release);
        self.state.snapshot.send_modify(|_| ());
    }
}

fn carry_out(disk: &mut impl LogDisk, order: Order, State { durable, snapshot, .. }: &State) -> Result<(), DiskFailed> {
    match order {
        Order::Append(entries) => {
            disk.append(&entries)?;
            if let Some(last) = entries.last() {
                durable.store(last.index, Ordering::Release);
            }
            Ok(())
        }
        Order::Truncate(index) => {
            durable.fetch_min(index.saturating_sub(1), Ordering::AcqRel);
            disk.truncate_from(index)
        }
        Order::Purge(index, term) => disk.purge_upto(index, term),
        Order::Mark(mark) => disk.save_mark(&mark),
        Order::Snapshot { index, .. } if index < *snapshot.borrow() => Ok(()),
        Order::Snapshot { index, meta, data } => {
            disk.save_snapshot(&meta, &data)?;
            snapshot.send_replace(index);
            durable.fetch_max(index, Ordering::AcqRel);
            Ok(())
        }
    }
}
