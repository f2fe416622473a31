//! The Kubernetes port over the small world.
//!
//! Law: a write with an old resourceVersion or another uid is a conflict. Must not know: plans.

use async_trait::async_trait;
use jet_operator::api::annotations as keys;
use jet_operator::api::{FINALIZER, JetCluster, JetClusterStatus};
use jet_operator::cluster::desired::Object;
use jet_operator::cluster::facts::{ClaimFacts, Facts, KubeFacts, PodFacts, SetFacts};
use jet_operator::cluster::observe;
use jet_operator::cluster::plan::Act;
use jet_operator::cluster::plan::act::{Mark, TakeUp};
use jet_operator::cluster::port::{Kubernetes, PortError};
use jet_operator::cluster::story::Line;
use jet_operator::members::{Command, Door, Members};
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::json;

use jet_admin_api::client::CallError;
use jet_admin_api::member::MemberView;
use jet_admin_api::operation::OperationStep;

use super::{ClaimObject, Effect, Map, Set, State, World};

fn conflict(what: &str) -> PortError {
    PortError::Conflict { what: what.into() }
}

impl State {
    pub fn facts(&self) -> KubeFacts {
        let maps: Vec<ConfigMap> = self
            .maps
            .iter()
            .filter_map(|(name, map)| {
                serde_json::from_value(json!({
                    "metadata": { "name": name, "uid": map.uid, "labels": { "jet.lossless.dev/evidence": map.kind } },
                    "data": { "record.json": map.text },
                }))
                .ok()
            })
            .collect();
        KubeFacts {
            namespace_terminating: false,
            set: self.set.as_ref().map(set_facts),
            applied: self.applied.clone(),
            foreign: Vec::new(),
            pods: self
                .pods
                .iter()
                .map(|(ordinal, pod)| {
                    let facts = PodFacts {
                        uid: pod.uid.clone(),
                        ip: pod.running().then(|| format!("10.0.0.{ordinal}")),
                        node: Some("node-1".into()),
                        node_ready: Some(true),
                        ready: self.member_view(*ordinal).is_some_and(|v| v.ready),
                        revision: pod.revision.clone(),
                        deleting: pod.deleting,
                        trouble: None,
                    };
                    (*ordinal, facts)
                })
                .collect(),
            claims: self.claims.iter().map(|(ordinal, claim)| (*ordinal, claim_facts(*ordinal, claim))).collect(),
            evidence: observe::evidence(&maps),
        }
    }

    fn take_up(&mut self, facts: &Facts, take: &TakeUp) -> Result<(), PortError> {
        let rv = self.bump().to_string();
        let Some(cluster) = &mut self.cluster else { return Err(conflict("JetCluster")) };
        if cluster.metadata.resource_version != facts.cluster.metadata.resource_version {
            return Err(conflict("JetCluster"));
        }
        cluster.metadata.resource_version = Some(rv);
        let annotations = cluster.metadata.annotations.get_or_insert_default();
        let before = annotations.insert(keys::MEMBERS_REQUEST.into(), take.number.clone());
        if take.wish {
            annotations.insert(keys::MAINTENANCE.into(), keys::MAINTENANCE_SHUTDOWN.into());
            self.wishes += 1;
        }
        if before.as_ref() == Some(&take.number) {
            self.breaches.push(format!("the request {} was taken up twice", take.number));
        }
        Ok(())
    }

    fn apply_set(&mut self, object: &Object) -> Result<(), PortError> {
        let body = &object.body;
        if let (Some(set), Some(rv)) = (&self.set, body.pointer("/metadata/resourceVersion")) {
            if body.pointer("/metadata/uid").and_then(|v| v.as_str()) != Some(&set.uid)
                || rv.as_str() != Some(&set.rv.to_string())
            {
                return Err(conflict("StatefulSet"));
            }
        } else if self.set.is_some() || body.pointer("/metadata/resourceVersion").is_some() {
            return Err(conflict("StatefulSet"));
        }
        let replicas = body.pointer("/spec/replicas").and_then(|v| v.as_i64()).unwrap_or(1);
        let replicas = i32::try_from(replicas).unwrap_or(1);
        self.check_replicas(replicas);
        let annotations = body
            .pointer("/metadata/annotations")
            .and_then(|v| serde_json::from_value(v.clone()).ok())
            .unwrap_or_default();
        let uid = match &self.set {
            Some(set) => set.uid.clone(),
            None => self.next("set"),
        };
        let rv = self.bump();
        self.set = Some(Set { uid, rv, replicas, annotations, template: object.digest.clone() });
        Ok(())
    }

