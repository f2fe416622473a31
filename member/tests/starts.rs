//! How soon members are there: from a process's start to Ready, to a formed cluster, and from PASSIVE to a job that runs;
//! real processes, real sockets, real disks.
//!
//! Law: nothing is promised here; what was measured is kept with its conditions, and `make bars AREA=abuse` judges it. One
//! test, one measurement at a time.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod world;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use jet_admin_api::client::MemberClient;
use jet_admin_api::cluster::ClusterStateView;
use jet_admin_api::job::{JobStatus, SubmitJob};
use jet_admin_api::member::MemberView;
use world::{PATIENCE, World};

/// Times that each is measured; the median is kept.
const TIMES: usize = 3;
/// Pause between two looks: small against what is measured.
const GLANCE: Duration = Duration::from_millis(2);

const JOB: &str = "CREATE MAPPING numbers TYPE Generator OPTIONS ('keys'='20', 'rate'='1000');
    CREATE MAPPING counts (key BIGINT, events BIGINT) TYPE Map;
    CREATE JOB counts OPTIONS ('snapshot-interval'='300ms') AS
    INSERT INTO counts SELECT key, COUNT(*) FROM numbers GROUP BY key;";

/// Seconds until `look` says yes.
async fn seconds<F: Future<Output = Result<(), String>>>(
    what: &str,
    since: Instant,
    mut look: impl FnMut() -> F,
) -> f64 {
    loop {
        let Err(last) = look().await else { return since.elapsed().as_secs_f64() };
        assert!(since.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}: {last}");
        tokio::time::sleep(GLANCE).await;
    }
}

/// What the kubelet's probe of that member hears.
fn ready(world: &World, ordinal: u32) -> Result<(), String> {
    let mut stream = TcpStream::connect(world.health_address(ordinal)).map_err(|e| e.to_string())?;
    let mut answer = String::new();
    write!(stream, "GET /readyz HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n").map_err(|e| e.to_string())?;
    stream.read_to_string(&mut answer).map_err(|e| e.to_string())?;
    if answer.starts_with("HTTP/1.1 200") { Ok(()) } else { Err(answer) }
}

fn formed(view: &MemberView) -> bool {
    let cluster = view.cluster.as_ref();
    let whole = |c: &jet_admin_api::cluster::ClusterView| {
        c.state == ClusterStateView::Active && c.partitions.fully_backed == c.partitions.count
    };
    view.ready && cluster.is_some_and(whole)
}

fn keep(id: &str, mut seconds: Vec<f64>, conditions: &str) {
    seconds.sort_by(f64::total_cmp);
    let (median, least, most) = (seconds[seconds.len() / 2], seconds[0], seconds[seconds.len() - 1]);
    println!("{id}: {median:.3} s ({least:.3} to {most:.3})");
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("dev").join("figure");
    let conditions = format!("{conditions}; median of {}, {least:.3} to {most:.3}", seconds.len());
    let kept = Command::new(&program).args([id, &format!("{median:.3}"), "s", &conditions]).status().unwrap();
    assert!(kept.success(), "{} ended with {kept}", program.display());
}

fn blank(size: u32) -> World {
    let mut world = World::new(size);
    world.permit_from = "configuration";
    world
}

/// Blank members, the last of them started when the others are up.
async fn form(mut world: World) -> (World, f64) {
    world.permit_from = "configuration";
    let (size, last) = (world.size, world.size - 1);
    (0..last).for_each(|ordinal| world.start(ordinal));
    for ordinal in 0..last {
        world.until("all but the last are up", || async { world.view(ordinal).await.map(drop) }).await;
    }
    let since = Instant::now();
    world.start(last);
    let members: Vec<MemberClient> = (0..size).map(|ordinal| world.operator(ordinal)).collect();
    let took = seconds("they are a cluster", since, || async {
        for member in &members {
            let view = member.member().await.map_err(|e| e.to_string())?;
            if !formed(&view) {
                return Err(world::brief(&view));
            }
        }
        (0..size).try_for_each(|ordinal| ready(&world, ordinal))
    });
    let took = took.await;
    (world, took)
}

/// From the request for a state, by the REST of the first, until each member says that the cluster is in it.
async fn changed(world: &World, members: &[MemberClient], asked: &str, state: ClusterStateView) -> f64 {
    let since = Instant::now();
    ask_state(world, asked);
    seconds("all are in the state", since, || async {
        for member in members {
            let view = member.member().await.map_err(|e| e.to_string())?;
            if view.cluster.as_ref().map(|cluster| cluster.state) != Some(state) {
                return Err(world::brief(&view));
            }
        }
        Ok(())
    })
    .await
}

