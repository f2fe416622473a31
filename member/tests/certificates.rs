//! Who is refused at the admin port, and the words that the caller reads: real TLS against a real member.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod world;

use jet_admin_api::client::{CallError, MemberClient};
use jet_admin_api::identity::{Role, any_member_server_name};
use jet_admin_api::member::MemberPhase;
use jet_admin_api::operation::BeginOperation;
use jet_admin_api::tls::Material;
use world::{CLUSTER, NAMESPACE, Pki, World};

fn begin() -> BeginOperation {
    BeginOperation { id: "1-stop".into(), requested_by: "test".into(), accepted_job_loss: Vec::new() }
}

fn caller(world: &World, material: &Material) -> MemberClient {
    let name = any_member_server_name(NAMESPACE, CLUSTER);
    MemberClient::new(world.admin_address(0), &name, material.client().unwrap()).unwrap()
}

/// What a caller with this material reads when it begins a stop. Nothing was sent, which is known for certain.
async fn refused_in_the_handshake(world: &World, material: &Material) -> String {
    let refused = caller(world, material).begin(&begin()).await.expect_err("a stop was begun");
    assert!(matches!(refused, CallError::NotSent { .. }), "{refused:?}");
    refused.to_string()
}

async fn one_member() -> World {
    let mut world = World::new(1);
    world.start_all();
    world.all_in([0], MemberPhase::NoStore).await;
    world.found().await;
    world
}

async fn nothing_was_begun(world: &World) {
    let cluster = world.operator(0).cluster().await.unwrap();
    assert_eq!((cluster.operation.map(|operation| operation.id), cluster.highest_operation), (None, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_a_foreign_ca_is_refused() {
    let world = one_member().await;
    let ours = world.pki.issue(Role::Operator);
    // One with a name of its own, and one that calls itself as the cluster's CA does.
    for foreign in [Pki::named(CLUSTER, "another authority"), Pki::new(CLUSTER)] {
        let stranger = Material { ca: ours.ca.clone(), ..foreign.issue(Role::Operator) };
        let said = refused_in_the_handshake(&world, &stranger).await;
        let expected = format!(
            "cannot reach {}: the member refuses our certificate (jet://local/orders/operator, valid from ",
            world.admin_address(0)
        );
        assert!(said.starts_with(&expected), "{said}");
        let why = "): no CA that the member trusts has signed it; take one that the cluster's own CA has issued";
        assert!(said.ends_with(why), "{said}");
        // And who trusts only the foreign CA does not talk to the member.
        let said = refused_in_the_handshake(&world, &foreign.issue(Role::Operator)).await;
        assert_eq!(
            said,
            format!(
                "cannot reach {}: its certificate is refused by us: no CA that we trust has signed it; a member of another cluster answers there, or our ca.crt is not this cluster's",
                world.admin_address(0)
            )
        );
    }
    nothing_was_begun(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_certificate_is_refused() {
    let world = one_member().await;
    let said = refused_in_the_handshake(&world, &world.pki.issue_within(Role::Operator, 2019..=2020)).await;
    assert_eq!(
        said,
        format!(
            "cannot reach {}: the member refuses our certificate (jet://local/orders/operator, valid from Jan  1 00:00:00 2019 +00:00 to Jan  1 00:00:00 2020 +00:00): it has expired or is not valid yet; have it issued anew, and compare the clocks",
            world.admin_address(0)
        )
    );
    nothing_was_begun(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_members_certificate_may_not_call_the_operators_routes() {
    let world = one_member().await;
    let member = caller(&world, &world.pki.issue(Role::Member(1)));
    let refused = member.begin(&begin()).await.expect_err("a stop was begun");
    assert_eq!(
        refused.to_string(),
        "Forbidden: jet://local/orders/member/1: the role member/1 may not call POST /v1/operations (use a certificate of a role that may: operator)"
    );
    // The same certificate may look.
    assert_eq!(member.member().await.unwrap().ordinal, 0);
    nothing_was_begun(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_the_ca_without_a_name_of_ours_may_do_nothing() {
    let world = one_member().await;
    let nobody = caller(&world, &world.pki.issue_nameless());
    let refused = nobody.member().await.expect_err("somebody without a name was answered");
    assert_eq!(
        refused.to_string(),
        "Forbidden: the certificate has no SAN of the form jet://<namespace>/<cluster>/<role> (use a certificate that the cluster has issued)"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_whose_certificate_expired_is_served_again_when_it_is_renewed() {
    let mut world = World::new(1);
    Pki::write_member(&world.tls_dir(), 0, &world.pki.issue_within(Role::Member(0), 2019..=2020));
    world.start_all();
    let operator = caller(&world, &world.pki.issue(Role::Operator));
    let expired = || async {
        match operator.member().await {
            Err(CallError::NotSent { reason, .. }) if reason.contains("has expired") => Ok(reason),
            other => Err(format!("{other:?}")),
        }
    };
    let said = world.until("it shows that it expired", expired).await;
    let expected = "its certificate is refused by us: it has expired on Jan  1 00:00:00 2020 +00:00; the member must be given a new one";
    assert!(said.contains(expected), "{said}");
    Pki::write_member(&world.tls_dir(), 0, &world.pki.issue(Role::Member(0)));
    let answered = || async { operator.member().await.map_err(|e| e.to_string()) };
    let boot = world.until("it shows the new one", answered).await.boot;
    assert_eq!(boot, 1, "it was not started again");
}
