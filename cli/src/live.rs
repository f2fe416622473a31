//! How far members' stores are now, asked of each through the API server.
//!
//! Law: no key but the caller's own to Kubernetes is used, and nothing is changed; whoever may not (it asks for get of
//! pods/proxy) or does not get an answer in time is shown what the status says. Must not know: the admin API.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use jet_admin_api::progress::StoreProgress;
use kube::Client;
use kube::api::DynamicObject;
use kube::core::Request;
use serde_json::Value;

/// Port of a member's probes.
const PORT: u16 = 8080;
/// A member that is asked has so long.
const WITHIN: Duration = Duration::from_secs(1);
/// Members asked at most.
const MOST: usize = 50;

/// By pod: what it does, in words; `None`: it answered, and neither saves nor loads.
pub type Live = BTreeMap<String, Option<String>>;

/// Asks the recorded members of this cluster.
pub async fn ask(client: &Client, namespace: &str, object: &DynamicObject) -> Live {
    let recorded = object.data.pointer("/status/roster/members").and_then(Value::as_array);
    let pods = recorded.into_iter().flatten().filter_map(|member| member.get("pod").and_then(Value::as_str));
    let asked = pods.take(MOST).map(|pod| async move {
        let answer = tokio::time::timeout(WITHIN, one(client, namespace, pod)).await;
        let progress = answer.ok()?.ok()?;
        Some((pod.to_owned(), progress.map(|progress| progress.to_string())))
    });
    join_all(asked).await.into_iter().flatten().collect()
}

async fn one(client: &Client, namespace: &str, pod: &str) -> kube::Result<Option<StoreProgress>> {
    let pods = Request::new(format!("/api/v1/namespaces/{namespace}/pods"));
    let request =
        pods.get_subresource("proxy/progress", &format!("{pod}:{PORT}")).map_err(kube::Error::BuildRequest)?;
    client.request(request).await
}