async fn lone_start() -> f64 {
    let mut world = blank(1);
    let since = Instant::now();
    world.start(0);
    seconds("a blank member is Ready", since, || async { ready(&world, 0) }).await
}

/// A member of three ends in order and is started again.
async fn start_again(world: &mut World, ordinal: u32) -> f64 {
    world.members.remove(&ordinal).unwrap().terminate(PATIENCE);
    let since = Instant::now();
    world.start(ordinal);
    let took = seconds("the member is Ready again", since, || async { ready(world, ordinal) }).await;
    world.serving(0..3, ClusterStateView::Active).await;
    took
}

/// Asks for a state by the REST, as a person does.
fn ask_state(world: &World, state: &str) {
    let mut stream = TcpStream::connect(("127.0.0.1", world.rest_port(0))).unwrap();
    let body = format!("{}&a pass%26word%25%2B&{state}", world::CLUSTER);
    let path = "/hazelcast/rest/management/cluster/changeState";
    let length = body.len();
    write!(stream, "POST {path} HTTP/1.1\r\nHost: m\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{state}: {answer}");
}

/// From the request for ACTIVE to a job that is Running and has read rows in its new execution.
async fn active_again(world: &World, member: &MemberClient) -> f64 {
    ask_state(world, "passive");
    world
        .until("no job runs", || async {
            let view = world.view(0).await?;
            let cluster = view.cluster.ok_or("no cluster")?;
            let idle = cluster.jobs.iter().all(|job| job.status == JobStatus::Waiting) && view.work.is_empty();
            if idle && cluster.state == ClusterStateView::Passive { Ok(()) } else { Err(format!("{:?}", cluster.jobs)) }
        })
        .await;
    let since = Instant::now();
    ask_state(world, "active");
    seconds("the job runs", since, || async {
        let view = member.member().await.map_err(|e| e.to_string())?;
        let jobs = view.cluster.map(|cluster| cluster.jobs).unwrap_or_default();
        let runs = jobs.iter().any(|job| {
            let reads = view.work.iter().any(|work| work.execution == job.execution && work.rows_in > 0);
            job.status == JobStatus::Running && reads
        });
        if runs { Ok(()) } else { Err(format!("{jobs:?} {:?}", view.work)) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn starts_are_measured() {
    let (mut alone, mut forms, mut again, mut active) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..TIMES {
        alone.push(lone_start().await);
        let (mut world, took) = form(World::new(3)).await;
        forms.push(took);
        again.push(start_again(&mut world, 1).await);
    }
    keep("start.ready", alone, "one blank member, founding by itself: process start → readyz");
    keep("start.again", again, "one of three without data, ended in order: process start → readyz");
    keep("start.formed", forms, "three blank members, last process start → ACTIVE, all copies, all Ready");

    let (nine, took) = form(World::with_rest(9, &["CLUSTER_WRITE"])).await;
    keep("start.formed.nine", vec![took], "nine blank members, last process start → ACTIVE, all copies, all Ready");
    let members: Vec<MemberClient> = (0..9).map(|ordinal| nine.operator(ordinal)).collect();
    let mut changes = Vec::new();
    for _ in 0..TIMES {
        changes.push(changed(&nine, &members, "passive", ClusterStateView::Passive).await);
        changes.push(changed(&nine, &members, "active", ClusterStateView::Active).await);
    }
    keep("state.change.nine", changes, "nine members without data: state asked for → each of them says so");
    drop((nine, members));

    let mut world = World::with_rest(3, &["CLUSTER_WRITE"]);
    world.start_all();
    world.serving(0..3, ClusterStateView::Active).await;
    let job = SubmitJob { name: "counts".into(), sql: JOB.into(), snapshot_interval_ms: None };
    world.operator(0).submit(&job).await.unwrap();
    let member = world.operator(0);
    for _ in 0..TIMES {
        world
            .until("the job reads", || async {
                let work = world.view(0).await?.work;
                if work.iter().any(|work| work.rows_in > 0) { Ok(()) } else { Err(format!("{work:?}")) }
            })
            .await;
        active.push(active_again(&world, &member).await);
    }
    keep("passive.running", active, "three members, one job: ACTIVE asked for → job Running and reading");
}
