//! Volumes that are not what was recorded.
//!
//! Law: a member returns on its own volume or not at all, and a copy is taken only when a person says that it is one.

use std::time::Duration;

use jet_e2e::faults::{swap_volumes, volume};
use jet_e2e::jet::{Jet, OPERATION};
use jet_e2e::shell::{attempt, holds_for, run, wait_for};
use jet_e2e::world::World;

/// Long enough for several passes of the operator.
const A_WHILE: Duration = Duration::from_secs(8);

fn stays_closed(jet: &Jet<'_>) -> Result<(), String> {
    let (doors, why) = jet.condition("DoorsOpen");
    if doors == "True" { Err(why) } else { Ok(()) }
}

#[test]
fn return_refuses_a_swapped_volume() {
    let world = World::new("return_refuses_a_swapped_volume");
    let jet = Jet::ready(&world, "orders", 3);
    jet.ledger(10, 500, 0);
    let counted = jet.counted_beyond(1_000);
    let uuids = jet.uuids();
    jet.stop();
    let seal = jet.seal();
    swap_volumes(&world.namespace, "data-orders-0", "data-orders-1");
    jet.ask_return();
    let why = jet.wait_reason("MembersComplete", "and not the recorded");
    println!("{why}");
    assert!(why.contains("orders-0") && why.contains("orders-1"), "both are named: {why}");
    holds_for("nothing is served on swapped volumes", A_WHILE, || stays_closed(&jet));
    jet.ask_stop();
    jet.wait("Stopped", "True");
    assert_eq!(jet.seal(), seal, "the seal is untouched");
    swap_volumes(&world.namespace, "data-orders-0", "data-orders-1");
    jet.come_back();
    assert_eq!(jet.uuids(), uuids);
    jet.counted_beyond(counted);
}

#[test]
fn restored_copy_of_a_volume_needs_one_answer() {
    let world = World::new("restored_copy_of_a_volume_needs_one_answer");
    let jet = Jet::ready(&world, "orders", 3);
    jet.ledger(10, 500, 0);
    let counted = jet.counted_beyond(1_000);
    jet.stop();
    restore(&world, "data-orders-1");
    jet.ask_return();
    let why = jet.wait_reason("VolumesIntact", "data-orders-1");
    println!("{why}");
    holds_for("nothing is started on a claim that nobody vouched for", A_WHILE, || match jet.pods() {
        pods if pods.is_empty() => Ok(()),
        pods => Err(format!("{pods:?}")),
    });
    let blockers = jet.object().pointer("/status/blockers").cloned().unwrap_or_default();
    let command = blockers.pointer("/0/command").and_then(|c| c.as_str()).expect("one command").to_owned();
    let answer = jet.status("/volumes/adoptDigest");
    assert!(command.contains(&answer), "the command holds the digest: {command}");
    jet.annotate("adopt-volumes", "0123456789abcdef");
    holds_for("another answer is none", A_WHILE, || match jet.pods() {
        pods if pods.is_empty() => stays_closed(&jet),
        pods => Err(format!("{pods:?}")),
    });
    jet.annotate("adopt-volumes", &answer);
    jet.wait("DoorsOpen", "True");
    jet.wait("Ready", "True");
    jet.counted_beyond(counted);
}

/// What a restore from a backup does: the claim is another object on another volume, with a copy of the same files.
fn restore(world: &World, claim: &str) {
    let from = volume(&world.namespace, claim);
    let copy = format!("{from}.backup");
    run("cp", &["-a", "-T", &from, &copy]);
    let stamp = world.kubectl(&[
        "get",
        "pvc",
        claim,
        "-o",
        "go-template={{index .metadata.annotations \"jet.lossless.dev/store\"}}",
    ]);
    let stamp: serde_json::Value = serde_json::from_str(&stamp).expect("the claim's stamp");
    let seal = stamp.pointer("/seal").and_then(|seal| seal.as_str()).expect("a sealed claim").to_owned();
    let old: serde_json::Value =
        serde_json::from_str(&world.kubectl(&["get", "pvc", claim, "-o", "json"])).expect("JSON");
    world.kubectl(&["annotate", "pvc", claim, &format!("jet.lossless.dev/release={seal}")]);
    world.kubectl(&["delete", "pvc", claim, "--timeout=60s"]);
    let node = old.pointer("/metadata/annotations/volume.kubernetes.io~1selected-node").cloned();
    let fresh = serde_json::json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": claim, "labels": old["metadata"]["labels"],
            "annotations": { "volume.kubernetes.io/selected-node": node },
        },
        "spec": {
            "accessModes": ["ReadWriteOnce"], "storageClassName": old["spec"]["storageClassName"],
            "resources": old["spec"]["resources"],
        },
    });
    world.apply(&fresh.to_string()).unwrap_or_else(|said| panic!("{said}"));
    world.kubectl(&["wait", "--for=jsonpath={.status.phase}=Bound", &format!("pvc/{claim}"), "--timeout=60s"]);
    let to = volume(&world.namespace, claim);
    assert_ne!(from, to, "the restored claim has a volume of its own");
    run("cp", &["-a", "-T", &copy, &to]);
    run("rm", &["-rf", &copy]);
}

