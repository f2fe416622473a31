//! What goes wrong on a simulated disk, and what is found after the power was cut.
//!
//! The law: a fault has its worst effect; one that says nothing changes what lies there, and the call says Ok.
//! Must not know: the store.

use super::{Inode, put};

/// What goes wrong at a changing call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Power goes: a write is half done, every other call not at all; all later calls fail.
    PowerCut,
    /// This call fails with an I/O error and its worst effect; later calls work.
    /// A write is half done; what a sync covered never becomes durable, whatever later syncs say.
    FailCall,
    /// The same for this call and every later one, until it is mended.
    FailForEver,
    /// No room: nothing is created or linked and nothing written from here on, until it is mended.
    RunsFull,
    /// A write says Ok, and one bit of it is another.
    Flips,
    /// A write says Ok, and lies at another place of its file.
    MisdirectedWithin,
    /// A write says Ok, and lies in another file.
    MisdirectedElsewhere,
    /// A sync, of a file or a directory, says Ok and did nothing; what it covered never becomes durable.
    Lies,
}

impl Fault {
    /// Those after which the disk says that something is wrong.
    pub const TOLD: [Fault; 3] = [Fault::FailCall, Fault::FailForEver, Fault::RunsFull];
    /// Those of which nobody is told.
    pub const SILENT: [Fault; 4] = [Fault::Flips, Fault::MisdirectedWithin, Fault::MisdirectedElsewhere, Fault::Lies];

    /// How call number `now` goes with this fault at number `at`.
    pub(super) fn turn(self, at: u64, now: u64, call: &str) -> Turn {
        let (here, since) = (now == at, now >= at);
        let (writes, syncs) = (call == "write", call.starts_with("sync"));
        match self {
            Fault::PowerCut if here => Turn::Off,
            Fault::FailCall if here => Turn::Fails,
            Fault::FailForEver if since => Turn::Fails,
            Fault::RunsFull if since && (writes || matches!(call, "create" | "link")) => Turn::Full,
            Fault::Flips if here && writes => Turn::Flips,
            Fault::MisdirectedWithin if here && writes => Turn::Within,
            Fault::MisdirectedElsewhere if here && writes => Turn::Elsewhere,
            Fault::Lies if here && syncs => Turn::Lies,
            _ => Turn::Go,
        }
    }
}

/// How one call goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Go,
    Off,
    Fails,
    Full,
    Flips,
    Within,
    Elsewhere,
    Lies,
}

/// What is found after a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aftermath {
    /// Everything written is there (a killed process, or caches that made it).
    Kept,
    /// Only what was synced, names and bytes.
    Lost,
    /// All names, but only synced bytes.
    NamesOnly,
    /// All names; of each file's unsynced writes the first ones and half of the last.
    Torn,
    /// All names; of each file's unsynced writes every second, the others zeros.
    Holes,
    /// All names; of what was not synced every second sector of 512 bytes, the others as before or zeros.
    Sectors,
    /// The same with pages of 4 KiB.
    Pages,
}

impl Aftermath {
    /// Every aftermath, for loops in tests.
    pub const ALL: [Aftermath; 7] = [
        Aftermath::Kept,
        Aftermath::Lost,
        Aftermath::NamesOnly,
        Aftermath::Torn,
        Aftermath::Holes,
        Aftermath::Sectors,
        Aftermath::Pages,
    ];
}

/// What is left of a file.
pub(super) fn survive(inode: &Inode, aftermath: Aftermath) -> Inode {
    let mut bytes = inode.synced.clone();
    let last = inode.pending.len().saturating_sub(1);
    match aftermath {
        Aftermath::Kept => bytes = inode.now.clone(),
        Aftermath::Lost | Aftermath::NamesOnly => {}
        Aftermath::Torn => {
            for (i, (offset, what)) in inode.pending.iter().enumerate() {
                let keep = if i == last { what.len() / 2 } else { what.len() };
                put(&mut bytes, *offset, &what[..keep]);
            }
        }
        Aftermath::Holes => {
            for (i, (offset, what)) in inode.pending.iter().enumerate() {
                if i % 2 == 1 {
                    put(&mut bytes, *offset, what);
                } else {
                    grow(&mut bytes, *offset as usize + what.len());
                }
            }
        }
        Aftermath::Sectors => every_second(&mut bytes, &inode.pending, 512),
        Aftermath::Pages => every_second(&mut bytes, &inode.pending, 4096),
    }
    Inode { now: bytes.clone(), synced: bytes, pending: Vec::new() }
}

fn every_second(bytes: &mut Vec<u8>, pending: &[(u64, Vec<u8>)], sector: usize) {
    for (offset, what) in pending {
        let offset = *offset as usize;
        grow(bytes, offset + what.len());
        let kept = (0..what.len()).filter(|at| (offset + at) / sector % 2 == 1);
        kept.for_each(|at| bytes[offset + at] = what[at]);
    }
}

fn grow(bytes: &mut Vec<u8>, length: usize) {
    if bytes.len() < length {
        bytes.resize(length, 0);
    }
}
