//! What stands still while the moment of a backup is kept: the consensus log, and the names of epochs.
//!
//! The law: whoever changes one of them on the disk holds [`Stillness::change`] over that change and nothing longer; while
//! [`Stillness::keep`] is held, none of them changes. Of locks it is taken behind that of what is known of the store and before
//! those of the log and the shelf. Must not know: what is changed, who keeps the moment.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Shared by a store, its consensus log and its epochs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stillness(Arc<RwLock<()>>);

impl Stillness {
    /// Something changes as long as this is held.
    pub fn change(&self) -> RwLockReadGuard<'_, ()> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing changes as long as this is held.
    pub fn keep(&self) -> RwLockWriteGuard<'_, ()> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}
