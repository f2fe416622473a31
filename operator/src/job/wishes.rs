//! The ConfigMap of wishes that wait for an activation.
//!
//! Law: a wish is removed only after it was carried out, and carried out on the job that it was made about and on no
//! namesake; every write carries the resourceVersion of the read; wishes of another seal are void, except cancellations,
//! behind which no JetJob stands any more. Must not know: the protocol's steps.

use std::collections::BTreeMap;

use jet_admin_api::job::{JobStatus, JobView};
use jet_admin_api::operation::JobWish;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, ObjectMeta, PostParams, Preconditions};
use kube::{Api, Client};

use super::plan::{ended, job_of};
use crate::api::records::{KEY, KeptWish, LedgerJob, WishesRecord};
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

/// A wish of this job, or of one of that name whose number is not known.
pub fn is_about(kept: &KeptWish, job: &str, number: Option<u64>) -> bool {
    job_of(&kept.wish) == job && (kept.number.is_none() || number.is_none() || kept.number == number)
}

/// The record with the wish about one job replaced.
pub fn with(
    record: &WishesRecord,
    operation: &str,
    job: &str,
    number: Option<u64>,
    wish: Option<&KeptWish>,
) -> WishesRecord {
    let holds = |kept: &KeptWish| record.operation == operation || matches!(kept.wish, JobWish::Cancel { .. });
    let stays = |kept: &&KeptWish| holds(kept) && !is_about(kept, job, number);
    let mut wishes: Vec<_> = record.wishes.iter().filter(stays).cloned().collect();
    wishes.extend(wish.cloned());
    WishesRecord { operation: operation.to_owned(), wishes }
}

/// Wishes about jobs that sleep under a seal, as the members take them. They know a job by its name: one whose number is
/// another's by now is nobody's to be found under it.
pub fn of_sleepers(kept: &[KeptWish], ledger: &[LedgerJob]) -> Vec<JobWish> {
    let sleeps = |kept: &&KeptWish| {
        let is = |job: &LedgerJob| job.name == job_of(&kept.wish) && Some(job.id) == kept.number && !ended(job.status);
        kept.number.is_none() || ledger.iter().any(is)
    };
    kept.iter().filter(sleeps).map(|kept| kept.wish.clone()).collect()
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
pub fn outstanding<'a>(wishes: &'a [KeptWish], jobs: &[JobView]) -> Option<(&'a str, &'static str)> {
    wishes.iter().find_map(|kept| {
        let name = job_of(&kept.wish);
        let is_it = |job: &&JobView| job.name == name && kept.number.is_none_or(|number| job.id == number);
        let job = jobs.iter().filter(is_it).max_by_key(|job| job.id)?;
        let verb = match (&kept.wish, job.status) {
            (_, status) if ended(status) => return None,
            (JobWish::Cancel { .. }, _) => "cancel",
            (JobWish::Suspend { .. }, JobStatus::Starting | JobStatus::Running) => "suspend",
            (JobWish::Resume { .. }, JobStatus::Suspended) => "resume",
            _ => return None,
        };
        Some((name, verb))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use jet_admin_api::job::Guarantee;

    fn cancel(job: &str, number: u64) -> KeptWish {
        KeptWish { wish: JobWish::Cancel { job: job.into() }, number: Some(number) }
    }

    fn resume(job: &str, number: u64) -> KeptWish {
        KeptWish { wish: JobWish::Resume { job: job.into() }, number: Some(number) }
    }

    fn sleeper(id: u64, name: &str, status: JobStatus) -> LedgerJob {
        LedgerJob { id, name: name.into(), guarantee: Guarantee::ExactlyOnce, status, snapshot: None }
    }

    #[test]
    fn the_wish_about_one_job_is_replaced_and_a_namesake_keeps_its_own() {
        let record = WishesRecord { operation: "4-a".into(), wishes: vec![cancel("a", 1), cancel("b", 2)] };
        let wished = resume("a", 1);
        assert_eq!(with(&record, "4-a", "a", Some(1), Some(&wished)).wishes, vec![cancel("b", 2), wished]);
        assert_eq!(with(&record, "4-a", "a", Some(1), None).wishes, vec![cancel("b", 2)]);
        let namesake = resume("a", 7);
        let both = with(&record, "4-a", "a", Some(7), Some(&namesake)).wishes;
        assert_eq!(both, vec![cancel("a", 1), cancel("b", 2), namesake]);
    }

    #[test]
    fn of_another_seal_only_cancellations_stay() {
        let record = WishesRecord { operation: "4-a".into(), wishes: vec![cancel("a", 1), resume("b", 2)] };
        let next = with(&record, "5-b", "c", Some(3), Some(&resume("c", 3)));
        assert_eq!((next.operation.as_str(), next.wishes), ("5-b", vec![cancel("a", 1), resume("c", 3)]));
    }

    #[test]
    fn a_sleeper_is_not_taken_for_its_predecessor() {
        let ledger = [
            sleeper(1, "a", JobStatus::Cancelled),
            sleeper(4, "a", JobStatus::Waiting),
            sleeper(2, "b", JobStatus::Waiting),
        ];
        let unnumbered = KeptWish { number: None, ..cancel("c", 0) };
        let kept = [cancel("a", 1), cancel("b", 2), unnumbered];
        let taken = [JobWish::Cancel { job: "b".into() }, JobWish::Cancel { job: "c".into() }];
        assert_eq!(of_sleepers(&kept, &ledger), taken);
        assert_eq!(of_sleepers(&[cancel("a", 4)], &ledger).len(), 1);
    }
}
