//! Stops and returns in a row on a real Kubernetes, under load, while operator, members and nodes die by seed.
//!
//! Law: after each cycle the members are the original ones, the ledger has counted every number once, and what a client
//! wrote is there; objects, files and memory come to a plateau. `JET_CYCLES=n` for another number than twenty,
//! `JET_SEED=s` and `JET_CYCLE=k` for the harms of that seed from cycle k on.

use std::time::{Duration, Instant};

use jet_e2e::faults::{crash_node, killed, operator_pod, start_node};
use jet_e2e::figure::keep;
use jet_e2e::growth::{Dice, Kind, asked, plateau};
use jet_e2e::jet::{Jet, OPERATION};
use jet_e2e::readme::root;
use jet_e2e::shell::{run, wait_for};
use jet_e2e::world::World;
use serde_json::Value;

const CYCLES: u64 = 20;
/// Events that are counted between a return and the next stop.
const EVENTS: u64 = 1_000;
/// A stop that harms rolled back is asked for again, at most so often in a cycle.
const WISHES: u32 = 6;
/// Time over which the operator at rest is looked at.
const REST: u64 = 60;

const KINDS: [Kind; 6] = [
    Kind { name: "ConfigMaps", bound: 60, slack: 1 },
    Kind { name: "Secrets", bound: 30, slack: 0 },
    Kind { name: "Events of the operator in a cycle", bound: 120, slack: 15 },
    // A store writes its partitions anew once it needs more than four chunks that hold little: files come and go by that.
    Kind { name: "files on a volume", bound: 60, slack: 6 },
    Kind { name: "KiB on a volume", bound: 32 << 10, slack: 2 << 10 },
    Kind { name: "MiB of the operator", bound: 64, slack: 4 },
];

#[derive(Clone, Copy, Debug)]
enum What {
    /// The pod that holds the operator's lease.
    Operator,
    Member(u32),
    Node(u32, Duration),
    Cut(u32, Duration),
}

/// Harms of one operation, in order: at most one takes a member away.
fn draw(dice: &mut Dice) -> Vec<(Duration, What)> {
    let mut harms: Vec<_> = (0..dice.below(3)).map(|_| (dice.millis(0, 3_000), What::Operator)).collect();
    let (ordinal, node) = (u32::try_from(dice.below(3)).unwrap(), u32::try_from(dice.below(3)).unwrap() + 1);
    let (at, time) = (dice.millis(0, 3_000), dice.millis(500, 6_000));
    match dice.below(6) {
        0 | 1 => harms.push((at, What::Member(ordinal))),
        2 => harms.push((at, What::Node(node, time))),
        3 => harms.push((at, What::Cut(node, time))),
        _ => {}
    }
    harms.sort_by_key(|(at, _)| *at);
    harms
}

fn node(verb: &str, number: u32) {
    run(root().join("e2e/kube/kube").to_str().unwrap(), &["node", verb, &number.to_string()]);
}

/// Whether there was something to hit; a node is back when this returns.
fn strike(namespace: &str, what: What) -> bool {
    match what {
        What::Operator => operator_pod().is_some_and(|pod| killed("jet-system", &pod)),
        What::Member(ordinal) => killed(namespace, &format!("orders-{ordinal}")),
        What::Node(number, time) => {
            crash_node(&number.to_string());
            std::thread::sleep(time);
            start_node(&number.to_string());
            true
        }
        What::Cut(number, time) => {
            node("cut", number);
            std::thread::sleep(time);
            node("heal", number);
            true
        }
    }
}

/// Does `work` while these harms are done; tells which were.
fn during<T>(namespace: &str, harms: &[(Duration, What)], work: impl FnOnce() -> T) -> (T, Vec<String>) {
    std::thread::scope(|scope| {
        let strikes = scope.spawn(|| {
            let begun = Instant::now();
            let done = harms.iter().map(|(at, what)| {
                std::thread::sleep(at.saturating_sub(begun.elapsed()));
                format!("{what:?}: {}", if strike(namespace, *what) { "done" } else { "nothing there" })
            });
            done.collect::<Vec<_>>()
        });
        let ended = work();
        (ended, strikes.join().unwrap())
    })
}

/// Asks for the stop until one is not rolled back; every wish is tried once.
fn stop(jet: &Jet<'_>) -> u32 {
    for rolled_back in 0..WISHES {
        jet.ask_stop();
        let stopped = wait_for("stopped, or the wish is spent", OPERATION, || {
            let object = jet.object();
            let (status, why) = jet.condition("Stopped");
            let spent = object.pointer("/status/spent").filter(|spent| !spent.is_null());
            match (status.as_str(), spent) {
                ("True", _) => Ok(true),
                (_, Some(_)) => Ok(false),
                _ => Err(format!("Stopped={status} {why}")),
            }
        });
        if stopped {
            return rolled_back;
        }
        jet.ask_return();
        jet.wait("MembersComplete", "True");
        jet.wait("Ready", "True");
    }
    panic!("{WISHES} stops were rolled back in one cycle");
}

fn count(namespace: &str, kind: &str) -> u64 {
    run("kubectl", &["-n", namespace, "get", kind, "-o", "name"]).lines().count() as u64
}

