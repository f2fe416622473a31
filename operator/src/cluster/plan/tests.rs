//! Tables: facts → the one act; and one reason of `safety` for each way in which something could be lost.
//!
//! Laws: STOP HOLD RESUME CONSENT. The protocol over time is in `tests/kill.rs`; here is one look each.

use jet_admin_api::cluster::{ClusterStateView, ClusterView, PartitionsView, RosterMember};
use jet_admin_api::job::{Guarantee, JobStatus, JobView};
use jet_admin_api::member::{MemberPhase, MemberView, SealView, StoreState, StoreView};
use jet_admin_api::operation::{MemberSeal, OperationStep, OperationView, QuiescedView};
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::api::FINALIZER;
use crate::api::annotations as keys;
use crate::api::records::{OperationStamp, WishKey};
use crate::cluster::desired::{self, Budget};
use crate::cluster::evidence::{Kept, roster, seals};
use crate::cluster::facts::{ClaimFacts, KubeFacts, PodFacts, Seen, SetFacts};
use crate::members::Command;

mod asked;
mod hands;
mod progress;

const OPERATION: &str = "7-abcdef01";

fn uuid(ordinal: u32) -> Uuid {
    Uuid::from_u64_pair(1, u64::from(ordinal) + 1)
}

fn founding_id() -> Uuid {
    Uuid::from_u64_pair(9, 9)
}

fn job(guarantee: Guarantee) -> JobView {
    JobView {
        id: 4,
        name: "flights".into(),
        sql: String::new(),
        guarantee,
        status: JobStatus::Running,
        execution: 1,
        failures: 0,
        cause: None,
        snapshot: None,
        started_from: None,
        verdict: None,
    }
}

fn machine(operation: Option<OperationView>) -> ClusterView {
    ClusterView {
        founding_id: founding_id(),
        incarnation: 0,
        generation: 1,
        state: ClusterStateView::Active,
        former_state: None,
        leader: Some(uuid(0)),
        applied_index: 9,
        durable_index: 9,
        roster: (0..3)
            .map(|o| RosterMember {
                uuid: uuid(o),
                ordinal: o,
                boot: 1,
                volume_id: String::new(),
                present: true,
                loaded: true,
            })
            .collect(),
        roster_digest: "r".into(),
        partitions: PartitionsView {
            count: 271,
            backups_wanted: 1,
            fully_backed: 271,
            absent: 0,
            migrating: 0,
            table_version: 1,
        },
        moves: Default::default(),
        highest_operation: operation.as_ref().map_or(0, |_| 7),
        stop_request: None,
        operation,
        jobs: vec![job(Guarantee::ExactlyOnce)],
        missing: Vec::new(),
    }
}

fn operation(step: OperationStep) -> OperationView {
    let sealed = step >= OperationStep::Sealed;
    OperationView {
        id: OPERATION.into(),
        step,
        base_index: 5,
        attempt: 1,
        progress: String::new(),
        quiesced: (step >= OperationStep::Quiesced).then(|| QuiescedView {
            index: 8,
            content_digest: "c".into(),
            entries: 3,
        }),
        seals: (0..3)
            .filter(|_| sealed)
            .map(|o| MemberSeal { member: uuid(o), ordinal: o, seal: seal(o), volume_id: String::new() })
            .collect(),
        aborted_because: None,
    }
}

fn seal(ordinal: u32) -> SealView {
    SealView {
        generation: 1,
        operation: OPERATION.into(),
        attempt: 1,
        digest: format!("m{ordinal}"),
        content_digest: "c".into(),
        quiesced_index: 8,
        entries: 1,
        bytes: 1,
        verified: true,
    }
}

fn view(ordinal: u32, cluster: ClusterView) -> MemberView {
    let sealed = cluster
        .operation
        .as_ref()
        .is_some_and(|op| matches!(op.step, OperationStep::Sealed | OperationStep::Committed));
    MemberView {
        uuid: uuid(ordinal),
        ordinal,
        boot: 1,
        version: "0.1.0".into(),
        phase: MemberPhase::Serving,
        ready: true,
        waiting_for: String::new(),
        doors_open: true,
        founding_id: Some(founding_id()),
        store: StoreView {
            state: StoreState::Open,
            generation: 1,
            volume_id: String::new(),
            seal: sealed.then(|| seal(ordinal)),
            live_bytes: 1,
            retained_bytes: 0,
            free_bytes: 2,
            lagging: None,
            progress: None,
        },
        cluster: Some(cluster),
        primaries: 90,
        work: Vec::new(),
    }
}

