//! What cannot be run here, looked at: skaffold's file names targets, charts and values that exist.
//!
//! Law: the Dockerfile, the chart and `skaffold.yaml` speak of the same images. Must not know: Docker.

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
