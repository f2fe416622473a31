//! The table of messages, and the two ways through it.
//!
//! Law: a kind is understood in one place, and what no line names is told apart from what is malformed.
//! Must not know: what is done with a request.

pub mod cache;
pub mod client;
pub mod jet;
pub mod map;
pub mod sql;

use bytes::BytesMut;
use thiserror::Error;

use crate::error::{ErrorAnswer, ErrorCode};
use crate::frames::{ANSWER_HEAD, Cursor, Head, Malformed, Message, REQUEST_HEAD, TooLong, Writer};
use crate::table::{Fields, Record};

pub use crate::frames::Form;

/// One form of a line of the table.
pub trait Body: Record {
    /// What the message begins with.
    const KIND: u32;
    /// Whether it is asked, answered or told.
    const FORM: Form;
    /// Service and method.
    const NAME: &'static str;
}

/// What clients send.
pub trait Ask: Body {
    /// What is answered.
    type Answer: Answer;
}

/// What is answered, once.
pub trait Answer: Body {}

/// What is told, under the correlation of the request that asked to be told.
pub trait Event: Body {}

/// No partition is meant.
pub const NO_PARTITION: i32 = -1;

/// Any request of the table.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// Connections, the cluster as clients see it, schemas.
    Client(client::Request),
    /// Maps.
    Map(map::Request),
    /// Caches.
    Cache(cache::Request),
    /// Statements and their pages.
    Sql(sql::Request),
    /// Jobs.
    Jet(jet::Request),
}

/// Why a message is not answered as the request that it might be. The connection goes on.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RequestError {
    /// No line of the table has its kind.
    #[error("no request of kind {kind:#08x} is spoken here")]
    Unknown {
        /// As it came.
        kind: u32,
    },
    /// A field is not what the table says.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
}

impl RequestError {
    /// What the client is told: nothing that it would try again.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Unknown { .. } => ErrorCode::UnsupportedOperation,
            Self::Malformed(_) => ErrorCode::Serialization,
        }
    }
}

/// Why a message is not of a form of the table.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// It is another message.
    #[error("{message} has kind {expected:#08x}, and {found:#08x} came")]
    Kind {
        /// What was looked for.
        message: &'static str,
        /// Its kind.
        expected: u32,
        /// As it came.
        found: u32,
    },
    /// A field is not what the table says.
    #[error("{message}, field {field}: {why}")]
    Field {
        /// Which message.
        message: &'static str,
        /// Which of its fields; inside lists and structures the outermost.
        field: &'static str,
        /// What is wrong with it.
        why: Malformed,
    },
}

impl Request {
    /// The request that a message is.
    pub fn take(message: &Message) -> Result<Self, RequestError> {
        let kind = message.kind();
        let request = match kind >> 16 {
            0x00 => client::Request::take(message)?.map(Self::Client),
            0x01 => map::Request::take(message)?.map(Self::Map),
            0x13 => cache::Request::take(message)?.map(Self::Cache),
            0x21 => sql::Request::take(message)?.map(Self::Sql),
            0xfe => jet::Request::take(message)?.map(Self::Jet),
            _ => None,
        };
        request.ok_or(RequestError::Unknown { kind })
    }

    /// Appends it, as a client that does not know which one it has.
    pub fn put(&self, correlation: i64, partition: i32, out: &mut BytesMut) -> Result<(), TooLong> {
        match self {
            Self::Client(request) => request.put(correlation, partition, out),
            Self::Map(request) => request.put(correlation, partition, out),
            Self::Cache(request) => request.put(correlation, partition, out),
            Self::Sql(request) => request.put(correlation, partition, out),
            Self::Jet(request) => request.put(correlation, partition, out),
        }
    }

    /// Service and method.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Client(request) => request.name(),
            Self::Map(request) => request.name(),
            Self::Cache(request) => request.name(),
            Self::Sql(request) => request.name(),
            Self::Jet(request) => request.name(),
        }
    }
}

/// A message as one form of the table.
pub fn take<B: Body>(message: &Message) -> Result<B, DecodeError> {
    let found = message.kind();
    if found != B::KIND {
        return Err(DecodeError::Kind { message: B::NAME, expected: B::KIND, found });
    }
    let misfit = |field, why| DecodeError::Field { message: B::NAME, field, why };
    let head = if B::FORM == Form::Answer { ANSWER_HEAD } else { REQUEST_HEAD };
    let first = message.first();
    let fixed = first.get(head..).ok_or_else(|| misfit("head", Malformed::Short { have: first.len(), need: head }))?;
    let mut cursor = Cursor::behind_first(message);
    B::take(&mut Fields::of_message(&mut cursor, fixed)).map_err(|wrong| misfit(wrong.field, wrong.why))
}

/// Why a client has no answer in its hands.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum NoAnswer {
    /// It was told why.
    #[error("{0:?}")]
    Failed(ErrorAnswer),
    /// What came is no answer to this request.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
}

/// A message as the answer to a request, for clients.
pub fn take_answer<R: Ask>(message: &Message) -> Result<R::Answer, NoAnswer> {
    match message.kind() {
        ErrorAnswer::KIND => Err(NoAnswer::Failed(take(message)?)),
        _ => Ok(take(message)?),
    }
}

/// Appends a request.
pub fn put_request<R: Ask>(request: &R, correlation: i64, partition: i32, out: &mut BytesMut) -> Result<(), TooLong> {
    put(request, correlation, partition, out)
}

/// Appends an answer. It says that no acknowledgement of a backup is to be waited for.
pub fn put_answer<A: Answer>(answer: &A, correlation: i64, out: &mut BytesMut) -> Result<(), TooLong> {
    put(answer, correlation, NO_PARTITION, out)
}

/// Appends an event for who registered with that correlation.
pub fn put_event<E: Event>(event: &E, correlation: i64, out: &mut BytesMut) -> Result<(), TooLong> {
    put(event, correlation, NO_PARTITION, out)
}

pub(crate) fn put<B: Body>(body: &B, correlation: i64, partition: i32, out: &mut BytesMut) -> Result<(), TooLong> {
    let mut writer = Writer::begin(out, Head { form: B::FORM, kind: B::KIND, correlation, partition });
    body.put_fixed(writer.put());
    writer.close();
    body.put_framed(&mut writer);
    writer.finish(B::NAME)
}