/// A running cluster of three, everything recorded, with the machine's operation at `step` and stamped.
fn running(step: Option<OperationStep>) -> Facts {
    let cluster: crate::api::JetCluster = serde_json::from_value(json!({
        "apiVersion": "jet.lossless.dev/v1alpha1", "kind": "JetCluster",
        "metadata": { "name": "orders", "namespace": "prod", "uid": "u", "resourceVersion": "1", "finalizers": [FINALIZER] },
        "spec": { "size": 3, "version": "0.1.0", "image": "registry.example/jet-member:0.1.0" },
        "status": { "handled": {} },
    }))
    .unwrap();
    let cluster_view = machine(step.map(operation));
    let mut facts = Facts {
        now: 1000,
        fresh: Uuid::from_u64_pair(3, 3),
        cluster,
        requester: "kubectl-annotate".into(),
        kube: KubeFacts::default(),
        members: (0..3).map(|o| (o, Seen::View(Box::new(view(o, cluster_view.clone()))))).collect(),
    };
    let stamp = OperationStamp {
        id: OPERATION.into(),
        wish: WishKey::Stop,
        requested_by: "kubectl-annotate".into(),
        accepted_at: 1000,
    };
    facts.kube.pods = (0..3)
        .map(|o| {
            (
                o,
                PodFacts {
                    uid: format!("p{o}"),
                    ip: Some("10.0.0.1".into()),
                    ready: true,
                    revision: "rev".into(),
                    ..PodFacts::default()
                },
            )
        })
        .collect();
    facts.kube.claims = (0..3)
        .map(|o| {
            (
                o,
                ClaimFacts {
                    uid: format!("c{o}"),
                    resource_version: "1".into(),
                    bound: true,
                    volume: format!("pv{o}"),
                    ..ClaimFacts::default()
                },
            )
        })
        .collect();
    facts.kube.set = Some(SetFacts {
        uid: "s".into(),
        resource_version: "1".into(),
        replicas: 3,
        update_revision: "rev".into(),
        observed: true,
        applied: objects::template_digest(&facts).unwrap(),
        operation: step.map(|_| stamp),
        ..SetFacts::default()
    });
    let budget = if step.is_some() { Budget::Closed } else { Budget::One };
    apply_companions(&mut facts, budget);
    let record = roster::from_machine(&facts).unwrap();
    facts.kube.evidence.rosters = vec![Kept { name: "orders-roster-1".into(), uid: "k1".into(), record }];
    stamp_claims(&mut facts, None);
    facts
}

fn apply_companions(facts: &mut Facts, budget: Budget) {
    let objects = desired::companions(&facts.cluster, budget).unwrap();
    facts.kube.applied = objects.into_iter().map(|o| ((o.api.kind, o.name), o.digest)).collect();
}

fn stamp_claims(facts: &mut Facts, seal: Option<String>) {
    for (ordinal, claim) in &mut facts.kube.claims {
        claim.stamp = Some(crate::api::records::ClaimStamp {
            member: uuid(*ordinal),
            founding_id: founding_id(),
            seal: seal.clone(),
        });
    }
}

/// Sealed, recorded, replicas 0, no pods.
fn stopped() -> Facts {
    let mut facts = running(Some(OperationStep::Committed));
    let cluster = facts.machine().cloned().unwrap();
    let record = seals::from_machine(&facts, &cluster, cluster.operation.as_ref().unwrap()).unwrap();
    stamp_claims(&mut facts, Some(record.digest.clone()));
    facts.kube.evidence.seals = vec![Kept { name: "orders-seal-2".into(), uid: "k2".into(), record }];
    let set = facts.kube.set.as_mut().unwrap();
    (set.replicas, set.seal) = (0, Some("orders-seal-2/k2".into()));
    facts.kube.pods.clear();
    facts.members.clear();
    facts
}

