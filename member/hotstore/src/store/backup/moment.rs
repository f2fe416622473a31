//! What others wait for: all that is taken between the last change before a backup and the word to go on.
//!
//! The law: nothing is done here that could be done before or behind; whether to go on is asked before each step, so that
//! whoever waits for the consensus log, an epoch or the queue waits for no more than one. Must not know: how long that may be.

use super::cut::Cut;
use super::making::Making;
use super::{BackupError, Company};
use crate::consensus::copying;
use crate::identity::Identity;
use crate::layout;
use crate::store::{Known, Phase, Store, locked};
use std::time::Duration;

/// A disk that takes longer for what was appended is too slow for a backup.
const WRITTEN_WITHIN: Duration = Duration::from_secs(30);

/// What was taken at the moment of a backup.
pub(super) struct Moment<'a> {
    pub cut: Cut<'a>,
    pub identity: Identity,
    pub consensus: copying::Files,
}

fn has_content(known: &Known) -> Result<(), BackupError> {
    match known.phase {
        Phase::Open | Phase::Sealed => Ok(()),
        phase => Err(BackupError::NotOpen { phase: format!("{phase:?}").to_lowercase() }),
    }
}

impl Store {
    /// Everything of it that changes is taken while nothing changes, here and with the company.
    pub(super) fn moment(&self, making: &mut Making<'_>, company: &dyn Company) -> Result<Moment<'_>, BackupError> {
        has_content(&locked(&self.known))?;
        let ticket = self.flush().map_err(BackupError::Log)?;
        self.wait_durable(ticket, WRITTEN_WITHIN)?;
        // Dropped last: a cut that is given up asks for the log once more, and nobody else waits for that.
        let mut cut;
        let known = locked(&self.known);
        has_content(&known)?;
        self.may_go_on(company)?;
        company.begins();
        let _still = self.still.keep();
        let seal = making.small_records(&known)?;
        self.may_go_on(company)?;
        cut = self.cut(&known, seal)?;
        // Who only looks at the shelf does not wait; what is on it keeps its name.
        let finished = locked(&self.shelf).finished.clone();
        making.epochs(finished.values(), cut.seal.as_ref(), &|| self.may_go_on(company))?;
        // Whoever asks for it next has to wait for the log.
        drop(known);
        let (identity, consensus) = self.consensus_read(company)?;
        company.meet(&|| self.pressed()).map_err(|why| BackupError::Company { why })?;
        cut.quiet = None;
        Ok(Moment { cut, identity, consensus })
    }

    fn may_go_on(&self, company: &dyn Company) -> Result<(), BackupError> {
        company.given_up().or_else(|| self.pressed()).map_or(Ok(()), |why| Err(BackupError::Company { why }))
    }

    /// Behind half of the queue comes the bound at which partitions lag.
    fn pressed(&self) -> Option<String> {
        let (waits, bound) = (self.health().waiting_bytes, self.options.queue_bytes);
        let why =
            || format!("{waits} bytes wait for the disk of {}, and half of {bound} may; ask again", self.dir.display());
        (waits > bound / 2).then(why)
    }

    /// The consensus log, and the identity that it belongs to.
    fn consensus_read(&self, company: &dyn Company) -> Result<(Identity, copying::Files), BackupError> {
        let raft = layout::raft(&self.dir);
        let mut identity = self.identity();
        loop {
            self.may_go_on(company)?;
            if !identity.log_begun {
                return Ok((identity, copying::Files::new()));
            }
            let go_on = || self.may_go_on(company).is_ok();
            let read = copying::copy(self.disk.as_ref(), &raft, identity.log_line, &go_on);
            let now = self.identity();
            match read {
                Ok(files) => return Ok((identity, files)),
                Err(error) if now.log_line == identity.log_line => return Err(error.into()),
                // A new line was begun meanwhile.
                Err(_) => identity = now,
            }
        }
    }
}
