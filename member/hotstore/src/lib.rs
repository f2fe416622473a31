//! The hot-restart store: what one member keeps on its volume, so that the cluster can be switched off and on again.
//!
//! The law it keeps: nothing that was said to be durable is lost, nothing wrong is ever handed out, nothing that does
//! not verify is deleted or cut; when unsure it refuses and says which file, which offset and what that costs.
//! It must not know: clusters, consensus, jobs, clocks of others, async runtimes. It gets bytes and gives bytes.
//!
//! Contents: [`disk`] the only door to the file system · [`store`] opening, writing, sealing, activating ·
//! [`log`] the append log of partitions · [`epoch`] snapshot epochs of jobs · [`seal`] manifests ·
//! [`consensus`] the consensus log · [`identity`], [`founding`], [`boot`], [`owner`] who this is ·
//! [`backup`] what a backup says of itself · `stillness` what waits for its moment · [`scan`] → [`resolve`] what a directory holds · [`audit`] the same told to people, and whether it is whole · [`refusal`] typed reasons · `FORMAT.md` the bytes.

pub mod audit;
pub mod backup;
pub mod boot;
pub mod consensus;
pub mod disk;
pub mod epoch;
pub mod failure;
pub mod founding;
pub mod frame;
pub mod given_up;
pub mod identity;
pub mod layout;
pub mod log;
pub mod opened;
pub mod owner;
pub mod quarantine;
pub mod refounding;
pub mod refusal;
pub mod resolve;
pub mod scan;
pub mod seal;
mod stillness;
pub mod store;

pub use audit::KeyUse;
pub use backup::BackupTold;
pub use consensus::{ConsensusLog, LogEntry};
pub use disk::encrypted::keys::{KeyError, Keys};
pub use disk::simulated::{Aftermath, Fault, SimulatedDisk};
pub use disk::{Disk, DiskFile, EncryptedDisk, OsDisk};
pub use epoch::{EpochId, EpochInfo, EpochPart, EpochReader, EpochWriter};
pub use failure::StoreError;
pub use founding::{Founded, Founding};
pub use identity::Identity;
pub use log::queue::{Appended, Closed, Health, Ticket};
pub use log::record::{Base, Kind, Record, Space, Version};
pub use refusal::Refused;
pub use resolve::{Contents, Resolution};
pub use seal::{PartitionContent, SealRequest, SealSummary};
pub use store::backup::{BackupError, BackupReport, Company};
pub use store::collecting::{Due, live_bytes};
pub use store::load::{Cut, LoadReport, Loaded, PartitionFound, Sink};
pub use store::progress::{Doing, Pace, Progress, Slow, Underway};
pub use store::usage::Usage;
pub use store::{Cadence, Options, Store, inspect};
