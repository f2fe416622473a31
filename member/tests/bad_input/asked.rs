//! Forms of the REST, options of `jet-cluster-admin` to a member, bodies of the admin API.
//!
//! Law: each is one request over a real socket. Must not know: what would be done.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use jet_admin_api::identity::{Role, any_member_server_name};
use jet_admin_api::refusal::Refusal;
use jet_pages::Table;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;

use super::programs::{ended, exit, program};
use crate::world::{CLUSTER, NAMESPACE, World};

const AT: &str = "/hazelcast/rest/management/cluster/";
/// Name and password as a form has them.
const KNOWN: &str = "orders&a pass%26word%25%2B";

fn request(method: &str, path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: m\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    )
}

/// Status and body; `None`: closed without a byte.
fn read_answer(answer: &str) -> Option<(u16, String)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned()))
}

fn post(world: &World, path: &str, body: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", world.rest_port(0))).unwrap();
    stream.write_all(request("POST", path, "", body).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    read_answer(&answer)
}

/// The Hazelcast-shaped REST.
pub fn rest(world: &World) -> Table {
    let mut table = Table::of("REST");
    let with = |third: &str| format!("{KNOWN}&{third}");
    let states = ["active, no_migration, frozen, passive"];
    for (name, body, status, must) in [
        ("state", "orders".into(), 400, &["at least 2 parameters"][..]),
        ("changeState", KNOWN.into(), 400, &["at least 3 parameters"]),
        ("changeState", "orders&%zz&frozen".into(), 500, &["part 2 of the body", "encode"]),
        // The original's word, which scripts look for.
        ("changeState", "orders&wrong&frozen".into(), 403, &["unauthenticated"]),
        ("state", "sales&x".into(), 403, &["unauthenticated"]),
        ("changeState", with("sleepy"), 500, &["'sleepy'", states[0]]),
        ("changeState", with("in_transition"), 500, &["IN_TRANSITION", states[0]]),
        ("version", with("banana"), 500, &["banana", "MAJOR.MINOR"]),
        ("version", with("4.1"), 500, &["4.1", "compatible with: [1.0]"]),
    ] {
        let (code, said) = post(world, &format!("{AT}{name}"), &body).unwrap();
        assert_eq!(code, status, "{name} {body}: {said}");
        table.saw(&format!("POST …/{name} {body}"), format!("HTTP {code}"), &said, must);
    }
    closed(world, &mut table);
    table
}

/// What is off is not answered at all; the member's log says why.
fn closed(world: &World, table: &mut Table) {
    for (given, path, must) in [
        (
            "POST …/forceStart, a group that is closed",
            format!("{AT}forceStart"),
            ["HOT_RESTART", "endpoint-groups.HOT_RESTART.enabled"],
        ),
        (
            "POST /hazelcast/rest/maps/m/k",
            "/hazelcast/rest/maps/m/k".into(),
            ["/hazelcast/rest/maps/m/k", "no such endpoint"],
        ),
    ] {
        assert_eq!(post(world, &path, KNOWN), None, "{given}");
        let log = std::fs::read_to_string(&world.members[&0].log).unwrap();
        let line = log.lines().rfind(|line| line.contains(must[0])).unwrap_or_else(|| panic!("{given}: {log}"));
        let (_, said) = line.split_once("REST").unwrap();
        table.saw(given, "closed without a byte", &format!("in the log: REST{said}"), &must);
    }
}

/// `jet-cluster-admin` as it is told by a member.
pub fn cluster_admin(world: &World) -> Table {
    let mut table = Table::of("jet-cluster-admin with a member");
    table.mask(format!("127.0.0.1:{}", world.rest_port(0)), "<address>");
    for (arguments, strict, must) in [
        ("-o change-state -s frozen -c sales -P x", 4, ["cluster name and password", "-c and -P"]),
        ("-o shutdown -c orders -P wrong", 4, ["cluster name and password", "-c and -P"]),
        ("-o force-start -c orders -P x", 52, ["send or receive data", "Is REST API enabled on the server?"]),
    ] {
        let port = world.rest_port(0).to_string();
        let run = |more: &[&str]| {
            let mut command = Command::new(program("jet-cluster-admin"));
            ended(command.args(["-a", "127.0.0.1", "-p", &port]).args(arguments.split(' ')).args(more))
        };
        let ((plain, _), (code, said)) = (run(&[]), run(&["--strict"]));
        assert_eq!(code, strict, "{arguments}: {said}");
        let codes = if plain == code { exit(code) } else { format!("exit {plain}, with --strict {code}") };
        table.saw(arguments, codes, &said, &must);
    }
    table
}

struct Asked {
    role: Role,
    method: &'static str,
    path: &'static str,
    headers: &'static str,
    body: &'static str,
    status: u16,
    must: &'static [&'static str],
}

const JSON: &str = "Content-Type: application/json\r\n";

const fn asked(
    role: Role,
    [method, path, body]: [&'static str; 3],
    status: u16,
    must: &'static [&'static str],
) -> Asked {
    Asked { role, method, path, headers: JSON, body, status, must }
}

const GOOD_SQL: &str = r#""sql":"CREATE MAPPING n TYPE Generator; CREATE MAPPING m (key BIGINT, c BIGINT) TYPE Map; CREATE JOB j AS INSERT INTO m SELECT key, COUNT(*) FROM n GROUP BY key""#;

