//! Every step of a JetJob's plan, as tables.
//!
//! Law: what is told here is told of the plan alone. Must not know: how steps are carried out.

use super::*;
use crate::api::annotations::JOB_ASKED;
use crate::job::resource::{JetJobSpec, JetJobStatus};
use jet_admin_api::job::{Guarantee, SnapshotView};
use kube::ResourceExt;

const SQL: &str = "CREATE JOB flights AS INSERT INTO counts SELECT 1";

fn view(id: u64, status: JobStatus) -> JobView {
    JobView {
        id,
        name: "flights".into(),
        sql: SQL.into(),
        guarantee: Guarantee::ExactlyOnce,
        status,
        execution: 1,
        failures: 0,
        cause: None,
        snapshot: None,
        started_from: None,
        verdict: None,
    }
}

fn sleeping(id: u64, status: JobStatus, execution: u64) -> LedgerJob {
    let snapshot = SnapshotView {
        execution,
        epoch: 1,
        index: 1,
        rows_read: 1,
        bytes: 1,
        digest: "d".into(),
        terminal: status == JobStatus::Waiting,
    };
    LedgerJob { id, name: "flights".into(), guarantee: Guarantee::ExactlyOnce, status, snapshot: Some(snapshot) }
}

fn facts(cluster: ClusterFacts) -> Facts {
    let spec = JetJobSpec {
        cluster: "orders".into(),
        sql: SQL.into(),
        snapshot_interval_millis: None,
        state: JobState::Running,
    };
    let mut object = JetJob::new("flights", spec);
    object.metadata.uid = Some("u1".into());
    Facts {
        object,
        name: "flights".into(),
        deleting: false,
        finalizer: true,
        namespace_terminating: false,
        cluster,
        kept: WishesRecord::default(),
        ledger: None,
    }
}

fn serving(jobs: Vec<JobView>) -> ClusterFacts {
    ClusterFacts::Serving { founding_id: "f".into(), jobs }
}

fn stopped() -> ClusterFacts {
    ClusterFacts::Closed { why: "stopped".into(), sealed_by: Some("4-ab".into()) }
}

fn behind() -> ClusterFacts {
    ClusterFacts::Behind { why: String::new() }
}

fn asked_for(number: Option<u64>, suspended: Option<u64>) -> Asked {
    Asked { uid: "u1".into(), founding_id: "f".into(), after: 3, number, suspended }
}

fn with(mut facts: Facts, asked: &Asked) -> Facts {
    facts.object.annotations_mut().insert(JOB_ASKED.into(), serde_json::to_string(asked).unwrap());
    facts
}

/// Submitted, and no status left that says so.
fn submitted(facts: Facts, number: Option<u64>) -> Facts {
    with(facts, &asked_for(number, None))
}

fn suspending(mut facts: Facts) -> Facts {
    facts.object.spec.state = JobState::Suspended;
    facts
}

fn cancel(number: u64) -> KeptWish {
    KeptWish { wish: JobWish::Cancel { job: "flights".into() }, number: Some(number) }
}

fn suspend(number: u64) -> KeptWish {
    KeptWish { wish: JobWish::Suspend { job: "flights".into() }, number: Some(number) }
}

fn keep(wish: Option<KeptWish>) -> Step {
    Step::Keep { operation: "4-ab".into(), number: Some(4), wish }
}

fn record(operation: &str, wishes: Vec<KeptWish>) -> WishesRecord {
    WishesRecord { operation: operation.into(), wishes }
}

