//! SQL of clients: statements to maps, mappings and jobs, and rows that are fetched in pages.
//!
//! Laws. *The engine's dialect*: a statement is read, planned and run by the engine, and a job is made, stopped and ended as
//! by any other caller. *A mapping that is made is kept*, as entries are, until it is dropped. *A whole answer or an
//! error*: rows are never left out; beyond a bound the statement is refused. *Rows that wait are bounded*: in bytes, in
//! number, and in how long nobody fetches them. Must not know: frames, how jobs run.
//!
//! [`tables`] maps as rows · [`rows`] rows as pages · [`cursors`] rows that wait · [`failure`] errors as SQL has them.

pub mod cursors;
pub mod failure;
pub mod rows;
pub mod tables;

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{RecordBatch, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema};
use bytes::Bytes;
use jet_admin_api::job::SubmitJob;
use jet_core::{Command, Outcome};
use jet_engine::operators::entry;
use jet_engine::sql::{
    BoundedTable, Control, MAX_BOUNDED_ROWS, Mapping, Statement, bind, bounded_tables, control, literal, map_of, parse,
    run_bounded,
};
use jet_protocol::data::Data;
use jet_protocol::message::sql::{ROWS, close, execute, expected_result, fetch, mapping_ddl};
use jet_protocol::sql_page::SqlPage;
use jet_protocol::structure::SqlError;
use jet_query::Item;
use tokio::sync::Semaphore;

use self::cursors::Cursors;
use self::failure::{Failure, code};
use self::tables::Columns;
use super::fault::Fault;
use super::maps::Maps;
use super::queries::Queries;
use crate::cluster::Node;
use crate::jobs::known_mappings;
use crate::ports::{Cluster, Jobs};

/// Mappings, by name.
const KEPT: &str = "__clients.mappings";
/// Bytes of all mappings.
const MAPPINGS_MOST: usize = 8 << 20;
/// Bytes of one map that one statement reads.
const READ_MOST: usize = 256 << 20;
/// Statements that read maps at a time.
const AT_A_TIME: usize = 1;
/// A statement that says no time is given so much, and none is given more.
const WITHIN: Duration = Duration::from_secs(100);

/// Statements of clients. Cheap to clone.
#[derive(Clone)]
pub struct Sql {
    maps: Maps,
    queries: Queries,
    node: Arc<Node>,
    jobs: Arc<dyn Jobs>,
    cursors: Arc<Cursors>,
    turns: Arc<Semaphore>,
}

/// What a statement did.
enum Done {
    Rows(RecordBatch),
    /// It has no rows.
    So,
}

impl Sql {
    /// To these.
    pub fn new(maps: Maps, queries: Queries, node: Arc<Node>, jobs: Arc<dyn Jobs>) -> Self {
        Self { maps, queries, node, jobs, cursors: Arc::default(), turns: Arc::new(Semaphore::new(AT_A_TIME)) }
    }

    /// A statement; its first rows.
    pub async fn execute(self, ask: execute::Request) -> Result<execute::Answer, Fault> {
        let within = u64::try_from(ask.timeout_millis).ok().filter(|millis| *millis > 0);
        let within = within.map_or(WITHIN, Duration::from_millis).min(WITHIN);
        let done = match tokio::time::timeout(within, self.done(&ask)).await {
            Ok(done) => done,
            Err(_) => Err(Failure::new(code::TIMEOUT, format!("the statement was not done within {within:?}"))),
        };
        let answered = done.and_then(|done| self.first_page(&ask, done));
        Ok(answered.unwrap_or_else(|failure| execute::Answer {
            update_count: ROWS,
            columns: None,
            page: None,
            error: Some(self.error(failure)),
            infinite: Some(false),
            partition_argument: Some(-1),
        }))
    }

