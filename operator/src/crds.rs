//! The CRDs as YAML, for `crds/` and the chart.
//!
//! Law: printed from the types and in no other way; the same types give the same bytes. Must not know: files.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

use crate::api::JetCluster;
use crate::job::JetJob;

/// First line of every generated file.
pub const DO_NOT_EDIT: &str =
    "# DO NOT EDIT: generated from operator/src by `cargo run -p jet-operator -- crds --write .`";

/// Both CRDs with their file names.
pub fn all() -> Vec<(&'static str, CustomResourceDefinition)> {
    vec![("jetclusters.yaml", JetCluster::crd()), ("jetjobs.yaml", JetJob::crd())]
}

/// One file's text.
pub fn plain(crd: &CustomResourceDefinition) -> Result<String, serde_norway::Error> {
    Ok(format!("{DO_NOT_EDIT}\n{}", serde_norway::to_string(crd)?))
}

/// The same as a template of the chart: switched by `crds.enabled`, kept when the chart is uninstalled.
pub fn template(crd: &CustomResourceDefinition) -> Result<String, serde_norway::Error> {
    let mut crd = crd.clone();
    let annotations = crd.metadata.annotations.get_or_insert_default();
    annotations.insert("helm.sh/resource-policy".into(), "keep".into());
    let body = serde_norway::to_string(&crd)?;
    Ok(format!("{DO_NOT_EDIT}\n{{{{- if .Values.crds.enabled }}}}\n{body}{{{{- end }}}}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_files_in_the_tree_are_the_types() {
        // Asked when the test runs: checkouts may share what was built.
        let root = Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap()).join("..");
        for (file, crd) in all() {
            for (path, wanted) in
                [("crds", plain(&crd).unwrap()), ("charts/jet/templates/crds", template(&crd).unwrap())]
            {
                let path = root.join(path).join(file);
                let found = std::fs::read_to_string(&path).unwrap_or_default();
                assert!(
                    found == wanted,
                    "{} is not what the types say: run `cargo run -p jet-operator -- crds --write .`",
                    path.display()
                );
            }
        }
    }

    #[test]
    fn no_text_of_a_rule_looks_like_a_template() {
        for (file, crd) in all() {
            assert!(!plain(&crd).unwrap().contains("{{"), "{file}: helm would read it");
        }
    }
}
