//! Law EXACT with real processes: whatever is done to the members, the results are those that were computed apart.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod world;

use std::collections::BTreeMap;
use std::fmt::Write;

use jet_admin_api::cluster::ClusterStateView;
use jet_admin_api::identity::Role;
use jet_admin_api::job::{JobStatus, JobView, SubmitJob, Verdict};
use jet_admin_api::map::SqlQuery;
use jet_admin_api::member::MemberPhase;
use world::World;

const KEYS: u64 = 200;
/// The bound on the age of a durable snapshot after a crash of all members.
const DURABLE_AGE_S: u64 = 3;

/// Text of each row's cells.
type Rows = BTreeMap<String, Vec<String>>;

/// A job with its results, computed apart from the system.
struct Expected {
    name: &'static str,
    sql: String,
    rows: u64,
    select: &'static str,
    results: Rows,
}

/// Each key counts its rows: row n of a key has the number n.
fn ledger(rows: u64, rate: Option<u64>) -> Expected {
    let rate = rate.map(|rate| format!(", 'rate'='{rate}'")).unwrap_or_default();
    let sql = format!(
        "CREATE MAPPING numbers TYPE Generator OPTIONS ('keys'='{KEYS}', 'count'='{rows}'{rate});
         CREATE MAPPING ledger (key BIGINT, count BIGINT, sum BIGINT, max BIGINT) TYPE Map;
         CREATE JOB ledger OPTIONS ('snapshot-interval'='300ms') AS
         INSERT INTO ledger SELECT key, COUNT(*), SUM(number), MAX(number) FROM numbers GROUP BY key;"
    );
    let results = (0..KEYS.min(rows)).map(|key| {
        let n = rows / KEYS + u64::from(key < rows % KEYS);
        (key.to_string(), vec![n.to_string(), (n * (n - 1) / 2).to_string(), (n - 1).to_string()])
    });
    Expected {
        name: "ledger",
        sql,
        rows,
        select: "SELECT key, count, sum, max FROM ledger",
        results: results.collect(),
    }
}

/// Delays of flights by airport, read from a file at some rate.
fn delays(world: &World, rows: u64, rate: u64) -> Expected {
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
        select: "SELECT airport, flights, total, worst FROM delays",
        results: results.collect(),
    }
}

async fn submit(world: &World, job: &Expected) {
    let submit = SubmitJob { name: job.name.into(), sql: job.sql.clone(), snapshot_interval_ms: None };
    let at = *world.members.keys().next().unwrap();
    world.operator(at).submit(&submit).await.unwrap();
}

async fn view(world: &World, at: u32, name: &str) -> Result<JobView, String> {
    let jobs = world.operator(at).jobs().await.map_err(|e| e.to_string())?;
    jobs.into_iter().find(|job| job.name == name).ok_or_else(|| format!("no job '{name}'"))
}

async fn select(world: &World, at: u32, sql: &str) -> Result<Rows, String> {
    let query = SqlQuery { sql: sql.into(), limit: 10_000 };
    let found = world.client_as(at, Role::Client).sql(&query).await.map_err(|e| e.to_string())?;
    let row = |row: Vec<Option<String>>| {
        let mut cells = row.into_iter().map(Option::unwrap_or_default);
        (cells.next().unwrap_or_default(), cells.collect())
    };
    Ok(found.rows.into_iter().map(row).collect())
}

/// Rows that are counted in what is visible of a job.
async fn counted(world: &World, at: u32, job: &Expected) -> Result<u64, String> {
    let rows = select(world, at, job.select).await?;
    Ok(rows.values().map(|cells| cells[0].parse::<u64>().unwrap()).sum())
}