    fn first_page(&self, ask: &execute::Request, done: Done) -> Result<execute::Answer, Failure> {
        let wrong = |what: &str| Err(Failure::new(code::GENERIC, format!("the statement {what}")));
        let answer = |update_count, columns, page| execute::Answer {
            update_count,
            columns,
            page,
            error: None,
            infinite: Some(false),
            partition_argument: Some(-1),
        };
        match done {
            Done::So if ask.expected_result == expected_result::ROWS => wrong("has no rows"),
            Done::So => Ok(answer(0, None, None)),
            Done::Rows(_) if ask.expected_result == expected_result::UPDATE_COUNT => wrong("has rows, and no count"),
            Done::Rows(batch) => {
                let columns = rows::metadata(batch.schema_ref());
                let page = self.cursors.open(ask.query.clone(), batch, most(ask.cursor_buffer))?;
                Ok(answer(ROWS, Some(columns), Some(page)))
            }
        }
    }

    /// The next rows.
    pub async fn fetch(self, ask: fetch::Request) -> Result<fetch::Answer, Fault> {
        let page: Result<SqlPage, Failure> = self.cursors.next(&ask.query, most(ask.cursor_buffer));
        Ok(match page {
            Ok(page) => fetch::Answer { page: Some(page), error: None },
            Err(failure) => fetch::Answer { page: None, error: Some(self.error(failure)) },
        })
    }

    /// No more rows are wanted.
    pub fn close(&self, ask: &close::Request) -> close::Answer {
        self.cursors.close(&ask.query);
        close::Answer {}
    }

    /// The statement that made a mapping, if there is one of the name.
    pub async fn mapping_ddl(self, ask: mapping_ddl::Request) -> Result<mapping_ddl::Answer, Fault> {
        let known = self.mappings().await.map_err(|failure| failure.fault())?;
        let found = known.iter().find(|mapping| mapping.name == *ask.name);
        Ok(mapping_ddl::Answer { sql: found.map(|mapping| mapping.ddl().into()) })
    }

    fn error(&self, failure: Failure) -> SqlError {
        let Failure { code, message } = failure;
        SqlError { code, member: self.node.me().0, message: Some(message.into()), suggestion: None, cause: None }
    }

    async fn done(&self, ask: &execute::Request) -> Result<Done, Failure> {
        let values: Vec<String> =
            ask.parameters.iter().map(|value| parameter(value.as_ref())).collect::<Result<_, _>>()?;
        let script = bind(&ask.sql, &values)?;
        if let Some(control) = control(&script)? {
            return self.control(control).await;
        }
        let statements = parse(&script)?;
        if statements.iter().any(|statement| matches!(statement, Statement::CreateJob(_))) {
            return self.submit(script).await;
        }
        self.select(statements).await
    }

    async fn control(&self, control: Control) -> Result<Done, Failure> {
        match control {
            Control::CreateMapping { mapping, replace, if_absent } => {
                let known = self.mappings().await?.into_iter().any(|known| known.name == mapping.name);
                match known && !replace {
                    true if if_absent => Ok(Done::So),
                    true => Err(Failure::new(
                        code::GENERIC,
                        format!("mapping '{}' exists: CREATE OR REPLACE it", mapping.name),
                    )),
                    false => {
                        let kept = serde_json::to_vec(&mapping).map_err(|error| Failure::new(code::GENERIC, error))?;
                        self.maps.keep(KEPT, Bytes::from(mapping.name), Bytes::from(kept)).await?;
                        Ok(Done::So)
                    }
                }
            }
            Control::DropMapping { name, if_there } => {
                let kept = self.maps.at(KEPT, Bytes::from(name.clone())).await?;
                match kept {
                    None if !if_there => Err(unknown("mapping", &name)),
                    None => Ok(Done::So),
                    Some(_) => {
                        self.maps.forget(KEPT, Bytes::from(name)).await.map(|()| Done::So).map_err(Failure::from)
                    }
                }
            }
            Control::DropJob { name, if_there } => {
                let there = self.node.machine().jobs.values().any(|job| job.name == name && !job.ended());
                if if_there && !there { Ok(Done::So) } else { self.propose(Command::Cancel { name }).await }
            }
            Control::Suspend(name) => self.propose(Command::Suspend { name }).await,
            Control::Resume(name) => self.propose(Command::Resume { name }).await,
            Control::ShowJobs => {
                let machine = self.node.machine();
                let mut names: Vec<String> =
                    machine.jobs.values().filter(|job| !job.ended()).map(|job| job.name.clone()).collect();
                names.sort_unstable();
                Ok(Done::Rows(named(names)?))
            }
            Control::ShowMappings => {
                let names = self.mappings().await?.into_iter().map(|mapping| mapping.name).collect();
                Ok(Done::Rows(named(names)?))
            }
        }
    }

