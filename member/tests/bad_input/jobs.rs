//! SQL of jobs and queries, and names of jobs: as `jet` prints the refusal.
//!
//! Law: what is refused is no job afterwards. Must not know: planners.

use std::process::Command;

use jet_admin_api::identity::Role;
use jet_pages::Table;

use super::programs::{ended, exit, program};
use crate::world::World;

/// Runs `jet` as an admin of the cluster.
fn jet(world: &World, arguments: &[&str]) -> (i32, String) {
    let dir = super::callers::pair(world, "admin", &world.pki.issue(Role::Admin));
    let member = world.admin_address(0);
    ended(Command::new(program("jet")).args(["--member", &member, "--tls-dir", &dir]).args(arguments))
}

const SCRIPT: &str =
    "CREATE MAPPING trips (vendor BIGINT, fare DOUBLE, note VARCHAR) TYPE File OPTIONS ('path'='<file>');
CREATE MAPPING totals (vendor BIGINT, trips BIGINT) TYPE Map;
CREATE JOB totals OPTIONS ('snapshot-interval'='1s') AS
INSERT INTO totals SELECT vendor, COUNT(*) FROM trips GROUP BY vendor;";

/// What of the script is replaced, by what, and what must be said.
const MISTAKES: &[(&str, &str, &[&str])] = &[
    ("TYPE File", "TYPE Kafka", &["mapping type 'kafka'", "use File, Generator or Map"]),
    ("'path'='<file>'", "'file'='x.csv'", &["option 'file'", "takes path, format"]),
    ("'path'='<file>'", "'path'='/nowhere/trips.csv'", &["/nowhere/trips.csv", "every member can read it"]),
    ("('path'='<file>')", "('path'='<file>', 'rate'='fast')", &["option 'rate'", "a whole number is expected"]),
    ("fare DOUBLE", "fare MONEY", &["MONEY of column 'fare'", "use TINYINT"]),
    ("fare DOUBLE", "price DOUBLE", &["column 'price' is unknown", "the header line"]),
    ("(vendor BIGINT, fare DOUBLE, note VARCHAR) TYPE", "TYPE", &["mapping 'trips' without columns", "write them"]),
    ("JOB totals OPTIONS", "JOB OPTIONS", &["expected AS, found (", "Column: 20; correct it there"]),
    ("JOB totals OPTIONS ('snapshot-interval'='1s') AS", "JOB AS", &["without a name", "write CREATE JOB name"]),
    ("'1s'", "'10 minutes'", &["option 'snapshot-interval'", "500ms, 1s, 5m"]),
    ("'snapshot-interval'='1s'", "'guarantee'='at-most-once'", &["option 'guarantee'", "every job is exactly-once"]),
    (
        "CREATE JOB totals OPTIONS ('snapshot-interval'='1s') AS\n",
        "",
        &["INSERT outside a job", "write CREATE JOB name"],
    ),
    ("SELECT vendor, COUNT(*)", "SELECT vendor, COUNT(colour)", &["colour", "Valid fields"]),
    ("FROM trips", "FROM trisp", &["mapping 'trisp' is unknown", "create it"]),
    ("INTO totals", "INTO total", &["mapping 'total' is unknown", "create it"]),
    ("FROM trips", "FROM totals", &["'totals' as a source", "read a File or a Generator"]),
    ("GROUP BY vendor", "GROUP BY vendor HAVING COUNT(*) > 1", &["HAVING", "filter when you read the map"]),
    ("GROUP BY vendor", "GROUP BY vendor ORDER BY 2", &["ORDER BY", "sort when you read the map"]),
    ("GROUP BY vendor", "GROUP BY note", &["vendor", "GROUP BY"]),
    ("SELECT vendor, COUNT(*)", "SELECT vendor, COUNT(DISTINCT fare)", &["DISTINCT", "use WHERE, or CASE"]),
    (
        "SELECT vendor, COUNT(*) FROM trips GROUP BY vendor",
        "SELECT vendor FROM trips",
        &["1 columns into mapping 'totals'", "one expression per column"],
    ),
    (
        "SELECT vendor, COUNT(*) FROM trips GROUP BY vendor",
        "SELECT vendor, random() FROM trips",
        &["random()", "use columns of the source"],
    ),
    ("GROUP BY vendor;", "GROUP BY vendor) ;", &["found )", "correct it there"]),
];

/// `jet submit`.
pub fn submitted(world: &World) -> Table {
    let mut table = Table::of("SQL of a job");
    let file = world.dir.path().join("trips.csv");
    std::fs::write(&file, "vendor,fare,note\n1,2.5,a\n").unwrap();
    let file = file.display().to_string();
    table.mask(&file, "<file>");
    for (from, to, must) in MISTAKES {
        assert!(SCRIPT.contains(from), "{from}");
        let sql = SCRIPT.replacen(from, to, 1).replace("<file>", &file);
        let (code, said) = jet(world, &["submit", "totals", &sql]);
        let given = if to.is_empty() { format!("without {}", from.trim()) } else { format!("{to} for {from}") };
        table.saw(&given, exit(code), &said, must);
    }
    let (code, said) = jet(world, &["submit", "totals", "CREATE MAPPING m (a BIGINT) TYPE Map"]);
    table.saw("a script of mappings alone", exit(code), &said, &["without CREATE JOB", "write CREATE JOB name"]);
    table
}

/// Names, and queries.
pub fn named(world: &World) -> Table {
    let mut table = Table::of("jet with a member");
    let good = "CREATE MAPPING n TYPE Generator; CREATE MAPPING m (key BIGINT, c BIGINT) TYPE Map;
        CREATE JOB j AS INSERT INTO m SELECT key, COUNT(*) FROM n GROUP BY key";
    let long = "o".repeat(254);
    table.mask(&long, "<254 characters>");
    for (arguments, must) in [
        (&["submit", "a/b", good][..], &["'a/b'", "choose one of letters, digits"][..]),
        (&["submit", &long, good], &["254 bytes", "at most 253"]),
        (&["suspend", "ledgre"], &["no job 'ledgre'", "jet list-jobs"]),
        (&["resume", "led gre"], &["no job 'led gre'", "jet list-jobs"]),
        (&["restart", "ledgre"], &["'ledgre' is unknown here", "only a running job is restarted"]),
        (&["sql", "SELEC 1"], &["statement at SELEC", "write CREATE MAPPING, CREATE JOB or SELECT"]),
        (&["sql", "DELETE FROM m"], &["statement at DELETE", "write CREATE MAPPING, CREATE JOB or SELECT"]),
        (&["sql", "SELECT 1; SELECT 2"], &["a second SELECT", "ask twice"]),
        (&["sql", good], &["CREATE JOB", "jet submit"]),
        (&["sql", "SELECT colour FROM m"], &["colour", "Valid fields"]),
    ] {
        let (code, said) = jet(world, arguments);
        let shown = arguments.join(" ").replace(good, "'…'");
        table.saw(&format!("jet {shown}"), exit(code), &said, must);
    }
    table
}
