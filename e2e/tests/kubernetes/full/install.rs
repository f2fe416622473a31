//! How the operator comes to a Kubernetes, is changed there, and goes: clusters outlive all of it.
//!
//! Law: an installation that is upgraded or taken away changes nothing of a cluster, and what would is refused with the way
//! out; the README's installation is back after each test.

use std::time::{Duration, Instant};

use jet_e2e::installation::{Installation, change, objects_of_release};
use jet_e2e::jet::Jet;
use jet_e2e::readme::root;
use jet_e2e::shell::{attempt, bash, holds_for, run, wait_for};
use jet_e2e::world::World;

/// Longer than the operator's pause between two looks at a cluster at rest.
const LOOKED_AT: Duration = Duration::from_secs(25);

#[test]
fn the_file_without_helm_installs_an_operator_and_its_deletion_leaves_the_clusters() {
    let world = World::new("install_yaml");
    let installation = Installation::to_change();
    installation.await_no_clusters();
    installation.helm("uninstall jet --wait").expect("nothing is left that needs an operator");
    let crds = ["jetclusters.jet.lossless.dev", "jetjobs.jet.lossless.dev"];
    for crd in crds {
        run("kubectl", &["get", "crd", crd]);
        // An API server goes by a policy for a moment after it was deleted.
        let delete = || attempt("kubectl", &["delete", "crd", crd, "--timeout=60s"], None);
        wait_for("the policy that is gone refuses nothing more", Duration::from_secs(30), delete);
    }

    // The tag of the file is the chart's version, as `make images REPO=...` pushes it.
    installation.operator_image("0.1.0");
    installation.apply_file().unwrap_or_else(|said| panic!("{said}"));
    installation.await_operator("jet-operator:0.1.0");
    let jet = Jet::ready(&world, "orders", 1);
    let pods = pods_of(&world);

    for _ in 0..2 {
        installation.delete_file().unwrap_or_else(|said| panic!("{said}"));
        crds.iter().for_each(|crd| drop(run("kubectl", &["get", "crd", crd])));
    }
    let said = installation.delete_definitions().unwrap_err();
    println!("$ kubectl delete -f dist/definitions.yaml\n{said}");
    for crd in crds {
        assert!(said.contains(&format!("deleting the definition {crd} deletes every Jet")), "{said}");
        assert!(said.contains(&format!("kubectl annotate crd {crd} jet.lossless.dev/release=")), "{said}");
    }
    installation.await_none();
    assert_eq!(pods_of(&world), pods, "members go on without an operator");
    installation.apply_file().unwrap_or_else(|said| panic!("{said}"));
    installation.await_operator("jet-operator:0.1.0");
    jet.stop();
}