/// Objects of Events that the operator made, not how often each was seen.
fn events(namespace: &str) -> u64 {
    let all: Value = serde_json::from_str(&run("kubectl", &["-n", namespace, "get", "events", "-o", "json"])).unwrap();
    let items = all.get("items").and_then(Value::as_array).unwrap();
    items.iter().filter(|event| event.get("reportingComponent").and_then(Value::as_str) == Some("jet-operator")).count()
        as u64
}

/// Files and KiB of the fullest volume.
fn volumes(world: &World) -> (u64, u64) {
    let each = (0..3).map(|ordinal| {
        let claim = format!("data-orders-{ordinal}");
        let volume = world.kubectl(&["get", "pvc", &claim, "-o", "jsonpath={.spec.volumeName}"]);
        let path = run("kubectl", &["get", "pv", &volume, "-o", "jsonpath={.spec.local.path}"]);
        let files = run("find", &[&path, "-type", "f", "-printf", "%s\\n"]);
        let bytes: u64 = files.lines().map(|size| size.parse::<u64>().unwrap()).sum();
        (files.lines().count() as u64, bytes >> 10)
    });
    each.fold((0, 0), |most, one| (most.0.max(one.0), most.1.max(one.1)))
}

/// % of a core and MiB of private memory of the operator's processes over some seconds, if they live so long.
fn operator_usage(seconds: u64) -> Option<(f64, f64)> {
    let said = run(root().join("e2e/kube/kube").to_str().unwrap(), &["usage", &seconds.to_string()]);
    let words: Vec<&str> = said.lines().find(|line| line.starts_with("jet-operator"))?.split_whitespace().collect();
    Some((words.get(3)?.parse().ok()?, words.get(7)?.parse().ok()?))
}

/// The cluster over the cycles.
struct Course<'a> {
    world: &'a World,
    jet: Jet<'a>,
    uuids: Vec<String>,
    counted: u64,
    /// Events that were there at the end of the last cycle.
    told: u64,
}

impl Course<'_> {
    /// Load, stop, return, and what must hold then; the measures in the order of [`KINDS`].
    fn cycle(&mut self, seed: u64, cycle: u64) -> [u64; 6] {
        let (namespace, jet) = (&self.world.namespace, &self.jet);
        let (mut dice, begun, number) = (Dice::new(seed, cycle), Instant::now(), cycle.to_string());
        let (down, up) = (draw(&mut dice), draw(&mut dice));
        self.counted = jet.counted_beyond(self.counted + EVENTS);
        jet.members().put(0, "notes", "cycle", &number).unwrap();

        let (rolled_back, harmed) = during(namespace, &down, || stop(jet));
        let (files, kib) = volumes(self.world);
        let (configmaps, secrets) = (count(namespace, "configmaps"), count(namespace, "secrets"));
        let ((), harmed_again) = during(namespace, &up, || jet.come_back());
        jet.wait("MembersComplete", "True");
        jet.wait("Ready", "True");

        assert_eq!(jet.uuids(), self.uuids, "the original members are back");
        self.counted = jet.counted_beyond(self.counted);
        let found = wait_for("the note is read", OPERATION, || jet.members().get(1, "notes", "cycle"));
        assert_eq!(found, Some(number), "what was acknowledged before the stop");
        let usage = wait_for("the operator is looked at", OPERATION, || operator_usage(1).ok_or("it died".to_owned()));
        let before = std::mem::replace(&mut self.told, events(namespace));
        let measured = [configmaps, secrets, self.told.saturating_sub(before), files, kib, usage.1 as u64];
        let (counted, took) = (self.counted, begun.elapsed().as_secs_f64());
        println!("cycle {cycle}: {counted} events, {rolled_back} stops rolled back, {took:.1} s, {measured:?}");
        println!("  {harmed:?} {harmed_again:?}");
        measured
    }
}

#[test]
fn twenty_stops_and_returns_with_random_kills_lose_and_leave_nothing() {
    let world = World::new("cycles");
    let jet = Jet::ready(&world, "orders", 3);
    jet.ledger(50, 1_000, 0);
    let (uuids, told) = (jet.uuids(), events(&world.namespace));
    let mut course = Course { world: &world, jet, uuids, counted: 0, told };
    let (seed, first, many) = asked(CYCLES);
    let mut measured = vec![Vec::new(); KINDS.len()];
    for cycle in first..first + many {
        println!("cycle {cycle}: again by JET_SEED={seed} JET_CYCLE={cycle} JET_CYCLES={}", first + many - cycle);
        measured.iter_mut().zip(course.cycle(seed, cycle)).for_each(|(all, one)| all.push(one));
    }
    for (kind, values) in KINDS.iter().zip(&measured) {
        println!("{}", plateau(kind, values).unwrap_or_else(|grown| panic!("{grown}")));
    }
    let (cpu, memory) = operator_usage(REST).expect("nobody kills it now");
    let conditions = format!("one cluster of three members with a running job, over {REST} s, after {many} stops");
    keep("operator.idle.cpu", cpu, "% of a core", &conditions);
    keep("operator.idle.memory", memory * 1.048_576, "MB", &conditions);
}