#[test]
fn deleted_and_reapplied_comes_back() {
    let world = World::new("deleted_and_reapplied_comes_back");
    let jet = Jet::ready(&world, "orders", 3);
    jet.ledger(10, 500, 0);
    let mut counted = jet.counted_beyond(1_000);
    let uuids = jet.uuids();
    jet.stop();
    world.kubectl(&["delete", "jetcluster", "orders", "--timeout=240s"]);
    world.apply(&(jet.manifest(3) + "  state: Stopped\n")).unwrap();
    jet.wait("Stopped", "True");
    assert_eq!(jet.pods(), Vec::<String>::new(), "applied as stopped, it stays stopped");
    jet.patch_spec("{\"state\":\"Running\"}");
    jet.wait("DoorsOpen", "True");
    jet.wait("Ready", "True");
    assert_eq!(jet.uuids(), uuids, "the original members are back");
    counted = jet.counted_beyond(counted);
    // In the middle of a stop the deletion goes on with it.
    jet.ask_stop();
    world.kubectl(&["delete", "jetcluster", "orders", "--timeout=240s"]);
    assert_eq!(jet.pods(), Vec::<String>::new(), "released only when stopped");
    world.apply(&jet.manifest(3)).unwrap();
    jet.wait("DoorsOpen", "True");
    jet.wait("Ready", "True");
    assert_eq!(jet.uuids(), uuids, "the original members are back again");
    jet.counted_beyond(counted);
}

/// Nobody finds it on a volume.
const SECRET: &str = "nobody but who has the key reads this";

fn keys(world: &World, given: &[(&str, &str)]) {
    let literals: Vec<_> =
        given.iter().map(|(name, byte)| format!("--from-literal={name}={}", byte.repeat(32))).collect();
    let mut words = vec!["create", "secret", "generic", "volume-keys"];
    words.extend(literals.iter().map(String::as_str));
    world.kubectl(&["delete", "secret", "volume-keys", "--ignore-not-found"]);
    world.kubectl(&words);
}

/// Members on whose volumes these words stand.
fn volumes_with(world: &World, words: &str) -> Vec<u32> {
    let has = |ordinal: &u32| {
        let volume = volume(&world.namespace, &format!("data-orders-{ordinal}"));
        attempt("grep", &["--recursive", "--quiet", "--text", "--fixed-strings", words, &volume], None).is_ok()
    };
    (0..3).filter(has).collect()
}

