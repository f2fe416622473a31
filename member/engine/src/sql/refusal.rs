//! Why a statement is refused. Law: name the thing, the reason and the way out; never guess.

/// A statement that the engine does not take.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum SqlError {
    /// The text is not SQL of our dialect.
    #[error("cannot read the statement: {reason}; correct it there")]
    Syntax {
        /// What the parser said.
        reason: String,
    },
    /// The text is SQL, but not something that a streaming job can do here.
    #[error("{thing} is not supported: {reason}; {way_out}")]
    Unsupported {
        /// The construct.
        thing: String,
        /// Why not.
        reason: String,
        /// What to write instead.
        way_out: String,
    },
    /// An option has a value that makes no sense.
    #[error("option '{option}' of {owner} is '{value}': {reason}")]
    Option {
        /// Mapping or job.
        owner: String,
        /// Option name.
        option: String,
        /// Value as written.
        value: String,
        /// What is expected.
        reason: String,
    },
    /// A name that nobody has defined.
    #[error("{kind} '{name}' is unknown: {way_out}")]
    Unknown {
        /// Mapping, column, option.
        kind: &'static str,
        /// The name.
        name: String,
        /// What to do.
        way_out: String,
    },
    /// The planner refused.
    #[error("cannot plan {what}: {reason}")]
    Plan {
        /// The query.
        what: String,
        /// What the planner said.
        reason: String,
    },
    /// A file that cannot be looked at.
    #[error("file '{path}': {reason}")]
    File {
        /// Path as written.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// The plan was made by another engine, or this member would make another one of the same text.
    #[error(
        "plan of job '{job}' does not fit this member: {what} is {theirs} there and {ours} here; all members must run the same version"
    )]
    Fingerprint {
        /// Job.
        job: String,
        /// Which fingerprint.
        what: &'static str,
        /// As shipped.
        theirs: String,
        /// As computed here.
        ours: String,
    },
}

impl SqlError {
    pub(crate) fn unsupported(thing: impl Into<String>, reason: impl Into<String>, way_out: impl Into<String>) -> Self {
        SqlError::Unsupported { thing: thing.into(), reason: reason.into(), way_out: way_out.into() }
    }

    pub(crate) fn plan(what: impl Into<String>, reason: impl std::fmt::Display) -> Self {
        SqlError::Plan { what: what.into(), reason: reason.to_string() }
    }

    pub(crate) fn option(owner: &str, option: &str, value: &str, reason: impl Into<String>) -> Self {
        SqlError::Option { owner: owner.into(), option: option.into(), value: value.into(), reason: reason.into() }
    }
}