    fn mark(&mut self, facts: &Facts, mark: &Mark) -> Result<(), PortError> {
        let seen = facts.kube.set.as_ref().map(|s| (s.uid.clone(), s.resource_version.clone()));
        if self.set.as_ref().map(|s| (s.uid.clone(), s.rv.to_string())) != seen || seen.is_none() {
            return Err(conflict("StatefulSet"));
        }
        if let Some(replicas) = mark.replicas {
            self.check_replicas(replicas);
        }
        let rv = self.bump();
        let Some(set) = &mut self.set else { return Err(conflict("StatefulSet")) };
        set.rv = rv;
        if let Some(replicas) = mark.replicas {
            set.replicas = replicas;
        }
        for (key, value) in &mark.stamps {
            match value {
                Some(value) => set.annotations.insert(key.clone(), value.clone()),
                None => set.annotations.remove(key),
            };
        }
        Ok(())
    }

    /// Replicas may fall only when everything is sealed and committed.
    pub fn check_replicas(&mut self, replicas: i32) {
        let before = self.set.as_ref().map_or(0, |s| s.replicas);
        if replicas >= before {
            return;
        }
        let committed = self
            .machine
            .as_ref()
            .and_then(|m| m.operation.as_ref())
            .is_some_and(|op| op.step == OperationStep::Committed);
        let sealed = self
            .roster_ordinals()
            .iter()
            .all(|o| self.claims.get(o).is_some_and(|c| c.store.seal.is_some() || self.broken.contains(o)));
        let recorded = self.maps.keys().any(|name| name.starts_with("orders-seal-"));
        if !(committed && sealed && recorded) {
            self.breaches.push(format!(
                "replicas {before} → {replicas}: committed {committed}, sealed {sealed}, recorded {recorded}"
            ));
        }
    }

    fn create(&mut self, name: String, kind: &str, record: &impl serde::Serialize) -> Result<(), PortError> {
        if self.maps.contains_key(&name) {
            return Err(conflict(&name));
        }
        let uid = self.next("map");
        let (rv, text) = (self.bump(), serde_json::to_string(record).unwrap_or_default());
        self.maps.insert(name, Map { uid, rv, kind: kind.into(), text });
        Ok(())
    }
}

fn set_facts(set: &Set) -> SetFacts {
    let stamp = |key: &str| set.annotations.get(key);
    SetFacts {
        uid: set.uid.clone(),
        resource_version: set.rv.to_string(),
        replicas: set.replicas,
        update_revision: set.template.clone(),
        observed: true,
        deleting: false,
        applied: stamp(keys::APPLIED).cloned().unwrap_or_default(),
        operation: stamp(keys::STAMP_OPERATION).and_then(|t| serde_json::from_str(t).ok()),
        seal: stamp(keys::STAMP_SEAL).cloned(),
        activating: stamp(keys::STAMP_ACTIVATING).cloned(),
        spent: stamp(keys::STAMP_SPENT).and_then(|t| serde_json::from_str(t).ok()),
        unreadable: None,
        ..SetFacts::default()
    }
}

fn claim_facts(ordinal: u32, claim: &ClaimObject) -> ClaimFacts {
    ClaimFacts {
        uid: claim.uid.clone(),
        resource_version: claim.rv.to_string(),
        bound: true,
        volume: format!("pv-{ordinal}"),
        deleting: claim.deleting,
        stamp: claim.stamp.as_ref().and_then(|t| serde_json::from_str(t).ok()),
    }
}

#[async_trait]
impl Kubernetes for World {
    async fn read(&self) -> Result<Option<(JetCluster, KubeFacts)>, PortError> {
        let state = self.lock();
        Ok(state.cluster.clone().map(|cluster| (cluster, state.facts())))
    }

