//! The operator as people install, upgrade and take it away: by the README's Helm or by `dist/install.yaml`.
//!
//! Law: whatever a test came to, the installation after it is the README's. Must not know: clusters.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::readme::{block, root};
use crate::shell::{attempt, bash, run, wait_for};
use crate::world::OPERATOR_NAMESPACE;

/// The operator's pods are there or gone within this.
const ROLLOUT: Duration = Duration::from_secs(180);
/// JetClusters of earlier tests are released within this.
const RELEASED: Duration = Duration::from_secs(180);
/// Pods of the operator.
const OPERATOR_PODS: &str = "app.kubernetes.io/name=jet-operator";

/// The right to change the installation; the README's is back when it goes.
pub struct Installation {
    scratch: PathBuf,
}

impl Installation {
    /// Of a test that installed the README's operator before (as every `World` does).
    pub fn to_change() -> Self {
        let scratch = std::env::temp_dir().join(format!("jet-installation-{}", std::process::id()));
        std::fs::create_dir_all(&scratch).expect("a temporary directory");
        Self { scratch }
    }

    /// helm in the operator's namespace, from the root of the checkout.
    pub fn helm(&self, arguments: &str) -> Result<String, String> {
        bash(&format!("cd {}\nhelm --namespace {OPERATOR_NAMESPACE} {arguments} 2>&1", root().display()))
    }

    /// A copy of the chart that may be changed.
    pub fn chart(&self) -> PathBuf {
        let copy = self.scratch.join("chart");
        let _ = std::fs::remove_dir_all(&copy);
        run("cp", &["-r", &root().join("charts/jet").display().to_string(), &copy.display().to_string()]);
        copy
    }

    /// The operator's image under another tag, on every node.
    pub fn operator_image(&self, tag: &str) {
        let at = |path: &str| root().join(path).display().to_string();
        let out = self.scratch.display().to_string();
        run(&at("e2e/kube/image"), &["--tag", tag, "--out", &out, "operator"]);
        run(&at("e2e/kube/kube"), &["load", &format!("{out}/jet-operator.tar")]);
    }

    /// The two files of `dist/` as the header says, with the images of this machine.
    pub fn apply_file(&self) -> Result<String, String> {
        let header = std::fs::read_to_string(root().join("dist/install.yaml")).expect("dist/install.yaml");
        // The namespace is there in these tests.
        let said = header.lines().filter_map(|line| line.strip_prefix("#   ")).skip(1).collect::<Vec<_>>().join("\n");
        assert!(said.ends_with("kubectl apply --server-side --field-manager=helm -f -"), "{said}");
        bash(&format!("cd {}\n{{ {}\n}} 2>&1", root().display(), said.replace("registry.example/jet", "localhost")))
    }

    /// What its header warns of.
    pub fn delete_file(&self) -> Result<String, String> {
        self.delete("dist/install.yaml")
    }

    /// What nobody should.
    pub fn delete_definitions(&self) -> Result<String, String> {
        self.delete("dist/definitions.yaml")
    }

    fn delete(&self, file: &str) -> Result<String, String> {
        bash(&format!("cd {}\nkubectl delete --timeout=120s --ignore-not-found -f {file} 2>&1", root().display()))
    }

    /// Waits until every operator pod is of `image` and Ready.
    pub fn await_operator(&self, image: &str) {
        wait_for(&format!("an operator of {image}"), ROLLOUT, || {
            attempt(
                "kubectl",
                &["-n", OPERATOR_NAMESPACE, "rollout", "status", "deployment/jet-operator", "--timeout=20s"],
                None,
            )?;
            let images = pods("{.items[*].spec.containers[0].image}")?;
            if images.split_whitespace().all(|one| one.ends_with(image)) { Ok(()) } else { Err(images) }
        });
    }

    /// Waits until a pod of `image` holds the lease: only who holds it works.
    pub fn await_leader(&self, image: &str) {
        wait_for(&format!("an operator of {image} leads"), ROLLOUT, || {
            let pod = crate::faults::operator_pod().ok_or("nobody holds the lease")?;
            let path = "jsonpath={.spec.containers[0].image}";
            let found = attempt("kubectl", &["-n", OPERATOR_NAMESPACE, "get", "pod", &pod, "-o", path], None)?;
            if found.ends_with(image) { Ok(()) } else { Err(format!("{pod} of {found}")) }
        });
    }

    /// Waits until no operator runs.
    pub fn await_none(&self) {
        wait_for("no operator runs", ROLLOUT, || {
            let names = pods("{.items[*].metadata.name}")?;
            if names.is_empty() { Ok(()) } else { Err(names) }
        });
    }

    /// Waits until the JetClusters of earlier tests are gone.
    pub fn await_no_clusters(&self) {
        wait_for("no JetCluster is left", RELEASED, || {
            let left = attempt("kubectl", &["get", "jetclusters", "-A", "-o", "name"], None)?;
            if left.trim().is_empty() { Ok(()) } else { Err(left) }
        });
    }

    /// What Helm says of the release: its status, its revision.
    pub fn release(&self) -> (String, String) {
        let said = self.helm("status jet").unwrap_or_default();
        let field =
            |name: &str| said.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned();
        (field("STATUS:"), field("REVISION:"))
    }

    /// The README's installation, whatever is there.
    pub fn restore(&self) -> Result<(), String> {
        let (status, revision) = self.release();
        if status == "uninstalling" {
            self.helm(&format!("rollback jet {revision}"))?;
        }
        let guard = ["-n", OPERATOR_NAMESPACE, "delete", "job", "jet-operator-uninstall-guard", "--ignore-not-found"];
        attempt("kubectl", &guard, None)?;
        let script =
            block("install").replace("helm install", "helm upgrade --install --take-ownership --force-conflicts");
        bash(&format!("cd {}\n{script}", root().display()))?;
        let wait = ["-n", OPERATOR_NAMESPACE, "rollout", "status", "deployment/jet-operator", "--timeout=180s"];
        attempt("kubectl", &wait, None).map(drop)
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        if let Err(said) = self.restore() {
            eprintln!("the README's installation is not back: {said}");
        }
        let _ = std::fs::remove_dir_all(&self.scratch);
    }
}

/// Every object that a release made, `kind/name`, still there.
pub fn objects_of_release(manifest: &str) -> Vec<String> {
    let said = attempt("kubectl", &["get", "-n", OPERATOR_NAMESPACE, "-o", "name", "-f", "-"], Some(manifest));
    said.unwrap_or_else(|said| panic!("{said}")).lines().map(str::to_owned).collect()
}

/// Changes a text file in place; the text must be there.
pub fn change(path: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(path).expect("a text file");
    assert!(text.contains(from), "{} has no {from:?}", path.display());
    std::fs::write(path, text.replacen(from, to, 1)).expect("written");
}

fn pods(path: &str) -> Result<String, String> {
    attempt(
        "kubectl",
        &["-n", OPERATOR_NAMESPACE, "get", "pods", "-l", OPERATOR_PODS, "-o", &format!("jsonpath={path}")],
        None,
    )
}
