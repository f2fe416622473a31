//! The chart as Helm renders it: two files in `dist/`, for people without Helm, and the refusal to render without an image.
//!
//! Law: the files are the chart and nothing else; whoever changes the chart renders it anew. What deletes every JetCluster if
//! it goes lies in a file of its own, so that nobody takes it away with the operator. Must not know: a cluster.

use std::path::PathBuf;
use std::process::Command;

use crate::tree;

/// The operator.
pub const INSTALL: &str = "dist/install.yaml";
/// The definitions of JetCluster and JetJob, and the policy that keeps them.
pub const DEFINITIONS: &str = "dist/definitions.yaml";
/// Stands for registry and path: no image can have this name, so that a pod says what was forgotten.
const PLACEHOLDER: &str = "IMAGE_REPOSITORY";
/// What is said above the definitions.
const DEFINITIONS_HEADER: &str = "\
# DO NOT EDIT: charts/jet rendered by `make dist`; a test compares the two.
#
# Definitions of JetCluster and JetJob, and the policy that keeps them; dist/install.yaml says how it is applied. Whoever takes
# them away deletes every JetCluster of every namespace: there is no need to, ever, and uninstalling the operator does not.
";
/// What is said above the operator.
const HEADER: &str = "\
# DO NOT EDIT: charts/jet rendered by `make dist`; a test compares the two.
#
# The operator without Helm, in namespace jet-system. `make images REPO=...` says how the images get where you say:
#
#   kubectl create namespace jet-system
#   kubectl apply --server-side --field-manager=helm -f dist/definitions.yaml
#   sed 's,IMAGE_REPOSITORY,registry.example/jet,' dist/install.yaml | kubectl apply --server-side --field-manager=helm -f -
#
# To change to Helm later (for which it is Helm's name that is written with): helm install jet charts/jet --namespace jet-system
# --take-ownership --set image.repository=...
# To uninstall: delete the JetClusters first (each is stopped and sealed; its volumes stay), because without the operator
# nobody stops or returns them; then kubectl delete -f dist/install.yaml. The definitions of JetCluster and JetJob stay.
";

/// Why the chart could not be rendered.
#[derive(Debug, thiserror::Error)]
pub enum ChartError {
    /// There is no Helm.
    #[error("no helm in {0}: e2e/kube/setup builds one, and JET_KUBE_BIN names another directory")]
    NoHelm(String),
    /// A program did not start.
    #[error("{0}: {1}")]
    NotStarted(String, std::io::Error),
    /// Helm says no.
    #[error("helm template: {0}")]
    Refused(String),
    /// The file could not be written.
    #[error("cannot write {0}: {1}")]
    NotWritten(String, std::io::Error),
}

/// What the files must be.
pub fn rendered() -> Result<[(&'static str, String); 2], ChartError> {
    let image = format!("image.repository={PLACEHOLDER}");
    let all = template(&["--no-hooks", "--set", &image])?;
    let documents = all.split_inclusive("\n").fold(Vec::<String>::new(), |mut documents, line| {
        if line == "---\n" || documents.is_empty() {
            documents.push(String::new());
        }
        documents.last_mut().into_iter().for_each(|document| document.push_str(line));
        documents
    });
    let (definitions, operator): (Vec<_>, Vec<_>) = documents.into_iter().partition(|document| is_definition(document));
    Ok([
        (INSTALL, format!("{HEADER}{}", operator.concat())),
        (DEFINITIONS, format!("{DEFINITIONS_HEADER}{}", definitions.concat())),
    ])
}

fn is_definition(document: &str) -> bool {
    document.contains("\nkind: CustomResourceDefinition\n")
        || document.contains("\n  name: jet-system-jet-operator-definitions\n")
}

/// Writes them.
pub fn write() -> Result<Vec<PathBuf>, ChartError> {
    let write = |(path, text): (&str, String)| {
        let path = tree::root().join(path);
        std::fs::write(&path, text).map_err(|error| ChartError::NotWritten(path.display().to_string(), error))?;
        Ok(path)
    };
    rendered()?.into_iter().map(write).collect()
}

fn template(options: &[&str]) -> Result<String, ChartError> {
    let mut command = Command::new(helm()?);
    command.args(["template", "jet", "charts/jet", "--namespace", "jet-system"]).args(options);
    let out = command.current_dir(tree::root()).output();
    let out = out.map_err(|error| ChartError::NotStarted("helm".into(), error))?;
    if !out.status.success() {
        return Err(ChartError::Refused(String::from_utf8_lossy(&out.stderr).trim().to_owned()));
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

/// The one that the local Kubernetes has, so that everybody renders the same bytes.
fn helm() -> Result<PathBuf, ChartError> {
    let bin = match std::env::var_os("JET_KUBE_BIN") {
        Some(bin) => PathBuf::from(bin),
        None => {
            let kube = tree::root().join("e2e/kube/kube");
            let out = Command::new(&kube).arg("path").output();
            let out = out.map_err(|error| ChartError::NotStarted(kube.display().to_string(), error))?;
            PathBuf::from(String::from_utf8_lossy(&out.stdout).trim())
        }
    };
    let helm = bin.join("helm");
    if helm.exists() { Ok(helm) } else { Err(ChartError::NoHelm(bin.display().to_string())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With this variable set, tests that need programs of a Kubernetes are left out where there are none.
    const LEFT_OUT: &str = "JET_NO_API_SERVER";

    fn without_helm() -> bool {
        match helm() {
            Ok(_) => false,
            Err(why) if std::env::var_os(LEFT_OUT).is_some() => {
                eprintln!("NOT RUN: {why}");
                true
            }
            Err(why) => panic!("{why}; {LEFT_OUT}=1 leaves this test out"),
        }
    }

    #[test]
    fn the_files_for_people_without_helm_are_the_chart() {
        if without_helm() {
            return;
        }
        let files = rendered().unwrap();
        for (file, wanted) in &files {
            let found = tree::text(file);
            let differs = wanted.lines().zip(found.lines()).enumerate().find(|(_, (wanted, found))| wanted != found);
            assert!(
                *wanted == found,
                "{file} is not the chart rendered: run `make dist`. First difference: {differs:?}"
            );
        }
        let [(_, operator), (_, definitions)] = files;
        assert!(
            !operator.contains("kind: CustomResourceDefinition"),
            "whoever deletes that file deletes every JetCluster"
        );
        let kinds = |kind: &str| definitions.matches(&format!("\nkind: {kind}\n")).count();
        assert_eq!((kinds("CustomResourceDefinition"), kinds("ValidatingAdmissionPolicy")), (2, 1));
        assert_eq!(kinds("ValidatingAdmissionPolicyBinding"), 1);
    }

    #[test]
    fn the_chart_is_not_rendered_without_an_image_repository_and_says_what_to_do() {
        if without_helm() {
            return;
        }
        for options in [&[][..], &["--set", "uninstall.force=true"]] {
            let said = template(options).unwrap_err().to_string();
            let sentence = "image.repository is not set: no registry has this operator's image; build it \
                (make images REPO=registry/path) and give --set image.repository=registry/path";
            assert!(said.contains(sentence), "{said}");
        }
        let said = template(&["--set", "image.repositry=registry.example/jet"]).unwrap_err().to_string();
        assert!(said.contains("repositry"), "a value that is misspelt is named: {said}");
    }
}
