//! JetJobs in the small world: objects, the API server's part that a job's pass asks, jobs of the scripted members.
//!
//! Law: it remembers what people asked for; whatever of it is done twice, or done and was asked by nobody, is a breach. Must
//! not know: plans.
//!
//! - [`objects`]: what people do to JetJobs · [`server`]: the API server · [`members`]: jobs in the machine
//! - [`port`]: client and door of the operator, with faults · [`passes`]: when it looks · [`flows`]: what happens

pub mod flows;
pub mod members;
pub mod objects;
pub mod passes;
pub mod port;
pub mod server;

use std::collections::{BTreeMap, BTreeSet};

use jet_operator::job::JetJob;

/// Everything about jobs.
#[derive(Default)]
pub struct Jobs {
    pub objects: BTreeMap<String, JetJob>,
    /// Job's number → uid of the JetJob that it is of.
    pub of: BTreeMap<u64, String>,
    /// Uids of JetJobs that were deleted, that were to be suspended, that were to run again.
    pub deleted: BTreeSet<String>,
    pub to_suspend: BTreeSet<String>,
    pub to_resume: BTreeSet<String>,
    /// Jobs submitted, cancelled, suspended and resumed: what changed something.
    pub done: [u32; 4],
    /// Numbers of jobs, never used twice.
    pub last: u64,
    /// Names with their SQL: as soon as clients are served and such a name is free, somebody submits it by hand.
    pub by_hand: Vec<(String, String)>,
}

impl Jobs {
    /// Where they stand; empty: there are none.
    pub fn story(&self) -> String {
        let one = |job: &JetJob| {
            let body = serde_json::to_string_pretty(job).unwrap_or_default();
            format!("\nJetJob {body}")
        };
        let told: String = self.objects.values().map(one).collect();
        if told.is_empty() && self.of.is_empty() {
            told
        } else {
            format!("{told}\ndone {:?}, of {:?}", self.done, self.of)
        }
    }
}
