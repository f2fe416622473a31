//! Jobs whose results were computed apart from the system, and looking at them.
//!
//! Law: EXACT: what is visible of a job is held against what must be there, to the row. Must not know: what is done to
//! the members meanwhile.

use std::collections::BTreeMap;
use std::fmt::Write;

use jet_admin_api::identity::Role;
use jet_admin_api::job::{JobStatus, JobView, SubmitJob, Verdict};
use jet_admin_api::map::SqlQuery;

use super::World;

const KEYS: u64 = 200;
/// Text of each row's cells.
pub type Rows = BTreeMap<String, Vec<String>>;

/// A job with its results, computed apart from the system.
pub struct Expected {
    pub name: &'static str,
    pub sql: String,
    pub rows: u64,
    select: String,
    results: Rows,
}

/// Each key counts its rows: row n of a key has the number n.
pub fn ledger(rows: u64, rate: Option<u64>) -> Expected {
    counting("ledger", rows, rate)
}

/// The same under another name, into a map of that name.
pub fn counting(name: &'static str, rows: u64, rate: Option<u64>) -> Expected {
    let rate = rate.map(|rate| format!(", 'rate'='{rate}'")).unwrap_or_default();
    let sql = format!(
        "CREATE MAPPING numbers TYPE Generator OPTIONS ('keys'='{KEYS}', 'count'='{rows}'{rate});
         CREATE MAPPING {name} (key BIGINT, count BIGINT, sum BIGINT, max BIGINT) TYPE Map;
         CREATE JOB {name} OPTIONS ('snapshot-interval'='300ms') AS
         INSERT INTO {name} SELECT key, COUNT(*), SUM(number), MAX(number) FROM numbers GROUP BY key;"
    );
    let results = (0..KEYS.min(rows)).map(|key| {
        let n = rows / KEYS + u64::from(key < rows % KEYS);
        (key.to_string(), vec![n.to_string(), (n * (n - 1) / 2).to_string(), (n - 1).to_string()])
    });
    Expected { name, sql, rows, select: format!("SELECT key, count, sum, max FROM {name}"), results: results.collect() }
}

/// Delays of flights by airport, read from a file at some rate.
pub fn delays(world: &World, rows: u64, rate: u64) -> Expected {
    let path = world.dir.path().join("flights.csv");
    let (mut text, mut results) = ("flight,airport,delay\n".to_owned(), BTreeMap::<String, (u64, i64, i64)>::new());
    let mut dice = 88_172_645_463_325_252_u64;
    for flight in 0..rows {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        let (airport, delay) = (format!("A{:02}", dice % 37), i64::try_from(dice >> 40).unwrap() % 400 - 30);
        writeln!(text, "{flight},{airport},{delay}").unwrap();
        let known = results.entry(airport).or_insert((0, 0, i64::MIN));
        *known = (known.0 + 1, known.1 + delay, known.2.max(delay));
    }
    std::fs::write(&path, text).unwrap();
    let sql = format!(
        "CREATE MAPPING flights (airport VARCHAR, delay BIGINT) TYPE File OPTIONS ('path'='{}', 'rate'='{rate}');
         CREATE MAPPING delays (airport VARCHAR, flights BIGINT, total BIGINT, worst BIGINT) TYPE Map;
         CREATE JOB delays OPTIONS ('snapshot-interval'='300ms') AS
         INSERT INTO delays SELECT airport, COUNT(*), SUM(delay), MAX(delay) FROM flights GROUP BY airport;",
        path.display()
    );
    let results = results
        .into_iter()
        .map(|(airport, (n, total, worst))| (airport, vec![n.to_string(), total.to_string(), worst.to_string()]));
    Expected {
        name: "delays",
        sql,
        rows,
        select: "SELECT airport, flights, total, worst FROM delays".into(),
        results: results.collect(),
    }
}

pub async fn submit(world: &World, job: &Expected) {
    let submit = SubmitJob { name: job.name.into(), sql: job.sql.clone(), snapshot_interval_ms: None };
    let at = *world.members.keys().next().unwrap();
    world.operator(at).submit(&submit).await.unwrap();
}