/// The same with all members back and waiting.
fn returned() -> Facts {
    let (mut facts, up) = (stopped(), running(Some(OperationStep::Committed)));
    facts.kube.pods = up.kube.pods;
    facts.members = up.members;
    facts.kube.set.as_mut().unwrap().replicas = 3;
    each(&mut facts, |v| v.phase = MemberPhase::WaitingForActivate);
    facts
}

fn each(facts: &mut Facts, change: impl Fn(&mut MemberView)) {
    for seen in facts.members.values_mut() {
        if let Seen::View(view) = seen {
            change(view);
        }
    }
}

fn annotate(facts: &mut Facts, key: &str, value: &str) {
    facts.cluster.metadata.annotations.get_or_insert_default().insert(key.into(), value.into());
}

fn wish(facts: &mut Facts) {
    annotate(facts, keys::MAINTENANCE, keys::MAINTENANCE_SHUTDOWN);
}

/// An act in a few words.
fn word(act: &Option<Act>) -> String {
    match act {
        None => "-".into(),
        Some(Act::Command { command, .. }) => command.name().into(),
        Some(Act::Mark(mark)) => {
            let keys: Vec<_> = mark
                .stamps
                .iter()
                .map(|(k, v)| format!("{}{}", if v.is_some() { "+" } else { "-" }, k.rsplit('/').next().unwrap()))
                .collect();
            format!("mark {} {}", mark.replicas.map_or("=".into(), |r| r.to_string()), keys.join(" "))
        }
        Some(Act::Remember(r)) => {
            if r.operation.is_some() {
                "accept".into()
            } else {
                "remember".into()
            }
        }
        Some(Act::ApplySet(o)) => format!("set {}", o.body["spec"]["replicas"]),
        Some(Act::Apply(o)) => format!("apply {}", o.api.kind),
        Some(Act::Row(acts)) => acts.iter().map(|act| word(&Some(act.clone()))).collect::<Vec<_>>().join(", "),
        Some(other) => format!("{other:?}").split(['(', ' ']).next().unwrap().to_owned(),
    }
}

fn next(change: impl Fn(&mut Facts), from: Facts) -> String {
    let mut facts = from;
    change(&mut facts);
    let plan = plan(&facts);
    format!("{:?}/{}", plan.step, word(&plan.act))
}

#[test]
fn at_rest_nothing_is_done() {
    assert_eq!(next(|_| {}, running(None)), "Running/-");
    assert_eq!(next(|f| f.kube.set.as_mut().unwrap().replicas = 1, running(None)), "Running/mark 3 ");
    assert_eq!(
        next(|f| f.cluster.spec.image = "other".into(), running(None)),
        "Running/-",
        "an open store is not restarted by a template"
    );
    assert_eq!(
        next(|f| f.cluster.spec.size = 5, running(None)),
        "Running/-",
        "replicas come from the roster, never from size"
    );
}

#[test]
fn each_step_of_the_stop_is_known_from_facts() {
    use OperationStep::*;
    assert_eq!(next(wish, running(None)), "Preflight/accept");
    let open = |f: &mut Facts| {
        wish(f);
        let status = f.cluster.status.as_mut().unwrap();
        status.operation = Some(crate::api::status::OperationStatus {
            id: OPERATION.into(),
            kind: "Stop".into(),
            accepted_at: "1970-01-01T00:16:40Z".into(),
            ..Default::default()
        });
    };
    assert_eq!(next(open, running(None)), "Fenced/mark = +operation -spent, apply PodDisruptionBudget");
    let stamped = |f: &mut Facts| {
        wish(f);
        f.kube.set.as_mut().unwrap().operation = running(Some(Begun)).kube.set.unwrap().operation;
    };
    assert_eq!(next(stamped, running(None)), "Fenced/apply PodDisruptionBudget");
    assert_eq!(
        next(
            |f| {
                stamped(f);
                apply_companions(f, Budget::Closed)
            },
            running(None)
        ),
        "Fenced/begin"
    );
    for (step, wanted) in [
        (Begun, "Frozen/freeze"),
        (Freezing, "Frozen/-"),
        (Quiesced, "Sealed/-"),
        (Sealed, "Committed/commit"),
        (Committed, "Committed/CreateSeal, StampClaim, StampClaim, StampClaim"),
    ] {
        assert_eq!(next(wish, running(Some(step))), wanted, "{step:?}");
    }
    assert_eq!(
        next(|f| f.kube.evidence.rosters.clear(), {
            let mut f = running(Some(Begun));
            wish(&mut f);
            f
        }),
        "RosterRecorded/CreateRoster"
    );
    assert_eq!(next(wish, running(Some(Aborted))), "RollingBack/apply PodDisruptionBudget");
}

