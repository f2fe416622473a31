//! The records of belonging: the promise to found one cluster with one list, the fact that it was founded, and the fact that
//! this member has left it.
//!
//! The law: a promise may be replaced only while nothing was founded; a fact never.
//! Must not know: how a list is agreed on.

use crate::disk::Disk;
use crate::failure::StoreError;
use crate::frame::{self, Magic};
use crate::layout;
use serde::{Deserialize, Serialize};
use std::path::Path;
use uuid::Uuid;

const PROMISE: Magic = *b"JETFOUNG";
const FACT: Magic = *b"JETFOUND";

/// Promise to found cluster `id` with exactly the members of the list with this digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Founding {
    /// Founding id.
    pub id: Uuid,
    /// Digest of the member list, as the caller computes it.
    pub list_digest: String,
}

/// The cluster was founded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Founded {
    /// Founding id.
    pub id: Uuid,
}

const GONE: Magic = *b"JETLEFT1";

/// The member has left its cluster: its store is of none any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// Entry of the cluster's log by which it left.
    pub index: u64,
}

/// The fact that the member in `dir` has left, if it has. Takes no lock and changes nothing.
pub fn read_left(disk: &dyn Disk, dir: &Path) -> Result<Option<Left>, StoreError> {
    Ok(frame::load(disk, GONE, &layout::left(dir), "the fact that its member left")?.map(|f| f.body))
}

pub(crate) fn record_left(disk: &dyn Disk, dir: &Path, left: Left) -> Result<(), StoreError> {
    match read_left(disk, dir)? {
        Some(_) => Ok(()),
        None => frame::save(disk, &layout::left(dir), &frame::encode(GONE, &left, &[])?),
    }
}

pub(crate) fn read_promise(disk: &dyn Disk, dir: &Path) -> Result<Option<Founding>, StoreError> {
    Ok(frame::load(disk, PROMISE, &layout::founding(dir), "the promise to found")?.map(|f| f.body))
}

pub(crate) fn read_fact(disk: &dyn Disk, dir: &Path) -> Result<Option<Founded>, StoreError> {
    Ok(frame::load(disk, FACT, &layout::founded(dir), "the fact of founding")?.map(|f| f.body))
}

pub(crate) fn promise(disk: &dyn Disk, dir: &Path, founding: &Founding) -> Result<(), StoreError> {
    if let Some(fact) = read_fact(disk, dir)? {
        let why = format!("cluster {} was founded already", fact.id);
        return Err(StoreError::Misuse { call: "promise to found", why });
    }
    frame::save(disk, &layout::founding(dir), &frame::encode(PROMISE, founding, &[])?)
}

pub(crate) fn record_fact(disk: &dyn Disk, dir: &Path, fact: &Founded) -> Result<(), StoreError> {
    match read_fact(disk, dir)? {
        Some(known) if known == *fact => Ok(()),
        Some(known) => Err(StoreError::Misuse {
            call: "record the founding",
            why: format!("cluster {} was founded already", known.id),
        }),
        None => frame::save(disk, &layout::founded(dir), &frame::encode(FACT, fact, &[])?),
    }
}
