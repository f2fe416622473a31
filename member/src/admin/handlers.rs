//! One handler for each route: body → what the member is asked → answer.
//!
//! Law: a body is checked before anything is asked; what was done is answered with the index that did it; "not known"
//! is never answered as "refused by the cluster". Must not know: roles.

use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, Path, Request, State};
use axum::{Extension, Json};
use bytes::Bytes;
use jet_admin_api::backup::{BackupView, TakeBackup};
use jet_admin_api::cluster::ClusterView;
use jet_admin_api::founding::{FoundingPermit, FoundingPromise, JoinPermit, PeersHint};
use jet_admin_api::identity::Identity;
use jet_admin_api::job::{JobView, SubmitJob};
use jet_admin_api::map::{Entry, SqlQuery, SqlRows};
use jet_admin_api::member::MemberView;
use jet_admin_api::operation::{Abort, Activate, BeginOperation, Commit, Done, Freeze, JobWish};
use jet_admin_api::refusal::{Code, Refusal};
use jet_admin_api::stop_request::RequestAnswer;
use jet_core::outcome::RefusedKind;
use jet_core::{Command, Digest, Generation, OperationId, Outcome, Wish};

use super::router::{BODY_LIMIT, Refused};
use super::{stopping, views};
use crate::backup::together;
use crate::cluster::ProposeError;
use crate::member::Member;
use crate::ports::Cluster;

type Is = State<Arc<Member>>;
type Answer<T> = Result<Json<T>, Refused>;

/// A body that refuses in our words.
pub struct Body<T>(T);

impl<T, S> FromRequest<S> for Body<T>
where
    T: serde::de::DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        match Json::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(rejection) => {
                let refusal = Refusal::new(Code::BadRequest, rejection.body_text());
                Err(Refused(refusal.hint(way_out(&rejection))))
            }
        }
    }
}

fn way_out(rejection: &JsonRejection) -> String {
    match rejection {
        JsonRejection::JsonDataError(_) => "correct the field that is named".into(),
        JsonRejection::JsonSyntaxError(_) => "send one JSON object".into(),
        JsonRejection::MissingJsonContentType(_) => "set that header".into(),
        _ => format!("send at most {BODY_LIMIT} bytes"),
    }
}

#[allow(missing_docs)]
pub async fn member(State(member): Is) -> Json<MemberView> {
    Json(member.view().await)
}

#[allow(missing_docs)]
pub async fn cluster(State(member): Is) -> Answer<ClusterView> {
    member.cluster_view().map(Json).ok_or_else(|| {
        Refused(
            Refusal::new(Code::ClusterState, "the cluster is not founded, or this member does not know it yet")
                .hint("POST /v1/found"),
        )
    })
}

#[allow(missing_docs)]
pub async fn found(State(member): Is, Body(permit): Body<FoundingPermit>) -> Answer<FoundingPromise> {
    Ok(Json(member.node()?.found(permit).await?))
}

#[allow(missing_docs)]
pub async fn join(State(member): Is, Body(permit): Body<JoinPermit>) -> Answer<()> {
    Ok(Json(member.node()?.may_join(permit)?))
}

#[allow(missing_docs)]
pub async fn leave(State(member): Is, Path(ordinal): Path<u32>) -> Answer<Done> {
    let machine = member.node()?.machine();
    let found = machine.roster.iter().find(|(_, entry)| entry.ordinal == ordinal);
    let Some((leaves, _)) = found else {
        let refusal = Refusal::new(Code::NotFound, format!("no member of this cluster has the number {ordinal}"));
        return Err(Refused(refusal.hint("GET /v1/cluster, or jet cluster, names them all")));
    };
    propose(&member, Command::Leave { member: *leaves }).await
}

#[allow(missing_docs)]
pub async fn peers(State(member): Is, Body(hint): Body<PeersHint>) -> Answer<u32> {
    let kept = member.node()?.net().hint(hint.peers.into_iter().map(|peer| peer.host));
    Ok(Json(u32::try_from(kept).unwrap_or(u32::MAX)))
}