    /// A job, with the mappings that are kept and that it names.
    async fn submit(&self, script: String) -> Result<Done, Failure> {
        let kept = self.kept().await?;
        let named = kept.iter().filter(|mapping| script.contains(mapping.name.as_str()));
        let mut sql: String = named.map(|mapping| format!("{};\n", mapping.ddl())).collect();
        sql.push_str(&script);
        let command = self.jobs.plan(SubmitJob { name: String::new(), sql, snapshot_interval_ms: None }).await?;
        self.propose(command).await
    }

    async fn propose(&self, command: Command) -> Result<Done, Failure> {
        match Cluster::propose(self.node.clone(), command).await {
            Ok(Outcome::Done { .. }) => Ok(Done::So),
            Ok(Outcome::Refused(refused)) => Err(Failure::new(code::GENERIC, refused)),
            Err(error) => Err(Failure::new(code::CONNECTION, error)),
        }
    }

    /// Mappings and the one `SELECT` of a script.
    async fn select(&self, statements: Vec<Statement>) -> Result<Done, Failure> {
        let (mut mappings, mut select) = (self.mappings().await?, None);
        for statement in statements {
            match statement {
                Statement::CreateMapping(mapping) => put(&mut mappings, mapping),
                Statement::Select(text) if select.is_none() => select = Some(text),
                _ => {
                    return Err(Failure::new(
                        code::PARSING,
                        "there is a second SELECT in it: one at a time is run; ask twice",
                    ));
                }
            }
        }
        let select = select.ok_or_else(|| {
            Failure::new(code::PARSING, "there is no statement in it, or mappings alone: make them one by one")
        })?;
        let ends = |_| Failure::new(code::GENERIC, "this member ends");
        let turn = self.turns.clone().acquire_owned().await.map_err(ends)?;
        let mut tables = Vec::new();
        for name in bounded_tables(&select)? {
            let mapping = mappings.iter().find(|mapping| mapping.name == name);
            let mapping = mapping.ok_or_else(|| unknown("mapping", &name))?;
            let batch = self.table(mapping).await?;
            tables.push(BoundedTable { name, schema: batch.schema(), batches: vec![batch] });
        }
        // Planning and running are work for a processor: not for the threads that keep connections alive. Who does not wait
        // any more does not end it, so that the turn is over with it and it has a time of its own.
        let handle = tokio::runtime::Handle::current();
        let ran = tokio::task::spawn_blocking(move || {
            let ran = handle.block_on(tokio::time::timeout(WITHIN, run_bounded(&select, tables, MAX_BOUNDED_ROWS)));
            drop(turn);
            ran
        });
        let late = |_| Failure::new(code::TIMEOUT, format!("the statement was not done within {WITHIN:?}"));
        let found = ran.await.map_err(|error| Failure::new(code::GENERIC, error))?.map_err(late)??;
        if found.truncated {
            let why = format!("the answer has more than {MAX_BOUNDED_ROWS} rows: ask for some of them");
            return Err(Failure::new(code::GENERIC, why));
        }
        let rows = concat_batches(&found.schema, &found.batches).map_err(|error| Failure::new(code::GENERIC, error))?;
        Ok(Done::Rows(rows))
    }