#[test]
fn a_new_job_is_recorded_then_submitted_then_known_by_its_number() {
    let mut new = facts(serving(vec![view(3, JobStatus::Cancelled)]));
    new.finalizer = false;
    assert_eq!(plan(&new), Step::AddFinalizer);
    new.finalizer = true;
    assert_eq!(plan(&new), Step::Record(asked_for(None, None)));
    let recorded = submitted(new, None);
    assert!(matches!(plan(&recorded), Step::Submit(job) if job.name == "flights" && job.sql == SQL));
    let jobs = vec![view(3, JobStatus::Cancelled), view(4, JobStatus::Running)];
    let there = submitted(facts(serving(jobs.clone())), None);
    assert_eq!(ours(&there, &jobs).map(|job| job.id), Some(4));
    assert_eq!(plan(&there), Step::Record(asked_for(Some(4), None)));
    assert_eq!(plan(&submitted(there, Some(4))), Step::Rest);
}

#[test]
fn a_job_that_was_there_and_is_gone_is_never_submitted_again() {
    assert_eq!(plan(&submitted(facts(serving(vec![])), Some(4))), Step::Rest);
    let elsewhere = Asked { founding_id: "another".into(), ..asked_for(None, None) };
    assert_eq!(plan(&with(facts(serving(vec![])), &elsewhere)), Step::Rest);
    let ended = submitted(facts(serving(vec![view(4, JobStatus::Completed)])), Some(4));
    assert_eq!(plan(&ended), Step::Rest, "with its status lost");
    assert_eq!(plan(&submitted(facts(behind()), None)), Step::Rest, "who lags may not have heard of it");
}

#[test]
fn what_an_older_operator_left_in_the_status_is_written_down_first() {
    let mut old = facts(serving(vec![]));
    let status = JetJobStatus { founding_id: Some("f".into()), submitted_after: Some(3), ..JetJobStatus::default() };
    old.object.status = Some(status);
    assert_eq!(plan(&old), Step::Record(asked_for(None, None)));
}

#[test]
fn a_namesake_is_not_ours() {
    let mut other = view(7, JobStatus::Running);
    other.sql = "CREATE JOB flights AS INSERT INTO x SELECT 2".into();
    assert_eq!(plan(&facts(serving(vec![other.clone()]))), Step::Rest);
    let newer = submitted(facts(serving(vec![])), None);
    assert_eq!(ours(&newer, std::slice::from_ref(&other)), None, "newer, but other SQL");
    let mut leaving = submitted(facts(serving(vec![other])), Some(4));
    leaving.deleting = true;
    assert_eq!(plan(&leaving), Step::Release, "another one's job is not cancelled");
    let adopted = Asked { after: 8, number: Some(9), ..asked_for(None, None) };
    let made_by_sql = facts(serving(vec![view(9, JobStatus::Running)]));
    assert_eq!(plan(&made_by_sql), Step::Record(adopted), "one made by SQL is adopted");
}

#[test]
fn suspension_is_written_down_then_asked_and_taken_back_only_if_it_was_asked_for_here() {
    let running = suspending(submitted(facts(serving(vec![view(4, JobStatus::Running)])), Some(4)));
    assert_eq!(plan(&running), Step::Record(asked_for(Some(4), Some(1))));
    assert_eq!(plan(&with(running, &asked_for(Some(4), Some(1)))), Step::Suspend);
    let suspended = || facts(serving(vec![view(4, JobStatus::Suspended)]));
    assert_eq!(plan(&submitted(suspended(), Some(4))), Step::Rest, "it suspended itself");
    assert_eq!(plan(&with(suspended(), &asked_for(Some(4), Some(1)))), Step::Resume);
    let later = JobView { execution: 4, ..view(4, JobStatus::Suspended) };
    let later = with(facts(serving(vec![later])), &asked_for(Some(4), Some(1)));
    assert_eq!(plan(&later), Step::Rest, "it was resumed since, and suspended itself");
}

