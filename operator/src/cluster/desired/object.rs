//! Any object, ready to be applied by its kind.
//!
//! Law: it carries the digest of itself, so that what is as it should be is not written again. Must not know: what
//! the objects are for.

use k8s_openapi::NamespaceResourceScope;
use kube::api::ApiResource;
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde_json::Value;

use super::DesiredError;
use crate::api::annotations;

/// One object as it should be.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// How to reach it.
    pub api: ApiResource,
    /// Name.
    pub name: String,
    /// Body of the server-side apply, with [`annotations::APPLIED`].
    pub body: Value,
    /// What the annotation says.
    pub digest: String,
}

impl Object {
    /// Makes an object out of a typed one.
    pub fn of<K>(object: &K) -> Result<Self, DesiredError>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Serialize,
    {
        let name = object.name_any();
        let failed =
            |reason: String| DesiredError::Object { kind: K::kind(&()).into_owned(), name: name.clone(), reason };
        let mut body = serde_json::to_value(object).map_err(|error| failed(error.to_string()))?;
        let text = serde_json::to_vec(&body).map_err(|error| failed(error.to_string()))?;
        let digest = blake3::hash(&text).to_hex()[..16].to_owned();
        let metadata = body.get_mut("metadata").and_then(Value::as_object_mut);
        let metadata = metadata.ok_or_else(|| failed("it has no metadata".into()))?;
        let stamps = metadata.entry("annotations").or_insert_with(|| Value::Object(serde_json::Map::new()));
        if let Some(stamps) = stamps.as_object_mut() {
            stamps.insert(annotations::APPLIED.into(), digest.clone().into());
        }
        Ok(Self { api: ApiResource::erase::<K>(&()), name, body, digest })
    }

    /// Whether a live object (its annotations) was last applied as this.
    pub fn is_applied(&self, live: &impl ResourceExt) -> bool {
        live.annotations().get(annotations::APPLIED) == Some(&self.digest)
    }
}
