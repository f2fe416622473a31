//! One JetCluster under test: made, waited for, stopped, returned, and its numbered-event ledger checked.
//!
//! Law: the ledger's truth is computed from its own numbers: per key, events = highest + 1 and the total is their sum,
//! so a lost or doubled event shows whatever the history was. Must not know: the operator's types.

use std::time::Duration;

use jet_admin_api::job::JobView;
use serde_json::Value;

use crate::members::Members;
use crate::shell::wait_for;
use crate::world::World;

/// Longest that a stop, a return or a founding may take here.
pub const OPERATION: Duration = Duration::from_secs(240);

/// A JetCluster in a namespace.
pub struct Jet<'a> {
    /// Where.
    pub world: &'a World,
    /// Its name.
    pub name: String,
}

impl<'a> Jet<'a> {
    /// Applies a cluster of `size` members and waits until it is Ready.
    pub fn ready(world: &'a World, name: &str, size: u32) -> Self {
        let jet = Self { world, name: name.into() };
        world.apply(&jet.manifest(size)).unwrap_or_else(|said| panic!("{said}"));
        jet.wait("Ready", "True");
        jet
    }

    /// The same with more in its spec (lines of YAML, indented by two).
    pub fn ready_with(world: &'a World, name: &str, size: u32, more: &str) -> Self {
        let jet = Self { world, name: name.into() };
        world.apply(&(jet.manifest(size) + more)).unwrap_or_else(|said| panic!("{said}"));
        jet.wait("Ready", "True");
        jet
    }

    /// The manifest of this cluster.
    pub fn manifest(&self, size: u32) -> String {
        format!(
            "apiVersion: jet.lossless.dev/v1alpha1\nkind: JetCluster\nmetadata:\n  name: {}\nspec:\n  size: {size}\n  version: 0.1.0\n  \
             image: localhost/jet-member:dev\n  imagePullPolicy: IfNotPresent\n  storage:\n    size: 1Gi\n",
            self.name
        )
    }

    /// Applies a ledger job (`payload` bytes a group, `keys` groups, `rate` events a second) and waits until it runs.
    pub fn ledger(&self, keys: u64, rate: u64, payload: u64) {
        let (payload_option, events, columns, select) = if payload > 0 {
            (
                format!(", 'payload'='{payload}'"),
                " (key BIGINT, number BIGINT, payload VARCHAR)",
                ", padding VARCHAR",
                ", MAX(payload)",
            )
        } else {
            (String::new(), "", "", "")
        };
        let yaml = format!(
            "apiVersion: jet.lossless.dev/v1alpha1\nkind: JetJob\nmetadata:\n  name: ledger\nspec:\n  cluster: {}\n  sql: |\n    \
             CREATE MAPPING events{events} TYPE Generator OPTIONS ('rate'='{rate}', 'keys'='{keys}'{payload_option});\n    \
             CREATE MAPPING ledger (key BIGINT, events BIGINT, highest BIGINT, total BIGINT{columns}) TYPE Map OPTIONS ('key'='key');\n    \
             CREATE JOB ledger OPTIONS ('snapshot-interval'='1s') AS INSERT INTO ledger SELECT key, COUNT(*), MAX(number), SUM(number){select} FROM events GROUP BY key;\n",
            self.name
        );
        self.world.apply(&yaml).unwrap_or_else(|said| panic!("{said}"));
        self.counted_beyond(0);
    }

    /// The object as JSON.
    pub fn object(&self) -> Value {
        serde_json::from_str(&self.world.kubectl(&["get", "jetcluster", &self.name, "-o", "json"])).expect("JSON")
    }

    /// `status` and `reason: message` of a condition.
    pub fn condition(&self, kind: &str) -> (String, String) {
        let object = self.object();
        let all = object.pointer("/status/conditions").and_then(Value::as_array).cloned().unwrap_or_default();
        let found =
            all.iter().find(|c| c.get("type").and_then(Value::as_str) == Some(kind)).cloned().unwrap_or_default();
        let field = |name: &str| found.get(name).and_then(Value::as_str).unwrap_or("absent").to_owned();
        (field("status"), format!("{}: {}", field("reason"), field("message")))
    }

    /// Waits until a condition has a status; answers its reason and message.
    pub fn wait(&self, kind: &str, status: &str) -> String {
        wait_for(&format!("{}: {kind}={status}", self.name), OPERATION, || {
            let (now, why) = self.condition(kind);
            if now == status { Ok(why) } else { Err(format!("{kind}={now} {why}")) }
        })
    }

    /// Waits until a condition's reason or message contains `word`; answers both.
    pub fn wait_reason(&self, kind: &str, word: &str) -> String {
        wait_for(&format!("{}: {kind} says {word}", self.name), OPERATION, || {
            let (status, why) = self.condition(kind);
            if why.contains(word) { Ok(why) } else { Err(format!("{kind}={status} {why}")) }
        })
    }

    /// Asks for the stop, as the README does.
    pub fn ask_stop(&self) {
        self.world.kubectl(&[
            "annotate",
            "jetcluster",
            &self.name,
            "jet.lossless.dev/maintenance=shutdown",
            "--overwrite",
        ]);
    }

