//! Returns that meet something wrong.
//!
//! Law: a return waits, names what is wrong, and goes on when it is put right; nothing is lost by waiting.

use jet_e2e::jet::{Jet, OPERATION};
use jet_e2e::pki::expire_members;
use jet_e2e::shell::wait_for;
use jet_e2e::world::World;

#[test]
fn bad_image_in_the_return_can_be_corrected() {
    let world = World::new("bad_image_in_the_return_can_be_corrected");
    let jet = Jet::ready(&world, "orders", 3);
    jet.ledger(10, 500, 0);
    let counted = jet.counted_beyond(1_000);
    let uuids = jet.uuids();
    jet.stop();
    jet.patch_spec("{\"image\":\"localhost/jet-member:does-not-exist\",\"imagePullPolicy\":\"Never\"}");
    jet.ask_return();
    let why = jet.wait_reason("MembersComplete", "does not start");
    println!("{why}");
    assert!(why.contains("does-not-exist") || why.contains("ErrImageNeverPull"), "{why}");
    jet.patch_spec("{\"image\":\"localhost/jet-member:dev\",\"imagePullPolicy\":\"IfNotPresent\"}");
    jet.wait("DoorsOpen", "True");
    jet.wait("Ready", "True");
    assert_eq!(jet.uuids(), uuids);
    jet.counted_beyond(counted);
}

#[test]
fn certificates_expired_while_stopped() {
    let world = World::new("certificates_expired_while_stopped");
    let jet = Jet::ready(&world, "orders", 3);
    jet.ledger(10, 500, 0);
    let counted = jet.counted_beyond(1_000);
    jet.stop();
    // As after a year on the shelf, by the authority that the operator keeps.
    let old = expire_members(&world.namespace, "orders", 3);
    jet.ask_return();
    jet.wait("DoorsOpen", "True");
    jet.wait("Ready", "True");
    wait_for("the members' certificates are new", OPERATION, || {
        let now = jet_e2e::pki::certificate(&world.namespace, "orders", 0);
        if now == old { Err("member 0 still has the expired one".into()) } else { Ok(()) }
    });
    jet.counted_beyond(counted);
}