    async fn write(&self, facts: &Facts, act: &Act) -> Result<(), PortError> {
        let mut state = self.lock();
        state.effects += 1;
        state.in_pass.push(Effect::Written(act.clone()));
        match act {
            Act::Finalizer(on) => {
                let rv = state.bump().to_string();
                let Some(cluster) = &mut state.cluster else { return Err(conflict("JetCluster")) };
                if cluster.metadata.resource_version != facts.cluster.metadata.resource_version {
                    return Err(conflict("JetCluster"));
                }
                cluster.metadata.resource_version = Some(rv);
                cluster.metadata.finalizers = on.then(|| vec![FINALIZER.to_owned()]);
                if cluster.metadata.deletion_timestamp.is_some() && !on {
                    // The garbage collector takes what is owned; claims and records have no owner.
                    state.cluster = None;
                    state.set = None;
                    state.applied.clear();
                    state.pods.clear();
                }
                Ok(())
            }
            Act::TakeUp(take) => state.take_up(facts, take),
            Act::Apply(object) => {
                state.applied.insert((object.api.kind.clone(), object.name.clone()), object.digest.clone());
                Ok(())
            }
            Act::ApplySet(object) => state.apply_set(object),
            Act::Mark(mark) => state.mark(facts, mark),
            Act::CreateFounding(record) => state.create("orders-founding".into(), "founding", record),
            Act::CreateRoster(record) => state.create(format!("orders-roster-{}", record.sequence), "roster", record),
            Act::CreateSeal(record) => state.create(format!("orders-seal-{}", record.sequence), "seal", record),
            Act::PruneRecord { name, .. } => {
                state.maps.remove(name);
                Ok(())
            }
            Act::StampClaim { ordinal, stamp } => {
                let rv = state.bump();
                let seen = facts.kube.claims.get(ordinal).map(|c| c.resource_version.clone());
                match state.claims.get_mut(ordinal) {
                    Some(claim) if Some(claim.rv.to_string()) == seen => {
                        claim.stamp = serde_json::to_string(stamp).ok();
                        claim.rv = rv;
                        Ok(())
                    }
                    _ => Err(conflict("claim")),
                }
            }
            Act::ReplacePod { ordinal, uid } => {
                let open =
                    state.claims.get(ordinal).is_some_and(|c| c.store.founding.is_some() && c.store.seal.is_none());
                if open {
                    state.breaches.push(format!("pod {ordinal} with an open store was replaced"));
                }
                if let Some(pod) = state.pods.get_mut(ordinal).filter(|p| p.uid == *uid) {
                    pod.deleting = true;
                }
                Ok(())
            }
            Act::Remember(_) | Act::Command { .. } | Act::Row(_) => Ok(()),
        }
    }

    async fn write_status(&self, cluster: &JetCluster, status: &JetClusterStatus) -> Result<JetCluster, PortError> {
        let mut state = self.lock();
        let rv = state.bump().to_string();
        match &mut state.cluster {
            Some(live) if live.metadata.resource_version == cluster.metadata.resource_version => {
                live.status = Some(status.clone());
                live.metadata.resource_version = Some(rv);
                Ok(live.clone())
            }
            _ => Err(conflict("status")),
        }
    }

    async fn tell(&self, _: &JetCluster, lines: &[Line]) {
        self.lock().events.extend(lines.iter().cloned());
    }
}

#[async_trait]
impl Members for World {
    async fn look(&self, door: &Door) -> Result<MemberView, CallError> {
        self.lock()
            .member_view(door.ordinal)
            .ok_or_else(|| CallError::NotSent { address: door.host.clone(), reason: "connection refused".into() })
    }

    async fn command(&self, door: &Door, command: &Command) -> Result<String, CallError> {
        let mut state = self.lock();
        state.effects += 1;
        state.in_pass.push(Effect::Told(door.ordinal, command.clone()));
        state.command(door.ordinal, command).map_err(CallError::from)
    }

    async fn hint(&self, _: &Door, _: &[Door]) {}

    /// Time of the world passes between passes only.
    async fn moment(&self) {}
}
