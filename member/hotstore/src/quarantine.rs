//! Setting things aside: moved into `quarantine/`, never deleted by us.
//!
//! Must not know: who gave the consent.

use crate::disk::Disk;
use crate::failure::{On, StoreError};
use crate::layout;
use crate::owner::Owner;
use std::path::{Path, PathBuf};

fn free_place(disk: &dyn Disk, dir: &Path, label: &str) -> Result<PathBuf, StoreError> {
    let room = layout::quarantine(dir);
    disk.make_dir(&room).on("make", &room)?;
    disk.sync_dir(dir).on("fsync the directory", dir)?;
    let taken = disk.list(&room).on("list", &room)?;
    let numbers = taken.iter().filter_map(|name| name.split('-').next()?.parse::<u64>().ok());
    let n = numbers.filter(|n| *n < layout::LARGEST).max().unwrap_or(0);
    Ok(room.join(format!("{}-{label}", n + 1)))
}

/// Moves one file or directory of the store into quarantine; returns where it went.
pub(crate) fn set_aside(disk: &dyn Disk, dir: &Path, what: &Path, label: &str) -> Result<PathBuf, StoreError> {
    let place = free_place(disk, dir, label)?;
    disk.rename(what, &place).on("move to quarantine", what)?;
    disk.sync_dir(&layout::quarantine(dir)).on("fsync the directory", &place)?;
    disk.sync_dir(dir).on("fsync the directory", dir)?;
    Ok(place)
}

/// Moves the whole store (all but lock, quarantine and backups) aside; the directory is blank afterwards. The identity goes
/// behind all that it names, and last the marks by which it is put aside (given up, left). The caller has a consent for it. If it is
/// interrupted, calling it again finishes it.
pub fn set_everything_aside(disk: &std::sync::Arc<dyn Disk>, dir: &Path, label: &str) -> Result<PathBuf, StoreError> {
    let _owner = Owner::take(disk.clone(), dir)?;
    let place = free_place(disk.as_ref(), dir, label)?;
    disk.make_dir(&place).on("make", &place)?;
    // Before anything goes there: what lies in a place that has no durable name is lost.
    disk.sync_dir(&layout::quarantine(dir)).on("fsync the directory", &place)?;
    let mut names = disk.list(dir).on("list", dir)?;
    names.retain(|name| !matches!(name.as_str(), "lock" | "quarantine" | layout::BACKUPS | "lost+found"));
    names.sort_by_key(|name| (name.starts_with("identity"), name.clone()));
    let (marks, content): (Vec<_>, Vec<_>) =
        names.into_iter().partition(|name| matches!(name.as_str(), layout::GIVEN_UP | layout::LEFT));
    for part in [content, marks] {
        for name in part {
            let from = dir.join(&name);
            disk.rename(&from, &place.join(&name)).on("move to quarantine", &from)?;
        }
        for changed in [place.as_path(), dir] {
            disk.sync_dir(changed).on("fsync the directory", changed)?;
        }
    }
    Ok(place)
}
