//! Members that are let in and told to leave, and what is waited for then.
//!
//! Must not know: what is written meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jet_admin_api::cluster::{ClusterStateView, ClusterView};
use jet_admin_api::founding::{FoundingPermit, JoinPermit};
use jet_admin_api::identity::Role;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::Led;
use crate::world::{World, brief};

/// Moves take their time on a busy machine.
const LONG: Duration = Duration::from_secs(180);

/// `all` may run, the first `founders` of them found.
pub async fn founded(all: u32, founders: u32) -> World {
    let mut world = World::new(all);
    let permit = FoundingPermit {
        founding_id: Uuid::new_v4(),
        ordinals: (0..founders).collect(),
        partition_count: world.partitions,
        backup_count: 1,
    };
    for ordinal in 0..founders {
        world.start(ordinal);
    }
    for ordinal in 0..founders {
        world
            .until("a permit is taken", || async {
                world.operator(ordinal).found(&permit).await.map(|_| ()).map_err(|e| e.to_string())
            })
            .await;
    }
    world.serving(0..founders, ClusterStateView::Active).await;
    world
}

async fn cluster(world: &World, at: u32) -> Result<ClusterView, String> {
    world.operator(at).cluster().await.map_err(|e| e.to_string())
}

/// Gives the permit to a blank member, by what member `at` knows of the cluster.
pub async fn offer(world: &World, at: u32, ordinal: u32) -> Result<(), String> {
    let permit = JoinPermit { founding_id: cluster(world, at).await?.founding_id, ordinal };
    world.operator(ordinal).join(&permit).await.map_err(|e| e.to_string())
}

/// The same until it is in the roster.
pub async fn permit(world: &World, ordinal: u32) {
    let at = *world.members.keys().find(|member| **member != ordinal).unwrap();
    world
        .until(&format!("member {ordinal} is let in"), || async {
            let known = cluster(world, at).await?;
            if known.roster.iter().any(|member| member.ordinal == ordinal) {
                return Ok(());
            }
            offer(world, at, ordinal).await?;
            Err(world.view(ordinal).await.map_or_else(|why| why, |view| brief(&view)))
        })
        .await;
}

/// Starts blank members and lets them in.
pub async fn come(world: &mut World, ordinals: &[u32]) {
    for ordinal in ordinals {
        world.start(*ordinal);
    }
    for ordinal in ordinals {
        permit(world, *ordinal).await;
    }
}

/// These are all members, each leads about as much as the others, and nothing moves any more.
pub async fn balanced(world: &World, at: u32, ordinals: &[u32]) {
    world
        .until_within(LONG, &format!("members {ordinals:?} share everything"), || async {
            let known = cluster(world, at).await?;
            let mut led = Led::new();
            for ordinal in ordinals {
                led.insert(*ordinal, world.view(*ordinal).await?.primaries);
            }
            let mut roster: Vec<u32> = known.roster.iter().map(|member| member.ordinal).collect();
            roster.sort_unstable();
            let (least, most) = (led.values().min().unwrap(), led.values().max().unwrap());
            let whole = known.partitions.fully_backed == known.partitions.count && known.partitions.migrating == 0;
            match roster == ordinals && most - least <= 1 && whole && known.moves.is_over() {
                true => Ok(()),
                false => Err(format!("{roster:?} lead {led:?}; {:?} {:?}", known.partitions, known.moves)),
            }
        })
        .await;
}

/// A copy is on its way between members, all of whom have joined.
pub async fn moving(world: &World, at: u32) {
    world
        .until_within(LONG, "something moves", || async {
            let known = cluster(world, at).await?;
            let moves = known.moves.copies > 0 && known.moves.joining.is_empty();
            if moves { Ok(()) } else { Err(format!("{:?} {:?}", known.moves, known.partitions)) }
        })
        .await;
}

pub async fn leader(world: &World, at: u32) -> u32 {
    world
        .until_within(LONG, "somebody leads", || async {
            let known = cluster(world, at).await?;
            let leads = known.roster.iter().find(|member| Some(member.uuid) == known.leader);
            leads.map(|member| member.ordinal).ok_or_else(|| "nobody".to_owned())
        })
        .await
}

/// Tells a member to leave, and waits until it has.
pub async fn leave(world: &World, ordinal: u32) {
    let at = *world.members.keys().find(|member| **member != ordinal).unwrap();
    world
        .until_within(LONG, "it may leave", || async {
            world.operator(at).leave(ordinal).await.map(|_| ()).map_err(|e| e.to_string())
        })
        .await;
    left(world, at, ordinal).await;
}

pub async fn left(world: &World, at: u32, ordinal: u32) {
    world
        .until_within(LONG, &format!("member {ordinal} has left"), || async {
            let known = cluster(world, at).await?;
            match known.roster.iter().any(|member| member.ordinal == ordinal) {
                true => Err(format!("{:?} {:?}", known.moves, known.partitions)),
                false => Ok(()),
            }
        })
        .await;
}

/// Looks all the time whether there are as many copies as there should be.
pub struct Copies {
    over: Arc<AtomicBool>,
    looks: JoinHandle<Vec<String>>,
}

impl Copies {
    pub fn watch(world: &World, at: u32) -> Self {
        let (client, over) = (world.client_as(at, Role::Operator), Arc::<AtomicBool>::default());
        let ends = over.clone();
        let looks = tokio::spawn(async move {
            let mut fewer = Vec::new();
            while !ends.load(Ordering::Acquire) {
                let Ok(known) = client.cluster().await else { continue };
                if known.partitions.fully_backed < known.partitions.count {
                    fewer.push(format!("{:?} {:?}", known.partitions, known.moves));
                }
            }
            fewer
        });
        Self { over, looks }
    }

    pub async fn were_never_fewer(self) {
        self.over.store(true, Ordering::Release);
        let fewer = self.looks.await.unwrap();
        assert!(fewer.is_empty(), "{} times, first {:?}", fewer.len(), fewer.first());
    }
}
