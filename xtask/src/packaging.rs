//! What cannot be run here, looked at: skaffold's file names targets, charts and values that exist, and every image has its
//! programs however it is built.
//!
//! Law: the Dockerfile, the chart, `skaffold.yaml` and `e2e/kube/image` speak of the same images. Must not know: Docker.

use crate::tree;

/// Values of a key in `skaffold.yaml`.
fn of_key<'a>(text: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
    let lines = text.lines().map(|line| line.trim_start().trim_start_matches("- "));
    lines.filter_map(move |line| line.strip_prefix(key)?.strip_prefix(": ")).map(str::trim)
}

#[test]
fn skaffold_builds_targets_of_the_dockerfile() {
    let (skaffold, dockerfile) = (tree::text("skaffold.yaml"), tree::text("Dockerfile"));
    let targets: Vec<_> = of_key(&skaffold, "target").collect();
    assert_eq!(targets, ["operator", "member"]);
    for target in targets {
        assert!(
            dockerfile.lines().any(|line| line.starts_with("FROM ") && line.ends_with(&format!(" AS {target}"))),
            "skaffold.yaml builds target {target}: the Dockerfile has none"
        );
        assert!(dockerfile.contains(&format!("/jet-{target}\"]")), "target {target} does not start jet-{target}");
    }
}

#[test]
fn skaffold_names_the_images_as_the_chart_does() {
    let (skaffold, helpers) = (tree::text("skaffold.yaml"), tree::text("charts/jet/templates/_helpers.tpl"));
    let images: Vec<_> = of_key(&skaffold, "image").collect();
    assert_eq!(images, ["jet-operator", "jet-member"]);
    assert!(helpers.contains("/jet-operator:"), "the chart names the operator's image otherwise than skaffold.yaml");
    for path in of_key(&skaffold, "chartPath") {
        assert!(tree::root().join(path).join("Chart.yaml").exists(), "skaffold.yaml: no chart in {path}");
    }
}

#[test]
fn skaffold_sets_values_that_the_chart_has() {
    let skaffold = tree::text("skaffold.yaml");
    let (_, set) = skaffold.split_once("setValueTemplates:").expect("it sets the image");
    let values = tree::text("charts/jet/values.yaml");
    let (_, image) = values.split_once("\nimage:\n").expect("the chart has values of the image");
    let image: Vec<_> = image.lines().take_while(|line| line.starts_with(' ') || line.is_empty()).collect();
    let mut seen = 0;
    for key in set.lines().filter_map(|line| line.trim().strip_prefix("image.")?.split(':').next()) {
        assert!(image.iter().any(|line| line.trim().starts_with(&format!("{key}:"))), "no value image.{key}");
        seen += 1;
    }
    assert_eq!(seen, 2, "repository and tag are set");
}

/// Programs that the Dockerfile copies into a target.
fn programs_of(dockerfile: &str, target: &str) -> Vec<String> {
    let stage = dockerfile
        .split("\nFROM ")
        .find(|stage| stage.lines().next().is_some_and(|line| line.ends_with(&format!(" AS {target}"))));
    let copied = stage.unwrap_or_default().lines().filter_map(|line| line.strip_prefix("COPY --from=bin /"));
    copied.filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn every_image_has_its_programs_however_it_is_built() {
    let (dockerfile, image, prove) =
        (tree::text("Dockerfile"), tree::text("e2e/kube/image"), tree::text("e2e/kube/prove"));
    let member = programs_of(&dockerfile, "member");
    assert_eq!(member, ["jet-member", "jet", "jet-cluster-admin"], "what people run inside a member's container");
    let operator = programs_of(&dockerfile, "operator");
    assert_eq!(operator, ["jet-operator"]);
    let table = format!("programs=([operator]=\"{}\" [member]=\"{}\")", operator.join(" "), member.join(" "));
    assert!(image.contains(&table), "e2e/kube/image builds other programs than the Dockerfile: it needs {table}");
    let all = [operator, member].concat();
    assert!(prove.contains(&format!("for p in {}; do", all.join(" "))), "e2e/kube/prove makes other programs: {all:?}");
    let (_, built) = dockerfile.split_once("cargo build").expect("it builds the programs");
    for program in &all {
        assert!(built.contains(&format!("--bin {program} ")), "the Dockerfile copies {program} and does not build it");
    }
}
