//! The plan of a job: made once by the leader, shipped as text with facts and fingerprints.
//!
//! A physical expression of DataFusion is not shipped (that would need its protobuf crate); members
//! plan the same text again and compare fingerprints. Law: a member whose program would differ in any
//! visible way refuses; nothing about a file is looked up again after the plan was made.

use std::collections::BTreeMap;
use std::io::Read;

use serde::{Deserialize, Serialize};

use super::lower::{Lowered, lower};
use super::statement::CreateJob;
use super::{Mapping, MappingKind, SqlError, Statement, parse};
use crate::ENGINE_VERSION;
use crate::operators::file::{HEAD_BYTES, split};
use crate::operators::program::{DEFAULT_RANGES, FileSpec, GeneratorSpec, MAX_RANGES, Program, SourceSpec};

/// Snapshot interval unless an option says otherwise.
pub const DEFAULT_SNAPSHOT_INTERVAL_MS: u64 = 1000;
const SNAPSHOT_INTERVAL_MS: std::ops::RangeInclusive<u64> = 50..=3_600_000;
const MAX_KEYS: u64 = 1 << 40;
const MAX_PAYLOAD: usize = 64 * 1024;

/// Options of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobOptions {
    /// How often the leader opens an epoch.
    pub snapshot_interval_ms: u64,
}

/// A job as the machine keeps and ships it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobPlan {
    /// Name of the job.
    pub name: String,
    /// Engine that made the plan.
    pub engine: String,
    /// The script as written, for people.
    pub script: String,
    /// The query.
    pub query: String,
    /// Columns named after the sink.
    pub sink_columns: Vec<String>,
    /// Mapping that is read.
    pub source: Mapping,
    /// Mapping that is written.
    pub sink: Mapping,
    /// Source with the facts of the moment.
    pub source_spec: SourceSpec,
    /// Options.
    pub options: JobOptions,
    /// Of the whole program: members compare it.
    pub fingerprint: String,
    /// Of the state's schema: a snapshot fits a plan with the same one.
    pub state_fingerprint: String,
}

/// What the planner must know about a file.
#[derive(Debug, Clone)]
pub struct FileFacts {
    /// Length in bytes.
    pub length: u64,
    /// The first bytes, at most [`HEAD_BYTES`].
    pub head: Vec<u8>,
}

/// Looks at files while a plan is made.
pub trait LookAtFiles {
    /// Length and head of a file.
    fn look(&self, path: &str) -> Result<FileFacts, String>;
}

/// Files of this machine.
#[derive(Debug, Clone, Copy)]
pub struct DiskFiles;

impl LookAtFiles for DiskFiles {
    fn look(&self, path: &str) -> Result<FileFacts, String> {
        let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
        let facts = file.metadata().map_err(|error| error.to_string())?;
        if !facts.is_file() {
            return Err("is not a regular file".into());
        }
        let mut head = Vec::new();
        file.take(HEAD_BYTES as u64).read_to_end(&mut head).map_err(|error| error.to_string())?;
        Ok(FileFacts { length: facts.len(), head })
    }
}

/// Plans the one job of a script. `known` are mappings created earlier.
pub fn plan_job(script: &str, known: &[Mapping], files: &dyn LookAtFiles) -> Result<JobPlan, SqlError> {
    let mut mappings: BTreeMap<String, Mapping> = known.iter().map(|m| (m.name.clone(), m.clone())).collect();
    let mut job = None;
    for statement in parse(script)? {
        match statement {
            Statement::CreateMapping(mapping) => {
                mappings.insert(mapping.name.clone(), mapping);
            }
            Statement::CreateJob(_) if job.is_some() => {
                return Err(SqlError::unsupported(
                    "a second CREATE JOB in one script",
                    "a script makes one job",
                    "submit them one by one",
                ));
            }
            Statement::CreateJob(found) => job = Some(found),
            Statement::Select(_) => {
                return Err(SqlError::unsupported(
                    "SELECT in the script of a job",
                    "its rows would go nowhere",
                    "run it by itself",
                ));
            }
        }
    }
    let job = job.ok_or_else(|| {
        SqlError::unsupported(
            "a script without CREATE JOB",
            "there is nothing in it to run",
            "write CREATE JOB name AS INSERT INTO map SELECT …",
        )
    })?;
    plan_one(script, job, &mappings, files)
}

