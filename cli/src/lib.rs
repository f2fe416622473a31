//! The command line: `jet` and `jet-cluster-admin` speak to members, `kubectl-jet` to Kubernetes.
//!
//! Law: what is printed is what was answered; a refusal is printed with its way out and ends non-zero. Must not
//! know: the operator's types (it reads JetClusters as plain JSON) or anything inside a member but its store's audit.
//!
//! - [`connection`]: flags by which a member is found, and the client made of them
//! - [`jobs`], [`cluster`], [`sql`], [`backup`]: the commands of `jet` · [`status`]: `kubectl jet status` · [`live`]: how far members are now
//! - [`store`]: `jet store`, over a directory · [`cluster_admin`]: `jet-cluster-admin` · [`columns`]: rows as aligned text

pub mod backup;
pub mod cluster;
pub mod cluster_admin;
pub mod columns;
pub mod connection;
pub mod jobs;
pub mod live;
pub mod sql;
pub mod status;
pub mod store;
