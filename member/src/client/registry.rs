//! How many clients are connected, and how many callers have not said yet who they are.
//!
//! Law: a place is taken before anything is read and given back with the connection. Whoever has not said who it is takes
//! one of few places, of which no address has more than half: who says nothing keeps nobody of another address out, and no
//! file from the store. Must not know: what they ask.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::{info, warn};

use crate::rest::brake::network;

/// Connections of clients at a time.
pub const CONNECTIONS_MOST: usize = 10_240;

/// Callers at a time that have not said who they are, where there is room for as many clients as there may be.
pub const STRANGERS_MOST: usize = 1_024;

/// Files that are not clients': of the store, of members, of jobs, of the admin API.
const OTHER_FILES: u64 = 2_048;

/// Connections for which this process may open files, up to [`CONNECTIONS_MOST`]; raises what it may as far as it is
/// allowed to, so that clients never take the files of the store.
pub fn room() -> usize {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| limit.maximum.is_none_or(|most| current < most))
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })
    {
        warn!(%error, "this process may not open as many files as the system allows it");
    }
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let room = usize::try_from(files.saturating_sub(OTHER_FILES).max(files / 4)).unwrap_or(CONNECTIONS_MOST);
    if room < CONNECTIONS_MOST {
        info!(files, room, most = CONNECTIONS_MOST, "clients have less room: this process may open few files");
    }
    room.min(CONNECTIONS_MOST)
}

/// Callers that have not said who they are, by their network. Cheap to clone.
#[derive(Clone)]
pub struct Strangers {
    here: Arc<Mutex<BTreeMap<IpAddr, usize>>>,
    most: usize,
}

/// A place of one of them.
pub struct Stranger {
    here: Arc<Mutex<BTreeMap<IpAddr, usize>>>,
    of: IpAddr,
}

impl Strangers {
    /// As many as are right beside `clients`.
    pub fn beside(clients: usize) -> Self {
        Self { here: Arc::default(), most: (clients / 8).clamp(2, STRANGERS_MOST) }
    }

    /// A place, if there is one for whoever comes from there.
    pub fn enter(&self, from: IpAddr) -> Option<Stranger> {
        let of = network(from);
        let mut here = counted(&self.here);
        let (all, of_it) = (here.values().sum::<usize>(), here.get(&of).copied().unwrap_or(0));
        if all >= self.most || of_it >= self.most / 2 {
            return None;
        }
        here.insert(of, of_it + 1);
        Some(Stranger { here: self.here.clone(), of })
    }

    /// Places for so many.
    pub fn most(&self) -> usize {
        self.most
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let mut here = counted(&self.here);
        let left = here.get(&self.of).map_or(0, |count| count - 1);
        match left {
            0 => here.remove(&self.of),
            left => here.insert(self.of, left),
        };
    }
}

fn counted(here: &Mutex<BTreeMap<IpAddr, usize>>) -> MutexGuard<'_, BTreeMap<IpAddr, usize>> {
    here.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The count. Cheap to clone.
#[derive(Clone)]
pub struct Registry {
    open: Arc<AtomicUsize>,
    most: usize,
}

/// A place of one connection.
pub struct Place {
    open: Arc<AtomicUsize>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Registry {
    /// With room for so many.
    pub fn new(most: usize) -> Self {
        Self { open: Arc::default(), most }
    }

    /// A place, if there is one.
    pub fn enter(&self) -> Option<Place> {
        let more = |open| (open < self.most).then_some(open + 1);
        let entered = self.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        entered.ok().map(|_| Place { open: self.open.clone() })
    }

    /// Connected now.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Room for so many.
    pub fn most(&self) -> usize {
        self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_says_nothing_keeps_nobody_of_another_address_out() {
        let strangers = Strangers::beside(64);
        let [one, other] = ["10.0.0.7", "10.0.0.8"].map(|text| text.parse::<IpAddr>().unwrap());
        let mut of_one: Vec<_> = (0..4).map(|_| strangers.enter(one).unwrap()).collect();
        assert!(strangers.enter(one).is_none(), "half of the places are one address's");
        assert!(strangers.enter("::ffff:10.0.0.7".parse().unwrap()).is_none(), "however it is written");
        let of_other: Vec<_> = (0..4).map(|_| strangers.enter(other).unwrap()).collect();
        assert!(strangers.enter("10.0.0.9".parse().unwrap()).is_none(), "all places are taken");
        drop(of_other);
        of_one.pop();
        assert!(strangers.enter(one).is_some() && strangers.enter(other).is_some());
        drop(of_one);
        assert!(counted(&strangers.here).is_empty(), "nobody is remembered who is gone");
        assert_eq!(Strangers::beside(CONNECTIONS_MOST).most(), STRANGERS_MOST);
        assert!(Strangers::beside(1).enter(one).is_some());
    }

    #[test]
    fn a_place_is_given_back_with_its_connection() {
        let registry = Registry::new(2);
        let (first, second) = (registry.enter().unwrap(), registry.enter());
        assert!(second.is_some() && registry.enter().is_none());
        drop(first);
        assert!(registry.enter().is_some() && registry.open() == 1);
    }
}