#[test]
fn encrypted_volumes_tell_nothing_without_their_key() {
    let world = World::new("encrypted_volumes_tell_nothing_without_their_key");
    keys(&world, &[("k1", "5e")]);
    let encrypted = "  hotRestart:\n    encryption:\n      keysSecretName: volume-keys\n      currentKey: k1\n";
    let jet = Jet::ready_with(&world, "orders", 3, encrypted);
    jet.ledger(10, 500, 0);
    jet.members().put(0, "secrets", "key", SECRET).unwrap();
    let mut counted = jet.counted_beyond(1_000);
    let uuids = jet.uuids();
    jet.stop();
    assert_eq!(volumes_with(&world, "JETCRYPT"), [0, 1, 2]);
    assert_eq!(volumes_with(&world, SECRET), Vec::<u32>::new());
    // The new key is there, and the old one was taken away too early.
    keys(&world, &[("k2", "a7")]);
    jet.patch_spec("{\"hotRestart\":{\"encryption\":{\"currentKey\":\"k2\"}}}");
    jet.ask_return();
    let why = jet.wait_reason("MembersComplete", "encrypted with key 'k1'");
    println!("{why}");
    holds_for("nothing is served without its key", A_WHILE, || stays_closed(&jet));
    jet.ask_stop();
    jet.wait("Stopped", "True");
    keys(&world, &[("k1", "5e"), ("k2", "a7")]);
    jet.come_back();
    assert_eq!(jet.uuids(), uuids);
    counted = jet.counted_beyond(counted);
    let found = jet.members().get(1, "secrets", "key").unwrap();
    assert_eq!(found.as_deref(), Some(SECRET));
    jet.stop();
    assert_eq!(volumes_with(&world, SECRET), Vec::<u32>::new());
    jet.come_back();
    jet.counted_beyond(counted);
}

/// Keys enough that every member has a copy of some.
const KEYS: u32 = 12;
/// After so many nothing that was put into a map is in the clear, as the README says.
const RETURNS: u32 = 3;
/// What was given to a cluster that encrypts.
const LATER: &str = "nobody has ever read this in the clear";

#[test]
fn a_cluster_that_runs_is_encrypted_from_the_next_stop_on() {
    let world = World::new("a_cluster_that_runs_is_encrypted_from_the_next_stop_on");
    let jet = Jet::ready(&world, "orders", 3);
    jet.ledger(10, 500, 0);
    for n in 0..KEYS {
        jet.members().put(n % 3, "secrets", &format!("key-{n}"), SECRET).unwrap();
    }
    let (uuids, mut counted) = (jet.uuids(), jet.counted_beyond(1_000));
    volumes_come_to_have(&world, SECRET, &[0, 1, 2]);
    world.readme("encrypt");
    wait_for("it is told that the change waits", OPERATION, || match jet.status("/blockers") {
        told if told.contains("applied at the next stop and return") => Ok(()),
        told => Err(told),
    });
    made_anew(&jet, 1);
    counted = jet.counted_beyond(counted);
    assert_eq!(volumes_with(&world, "JETCRYPT"), Vec::<u32>::new(), "there was no stop yet");
    for returns in 1..=RETURNS {
        jet.stop();
        jet.come_back();
        counted = jet.counted_beyond(counted);
        if returns == 1 {
            jet.members().put(0, "secrets", "later", LATER).unwrap();
        }
    }
    volumes_come_to_have(&world, SECRET, &[]);
    assert_eq!(volumes_with(&world, "JETCRYPT"), [0, 1, 2]);
    assert_eq!(volumes_with(&world, LATER), Vec::<u32>::new());
    assert_eq!(jet.uuids(), uuids);
    let keys: Vec<_> = (0..KEYS).map(|n| format!("key-{n}")).chain(["later".to_owned()]).collect();
    let found = jet.members().values(1, "secrets", &keys).unwrap();
    let (later, first) = found.split_last().unwrap();
    assert!(first.iter().all(|value| value.as_deref() == Some(SECRET)), "{found:?}");
    assert_eq!(later.as_deref(), Some(LATER));
}

/// The disk follows a moment later.
fn volumes_come_to_have(world: &World, words: &str, which: &[u32]) {
    wait_for(&format!("'{words}' is on the volumes {which:?}"), OPERATION, || match volumes_with(world, words) {
        found if found == which => Ok(()),
        found => Err(format!("{found:?}")),
    });
}

/// What an eviction does: the pod ends, and another of its name is made of the template that is there.
fn made_anew(jet: &Jet<'_>, ordinal: u32) {
    let before = jet.members().view(ordinal).unwrap().boot;
    jet.world.kubectl(&["delete", "pod", &format!("orders-{ordinal}"), "--timeout=60s"]);
    wait_for("the member is back", OPERATION, || match jet.members().view(ordinal)? {
        view if view.boot > before && view.doors_open => Ok(()),
        view => Err(format!("{:?}: {}", view.phase, view.waiting_for)),
    });
    jet.wait("MembersComplete", "True");
    jet.wait("Ready", "True");
}
