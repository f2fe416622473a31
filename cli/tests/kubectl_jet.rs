//! `kubectl-jet` as a process: what it asks of an API server that is played, and what it prints.
//!
//! Must not know: real API servers and members.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

const CLUSTER: &str = "/apis/jet.lossless.dev/v1alpha1/namespaces/prod/jetclusters/orders";

fn of_pod(pod: &str) -> String {
    format!("/api/v1/namespaces/prod/pods/{pod}:8080/proxy/progress")
}

/// Answers whoever asks for one of these paths until the test ends; the rest it may not see. Keeps what was asked for.
fn api_server(answers: Vec<(String, Value)>) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let paths = asked.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let first = lines.next().unwrap().unwrap();
            while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
            let path = first.split(' ').nth(1).unwrap().to_owned();
            let found = answers.iter().find(|(known, _)| *known == path).map(|(_, answer)| answer.clone());
            let status = if found.is_some() { "200 OK" } else { "403 Forbidden" };
            let body = found.unwrap_or_else(|| json!({ "kind": "Status", "code": 403 })).to_string();
            let length = body.len();
            let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: application/json\r\n");
            paths.lock().unwrap().push(path);
            write!(stream, "{head}Content-Length: {length}\r\n\r\n{body}").unwrap();
        }
    });
    (port, asked)
}

fn printed(port: u16, arguments: &[&str]) -> String {
    let dir = tempfile::TempDir::new().unwrap();
    let kubeconfig = dir.path().join("config");
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters:\n- name: c\n  cluster: {{server: 'http://127.0.0.1:{port}'}}\n\
         users:\n- name: u\n  user: {{}}\ncontexts:\n- name: c\n  context: {{cluster: c, user: u}}\n"
    );
    std::fs::write(&kubeconfig, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-jet"));
    let ran = command.env("KUBECONFIG", &kubeconfig).args(arguments).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

fn stopping(is_busy: bool) -> Value {
    let member = |n: u32| json!({ "pod": format!("orders-{n}"), "uuid": "", "seen": "Serving" });
    let told = |n: u32| json!({ "pod": format!("orders-{n}"), "message": "sealing, 1.0 of 8.0 GiB read back" });
    json!({
        "apiVersion": "jet.lossless.dev/v1alpha1", "kind": "JetCluster",
        "metadata": { "name": "orders", "namespace": "prod" },
        "status": {
            "phase": "Stopping",
            "operation": { "id": "4-ab", "kind": "Stop", "step": "Sealed", "stepNumber": 6 },
            "roster": { "members": [member(0), member(1), member(2)] },
            "progress": { "toldAt": "2030-01-01T00:00:00Z", "members": [told(0), told(1), told(2)] },
            "conditions": [{ "type": "Reconciling", "status": if is_busy { "True" } else { "False" } }],
        },
    })
}

#[test]
fn members_that_may_be_asked_tell_how_far_they_are_now_and_the_status_tells_it_of_the_others() {
    let loads =
        json!({ "doing": "ReadingBack", "done_bytes": 4_u64 << 30, "total_bytes": 8_u64 << 30, "lasts_ms": 9000 });
    let answers =
        vec![(CLUSTER.to_owned(), stopping(true)), (of_pod("orders-0"), loads), (of_pod("orders-2"), Value::Null)];
    let (port, asked) = api_server(answers);
    let text = printed(port, &["status", "orders", "--once", "-n", "prod"]);
    let lines = "  orders-0: sealing, 4.0 of 8.0 GiB read back\n  orders-1: sealing, 1.0 of 8.0 GiB read back\n\n";
    assert!(text.contains(lines) && !text.contains("orders-2"), "{text}");
    let asked = asked.lock().unwrap();
    assert!(asked.contains(&of_pod("orders-1")) && asked.len() == 4, "{asked:?}");
}

#[test]
fn nobody_is_asked_while_nothing_is_waited_for() {
    let (port, asked) = api_server(vec![(CLUSTER.to_owned(), stopping(false))]);
    let text = printed(port, &["status", "orders", "-n", "prod"]);
    assert!(text.starts_with("orders  Stopping\n"), "{text}");
    assert_eq!(*asked.lock().unwrap(), [CLUSTER]);
}