#[test]
fn before_the_commit_it_can_be_taken_back_and_after_it_not() {
    use OperationStep::*;
    for step in [Begun, Freezing, Quiesced, Sealed] {
        assert_eq!(next(|_| {}, running(Some(step))), "RollingBack/abort", "{step:?}, withdrawn");
        assert_eq!(
            next(
                |f| {
                    wish(f);
                    annotate(f, keys::ABORT, OPERATION)
                },
                running(Some(step))
            ),
            "RollingBack/abort",
            "{step:?}, by annotation"
        );
        assert_eq!(
            next(
                |f| {
                    wish(f);
                    f.now += 1231
                },
                running(Some(step))
            ),
            "RollingBack/abort",
            "{step:?}, too late"
        );
        assert_ne!(
            next(
                |f| {
                    wish(f);
                    annotate(f, keys::ABORT, "6-other")
                },
                running(Some(step))
            ),
            "RollingBack/abort",
            "{step:?}, another's id"
        );
    }
    assert_eq!(
        next(|f| annotate(f, keys::ABORT, OPERATION), running(Some(Committed))),
        "Committed/CreateSeal, StampClaim, StampClaim, StampClaim"
    );
}

#[test]
fn at_the_seal_the_wish_decides_the_direction() {
    let sealed_up = || {
        let mut f = stopped();
        let up = running(Some(OperationStep::Committed));
        f.kube.pods = up.kube.pods;
        f.members = up.members;
        let set = f.kube.set.as_mut().unwrap();
        (set.replicas, set.seal) = (3, None);
        f
    };
    assert_eq!(next(wish, sealed_up()), "ScaledDown/mark 0 -activating +operation +seal");
    assert_eq!(
        next(
            |f| {
                wish(f);
                stamp_claims(f, None)
            },
            sealed_up()
        ),
        "Committed/StampClaim, StampClaim, StampClaim",
        "claims carry the seal before a pod ends"
    );
    assert_eq!(
        next(
            |f| {
                wish(f);
                f.kube.claims.get_mut(&1).unwrap().deleting = true
            },
            sealed_up()
        ),
        "Committed/-",
        "a claim that would go with its pod holds the pod"
    );
    assert_eq!(next(wish, stopped()), "Stopped/-");
    assert_eq!(next(|_| {}, stopped()), "ScaledUp/set 3");
    assert_eq!(
        next(|f| f.kube.set = None, stopped()),
        "ScaledDown/set 0",
        "a lost StatefulSet is made again without replicas"
    );
    assert_eq!(next(|f| f.cluster.spec.image = "fixed".into(), stopped()), "ScaledUp/set 3");
    assert_eq!(
        next(|f| f.cluster.status = None, stopped()),
        "Creating/remember",
        "a lost status is first sight, nothing starts"
    );
    for value in ["shutdwon", ""] {
        assert_eq!(next(|f| annotate(f, keys::MAINTENANCE, value), stopped()), "Held/-", "{value:?}");
    }
    assert_eq!(next(|f| f.cluster.spec.size = 2, stopped()), "Stopped/-", "the seal disagrees: nothing is started");
    assert_eq!(
        next(
            |f| {
                wish(f);
                annotate(f, keys::RESTART, "n")
            },
            stopped()
        ),
        "Stopped/remember",
        "a restart does not apply and is not kept"
    );
}