#[allow(missing_docs)]
pub async fn begin(State(member): Is, Body(begin): Body<BeginOperation>) -> Answer<Done> {
    let op = operation(&begin.id)?;
    propose(
        &member,
        Command::Begin { op, requested_by: begin.requested_by, accepted: begin.accepted_job_loss, transient: false },
    )
    .await
}

#[allow(missing_docs)]
pub async fn freeze(State(member): Is, Path(id): Path<String>, Body(freeze): Body<Freeze>) -> Answer<Done> {
    propose(&member, Command::Freeze { op: operation(&id)?, commit_within_ms: freeze.commit_within_ms }).await
}

#[allow(missing_docs)]
pub async fn commit(State(member): Is, Path(id): Path<String>, Body(commit): Body<Commit>) -> Answer<Done> {
    propose(&member, Command::Commit { op: operation(&id)?, roster_digest: Digest(commit.roster_digest) }).await
}

#[allow(missing_docs)]
pub async fn abort(State(member): Is, Path(id): Path<String>, Body(abort): Body<Abort>) -> Answer<Done> {
    propose(&member, Command::Abort { op: operation(&id)?, reason: abort.reason }).await
}

#[allow(missing_docs)]
pub async fn activate(State(member): Is, Path(id): Path<String>, Body(activate): Body<Activate>) -> Answer<Done> {
    let wishes = activate.wishes.into_iter().map(wish).collect();
    let sealed_generation = Generation(activate.sealed_generation);
    propose(&member, Command::Activate { op: operation(&id)?, sealed_generation, wishes }).await
}

#[allow(missing_docs)]
pub async fn open(State(member): Is, Path(id): Path<String>) -> Answer<Done> {
    propose(&member, Command::Open { op: operation(&id)? }).await
}

#[allow(missing_docs)]
pub async fn request_stop(State(member): Is, Extension(caller): Extension<Identity>) -> Answer<Done> {
    Ok(Json(stopping::ask(&member, &caller.uri()).await?.done().clone()))
}

#[allow(missing_docs)]
pub async fn answer_request(
    State(member): Is,
    Path(asked): Path<String>,
    Body(answer): Body<RequestAnswer>,
) -> Answer<Done> {
    let not_a_number = || Refusal::new(Code::BadRequest, format!("'{asked}' names no request; write its number"));
    let asked = asked.parse().map_err(|_| not_a_number())?;
    let answer = jet_core::RequestAnswer { taken_up: answer.taken_up, why: answer.why };
    propose(&member, Command::AnswerRequest { asked, answer }).await
}

#[allow(missing_docs)]
pub async fn jobs(State(member): Is) -> Answer<Vec<JobView>> {
    Ok(Json(member.node()?.machine().jobs.values().map(views::job).collect()))
}

#[allow(missing_docs)]
pub async fn submit(State(member): Is, Body(job): Body<SubmitJob>) -> Answer<Done> {
    let command = member.jobs()?.plan(job).await?;
    propose(&member, command).await
}

#[allow(missing_docs)]
pub async fn cancel_job(State(member): Is, Path(name): Path<String>) -> Answer<Done> {
    propose(&member, Command::Cancel { name }).await
}

#[allow(missing_docs)]
pub async fn suspend_job(State(member): Is, Path(name): Path<String>) -> Answer<Done> {
    propose(&member, Command::Suspend { name }).await
}

#[allow(missing_docs)]
pub async fn resume_job(State(member): Is, Path(name): Path<String>) -> Answer<Done> {
    propose(&member, Command::Resume { name }).await
}

#[allow(missing_docs)]
pub async fn sql(State(member): Is, Body(query): Body<SqlQuery>) -> Answer<SqlRows> {
    Ok(Json(member.jobs()?.select(query).await?))
}

