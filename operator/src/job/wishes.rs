//! The ConfigMap of wishes that wait for an activation.
//!
//! Law: a wish is removed only after it was carried out; every write carries the resourceVersion of the read; wishes
//! of another seal are void. Must not know: the protocol's steps.

use std::collections::BTreeMap;

use jet_admin_api::job::{JobStatus, JobView};
use jet_admin_api::operation::JobWish;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, ObjectMeta, PostParams, Preconditions};
use kube::{Api, Client};

use super::plan::{ended, job_of};
use crate::api::records::{KEY, WishesRecord};
use crate::api::{FIELD_MANAGER, names};

/// Wishes kept at most; a cluster has fewer jobs.
pub const KEPT: usize = 10_000;

/// Why wishes could not be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum WishesError {
    /// The API server refused or did not answer.
    #[error("cannot {verb} ConfigMap {name}: {source}")]
    Api {
        /// What was tried.
        verb: &'static str,
        /// Which.
        name: String,
        /// The client's words.
        source: Box<kube::Error>,
    },
    /// What is there is not ours.
    #[error(
        "ConfigMap {name} is not a record of wishes ({reason}): look at it and delete it if nothing in it is needed"
    )]
    Unreadable {
        /// Which.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// Too many.
    #[error("ConfigMap {name} holds {KEPT} wishes already: bring the cluster back first")]
    Full {
        /// Which.
        name: String,
    },
}

/// The record as read, with what its replacement must carry.
#[derive(Debug, Default)]
pub struct Kept {
    /// What is in it.
    pub record: WishesRecord,
    read: Option<ConfigMap>,
}

/// Reads the record of a cluster; none is an empty one.
pub async fn read(client: &Client, namespace: &str, cluster: &str) -> Result<Kept, WishesError> {
    let name = names::wishes(cluster);
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let read = api.get_opt(&name).await.map_err(|source| WishesError::Api {
        verb: "read",
        name: name.clone(),
        source: Box::new(source),
    })?;
    let record = match read.as_ref().and_then(|map| map.data.as_ref()).and_then(|data| data.get(KEY)) {
        None => WishesRecord::default(),
        Some(text) => {
            serde_json::from_str(text).map_err(|error| WishesError::Unreadable { name, reason: error.to_string() })?
        }
    };
    Ok(Kept { record, read })
}

/// The record with the wishes about one job replaced; those of another seal are dropped.
pub fn with(record: &WishesRecord, operation: &str, job: &str, wishes: &[JobWish]) -> WishesRecord {
    let stays = |wish: &&JobWish| record.operation == operation && job_of(wish) != job;
    let mut out: Vec<_> = record.wishes.iter().filter(stays).cloned().collect();
    out.extend(wishes.iter().cloned());
    WishesRecord { operation: operation.to_owned(), wishes: out }
}

/// Writes a record in place of the one that was read.
pub async fn write(
    client: &Client,
    namespace: &str,
    cluster: &str,
    kept: &Kept,
    record: &WishesRecord,
) -> Result<(), WishesError> {
    let name = names::wishes(cluster);
    if record.wishes.len() > KEPT {
        return Err(WishesError::Full { name });
    }
    let text = serde_json::to_string(record)
        .map_err(|error| WishesError::Unreadable { name: name.clone(), reason: error.to_string() })?;
    let mut labels = names::labels(cluster);
    labels.insert(names::LABEL_EVIDENCE.to_owned(), "wishes".to_owned());
    let map = ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            labels: Some(labels),
            resource_version: kept.read.as_ref().and_then(|read| read.metadata.resource_version.clone()),
            uid: kept.read.as_ref().and_then(|read| read.metadata.uid.clone()),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([(KEY.to_owned(), text)])),
        ..ConfigMap::default()
    };
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    let written = match &kept.read {
        Some(_) => api.replace(&name, &params, &map).await,
        None => api.create(&params, &map).await,
    };
    written.map(drop).map_err(|source| WishesError::Api { verb: "write", name, source: Box::new(source) })
}

/// Removes the record that was read, and no newer one.
pub async fn remove(client: &Client, namespace: &str, cluster: &str, kept: &Kept) -> Result<(), WishesError> {
    let Some(read) = &kept.read else { return Ok(()) };
    let name = names::wishes(cluster);
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let params = DeleteParams {
        preconditions: Some(Preconditions {
            uid: read.metadata.uid.clone(),
            resource_version: read.metadata.resource_version.clone(),
        }),
        ..DeleteParams::default()
    };
    match api.delete(&name, &params).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        Err(source) => Err(WishesError::Api { verb: "delete", name, source: Box::new(source) }),
    }
}

/// The first wish that is not yet so, as (job, verb); `None`: all are.
pub fn outstanding<'a>(wishes: &'a [JobWish], jobs: &[JobView]) -> Option<(&'a str, &'static str)> {
    wishes.iter().find_map(|wish| {
        let job = jobs.iter().filter(|job| job.name == job_of(wish)).max_by_key(|job| job.id)?;
        let verb = match (wish, job.status) {
            (_, status) if ended(status) => return None,
            (JobWish::Cancel { .. }, _) => "cancel",
            (JobWish::Suspend { .. }, JobStatus::Starting | JobStatus::Running) => "suspend",
            (JobWish::Resume { .. }, JobStatus::Suspended) => "resume",
            _ => return None,
        };
        Some((job_of(wish), verb))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cancel(job: &str) -> JobWish {
        JobWish::Cancel { job: job.into() }
    }

    #[test]
    fn wishes_of_one_job_are_replaced_and_those_of_another_seal_dropped() {
        let record = WishesRecord { operation: "4-a".into(), wishes: vec![cancel("a"), cancel("b")] };
        let resume = JobWish::Resume { job: "a".into() };
        assert_eq!(with(&record, "4-a", "a", std::slice::from_ref(&resume)).wishes, vec![cancel("b"), resume.clone()]);
        assert_eq!(with(&record, "4-a", "a", &[]).wishes, vec![cancel("b")]);
        let next = with(&record, "5-b", "a", std::slice::from_ref(&resume));
        assert_eq!((next.operation.as_str(), next.wishes), ("5-b", vec![resume]));
    }
}
