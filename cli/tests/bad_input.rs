//! Options and arguments that make no sense, and what is not there: as the three programs print it. `docs/bad-input.md`
//! has it.
//!
//! Law: nobody is asked for anything. Must not know: members, Kubernetes.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use jet_pages::Table;

/// The page.
const PAGE: &str = "bad-input.md";

/// Exit code and what is printed.
fn ended(program: &str, arguments: &[&str]) -> (i32, String) {
    ended_at(program, arguments, Path::new("/nowhere/kubeconfig"))
}

fn ended_at(program: &str, arguments: &[&str], kubeconfig: &Path) -> (i32, String) {
    let mut command = Command::new(program);
    for name in ["JET_MEMBER", "JET_TLS_DIR", "JET_CLUSTER_PASSWORD", "KUBERNETES_SERVICE_HOST"] {
        command.env_remove(name);
    }
    let ran = command.env("HOME", "/nowhere").env("KUBECONFIG", kubeconfig).args(arguments).output().unwrap();
    let said = String::from_utf8(ran.stdout).unwrap() + &String::from_utf8(ran.stderr).unwrap();
    (ran.status.code().unwrap(), said)
}

fn exit(code: i32) -> String {
    assert_ne!(code, 0);
    format!("exit {code}")
}

/// Nobody listens there.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn jet_names_what_it_does_not_understand_or_find() {
    let mut table = Table::of("jet");
    for (arguments, must) in [
        (&["sumbit", "ledger", "SELECT 1"][..], &["'sumbit'", "'submit'"][..]),
        (&["submit", "ledger"], &["<SQL>", "Usage: jet submit"]),
        (&["cancel"], &["<NAME>", "Usage: jet cancel"]),
        (&["list-jobs", "--jsn"], &["'--jsn'", "'--json'"]),
        (&["sql", "SELECT 1", "--limit", "ten"], &["'ten'", "--limit <LIMIT>"]),
        (&["list-jobs", "--tls-dir", "/nowhere"], &["/nowhere/ca.crt", "Give --tls-dir a directory with"]),
    ] {
        let (code, said) = ended(env!("CARGO_BIN_EXE_jet"), arguments);
        table.saw(&format!("jet {}", arguments.join(" ")), exit(code), &said, must);
    }
    table.keep(PAGE);
}

#[test]
fn jet_cluster_admin_names_what_it_does_not_understand_or_find() {
    let mut table = Table::of("jet-cluster-admin");
    let port = free_port().to_string();
    table.mask(format!(" {port}"), " <nobody>");
    table.mask(format!(":{port}"), ":<nobody>");
    for (arguments, must) in [
        ("-o stop", &["Not a valid operation", "'shutdown'"][..]),
        ("-o change-state", &["Not a valid cluster state", "'passive'"]),
        ("-o change-state -s sleepy", &["Not a valid cluster state", "'passive'"]),
        ("-o change-cluster-version", &["Not a valid cluster version", "-v MAJOR.MINOR"]),
        ("-p seventy", &["'seventy'", "--port <PORT>"]),
        ("--pasword x", &["'--pasword'", "'--password'"]),
        ("--https", &["--https", "needs --cacert, --cert and --key"]),
        ("--https --insecure", &["--insecure", "give --cacert, --cert and --key"]),
        ("--cacert ca.pem", &["--cacert", "are for --https"]),
        (
            "--https --cacert /nowhere/ca.pem --cert /nowhere/cert.pem --key /nowhere/key.pem",
            &["/nowhere/ca.pem", "name PEM files"],
        ),
        ("-a 127.0.0.1 -p {port}", &["Connecting to 127.0.0.1:<nobody>", "Is the server running?"]),
    ] {
        let arguments = arguments.replace("{port}", &port);
        let run = |more: &[&str]| {
            let all: Vec<&str> = arguments.split(' ').chain(["-c", "orders"]).chain(more.iter().copied()).collect();
            ended(env!("CARGO_BIN_EXE_jet-cluster-admin"), &all)
        };
        let ((plain, said), (strict, _)) = (run(&[]), run(&["--strict"]));
        let codes = if plain == strict { exit(plain) } else { format!("exit {plain}, with --strict {strict}") };
        table.saw(&format!("jet-cluster-admin {arguments}"), codes, &said, must);
    }
    table.keep(PAGE);
}

#[test]
fn the_plugin_names_what_it_does_not_understand_or_find() {
    let mut table = Table::of("kubectl-jet");
    let dir = std::env::temp_dir().join(format!("kubectl-jet-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let at = dir.join("kubeconfig");
    let port = free_port();
    table.mask(format!(":{port}"), ":<nobody>");
    std::fs::write(&at, format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters:\n- name: c\n  cluster: {{server: 'http://127.0.0.1:{port}'}}\n\
         users:\n- name: u\n  user: {{}}\ncontexts:\n- name: c\n  context: {{cluster: c, user: u}}\n"
    ))
    .unwrap();
    for (given, arguments, kubeconfig, must) in [
        ("kubectl jet status", &["status"][..], at.as_path(), &["<NAME>", "Usage: kubectl jet status"][..]),
        ("kubectl jet statsu orders", &["statsu", "orders"], &at, &["'statsu'", "'status'"]),
        (
            "kubectl jet status orders, without a kubeconfig",
            &["status", "orders"],
            Path::new("/nowhere/kubeconfig"),
            &["Kubernetes context", "KUBECONFIG or ~/.kube/config must name one"],
        ),
        (
            "kubectl jet status orders, where no API server answers",
            &["status", "orders"],
            &at,
            &["JetCluster 'orders'", "is this the right context"],
        ),
    ] {
        let (code, said) = ended_at(env!("CARGO_BIN_EXE_kubectl-jet"), arguments, kubeconfig);
        table.saw(given, exit(code), &said, must);
    }
    std::fs::remove_dir_all(&dir).unwrap();
    table.keep(PAGE);
}
