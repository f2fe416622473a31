//! Bounded reads: one SELECT over rows that are handed in, with DataFusion's own execution.
//!
//! Law: reads only; rows and memory have a limit, and a cut answer says that it is cut.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::datasource::MemTable;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};

use super::{SqlError, Statement, parse};

/// Most rows of an answer.
pub const MAX_BOUNDED_ROWS: usize = 100_000;
/// Memory of one query.
pub const MAX_BOUNDED_BYTES: usize = 256 * 1024 * 1024;

/// A table of a bounded query.
#[derive(Debug, Clone)]
pub struct BoundedTable {
    /// Name in the query.
    pub name: String,
    /// Columns.
    pub schema: SchemaRef,
    /// Rows.
    pub batches: Vec<RecordBatch>,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct BoundedRows {
    /// Columns.
    pub schema: SchemaRef,
    /// Rows.
    pub batches: Vec<RecordBatch>,
    /// There were more rows than the limit.
    pub truncated: bool,
}

/// Names of the tables that a SELECT reads, in order of their names.
pub fn bounded_tables(query: &str) -> Result<Vec<String>, SqlError> {
    let state = SessionContext::new().state();
    let dialect = state.config_options().sql_parser.dialect;
    let statement = state.sql_to_statement(query, &dialect).map_err(|error| SqlError::plan(query, error))?;
    let references = state.resolve_table_references(&statement).map_err(|error| SqlError::plan(query, error))?;
    let mut names: Vec<String> = references.iter().map(|reference| reference.table().to_string()).collect();
    names.sort();
    names.dedup();
    Ok(names)
}

/// Runs one SELECT over `tables`; at most `limit` rows come back. Needs a tokio runtime.
pub async fn run_bounded(query: &str, tables: Vec<BoundedTable>, limit: usize) -> Result<BoundedRows, SqlError> {
    let statements = parse(query)?;
    let [Statement::Select(query)] = statements.as_slice() else {
        return Err(SqlError::unsupported(
            "this statement as a query",
            "only one SELECT is run here",
            "write one SELECT",
        ));
    };
    let failed = |error| SqlError::plan(query, error);
    let runtime = RuntimeEnvBuilder::new().with_memory_limit(MAX_BOUNDED_BYTES, 1.0).build_arc().map_err(failed)?;
    let context = SessionContext::new_with_config_rt(SessionConfig::new().with_target_partitions(1), runtime);
    for table in tables {
        let memory = MemTable::try_new(table.schema, vec![table.batches]).map_err(failed)?;
        context.register_table(table.name.as_str(), Arc::new(memory)).map_err(failed)?;
    }
    let only_reads = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    let limit = limit.min(MAX_BOUNDED_ROWS);
    let frame = context.sql_with_options(query, only_reads).await.map_err(failed)?;
    let frame = frame.limit(0, Some(limit + 1)).map_err(failed)?;
    let schema: SchemaRef = Arc::new(frame.schema().as_arrow().clone());
    let mut batches = frame.collect().await.map_err(failed)?;
    let mut left = limit;
    let mut truncated = false;
    for batch in &mut batches {
        if batch.num_rows() > left {
            *batch = batch.slice(0, left);
            truncated = true;
        }
        left -= batch.num_rows();
    }
    batches.retain(|batch| batch.num_rows() > 0);
    Ok(BoundedRows { schema, batches, truncated })
}
