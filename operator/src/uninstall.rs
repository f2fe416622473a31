//! Whether the operator may be uninstalled.
//!
//! Law: refused while a JetCluster exists, because nobody would bring a stopped one back. Must not know: charts.

use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};

use crate::api::JetCluster;

/// Clusters named in the message.
const NAMED: u32 = 20;

/// Why not.
#[derive(Debug, thiserror::Error)]
pub enum WhyNot {
    /// Some exist.
    #[error(
        "nothing was uninstalled: JetClusters exist: {}. Without the operator nobody stops or returns them. Delete them first \
         (each is stopped and sealed; volumes and records stay), or leave them as they are: helm uninstall --no-hooks (what \
         runs goes on, what is stopped stays stopped, until an operator is installed again). Helm calls the release \
         \"uninstalling\" from here on and does not upgrade it, until: helm rollback RELEASE REVISION, as helm status says \
         them", names.join(", ")
    )]
    Exist {
        /// `namespace/name`.
        names: Vec<String>,
    },
    /// It could not be seen.
    #[error("cannot list JetClusters: {0}")]
    Unseen(#[from] Box<kube::Error>),
}

const NOT_FOUND: u16 = 404;

/// `Ok`: none exists (or the CRD does not).
pub async fn check(client: &Client, namespaces: &[String]) -> Result<(), WhyNot> {
    let apis: Vec<Api<JetCluster>> = match namespaces {
        [] => vec![Api::all(client.clone())],
        some => some.iter().map(|namespace| Api::namespaced(client.clone(), namespace)).collect(),
    };
    let mut names = Vec::new();
    for api in apis {
        match api.list(&ListParams::default().limit(NAMED)).await {
            Ok(list) => names.extend(
                list.items
                    .iter()
                    .map(|found| format!("{}/{}", found.namespace().unwrap_or_default(), found.name_any())),
            ),
            // By its code: where the kind is not known the answer is a page and has no reason.
            Err(kube::Error::Api(status)) if status.code == NOT_FOUND => {}
            Err(error) => return Err(Box::new(error).into()),
        }
    }
    if names.is_empty() { Ok(()) } else { Err(WhyNot::Exist { names }) }
}
