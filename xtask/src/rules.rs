//! The table of rules and scenarios names tests that are there.
//!
//! Law: a number that the house has promised has a test; a renamed test is renamed in the table too. Must not know: what
//! a test shows.

use std::collections::BTreeSet;

use crate::tree;

const TABLE: &str = "docs/rules.md";

/// Numbers that must have a line.
const PROMISED: [&str; 34] = [
    "R1", "R2", "R3", "R4", "R5", "R6", "R8", "R9", "R10", "R11", "R12", "R13", "R17", "R18", "R20", "R23", "R24",
    "R25", "R26", "R27", "S1", "S2", "S4", "S6", "S8", "S9", "S11", "S12", "S13", "S14", "S15", "S19", "S20", "R14",
];

/// Number, file, names.
fn lines() -> Vec<(String, String, Vec<String>)> {
    let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let line = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let number = cells.get(1).filter(|number| number.starts_with(['R', 'S']))?;
        let file = quoted(cells.get(3)?).into_iter().next()?;
        Some(((*number).to_owned(), file, quoted(cells.get(4)?)))
    };
    tree::text(TABLE).lines().filter_map(line).collect()
}

#[test]
fn every_rule_and_scenario_has_a_test_that_is_there() {
    let lines = lines();
    let told: BTreeSet<&str> = lines.iter().map(|(number, ..)| number.as_str()).collect();
    let silent: Vec<_> = PROMISED.iter().filter(|number| !told.contains(**number)).collect();
    assert!(silent.is_empty(), "{TABLE} has no line for {silent:?}");
    for (number, file, names) in &lines {
        let text = tree::text(file);
        assert!(!names.is_empty(), "{TABLE}: {number} names no test");
        for name in names {
            assert!(text.contains(&format!("fn {name}(")), "{TABLE}: {number}: there is no `{name}` in {file}");
        }
    }
}
