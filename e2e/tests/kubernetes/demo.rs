//! The demo as a person runs it, over the flights of 2013, and its proof, which must see a spoilt result.
//!
//! Law: `BREAK` spoils what was fetched, so that the comparison itself is seen to fail; unspoilt, the same data pass.

use std::process::Command;

use jet_e2e::readme::root;
use jet_e2e::world::World;

/// Runs a program of the demo; its exit code and what it printed.
fn demo(program: &str, spoil: &str) -> (i32, String) {
    let mut command = Command::new(root().join(program));
    command.env("BREAK", spoil);
    // What cargo tells a test would make the demo's own cargo build some libraries anew.
    let told = std::env::vars_os().filter_map(|(key, _)| key.into_string().ok());
    for key in told.filter(|key| key.starts_with("CARGO_") && !["CARGO_HOME", "CARGO_TARGET_DIR"].contains(&&**key)) {
        command.env_remove(key);
    }
    let out = command.output().expect("the demo starts");
    let text = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    (out.status.code().unwrap_or(-1), text)
}

#[test]
fn flights_equal_the_oracle_and_each_break_is_seen() {
    let _world = World::new("flights_equal_the_oracle_and_each_break_is_seen");
    let (code, said) = demo("demo/run", "double");
    assert!(code != 0 && said.contains("oracle=different"), "a spoilt demo ends with {code}\n{said}");
    let (code, said) = demo("demo/prove", "");
    assert_eq!(code, 0, "{said}");
    let last = said.lines().last().unwrap_or_default();
    assert!(last.starts_with("oracle=equal ledger=equal members=3/3 stop_s="), "{said}");
    println!("{said}");
    for spoil in ["drop", "swap"] {
        let (code, said) = demo("demo/prove", spoil);
        assert!(code != 0 && said.contains("oracle=different"), "BREAK={spoil} ends with {code}\n{said}");
    }
    let (code, said) = demo("demo/fresh", "");
    assert_eq!(code, 0, "{said}");
}
