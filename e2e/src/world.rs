//! The Kubernetes under test: images there, the operator installed once by the README's block, one namespace a test.
//!
//! Law: what a test made is not waited for when it goes; the next test has its own namespace. Must not know: members.

use std::sync::OnceLock;
use std::time::Duration;

use crate::readme::{block, root};
use crate::shell::{attempt, bash, run, wait_for};

/// With this variable set a failed test's namespace stays, for a person to look at.
const KEEP: &str = "JET_E2E_KEEP";

/// Namespace of the operator.
pub const OPERATOR_NAMESPACE: &str = "jet-system";

/// One namespace with a name of its own.
pub struct World {
    /// Its name.
    pub namespace: String,
}

impl World {
    /// Installs the operator if this process has not yet, and makes the namespace `t-<test>` anew.
    pub fn new(test: &str) -> Self {
        static INSTALLED: OnceLock<()> = OnceLock::new();
        INSTALLED.get_or_init(install);
        let namespace = format!("t-{}", test.replace('_', "-"));
        let world = Self { namespace };
        world.remove();
        run("kubectl", &["create", "namespace", &world.namespace]);
        world
    }

    /// kubectl in the namespace.
    pub fn kubectl(&self, args: &[&str]) -> String {
        self.try_kubectl(args).unwrap_or_else(|said| panic!("{said}"))
    }

    /// kubectl in the namespace; a refusal is a value.
    pub fn try_kubectl(&self, args: &[&str]) -> Result<String, String> {
        let mut all = vec!["--namespace", &self.namespace];
        all.extend(args);
        attempt("kubectl", &all, None)
    }

    /// kubectl apply of a text.
    pub fn apply(&self, yaml: &str) -> Result<String, String> {
        attempt("kubectl", &["--namespace", &self.namespace, "apply", "-f", "-"], Some(yaml))
    }

    /// A block of the README, run in this namespace.
    pub fn readme(&self, name: &str) {
        let script =
            format!("kubectl config set-context --current --namespace={} > /dev/null\n{}", self.namespace, block(name));
        bash(&script).unwrap_or_else(|said| panic!("README block {name}: {said}"));
    }

    /// Deletion is no stop here: nobody needs what these clusters hold.
    fn abandon(&self) {
        let _ =
            self.try_kubectl(&["annotate", "jetcluster", "--all", "jet.lossless.dev/delete=abandon", "--overwrite"]);
    }

    fn remove(&self) {
        if attempt("kubectl", &["get", "namespace", &self.namespace], None).is_err() {
            return;
        }
        self.abandon();
        let _ = self.try_kubectl(&["delete", "jetjob,jetcluster", "--all", "--timeout=60s"]);
        let _ = self.try_kubectl(&["delete", "pod", "--all", "--grace-period=1", "--wait=false"]);
        run("kubectl", &["delete", "namespace", &self.namespace, "--timeout=180s"]);
    }
}

impl World {
    /// What the members said lately, and the processes that they had before.
    fn tell_logs(&self) {
        let pods = self.try_kubectl(&["get", "pods", "-o", "name"]).unwrap_or_default();
        for (pod, whose) in pods.lines().flat_map(|pod| [(pod, "--previous=true"), (pod, "--previous=false")]) {
            if let Ok(log) = self.try_kubectl(&["logs", pod, whose, "--all-containers", "--tail=80"]) {
                eprintln!("--- {pod} {whose}\n{log}");
            }
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let story = self.try_kubectl(&["get", "jet,jetjob,pods,pvc,events", "-o", "wide"]).unwrap_or_else(|e| e);
            let status = self.try_kubectl(&["get", "jet", "-o", "yaml"]).unwrap_or_else(|e| e);
            let operator =
                attempt("kubectl", &["-n", OPERATOR_NAMESPACE, "logs", "deployment/jet-operator", "--tail=40"], None)
                    .unwrap_or_else(|e| e);
            eprintln!("--- {} as the test left it\n{story}\n{status}\n--- operator\n{operator}", self.namespace);
            self.tell_logs();
            if std::env::var_os(KEEP).is_some() {
                return;
            }
        }
        // Also after a failure: what still runs would take the cores from the tests that follow.
        self.abandon();
        let _ = attempt("kubectl", &["delete", "namespace", &self.namespace, "--wait=false"], None);
    }
}

fn install() {
    let installed = attempt("helm", &["status", "jet", "--namespace", OPERATOR_NAMESPACE], None).is_ok();
    let script = if installed { block("install").replace("helm install", "helm upgrade") } else { block("install") };
    bash(&format!("cd {}\n{script}", root().display())).unwrap_or_else(|said| panic!("README block install: {said}"));
    run("kubectl", &["-n", OPERATOR_NAMESPACE, "rollout", "restart", "deployment/jet-operator"]);
    wait_for("operator ready", Duration::from_secs(120), || {
        attempt(
            "kubectl",
            &["-n", OPERATOR_NAMESPACE, "rollout", "status", "deployment/jet-operator", "--timeout=10s"],
            None,
        )
    });
}