fn plan_one(
    script: &str,
    job: CreateJob,
    mappings: &BTreeMap<String, Mapping>,
    files: &dyn LookAtFiles,
) -> Result<JobPlan, SqlError> {
    let options = job_options(&job)?;
    let sink = mappings.get(&job.sink).cloned().ok_or_else(|| SqlError::Unknown {
        kind: "mapping",
        name: job.sink.clone(),
        way_out: "create it: CREATE MAPPING name (key …, …) TYPE Map".into(),
    })?;
    let source_name = super::lower::source_of(&job.query, mappings)?;
    let source = mappings[&source_name].clone();
    let source_spec = source_spec(&source, files)?;
    let Lowered { fingerprint, state_fingerprint, .. } =
        lower(&job.query, &source, &source_spec, &sink, &job.sink_columns)?;
    Ok(JobPlan {
        name: job.name,
        engine: ENGINE_VERSION.into(),
        script: script.into(),
        query: job.query,
        sink_columns: job.sink_columns,
        source,
        sink,
        source_spec,
        options,
        fingerprint,
        state_fingerprint,
    })
}

/// Turns a shipped plan into a program, and refuses one that would be another here.
pub fn compile(plan: &JobPlan) -> Result<Program, SqlError> {
    let differs = |what, theirs: &str, ours: &str| SqlError::Fingerprint {
        job: plan.name.clone(),
        what,
        theirs: theirs.into(),
        ours: ours.into(),
    };
    if plan.engine != ENGINE_VERSION {
        return Err(differs("the engine", &plan.engine, ENGINE_VERSION));
    }
    let lowered = lower(&plan.query, &plan.source, &plan.source_spec, &plan.sink, &plan.sink_columns)?;
    if lowered.fingerprint != plan.fingerprint {
        return Err(differs("the program", &plan.fingerprint, &lowered.fingerprint));
    }
    if lowered.state_fingerprint != plan.state_fingerprint {
        return Err(differs("the state's schema", &plan.state_fingerprint, &lowered.state_fingerprint));
    }
    Ok(lowered.program)
}

fn job_options(job: &CreateJob) -> Result<JobOptions, SqlError> {
    let owner = format!("job '{}'", job.name);
    let mut options = JobOptions { snapshot_interval_ms: DEFAULT_SNAPSHOT_INTERVAL_MS };
    for (name, value) in &job.options {
        match name.as_str() {
            "snapshot-interval" => {
                let ms = duration_ms(value).filter(|ms| SNAPSHOT_INTERVAL_MS.contains(ms));
                options.snapshot_interval_ms =
                    ms.ok_or_else(|| SqlError::option(&owner, name, value, "write 50ms to 1h, e.g. 500ms, 1s, 5m"))?;
            }
            "guarantee" if value.eq_ignore_ascii_case("exactly-once") => {}
            "guarantee" => {
                return Err(SqlError::option(
                    &owner,
                    name,
                    value,
                    "every job is exactly-once; write that or leave it out",
                ));
            }
            _ => {
                let way_out = "a job takes snapshot-interval and guarantee".into();
                return Err(SqlError::Unknown { kind: "option", name: name.clone(), way_out });
            }
        }
    }
    Ok(options)
}

