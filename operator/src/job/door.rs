//! The members' jobs API as a JetJob pass needs it.
//!
//! Law: any member that serves may be asked; an answer that did not come is "not known", never "no". Must not know:
//! plans.

use async_trait::async_trait;
use jet_admin_api::client::{CallError, MemberClient};
use jet_admin_api::cluster::ClusterStateView;
use jet_admin_api::job::SubmitJob;
use jet_admin_api::member::{MemberPhase, MemberView};
use jet_admin_api::operation::Done;

/// What members say and take about jobs.
#[async_trait]
pub trait Door: Send + Sync {
    /// A member that serves with open doors in ACTIVE; else why there is none.
    async fn serving(&self) -> Result<MemberView, Shut>;
    /// Submits.
    async fn submit(&self, job: &SubmitJob) -> Result<Done, CallError>;
    /// `cancel`, `suspend` or `resume`.
    async fn job(&self, name: &str, verb: &str) -> Result<Done, CallError>;
}

/// Why nobody serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shut {
    /// Members answer, and say that they do not serve.
    Closed(String),
    /// Nobody answers.
    Silent(String),
}

/// Real members, asked one after the other.
pub struct Members {
    /// In order of ordinals.
    pub clients: Vec<MemberClient>,
}

/// What one member's view means for jobs.
pub fn judge(view: &MemberView) -> Result<(), String> {
    let cluster = view.cluster.as_ref().ok_or_else(|| format!("member {} has no cluster yet", view.ordinal))?;
    if view.phase != MemberPhase::Serving || !view.doors_open {
        return Err(format!("member {} has its doors closed ({:?})", view.ordinal, view.phase));
    }
    match cluster.state {
        ClusterStateView::Active | ClusterStateView::NoMigration => Ok(()),
        state => Err(format!("the cluster is {state:?}")),
    }
}

#[async_trait]
impl Door for Members {
    async fn serving(&self) -> Result<MemberView, Shut> {
        let mut shut = Shut::Silent("no member pod has an address".to_owned());
        for client in &self.clients {
            match client.member().await {
                Ok(view) => match judge(&view) {
                    Ok(()) => return Ok(view),
                    Err(why) => shut = Shut::Closed(why),
                },
                Err(error) if !matches!(shut, Shut::Closed(_)) => shut = Shut::Silent(error.to_string()),
                Err(_) => {}
            }
        }
        Err(shut)
    }

    async fn submit(&self, job: &SubmitJob) -> Result<Done, CallError> {
        let mut last = None;
        for client in &self.clients {
            match client.submit(job).await {
                // Only what surely was not sent may go to another member: the name makes it idempotent, but the
                // refusal of the second would hide the success of the first.
                Err(error @ CallError::NotSent { .. }) => last = Some(error),
                answer => return answer,
            }
        }
        Err(last.unwrap_or_else(nobody))
    }

    async fn job(&self, name: &str, verb: &str) -> Result<Done, CallError> {
        let mut last = None;
        for client in &self.clients {
            match client.job(name, verb).await {
                Err(error @ CallError::NotSent { .. }) => last = Some(error),
                answer => return answer,
            }
        }
        Err(last.unwrap_or_else(nobody))
    }
}

fn nobody() -> CallError {
    CallError::NotSent { address: "any member".to_owned(), reason: "no member pod has an address".to_owned() }
}
