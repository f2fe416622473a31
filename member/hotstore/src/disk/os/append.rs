//! An append-only file whose batches are written by a thread of its own: one is written while the next is filled.
//!
//! The law: batches are written one after the other; what failed is said at the next call. Must not know: what is in them.

use super::{refuses_direct, say_that_it_is_buffered};
use crate::disk::{AppendFile, BLOCK, Batch};
use rustix::fs::OFlags;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// The file and its thread.
pub(super) struct Appending {
    file: Arc<File>,
    to: Option<SyncSender<(u64, Arc<Batch>)>>,
    written: Receiver<io::Result<()>>,
    under_way: bool,
    failed: bool,
    thread: Option<JoinHandle<()>>,
}

impl Appending {
    /// Begins the thread of an empty file.
    pub(super) fn begin(file: File) -> io::Result<Self> {
        let file = Arc::new(file);
        let (to, batches) = sync_channel::<(u64, Arc<Batch>)>(1);
        let (done, written) = sync_channel(1);
        let writes = file.clone();
        let thread = std::thread::Builder::new().name("hotstore-append".to_owned()).spawn(move || {
            for (offset, batch) in batches {
                let result = write(&writes, offset, &batch);
                drop(batch);
                if done.send(result).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { file, to: Some(to), written, under_way: false, failed: false, thread: Some(thread) })
    }

    /// What was under way is written.
    fn settle(&mut self) -> io::Result<()> {
        if self.failed {
            return Err(io::Error::other("a former write to this file failed"));
        }
        if !std::mem::take(&mut self.under_way) {
            return Ok(());
        }
        self.failed = true;
        self.written.recv().map_err(|_| gone())??;
        self.failed = false;
        Ok(())
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
        self.settle()?;
        self.failed = true;
        self.to.as_ref().ok_or_else(gone)?.send((offset, filled)).map_err(|_| gone())?;
        (self.under_way, self.failed) = (true, false);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.settle()?;
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
