//! The golden story: everything that a person reads at the rest points of one stop and return.
//!
//! Law: a change of a sentence is a change of a file that a reviewer sees; at rest nothing is written again.

use jet_e2e::golden::compare;
use jet_e2e::jet::Jet;
use jet_e2e::told::Told;
use jet_e2e::world::World;

#[test]
fn one_stop_and_return_is_told_as_in_the_golden_story() {
    let world = World::new("golden_story");
    world.readme("apply");
    let jet = Jet { world: &world, name: "orders".into() };
    let mut told = Told::of(&jet);
    let mut differ = Vec::new();
    let mut rest = |name: &str, phase: &str| {
        let (object, text) = told.at_rest(phase);
        differ.extend(compare(&format!("{name}.yaml"), &object).err());
        differ.extend(compare(&format!("{name}.txt"), &text).err());
    };

    jet.wait("Ready", "True");
    jet.counted_beyond(1_000);
    rest("1-running", "Running");

    world.readme("stop");
    rest("2-stopped", "Stopped");

    world.readme("return");
    jet.wait("Ready", "True");
    rest("3-running-again", "Running");
    assert!(
        differ.is_empty(),
        "{}\nif that is what people should read: JET_GOLDEN=write make e2e TEST=full::story",
        differ.join("\n")
    );
}