#[allow(missing_docs)]
pub async fn backup(State(member): Is) -> Answer<BackupView> {
    Ok(Json(together::view(member.node()?, None).await))
}

#[allow(missing_docs)]
pub async fn take_backup(State(member): Is, Body(take): Body<TakeBackup>) -> Answer<BackupView> {
    Ok(Json(together::take(member.node()?, take).await?))
}

#[allow(missing_docs)]
pub async fn interrupt_backup(State(member): Is) -> Answer<BackupView> {
    Ok(Json(together::interrupt(member.node()?).await?))
}

#[allow(missing_docs)]
pub async fn get_entry(State(member): Is, Path((map, key)): Path<(String, String)>) -> Answer<Entry> {
    entry(member.maps()?.get(map, Bytes::from(key)).await?)
}

#[allow(missing_docs)]
pub async fn put_entry(
    State(member): Is,
    Path((map, key)): Path<(String, String)>,
    Body(new): Body<Entry>,
) -> Answer<Entry> {
    entry(member.maps()?.put(map, Bytes::from(key), new.value.map(Bytes::from)).await?)
}

fn entry(value: Option<Bytes>) -> Answer<Entry> {
    Ok(Json(Entry { value: value.map(|v| String::from_utf8_lossy(&v).into_owned()) }))
}

fn operation(id: &str) -> Result<OperationId, Refused> {
    id.parse().map_err(|e: jet_core::ids::NotAnOperation| Refused(Refusal::new(Code::BadRequest, e.to_string())))
}

fn wish(wish: JobWish) -> Wish {
    match wish {
        JobWish::Cancel { job } => Wish::Cancel { job },
        JobWish::Suspend { job } => Wish::Suspend { job },
        JobWish::Resume { job } => Wish::Resume { job },
    }
}

async fn propose(member: &Member, command: Command) -> Answer<Done> {
    Ok(Json(proposed(member, command).await?))
}

/// What the cluster made of a command.
pub async fn proposed(member: &Member, command: Command) -> Result<Done, Refusal> {
    match Cluster::propose(member.node()?.clone(), command).await {
        Ok(Outcome::Done { index, what }) => Ok(Done { index, what }),
        Ok(Outcome::Refused(refused)) => {
            let refusal = Refusal::new(code(refused.kind()), refused.to_string());
            Err(Refusal { hint: hint(&refused), ..refusal })
        }
        Err(ProposeError::NoLeader) => {
            Err(Refusal::new(Code::NoLeader, "there is no leader that could be reached; nothing was done"))
        }
        Err(error @ ProposeError::Unknown(_)) => Err(Refusal::new(Code::NoLeader, error.to_string())),
    }
}

/// Where the name is found that should have been given.
fn hint(refused: &jet_core::outcome::Refused) -> Option<String> {
    use jet_core::outcome::Refused as Why;
    match refused {
        Why::UnknownJob { .. } => Some("GET /v1/jobs, or jet list-jobs, names them all".into()),
        Why::UnknownOperation { .. } => Some("GET /v1/cluster, or jet cluster, names it".into()),
        _ => None,
    }
}

fn code(kind: RefusedKind) -> Code {
    match kind {
        RefusedKind::ClusterState | RefusedKind::Stale | RefusedKind::Identity => Code::ClusterState,
        RefusedKind::DoorsClosed => Code::DoorsClosed,
        RefusedKind::StaleOperation => Code::StaleOperation,
        RefusedKind::AlreadyDecided => Code::AlreadyDecided,
        RefusedKind::StepOrder => Code::StepOrder,
        RefusedKind::PartitionAbsent => Code::PartitionAbsent,
        RefusedKind::FoundingDiffers => Code::FoundingDiffers,
        RefusedKind::Exists => Code::Exists,
        RefusedKind::NotFound => Code::NotFound,
        RefusedKind::BadRequest => Code::BadRequest,
    }
}
