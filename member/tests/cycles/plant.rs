//! The machines and what keeps programs running on them, as a kubelet does: a member that died is started again, one that
//! is not wanted is asked to end.
//!
//! Law: a node that is cut off hears nothing of what is wanted; a member that ends by itself, unasked, is a fault of the
//! member. Must not know: operations, jobs.

use std::os::unix::process::ExitStatusExt;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use super::lan::Lan;
use super::world::{Host, World};

/// Members, one on each node.
pub const SIZE: u32 = 3;
/// Pause between two looks at the processes.
const LOOK: Duration = Duration::from_millis(30);
const TMPFS: i64 = 0x0102_1994;
const SIGTERM: i32 = 15;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Link {
    Up,
    Cut,
    Off,
}

struct Node {
    link: Link,
    /// What the node was last told.
    wanted: bool,
    asked_to_end: bool,
}

pub struct State {
    pub world: World,
    lan: Lan,
    nodes: Vec<Node>,
    wanted: bool,
    surprises: Vec<String>,
}

pub struct Plant {
    state: Mutex<State>,
    /// Held by who activates and by who kills many: both at once could lose what was never on a disk.
    pub gate: tokio::sync::Mutex<()>,
}

impl Plant {
    /// Members run, blank.
    pub fn new() -> Self {
        let lan = Lan::new(SIZE);
        let dir = tempfile::Builder::new().prefix("cycles-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let system = rustix::fs::statfs(dir.path()).unwrap();
        assert_ne!(system.f_type, TMPFS, "{}: stores belong on a disk", dir.path().display());
        let hosts = (0..SIZE).map(|node| Host { address: Lan::address(node), enter: lan.enter(node) }).collect();
        let mut world = World::on(hosts, dir);
        world.start_all();
        let node = |_| Node { link: Link::Up, wanted: true, asked_to_end: false };
        let state = State { world, lan, nodes: (0..SIZE).map(node).collect(), wanted: true, surprises: Vec::new() };
        Self { state: Mutex::new(state), gate: tokio::sync::Mutex::new(()) }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// For as long as the test runs.
    pub async fn keep(&self) {
        loop {
            (0..SIZE).for_each(|ordinal| self.state().tend(ordinal));
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Whether members are to run, all or none.
    pub fn want(&self, running: bool) {
        self.state().wanted = running;
    }

    pub fn is_wanted(&self) -> bool {
        self.state().wanted
    }

    pub fn running(&self) -> usize {
        self.state().world.members.len()
    }

    /// Fails if a member ended by itself.
    pub fn no_surprise(&self) {
        let state = self.state();
        assert!(state.surprises.is_empty(), "{:?}\n{}", state.surprises, state.world.logs());
    }

    /// SIGKILL, if it runs. Nobody looks after the members meanwhile: a second process would find the first.
    pub fn kill(&self, ordinal: u32) -> bool {
        let mut state = self.state();
        state.world.members.remove(&ordinal).map(super::world::Process::kill).is_some()
    }

    pub fn cut(&self, ordinal: u32) {
        let mut state = self.state();
        state.lan.cut(ordinal);
        state.nodes[ordinal as usize].link = Link::Cut;
    }

    pub fn heal(&self, ordinal: u32) {
        let mut state = self.state();
        state.lan.heal(ordinal);
        state.nodes[ordinal as usize].link = Link::Up;
    }

    /// Everything on the node dies, and nobody hears of it.
    pub fn crash(&self, ordinal: u32) {
        let mut state = self.state();
        state.lan.cut(ordinal);
        if let Some(process) = state.world.members.remove(&ordinal) {
            process.kill();
        }
        state.lan.switch_off(ordinal);
        let node = &mut state.nodes[ordinal as usize];
        (node.link, node.asked_to_end) = (Link::Off, false);
    }

    pub fn boot(&self, ordinal: u32) {
        let mut state = self.state();
        state.lan.boot(ordinal);
        let enter = state.lan.enter(ordinal);
        state.world.moved(ordinal, enter);
        state.nodes[ordinal as usize].link = Link::Up;
    }
}

impl State {
    fn tend(&mut self, ordinal: u32) {
        let node = &mut self.nodes[ordinal as usize];
        match node.link {
            Link::Off => return,
            Link::Up => node.wanted = self.wanted,
            Link::Cut => {}
        }
        match self.world.members.get_mut(&ordinal) {
            None => {
                node.asked_to_end = false;
                if node.wanted {
                    self.world.start(ordinal);
                }
            }
            Some(process) => {
                if let Some(status) = process.ended() {
                    // Who is asked before it listens for that dies of the signal: it had begun nothing.
                    let in_order = status.success() || status.signal() == Some(SIGTERM);
                    if !in_order || !node.asked_to_end {
                        self.surprises.push(format!("member {ordinal} ended by itself with {status}"));
                    }
                    self.world.members.remove(&ordinal);
                } else if !node.wanted && !node.asked_to_end {
                    process.ask_to_end();
                    node.asked_to_end = true;
                }
            }
        }
    }
}