fn duration_ms(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let unit = match text[digits..].trim() {
        "" | "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.checked_mul(unit)
}

fn source_spec(source: &Mapping, files: &dyn LookAtFiles) -> Result<SourceSpec, SqlError> {
    let ranges = source.number::<u32>("ranges")?.unwrap_or(DEFAULT_RANGES);
    if !(1..=MAX_RANGES).contains(&ranges) {
        return Err(SqlError::option(&source.owner(), "ranges", &ranges.to_string(), format!("1 to {MAX_RANGES}")));
    }
    match source.kind {
        MappingKind::Generator => generator_spec(source, ranges).map(SourceSpec::Generator),
        MappingKind::File => file_spec(source, ranges, files).map(SourceSpec::File),
        MappingKind::Map => Err(SqlError::unsupported(
            format!("map '{}' as a source of a job", source.name),
            "maps keep no journal yet that could be replayed",
            "read a File or a Generator; read a map by a plain SELECT",
        )),
    }
}

fn generator_spec(source: &Mapping, ranges: u32) -> Result<GeneratorSpec, SqlError> {
    let types: Vec<&str> = source.columns.iter().map(|column| column.sql_type.as_str()).collect();
    if !matches!(types.as_slice(), ["BIGINT", "BIGINT"] | ["BIGINT", "BIGINT", "VARCHAR" | "TEXT" | "STRING"]) {
        return Err(SqlError::unsupported(
            format!("columns of {}", source.owner()),
            "a generator gives a key and a number, and a text if asked",
            "write (key BIGINT, number BIGINT) or (key BIGINT, number BIGINT, payload VARCHAR), or no columns",
        ));
    }
    let keys = source.number::<u64>("keys")?.unwrap_or(1000);
    if !(1..=MAX_KEYS).contains(&keys) {
        return Err(SqlError::option(&source.owner(), "keys", &keys.to_string(), format!("1 to {MAX_KEYS}")));
    }
    let payload = source.number::<usize>("payload")?.unwrap_or(0);
    if payload > MAX_PAYLOAD {
        return Err(SqlError::option(
            &source.owner(),
            "payload",
            &payload.to_string(),
            format!("at most {MAX_PAYLOAD} bytes"),
        ));
    }
    Ok(GeneratorSpec { keys, count: source.number("count")?, lanes: ranges, rate: source.rate()?, payload })
}

fn file_spec(source: &Mapping, ranges: u32, files: &dyn LookAtFiles) -> Result<FileSpec, SqlError> {
    let owner = source.owner();
    let option = |name: &str| source.options.get(name).map(String::as_str);
    let path =
        option("path").ok_or_else(|| SqlError::option(&owner, "path", "", "a path that every member can read"))?;
    if let Some(format) = option("format").filter(|format| !format.eq_ignore_ascii_case("csv")) {
        return Err(SqlError::option(&owner, "format", format, "only csv is read"));
    }
    let flag = |name: &str, default: bool| match option(name) {
        None => Ok(default),
        Some("true") => Ok(true),
        Some("false") => Ok(false),
        Some(other) => Err(SqlError::option(&owner, name, other, "true or false")),
    };
    let delimiter = match option("delimiter").unwrap_or(",").as_bytes() {
        [byte] if byte.is_ascii() && !b"\"\r\n".contains(byte) => *byte,
        b"\\t" => b'\t',
        other => {
            return Err(SqlError::option(
                &owner,
                "delimiter",
                &String::from_utf8_lossy(other),
                "one ASCII character or \\t",
            ));
        }
    };
    let bad_as_null = match option("bad-values").unwrap_or("fail") {
        "fail" => false,
        "null" => true,
        other => return Err(SqlError::option(&owner, "bad-values", other, "fail or null")),
    };
    let refused = |reason: String| SqlError::File { path: path.into(), reason };
    let facts = files
        .look(path)
        .map_err(|reason| refused(format!("{reason}; put it where every member can read it under this path")))?;
    let first = facts.head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if first.len() == facts.head.len() && facts.head.len() as u64 != facts.length {
        return Err(refused(format!(
            "the first line is longer than {HEAD_BYTES} bytes; split it, or name another file"
        )));
    }
    let header = flag("header", true)?;
    let text =
        std::str::from_utf8(first.strip_suffix(b"\r").unwrap_or(first)).map_err(|error| refused(error.to_string()))?;
    let mut names = Vec::new();
    split(text.trim_start_matches('\u{feff}'), char::from(delimiter), &mut names);
    let data_start = if header { (first.len() as u64 + 1).min(facts.length) } else { 0 };
    Ok(FileSpec {
        path: path.into(),
        length: facts.length,
        data_start,
        head_digest: blake3::hash(&facts.head).to_hex().to_string(),
        delimiter,
        null: option("null").map(String::from),
        bad_as_null,
        ranges,
        rate: source.rate()?,
        fields: fields(source, path, &names, header)?,
        line_fields: names.len(),
    })
}

/// Field numbers of the columns: by the names of the header line, else by order.
fn fields(source: &Mapping, path: &str, names: &[std::borrow::Cow<str>], header: bool) -> Result<Vec<usize>, SqlError> {
    if !header {
        if source.columns.len() != names.len() {
            let reason = format!(
                "the first line has {} fields, {} has {} columns; name one column for each field",
                names.len(),
                source.owner(),
                source.columns.len()
            );
            return Err(SqlError::File { path: path.into(), reason });
        }
        return Ok((0..names.len()).collect());
    }
    let find = |column: &str| names.iter().position(|name| name.trim().eq_ignore_ascii_case(column));
    source
        .columns
        .iter()
        .map(|column| {
            find(&column.name).ok_or_else(|| SqlError::Unknown {
                kind: "column",
                name: column.name.clone(),
                way_out: format!("the header line of '{path}' has: {}", names.join(", ")),
            })
        })
        .collect()
}
