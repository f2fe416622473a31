//! The chart's admission policies, taken away for a while: what the operator alone then holds.
//!
//! Law: they are there again when the guard goes. Must not know: what they refuse.

use crate::shell::{attempt, run};

/// The bindings that were taken away, as they were.
pub struct Policies(Vec<String>);

impl Policies {
    /// Takes all of the chart away.
    pub fn taken_away() -> Self {
        let all = run("kubectl", &["get", "validatingadmissionpolicybinding", "-o", "name"]);
        let ours: Vec<_> = all.lines().filter(|name| name.contains("/jet-system-jet")).collect();
        assert!(!ours.is_empty(), "the chart's policies are there: {all}");
        let taken = Self(ours.iter().map(|name| run("kubectl", &["get", name, "-o", "json"])).collect());
        for name in ours {
            run("kubectl", &["delete", name]);
        }
        taken
    }
}

impl Drop for Policies {
    fn drop(&mut self) {
        for saved in &self.0 {
            let mut object: serde_json::Value = serde_json::from_str(saved).unwrap_or_default();
            if let Some(meta) = object.get_mut("metadata").and_then(serde_json::Value::as_object_mut) {
                for own in ["uid", "resourceVersion", "creationTimestamp", "managedFields", "generation"] {
                    meta.remove(own);
                }
            }
            // As Helm wrote them: another owner of their fields would be in the way of the next upgrade.
            let apply = ["apply", "--server-side", "--field-manager=helm", "-f", "-"];
            if let Err(said) = attempt("kubectl", &apply, Some(&object.to_string())) {
                assert!(std::thread::panicking(), "a policy of the chart is not back: {said}");
            }
        }
    }
}
