//! The raw twin: the files of the store written and read in the same pattern, and nothing else done. What it needs is what
//! the device and the file system cost; the rest is the store's own.
//!
//! The law: same lengths, flags, syncs and renames as the store, and as many buffers in turn, so that a device does not get
//! from a cache what it gets from RAM otherwise; no encoding, no checksum, no queue, no table.
//! Must not know: the store. Its pattern is a small table of parameters.

use crate::room;
use aligned_vec::{AVec, ConstAlign};
use anyhow::{Context, Result};
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};
use rustix::fs::{FallocateFlags, OFlags};
use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const ALIGNMENT: usize = 4096;
type Block = AVec<u8, ConstAlign<ALIGNMENT>>;

/// How it writes and reads.
#[derive(Debug, Clone, clap::Args)]
pub struct Pattern {
    /// Twin: KiB of one write.
    #[arg(long = "twin-write-kib", default_value_t = 1024)]
    pub write_kib: u64,
    /// Twin: KiB of one read.
    #[arg(long = "twin-read-kib", default_value_t = 4096)]
    pub read_kib: u64,
    /// Twin: writes or reads of one file under way at a time.
    #[arg(long = "twin-depth", default_value_t = 1)]
    pub depth: usize,
    /// Twin: buffers that are written or read in turn.
    #[arg(long = "twin-buffers", default_value_t = 20)]
    pub buffers: usize,
    /// Twin: files written or read at a time.
    #[arg(long = "twin-files", default_value_t = 1)]
    pub files: usize,
    /// Twin: KiB after which a file is synced; 0: only whole files are; left out: as the store does.
    #[arg(long = "twin-sync-kib")]
    pub sync_kib: Option<u64>,
    /// Twin: room of a file is asked for before it is written.
    #[arg(long = "twin-allocate")]
    pub allocate: bool,
    /// Twin: through the page cache.
    #[arg(long = "twin-buffered")]
    pub buffered: bool,
}

impl Pattern {
    /// In words, for the conditions.
    pub fn told(&self) -> String {
        let way = if self.buffered { "buffered" } else { "direct" };
        let sync = self.sync_kib.map_or("as the store".to_owned(), |kib| format!("{kib} KiB"));
        let blocks = format!("writes of {} KiB, reads of {} KiB", self.write_kib, self.read_kib);
        let (depth, files, buffers) = (self.depth, self.files, self.buffers);
        format!("{way}, {blocks}, depth {depth}, {files} files, {buffers} buffers, sync every {sync}")
    }

    fn buffers(&self, kib: u64) -> Vec<Block> {
        let mut block = Block::new(ALIGNMENT);
        block.resize((kib << 10) as usize, 0);
        vec![block; self.buffers.max(1)]
    }

    fn flags(&self) -> i32 {
        if self.buffered { 0 } else { OFlags::DIRECT.bits().cast_signed() }
    }
}

fn name(dir: &Path, index: usize) -> PathBuf {
    dir.join(format!("{index:06}.twin"))
}

/// Each of `count` things once, by so many threads.
fn share(threads: usize, count: u64, act: &(dyn Fn(u64) -> Result<()> + Sync)) -> Result<()> {
    let next = AtomicU64::new(0);
    let work = || -> Result<()> {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return Ok(());
            }
            act(index)?;
        }
    };
    if threads <= 1 {
        return work();
    }
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let own = work();
        others
            .into_iter()
            .try_fold((), |(), other| other.join().map_err(|_| anyhow::anyhow!("a twin's thread ended"))?)?;
        own
    })
}

/// Writes files of these lengths, made durable one by one and named when they are.
pub fn write(dir: &Path, lengths: &[u64], pattern: &Pattern, sync_bytes: u64) -> Result<Duration> {
    let mut blocks = pattern.buffers(pattern.write_kib);
    blocks.iter_mut().for_each(|block| StdRng::seed_from_u64(2).fill_bytes(block));
    let stretch = match pattern.sync_kib {
        Some(0) => u64::MAX,
        Some(kib) => kib << 10,
        None => sync_bytes,
    };
    let begin = Instant::now();
    share(pattern.files, lengths.len() as u64, &|index| {
        write_file(&name(dir, index as usize), lengths[index as usize], pattern, stretch, &blocks)
    })?;
    File::open(dir)?.sync_all()?;
    Ok(begin.elapsed())
}

fn write_file(path: &Path, length: u64, pattern: &Pattern, stretch: u64, blocks: &[Block]) -> Result<()> {
    let unnamed = path.with_extension("tmp");
    let length = length.next_multiple_of(ALIGNMENT as u64);
    let file = OpenOptions::new().write(true).create_new(true).custom_flags(pattern.flags()).open(&unnamed)?;
    if pattern.allocate {
        rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, length)?;
    }
    let size = pattern.write_kib << 10;
    let mut from = 0;
    while from < length {
        let upto = from.saturating_add(stretch.max(size)).min(length);
        share(pattern.depth, (upto - from).div_ceil(size), &|index| {
            let at = from + index * size;
            let part = (upto - at).min(size) as usize;
            let block = &blocks[(at / size) as usize % blocks.len()];
            file.write_all_at(&block[..part], at).context("the twin's write")
        })?;
        file.sync_data()?;
        from = upto;
    }
    Ok(fs::rename(&unnamed, path)?)
}

/// Reads every file in `dir` and below once, and looks at nothing.
pub fn read(dir: &Path, pattern: &Pattern) -> Result<Duration> {
    let files = room::files_below(dir)?;
    let blocks = Mutex::new(VecDeque::from(pattern.buffers(pattern.read_kib)));
    let begin = Instant::now();
    share(pattern.files, files.len() as u64, &|index| {
        let (path, length) = &files[index as usize];
        let file = OpenOptions::new().read(true).custom_flags(pattern.flags()).open(path)?;
        let size = pattern.read_kib << 10;
        share(pattern.depth, length.div_ceil(size), &|number| {
            let turn = || blocks.lock().unwrap_or_else(PoisonError::into_inner);
            let mut block = turn().pop_front().context("fewer buffers than reads under way")?;
            let done = read_block(&file, number * size, &mut block);
            turn().push_back(block);
            done
        })
    })?;
    Ok(begin.elapsed())
}

fn read_block(file: &File, offset: u64, block: &mut Block) -> Result<()> {
    let mut at = 0;
    while at < block.len() {
        match file.read_at(&mut block[at..], offset + at as u64).context("the twin's read")? {
            0 => break,
            n => at += n,
        }
        // Past the page cache a short read is the end of the file.
        if !at.is_multiple_of(ALIGNMENT) {
            break;
        }
    }
    Ok(())
}
