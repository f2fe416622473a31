//! What is measured, under the names that stock dashboards know where the meaning is equal.
//!
//! Law: no label is unbounded: errors are labelled by a fixed word of their kind. Must not know: what the figures
//! are for.

use std::fmt;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Seconds; a pass at rest takes milliseconds, one with slow members seconds.
const BUCKETS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Labels of passes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Pass {
    /// `jetcluster` or `jetjob`.
    pub controller: &'static str,
    /// `success`, `requeue` or `error`.
    pub result: &'static str,
}

/// Labels of failures.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Failure {
    /// `jetcluster` or `jetjob`.
    pub controller: &'static str,
    /// A fixed word for the kind of error.
    pub kind: &'static str,
}

/// Label of what belongs to a controller.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Controller {
    /// `jetcluster` or `jetjob`.
    pub controller: &'static str,
}

/// Label of the lease.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct LeaseName {
    /// Its name.
    pub name: String,
}

/// Labels of one cluster's phase.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ClusterPhase {
    /// Namespace.
    pub namespace: String,
    /// Cluster.
    pub cluster: String,
    /// Phase.
    pub phase: String,
}

/// All metrics of the process.
pub struct Telemetry {
    registry: Registry,
    passes: Family<Pass, Counter>,
    failures: Family<Failure, Counter>,
    times: Family<Controller, Histogram, fn() -> Histogram>,
    leads: Family<LeaseName, Gauge>,
    phases: Family<ClusterPhase, Gauge>,
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Telemetry")
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        let mut registry = Registry::default();
        let histogram: fn() -> Histogram = || Histogram::new(BUCKETS);
        let (passes, failures) = (Family::default(), Family::default());
        let times = Family::new_with_constructor(histogram);
        let (leads, phases) = (Family::default(), Family::default());
        registry.register("controller_runtime_reconcile", "Passes over an object, by result", Family::clone(&passes));
        registry.register("controller_runtime_reconcile_errors", "Failed passes, by kind", Family::clone(&failures));
        registry.register("controller_runtime_reconcile_time_seconds", "Time of a pass", Family::clone(&times));
        registry.register("leader_election_master_status", "1: this process leads", Family::clone(&leads));
        registry.register("jet_cluster_phase", "1: the cluster is in this phase", Family::clone(&phases));
        Self { registry, passes, failures, times, leads, phases }
    }
}

impl Telemetry {
    /// Counts a pass.
    pub fn pass(&self, controller: &'static str, result: &'static str, took: Duration) {
        self.passes.get_or_create(&Pass { controller, result }).inc();
        self.times.get_or_create(&Controller { controller }).observe(took.as_secs_f64());
    }

    /// Counts a failure.
    pub fn failure(&self, controller: &'static str, kind: &'static str) {
        self.failures.get_or_create(&Failure { controller, kind }).inc();
    }

    /// Says whether this process leads.
    pub fn leads(&self, lease: &str, leads: bool) {
        self.leads.get_or_create(&LeaseName { name: lease.to_owned() }).set(i64::from(leads));
    }

    /// Says the phase of a cluster; `before` is the one that it was in.
    pub fn phase(&self, namespace: &str, cluster: &str, before: Option<&str>, phase: Option<&str>) {
        let labels = |phase: &str| ClusterPhase {
            namespace: namespace.to_owned(),
            cluster: cluster.to_owned(),
            phase: phase.to_owned(),
        };
        if let Some(before) = before
            && Some(before) != phase
        {
            self.phases.remove(&labels(before));
        }
        if let Some(phase) = phase {
            self.phases.get_or_create(&labels(phase)).set(1);
        }
    }

    /// Everything in the OpenMetrics text format.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut out = String::new();
        encode(&mut out, &self.registry)?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speaks_the_names_that_dashboards_know() {
        let telemetry = Telemetry::default();
        telemetry.pass("jetcluster", "success", Duration::from_millis(7));
        telemetry.failure("jetcluster", "members");
        telemetry.leads("jet-operator", true);
        telemetry.phase("prod", "orders", None, Some("Running"));
        telemetry.phase("prod", "orders", Some("Running"), Some("Stopping"));
        let text = telemetry.text().unwrap();
        for line in [
            "controller_runtime_reconcile_total{controller=\"jetcluster\",result=\"success\"} 1",
            "controller_runtime_reconcile_errors_total{controller=\"jetcluster\",kind=\"members\"} 1",
            "controller_runtime_reconcile_time_seconds_count{controller=\"jetcluster\"} 1",
            "leader_election_master_status{name=\"jet-operator\"} 1",
            "jet_cluster_phase{namespace=\"prod\",cluster=\"orders\",phase=\"Stopping\"} 1",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("phase=\"Running\""), "{text}");
    }
}
