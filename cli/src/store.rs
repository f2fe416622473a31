//! `jet store …`: what lies in a member's hot-restart directory, and whether it is whole, without a cluster.
//!
//! Law: nothing in the directory is changed; `verify` succeeds only where every byte that counts was read and proved. Must
//! not know: file formats.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Subcommand;
use jet_hotstore::audit::{Audit, Depth, SealTold, Severity, Standing, audit};
use jet_hotstore::backup::{BackupTold, Is};
use jet_hotstore::layout::shape_of;
use jet_hotstore::{Disk, EncryptedDisk, KeyError, KeyUse, Keys, OsDisk, StoreError};

use crate::columns::aligned;

/// What is asked of a store.
#[derive(Clone, Debug, Subcommand)]
pub enum Ask {
    /// Say whose it is, what it is and what lies in it; reads heads only
    Inspect {
        /// The hot-restart directory (base-dir) of one member
        dir: PathBuf,
        /// The directory with the keys, if it is encrypted: a file for each key, named like it
        #[arg(long, value_name = "DIR")]
        keys: Option<PathBuf>,
        /// Print JSON for programs
        #[arg(long)]
        json: bool,
    },
    /// Read every byte that counts and prove it; exit 3 if something is not whole
    Verify {
        /// The hot-restart directory (base-dir) of one member
        dir: PathBuf,
        /// The directory with the keys, if it is encrypted: a file for each key, named like it
        #[arg(long, value_name = "DIR")]
        keys: Option<PathBuf>,
        /// Print JSON for programs
        #[arg(long)]
        json: bool,
    },
    /// Count live entries and bytes by map and by partition; reads everything
    Stats {
        /// The hot-restart directory (base-dir) of one member
        dir: PathBuf,
        /// The directory with the keys, if it is encrypted: a file for each key, named like it
        #[arg(long, value_name = "DIR")]
        keys: Option<PathBuf>,
        /// Print JSON for programs
        #[arg(long)]
        json: bool,
    },
}

/// Why nothing can be said of a directory.
#[derive(Debug, thiserror::Error)]
pub enum StoreAskError {
    /// It is not there.
    #[error("{0} is not a directory; give the base-dir of one member (on Kubernetes: the mount of its claim)")]
    NoDirectory(PathBuf),
    /// The disk did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The keys cannot be read.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// What to print, and whether all is whole.
pub fn ask(ask: &Ask) -> Result<(String, bool), StoreAskError> {
    let (dir, keys, json, depth) = match ask {
        Ask::Inspect { dir, keys, json } => (dir, keys, *json, Depth::Heads),
        Ask::Verify { dir, keys, json } | Ask::Stats { dir, keys, json } => (dir, keys, *json, Depth::Everything),
    };
    let told = look(dir, keys.as_deref(), depth)?;
    let whole = told.is_whole();
    let text = if json {
        serde_json::to_string_pretty(&told)? + "\n"
    } else {
        match ask {
            Ask::Inspect { .. } => heads(&told) + &findings(&told, "nothing was found; verify reads all of it"),
            Ask::Verify { .. } => heads(&told) + &findings(&told, "whole: every byte that counts was read and proved"),
            Ask::Stats { .. } => stats(&told) + &findings(&told, ""),
        }
    };
    Ok((text, whole))
}

fn look(dir: &Path, keys: Option<&Path>, depth: Depth) -> Result<Audit, StoreAskError> {
    if !dir.is_dir() {
        return Err(StoreAskError::NoDirectory(dir.to_owned()));
    }
    let disk: Arc<dyn Disk> = match keys {
        Some(keys) => {
            let keys = Arc::new(Keys::read(&OsDisk, keys, None)?);
            Arc::new(EncryptedDisk::new(Arc::new(OsDisk), keys, shape_of))
        }
        None => Arc::new(OsDisk),
    };
    Ok(audit(&disk, dir, depth)?)
}

fn heads(told: &Audit) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "{:<12} {value}", format!("{name}:"));
    };
    line("Directory", told.dir.display().to_string());
    line("State", standing(&told.standing));
    if let Some(identity) = &told.identity {
        line("Member", identity.member.to_string());
        let cluster = identity.founding.map_or("none yet".to_owned(), |id| id.to_string());
        line("Cluster", format!("{cluster}, incarnation {}", identity.incarnation));
        line("Volume", identity.volume.clone());
    }
    line("Starts", told.boot.to_string());
    line(
        "In use",
        if told.in_use { "by a running process: what was read may have been in motion" } else { "no" }.into(),
    );
    if let Standing::Sealed(seal) | Standing::Unsealed { last_seal: Some(seal), .. } = &told.standing {
        line("Seal", sealed(seal));
    }
    let log: u64 = told.chunks.iter().map(|chunk| chunk.bytes).sum();
    line("Log", format!("{}, {}", counted(told.chunks.len(), "chunk"), size(log)));
    let epochs: u64 = told.epochs.iter().map(|epoch| epoch.bytes).sum();
    line("Snapshots", format!("{}, {}", counted(told.epochs.len(), "epoch"), size(epochs)));
    if let Some(raft) = &told.consensus {
        let before = if raft.snapshot { ", behind a snapshot" } else { "" };
        line("Consensus", format!("{} entries up to {}{before}, {}", raft.entries, raft.last_index, size(raft.bytes)));
    }
    if told.keys.iter().any(|of| of.key.is_some()) {
        line("Encrypted", told.keys.iter().map(encrypted).collect::<Vec<_>>().join(", "));
    }
    if let Some(backup) = &told.backup {
        line("Made by", format!("backup {}", backed_up(backup)));
    }
    for backup in &told.backups {
        line("Backup", backed_up(backup));
    }
    let room = &told.room;
    let (live, kept, aside) = (size(room.live), size(room.retained), size(room.quarantine));
    line(
        "Room",
        format!("{live} in use, {kept} kept for the last seal, {aside} in quarantine, {} free", size(room.free)),
    );
    text
}

