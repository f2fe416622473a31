//! Hands that come too late or write where they should not.
//!
//! Laws: STOP HOLD.

use super::*;
use crate::api::spec::EncryptionSpec;
use crate::api::status::HistoryEntry;
use crate::cluster::facts::Hand;

#[test]
fn an_abort_that_comes_too_late_is_consumed_once_and_changes_nothing() {
    let aborting = |f: &mut Facts| annotate(f, keys::ABORT, OPERATION);
    let asked = |f: &mut Facts| {
        wish(f);
        aborting(f);
    };
    let mut facts = stopped();
    asked(&mut facts);
    let plan = plan(&facts);
    assert_eq!((plan.step, plan.reason), (Step::Stopped, Reason::NotApplicable));
    let Some(Act::Remember(remember)) = plan.act else { panic!("{plan:?}") };
    assert_eq!(remember.handled.abort_outcome.as_deref(), Some("NotApplicable"));
    let consumed = |f: &mut Facts| {
        asked(f);
        f.cluster.status.get_or_insert_default().handled = Some(remember.handled.clone());
    };
    assert_eq!(next(consumed, stopped()), "Stopped/-");
    // One that did what was asked is remembered as that.
    let carried_out = |f: &mut Facts| {
        aborting(f);
        let at = "2013-01-01T00:00:00Z".into();
        let past = HistoryEntry { operation: OPERATION.into(), kind: "Stop".into(), outcome: "Aborted".into(), at };
        f.cluster.status.get_or_insert_default().history = vec![past];
    };
    let mut facts = running(None);
    carried_out(&mut facts);
    let Some(Act::Remember(remember)) = super::plan(&facts).act else { panic!("not remembered") };
    assert_eq!(remember.handled.abort_outcome.as_deref(), Some("Aborted"));
}

#[test]
fn a_template_changed_by_hand_is_set_back_where_it_is_ours_and_named_where_it_is_not() {
    let hand = |fields: serde_json::Value| {
        move |f: &mut Facts| {
            let hand = Hand { manager: "kubectl-set".into(), fields: fields.clone() };
            f.kube.set.as_mut().unwrap().hands = vec![hand];
        }
    };
    let image = hand(json!({ "f:spec": { "f:containers": { r#"k:{"name":"member"}"#: { "f:image": {} } } } }));
    let restarted = hand(json!({ "f:metadata": { "f:annotations": { "f:kubectl.kubernetes.io/restartedAt": {} } } }));
    assert_eq!(next(&image, running(None)), "Running/set 3");
    assert_eq!(next(&restarted, running(None)), "Running/-");
    let mut facts = running(None);
    restarted(&mut facts);
    let named = plan(&facts).blockers;
    assert_eq!(named, [], "every member has that template already");
    facts.kube.set.as_mut().unwrap().update_revision = "rev-2".into();
    let named = plan(&facts).blockers;
    assert!(named.iter().any(|b| b.reason == "Drift" && b.message.contains("kubectl-set")), "{named:?}");
    // A change of the spec that waits is not written with it: a pod that is made anew would take it.
    let both = |f: &mut Facts| {
        image(f);
        f.cluster.spec.image = "registry.example/jet-member:0.2.0".into();
    };
    assert_eq!(next(both, running(None)), "Running/-");
}

#[test]
fn a_configuration_waits_with_the_template_that_mounts_what_it_names() {
    let encrypts = |f: &mut Facts| {
        let keys = EncryptionSpec { keys_secret_name: "volume-keys".into(), current_key: Some("k1".into()) };
        f.cluster.spec.hot_restart.encryption = Some(keys);
    };
    assert_eq!(next(encrypts, running(None)), "Running/-");
    let mut facts = running(None);
    encrypts(&mut facts);
    assert_eq!(plan(&facts).blockers[0].reason, "ChangeWaits");
    let gone = |f: &mut Facts| {
        encrypts(f);
        f.kube.applied.retain(|(kind, _), _| kind != "ConfigMap");
    };
    assert_eq!(next(gone, running(None)), "Running/apply ConfigMap", "no pod can be made without any");
    assert_eq!(next(encrypts, stopped()), "VolumesChecked/apply ConfigMap");
    assert_eq!(next(encrypts, returned()), "ScaledUp/apply ConfigMap", "no store is open yet");
}

#[test]
fn a_shape_that_would_let_claims_go_is_set_back_with_the_replicas_in_one_write() {
    let misshapen = |f: &mut Facts| f.kube.set.as_mut().unwrap().misshapen = Some("its claims would go with it".into());
    assert_eq!(next(misshapen, running(None)), "Running/mark 3 ");
    let mut facts = running(None);
    misshapen(&mut facts);
    assert_eq!(plan(&facts).reason, Reason::Drift);
}

#[test]
fn a_return_starts_with_the_whole_template_whoever_wrote_into_it() {
    let image = |f: &mut Facts| {
        let fields = json!({ "f:spec": { "f:containers": { r#"k:{"name":"member"}"#: { "f:image": {} } } } });
        f.kube.set.as_mut().unwrap().hands = vec![Hand { manager: "kubectl-set".into(), fields }];
    };
    assert_eq!(next(image, stopped()), "ScaledUp/set 3");
    let waiting = |f: &mut Facts| {
        image(f);
        each(f, |v| v.phase = MemberPhase::Recovering);
    };
    assert_eq!(next(waiting, returned()), "ScaledUp/set 3");
}

#[test]
fn a_stop_that_waits_for_a_seal_names_the_volume_that_hinders_it() {
    let mut facts = running(Some(OperationStep::Quiesced));
    wish(&mut facts);
    each(&mut facts, |v| v.store.lagging = (v.ordinal == 1).then(|| "no space left on device".into()));
    let plan = plan(&facts);
    let told = plan.blockers.first().expect("a blocker");
    assert_eq!((plan.step, &*told.object), (Step::Sealed, "claim/data-orders-1"), "{told:?}");
    assert!(told.message.contains("no space left"), "{told:?}");
}
