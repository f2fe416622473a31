//! A network of the test's own: a bridge, and nodes with a network namespace each, all of it inside namespaces that end
//! with the test.
//!
//! Law: the machine's own links are never touched, and nothing is left, however the test ends: the whole lives in a PID
//! namespace whose first process is the test. Must not know: members.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Set for the test that runs inside.
const INSIDE: &str = "JET_TEST_NETWORK";
/// Longest that a namespace may take to be there.
const BOUND: Duration = Duration::from_secs(60);

pub fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Runs this program's test `name` inside new namespaces, and fails as it does.
pub fn run_inside(name: &str) {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", "unshare"]);
    if !rustix::process::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    command.arg(std::env::current_exe().unwrap()).args(["--exact", name, "--nocapture"]).env(INSIDE, "1");
    let status = command.status().expect("setpriv and unshare: apt-get install util-linux");
    assert!(status.success(), "inside its own network the test ended with {status}; what it said stands above");
}

fn run(program: &str, args: &[&str]) -> Result<(), String> {
    let out = Command::new(program).args(args).output().map_err(|e| format!("{program}: {e}"))?;
    let said = String::from_utf8_lossy(&out.stderr);
    if out.status.success() { Ok(()) } else { Err(format!("{program} {}: {said}", args.join(" "))) }
}

fn ip(words: &str) {
    run("ip", &words.split(' ').collect::<Vec<_>>()).unwrap();
}

/// Nodes at one bridge.
pub struct Lan {
    /// The process that keeps a node's namespace; `None`: the node is off.
    nodes: Vec<Option<Child>>,
}

impl Lan {
    /// All nodes are on.
    pub fn new(nodes: u32) -> Self {
        assert!(is_inside(), "links are made inside only");
        for words in
            ["link set lo up", "link add lan0 type bridge", "addr add 10.77.0.1/24 dev lan0", "link set lan0 up"]
        {
            ip(words);
        }
        let mut lan = Self { nodes: (0..nodes).map(|_| None).collect() };
        (0..nodes).for_each(|node| lan.boot(node));
        lan
    }

    /// The same after each boot.
    pub fn address(node: u32) -> String {
        format!("10.77.0.{}", 11 + node)
    }

    /// What runs a program in the node and becomes it.
    pub fn enter(&self, node: u32) -> Vec<String> {
        let holder = self.nodes[node as usize].as_ref().expect("the node is on").id();
        ["nsenter", "-t", &holder.to_string(), "--net", "--"].map(str::to_owned).to_vec()
    }

    /// A node with a new namespace, the former address and the former hardware address.
    pub fn boot(&mut self, node: u32) {
        let holder =
            Command::new("unshare").args(["--net", "--", "sleep", "infinity"]).stdin(Stdio::null()).spawn().unwrap();
        let pid = holder.id();
        self.nodes[node as usize] = Some(holder);
        let (ours, begun) = (std::fs::read_link("/proc/self/ns/net").unwrap(), Instant::now());
        while std::fs::read_link(format!("/proc/{pid}/ns/net")).is_ok_and(|theirs| theirs == ours) {
            assert!(begun.elapsed() < BOUND, "no network namespace within {BOUND:?}");
            std::thread::yield_now();
        }
        // The former link goes with its namespace, which the kernel takes away when it likes.
        let _ = run("ip", &["link", "delete", &format!("veth{node}")]);
        ip(&format!("link add veth{node} type veth peer name eth0 netns {pid}"));
        ip(&format!("link set veth{node} master lan0 up"));
        for words in [
            "link set lo up".to_owned(),
            format!("link set eth0 address 02:00:00:00:00:{:02x}", 11 + node),
            format!("addr add {}/24 dev eth0", Self::address(node)),
            "link set eth0 up".to_owned(),
        ] {
            let target = pid.to_string();
            let args = ["-t", &target, "--net", "--", "ip"].into_iter().chain(words.split(' '));
            run("nsenter", &args.collect::<Vec<_>>()).unwrap();
        }
    }

    /// Nothing goes in or out any more; nobody in the node is told.
    pub fn cut(&self, node: u32) {
        ip(&format!("link set veth{node} down"));
    }

    pub fn heal(&self, node: u32) {
        ip(&format!("link set veth{node} up"));
    }

    /// The namespace goes. Who still runs in it is for the caller to kill, behind a cut, so that peers hear no word.
    pub fn switch_off(&mut self, node: u32) {
        if let Some(mut holder) = self.nodes[node as usize].take() {
            holder.kill().unwrap();
            holder.wait().unwrap();
        }
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        (0..self.nodes.len()).for_each(|node| self.switch_off(u32::try_from(node).unwrap()));
    }
}