#[test]
fn a_chart_upgrade_that_adds_a_field_keeps_every_object_and_the_operator_goes_on() {
    let world = World::new("chart_upgrade");
    let jet = Jet::ready(&world, "orders", 1);
    jet.ledger(10, 500, 0);
    let counted = jet.counted_beyond(500);
    let installation = Installation::to_change();
    let chart = installation.chart();
    change(
        &chart.join("templates/crds/jetclusters.yaml"),
        "              state:\n                default: Running\n",
        "              quiet:\n                default: true\n                type: boolean\n              state:\n                default: Running\n",
    );
    change(&chart.join("Chart.yaml"), "\nversion: 0.1.0\n", "\nversion: 0.2.0\n");
    let (uid, pods) = (identity(&jet), pods_of(&world));
    installation
        .helm(&format!("upgrade jet {} --reuse-values", chart.display()))
        .unwrap_or_else(|said| panic!("{said}"));

    wait_for("the old object has the new field's default", Duration::from_secs(60), || match quiet(&jet) {
        Some(true) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    assert_eq!(identity(&jet), uid, "the stored object is the same one");
    assert_eq!(pods_of(&world), pods, "no member was touched");
    world.apply(&jet.manifest(1)).expect("what was applied before is still valid");
    let old = world.kubectl(&["get", "jetcluster", "orders", "-o", "yaml"]);
    attempt("kubectl", &["-n", &world.namespace, "replace", "--dry-run=server", "-f", "-"], Some(&old)).expect("valid");
    world.kubectl(&["patch", "jetcluster", "orders", "--type=merge", "-p", "{\"spec\":{\"quiet\":false}}"]);
    jet.stop();
    assert_eq!(quiet(&jet), Some(false), "an operator that does not know the field leaves it alone");
    jet.come_back();
    let counted = jet.counted_beyond(counted);

    installation.restore().unwrap_or_else(|said| panic!("{said}"));
    wait_for("the field is gone with its definition", Duration::from_secs(60), || match quiet(&jet) {
        None => Ok(()),
        other => Err(format!("{other:?}")),
    });
    assert_eq!(identity(&jet), uid);
    jet.wait("Ready", "True");
    jet.counted_beyond(counted);
}

#[test]
fn uninstalling_with_a_live_cluster_is_refused_and_by_force_leaves_the_clusters() {
    let world = World::new("uninstall");
    let jet = Jet::ready(&world, "orders", 1);
    let installation = Installation::to_change();
    let manifest = installation.helm("get manifest jet").unwrap_or_else(|said| panic!("{said}"));
    let (before, pods) = (objects_of_release(&manifest), pods_of(&world));

    let said = installation.helm("uninstall jet --wait").unwrap_err();
    println!("$ helm uninstall jet\n{said}");
    let log = run("kubectl", &["-n", "jet-system", "logs", "--timestamps", "job/jet-operator-uninstall-guard"]);
    println!("the Job's log: {log}");
    assert!(
        said.contains("nothing was uninstalled: JetClusters exist: ") && said.contains("t-uninstall/orders"),
        "{said}"
    );
    assert!(said.contains("helm uninstall --no-hooks"), "the way out is named: {said}");
    assert_eq!(objects_of_release(&manifest), before, "nothing was removed");
    // Helm notes the attempt, whatever the hook says; the message names the way back.
    let (status, revision) = installation.release();
    assert!(status == "uninstalling" && said.contains("helm rollback RELEASE REVISION"), "{status}: {said}");
    installation.helm(&format!("rollback jet {revision}")).unwrap_or_else(|said| panic!("{said}"));
    installation.helm("upgrade jet charts/jet --reuse-values").unwrap_or_else(|said| panic!("{said}"));
    assert_eq!(installation.release().0, "deployed");
    assert_eq!(objects_of_release(&manifest), before);
    jet.wait("Ready", "True");

    installation.helm("uninstall jet --wait --no-hooks").unwrap_or_else(|said| panic!("{said}"));
    installation.await_none();
    let kept = bash("kubectl get crd -o name | grep jet.lossless.dev").unwrap();
    assert_eq!(kept.lines().count(), 2, "the definitions stay: {kept}");
    assert_eq!(pods_of(&world), pods, "and the members run");
    world.kubectl(&["get", "jetcluster", "orders"]);
    world.kubectl(&["get", "pvc", "data-orders-0"]);

    installation.restore().unwrap_or_else(|said| panic!("{said}"));
    jet.stop();
    jet.come_back();
}

#[test]
fn an_operator_upgraded_while_stopped_touches_nothing_and_brings_the_cluster_back() {
    let world = World::new("operator_upgraded");
    let jet = Jet::ready(&world, "orders", 3);
    jet.ledger(10, 500, 0);
    let (counted, uuids) = (jet.counted_beyond(1_000), jet.uuids());
    jet.stop();
    let installation = Installation::to_change();
    installation.operator_image("next");
    let before = rested(&world);

    let sets = "--set image.tag=next --set podAnnotations.upgraded=yes --set log.filter=debug";
    installation.helm(&format!("upgrade jet charts/jet --reuse-values {sets}")).unwrap_or_else(|said| panic!("{said}"));
    installation.await_operator("jet-operator:next");
    installation.await_leader("jet-operator:next");
    holds_for("the new operator touches nothing of a stopped cluster", LOOKED_AT, || {
        let now = everything_of(&world);
        if now == before { Ok(()) } else { Err(format!("before:\n{before}\nnow:\n{now}")) }
    });
    assert_eq!(jet.condition("Stopped").0, "True");

    jet.come_back();
    assert_eq!(jet.uuids(), uuids, "the original members are back");
    jet.counted_beyond(counted);
    installation.await_leader("jet-operator:next");
}

#[test]
fn the_commands_that_make_images_prints_carry_both_images() {
    let scratch = std::env::temp_dir().join(format!("jet-images-{}", std::process::id()));
    std::fs::create_dir_all(&scratch).unwrap();
    let at = scratch.display();
    let images = |repo: &str| bash(&format!("cd {}\nREPO={repo} dev/images 2>&1", root().display()));
    for (repo, way_out) in [
        ("https://registry.example/jet", "REPO=registry.example/jet"),
        ("registry.example/jet/", "REPO=registry.example/jet"),
        ("registry.example/Jet", "lower case and no tag, as in REPO=registry.example/jet"),
    ] {
        let said = images(repo).unwrap_err();
        assert!(said.contains("make images: REPO=") && said.contains(way_out), "{said}");
    }
    let said = images("registry.example/jet").unwrap_or_else(|said| panic!("{said}"));
    println!("{said}");
    // A directory stands for the registry: what is copied is the same.
    let storage = format!("[storage]\ndriver = \"vfs\"\ngraphroot = \"{at}/store\"\nrunroot = \"{at}/run\"\n");
    std::fs::write(scratch.join("storage.conf"), storage).unwrap();
    let push: String =
        said.lines().filter(|line| line.starts_with("buildah ")).map(|line| format!("{line}\n")).collect();
    let push = push.replace("docker://registry.example/jet/", &format!("dir:{at}/"));
    bash(&format!("export CONTAINERS_STORAGE_CONF={at}/storage.conf\n{push}")).unwrap_or_else(|said| panic!("{said}"));
    for image in ["jet-operator:0.1.0", "jet-member:0.1.0"] {
        assert!(scratch.join(image).join("manifest.json").exists(), "{image} was not pushed by\n{push}");
    }
    let helm = said.lines().find(|line| line.starts_with("helm install ")).expect("how to install it");
    assert!(helm.contains("image.repository=registry.example/jet") && helm.contains("image.tag=0.1.0"), "{helm}");
    let rendered =
        bash(&format!("cd {}\n{}", root().display(), helm.replace("helm install", "helm template"))).unwrap();
    assert!(
        rendered.contains("image: registry.example/jet/jet-operator:0.1.0"),
        "the pushed image is the installed one"
    );
    std::fs::remove_dir_all(&scratch).unwrap();
}

/// Names and uids of every pod of the namespace.
fn pods_of(world: &World) -> String {
    let path = "jsonpath={range .items[*]}{.metadata.name} {.metadata.uid}{\"\\n\"}{end}";
    world.kubectl(&["get", "pods", "-o", path])
}

/// Whatever the operator could write, with its version.
fn everything_of(world: &World) -> String {
    let kinds = "jetcluster,jetjob,statefulset,configmap,secret,service,serviceaccount,pvc,pdb,networkpolicy,pod";
    let columns = "custom-columns=KIND:.kind,NAME:.metadata.name,VERSION:.metadata.resourceVersion";
    world.kubectl(&["get", kinds, "-o", columns])
}

/// The same once nothing of it is written any more.
fn rested(world: &World) -> String {
    let (mut since, mut known) = (Instant::now(), String::new());
    wait_for("nothing is written any more", Duration::from_secs(120), || {
        let now = everything_of(world);
        if now != known {
            (since, known) = (Instant::now(), now);
        }
        if since.elapsed() > LOOKED_AT { Ok(known.clone()) } else { Err("something was written".into()) }
    })
}

fn identity(jet: &Jet<'_>) -> String {
    jet.object().pointer("/metadata/uid").map(ToString::to_string).unwrap_or_default()
}

fn quiet(jet: &Jet<'_>) -> Option<bool> {
    jet.object().pointer("/spec/quiet").and_then(serde_json::Value::as_bool)
}
