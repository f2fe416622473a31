//! What a member is told at its start: the two YAML files, flags, and the files that flags name.
//!
//! Law: a configuration that is refused leaves no store behind. Must not know: clusters.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use jet_admin_api::identity::Role;
use jet_pages::Table;
use serde_json::Value;

use super::programs::{ended, exit};
use crate::world::World;

/// Exit code, and the sentence of the log line that tells why the member cannot go on.
fn member(arguments: &[String]) -> (i32, String) {
    let (code, said) =
        ended(Command::new(env!("CARGO_BIN_EXE_jet-member")).args(arguments).args(["--log-format", "json"]));
    let lines = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let sentence = lines.filter_map(|line| line["error"].as_str().map(str::to_owned)).next_back();
    (code, sentence.unwrap_or(said))
}

/// The arguments of member 0 with these values of flags; `None` takes a flag away.
fn but(world: &World, changes: &[(&str, Option<String>)]) -> Vec<String> {
    let mut arguments = world.told(0);
    for (flag, value) in changes {
        if let Some(at) = arguments.iter().position(|argument| argument == flag) {
            arguments.drain(at..at + 2);
        }
        arguments.extend(value.iter().flat_map(|value| [(*flag).to_owned(), value.clone()]));
    }
    arguments
}

/// Text of the two files, and what must be said.
type Row = (&'static str, &'static [&'static str]);

const HAZELCAST: &[Row] = &[
    ("{cluster-nam: orders}", &["'hazelcast.cluster-nam'", "did you mean 'hazelcast.cluster-name'"]),
    ("{quorum-of-everything: 3}", &["'hazelcast.quorum-of-everything'", "remove it"]),
    ("{cluster-name: orders", &["no valid YAML", "line"]),
    ("{cluster-name: [orders]}", &["'hazelcast.cluster-name'", "one text"]),
    ("{cluster-name: ''}", &["'hazelcast.cluster-name'", "not empty"]),
    ("{network: {port: 70000}}", &["'hazelcast.network.port.port' is '70000'", "65535"]),
    ("{network: {port: {auto-increment: true}}}", &["auto-increment", "only 'false' is offered"]),
    ("{network: {join: {multicast: {enabled: true}}}}", &["multicast.enabled", "join.tcp-ip.member-list"]),
    ("{network: {join: {tcp-ip: {member-list: [a, b, a]}}}}", &["'a:5702' twice", "named once"]),
    ("{network: {join: {tcp-ip: {member-list: ['a:99999']}}}}", &["'a:99999'", "from 1 to 65535"]),
    ("{network: {join: {tcp-ip: {member-list: [{host: a}]}}}}", &["member-list", "a list of texts"]),
    ("{network: {rest-api: {enabled: yes please}}}", &["'yes please'", "true or false"]),
    (
        "{network: {rest-api: {enabled: true, endpoint-groups: {CLUSTER_WRITE: {enabled: true}}}}}",
        &["password of the REST", "--rest-password-file"],
    ),
    ("{network: {rest-api: {enabled: true, endpoint-groups: {DATA: {enabled: true}}}}}", &["DATA", "only 'false'"]),
    ("{hot-restart-persistence: {enabled: false}}", &["hot-restart-persistence.enabled", "leave it out"]),
    ("{hot-restart-persistence: {base-dir: ''}}", &["base-dir", "not empty"]),
    (
        "{hot-restart-persistence: {validation-timeout-seconds: 10 minutes}}",
        &["validation-timeout-seconds' is '10 minutes'", "a number from 1 to 86400"],
    ),
    (
        "{hot-restart-persistence: {data-load-timeout-seconds: 0}}",
        &["data-load-timeout-seconds", "a number from 1 to 86400"],
    ),
    (
        "{hot-restart-persistence: {cluster-data-recovery-policy: PARTIAL_RECOVERY_MOST_RECENT}}",
        &["cluster-data-recovery-policy", "only 'FULL_RECOVERY_ONLY'"],
    ),
    ("{hot-restart-persistence: {auto-remove-stale-data: true}}", &["auto-remove-stale-data", "only 'false'"]),
    ("{persistence: {enabled: true}}", &["'hazelcast.persistence'", "use the section hot-restart-persistence"]),
    ("{map: {prices: {hot-restart: {fsync: on}}}}", &["hazelcast.map.prices.hot-restart.fsync", "true or false"]),
    ("{properties: {hazelcast.partition.count: 9000}}", &["partition.count' is '9000'", "from 1 to 8191"]),
];

const JET: &[Row] = &[
    (
        "{instance: {lossless-restart-enable: true}}",
        &["lossless-restart-enable'", "did you mean 'hazelcast-jet.instance.lossless-restart-enabled'"],
    ),
    ("{instance: {lossless-restart-enabled: false}}", &["lossless-restart-enabled", "leave it out"]),
    ("{instance: {backup-count: 7}}", &["backup-count' is '7'", "from 0 to 6"]),
    ("{instance: {cooperative-thread-count: all}}", &["cooperative-thread-count' is 'all'", "from 1 to 64"]),
    ("{instance: {flow-control-period: 100}}", &["flow-control-period", "leave it out"]),
];

/// Keys of the two files.
pub fn configured(world: &World) -> Table {
    let mut table = Table::of("configuration of a member");
    let dir = world.dir.path().join("mistaken");
    std::fs::create_dir_all(&dir).unwrap();
    table.mask(dir.display(), "<dir>");
    let jet = dir.join("hazelcast-jet.yaml");
    let changes = [
        ("--config", Some(jet.display().to_string())),
        ("--founding", Some("configuration".into())),
        ("--member-port", Some("5702".into())),
    ];
    let arguments = but(world, &changes);
    for (head, rows) in [("hazelcast", HAZELCAST), ("hazelcast-jet", JET)] {
        for (text, must) in rows {
            for name in ["hazelcast", "hazelcast-jet"] {
                let text = if name == head { *text } else { "{}" };
                std::fs::write(dir.join(format!("{name}.yaml")), format!("{name}: {text}\n")).unwrap();
            }
            let (code, said) = member(&arguments);
            table.saw(&format!("{head}: {text}"), exit(code), &said, must);
            no_store(world);
        }
    }
    table
}

fn no_store(world: &World) {
    assert!(!world.home(0).join("recovery").exists(), "a member that did not start has made a store");
}

fn write_pair(dir: &Path, ca: &[u8], cert: &[u8], key: &[u8]) {
    std::fs::create_dir_all(dir).unwrap();
    for (name, text) in [("ca.crt", ca), ("0.crt", cert), ("0.key", key)] {
        std::fs::write(dir.join(name), text).unwrap();
    }
}

/// Flags, and what they name.
pub fn launched(world: &World) -> Table {
    let mut table = Table::of("start of a member");
    let at = |name: &str| world.dir.path().join(name);
    table.mask(world.dir.path().display(), "<dir>");
    let ours = world.pki.issue(Role::Member(0));
    let second = world.pki.issue(Role::Member(1));
    write_pair(&at("second"), &ours.ca, &second.cert, &second.key);
    write_pair(&at("unpaired"), &ours.ca, &ours.cert, &second.key);
    write_pair(&at("garbage"), &ours.ca, b"not a certificate", &ours.key);
    std::fs::write(at("empty"), "").unwrap();
    let path = |name: &str| Some(at(name).display().to_string());
    let text = |text: &str| Some(text.to_owned());
    type Case<'a> = (&'a str, &'a str, Option<String>, &'a [&'a str]);
    let cases: [Case<'_>; 11] = [
        ("--ordinal two", "--ordinal", text("two"), &["'two'", "--ordinal"]),
        (
            "neither --ordinal nor --pod-name",
            "--ordinal",
            None,
            &["the member's number", "give --ordinal or a --pod-name"],
        ),
        ("--founding nobody", "--founding", text("nobody"), &["'nobody'", "possible values: operator, configuration"]),
        ("--admin-prot 8443", "--admin-prot", text("8443"), &["'--admin-prot'", "'--admin-port'"]),
        (
            "--config without a file",
            "--config",
            path("nowhere/hazelcast-jet.yaml"),
            &["cannot read", "--config (JET_CONFIG)"],
        ),
        ("--tls without files", "--tls", path("nowhere"), &["nowhere/ca.crt", "--tls (JET_TLS)"]),
        (
            "--tls with member 1's certificate as 0.crt",
            "--tls",
            path("second"),
            &["jet://local/orders/member/1", "give it its own with --tls"],
        ),
        ("--tls with a key of another certificate", "--tls", path("unpaired"), &["TLS material", "--tls (JET_TLS)"]),
        ("--tls with a 0.crt that is none", "--tls", path("garbage"), &["the certificate", "--tls (JET_TLS)"]),
        (
            "--cluster sales with a certificate of orders",
            "--cluster",
            text("sales"),
            &["jet://local/sales/member/0", "correct --ordinal, --cluster"],
        ),
        ("--member-port 70000", "--member-port", text("70000"), &["'70000'", "--member-port"]),
    ];
    for (given, flag, value, must) in cases {
        let (code, said) = member(&but(world, &[(flag, value)]));
        table.saw(given, exit(code), &said, must);
        no_store(world);
    }
    with_the_rest(world, &mut table);
    port_in_use(world, &mut table);
    table
}

fn with_the_rest(world: &World, table: &mut Table) {
    let config = world.dir.path().join("with-rest");
    std::fs::create_dir_all(&config).unwrap();
    let groups = "{enabled: true, endpoint-groups: {CLUSTER_WRITE: {enabled: true}}}";
    std::fs::write(config.join("hazelcast.yaml"), format!("hazelcast: {{network: {{rest-api: {groups}}}}}\n")).unwrap();
    std::fs::write(config.join("hazelcast-jet.yaml"), "hazelcast-jet: {}\n").unwrap();
    for (given, file, must) in [
        ("--rest-password-file without a file", "nowhere/password", ["nowhere/password", "--rest-password-file"]),
        ("--rest-password-file with an empty file", "empty", ["<dir>/empty", "a password of 1 to 4096 bytes"]),
    ] {
        let at = |name: &str| Some(world.dir.path().join(name).display().to_string());
        let changes = [
            ("--config", at("with-rest/hazelcast-jet.yaml")),
            ("--cluster", Some("orders".into())),
            ("--rest-password-file", at(file)),
        ];
        let (code, said) = member(&but(world, &changes));
        table.saw(given, exit(code), &said, &must);
        no_store(world);
    }
}

fn port_in_use(world: &World, table: &mut Table) {
    let address = world.admin_address(0);
    let _taken = TcpListener::bind(&address).unwrap();
    table.mask(&address, "<address>");
    let (code, said) = member(&world.told(0));
    table.saw(
        "--admin-port of another process",
        exit(code),
        &said,
        &["<address>", "choose another port with --admin-port"],
    );
}
