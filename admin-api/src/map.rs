//! Maps and bounded SQL for people and tests, until and beside the client protocol.
//!
//! Law: served only with open doors, refused at once otherwise. Must not know: partitions.

use serde::{Deserialize, Serialize};

/// `POST /v1/sql`: a bounded `SELECT … FROM map`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SqlQuery {
    /// One statement.
    pub sql: String,
    /// Rows at most; the answer says when there were more.
    #[serde(default = "default_limit")]
    pub limit: u32,
}

fn default_limit() -> u32 {
    10_000
}

/// Rows as text cells; `None` is NULL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SqlRows {
    /// Column names.
    pub columns: Vec<String>,
    /// Rows.
    pub rows: Vec<Vec<Option<String>>>,
    /// There were more than the limit.
    pub truncated: bool,
}

/// `PUT /v1/maps/{map}/entries/{key}` body, and the `GET` answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Value; `None` in an answer: no such key.
    pub value: Option<String>,
}
