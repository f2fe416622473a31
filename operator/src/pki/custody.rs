//! The Secrets in which an authority and its key pairs are kept.
//!
//! Law: every write is a create or carries the resourceVersion that it was judged by; a kill between any two
//! writes is repaired by the next pass; the authority is never replaced while members run under it. Must not know:
//! the maintenance protocol.

use std::collections::BTreeMap;

use jet_admin_api::identity::{Identity, Role};
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};

use super::authority::{Authority, AuthorityError, Issued};
use super::judgement::{self, Found};
use super::wallet::Credentials;
use super::{authority_secret, provided_secret};
use crate::api::FIELD_MANAGER;
use crate::api::names::{self, admin_secret, members_secret};

const AUTHORITY_CRT: &str = "ca.crt";
const AUTHORITY_KEY: &str = "ca.key";
const OPERATOR_CRT: &str = "operator.crt";
const OPERATOR_KEY: &str = "operator.key";
const TLS_CRT: &str = "tls.crt";
const TLS_KEY: &str = "tls.key";

/// Why the key pairs are not in place.
#[derive(Debug, thiserror::Error)]
pub enum CustodyError {
    /// The API server refused or did not answer.
    #[error("cannot {verb} Secret {secret}: {source}")]
    Api {
        /// What was tried.
        verb: &'static str,
        /// On which Secret.
        secret: String,
        /// The client's words.
        source: Box<kube::Error>,
    },
    /// A certificate could not be made.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// Members run under an authority whose key is not here.
    #[error(
        "Secret {secret} in namespace {namespace} is gone or is another authority than the one that the running members trust; \
         a new one would lock the operator out: restore that Secret, or stop all member pods first"
    )]
    Lost {
        /// The Secret with the authority.
        secret: String,
        /// The operator's namespace.
        namespace: String,
    },
    /// `tls.issuer: Provided` and no key pair for the operator.
    #[error(
        "Secret {secret} has no {key}: with spec.tls.issuer Provided it must hold ca.crt, tls.crt and tls.key of the operator's identity"
    )]
    NotProvided {
        /// Which.
        secret: String,
        /// Which part.
        key: String,
    },
    /// Somebody else's Secret has our name.
    #[error("Secret {secret} exists and is not of this cluster: rename or delete it")]
    Foreign {
        /// Which.
        secret: String,
    },
}

/// Whose key pairs, and how many.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Namespace of the cluster.
    pub namespace: String,
    /// Name of the cluster.
    pub cluster: String,
    /// Owner reference to the cluster.
    pub owner: OwnerReference,
    /// Key pairs for ordinals below this.
    pub ordinals: u32,
    /// No member pod exists: a lost authority may be replaced.
    pub no_pods: bool,
}

/// Puts authority and key pairs in place and returns the operator's own.
pub async fn ensure(
    client: &Client,
    operator_namespace: &str,
    subject: &Subject,
    now: Timestamp,
) -> Result<Credentials, CustodyError> {
    let members = Kept::read(client, &subject.namespace, members_secret(&subject.cluster)).await?;
    let admin = Kept::read(client, &subject.namespace, admin_secret(&subject.cluster)).await?;
    for kept in [&members, &admin] {
        kept.must_be_ours(&subject.owner)?;
    }
    let authority_name = authority_secret(&subject.namespace, &subject.cluster);
    let mut authority = Kept::read(client, operator_namespace, authority_name.clone()).await?;
    let trusted = members.text(AUTHORITY_CRT);
    let lost = || CustodyError::Lost { secret: authority_name.clone(), namespace: operator_namespace.to_owned() };

    if authority.authority().is_none() {
        if trusted.is_some() && !subject.no_pods {
            return Err(lost());
        }
        let made = Authority::create(&subject.namespace, &subject.cluster, &distinct(), now)?;
        authority.set(AUTHORITY_CRT, &made.certificate);
        authority.set(AUTHORITY_KEY, &made.key);
    }
    let Some(held) = authority.authority() else {
        return Err(lost());
    };
    if let Some(trusted) = trusted
        && !subject.no_pods
        && !judgement::same_authority(&trusted, &held.certificate)
    {
        return Err(lost());
    }
    let whom = |role| Identity::new(&subject.namespace, &subject.cluster, role);
    authority.pair(OPERATOR_CRT, OPERATOR_KEY, &whom(Role::Operator), &held, now)?;
    authority.write(client, None, "Opaque").await?;
    if judgement::authority_grows_old(&held.certificate, now) != Some(false) {
        tracing::warn!(cluster = subject.cluster, "the cluster's authority is past two thirds of its life");
    }

    keep_members(client, members, subject, &held, now).await?;
    keep_admin(client, admin, subject, &held, now).await?;
    Ok(Credentials {
        authority: held.certificate.clone(),
        certificate: authority.text(OPERATOR_CRT).unwrap_or_default(),
        key: authority.text(OPERATOR_KEY).unwrap_or_default(),
    })
}