pub async fn view(world: &World, at: u32, name: &str) -> Result<JobView, String> {
    let jobs = world.operator(at).jobs().await.map_err(|e| e.to_string())?;
    jobs.into_iter().find(|job| job.name == name).ok_or_else(|| format!("no job '{name}'"))
}

pub async fn select(world: &World, at: u32, sql: &str) -> Result<Rows, String> {
    let query = SqlQuery { sql: sql.into(), limit: 10_000 };
    let found = world.client_as(at, Role::Client).sql(&query).await.map_err(|e| e.to_string())?;
    let row = |row: Vec<Option<String>>| {
        let mut cells = row.into_iter().map(Option::unwrap_or_default);
        (cells.next().unwrap_or_default(), cells.collect())
    };
    Ok(found.rows.into_iter().map(row).collect())
}

/// Rows that are counted in what is visible of a job.
pub async fn counted(world: &World, at: u32, job: &Expected) -> Result<u64, String> {
    let rows = select(world, at, &job.select).await?;
    Ok(rows.values().map(|cells| cells[0].parse::<u64>().unwrap()).sum())
}

pub async fn wait_counted(world: &World, at: u32, job: &Expected, least: u64) -> u64 {
    world
        .until(&format!("{least} rows of '{}' are counted", job.name), || async {
            let counted = counted(world, at, job).await?;
            if counted >= least {
                Ok(counted)
            } else {
                Err(format!("{counted} rows; {:?}", view(world, at, job.name).await))
            }
        })
        .await
}

pub async fn wait_status(world: &World, at: u32, job: &Expected, status: JobStatus) -> JobView {
    world
        .until(&format!("'{}' is {status:?}", job.name), || async {
            let view = view(world, at, job.name).await?;
            if view.status == status { Ok(view) } else { Err(format!("{view:?}")) }
        })
        .await
}

pub async fn is_exact(world: &World, at: u32, job: &Expected) {
    wait_status(world, at, job, JobStatus::Completed).await;
    let found = select(world, at, &job.select).await.unwrap();
    let wrong = job.results.iter().find(|(key, cells)| found.get(*key) != Some(cells));
    assert_eq!(
        wrong.map(|(key, cells)| (key, cells, found.get(key))),
        None,
        "'{}' has another result\n{}",
        job.name,
        world.logs()
    );
    assert_eq!(found.len(), job.results.len(), "'{}' has keys that nobody wrote", job.name);
}

/// Rows read by all members since the job's present execution began.
pub async fn rows_in(world: &World, name: &str, execution: u64) -> Result<u64, String> {
    let mut rows = 0;
    for ordinal in world.members.keys() {
        let work = world.view(*ordinal).await?.work;
        rows += work
            .iter()
            .filter(|work| work.job == name && work.execution == execution)
            .map(|work| work.rows_in)
            .sum::<u64>();
    }
    Ok(rows)
}

/// Goes on from its terminal snapshot under the stop that began at `base`, and from nothing else.
pub async fn goes_on_from_terminal(world: &World, job: &Expected) -> JobView {
    let view = wait_status(world, 0, job, JobStatus::Running).await;
    let from = view.started_from.clone().unwrap();
    assert!(from.terminal && from.index > 0, "{view:?}");
    assert_eq!(view.verdict, Some(Verdict::Resumed), "{view:?}");
    assert!(from.rows_read > 0 && from.rows_read < job.rows, "{view:?}");
    view
}

/// What is visible of a counting job that still runs is a prefix of its rows: no row of a key is missing before its last
/// one, and none is counted twice. Gives how many rows it is.
pub async fn is_a_prefix(world: &World, at: u32, job: &Expected) -> u64 {
    let rows = world.until("the results can be read", || async { select(world, at, &job.select).await }).await;
    let mut all = 0;
    for (key, cells) in rows {
        let cells: Vec<u64> = cells.iter().map(|cell| cell.parse().unwrap()).collect();
        let [count, sum, max] = cells[..] else { panic!("{key}: {cells:?}") };
        assert_eq!((sum, max + 1), (count * (count - 1) / 2, count), "key {key} of '{}'\n{}", job.name, world.logs());
        all += count;
    }
    all
}
