//! Annotations: what people ask with, and what the operator stamps on its own objects.
//!
//! Law: a value that is unknown or empty changes nothing in either direction. Must not know: what is done about them.

/// On a JetCluster, level: `shutdown` asks for the stop; its absence for the return.
pub const MAINTENANCE: &str = "jet.lossless.dev/maintenance";
/// The only value of [`MAINTENANCE`].
pub const MAINTENANCE_SHUTDOWN: &str = "shutdown";
/// On a JetCluster, nonce: one stop and return.
pub const RESTART: &str = "jet.lossless.dev/restart";
/// On a JetCluster: the id of the operation to abort.
pub const ABORT: &str = "jet.lossless.dev/abort";
/// On a JetCluster: the id of the spent operation to try again.
pub const RETRY: &str = "jet.lossless.dev/retry";
/// On a JetCluster, level: `true` stops the planning of new steps.
pub const PAUSE: &str = "jet.lossless.dev/pause";
/// The only value of [`PAUSE`].
pub const PAUSE_TRUE: &str = "true";
/// On a JetCluster that is being deleted: `abandon` releases it as it is.
pub const DELETE: &str = "jet.lossless.dev/delete";
/// The only value of [`DELETE`].
pub const DELETE_ABANDON: &str = "abandon";
/// On a JetCluster, written together with [`MAINTENANCE`]: number of the last stop that was asked of the members and that
/// became a wish, `<cluster>/<number>`. It stays when the wish goes.
pub const MEMBERS_REQUEST: &str = "jet.lossless.dev/members-request";
/// On a JetCluster: digest of the claims' new uids ([`crate::api::status::VolumesStatus`]): restored copies are right.
pub const ADOPT_VOLUMES: &str = "jet.lossless.dev/adopt-volumes";
/// On a JetCluster: digest of `status.lossPreview`.
pub const ACCEPT_DATA_LOSS: &str = "jet.lossless.dev/accept-data-loss";
/// On a sealed claim, record or StatefulSet: digest of the seal that may go.
pub const RELEASE: &str = "jet.lossless.dev/release";

/// On the StatefulSet: the open operation ([`crate::api::records::OperationStamp`], JSON).
pub const STAMP_OPERATION: &str = "jet.lossless.dev/operation";
/// On the StatefulSet: name/uid of the seal ConfigMap that justifies replicas 0.
pub const STAMP_SEAL: &str = "jet.lossless.dev/seal";
/// On the StatefulSet: operation id whose activation was or will be sent: no way back from here.
pub const STAMP_ACTIVATING: &str = "jet.lossless.dev/activating";
/// On the StatefulSet: the spent wish ([`crate::api::records::SpentWish`], JSON).
pub const STAMP_SPENT: &str = "jet.lossless.dev/spent";
/// Every key that the plan stamps on the StatefulSet.
pub const STAMPS: [&str; 4] = [STAMP_OPERATION, STAMP_SEAL, STAMP_ACTIVATING, STAMP_SPENT];

/// On a claim: whose store lies on it ([`crate::api::records::ClaimStamp`], JSON).
pub const CLAIM_STAMP: &str = "jet.lossless.dev/store";
/// On a JetJob: what was asked of the members for it ([`crate::job::evidence::Asked`], JSON), written before it is asked.
pub const JOB_ASKED: &str = "jet.lossless.dev/asked";
/// On each applied object: digest of what was applied.
pub const APPLIED: &str = "jet.lossless.dev/applied";
