//! The machine under a process: its clock, and where work is done that waits for disks.
//!
//! Law: it is the real one, unless a simulated one stands in for it on this thread; then everything that is asked of time and
//! disks is asked of that one, and nothing runs beside its tasks. Must not know: what is done.

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// A simulated machine.
pub trait Host {
    /// Time since it was switched on.
    fn now(&self) -> Duration;
    /// Returns when its disk comes to a piece of work.
    fn disk(&self) -> BoxFuture<'static, ()>;
    /// One of these numbers.
    fn one_of(&self, numbers: Range<u64>) -> u64;
    /// After how many of something it is tidied up, where a real one waits for so many.
    fn after(&self, usual: u64) -> u64;
    /// How long a process is young on it, where it is on a real one for so long.
    fn youth(&self, usual: Duration) -> Duration;
}

thread_local! {
    static STAND_IN: RefCell<Option<Rc<dyn Host>>> = const { RefCell::new(None) };
}

/// From now on this one stands in for the machine of this thread (or none does); gives who did before.
pub fn stand_in(host: Option<Rc<dyn Host>>) -> Option<Rc<dyn Host>> {
    STAND_IN.with(|here| here.replace(host))
}

/// Time since the machine was switched on, also while it slept.
pub fn now() -> Duration {
    let simulated = STAND_IN.with(|here| here.borrow().as_ref().map(|host| host.now()));
    simulated.unwrap_or_else(|| {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
    })
}

/// The numbers that something is chosen from by chance; a simulated machine has chosen.
pub fn chance(numbers: Range<u64>) -> Range<u64> {
    let chosen = STAND_IN.with(|here| here.borrow().as_ref().map(|host| host.one_of(numbers.clone())));
    chosen.map_or(numbers, |chosen| chosen..chosen + 1)
}

/// After how many of something it is tidied up: a simulated machine does not live long enough to see so many.
pub fn after(usual: u64) -> u64 {
    STAND_IN.with(|here| here.borrow().as_ref().map_or(usual, |host| host.after(usual)))
}

/// How long a process is young, and looks around more often than later.
pub fn youth(usual: Duration) -> Duration {
    STAND_IN.with(|here| here.borrow().as_ref().map_or(usual, |host| host.youth(usual)))
}

fn turn() -> Option<BoxFuture<'static, ()>> {
    STAND_IN.with(|here| here.borrow().as_ref().map(|host| host.disk()))
}

/// Something that others rely on was left half done. A process that went on would tell and write what nobody decided: it ends
/// as if it had lost its power, and comes back with what its disk and the others have. (A simulated machine goes on, so that
/// its history can be told.)
pub fn is_half_done(what: &str) {
    if STAND_IN.with(|here| here.borrow().is_some()) {
        return;
    }
    tracing::error!(what, "it was left half done by what broke down in the middle of it: this process ends at once");
    std::process::abort();
}

/// Does what may wait for a disk where no task waits for it.
pub fn blocking<T, F>(work: F) -> JoinHandle<T>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    match turn() {
        None => tokio::task::spawn_blocking(work),
        Some(turn) => tokio::spawn(async move {
            turn.await;
            work()
        }),
    }
}

/// Starts who works through what it is sent, in order, and may wait for a disk at each piece; at most `most` wait.
pub fn worker<T, F>(name: &str, most: usize, mut work: F) -> std::io::Result<mpsc::Sender<T>>
where
    T: Send + 'static,
    F: FnMut(T) + Send + 'static,
{
    let (orders, mut given) = mpsc::channel(most);
    if turn().is_none() {
        let run = move || {
            while let Some(order) = given.blocking_recv() {
                work(order);
            }
        };
        std::thread::Builder::new().name(name.to_owned()).spawn(run)?;
        return Ok(orders);
    }
    tokio::spawn(async move {
        while let Some(order) = given.recv().await {
            if let Some(turn) = turn() {
                turn.await;
            }
            work(order);
        }
    });
    Ok(orders)
}
