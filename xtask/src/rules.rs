//! The table of rules and scenarios names tests that are there.
//!
//! Law: a number that the house has promised has a test; a renamed test is renamed in the table too. Must not know: what
//! a test shows.

use std::collections::BTreeSet;

use crate::tree;

const TABLE: &str = "docs/rules.md";

/// Rules and scenarios there are; each must have a line.
const RULES: u32 = 30;
const SCENARIOS: u32 = 22;

/// Number, file, names.
fn lines() -> Vec<(String, String, Vec<String>)> {
    let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let line = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let number = cells.get(1).filter(|number| number.starts_with(['R', 'S']))?;
        let file = quoted(cells.get(3)?).into_iter().next().unwrap_or_else(|| cells[3].to_owned());
        Some(((*number).to_owned(), file, quoted(cells.get(4)?)))
    };
    tree::text(TABLE).lines().filter_map(line).collect()
}

#[test]
fn every_rule_and_scenario_has_a_test_that_is_there() {
    let lines = lines();
    let told: BTreeSet<&str> = lines.iter().map(|(number, ..)| number.as_str()).collect();
    let all = (1..=RULES).map(|n| format!("R{n}")).chain((1..=SCENARIOS).map(|n| format!("S{n}")));
    let silent: Vec<_> = all.filter(|number| !told.contains(number.as_str())).collect();
    assert!(silent.is_empty(), "{TABLE} has no line for {silent:?}");
    for (number, file, names) in &lines {
        let text = tree::text(file);
        assert!(!names.is_empty(), "{TABLE}: {number} names no test");
        for name in names {
            assert!(text.contains(&format!("fn {name}(")), "{TABLE}: {number}: there is no `{name}` in {file}");
        }
    }
}