/// The operator's key pair where somebody else issues: Secret `<name>-operator` with `ca.crt`, `tls.crt`, `tls.key`.
pub async fn provided(client: &Client, namespace: &str, cluster: &str) -> Result<Credentials, CustodyError> {
    let kept = Kept::read(client, namespace, provided_secret(cluster)).await?;
    let part = |key: &str| {
        kept.text(key).ok_or_else(|| CustodyError::NotProvided {
            secret: format!("{namespace}/{}", kept.name),
            key: key.to_owned(),
        })
    };
    Ok(Credentials { authority: part(AUTHORITY_CRT)?, certificate: part(TLS_CRT)?, key: part(TLS_KEY)? })
}

async fn keep_members(
    client: &Client,
    mut kept: Kept,
    subject: &Subject,
    held: &Authority,
    now: Timestamp,
) -> Result<(), CustodyError> {
    kept.set(AUTHORITY_CRT, &held.certificate);
    for ordinal in 0..subject.ordinals {
        let who = Identity::new(&subject.namespace, &subject.cluster, Role::Member(ordinal));
        kept.pair(&format!("{ordinal}.crt"), &format!("{ordinal}.key"), &who, held, now)?;
    }
    kept.write(client, Some(&subject.owner), "Opaque").await
}

async fn keep_admin(
    client: &Client,
    mut kept: Kept,
    subject: &Subject,
    held: &Authority,
    now: Timestamp,
) -> Result<(), CustodyError> {
    kept.set(AUTHORITY_CRT, &held.certificate);
    let who = Identity::new(&subject.namespace, &subject.cluster, Role::Admin);
    kept.pair(TLS_CRT, TLS_KEY, &who, held, now)?;
    kept.write(client, Some(&subject.owner), "kubernetes.io/tls").await
}

fn distinct() -> String {
    format!("{:08x}", rand::random::<u32>())
}

/// A Secret as read, and what is to become of it.
struct Kept {
    namespace: String,
    name: String,
    read: Option<Secret>,
    data: BTreeMap<String, ByteString>,
    changed: bool,
}

impl Kept {
    async fn read(client: &Client, namespace: &str, name: String) -> Result<Self, CustodyError> {
        let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
        let read = api.get_opt(&name).await.map_err(|source| CustodyError::Api {
            verb: "read",
            secret: format!("{namespace}/{name}"),
            source: Box::new(source),
        })?;
        let data = read.as_ref().and_then(|secret| secret.data.clone()).unwrap_or_default();
        Ok(Self { namespace: namespace.to_owned(), name, read, data, changed: false })
    }

