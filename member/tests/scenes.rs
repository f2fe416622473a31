//! The rules and scenarios of a lossless restart by their numbers, with real member processes: `docs/rules.md` has which
//! is where. Where we differ from the original on purpose, a sentence at the test says so and why.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "scenes/by_hand.rs"]
mod by_hand;
#[path = "scenes/crash.rs"]
mod crash;
#[path = "scenes/deaths.rs"]
mod deaths;
#[path = "scenes/forced.rs"]
mod forced;
#[path = "scenes/one_by_one.rs"]
mod one_by_one;
#[path = "scenes/partial.rs"]
mod partial;
#[path = "scenes/places.rs"]
mod places;
#[path = "scenes/refounded.rs"]
mod refounded;
#[path = "scenes/refused.rs"]
mod refused;
#[path = "scenes/shutdown.rs"]
mod shutdown;
mod world;

use jet_admin_api::client::CallError;
use jet_admin_api::cluster::{ClusterStateView, ClusterView};
use jet_admin_api::job::{JobStatus, JobView, SubmitJob};
use jet_admin_api::member::MemberPhase;
use jet_admin_api::refusal::Code;
use world::World;
use world::ledger::{Expected, counted, counting, view};

/// Three members that serve, with the REST open to whoever changes something, and no operator.
async fn serving_three(mut world: World) -> World {
    world.start_all();
    world.serving(0..3, ClusterStateView::Active).await;
    world
}

fn with_rest() -> World {
    World::with_rest(3, &["CLUSTER_WRITE"])
}

/// Runs longer than any test: what is visible of it is a prefix at every moment.
fn endless(name: &'static str) -> Expected {
    counting(name, 600_000_000, Some(20_000))
}

/// What the machine says, where it is the same on all of these members.
async fn agreed(world: &World, ordinals: impl IntoIterator<Item = u32> + Clone, state: ClusterStateView) {
    for ordinal in ordinals {
        world
            .until(&format!("member {ordinal} takes part in {state:?}"), || async {
                let view = world.view(ordinal).await?;
                let known = view.cluster.as_ref().map(|cluster| cluster.state);
                let there = view.phase == MemberPhase::Serving && known == Some(state);
                if there { Ok(()) } else { Err(world::brief(&view)) }
            })
            .await;
    }
}

async fn cluster(world: &World, at: u32) -> ClusterView {
    world.until("the cluster is known", || async { world.view(at).await?.cluster.ok_or("no cluster".into()) }).await
}

/// The job does not run, and its snapshot that every store has is all that is visible of it.
async fn all_shown_is_durable(world: &World, job: &Expected, status: JobStatus) -> (JobView, u64) {
    world
        .until(&format!("all that is shown of '{}' is durable", job.name), || async {
            let view = view(world, 0, job.name).await?;
            let shown = counted(world, 0, job).await?;
            let durable = view.snapshot.as_ref().is_some_and(|snapshot| snapshot.rows_read == shown);
            if view.status == status && durable { Ok((view, shown)) } else { Err(format!("{shown}: {view:?}")) }
        })
        .await
}

/// Leader and the two others.
async fn roles(world: &World) -> (u32, u32, u32) {
    let leader = world
        .until("a leader is known", || async {
            let cluster = world.view(0).await?.cluster.ok_or("no cluster")?;
            let found = cluster.roster.iter().find(|member| Some(member.uuid) == cluster.leader);
            found.map(|member| member.ordinal).ok_or_else(|| format!("{:?}", cluster.leader))
        })
        .await;
    (leader, (leader + 1) % 3, (leader + 2) % 3)
}

/// Refused, for this reason and with these words.
fn refuses<T: std::fmt::Debug>(answer: Result<T, CallError>, code: Code, words: &str) {
    match answer {
        Err(CallError::Refused(refusal)) if refusal.code == code && refusal.message.contains(words) => {}
        other => panic!("expected {code:?} with '{words}': {other:?}"),
    }
}

fn job(name: &str, sql: &str) -> SubmitJob {
    SubmitJob { name: name.into(), sql: sql.into(), snapshot_interval_ms: None }
}