fn encrypted(of: &KeyUse) -> String {
    let key = of.key.as_ref().map_or("in the clear".to_owned(), |key| format!("with '{key}'"));
    let files = usize::try_from(of.files).unwrap_or(usize::MAX);
    format!("{key}: {}, {}", counted(files, "file"), size(of.bytes))
}

fn standing(standing: &Standing) -> String {
    match standing {
        Standing::Blank => "blank: of no cluster yet".into(),
        Standing::Founding => "promised to a cluster that is not founded yet".into(),
        Standing::Sealed(seal) => format!("sealed in generation {}, not written to since", seal.generation),
        Standing::Unsealed { generation: 0, .. } => "of a cluster, nothing opened yet".into(),
        Standing::Unsealed { generation, .. } => format!("open in generation {generation}: in use, or after a crash"),
        Standing::Refused => "refused: a member would not open it".into(),
    }
}

fn backed_up(told: &BackupTold) -> String {
    let is = match &told.is {
        Is::Untouched => "as it was made".to_owned(),
        Is::OpenedSince => "opened as a store since".to_owned(),
        Is::Unfinished => "unfinished: no store, the next backup or start removes it".to_owned(),
        Is::Refused { why } => format!("not to be told: {why}"),
    };
    let Some(says) = &told.manifest else { return format!("{}, {is}", told.name) };
    let content = if says.sealed { "sealed content" } else { "content" };
    let files = counted(says.files.len(), "file");
    let set = says.set.map_or_else(String::new, |set| format!(", of set {set}"));
    format!("{}, {is}: {content} of generation {}, {files} of {}{set}", told.name, says.generation, size(says.bytes))
}

fn sealed(seal: &SealTold) -> String {
    format!(
        "number {}, generation {}, operation {} attempt {}: {} in {}, {} files of {}, digest {}",
        seal.number,
        seal.generation,
        seal.operation,
        seal.attempt,
        if seal.entries == 1 { "1 entry".into() } else { format!("{} entries", seal.entries) },
        counted(seal.partitions, "partition"),
        seal.files,
        size(seal.bytes),
        seal.digest
    )
}

fn stats(told: &Audit) -> String {
    let Some(content) = &told.content else {
        return "The log could not be read to its end: nothing is counted.\n".into();
    };
    let row = |space: &jet_hotstore::audit::SpaceTold| {
        vec![space.id.to_string(), space.name.clone(), space.entries.to_string(), size(space.bytes)]
    };
    let mut text = aligned(&["ID", "MAP", "ENTRIES", "SIZE"], &content.spaces.iter().map(row).collect::<Vec<_>>());
    let row = |epoch: &jet_hotstore::audit::EpochTold| {
        let (job, execution) = (epoch.job.to_string(), epoch.execution.to_string());
        vec![job, execution, epoch.epoch.to_string(), epoch.parts.to_string(), size(epoch.bytes)]
    };
    if !told.epochs.is_empty() {
        let rows: Vec<_> = told.epochs.iter().map(row).collect();
        text += &format!("\n{}", aligned(&["JOB", "EXECUTION", "EPOCH", "PARTS", "SIZE"], &rows));
    }
    let row = |p: &jet_hotstore::audit::PartitionTold| {
        let state = match (p.complete, p.interrupted) {
            (true, false) => "whole",
            (true, true) => "whole up to a copy that was under way",
            (false, _) => "no copy that counts",
        };
        let version = format!("{}/{}", p.table, p.sequence);
        vec![p.partition.to_string(), version, p.entries.to_string(), size(p.bytes), state.into()]
    };
    let rows: Vec<_> = content.partitions.iter().map(row).collect();
    text += &format!("\n{}", aligned(&["PARTITION", "VERSION", "ENTRIES", "SIZE", "STATE"], &rows));
    let share = (content.live_bytes * 100).checked_div(content.record_bytes).unwrap_or(100);
    let _ =
        writeln!(text, "\n{} of {} in the log count ({share} %)", size(content.live_bytes), size(content.record_bytes));
    text
}

fn findings(told: &Audit, none: &str) -> String {
    if told.findings.is_empty() {
        return if none.is_empty() { String::new() } else { format!("\n{none}\n") };
    }
    let word = |severity| match severity {
        Severity::Broken => "NOT WHOLE",
        Severity::Torn => "TORN TAIL",
        Severity::Healed => "ONE COPY",
    };
    told.findings
        .iter()
        .fold(String::new(), |text, found| text + &format!("\n{}: {}\n", word(found.severity), found.text))
}

fn counted(many: usize, noun: &str) -> String {
    format!("{many} {noun}{}", if many == 1 { "" } else { "s" })
}

fn size(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", units[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_at_a_glance() {
        let read = [0, 1023, 1024, 1536, 5 << 20, 3 << 40].map(size);
        assert_eq!(read, ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "5.0 MiB", "3.0 TiB"]);
    }
}