/// Bodies and paths of the admin API.
const BODIES: &[Asked] = &[
    asked(Role::Admin, ["POST", "/v1/jobs", "ledger"], 400, &["parse", "send one JSON object"]),
    asked(
        Role::Admin,
        ["POST", "/v1/jobs", r#"{"name":"ledger"}"#],
        400,
        &["missing field `sql`", "correct the field"],
    ),
    Asked {
        headers: "",
        ..asked(
            Role::Admin,
            ["POST", "/v1/jobs", r#"{"name":"ledger","sql":""}"#],
            400,
            &["Content-Type: application/json", "set that header"],
        )
    },
    asked(
        Role::Admin,
        ["POST", "/v1/jobs", r#"{"name":"a","sql":"…","snapshot_interval_ms":"1s"}"#],
        400,
        &["snapshot_interval_ms", "correct the field"],
    ),
    asked(Role::Admin, ["POST", "/v1/jobs/ledgre/cancel", ""], 404, &["no job 'ledgre'", "GET /v1/jobs"]),
    asked(Role::Admin, ["GET", "/v1/clusters", ""], 404, &["GET /v1/clusters", "/v1/cluster,"]),
    asked(Role::Admin, ["DELETE", "/v1/jobs", ""], 404, &["DELETE /v1/jobs", "there is GET /v1/jobs"]),
    asked(Role::Client, ["POST", "/v1/jobs", "{}"], 403, &["the role client", "a role that may: operator, admin"]),
    asked(Role::Client, ["POST", "/v1/sql", r#"{"sql":"SELECT 1","limit":-1}"#], 400, &["limit", "correct the field"]),
    asked(Role::Client, ["PUT", "/v1/maps/m/entries/k", r#"{"value":5}"#], 400, &["value", "correct the field"]),
    asked(
        Role::Operator,
        ["POST", "/v1/operations", r#"{"id":"seven","requested_by":"me"}"#],
        400,
        &["'seven'", "for example 7-k2x9"],
    ),
    asked(
        Role::Operator,
        ["POST", "/v1/operations/9-a/freeze", r#"{"commit_within_ms":60000}"#],
        404,
        &["operation 9-a", "GET /v1/cluster"],
    ),
    asked(
        Role::Operator,
        ["POST", "/v1/operations/9-a/freeze", r#"{"commit_within_ms":"10m"}"#],
        400,
        &["commit_within_ms", "correct the field"],
    ),
    asked(
        Role::Operator,
        [
            "POST",
            "/v1/found",
            r#"{"founding_id":"00000000-0000-0000-0000-000000000001","ordinals":[0],"partition_count":9000,"backup_count":1}"#,
        ],
        400,
        &["9000 partitions", "1 to 8191"],
    ),
    asked(
        Role::Operator,
        [
            "POST",
            "/v1/found",
            r#"{"founding_id":"00000000-0000-0000-0000-000000000001","ordinals":[1,2],"partition_count":31,"backup_count":1}"#,
        ],
        400,
        &["does not name this member's ordinal 0", "permit"],
    ),
    asked(
        Role::Operator,
        [
            "POST",
            "/v1/found",
            r#"{"founding_id":"00000000-0000-0000-0000-000000000001","ordinals":[0],"partition_count":31,"backup_count":0}"#,
        ],
        409,
        &["founded by another permit", "send the permit that was recorded first"],
    ),
];

async fn call(world: &World, asked: &Asked) -> (u16, String) {
    let tls = TlsConnector::from(world.pki.issue(asked.role.clone()).client().unwrap());
    let name = ServerName::try_from(any_member_server_name(NAMESPACE, CLUSTER)).unwrap();
    let tcp = tokio::net::TcpStream::connect(world.admin_address(0)).await.unwrap();
    let mut stream = tls.connect(name, tcp).await.unwrap();
    stream.write_all(request(asked.method, asked.path, asked.headers, asked.body).as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // Some ends say no goodbye; what was read tells.
    let _ = stream.read_to_end(&mut answer).await;
    read_answer(&String::from_utf8(answer).unwrap()).unwrap()
}

/// The admin API.
pub async fn admin_api(world: &World) -> Table {
    let mut table = Table::of("admin API");
    for asked in BODIES {
        judge(world, &mut table, asked, asked.body).await;
    }
    for (given, must) in [
        (r#""name":"ledger","snapshot_interval_ms":5"#, &["5 ms", "50 ms to 1 h"]),
        (r#""name":"led ger""#, &["'led ger'", "letters, digits"]),
    ] {
        let body: &'static str = format!("{{{given},{GOOD_SQL}}}").leak();
        let asked = asked(Role::Admin, ["POST", "/v1/jobs", body], 400, must);
        judge(world, &mut table, &asked, &format!("{{{given},\"sql\":…}}")).await;
    }
    table
}

async fn judge(world: &World, table: &mut Table, asked: &Asked, shown: &str) {
    let (status, body) = call(world, asked).await;
    let refusal: Refusal =
        serde_json::from_str(&body).unwrap_or_else(|e| panic!("{} {}: {e}: {body}", asked.method, asked.path));
    assert_eq!(status, asked.status, "{} {}: {body}", asked.method, asked.path);
    let without = if asked.headers.is_empty() { " without a content type" } else { "" };
    let given = format!("{} {} {shown}{without}", asked.method, asked.path);
    table.saw(given.trim(), format!("HTTP {status}"), &refusal.to_string(), asked.must);
}
