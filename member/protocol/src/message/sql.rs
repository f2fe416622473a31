//! Statements and their pages.
//!
//! Must not know: SQL.

use crate::data::Data;
use crate::fields::Text;
use crate::sql_page::SqlPage;
use crate::structure::{SqlColumnMetadata, SqlError, SqlQueryId};

/// What [`execute::Request::expected_result`] asks for.
pub mod expected_result {
    /// Rows or a count.
    pub const ANY: i8 = 0;
    /// Rows.
    pub const ROWS: i8 = 1;
    /// A count.
    pub const UPDATE_COUNT: i8 = 2;
}

/// [`execute::Answer::update_count`] of a statement that has rows.
pub const ROWS: i64 = -1;

messages! { "sql":
    /// A query is not read any further.
    Close close = 0x210300: ([] (query: SqlQueryId)) => ([] ());
    /// A statement; answered with its first rows, a count or an error.
    Execute execute = 0x210400:
        ([timeout_millis: i64, cursor_buffer: i32, expected_result: i8]
         (sql: Text, parameters: Vec<Option<Data>>, schema: Option<Text>, query: SqlQueryId)
         + [skip_statistics: bool] ())
        => ([update_count: i64]
            (columns: Option<Vec<SqlColumnMetadata>>, page: Option<SqlPage>, error: Option<SqlError>)
            + [infinite: bool, partition_argument: i32] ());
    /// The next rows.
    Fetch fetch = 0x210500:
        ([cursor_buffer: i32] (query: SqlQueryId)) => ([] (page: Option<SqlPage>, error: Option<SqlError>));
    /// The statement that would make a mapping for a map.
    MappingDdl mapping_ddl = 0x210600: ([] (name: Text)) => ([] (sql: Option<Text>));
}
