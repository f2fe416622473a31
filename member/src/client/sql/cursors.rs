//! Rows that wait to be fetched.
//!
//! Law: rows are given once and in order; those of a statement wait as long as somebody fetches them, and all together
//! have a bound. Must not know: statements.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arrow::array::RecordBatch;
use jet_protocol::sql_page::SqlPage;
use jet_protocol::structure::SqlQueryId;

use super::failure::{Failure, code};
use super::rows;
use crate::clock::Moment;

/// Statements whose rows wait.
const OPEN_MOST: usize = 256;
/// Bytes of rows that wait.
const WAITING_MOST: usize = 256 << 20;
/// Rows that nobody fetches are let go after so long.
const IDLE: Duration = Duration::from_secs(120);

/// All that wait at this member.
#[derive(Default)]
pub struct Cursors {
    open: Mutex<HashMap<(i64, i64), Cursor>>,
}

struct Cursor {
    rows: RecordBatch,
    at: usize,
    fetched: Moment,
}

/// By what a statement is known here.
fn key(query: &SqlQueryId) -> (i64, i64) {
    (query.local_high, query.local_low)
}

impl Cursors {
    fn open_now(&self) -> MutexGuard<'_, HashMap<(i64, i64), Cursor>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first page; what is left waits.
    pub fn open(&self, query: SqlQueryId, rows: RecordBatch, most: usize) -> Result<SqlPage, Failure> {
        let (page, count) = rows::page(&rows, 0, most).map_err(|error| Failure::new(code::GENERIC, error))?;
        if page.last {
            return Ok(page);
        }
        let now = Moment::now();
        let mut open = self.open_now();
        open.retain(|_, cursor| now.since(cursor.fetched) < IDLE);
        let waiting: usize = open.values().map(|cursor| cursor.rows.get_array_memory_size()).sum();
        if open.len() >= OPEN_MOST || waiting.saturating_add(rows.get_array_memory_size()) > WAITING_MOST {
            let why =
                "too many rows of statements wait to be fetched at this member: fetch or close them, or ask for fewer";
            return Err(Failure::new(code::GENERIC, why));
        }
        open.insert(key(&query), Cursor { rows, at: count, fetched: now });
        Ok(page)
    }

    /// The next page.
    pub fn next(&self, query: &SqlQueryId, most: usize) -> Result<SqlPage, Failure> {
        let mut open = self.open_now();
        let gone =
            || Failure::new(code::CANCELLED, "the rows of this statement are not kept any more: execute it again");
        let cursor = open.get_mut(&key(query)).ok_or_else(gone)?;
        let (page, count) =
            rows::page(&cursor.rows, cursor.at, most).map_err(|error| Failure::new(code::GENERIC, error))?;
        cursor.at += count;
        cursor.fetched = Moment::now();
        if page.last {
            open.remove(&key(query));
        }
        Ok(page)
    }

    /// What is left is not wanted.
    pub fn close(&self, query: &SqlQueryId) {
        self.open_now().remove(&key(query));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::Int64Array;
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;

    fn rows(count: i64) -> RecordBatch {
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
        RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from_iter_values(0..count))]).unwrap()
    }

    fn query(n: i64) -> SqlQueryId {
        SqlQueryId { member_high: 0, member_low: 0, local_high: n, local_low: 0 }
    }

    #[test]
    fn rows_are_given_once_and_in_order_and_are_gone_with_the_last() {
        let cursors = Cursors::default();
        assert!(!cursors.open(query(1), rows(10), 4).unwrap().last);
        assert!(cursors.open(query(2), rows(4), 4).unwrap().last);
        let pages = [cursors.next(&query(1), 4).unwrap(), cursors.next(&query(1), 4).unwrap()];
        assert_eq!(pages.map(|page| (page.columns[0].rows(), page.last)), [(4, false), (2, true)]);
        assert_eq!(cursors.next(&query(1), 4).unwrap_err().code, code::CANCELLED);
        assert_eq!(cursors.next(&query(2), 4).unwrap_err().code, code::CANCELLED);
    }

    #[test]
    fn rows_that_wait_are_bounded_and_closed() {
        let cursors = Cursors::default();
        for n in 0..OPEN_MOST as i64 {
            cursors.open(query(n), rows(2), 1).unwrap();
        }
        assert!(cursors.open(query(-1), rows(2), 1).is_err());
        cursors.close(&query(0));
        assert!(cursors.open(query(-1), rows(2), 1).is_ok());
    }
}