async fn wait_counted(world: &World, at: u32, job: &Expected, least: u64) -> u64 {
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

async fn wait_status(world: &World, at: u32, job: &Expected, status: JobStatus) -> JobView {
    world
        .until(&format!("'{}' is {status:?}", job.name), || async {
            let view = view(world, at, job.name).await?;
            if view.status == status { Ok(view) } else { Err(format!("{view:?}")) }
        })
        .await
}

async fn is_exact(world: &World, at: u32, job: &Expected) {
    wait_status(world, at, job, JobStatus::Completed).await;
    let found = select(world, at, job.select).await.unwrap();
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
async fn rows_in(world: &World, name: &str, execution: u64) -> Result<u64, String> {
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
async fn goes_on_from_terminal(world: &World, job: &Expected) -> JobView {
    let view = wait_status(world, 0, job, JobStatus::Running).await;
    let from = view.started_from.clone().unwrap();
    assert!(from.terminal && from.index > 0, "{view:?}");
    assert_eq!(view.verdict, Some(Verdict::Resumed), "{view:?}");
    assert!(from.rows_read > 0 && from.rows_read < job.rows, "{view:?}");
    view
}

async fn founded() -> World {
    let mut world = World::new(3);
    world.start_all();
    world.found().await;
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_go_on_from_exactly_where_they_stopped() {
    let mut world = founded().await;
    let jobs = [ledger(400_000, Some(20_000)), delays(&world, 100_000, 5_000)];
    for job in &jobs {
        submit(&world, job).await;
    }
    for job in &jobs {
        wait_counted(&world, 1, job, 1).await;
    }
    let generation = world.stop("1-stop").await;
    let stopped = world.view(0).await.unwrap().cluster.unwrap();
    let base = stopped.operation.as_ref().unwrap().base_index;
    let terminals: Vec<_> = stopped.jobs.iter().map(|job| job.snapshot.clone().unwrap()).collect();
    for terminal in &terminals {
        assert!(terminal.terminal && terminal.index > base, "{terminal:?} is not after {base}");
    }
    world.terminate_all();

    world.start_all();
    world.resume("1-stop", generation).await;
    // All are looked at while they run: both end at about the same time.
    let mut views = Vec::new();
    for job in &jobs {
        views.push(goes_on_from_terminal(&world, job).await);
    }
    for ((job, terminal), view) in jobs.iter().zip(&terminals).zip(views) {
        assert_eq!(view.started_from.as_ref(), Some(terminal));
        is_exact(&world, 2, job).await;
        // Not one row was read a second time.
        assert_eq!(rows_in(&world, job.name, view.execution).await.unwrap(), job.rows - terminal.rows_read);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_in_full_flow_loses_no_row_in_flight() {
    let mut world = founded().await;
    let job = ledger(60_000_000, None);
    submit(&world, &job).await;
    wait_counted(&world, 0, &job, 1).await;
    let generation = world.stop("1-stop").await;
    world.terminate_all();
    world.start_all();
    world.resume("1-stop", generation).await;
    let view = goes_on_from_terminal(&world, &job).await;
    is_exact(&world, 0, &job).await;
    assert_eq!(
        rows_in(&world, job.name, view.execution).await.unwrap(),
        job.rows - view.started_from.unwrap().rows_read
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_member_costs_no_row_and_counts_none_twice() {
    let mut world = founded().await;
    let jobs = [ledger(500_000, Some(20_000)), delays(&world, 125_000, 5_000)];
    for job in &jobs {
        submit(&world, job).await;
    }
    for job in &jobs {
        wait_counted(&world, 0, job, 1).await;
    }
    world.kill(1);
    for job in &jobs {
        let seen = counted(&world, 0, job).await.unwrap_or(0);
        wait_counted(&world, 0, job, seen + job.rows / 20).await;
        let view = view(&world, 0, job.name).await.unwrap();
        assert!(view.started_from.is_some() && view.execution > 1, "{view:?}");
    }
    world.start(1);
    world.serving(0..3, ClusterStateView::Active).await;
    for job in &jobs {
        is_exact(&world, 1, job).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_crash_of_all_jobs_go_on_from_a_durable_snapshot_that_is_young() {
    let mut world = founded().await;
    let rate = 20_000;
    let jobs = [ledger(600_000, Some(rate)), delays(&world, 150_000, 5_000)];
    for job in &jobs {
        submit(&world, job).await;
    }
    for job in &jobs {
        wait_counted(&world, 0, job, job.rows / 10).await;
    }
    let visible = counted(&world, 0, &jobs[0]).await.unwrap();
    for ordinal in 0..3 {
        world.kill(ordinal);
    }
    world.start_all();
    world.all_in(0..3, MemberPhase::Serving).await;
    for job in &jobs {
        let view = wait_status(&world, 0, job, JobStatus::Running).await;
        let from = view.started_from.clone().expect("from a durable snapshot");
        assert!(from.index > 0 && !from.terminal, "{view:?}");
        assert_eq!(view.verdict, Some(Verdict::ResumedFromOlder), "{view:?}");
        if job.name == "ledger" {
            let least = visible.saturating_sub(DURABLE_AGE_S * rate);
            assert!(
                from.rows_read >= least,
                "it goes on at {} although {visible} were visible: older than {DURABLE_AGE_S} s",
                from.rows_read
            );
        }
    }
    for job in &jobs {
        is_exact(&world, 0, job).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_may_be_the_one_that_is_killed() {
    let mut world = founded().await;
    let job = ledger(400_000, Some(20_000));
    submit(&world, &job).await;
    wait_counted(&world, 0, &job, 1).await;
    let cluster = world.view(0).await.unwrap().cluster.unwrap();
    let leader = cluster.roster.iter().find(|member| Some(member.uuid) == cluster.leader).unwrap().ordinal;
    let other = (leader + 1) % 3;
    world.kill(leader);
    let seen = counted(&world, other, &job).await.unwrap_or(0);
    wait_counted(&world, other, &job, seen + job.rows / 20).await;
    world.start(leader);
    is_exact(&world, other, &job).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_that_do_not_run_hold_no_stop_and_keep_what_they_wrote() {
    let mut world = founded().await;
    let good = ledger(300_000, Some(15_000));
    let gone = delays(&world, 50_000, 5_000);
    submit(&world, &good).await;
    submit(&world, &gone).await;
    wait_counted(&world, 0, &gone, 1).await;
    world.operator(0).job(gone.name, "cancel").await.unwrap();
    let bad = SubmitJob {
        name: "bad".into(),
        sql: gone
            .sql
            .replace("airport VARCHAR, delay BIGINT", "airport BIGINT, delay BIGINT")
            .replace("delays", "bad")
            .replace("(airport VARCHAR", "(airport BIGINT"),
        snapshot_interval_ms: None,
    };
    world.operator(0).submit(&bad).await.unwrap();
    let failed = world
        .until("the failing job is suspended", || async {
            let view = view(&world, 0, "bad").await?;
            if view.status == JobStatus::Suspended { Ok(view) } else { Err(format!("{view:?}")) }
        })
        .await;
    assert!(
        failed.cause.as_ref().is_some_and(|cause| cause.contains("flights.csv")) && failed.failures == 3,
        "{failed:?}"
    );
    wait_status(&world, 0, &good, JobStatus::Running).await;
    let before = counted(&world, 0, &gone).await.unwrap();
    let seen = counted(&world, 0, &good).await.unwrap_or(0);
    wait_counted(&world, 0, &good, seen + 1).await;
    // At once behind the suspension: its last snapshot is not on any disk yet.
    world.operator(0).job(good.name, "suspend").await.unwrap();
    let generation = world.stop("1-stop").await;
    world.terminate_all();
    world.start_all();
    world.resume("1-stop", generation).await;
    assert_eq!(counted(&world, 1, &gone).await.unwrap(), before, "a cancelled job keeps what it wrote");
    assert_eq!(view(&world, 1, good.name).await.unwrap().status, JobStatus::Suspended);
    world.operator(0).job(good.name, "resume").await.unwrap();
    is_exact(&world, 1, &good).await;
}
