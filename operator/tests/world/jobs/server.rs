//! The API server, as far as a job's pass asks it: JetJobs, ConfigMaps, the namespace.
//!
//! Law: a write with an old resourceVersion or another uid is a conflict; an object that is being deleted goes with its last
//! finalizer. Must not know: who asks, faults.

use http::Method;
use jet_operator::job::JetJob;
use kube::core::Status;
use serde_json::{Value, json};

use crate::world::{Map, State};

/// Status and body.
pub type Answer = (u16, Value);

const MAPS: &str = "/api/v1/namespaces/prod/configmaps";
const JOBS: &str = "/apis/jet.lossless.dev/v1alpha1/namespaces/prod/jetjobs/";
const NAMESPACE: &str = "/api/v1/namespaces/prod";

pub fn failure(code: u16, why: &str) -> Answer {
    let reason = match code {
        404 => "NotFound",
        409 => "Conflict",
        _ => "",
    };
    (code, serde_json::to_value(Status::failure(why, reason).with_code(code)).unwrap_or_default())
}

/// It is one JetJob that is looked at.
pub fn is_job(path: &str) -> bool {
    path.starts_with(JOBS)
}

/// What is said of it in the list of deeds.
pub fn deed(method: &Method, path: &str, body: &Value) -> String {
    let finalizers = body.pointer("/metadata/finalizers").and_then(Value::as_array);
    match finalizers {
        Some(finalizers) if finalizers.is_empty() => "finalizer off".into(),
        Some(_) if method == Method::PATCH => "finalizer on".into(),
        _ if is_job(path) => "write down what is asked".into(),
        _ if method == Method::DELETE => "remove the wishes".into(),
        _ => "keep wishes".into(),
    }
}

impl State {
    pub fn answer(&mut self, method: &Method, path: &str, body: &Value) -> Answer {
        if let Some(name) = path.strip_prefix(JOBS) {
            return match (method, name.strip_suffix("/status")) {
                (&Method::PUT, Some(name)) => self.put_status(name, body),
                (&Method::PATCH, None) => self.patch_job(name, body),
                (&Method::GET, None) => self.jobs.objects.get(name).map_or_else(|| failure(404, name), shown),
                _ => failure(405, path),
            };
        }
        if let Some(name) = path.strip_prefix(MAPS) {
            return self.config_map(method, name.trim_start_matches('/'), body);
        }
        match path {
            NAMESPACE => (200, json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "prod" } })),
            _ => failure(404, path),
        }
    }

    fn put_status(&mut self, name: &str, body: &Value) -> Answer {
        let rv = self.bump().to_string();
        let Some(job) = self.jobs.objects.get_mut(name) else { return failure(404, name) };
        if differs(body, job.metadata.uid.as_deref(), job.metadata.resource_version.as_deref()) {
            return failure(409, name);
        }
        let status = serde_json::from_value(body["status"].clone()).ok();
        if job.status != status {
            (job.status, job.metadata.resource_version) = (status, Some(rv));
        }
        shown(job)
    }

    fn patch_job(&mut self, name: &str, patch: &Value) -> Answer {
        let rv = self.bump().to_string();
        let Some(job) = self.jobs.objects.get(name) else { return failure(404, name) };
        if differs(patch, job.metadata.uid.as_deref(), job.metadata.resource_version.as_deref()) {
            return failure(409, name);
        }
        self.effects += 1;
        let (_, mut body) = shown(job);
        merge(&mut body, patch);
        body["metadata"]["resourceVersion"] = rv.into();
        let Ok(job) = serde_json::from_value::<JetJob>(body) else { return failure(422, name) };
        let answer = shown(&job);
        let held = job.metadata.finalizers.as_ref().is_some_and(|finalizers| !finalizers.is_empty());
        if job.metadata.deletion_timestamp.is_some() && !held {
            self.jobs.objects.remove(name);
        } else {
            self.jobs.objects.insert(name.into(), job);
        }
        answer
    }

    fn config_map(&mut self, method: &Method, name: &str, body: &Value) -> Answer {
        let of = body.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        let name = if name.is_empty() { of.to_owned() } else { name.to_owned() };
        let known = self.maps.get(&name).cloned();
        let Some(known) = known else {
            return if *method == Method::POST { self.put_map(name, body, None) } else { failure(404, &name) };
        };
        let version = known.rv.to_string();
        let condition = if *method == Method::DELETE { &json!({ "metadata": body["preconditions"] }) } else { body };
        match method {
            &Method::GET => (200, map(&name, &known)),
            &Method::PUT | &Method::DELETE if differs(condition, Some(&known.uid), Some(&version)) => {
                failure(409, &name)
            }
            &Method::PUT => self.put_map(name, body, Some(known.uid)),
            &Method::DELETE => {
                self.effects += 1;
                self.maps.remove(&name);
                (200, map(&name, &known))
            }
            _ => failure(409, &name),
        }
    }

    fn put_map(&mut self, name: String, body: &Value, uid: Option<String>) -> Answer {
        self.effects += 1;
        let text = |at: &str| body.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned();
        let uid = uid.unwrap_or_else(|| self.next("map"));
        let kind = text("/metadata/labels/jet.lossless.dev~1evidence");
        let made = Map { uid, rv: self.bump(), kind, text: text("/data/record.json") };
        let answer = (200, map(&name, &made));
        self.maps.insert(name, made);
        answer
    }
}

fn shown(job: &JetJob) -> Answer {
    (200, serde_json::to_value(job).unwrap_or_default())
}

fn map(name: &str, map: &Map) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": name, "namespace": "prod", "uid": map.uid, "resourceVersion": map.rv.to_string() },
        "data": { "record.json": map.text },
    })
}

/// A precondition that is there and does not hold.
fn differs(body: &Value, uid: Option<&str>, version: Option<&str>) -> bool {
    let asked = |at: &str| body.pointer(at).and_then(Value::as_str);
    let unlike = |at: &str, is: Option<&str>| asked(at).is_some_and(|asked| Some(asked) != is);
    unlike("/metadata/uid", uid) || unlike("/metadata/resourceVersion", version)
}

/// RFC 7386.
fn merge(into: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *into = patch.clone();
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    for (key, value) in patch {
        match value {
            Value::Null => drop(into.as_object_mut().map(|into| into.remove(key))),
            value => merge(&mut into[key], value),
        }
    }
}
