//! Keys of an encrypted store that are not there or none: the member stays up, held, and says which file and what to do.
//!
//! Law: without its keys a member makes no store. Must not know: what is encrypted.

use std::path::Path;

use jet_admin_api::member::MemberPhase;
use jet_pages::Table;

use crate::world::{CLUSTER, World};

/// A whole one.
const DIGITS: [u8; 64] = [b'7'; 64];

/// What lies in the directory of the keys, what is said of it, and what must be said.
struct Case {
    given: &'static str,
    lies: fn(&Path),
    must: [&'static str; 2],
}

fn key(dir: &Path, name: &str, bytes: &[u8]) {
    std::fs::create_dir_all(dir).unwrap();
    std::fs::write(dir.join(name), bytes).unwrap();
}

const CASES: [Case; 6] = [
    Case { given: "no directory", lies: |_| {}, must: ["'k1' in <keys> (there: none)", "Mount it"] },
    Case {
        given: "a file in place of the directory",
        lies: |dir| std::fs::write(dir, "").unwrap(),
        must: ["<keys>", "Mount the directory again"],
    },
    Case {
        given: "another key than current-key",
        lies: |dir| key(dir, "k2", &DIGITS),
        must: ["'k1' in <keys> (there: 'k2')", "name one that is there"],
    },
    Case {
        given: "a key of 31 digits",
        lies: |dir| key(dir, "k1", &DIGITS[..31]),
        must: ["<keys>/k1 has 31 bytes", "openssl rand -hex 32"],
    },
    Case {
        given: "a file that is called 'k 2' beside the key",
        lies: |dir| {
            key(dir, "k1", &DIGITS);
            key(dir, "k 2", &DIGITS);
        },
        must: ["<keys>/k 2", "letters, digits"],
    },
    Case {
        given: "65 keys",
        lies: |dir| (1..=65).for_each(|n| key(dir, &format!("k{n}"), &DIGITS)),
        must: ["<keys> holds 65 keys", "Take away those"],
    },
];

/// Every directory that is refused.
pub async fn unusable() -> Table {
    let mut table = Table::of("keys of a member");
    let mut world = World::new(1);
    let dir = world.dir.path().join("keys");
    table.mask(dir.display(), "<keys>");
    let directory = format!("{{path: {}, current-key: k1}}", dir.display());
    let encryption = format!("{{enabled: true, secure-store: {{directory: {directory}}}}}");
    let section = format!("  hot-restart-persistence: {{enabled: true, encryption-at-rest: {encryption}}}\n");
    world.configure("hazelcast.yaml", &format!("  cluster-name: {CLUSTER}\n"), &section);
    for Case { given, lies, must } in CASES {
        lies(&dir);
        world.start(0);
        let said = world.all_in([0], MemberPhase::Held).await.remove(0).waiting_for;
        world.kill(0);
        table.saw(given, "held, not ready", &said, &must);
        assert!(!world.home(0).join("recovery").exists(), "{given}: a store was made without the keys");
        let _ = std::fs::remove_dir_all(&dir).or_else(|_| std::fs::remove_file(&dir));
    }
    table
}
