//! A real API server with its etcd, and nothing else of Kubernetes: no controllers, no nodes.
//!
//! Law: everything lies in a temporary directory and dies with the value. Must not know: what is tested.

#[allow(dead_code)]
pub mod faulty;

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use kube::config::{AuthInfo, Config};
use kube::{Client, client::ClientBuilder};
use rcgen::KeyPair;

/// The server must answer within this.
const UP: Duration = Duration::from_secs(120);

/// A running API server.
pub struct Server {
    pub bin: PathBuf,
    dir: tempfile::TempDir,
    url: String,
    children: Vec<Child>,
}

/// The operator's room in the checkout that is tested: asked when the test runs, because checkouts may share what was
/// built.
pub fn room() -> PathBuf {
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("run by cargo"))
}

/// With this variable set a test that needs an API server is left out where there is none.
const LEFT_OUT: &str = "JET_NO_API_SERVER";

/// Where the programs are; `None`: left out by wish.
pub fn programs_or_left_out() -> Option<PathBuf> {
    match programs() {
        Ok(bin) => Some(bin),
        Err(why) if std::env::var_os(LEFT_OUT).is_some() => {
            eprintln!("NOT RUN: {why}");
            None
        }
        Err(why) => panic!("{why}; {LEFT_OUT}=1 leaves this test out"),
    }
}

/// Where the programs are; `Err`: why there are none.
pub fn programs() -> Result<PathBuf, String> {
    let said = std::env::var_os("JET_KUBE_BIN").map(PathBuf::from);
    let bin = match said {
        Some(bin) => bin,
        None => {
            let kube = room().join("../e2e/kube/kube");
            let out =
                Command::new(&kube).arg("path").output().map_err(|error| format!("{}: {error}", kube.display()))?;
            PathBuf::from(String::from_utf8_lossy(&out.stdout).trim())
        }
    };
    for program in ["etcd", "kube-apiserver", "kubectl", "helm"] {
        if !bin.join(program).exists() {
            return Err(format!(
                "no {program} in {}: e2e/kube/setup builds it, or JET_KUBE_BIN names another directory",
                bin.display()
            ));
        }
    }
    Ok(bin)
}

