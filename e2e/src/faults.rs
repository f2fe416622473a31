//! What is done to a cluster: SIGKILL by PID in the node, a node crash, a disk that is slow.
//!
//! Law: nothing here is polite, and nothing asks the thing that it kills. Must not know: why.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

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

/// A signal to the process of a pod: `STOP` and `CONT` freeze and thaw it.
pub fn signal_pod(namespace: &str, pod: &str, signal: &str) {
    kube(&["kill-pod", namespace, pod, signal]);
}

/// SIGKILL to a program of the control plane; it is started again at once.
pub fn kill_program(name: &str) {
    kube(&["kill-program", name]);
}

/// The directory behind a claim.
pub fn volume(namespace: &str, claim: &str) -> String {
    let volume = run("kubectl", &["-n", namespace, "get", "pvc", claim, "-o", "jsonpath={.spec.volumeName}"]);
    let path = run("kubectl", &["get", "pv", &volume, "-o", "jsonpath={.spec.local.path}"]);
    assert!(path.contains(&volume), "{claim}: {path} is no directory of a volume");
    path
}

/// Exchanges what lies on two volumes: each pod then mounts the other's store.
pub fn swap_volumes(namespace: &str, one: &str, other: &str) {
    let (one, other) = (volume(namespace, one), volume(namespace, other));
    let aside = format!("{one}.aside");
    run("mv", &["-T", &one, &aside]);
    run("mv", &["-T", &other, &one]);
    run("mv", &["-T", &aside, &other]);
}

/// A volume on which no file of the data can be made, as on a full or read-only one; the consensus log goes on. Until
/// this goes.
pub struct Unwritable(Vec<String>);

/// Makes the data of a member's volume unwritable.
pub fn unwritable(namespace: &str, claim: &str) -> Unwritable {
    let data = format!("{}/recovery", volume(namespace, claim));
    let found = run("find", &[&data, "-type", "d", "-not", "-path", "*/raft*"]);
    let directories: Vec<_> = found.lines().map(str::to_owned).collect();
    assert!(directories.len() > 1, "{data} holds a store: {found}");
    let made = Unwritable(directories);
    for directory in &made.0 {
        run("chattr", &["+i", directory]);
    }
    made
}

impl Drop for Unwritable {
    fn drop(&mut self) {
        for directory in &self.0 {
            let _ = attempt("chattr", &["-i", directory], None);
        }
    }
}

/// Empties the directory behind a claim: the claim and its volume stay, as after a disk was replaced under them.
pub fn empty_volume(namespace: &str, claim: &str) {
    let path = volume(namespace, claim);
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

/// A node on which nothing new is placed, until this goes.
pub struct Cordoned(String);

impl Cordoned {
    /// Cordons it.
    pub fn node(node: &str) -> Self {
        let made = Self(node.to_owned());
        run("kubectl", &["cordon", node]);
        made
    }
}

impl Drop for Cordoned {
    fn drop(&mut self) {
        if let Err(said) = attempt("kubectl", &["uncordon", &self.0], None) {
            eprintln!("{} is still cordoned: {said}", self.0);
        }
    }
}

/// Pause between two looks for containers that were started.
const LOOK: Duration = Duration::from_millis(10);

/// Whatever runs in a container, or is started in one meanwhile, reads from the disk of the volumes no faster than this.
pub struct SlowReads {
    over: Option<Sender<()>>,
    limits: Option<JoinHandle<()>>,
}

impl SlowReads {
    /// At most so many bytes a second, in each container.
    pub fn of(bytes_a_second: u64) -> Self {
        let (name, device) = (kube(&["cgroup"]), disk_of_volumes());
        let (old, unified) = (Path::new("/sys/fs/cgroup/blkio"), Path::new("/sys/fs/cgroup"));
        let is_old = old.exists();
        let (root, file) = if is_old { (old, "blkio.throttle.read_bps_device") } else { (unified, "io.max") };
        let root = root.join(name.trim());
        assert!(root.is_dir(), "{} holds the containers", root.display());
        let rule = move |rate: Option<u64>| match (is_old, rate) {
            (true, rate) => format!("{device} {}", rate.unwrap_or(0)),
            (false, Some(rate)) => format!("{device} rbps={rate}"),
            (false, None) => format!("{device} rbps=max"),
        };
        let (over, until) = channel();
        let limits = std::thread::spawn(move || {
            let mut limited = BTreeSet::new();
            loop {
                for group in groups(&root) {
                    if !limited.contains(&group) && fs::write(group.join(file), rule(Some(bytes_a_second))).is_ok() {
                        limited.insert(group);
                    }
                }
                if until.recv_timeout(LOOK) != Err(RecvTimeoutError::Timeout) {
                    break;
                }
            }
            for group in limited {
                // Those that have ended are not there any more.
                let _ = fs::write(group.join(file), rule(None));
            }
        });
        Self { over: Some(over), limits: Some(limits) }
    }
}

impl Drop for SlowReads {
    fn drop(&mut self) {
        drop(self.over.take());
        let _ = self.limits.take().map(JoinHandle::join);
    }
}

/// All control groups below one.
fn groups(root: &Path) -> Vec<PathBuf> {
    let below = fs::read_dir(root).into_iter().flatten().flatten();
    let dirs = below.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path());
    dirs.flat_map(|dir| groups(&dir).into_iter().chain([dir])).collect()
}

/// `major:minor` of the whole disk; limits are not taken for a part of it.
fn disk_of_volumes() -> String {
    let kubeconfig = kube(&["kubeconfig"]);
    let number = run("stat", &["--format=%Hd:%Ld", kubeconfig.trim()]).trim().to_owned();
    let device = Path::new("/sys/dev/block").join(&number);
    let whole = fs::canonicalize(&device).unwrap_or_else(|error| panic!("{} is no disk: {error}", device.display()));
    if !whole.join("partition").exists() {
        return number;
    }
    fs::read_to_string(whole.with_file_name("dev")).expect("a part is of a disk").trim().to_owned()
}

/// The node comes back.
pub fn start_node(node: &str) {
    kube(&["node", "start", node]);
}
