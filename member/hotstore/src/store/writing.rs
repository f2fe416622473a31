//! Appending to the open store, and making it durable.
//!
//! The law: appending never waits for the disk; what was not taken is said at once.
//! Must not know: maps.

use super::{Cadence, Phase, REWRITE_WAIT, Store, locked};
use crate::failure::StoreError;
use crate::log::appender;
use crate::log::queue::{Appended, Health, Ticket};
use crate::log::record::{Base, Record, Space, Version};
use std::time::Duration;

impl Store {
    /// Appends a record; never waits for the disk.
    pub fn append(&self, record: Record) -> Appended {
        self.queue.append(record)
    }

    /// Describes a space; must be appended before the first record of the space.
    pub fn append_space(&self, space: &Space) -> Result<Appended, StoreError> {
        Ok(self.queue.append(appender::describe(space)?))
    }

    /// Writes a partition whole from RAM: begin, copies, complete. Unlike `append` it may wait for the disk (at most
    /// [`REWRITE_WAIT`] at a time), so it is for threads that may wait and for content that does not change meanwhile; others
    /// append `Record::rewrite`, `copied` records and `Record::complete` themselves and come back later on `Busy`.
    /// Stops at the first record that is not taken and returns that answer.
    pub fn rewrite_partition(
        &self,
        partition: u16,
        version: Version,
        base: Base,
        records: impl IntoIterator<Item = Record>,
    ) -> Appended {
        let mut last = self.append(Record::rewrite(partition, base));
        for record in records {
            if last.ticket().is_none() {
                return last;
            }
            let record = record.copied();
            last = self.append(record.clone());
            if last == Appended::Busy && self.flush().and_then(|ticket| self.wait_durable(ticket, REWRITE_WAIT)).is_ok()
            {
                last = self.append(record);
            }
        }
        if last.ticket().is_none() { last } else { self.append(Record::complete(partition, version)) }
    }

    /// Asks that everything appended so far be made durable; with `Cadence::OnDemand` it is on return.
    pub fn flush(&self) -> Result<Ticket, StoreError> {
        let ticket = self.queue.want_all();
        if self.options.cadence == Cadence::OnDemand
            && let Some(appender) = locked(&self.appender).as_mut()
        {
            self.queue.pump(appender)?;
        }
        Ok(ticket)
    }

    /// Everything up to here is durable.
    pub fn durable_upto(&self) -> Ticket {
        self.queue.health().durable
    }

    /// Waits for a ticket, at most `bound`.
    pub fn wait_durable(&self, ticket: Ticket, bound: Duration) -> Result<(), StoreError> {
        self.queue.wait(ticket, bound)
    }

    /// How the writing side is.
    pub fn health(&self) -> Health {
        self.queue.health()
    }

    /// After a failed write or sync: carries everything not durable into a new file and goes on there.
    pub fn retry_in_new_file(&self) -> Result<(), StoreError> {
        let known = locked(&self.known);
        if let Some(appender) = locked(&self.appender).as_mut() {
            self.queue.retry(appender)?;
        }
        // The new file says that a seal which failed half way is void.
        if known.phase == Phase::Open {
            locked(&self.shelf).closed = false;
        }
        Ok(())
    }
}
