//! An append-only file whose batches are written by a thread of its own: one is written while the next is filled.
//!
//! The law: batches are written one after the other; behind what failed nothing is written, and a later call says so. Must not know: what is in them.

use super::{refuses_direct, say_that_it_is_buffered};
use crate::disk::{AppendFile, BLOCK, Batch};
use rustix::fs::OFlags;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Batches handed over and not said to be written: one is written, and the next is there when it is done.
const MOST_UNDER_WAY: usize = 2;

/// The file and its thread.
pub(super) struct Appending {
    file: Arc<File>,
    to: Option<SyncSender<(u64, Arc<Batch>)>>,
    written: Receiver<io::Result<()>>,
    under_way: usize,
    failed: bool,
    thread: Option<JoinHandle<()>>,
}

impl Appending {
    /// Begins the thread of an empty file.
    pub(super) fn begin(file: File) -> io::Result<Self> {
        let file = Arc::new(file);
        let (to, batches) = sync_channel::<(u64, Arc<Batch>)>(MOST_UNDER_WAY);
        let (done, written) = sync_channel(MOST_UNDER_WAY);
        let writes = file.clone();
        let thread = std::thread::Builder::new().name("hotstore-append".to_owned()).spawn(move || {
            for (offset, batch) in batches {
                let result = write(&writes, offset, &batch);
                drop(batch);
                // Behind what failed nothing is written.
                let ends = result.is_err();
                if done.send(result).is_err() || ends {
                    return;
                }
            }
        })?;
        Ok(Self { file, to: Some(to), written, under_way: 0, failed: false, thread: Some(thread) })
    }

    /// What was under way is written, but for so many batches.
    fn settle(&mut self, but_for: usize) -> io::Result<()> {
        if self.failed {
            return Err(io::Error::other("a former write to this file failed"));
        }
        self.failed = true;
        while self.under_way > but_for {
            self.written.recv().map_err(|_| gone())??;
            self.under_way -= 1;
        }
        self.failed = false;
        Ok(())
    }

    /// What the thread said last of all.
    fn why_it_ended(&self) -> io::Error {
        std::iter::from_fn(|| self.written.recv().ok()).find_map(Result::err).unwrap_or_else(gone)
    }
}

/// A file system that takes no direct writes may say so at the first one only, and one of larger blocks than ours at the first
/// batch that does not fit them.
fn write(file: &File, offset: u64, batch: &[u8]) -> io::Result<()> {
    match file.write_all_at(batch, offset) {
        Err(error) if refuses_direct(&error) && is_direct(file)? => {
            say_that_it_is_buffered();
            rustix::fs::fcntl_setfl(file, rustix::fs::fcntl_getfl(file)? - OFlags::DIRECT)?;
            file.write_all_at(batch, offset)
        }
        done => done,
    }
}

fn is_direct(file: &File) -> io::Result<bool> {
    Ok(rustix::fs::fcntl_getfl(file)?.contains(OFlags::DIRECT))
}

fn gone() -> io::Error {
    io::Error::other("the thread that writes this file has ended")
}

impl AppendFile for Appending {
    fn alignment(&self) -> usize {
        // Also where it goes through the page cache: what is durable lies in blocks that are not written again.
        BLOCK
    }

    fn append(&mut self, offset: u64, filled: Arc<Batch>) -> io::Result<()> {
        self.settle(MOST_UNDER_WAY - 1)?;
        self.failed = true;
        if self.to.as_ref().ok_or_else(gone)?.send((offset, filled)).is_err() {
            return Err(self.why_it_ended());
        }
        self.failed = false;
        self.under_way += 1;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.settle(0)?;
        self.failed = true;
        self.file.sync_data()?;
        self.failed = false;
        Ok(())
    }
}

impl Drop for Appending {
    fn drop(&mut self) {
        self.to = None;
        if let Some(thread) = self.thread.take() {
            // A panic there was told by the call that found its thread gone.
            let _ = thread.join();
        }
    }
}
