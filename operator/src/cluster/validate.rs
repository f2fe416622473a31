//! Every rule of the schema again, and those that a schema cannot say.
//!
//! Law: each sentence names the field and the way out. Must not know: what exists.

use kube::ResourceExt;

use crate::api::JetCluster;
use crate::api::spec::MAX_NAME;
use crate::cluster::desired;

/// Largest cluster.
pub const MAX_SIZE: i32 = 64;

/// What is wrong with a spec; empty: nothing.
pub fn spec(cluster: &JetCluster) -> Vec<String> {
    let spec = &cluster.spec;
    let mut wrong = Vec::new();
    let mut refuse = |bad: bool, sentence: String| {
        if bad {
            wrong.push(sentence);
        }
    };
    refuse(spec.size < 1, "spec.size must be at least 1; to stop the cluster set spec.state to Stopped".into());
    refuse(spec.size > MAX_SIZE, format!("spec.size is {}, at most {MAX_SIZE} is offered", spec.size));
    refuse(
        cluster.name_any().len() > MAX_NAME,
        format!("the name is longer than {MAX_NAME} characters: choose a shorter one"),
    );
    refuse(!(1..=32767).contains(&spec.partition_count), "spec.partitionCount must be between 1 and 32767".into());
    refuse(!(0..=6).contains(&spec.backup_count), "spec.backupCount must be between 0 and 6".into());
    refuse(spec.image.is_empty(), "spec.image is empty: name the members' image".into());
    wrong.extend(desired::config::refusals(cluster));
    wrong.extend(spec.pod_template.iter().flat_map(desired::overlay::refusals));
    wrong
}
