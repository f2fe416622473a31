//! What travels inside messages.
//!
//! Must not know: in which.

pub mod cache;

use uuid::Uuid;

use crate::data::Data;
use crate::fields::Text;

/// What [`EndpointQualifier::protocol`] says.
pub mod endpoint {
    /// Of other members. Java clients take no member that lacks an address for them.
    pub const MEMBER: i32 = 0;
    /// Of clients.
    pub const CLIENT: i32 = 1;
}

structures! {
    /// Where a member listens.
    Address ([port: i32] (host: Text));
    /// A member as clients see it.
    MemberInfo (
        [uuid: Uuid, lite: bool]
        (address: Address, attributes: Vec<(Text, Text)>, version: MemberVersion)
        + [] (addresses: Vec<(EndpointQualifier, Address)>)
    );
    /// Of a member's program.
    MemberVersion ([major: i8, minor: i8, patch: i8] ());
    /// For whom an address of a member is.
    EndpointQualifier ([protocol: i32] (identifier: Option<Text>));
    /// Of the cluster.
    Version ([major: i8, minor: i8] ());
    /// A map, or another object.
    DistributedObject ([] (service: Text, name: Text));
    /// How far the moves of partitions are.
    MigrationState ([start: i64, planned: i32, completed: i32, elapsed: i64] ());
    /// Of Compact values.
    Schema ([] (type_name: Text, fields: Vec<FieldDescriptor>));
    /// A field of Compact values.
    FieldDescriptor ([kind: i32] (name: Text));
    /// All that is known of an entry.
    EntryView (
        [cost: i64, creation_time: i64, expiration_time: i64, hits: i64, last_access_time: i64, last_stored_time: i64,
         last_update_time: i64, version: i64, ttl: i64, max_idle: i64]
        (key: Data, value: Data)
    );
    /// What an index is over.
    IndexConfig (
        [index_type: i32] (name: Option<Text>, attributes: Vec<Text>, bitmap: Option<BitmapIndexOptions>)
        + [] (btree: Option<BTreeIndexConfig>)
    );
    /// Of an index by bits.
    BitmapIndexOptions ([transformation: i32] (unique_key: Text));
    /// Of an index by order.
    BTreeIndexConfig ([] (page_size: Capacity, memory_tier: MemoryTierConfig));
    /// An amount of memory.
    Capacity ([value: i64, unit: i32] ());
    /// How much of an index lies in memory.
    MemoryTierConfig ([] (capacity: Capacity));
    /// Where the pages of a query began.
    AnchorDataList ([] (pages: Vec<i32>, anchors: Vec<(Data, Data)>));
    /// A predicate, one page of it.
    PagingPredicate (
        [page_size: i32, page: i32, iteration_type: i8]
        (anchors: AnchorDataList, predicate: Option<Data>, comparator: Option<Data>, partition_key: Option<Data>)
        + [] (partition_keys: Option<Vec<Data>>)
    );
    /// One query on one member.
    SqlQueryId ([member_high: i64, member_low: i64, local_high: i64, local_low: i64] ());
    /// Why a statement failed.
    SqlError (
        [code: i32, member: Uuid] (message: Option<Text>)
        + [] (suggestion: Option<Text>, cause: Option<Text>)
    );
    /// A column of rows.
    SqlColumnMetadata ([column_type: i32] (name: Text) + [nullable: bool] ());
    /// A job, or a query that runs.
    JobSummary (
        [light: bool, job: i64, execution: i64, status: i32, submission_time: i64, completion_time: i64]
        (name_or_id: Text, failure: Option<Text>, sql: Option<SqlSummary>)
        + [user_cancelled: bool] (suspension_cause: Option<Text>)
    );
    /// A query that runs.
    SqlSummary ([unbounded: bool] (query: Text));
    /// One error of a chain.
    ErrorHolder ([code: i32] (class_name: Text, message: Option<Text>, stack: Vec<StackTraceElement>));
    /// A place in the code of a member.
    StackTraceElement ([line: i32] (class_name: Text, method: Text, file: Option<Text>));
}