#[test]
fn only_the_sealed_roster_is_activated() {
    assert_eq!(next(|_| {}, returned()), "MembersComplete/mark = +activating");
    let activating = |f: &mut Facts| f.kube.set.as_mut().unwrap().activating = Some(OPERATION.into());
    assert_eq!(next(activating, returned()), "Activated/activate");
    assert_eq!(next(wish, returned()), "ScaledDown/mark 0 ", "taken back");
    assert_eq!(
        next(
            |f| {
                wish(f);
                activating(f)
            },
            returned()
        ),
        "Activated/activate",
        "only forward once the activation may have been sent"
    );
    type Change = fn(&mut MemberView);
    let wrong: [(&str, Change); 8] = [
        ("blank", |v| v.phase = MemberPhase::NoStore),
        ("another member", |v| v.uuid = Uuid::nil()),
        ("another operation", |v| v.store.seal.as_mut().unwrap().operation = "6-x".into()),
        ("another attempt", |v| v.store.seal.as_mut().unwrap().attempt = 2),
        ("an older generation", |v| v.store.seal.as_mut().unwrap().generation = 0),
        ("another content", |v| v.store.seal.as_mut().unwrap().digest = "x".into()),
        ("not verified", |v| v.store.seal.as_mut().unwrap().verified = false),
        ("still loading", |v| v.phase = MemberPhase::Recovering),
    ];
    for (what, change) in wrong {
        let one = |f: &mut Facts| {
            activating(f);
            if let Some(Seen::View(view)) = f.members.get_mut(&2) {
                change(view);
            }
        };
        assert_eq!(next(one, returned()), "MembersComplete/-", "{what}");
    }
    assert_eq!(
        next(
            |f| {
                activating(f);
                f.members.insert(1, Seen::Silent("refused".into()));
            },
            returned()
        ),
        "MembersComplete/-",
        "silent"
    );
}

#[test]
fn a_stop_is_refused_for_each_thing_that_could_be_lost() {
    type Change = fn(&mut Facts);
    let rows: [(Reason, Change); 11] = [
        (Reason::MemberUnreachable, |f| {
            f.members.insert(1, Seen::Silent("refused".into()));
        }),
        (Reason::MembersMissing, |f| {
            f.kube.pods.remove(&1);
            f.members.remove(&1);
        }),
        (Reason::MembersRecovering, |f| {
            if let Some(Seen::View(v)) = f.members.get_mut(&1) {
                v.phase = MemberPhase::Recovering
            }
        }),
        (Reason::NotBackedUp, |f| each(f, |v| v.cluster.as_mut().unwrap().partitions.fully_backed = 270)),
        (Reason::NotBackedUp, |f| each(f, |v| v.cluster.as_mut().unwrap().partitions.migrating = 1)),
        (Reason::JobWithoutGuarantee, |f| each(f, |v| v.cluster.as_mut().unwrap().jobs = vec![job(Guarantee::None)])),
        (Reason::LosslessOff, |f| f.cluster.spec.lossless_restart = false),
        (Reason::NoRoom, |f| each(f, |v| v.store.free_bytes = 0)),
        (Reason::ClaimDeleting, |f| f.kube.claims.get_mut(&0).unwrap().deleting = true),
        (Reason::ClaimMissing, |f| f.kube.claims.get_mut(&0).unwrap().bound = false),
        (Reason::ClusterStateForbids, |f| {
            each(f, |v| v.cluster.as_mut().unwrap().state = ClusterStateView::InTransition)
        }),
    ];
    assert!(safety::why_not_stop(&running(None)).is_empty());
    for (reason, change) in rows {
        let mut facts = running(None);
        change(&mut facts);
        let against = safety::why_not_stop(&facts);
        assert!(against.iter().any(|b| b.reason == reason.as_str()), "{reason:?}: {against:?}");
    }
}

#[test]
fn a_loss_is_accepted_by_name_and_number_only() {
    let lossy = |accepted: &str| {
        let mut facts = running(None);
        each(&mut facts, |v| v.cluster.as_mut().unwrap().jobs = vec![job(Guarantee::None)]);
        facts.cluster.spec.maintenance.accept_job_loss = vec![accepted.into()];
        safety::why_not_stop(&facts).len()
    };
    assert_eq!((lossy("flights@4"), lossy("flights@3"), lossy("flights")), (0, 1, 1));
}

