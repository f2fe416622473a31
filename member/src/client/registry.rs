//! How many clients are connected.
//!
//! Law: a place is taken before anything is read and given back with the connection. Must not know: what they ask.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::{info, warn};

/// Connections of clients at a time.
pub const CONNECTIONS_MOST: usize = 10_240;

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
    fn a_place_is_given_back_with_its_connection() {
        let registry = Registry::new(2);
        let (first, second) = (registry.enter().unwrap(), registry.enter());
        assert!(second.is_some() && registry.enter().is_none());
        drop(first);
        assert!(registry.enter().is_some() && registry.open() == 1);
    }
}
