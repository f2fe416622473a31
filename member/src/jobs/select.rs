//! A bounded SELECT: the maps that it names, read from all primaries, then run once.
//!
//! Law: reads only, with a bound on bytes and rows that is said when it is met; doors are asked as for any client. Must
//! not know: jobs, but for the mappings that they brought.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use bytes::Bytes;
use jet_admin_api::map::{SqlQuery, SqlRows};
use jet_admin_api::refusal::{Code, Refusal};
use jet_core::Machine;
use jet_engine::MapSink;
use jet_engine::operators::entry::rows;
use jet_engine::sql::{BoundedRows, BoundedTable, Mapping, Statement, bounded_tables, map_of, parse, run_bounded};
use jet_map::Requester;
use tokio::runtime::Handle;

use super::submit::known_mappings;
use crate::map::MapService;

/// Bytes of one map that one SELECT reads.
const MOST_BYTES: usize = 256 << 20;
/// Columns of a map that has no mapping.
const KEY: &str = "__key";
const THIS: &str = "this";

/// Runs it.
pub(super) async fn run(maps: MapService, machine: Arc<Machine>, query: SqlQuery) -> Result<SqlRows, Refusal> {
    let (mappings, text) = read(&query.sql, known_mappings(&machine))?;
    let mut tables = Vec::new();
    for name in bounded_tables(&text).map_err(bad_sql)? {
        tables.push(table(&maps, &mappings, name).await?);
    }
    let limit = query.limit as usize;
    // Planning and running are work for a processor: not for the threads that keep connections alive.
    let handle = Handle::current();
    let ran = tokio::task::spawn_blocking(move || handle.block_on(run_bounded(&text, tables, limit))).await;
    let found =
        ran.map_err(|error| Refusal::new(Code::Internal, format!("the query ended: {error}")))?.map_err(bad_sql)?;
    cells(&found)
}

fn bad_sql(error: impl std::fmt::Display) -> Refusal {
    Refusal::new(Code::BadSql, error.to_string())
}

/// Mappings and the one SELECT of a script.
fn read(script: &str, mut mappings: Vec<Mapping>) -> Result<(Vec<Mapping>, String), Refusal> {
    let mut select = None;
    for statement in parse(script).map_err(bad_sql)? {
        match statement {
            Statement::CreateMapping(mapping) => {
                mappings.retain(|older| older.name != mapping.name);
                mappings.push(mapping);
            }
            Statement::Select(text) if select.is_none() => select = Some(text),
            Statement::Select(_) => {
                return Err(bad_sql("there is a second SELECT in it: one at a time is run here; ask twice"));
            }
            Statement::CreateJob(_) => {
                return Err(Refusal::new(Code::BadSql, "CREATE JOB is not run as a query")
                    .hint("submit it: jet submit, or POST /v1/jobs"));
            }
        }
    }
    let select = select.ok_or_else(|| bad_sql("there is no SELECT in it, and nothing else is run here; write one"))?;
    Ok((mappings, select))
}

async fn table(maps: &MapService, mappings: &[Mapping], name: String) -> Result<BoundedTable, Refusal> {
    let mapping = mappings
        .iter()
        .rev()
        .find(|mapping| mapping.name == name)
        .map(|mapping| map_of(mapping).map_err(bad_sql))
        .transpose()?;
    let map = mapping.as_ref().map_or(&name, |mapping| &mapping.map).clone();
    let mut entries = maps.scan(Requester::Client, &map, MOST_BYTES).await.map_err(|why| maps.told(why))?;
    entries.sort_unstable();
    let batch = match &mapping {
        Some(MapSink { schema, key, .. }) => {
            let found = rows(schema, key, entries.iter().map(|(key, value)| (key.as_ref(), value.as_ref())));
            found.map_err(|error| {
                Refusal::new(Code::BadSql, format!("map '{map}' has entries that are not of mapping '{name}': {error}"))
            })?
        }
        None => texts(&entries)?,
    };
    Ok(BoundedTable { name, schema: batch.schema(), batches: vec![batch] })
}

/// Keys and values as they are.
fn texts(entries: &[(Bytes, Bytes)]) -> Result<RecordBatch, Refusal> {
    let schema: SchemaRef =
        Arc::new(Schema::new(vec![Field::new(KEY, DataType::Utf8, false), Field::new(THIS, DataType::Utf8, false)]));
    let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
    let keys: StringArray = entries.iter().map(|(key, _)| Some(text(key))).collect();
    let values: StringArray = entries.iter().map(|(_, value)| Some(text(value))).collect();
    let columns: Vec<ArrayRef> = vec![Arc::new(keys), Arc::new(values)];
    RecordBatch::try_new(schema, columns).map_err(bad_sql)
}

fn cells(found: &BoundedRows) -> Result<SqlRows, Refusal> {
    let columns: Vec<String> = found.schema.fields().iter().map(|field| field.name().clone()).collect();
    let options = FormatOptions::default();
    let mut all = Vec::new();
    for batch in &found.batches {
        let formatters = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &options))
            .collect::<Result<Vec<_>, _>>()
            .map_err(bad_sql)?;
        for row in 0..batch.num_rows() {
            let cell = |(column, formatter): (&ArrayRef, &ArrayFormatter<'_>)| {
                (!column.is_null(row)).then(|| formatter.value(row).to_string())
            };
            all.push(batch.columns().iter().zip(&formatters).map(cell).collect());
        }
    }
    Ok(SqlRows { columns, rows: all, truncated: found.truncated })
}
