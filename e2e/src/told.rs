//! What a person is told of a JetCluster: the object, the table, the events, `kubectl jet status`.
//!
//! Law: as a person asks for it, with kubectl and the plugin; a status at rest is not written again. Must not know: what it
//! should say.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::golden::Mask;
use crate::jet::Jet;
use crate::shell::{attempt, wait_for};

/// Longer than the operator's pause between two looks at a cluster at rest.
const REST: Duration = Duration::from_secs(12);
/// A cluster comes to rest within this.
const TO_REST: Duration = Duration::from_secs(180);

/// Follows one cluster from rest to rest.
pub struct Told<'a> {
    jet: &'a Jet<'a>,
    mask: Mask,
    events: BTreeSet<String>,
}

impl<'a> Told<'a> {
    /// Of a cluster of which nothing was told yet.
    pub fn of(jet: &'a Jet<'a>) -> Self {
        Self { jet, mask: Mask::default(), events: BTreeSet::new() }
    }

    /// Waits until the phase is reached and nothing is written any more; the object as YAML, and the rest as text.
    pub fn at_rest(&mut self, phase: &str) -> (String, String) {
        let (mut since, mut known) = (Instant::now(), String::new());
        wait_for(&format!("{} rests at {phase}", self.jet.name), TO_REST, || {
            let object = self.jet.object();
            let version = field(&object, "/metadata/resourceVersion");
            let now = field(&object, "/status/phase");
            if version != known || now != phase {
                (since, known) = (Instant::now(), version);
            }
            if since.elapsed() > REST { Ok(()) } else { Err(format!("{now}, {}", self.jet.condition("Ready").1)) }
        });
        let (world, name) = (self.jet.world, self.jet.name.as_str());
        let object = self.mask.text(&world.kubectl(&["get", "jet", name, "-o", "yaml"]));
        let table = self.mask.text(&world.kubectl(&["get", "jet"]));
        let status = self.status();
        let status = self.mask.text(&status);
        let events = self.events();
        let text = format!(
            "$ kubectl get jet\n{table}\n$ kubectl jet status {name}\n{status}\n$ kubectl events --for jetcluster/{name}\n{events}"
        );
        (object, text)
    }

    /// The plugin without `--once`: at rest there is nothing to follow.
    fn status(&self) -> String {
        let program = ["30", "kubectl", "jet", "status", &self.jet.name, "--namespace", &self.jet.world.namespace];
        let told = attempt("timeout", &program, None);
        let told = told.unwrap_or_else(|said| panic!("kubectl jet status at rest: {said}"));
        // Which epoch a stop ends with is nobody's promise.
        let epoch = |line: &str| match field(&self.jet.object(), "/status/jobs/items/0/snapshot") {
            snapshot if line.starts_with("ledger ") && !snapshot.is_empty() => {
                line.replacen(&snapshot, "<execution>/<epoch>", 1)
            }
            _ => line.to_owned(),
        };
        told.lines().map(|line| epoch(line) + "\n").collect()
    }

    /// Events that were not told before, oldest first.
    fn events(&mut self) -> String {
        let all = self.jet.world.kubectl(&["get", "events.events.k8s.io", "-o", "json"]);
        let all: Value = serde_json::from_str(&all).expect("JSON");
        let mut new: Vec<(String, String)> = Vec::new();
        for event in all.pointer("/items").and_then(Value::as_array).into_iter().flatten() {
            let of_cluster = field(event, "/regarding/kind") == "JetCluster";
            if of_cluster && self.events.insert(field(event, "/metadata/name")) {
                let times = event.pointer("/series/count").map(|n| format!(" (x{n})")).unwrap_or_default();
                let (kind, reason, note) = (field(event, "/type"), field(event, "/reason"), field(event, "/note"));
                new.push((field(event, "/eventTime"), format!("{kind}   {reason}{times}   {note}\n")));
            }
        }
        new.sort();
        let told: String = new.into_iter().map(|(_, line)| line).collect();
        self.mask.text(&told)
    }
}

fn field(object: &Value, pointer: &str) -> String {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}