    async fn table(&self, mapping: &Mapping) -> Result<RecordBatch, Failure> {
        let sink = map_of(mapping)?;
        let of_data = |error: &dyn std::fmt::Display| {
            let why = format!("map '{}' has entries that are not of mapping '{}': {error}", sink.map, mapping.name);
            Failure::new(code::DATA, why)
        };
        if mapping.is_of_clients() {
            let columns = Columns::of(sink.schema.clone()).map_err(|error| of_data(&error))?;
            let parts = self.queries.rows(&sink.map, &columns, READ_MOST).await?;
            return columns.batch(parts).map_err(|error| of_data(&error));
        }
        self.maps.named(&sink.map)?;
        let mut entries = self.maps.entries(&sink.map, READ_MOST).await?;
        entries.sort_unstable();
        let bytes = entries.iter().map(|(key, value)| (&key[..], &value[..]));
        entry::rows(&sink.schema, &sink.key, bytes).map_err(|error| of_data(&error))
    }

    /// All that can be read: those that jobs brought, and before them those that are kept.
    async fn mappings(&self) -> Result<Vec<Mapping>, Failure> {
        let mut known = known_mappings(&self.node.machine());
        self.kept().await?.into_iter().for_each(|mapping| put(&mut known, mapping));
        known.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(known)
    }

    async fn kept(&self) -> Result<Vec<Mapping>, Failure> {
        let kept = self.maps.entries(KEPT, MAPPINGS_MOST).await?;
        let read = kept.iter().map(|(_, mapping)| serde_json::from_slice(mapping));
        read.collect::<Result<_, _>>().map_err(|error| Failure::new(code::GENERIC, error))
    }
}

/// In the place of one of its name.
fn put(mappings: &mut Vec<Mapping>, mapping: Mapping) {
    mappings.retain(|other| other.name != mapping.name);
    mappings.push(mapping);
}

fn unknown(what: &str, name: &str) -> Failure {
    Failure::new(
        code::UNKNOWN,
        format!("there is no {what} '{name}': SHOW MAPPINGS and SHOW JOBS name those that are there"),
    )
}

fn named(names: Vec<String>) -> Result<RecordBatch, Failure> {
    let schema = Arc::new(Schema::new(vec![Field::new("name", DataType::Utf8, false)]));
    let column = Arc::new(StringArray::from(names));
    RecordBatch::try_new(schema, vec![column]).map_err(|error| Failure::new(code::GENERIC, error))
}

fn most(cursor_buffer: i32) -> usize {
    usize::try_from(cursor_buffer).unwrap_or(1)
}

/// A value that a client gives to a statement, in words.
fn parameter(data: Option<&Data>) -> Result<String, Failure> {
    let Some(data) = data else { return Ok(literal(None)) };
    match Item::of(data).map_err(|error| Failure::new(code::DATA, error))? {
        Item::Null => Ok(literal(None)),
        Item::Boolean(yes) => Ok(yes.to_string()),
        Item::Number(number) => Ok(format!("({})", number.text())),
        Item::Text(text) | Item::Json(text) => Ok(literal(Some(&text))),
        Item::Char(unit) => Ok(literal(Some(&String::from_utf16_lossy(&[unit])))),
        Item::Uuid(uuid) => Ok(literal(Some(&uuid.to_string()))),
        other => Err(Failure::new(
            code::DATA,
            format!("{} as a parameter is not offered: give a number or a text", other.kind()),
        )),
    }
}

#[cfg(test)]
mod tests {
    use jet_protocol::data::Value;

    use super::*;

    #[test]
    fn a_parameter_is_one_value_in_words() {
        let words = |value: Value| parameter(Some(&value.data())).unwrap();
        assert_eq!(words(Value::Long(-2)), "(-2)");
        assert_eq!(words(Value::Double(1e10)), "(1.0E10)");
        assert_eq!(words(Value::String("a' OR '1'='1".into())), "'a'' OR ''1''=''1'");
        assert_eq!((words(Value::Boolean(true)), parameter(None).unwrap()), ("true".into(), "NULL".into()));
        assert!(parameter(Some(&Data::new(-1, &[]))).is_err());
    }
}
