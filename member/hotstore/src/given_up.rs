//! A store that is given up by a person's consent: marked first, put aside whole by the next process.
//!
//! Law: the mark is durable before its caller is told; a store that is marked is never opened; what lies in it is moved into
//! `quarantine/` and nothing is deleted. The mark goes last, so whoever is cut off in the midst finishes it at the next
//! start. Must not know: who consents, and to what.

use crate::disk::Disk;
use crate::failure::StoreError;
use crate::frame::{self, Magic};
use crate::layout;
use crate::quarantine;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;

const MARK: Magic = *b"JETGIVUP";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct GivenUp {
    consent: String,
}

pub(crate) fn mark(disk: &dyn Disk, dir: &Path, consent: &str) -> Result<(), StoreError> {
    let record = GivenUp { consent: consent.to_owned() };
    frame::save(disk, &layout::given_up(dir), &frame::encode(MARK, &record, &[])?)
}

/// Puts a store aside that was given up. Before anything of it is opened.
pub(crate) fn carry_out(disk: &Arc<dyn Disk>, dir: &Path) -> Result<(), StoreError> {
    let costs = "whether this store was given up";
    let Some(mark) = frame::load::<GivenUp>(disk.as_ref(), MARK, &layout::given_up(dir), costs)? else {
        return Ok(());
    };
    let place = quarantine::set_everything_aside(disk, dir, "given-up")?;
    tracing::warn!(consent = %mark.body.consent, place = %place.display(), "the store was given up; it lies in quarantine");
    Ok(())
}
