//! Guards over the house: what no compiler checks and no reviewer should have to.
//!
//! Law: every guard is a test with a message that says what to do. Must not know: anything that runs.
//!
//! - [`dependencies`]: who may depend on whom · [`rooms`]: every file is documented and reached by the compiler
//! - [`documents`]: names in documents exist, and documents speak of the project alone
//! - [`packaging`]: what is built, named and installed is one thing · [`rules`]: every rule has a test

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
#[cfg(test)]
mod tree;

fn main() {
    println!("The guards are tests: cargo test -p xtask");
}
