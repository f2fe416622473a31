//! Guards over the house: what no compiler checks and no reviewer should have to.
//!
//! Law: every guard is a test with a message that says what to do; what it compares with is written by the program.
//! Must not know: anything that runs.
//!
//! - [`dependencies`]: who may depend on whom · [`rooms`]: every file is documented and reached by the compiler
//! - [`documents`]: names in documents exist, and documents speak of the project alone
//! - [`packaging`]: what is built, named and installed is one thing · [`chart`]: the chart as Helm renders it
//! - [`rules`]: every rule has a test

mod chart;
#[cfg(test)]
mod dependencies;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod packaging;
#[cfg(test)]
mod rooms;
#[cfg(test)]
mod rules;
mod tree;

use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() != Some("dist") {
        println!(
            "xtask dist writes {} and {}. The guards are tests: cargo test -p xtask",
            chart::INSTALL,
            chart::DEFINITIONS
        );
        return ExitCode::SUCCESS;
    }
    match chart::write() {
        Ok(paths) => {
            paths.iter().for_each(|path| println!("written: {}", path.display()));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("xtask dist: {error}");
            ExitCode::FAILURE
        }
    }
}
