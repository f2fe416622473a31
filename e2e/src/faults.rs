//! What is done to a cluster: SIGKILL by PID in the node, a node crash, a node cut off.
//!
//! Law: nothing here is polite, and nothing asks the thing that it kills. Must not know: why.

use crate::readme::root;
use crate::shell::{attempt, run};

fn kube(args: &[&str]) -> String {
    run(root().join("e2e/kube/kube").to_str().expect("UTF-8"), args)
}

/// SIGKILL to the processes of a pod's container, found by PID in its node.
pub fn kill_pod(namespace: &str, pod: &str) {
    kube(&["kill-pod", namespace, pod, "KILL"]);
}

/// Like [`kill_pod`]; whether there was a process to kill. (What was just killed may not be started again yet.)
pub fn killed(namespace: &str, pod: &str) -> bool {
    attempt(root().join("e2e/kube/kube").to_str().expect("UTF-8"), &["kill-pod", namespace, pod, "KILL"], None).is_ok()
}

/// Empties the directory behind a claim: the claim and its volume stay, as after a disk was replaced under them.
pub fn empty_volume(namespace: &str, claim: &str) {
    let volume = run("kubectl", &["-n", namespace, "get", "pvc", claim, "-o", "jsonpath={.spec.volumeName}"]);
    let path = run("kubectl", &["get", "pv", &volume, "-o", "jsonpath={.spec.local.path}"]);
    assert!(path.contains(&volume), "{claim}: {path} is no directory of a volume");
    run("find", &[&path, "-mindepth", "1", "-delete"]);
}

/// SIGKILL to several pods, as near to one moment as commands can be.
pub fn kill_pods(namespace: &str, pods: &[String]) {
    std::thread::scope(|scope| {
        for pod in pods {
            scope.spawn(|| kill_pod(namespace, pod));
        }
    });
}

/// The operator pod that holds the lease.
pub fn operator_pod() -> Option<String> {
    let out = attempt(
        "kubectl",
        &["-n", "jet-system", "get", "lease", "jet-operator", "-o", "jsonpath={.spec.holderIdentity}"],
        None,
    )
    .ok()?;
    let holder = out.split(['_', '/']).next().unwrap_or_default().to_owned();
    (!holder.is_empty()).then_some(holder)
}

/// Replicas of the operator.
pub fn scale_operator(replicas: u32) {
    run("kubectl", &["-n", "jet-system", "scale", "deployment/jet-operator", &format!("--replicas={replicas}")]);
}

/// Everything in the node dies at once; its disk stays.
pub fn crash_node(node: &str) {
    kube(&["node", "crash", node]);
}

/// The node comes back.
pub fn start_node(node: &str) {
    kube(&["node", "start", node]);
}
