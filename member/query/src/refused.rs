//! Why a question is not answered.
//!
//! Law: the thing, where it stands and what is wrong with it, in a sentence. Must not know: codes of errors.

use thiserror::Error;

/// A question that is not answered.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refused {
    /// Bytes that are not what they say.
    #[error("{what} cannot be read: {why}")]
    Unreadable {
        /// A predicate, a value.
        what: &'static str,
        /// How far it could be.
        why: String,
    },
    /// Something that other members of this protocol may know.
    #[error("{what} is not offered by this member: {instead}")]
    NotOffered {
        /// By name.
        what: String,
        /// What is.
        instead: &'static str,
    },
    /// A predicate in words.
    #[error("Invalid SQL: [{words}]: {why}")]
    Words {
        /// As they came.
        words: String,
        /// Where they cannot be read on.
        why: String,
    },
    /// A pattern of texts.
    #[error("the pattern '{pattern}' is not taken: {why}")]
    Pattern {
        /// As it came.
        pattern: String,
        /// What is wrong with it.
        why: String,
    },
    /// The name of an attribute.
    #[error("'{path}' names no attribute: {why}")]
    Path {
        /// As it came.
        path: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A value that has no attributes.
    #[error(
        "there is no '{attribute}' in {of}: only JSON and Compact values have attributes; 'this' is the whole value"
    )]
    NoAttribute {
        /// That was asked for.
        attribute: String,
        /// What the value is.
        of: String,
    },
    /// Two that are not of one kind.
    #[error("'{attribute}' is {of} here and cannot be compared with {with}")]
    Unlike {
        /// That was asked for.
        attribute: String,
        /// What it is in an entry.
        of: String,
        /// What it should be compared with.
        with: String,
    },
    /// Something else than an aggregator is made for.
    #[error("{aggregator} of '{attribute}' is made of numbers, here it is {of}")]
    NotSummed {
        /// Which.
        aggregator: &'static str,
        /// Its attribute.
        attribute: String,
        /// What it is in an entry.
        of: String,
    },
    /// A result that its type does not hold.
    #[error("{aggregator} of '{attribute}' is larger than the answer can be: sum it as a decimal or floating number")]
    Overflow {
        /// Which.
        aggregator: &'static str,
        /// Its attribute.
        attribute: String,
    },
    /// More than the room takes.
    #[error("{what} is beyond the bound of {most}")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// Bound.
        most: usize,
    },
    /// To be asked again when this schema is known; told to nobody where it is not.
    #[error("the schema {fingerprint} of a Compact value is not known to the cluster")]
    Schema {
        /// Which.
        fingerprint: i64,
    },
}

impl Refused {
    pub(crate) fn unreadable(what: &'static str, why: impl ToString) -> Self {
        Self::Unreadable { what, why: why.to_string() }
    }
}
