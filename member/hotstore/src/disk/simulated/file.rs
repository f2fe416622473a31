//! Open files of the simulated disk.
//!
//! The law: what was written is pending until a sync of the same file; a fault has its worst effect. Must not know: names.

use super::fault::Turn;
use super::{SimulatedDisk, broken, put};
use crate::disk::{AppendFile, Batch, DiskFile};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

pub(super) struct SimulatedFile {
    pub disk: SimulatedDisk,
    pub inode: usize,
    pub path: PathBuf,
}

impl DiskFile for SimulatedFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut world = self.disk.world();
        let turn = world.turn("write", &self.path)?;
        if let Some(capacity) = world.capacity {
            let grows = (offset + bytes.len() as u64).saturating_sub(world.inodes[self.inode].now.len() as u64);
            if world.used() + grows > capacity {
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
        let (keep, result) = match turn {
            Turn::Full => return Err(io::ErrorKind::StorageFull.into()),
            Turn::Off | Turn::Fails => (bytes.len() / 2, Err(broken("write failed"))),
            _ => (bytes.len(), Ok(())),
        };
        let mut bytes = bytes[..keep].to_vec();
        let (mut inode, mut offset) = (self.inode, offset);
        match turn {
            Turn::Flips => bytes[keep / 2] ^= 0x10,
            Turn::Within => offset = if offset == 0 { keep as u64 } else { offset / 2 },
            Turn::Elsewhere => inode = world.neighbour(&self.path).unwrap_or(inode),
            _ => {}
        }
        let foreign = inode != self.inode;
        let inode = &mut world.inodes[inode];
        put(&mut inode.now, offset, &bytes);
        if foreign {
            // Nobody will sync it: it is on the platter where it does not belong.
            put(&mut inode.synced, offset, &bytes);
        } else {
            inode.pending.push((offset, bytes));
        }
        result
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk.wait_for_ice();
        let mut world = self.disk.world();
        let turn = world.turn("sync", &self.path)?;
        let lies = world.lies_about_sync;
        let inode = &mut world.inodes[self.inode];
        match turn {
            Turn::Off => return Err(broken("sync failed")),
            Turn::Fails => {
                inode.pending.clear();
                return Err(broken("sync failed"));
            }
            // What it covered is not there, and no later sync knows of it.
            Turn::Lies => inode.pending.clear(),
            _ if lies => {}
            _ => {
                for (offset, what) in std::mem::take(&mut inode.pending) {
                    put(&mut inode.synced, offset, &what);
                }
            }
        }
        Ok(())
    }
}

pub(super) struct SimulatedAppend {
    pub file: SimulatedFile,
    pub alignment: usize,
    pub late: Option<io::Error>,
}

impl AppendFile for SimulatedAppend {
    fn alignment(&self) -> usize {
        self.alignment
    }

    fn append(&mut self, offset: u64, filled: Arc<Batch>) -> io::Result<()> {
        if let Some(error) = self.late.take() {
            return Err(error);
        }
        if !offset.is_multiple_of(self.alignment as u64) || !filled.len().is_multiple_of(self.alignment) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let written = self.file.write_at(offset, &filled);
        if self.file.disk.world().tells_late {
            self.late = written.err();
        } else {
            written?;
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        if let Some(error) = self.late.take() {
            return Err(error);
        }
        self.file.sync()
    }
}
