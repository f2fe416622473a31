//! A stop that is asked of the members and that somebody outside carries out: one look each.
//!
//! Laws: STOP: what was asked once is tried once at most; who has asked is told what became of it. Walks by chance are in
//! `machine_laws.rs`, whole worlds in `cluster/`.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use jet_core::report::{MemberReport, Observations, Observed};
use jet_core::request::{LONGEST_TEXT, TAKEN_UP_WITHIN_MS};
use jet_core::roster::{Founder, RosterEntry};
use jet_core::supervisor::{self, Watch};
use jet_core::{
    Boot, Command, Digest, FoundingId, Generation, Machine, MemberId, OperationId, Outcome, RequestAnswer, StopRequest,
    apply,
};

struct One {
    machine: Machine,
    index: u64,
}

impl One {
    fn active() -> Self {
        let entry = RosterEntry { ordinal: 0, boot: Boot(1), volume_id: "v".into(), log_line: 1 };
        let mut one = Self { machine: Machine::default(), index: 0 };
        one.does(Command::Found {
            id: FoundingId::default(),
            members: vec![Founder { member: MemberId::default(), entry }],
            partition_count: 3,
            backup_count: 0,
            permit_digest: Digest("p".into()),
        });
        one.does(Command::Opened { member: MemberId::default(), boot: Boot(1), generation: Generation(1) });
        one
    }

    fn tries(&mut self, command: Command) -> Outcome {
        self.index += 1;
        apply(&mut self.machine, self.index, command)
    }

    /// Index, and what was done.
    fn does(&mut self, command: Command) -> (u64, String) {
        match self.tries(command.clone()) {
            Outcome::Done { index, what } => (index, what),
            Outcome::Refused(refused) => panic!("{command:?}: {refused}"),
        }
    }

    fn asks(&mut self, nonce: &str) -> (u64, String) {
        self.does(Command::RequestStop { nonce: nonce.into(), requested_by: "rest".into() })
    }

    fn begins(&mut self, seq: u64) -> OperationId {
        let op = OperationId { seq, random: "x".into() };
        self.does(Command::Begin { op: op.clone(), requested_by: "t".into(), accepted: vec![], transient: false });
        op
    }

    fn request(&self) -> &StopRequest {
        self.machine.stop_request.as_ref().unwrap()
    }

    fn answered(&self) -> (bool, &str) {
        let answer = self.request().answer.as_ref().unwrap();
        (answer.taken_up, &answer.why)
    }
}

fn answer(asked: u64, taken_up: bool) -> Command {
    Command::AnswerRequest { asked, answer: RequestAnswer { taken_up, why: "so".into() } }
}

#[test]
fn one_waits_until_it_is_answered_and_its_call_counts_once() {
    let mut one = One::active();
    let (first, _) = one.asks("a");
    assert_eq!((one.request().asked, one.request().requested_by.as_str()), (first, "rest"));
    assert_eq!(one.asks("b").1, "already so", "a second wish beside the first is the same wish");
    assert_eq!(one.request().asked, first);
    assert_eq!(one.does(answer(first - 1, false)).1, "already so", "an answer to another one");
    assert!(one.request().waits());
    one.does(answer(first, true));
    assert_eq!(one.does(answer(first, false)).1, "already so");
    assert_eq!(one.answered(), (true, "so"), "the first answer stands");
    assert_eq!(one.asks("a").1, "already so", "the same call, late and repeated, is no new wish");
    assert!(!one.request().waits());
    let (second, _) = one.asks("c");
    assert!(second > first && one.request().waits());
}

#[test]
fn an_operation_that_begins_ends_it_and_it_waits_beside_none() {
    let mut one = One::active();
    one.asks("a");
    let op = one.begins(1);
    assert_eq!(one.answered(), (true, "operation 1-x began"));
    let Outcome::Refused(refused) = one.tries(Command::RequestStop { nonce: "b".into(), requested_by: "t".into() })
    else {
        panic!("asked beside an operation")
    };
    assert!(refused.to_string().contains("operation 1-x holds the cluster"), "{refused}");
    one.does(Command::Abort { op, reason: "t".into() });
    assert!(!one.request().waits(), "what was rolled back does not come again");
}

#[test]
fn a_crash_of_all_ends_it_and_nothing_is_asked_of_a_cluster_that_recovers() {
    let mut one = One::active();
    one.asks("a");
    one.does(Command::Recover { observed: BTreeMap::from([(MemberId::default(), Boot(2))]) });
    assert_eq!(one.answered(), (false, "all members were started anew before anybody took it up"));
    assert!(!one.tries(Command::RequestStop { nonce: "b".into(), requested_by: "t".into() }).is_done());
}

#[test]
fn texts_are_bounded_at_a_character() {
    let mut one = One::active();
    one.does(Command::RequestStop { nonce: "a".into(), requested_by: "ß".repeat(LONGEST_TEXT) });
    assert_eq!(one.request().requested_by.len(), LONGEST_TEXT);
    one.does(Command::RequestStop { nonce: "b".into(), requested_by: String::new() });
}

#[test]
fn one_that_nobody_takes_up_lapses_and_a_leader_that_finds_one_declines_it() {
    let mut one = One::active();
    let (asked, _) = one.asks("a");
    // `led_before`: how long the leader had led when its clock began.
    let looks = |one: &One, watch: &mut Watch, now: u64, led_before: u64| {
        let report = MemberReport { committed_at: one.machine.applied, ..MemberReport::default() };
        let observed = Observed { heard_ms_ago: 0, boot: Boot(1), volume_id: "v".into(), report };
        let observations = Observations {
            members: BTreeMap::from([(MemberId::default(), observed)]),
            leader_for_ms: now + led_before,
            request_for_ms: watch.observe_request(&one.machine, now),
            ..Observations::default()
        };
        supervisor::plan(&one.machine, &observations)
    };
    let lapses = |commands: &[Command]| commands.iter().any(|c| matches!(c, Command::AnswerRequest { .. }));
    let mut watch = Watch::default();
    for now in [5, TAKEN_UP_WITHIN_MS, TAKEN_UP_WITHIN_MS + 5] {
        assert!(!lapses(&looks(&one, &mut watch, now, 60_000)), "{now}");
    }
    let late = looks(&one, &mut watch, TAKEN_UP_WITHIN_MS + 6, 60_000);
    // However long nobody led: who finds it cannot know how old it is.
    let found = looks(&one, &mut Watch::default(), 0, 0);
    assert!(
        matches!(found.as_slice(), [Command::AnswerRequest { answer, .. }] if answer.why.contains("leader changed")),
        "{found:?}"
    );
    let [lapse @ Command::AnswerRequest { asked: of, .. }] = late.as_slice() else { panic!("{late:?}") };
    assert_eq!(*of, asked);
    one.does(lapse.clone());
    assert!(one.answered().1.contains("600 s") && !one.answered().0, "{:?}", one.answered());
    // Another one is counted from its own beginning.
    one.asks("b");
    assert!(!lapses(&looks(&one, &mut watch, TAKEN_UP_WITHIN_MS + 7, 60_000)));
}

/// A log and a snapshot of before there was such a thing.
#[test]
fn what_was_written_before_is_read_and_has_the_digest_that_it_had() {
    let one = One::active();
    let text = serde_json::to_string(&one.machine).unwrap();
    assert!(!text.contains("stop_request"), "{text}");
    assert_eq!(serde_json::from_str::<Machine>(&text).unwrap(), one.machine);
    let old = r#"{"asked":4,"nonce":"n","requested_by":"t"}"#;
    assert!(serde_json::from_str::<StopRequest>(old).unwrap().waits());
}
