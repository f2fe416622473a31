//! Stops that are asked of the members.
//!
//! Laws: STOP CONSENT: what was asked once becomes a wish once at most, and nobody who takes it back is overruled.

use jet_admin_api::stop_request::{RequestAnswer, StopRequestView};

use super::*;
use crate::api::records::SpentWish;

/// Every member tells of a stop that was asked of them at this index.
fn asked(facts: &mut Facts, asked: u64, answered: bool) {
    let answer = answered.then(|| RequestAnswer { taken_up: false, why: "so".into() });
    let request = StopRequestView { asked, requested_by: "rest".into(), answer };
    each(facts, |v| v.cluster.as_mut().unwrap().stop_request = Some(request.clone()));
}

fn taken(facts: &mut Facts, number: impl std::fmt::Display) {
    annotate(facts, keys::MEMBERS_REQUEST, &format!("{}.0/{number}", founding_id()));
}

#[test]
fn a_stop_asked_of_the_members_becomes_one_wish() {
    let take_up = |change: &dyn Fn(&mut Facts)| {
        let mut facts = running(None);
        asked(&mut facts, 7, false);
        change(&mut facts);
        match plan(&facts).act {
            Some(Act::TakeUp(take)) => Some((take.number, take.wish)),
            _ => None,
        }
    };
    let number = Some((format!("{}.0/7", founding_id()), true));
    assert_eq!(take_up(&|_| {}), number);
    assert_eq!(take_up(&|f| taken(f, 6)), number, "an older one was taken up");
    for strange in ["7", "", "no/number", "00000000-0000-0000-0000-000000000000.0/9"] {
        assert_eq!(take_up(&|f| annotate(f, keys::MEMBERS_REQUEST, strange)), number, "{strange}");
    }
    let beside = number.map(|(number, _)| (number, false));
    assert_eq!(take_up(&wish), beside, "a person's wish is nobody else's");
    assert_eq!(take_up(&|f| f.cluster.spec.state = crate::api::DesiredState::Stopped), beside);
    assert_eq!(take_up(&|f| asked(f, 7, true)), None);
    assert_eq!(take_up(&|f| taken(f, 7)), None);
    assert_eq!(take_up(&|f| annotate(f, keys::PAUSE, keys::PAUSE_TRUE)), None, "it waits");
    assert_eq!(take_up(&|f| annotate(f, keys::MAINTENANCE, "shutdwon")), None, "nothing changes until that is clear");
    let spends = |f: &mut Facts| f.kube.set.as_mut().unwrap().spent = Some(spent_stop());
    assert_eq!(take_up(&spends), None, "what was spent and taken back is forgotten first");
    assert_eq!(take_up(&|f| (spends(f), wish(f)).1), beside);
}

fn spent_stop() -> SpentWish {
    let (operation, outcome, reason) = (OPERATION.into(), "Refused".into(), "it was slow".into());
    SpentWish { operation, wish: WishKey::Stop, outcome, reason }
}

#[test]
fn only_the_leader_tells_what_waits_in_the_members() {
    let waits = |f: &mut Facts, ordinal: u32| {
        let Some(Seen::View(view)) = f.members.get_mut(&ordinal) else { panic!("{ordinal}") };
        let request = StopRequestView { asked: 7, requested_by: "rest".into(), answer: None };
        view.cluster.as_mut().unwrap().stop_request = Some(request);
    };
    assert_eq!(next(|f| waits(f, 0), running(None)), "Running/TakeUp");
    assert_eq!(next(|f| (1..3).for_each(|o| waits(f, o)), running(None)), "Running/-", "they lag behind");
    let silent = |f: &mut Facts| {
        (0..3).for_each(|o| waits(f, o));
        f.members.insert(0, Seen::Silent("no answer".into()));
        apply_companions(f, Budget::Closed);
    };
    assert_eq!(next(silent, running(None)), "Running/-");
    let deposed = |f: &mut Facts| {
        waits(f, 0);
        each(f, |v| {
            let cluster = v.cluster.as_mut().unwrap();
            if v.ordinal > 0 {
                (cluster.leader, cluster.applied_index) = (Some(uuid(1)), 12);
            }
        });
    };
    assert_eq!(next(deposed, running(None)), "Running/-");
}

#[test]
fn a_request_that_was_taken_up_is_answered_as_things_stand() {
    let answer = |change: &dyn Fn(&mut Facts)| {
        let mut facts = running(None);
        asked(&mut facts, 7, false);
        taken(&mut facts, 7);
        change(&mut facts);
        match plan(&facts).act {
            Some(Act::Command { ordinal: 0, command: Command::AnswerRequest { asked: 7, answer } }) => answer,
            other => panic!("{other:?}"),
        }
    };
    let asked_for = answer(&wish);
    assert_eq!((asked_for.taken_up, asked_for.why.as_str()), (true, "asked for by Annotation"));
    let removed = answer(&|_| {});
    assert!(!removed.taken_up && removed.why.contains("removed"), "{removed:?}");
    let spent = answer(&|f| {
        wish(f);
        f.kube.set.as_mut().unwrap().spent = Some(spent_stop());
    });
    assert!(!spent.taken_up && spent.why.contains("jet.lossless.dev/retry=7-abcdef01"), "{spent:?}");
    let later = answer(&|f| (wish(f), taken(f, 9)).1);
    assert!(later.taken_up, "a later one was taken up since: {later:?}");
}
