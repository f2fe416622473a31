//! Why a statement fails, in the codes that SQL of clients has.
//!
//! Law: an error has the code by which clients decide and the sentence that a person reads. Must not know: statements.

use std::fmt::Display;

use jet_admin_api::refusal::Refusal;
use jet_protocol::error::ErrorCode;
use jet_query::Refused;

use crate::client::fault::Fault;

/// Codes of errors of SQL.
pub mod code {
    /// Nothing of the others.
    pub const GENERIC: i32 = -1;
    /// Another member could not be reached.
    pub const CONNECTION: i32 = 1_001;
    /// The rows are not kept any more.
    pub const CANCELLED: i32 = 1_003;
    /// Not in time.
    pub const TIMEOUT: i32 = 1_004;
    /// Words that cannot be read.
    pub const PARSING: i32 = 1_008;
    /// Something that is not there.
    pub const UNKNOWN: i32 = 1_010;
    /// A value that is not what it should be.
    pub const DATA: i32 = 2_000;
}

/// Why a statement fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// By which a client decides.
    pub code: i32,
    /// For whoever reads it.
    pub message: String,
}

impl Failure {
    /// With a sentence.
    pub fn new(code: i32, message: impl Display) -> Self {
        Self { code, message: message.to_string() }
    }

    /// Of a request that has no errors of SQL.
    pub fn fault(self) -> Fault {
        Fault::new(ErrorCode::Hazelcast, self.message)
    }
}

impl From<jet_engine::SqlError> for Failure {
    fn from(error: jet_engine::SqlError) -> Self {
        use jet_engine::SqlError as E;
        let code = match &error {
            E::Unknown { .. } => code::UNKNOWN,
            E::File { .. } => code::DATA,
            E::Fingerprint { .. } => code::GENERIC,
            E::Syntax { .. } | E::Unsupported { .. } | E::Option { .. } | E::Plan { .. } => code::PARSING,
        };
        Self::new(code, error)
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::new(code::GENERIC, fault.message)
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        Self::new(code::DATA, refused)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::new(code::GENERIC, refusal.message)
    }
}
