//! Writes that the API server refuses for a while: an operation is held at the step that needs them.
//!
//! Law: what is refused is refused to everybody, and no longer than the guard lives. Must not know: why it is held.

use std::time::Duration;

use crate::shell::{attempt, run, wait_for};
use crate::world::World;

/// A refusal, until it goes.
pub struct Forbidden {
    name: String,
}

/// Longest that a policy needs to be in force.
const IN_FORCE: Duration = Duration::from_secs(60);

impl Forbidden {
    /// Replicas of StatefulSets in the test's namespace do not become 0.
    pub fn replicas_0(world: &World) -> Self {
        let expression = "object.spec.replicas != 0 || oldObject.spec.replicas == 0";
        Self::new(world, "replicas-0", ("apps", "statefulsets", "UPDATE"), expression)
    }

    /// No seal is recorded in the test's namespace.
    pub fn seal_records(world: &World) -> Self {
        let expression = r#"!object.metadata.name.contains("-seal-")"#;
        Self::new(world, "seals", ("", "configmaps", "CREATE"), expression)
    }

    fn new(world: &World, what: &str, (group, resource, verb): (&str, &str, &str), expression: &str) -> Self {
        let name = format!("{}-no-{what}", world.namespace);
        let yaml = format!(
            "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicy\nmetadata:\n  name: {name}\nspec:\n  \
             failurePolicy: Fail\n  matchConstraints:\n    resourceRules:\n    - apiGroups: [\"{group}\"]\n      apiVersions: [v1]\n      \
             resources: [{resource}]\n      operations: [{verb}]\n  validations:\n  - expression: '{expression}'\n    message: held by a test\n\
             ---\napiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicyBinding\nmetadata:\n  name: {name}\nspec:\n  \
             policyName: {name}\n  validationActions: [Deny]\n  matchResources:\n    namespaceSelector:\n      matchLabels:\n        \
             kubernetes.io/metadata.name: {}\n",
            world.namespace
        );
        attempt("kubectl", &["apply", "-f", "-"], Some(&yaml)).unwrap_or_else(|said| panic!("{said}"));
        let held = Self { name };
        wait_for("the policy is in force", IN_FORCE, || probe(world, resource));
        let _ = world.try_kubectl(&["delete", "statefulset", "probe", "--ignore-not-found", "--wait=false"]);
        held
    }
}

/// Refused itself when the policy is in force; tried without being carried out.
fn probe(world: &World, resource: &str) -> Result<(), String> {
    let tried = match resource {
        "configmaps" => world.try_kubectl(&["create", "configmap", "probe-seal-0", "--dry-run=server"]),
        _ => {
            let set = r#"{"apiVersion":"apps/v1","kind":"StatefulSet","metadata":{"name":"probe"},"spec":{"replicas":1,"serviceName":"p","selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"nodeSelector":{"no":"node"},"containers":[{"name":"p","image":"p"}]}}}}"#;
            world.apply(set)?;
            let patch = r#"{"spec":{"replicas":0}}"#;
            world.try_kubectl(&["patch", "statefulset", "probe", "--dry-run=server", "--type=merge", "-p", patch])
        }
    };
    match tried {
        Err(said) if said.contains("held by a test") => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

impl Drop for Forbidden {
    fn drop(&mut self) {
        for kind in ["validatingadmissionpolicybinding", "validatingadmissionpolicy"] {
            if std::thread::panicking() {
                let _ = attempt("kubectl", &["delete", kind, &self.name, "--ignore-not-found"], None);
            } else {
                run("kubectl", &["delete", kind, &self.name, "--ignore-not-found"]);
            }
        }
    }
}