impl Server {
    pub fn start(bin: PathBuf) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).display().to_string();
        let [client, peer, port] = free_ports();
        let accounts = KeyPair::generate().unwrap();
        std::fs::write(at("sa.key"), accounts.serialize_pem()).unwrap();
        std::fs::write(at("sa.pub"), accounts.public_key_pem()).unwrap();
        std::fs::write(at("tokens"), "admin-token,admin,1,\"system:masters\"\n").unwrap();
        let etcd = format!("http://127.0.0.1:{client}");
        let start = |program: &str, arguments: Vec<String>| {
            let log =
                || std::fs::OpenOptions::new().create(true).append(true).open(at(&format!("{program}.log"))).unwrap();
            let mut command = Command::new(bin.join(program));
            command.args(arguments).stdin(Stdio::null()).stdout(log()).stderr(log()).spawn().unwrap()
        };
        let children = vec![
            start(
                "etcd",
                vec![
                    format!("--data-dir={}", at("etcd")),
                    format!("--listen-client-urls={etcd}"),
                    format!("--advertise-client-urls={etcd}"),
                    format!("--listen-peer-urls=http://127.0.0.1:{peer}"),
                    "--unsafe-no-fsync".into(),
                ],
            ),
            start(
                "kube-apiserver",
                vec![
                    format!("--etcd-servers={etcd}"),
                    format!("--secure-port={port}"),
                    "--bind-address=127.0.0.1".into(),
                    format!("--cert-dir={}", at("certs")),
                    format!("--token-auth-file={}", at("tokens")),
                    "--authorization-mode=RBAC".into(),
                    "--service-account-issuer=https://test".into(),
                    format!("--service-account-key-file={}", at("sa.pub")),
                    format!("--service-account-signing-key-file={}", at("sa.key")),
                    "--service-cluster-ip-range=10.0.0.0/24".into(),
                    "--disable-admission-plugins=ServiceAccount".into(),
                    "--endpoint-reconciler-type=none".into(),
                ],
            ),
        ];
        let url = format!("https://127.0.0.1:{port}");
        std::fs::write(at("kubeconfig"), kubeconfig(&url)).unwrap();
        let mut server = Self { bin, url, children, dir };
        server.await_ready();
        server
    }

    fn await_ready(&mut self) {
        let begun = Instant::now();
        loop {
            let (good, said) = self.kubectl(&["get", "--raw", "/readyz"], "");
            if good {
                return;
            }
            let dead = self.children.iter_mut().any(|child| child.try_wait().unwrap().is_some());
            if dead || begun.elapsed() > UP {
                let log = std::fs::read_to_string(self.dir.path().join("kube-apiserver.log")).unwrap_or_default();
                let tail: Vec<_> = log.lines().rev().take(15).collect();
                panic!("the API server is not ready after {:?}: {said}\n{}", begun.elapsed(), tail.join("\n"));
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// A client with all rights.
    pub fn client(&self) -> Client {
        ClientBuilder::try_from(self.config()).unwrap().build()
    }

    /// The same, through something that spoils what it asks and hears.
    #[allow(dead_code)]
    pub fn client_through(&self, faulty: &faulty::Faulty) -> Client {
        ClientBuilder::try_from(self.config()).unwrap().with_layer(faulty).build()
    }

    fn config(&self) -> Config {
        let mut config = Config::new(self.url.parse().unwrap());
        config.accept_invalid_certs = true;
        config.auth_info = AuthInfo { token: Some("admin-token".to_owned().into()), ..AuthInfo::default() };
        jet_operator::runtime::connection::bounded(config)
    }

    /// Runs kubectl with `input`; whether it succeeded, and what it said.
    pub fn kubectl(&self, arguments: &[&str], input: &str) -> (bool, String) {
        let (code, said) = self.kubectl_ends(arguments, input);
        (code == 0, said)
    }

    /// The same with the exit code.
    pub fn kubectl_ends(&self, arguments: &[&str], input: &str) -> (i32, String) {
        let config = self.kubeconfig();
        run(Command::new(self.bin.join("kubectl")).arg("--kubeconfig").arg(config).args(arguments), input)
    }

    /// Names this server, with all rights.
    pub fn kubeconfig(&self) -> PathBuf {
        self.dir.path().join("kubeconfig")
    }

    /// The chart as rendered into namespace `jet-system`.
    pub fn chart(&self, arguments: &[&str]) -> (bool, String) {
        let chart = room().join("../charts/jet");
        let mut helm = Command::new(self.bin.join("helm"));
        helm.args(["template", "jet"]).arg(chart).args(["--namespace", "jet-system", "--no-hooks"]).args(arguments);
        let (code, said) = run(&mut helm, "");
        (code == 0, said)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for child in self.children.iter_mut().rev() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub fn run(command: &mut Command, input: &str) -> (i32, String) {
    use std::io::Write;
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let text = input.to_owned();
    let feed = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let out = child.wait_with_output().unwrap();
    // A program that failed early does not read its input; its exit code tells.
    let _ = feed.join().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    (out.status.code().unwrap_or(-1), said)
}

/// Below those that the kernel gives to outgoing connections, which would be faster than the servers.
fn free_ports() -> [u16; 3] {
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    let begin = (std::process::id().wrapping_mul(89) % 3000) as u16;
    let next = || 17_000 + (begin + TAKEN.fetch_add(1, Ordering::Relaxed)) % 3000;
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let mut ports = (0..3000).map(|_| next()).filter(free);
    [(); 3].map(|()| ports.next().expect("three free ports from 17000 on"))
}

fn kubeconfig(url: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters:\n- name: c\n  cluster: {{server: {url}, insecure-skip-tls-verify: true}}\n\
         users:\n- name: u\n  user: {{token: admin-token}}\ncontexts:\n- name: c\n  context: {{cluster: c, user: u}}\n"
    )
}