    /// A Secret of a former JetCluster object of this name is taken over; one of something else is not.
    fn must_be_ours(&self, owner: &OwnerReference) -> Result<(), CustodyError> {
        let Some(secret) = &self.read else { return Ok(()) };
        let owners = secret.metadata.owner_references.as_deref().unwrap_or_default();
        let labels = secret.metadata.labels.as_ref();
        let labelled = labels.is_some_and(|labels| labels.get(names::LABEL_CLUSTER) == Some(&owner.name));
        let foreign = owners.iter().any(|other| other.kind != owner.kind || other.name != owner.name);
        if !labelled || foreign {
            return Err(CustodyError::Foreign { secret: format!("{}/{}", self.namespace, self.name) });
        }
        Ok(())
    }

    fn text(&self, key: &str) -> Option<String> {
        self.data.get(key).and_then(|bytes| String::from_utf8(bytes.0.clone()).ok())
    }

    fn authority(&self) -> Option<Authority> {
        Some(Authority { certificate: self.text(AUTHORITY_CRT)?, key: self.text(AUTHORITY_KEY)? })
    }

    fn set(&mut self, key: &str, value: &str) {
        if self.data.get(key).is_none_or(|bytes| bytes.0 != value.as_bytes()) {
            self.data.insert(key.to_owned(), ByteString(value.as_bytes().to_vec()));
            self.changed = true;
        }
    }

    /// Issues the pair if the one that is there will not do.
    fn pair(
        &mut self,
        crt: &str,
        key: &str,
        who: &Identity,
        held: &Authority,
        now: Timestamp,
    ) -> Result<(), CustodyError> {
        let (certificate, private) = (self.text(crt), self.text(key));
        let found = Found { certificate: certificate.as_deref(), key: private.as_deref() };
        if let Some(why) = judgement::why_issue(found, who, &held.certificate, now) {
            tracing::info!(identity = who.uri(), "a certificate is issued: {why}");
            let Issued { certificate, key: private } = held.issue(who, now)?;
            self.set(crt, &certificate);
            self.set(key, &private);
        }
        Ok(())
    }

    async fn write(
        &mut self,
        client: &Client,
        owner: Option<&OwnerReference>,
        type_: &str,
    ) -> Result<(), CustodyError> {
        let adopted = self.read.as_ref().is_some_and(|secret| {
            owner.is_none_or(|owner| {
                secret.metadata.owner_references.iter().flatten().any(|other| other.uid == owner.uid)
            })
        });
        if !self.changed && adopted {
            return Ok(());
        }
        let api: Api<Secret> = Api::namespaced(client.clone(), &self.namespace);
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let failed = |verb| {
            let secret = format!("{}/{}", self.namespace, self.name);
            move |source| CustodyError::Api { verb, secret, source: Box::new(source) }
        };
        let written = match &self.read {
            None => {
                let labels = owner.map(|owner| owner.name.as_str());
                let mut secret = Secret {
                    metadata: ObjectMeta {
                        name: Some(self.name.clone()),
                        labels: Some(labels_of(labels)),
                        ..ObjectMeta::default()
                    },
                    data: Some(self.data.clone()),
                    type_: Some(type_.to_owned()),
                    ..Secret::default()
                };
                secret.metadata.owner_references = owner.map(|owner| vec![owner.clone()]);
                api.create(&params, &secret).await.map_err(failed("create"))?
            }
            Some(read) => {
                let mut secret = read.clone();
                secret.metadata.managed_fields = None;
                secret.metadata.owner_references = owner.map(|owner| vec![owner.clone()]);
                secret.data = Some(self.data.clone());
                api.replace(&self.name, &params, &secret).await.map_err(failed("replace"))?
            }
        };
        self.read = Some(written);
        self.changed = false;
        Ok(())
    }
}

fn labels_of(cluster: Option<&str>) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::from([("app.kubernetes.io/managed-by".to_owned(), FIELD_MANAGER.to_owned())]);
    if let Some(cluster) = cluster {
        labels.insert(names::LABEL_CLUSTER.to_owned(), cluster.to_owned());
    }
    labels
}
