//! The members' jobs API as a JetJob pass needs it.
//!
//! Law: only the leader's own words about jobs count, because who lags behind has not heard what was submitted or cancelled
//! of late; any member takes a command; an answer that did not come is "not known", never "no". Must not know: plans.

use async_trait::async_trait;
use jet_admin_api::client::{CallError, MemberClient};
use jet_admin_api::cluster::ClusterStateView;
use jet_admin_api::job::SubmitJob;
use jet_admin_api::member::{MemberPhase, MemberView};
use jet_admin_api::operation::Done;

/// What members say and take about jobs.
#[async_trait]
pub trait Door: Send + Sync {
    /// The leader, if it serves with open doors in ACTIVE; else why it is not heard.
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
    /// Members serve, and their leader does not answer.
    Behind(String),
}

/// One member.
#[async_trait]
pub trait Member: Send + Sync {
    /// Pod number.
    fn ordinal(&self) -> u32;
    /// About itself.
    async fn look(&self) -> Result<MemberView, CallError>;
    /// As [`Door::submit`].
    async fn submit(&self, job: &SubmitJob) -> Result<Done, CallError>;
    /// As [`Door::job`].
    async fn job(&self, name: &str, verb: &str) -> Result<Done, CallError>;
}

/// A member over mTLS.
pub struct Dialled {
    /// Pod number; its certificate names it.
    pub ordinal: u32,
    /// The way to it.
    pub client: MemberClient,
}

#[async_trait]
impl Member for Dialled {
    fn ordinal(&self) -> u32 {
        self.ordinal
    }

    async fn look(&self) -> Result<MemberView, CallError> {
        self.client.member().await
    }

    async fn submit(&self, job: &SubmitJob) -> Result<Done, CallError> {
        self.client.submit(job).await
    }

    async fn job(&self, name: &str, verb: &str) -> Result<Done, CallError> {
        self.client.job(name, verb).await
    }
}

/// Members, asked one after the other.
pub struct Members<M> {
    /// Those that are most likely to answer first.
    pub members: Vec<M>,
    /// So many are asked at most; their leader is looked at besides.
    pub asked: usize,
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

/// Whom this member follows, if it is another one.
fn leader_of(view: &MemberView) -> Result<Option<u32>, Shut> {
    let behind = |why: &str| Shut::Behind(format!("member {} knows of no leader{why}", view.ordinal));
    let cluster = view.cluster.as_ref().ok_or_else(|| behind(""))?;
    let leader = cluster.leader.ok_or_else(|| behind(""))?;
    if leader == view.uuid {
        return Ok(None);
    }
    let known = cluster.roster.iter().find(|member| member.uuid == leader);
    known.map(|member| Some(member.ordinal)).ok_or_else(|| behind(" of its roster"))
}

impl<M: Member> Members<M> {
    /// The first that serves.
    async fn first(&self) -> Result<MemberView, Shut> {
        let mut shut = Shut::Silent("no member pod has an address".to_owned());
        for member in self.members.iter().take(self.asked) {
            match member.look().await {
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
}

#[async_trait]
impl<M: Member> Door for Members<M> {
    async fn serving(&self) -> Result<MemberView, Shut> {
        let first = self.first().await?;
        let Some(leader) = leader_of(&first)? else { return Ok(first) };
        let behind = |why: &str| Shut::Behind(format!("member {leader} leads and {why}"));
        let member = self.members.iter().find(|member| member.ordinal() == leader);
        let view = member.ok_or_else(|| behind("has no address"))?.look().await;
        let view = view.map_err(|error| behind(&error.to_string()))?;
        judge(&view).map_err(Shut::Closed)?;
        match leader_of(&view)? {
            None => Ok(view),
            Some(other) => Err(behind(&format!("says that member {other} does"))),
        }
    }

    async fn submit(&self, job: &SubmitJob) -> Result<Done, CallError> {
        let mut last = None;
        for member in self.members.iter().take(self.asked) {
            match member.submit(job).await {
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
        for member in self.members.iter().take(self.asked) {
            match member.job(name, verb).await {
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
