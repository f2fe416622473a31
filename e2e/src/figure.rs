//! Measured figures, kept with their conditions for `make bars`.
//!
//! Law: a figure was measured by the run that keeps it. Must not know: what is promised.

use crate::readme::root;
use crate::shell::run;

/// Keeps one figure.
pub fn keep(id: &str, value: f64, unit: &str, conditions: &str) {
    let program = root().join("dev/figure");
    run(program.to_str().expect("UTF-8"), &[id, &value.to_string(), unit, conditions]);
}