#[test]
fn deletion_cancels_or_keeps_the_cancellation() {
    let gone = |cluster, number| {
        let mut facts = submitted(facts(cluster), number);
        facts.deleting = true;
        facts
    };
    assert_eq!(plan(&gone(serving(vec![view(4, JobStatus::Running)]), Some(4))), Step::Cancel);
    assert_eq!(plan(&gone(serving(vec![view(4, JobStatus::Running)]), None)), Step::Cancel);
    assert_eq!(plan(&gone(serving(vec![view(4, JobStatus::Cancelled)]), Some(4))), Step::Release);
    assert_eq!(plan(&gone(ClusterFacts::Absent, Some(4))), Step::Release);
    assert_eq!(plan(&gone(ClusterFacts::Silent { why: String::new() }, Some(4))), Step::Rest);
    assert_eq!(plan(&gone(behind(), Some(4))), Step::Rest, "who lags may not have heard of its job");
    let mut stopped_one = gone(stopped(), Some(4));
    assert_eq!(plan(&stopped_one), keep(Some(cancel(4))));
    stopped_one.kept = record("3-aa", vec![cancel(4)]);
    assert_eq!(plan(&stopped_one), keep(Some(cancel(4))), "what is kept for another activation is not in this one");
    stopped_one.kept = record("4-ab", vec![cancel(4)]);
    assert_eq!(plan(&stopped_one), Step::Release);
    let mut namespace = gone(stopped(), Some(4));
    namespace.namespace_terminating = true;
    assert_eq!(plan(&namespace), Step::Release);
}

#[test]
fn the_seal_tells_a_job_whose_number_was_never_seen() {
    let mut gone = submitted(facts(stopped()), None);
    gone.deleting = true;
    gone.ledger = Some(vec![sleeping(3, JobStatus::Cancelled, 1), sleeping(4, JobStatus::Waiting, 1)]);
    assert_eq!(plan(&gone), keep(Some(cancel(4))));
    gone.ledger = Some(vec![sleeping(3, JobStatus::Cancelled, 1)]);
    assert_eq!(plan(&gone), Step::Release, "the submission never arrived");
}

#[test]
fn a_new_object_neither_erases_nor_outruns_the_cancellation_of_its_predecessor() {
    let mut new = facts(stopped());
    new.kept = record("4-ab", vec![cancel(4)]);
    assert_eq!(plan(&new), Step::Rest);
    new.cluster = serving(vec![view(4, JobStatus::Running)]);
    assert_eq!(plan(&new), Step::Rest, "until the kept wish is settled");
}

#[test]
fn wishes_while_stopped_are_kept_and_taken_back() {
    let mut asleep = submitted(facts(stopped()), Some(4));
    asleep.ledger = Some(vec![sleeping(4, JobStatus::Waiting, 2)]);
    assert_eq!(plan(&asleep), Step::Rest);
    asleep = suspending(asleep);
    assert_eq!(plan(&asleep), Step::Record(asked_for(Some(4), Some(2))));
    asleep = with(asleep, &asked_for(Some(4), Some(2)));
    assert_eq!(plan(&asleep), keep(Some(suspend(4))));
    asleep.kept = record("4-ab", vec![suspend(4)]);
    assert_eq!(plan(&asleep), Step::Rest);
    asleep.object.spec.state = JobState::Running;
    assert_eq!(plan(&asleep), keep(None));
    let closing = submitted(facts(ClusterFacts::Closed { why: "stopping".into(), sealed_by: None }), Some(4));
    assert_eq!(plan(&suspending(closing)), Step::Rest);
}

#[test]
fn a_job_that_sleeps_suspended_is_resumed_only_if_that_was_asked_for_here() {
    let asleep = |asked: &Asked| {
        let mut asleep = with(facts(stopped()), asked);
        asleep.ledger = Some(vec![sleeping(4, JobStatus::Suspended, 2)]);
        asleep
    };
    let resume = KeptWish { wish: JobWish::Resume { job: "flights".into() }, number: Some(4) };
    assert_eq!(plan(&asleep(&asked_for(Some(4), Some(2)))), keep(Some(resume)));
    assert_eq!(plan(&asleep(&asked_for(Some(4), None))), Step::Rest, "it suspended itself");
    assert_eq!(plan(&suspending(asleep(&asked_for(Some(4), Some(2))))), Step::Rest, "it is so already");
}