    /// Asks for the return, as the README does.
    pub fn ask_return(&self) {
        self.world.kubectl(&["annotate", "jetcluster", &self.name, "jet.lossless.dev/maintenance-"]);
    }

    /// Sets an annotation of ours.
    pub fn annotate(&self, word: &str, value: &str) {
        let pair = format!("jet.lossless.dev/{word}={value}");
        self.world.kubectl(&["annotate", "jetcluster", &self.name, &pair, "--overwrite"]);
    }

    /// Changes fields of the spec (JSON).
    pub fn patch_spec(&self, spec: &str) {
        let patch = format!("{{\"spec\":{spec}}}");
        self.world.kubectl(&["patch", "jetcluster", &self.name, "--type=merge", "-p", &patch]);
    }

    /// A text of the status by JSON pointer; empty if it is absent.
    pub fn status(&self, pointer: &str) -> String {
        let object = self.object();
        let found = object.pointer(&format!("/status{pointer}")).cloned().unwrap_or_default();
        found.as_str().map_or_else(|| if found.is_null() { String::new() } else { found.to_string() }, str::to_owned)
    }

    /// Waits until the open operation is at a step; answers its id.
    pub fn wait_step(&self, step: &str) -> String {
        wait_for(&format!("{}: step {step}", self.name), OPERATION, || {
            let (now, why) = (self.status("/operation/step"), self.status("/operation/waitingFor"));
            if now == step { Ok(self.status("/operation/id")) } else { Err(format!("step '{now}' {why}")) }
        })
    }

    /// Name and uid of the newest seal record.
    pub fn seal(&self) -> String {
        let all = self.world.kubectl(&[
            "get",
            "configmap",
            "-l",
            "jet.lossless.dev/evidence=seal",
            "--sort-by=.metadata.creationTimestamp",
            "-o",
            "jsonpath={range .items[*]}{.metadata.name}/{.metadata.uid}{\"\\n\"}{end}",
        ]);
        all.lines().last().unwrap_or_default().to_owned()
    }

    /// Stops and waits for Stopped.
    pub fn stop(&self) {
        self.ask_stop();
        self.wait("Stopped", "True");
        assert_eq!(self.pods(), Vec::<String>::new(), "Stopped means that no pod is left");
    }

    /// Returns and waits until clients are served.
    pub fn come_back(&self) {
        self.ask_return();
        self.wait("DoorsOpen", "True");
        self.wait("Ready", "True");
    }

    /// Names of the member pods.
    pub fn pods(&self) -> Vec<String> {
        let selector = format!("app.kubernetes.io/instance={}", self.name);
        let out = self.world.kubectl(&[
            "get",
            "pods",
            "-l",
            &selector,
            "-o",
            "jsonpath={range .items[*]}{.metadata.name}{\"\\n\"}{end}",
        ]);
        out.lines().map(str::to_owned).collect()
    }

    /// The members' admin API.
    pub fn members(&self) -> Members {
        Members::new(self.world, &self.name)
    }

    /// Member UUIDs by ordinal, as the roster in status has them.
    pub fn uuids(&self) -> Vec<String> {
        let object = self.object();
        let members = object.pointer("/status/roster/members").and_then(Value::as_array).cloned().unwrap_or_default();
        members.iter().filter_map(|m| m.get("uuid").and_then(Value::as_str)).map(str::to_owned).collect()
    }

    /// Ordinal of the Raft leader.
    pub fn leader(&self) -> u32 {
        let cluster = self.members().view(0).expect("member 0 answers").cluster.expect("a cluster");
        let leader = cluster.roster.iter().find(|member| Some(member.uuid) == cluster.leader);
        leader.map(|member| member.ordinal).expect("a leader")
    }

    /// A job as the members tell it, whichever of them answers.
    pub fn job(&self, name: &str) -> Result<JobView, String> {
        let members = self.members();
        let mut last = String::from("no member");
        for ordinal in 0..3 {
            match members.view(ordinal).map(|view| view.cluster.map(|cluster| cluster.jobs).unwrap_or_default()) {
                Ok(jobs) if !jobs.is_empty() => {
                    let found = jobs.into_iter().find(|job| job.name == name);
                    return found.ok_or_else(|| format!("no job {name}"));
                }
                Ok(_) => last = format!("member {ordinal} knows no job"),
                Err(said) => last = said,
            }
        }
        Err(last)
    }

    /// Rows that the job's current execution has read over all members.
    pub fn rows_read(&self, job: &str) -> u64 {
        let members = self.members();
        let views = (0..3).map(|ordinal| members.view(ordinal).unwrap_or_else(|said| panic!("{said}")));
        views.flat_map(|view| view.work).filter(|work| work.job == job).map(|work| work.rows_in).sum()
    }

    /// Waits until more than `events` are counted, and checks that each number was counted exactly once.
    pub fn counted_beyond(&self, events: u64) -> u64 {
        wait_for(&format!("{}: ledger beyond {events}", self.name), OPERATION, || {
            let counted = self.members().ledger()?;
            if counted > events { Ok(counted) } else { Err(format!("{counted} events")) }
        })
    }
}
