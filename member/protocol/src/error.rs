//! Errors as clients know them.
//!
//! Law: a code decides what a client does. Those of [`ErrorCode::is_always_retried`] make it ask again whatever it
//! asked, so they may be told only if nothing was done. Must not know: why something failed.

use crate::fields::Text;
use crate::message::{Answer, Body, Form};
use crate::structure::ErrorHolder;

macro_rules! error_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal $class:literal;)*) => {
        /// What went wrong, by the number that stands in the protocol.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(i32)]
        pub enum ErrorCode {
            $($(#[$doc])* $name = $code,)*
        }

        impl ErrorCode {
            /// All that are told here.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The class that a Java client makes of it.
            pub fn class_name(self) -> &'static str {
                match self {
                    $(Self::$name => $class,)*
                }
            }
        }
    };
}

error_codes! {
    /// Nothing of all these.
    Undefined = 0 "com.hazelcast.client.UndefinedErrorCodeException";
    /// Not who it says.
    Authentication = 3 "com.hazelcast.client.AuthenticationException";
    /// Something about a cache.
    Cache = 4 "javax.cache.CacheException";
    /// No such cache.
    CacheNotExists = 6 "com.hazelcast.cache.CacheNotExistsException";
    /// The caller is no member any more.
    CallerNotMember = 8 "com.hazelcast.spi.exception.CallerNotMemberException";
    /// Called off.
    Cancellation = 9 "java.util.concurrent.CancellationException";
    /// A value of another type was expected.
    ClassCast = 10 "java.lang.ClassCastException";
    /// Code that is not here.
    ClassNotFound = 11 "java.lang.ClassNotFoundException";
    /// The object is gone.
    DistributedObjectDestroyed = 14 "com.hazelcast.spi.exception.DistributedObjectDestroyedException";
    /// Code of a client failed.
    EntryProcessor = 16 "javax.cache.processor.EntryProcessorException";
    /// Something that only its text tells.
    Hazelcast = 18 "com.hazelcast.core.HazelcastException";
    /// The member does not serve now.
    InstanceNotActive = 19 "com.hazelcast.core.HazelcastInstanceNotActiveException";
    /// Too much at once.
    Overload = 20 "com.hazelcast.core.HazelcastOverloadException";
    /// Bytes that cannot be read.
    Serialization = 21 "com.hazelcast.nio.serialization.HazelcastSerializationException";
    /// Input or output failed.
    Io = 22 "java.io.IOException";
    /// A value that may not be.
    IllegalArgument = 23 "java.lang.IllegalArgumentException";
    /// A lock of somebody else.
    IllegalMonitorState = 26 "java.lang.IllegalMonitorStateException";
    /// Not now.
    IllegalState = 27 "java.lang.IllegalStateException";
    /// Configuration that cannot be.
    InvalidConfiguration = 32 "com.hazelcast.config.InvalidConfigurationException";
    /// A member is gone.
    MemberLeft = 33 "com.hazelcast.core.MemberLeftException";
    /// Nothing there.
    NoSuchElement = 35 "java.util.NoSuchElementException";
    /// A null where none may be.
    NullPointer = 37 "java.lang.NullPointerException";
    /// No answer in time: what was done is unknown.
    OperationTimeout = 38 "com.hazelcast.core.OperationTimeoutException";
    /// The partition moves.
    PartitionMigrating = 39 "com.hazelcast.spi.exception.PartitionMigratingException";
    /// A predicate that cannot be.
    Query = 40 "com.hazelcast.query.QueryException";
    /// Too many results.
    QueryResultSizeExceeded = 41 "com.hazelcast.map.QueryResultSizeExceededException";
    /// Full.
    ReachedMaxSize = 43 "com.hazelcast.map.ReachedMaxSizeException";
    /// Not done; ask again.
    Retryable = 46 "com.hazelcast.spi.exception.RetryableHazelcastException";
    /// Input or output failed before anything was done; ask again.
    RetryableIo = 47 "com.hazelcast.spi.exception.RetryableIOException";
    /// A defect.
    Runtime = 48 "java.lang.RuntimeException";
    /// Not allowed.
    Security = 49 "java.lang.SecurityException";
    /// A connection failed.
    Socket = 50 "java.net.SocketException";
    /// The journal does not go back that far.
    StaleSequence = 51 "com.hazelcast.ringbuffer.StaleSequenceException";
    /// The member that was to do it is not connected.
    TargetDisconnected = 52 "com.hazelcast.spi.exception.TargetDisconnectedException";
    /// The member that was to do it is none.
    TargetNotMember = 53 "com.hazelcast.spi.exception.TargetNotMemberException";
    /// Not in time.
    Timeout = 54 "java.util.concurrent.TimeoutException";
    /// Not spoken or not offered here.
    UnsupportedOperation = 61 "java.lang.UnsupportedOperationException";
    /// The partition is another member's.
    WrongTarget = 62 "com.hazelcast.spi.exception.WrongTargetException";
    /// Not allowed to this user.
    AccessControl = 64 "java.security.AccessControlException";
    /// No member holds data.
    NoDataMember = 67 "com.hazelcast.partition.NoDataMemberInClusterException";
    /// A message that is too long.
    MaxMessageSizeExceeded = 69 "com.hazelcast.client.impl.protocol.exception.MaxMessageSizeExceeded";
    /// It is not known how many replicas have it.
    IndeterminateOperationState = 80 "com.hazelcast.core.IndeterminateOperationStateException";
    /// The member has no replica.
    TargetNotReplica = 82 "com.hazelcast.crdt.TargetNotReplicaException";
    /// The cluster's state does not allow it.
    CannotReplicate = 90 "com.hazelcast.cp.exception.CannotReplicateException";
}

impl ErrorCode {
    /// Whether every client asks again by itself, even what is not safe to do twice.
    pub fn is_always_retried(self) -> bool {
        matches!(
            self,
            Self::CallerNotMember
                | Self::InstanceNotActive
                | Self::Io
                | Self::MemberLeft
                | Self::PartitionMigrating
                | Self::Retryable
                | Self::RetryableIo
                | Self::Socket
                | Self::TargetNotMember
                | Self::WrongTarget
                | Self::TargetNotReplica
                | Self::CannotReplicate
        )
    }
}

record! {
    /// The answer to any request that failed: an error, its cause, the cause of that.
    ErrorAnswer ([] (errors: Vec<ErrorHolder>))
}

impl Body for ErrorAnswer {
    const KIND: u32 = 0;
    const FORM: Form = Form::Answer;
    const NAME: &'static str = "error";
}

impl Answer for ErrorAnswer {}

impl ErrorAnswer {
    /// One error, without a stack: places in our code help no user.
    pub fn of(code: ErrorCode, message: impl Into<Text>) -> Self {
        let class_name = Text::from_static(code.class_name());
        let message = Some(message.into());
        Self { errors: vec![ErrorHolder { code: code as i32, class_name, message, stack: vec![] }] }
    }
}