#[test]
fn a_member_that_shows_another_seal_prevents_the_commit() {
    type Change = fn(&mut SealView);
    let rows: [Change; 4] =
        [|s| s.digest = "x".into(), |s| s.attempt = 9, |s| s.quiesced_index = 7, |s| s.operation = "6-x".into()];
    for change in rows {
        let mut facts = running(Some(OperationStep::Sealed));
        wish(&mut facts);
        if let Some(Seen::View(view)) = facts.members.get_mut(&1) {
            change(view.store.seal.as_mut().unwrap());
        }
        assert_eq!(next(|_| {}, facts), "Sealed/-");
    }
}

#[test]
fn deletion_is_a_stop_and_what_never_formed_goes_at_once() {
    let delete = |f: &mut Facts| {
        f.cluster.metadata.deletion_timestamp = serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap()
    };
    assert_eq!(next(delete, running(None)), "Preflight/accept");
    assert_eq!(next(delete, stopped()), "Releasing/Finalizer");
    assert_eq!(
        next(
            |f| {
                delete(f);
                annotate(f, keys::DELETE, keys::DELETE_ABANDON)
            },
            running(None)
        ),
        "Releasing/Finalizer"
    );
    assert_eq!(
        next(
            |f| {
                delete(f);
                f.kube.namespace_terminating = true
            },
            running(None)
        ),
        "Releasing/Finalizer"
    );
    let blank = |f: &mut Facts| {
        f.kube = KubeFacts::default();
        f.members.clear();
    };
    assert_eq!(
        next(
            |f| {
                blank(f);
                delete(f)
            },
            running(None)
        ),
        "Releasing/Finalizer"
    );
}

#[test]
fn nothing_is_founded_where_something_was() {
    let blank = |f: &mut Facts| {
        each(f, |v| {
            v.phase = MemberPhase::NoStore;
            v.cluster = None;
            v.founding_id = None;
            v.store.seal = None
        })
    };
    let found = |f: &mut Facts| {
        let plan = plan(f);
        matches!(plan.act, Some(Act::Command { command: Command::Found(_), .. } | Act::CreateFounding(_)))
    };
    type Change = fn(&mut Facts);
    let rows: [(&str, Change); 3] = [
        ("a roster", |_| {}),
        ("stamped claims", |f| f.kube.evidence.rosters.clear()),
        ("a seal", |f| {
            f.kube.evidence = stopped().kube.evidence;
        }),
    ];
    for (what, change) in rows {
        let mut facts = running(None);
        blank(&mut facts);
        change(&mut facts);
        assert!(!found(&mut facts), "{what}");
    }
    let mut facts = running(None);
    blank(&mut facts);
    facts.kube.evidence.rosters.clear();
    facts.kube.claims.values_mut().for_each(|c| c.stamp = None);
    facts.cluster.status.as_mut().unwrap().founding_id = Some(founding_id().to_string());
    apply_companions(&mut facts, Budget::Closed);
    assert!(found(&mut facts), "and where nothing was it is");
}

#[test]
fn two_clusters_under_one_name_are_held() {
    let mut facts = running(None);
    if let Some(Seen::View(view)) = facts.members.get_mut(&2) {
        view.founding_id = Some(Uuid::nil());
    }
    let plan = plan(&facts);
    assert_eq!((plan.act.is_none(), plan.reason), (true, Reason::RosterDisagrees));
}

/// Generation 2 is recorded; the members that answer still are where the return began.
fn returned_and_lagging(step: OperationStep) -> Facts {
    let mut facts = running(Some(step));
    let mut record = facts.kube.evidence.rosters[0].record.clone();
    (record.sequence, record.generation) = (3, 2);
    facts.kube.evidence = stopped().kube.evidence;
    facts.kube.evidence.rosters.push(Kept { name: "orders-roster-3".into(), uid: "k3".into(), record });
    facts
}

#[test]
fn members_that_lag_behind_the_records_are_not_recorded() {
    use OperationStep::*;
    let no_leader = |f: &mut Facts| {
        f.members.insert(0, Seen::Silent("cannot be reached".into()));
    };
    for step in [Committed, Opened] {
        let silent = next(no_leader, returned_and_lagging(step));
        assert!(!silent.contains("Create"), "{step:?}: {silent}");
    }
    let leader = next(|_| {}, returned_and_lagging(Committed));
    assert_eq!(
        leader, "Committed/CreateSeal, StampClaim, StampClaim, StampClaim",
        "what the leader itself says is so: sealed copies were brought back"
    );
}
