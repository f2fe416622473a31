//! Maps.
//!
//! Law: keys and values are [`Data`], never looked into here. Must not know: how a map does what it is asked.

use uuid::Uuid;

use crate::data::Data;
use crate::fields::Text;
use crate::structure::{AnchorDataList, EntryView, IndexConfig, PagingPredicate};

/// The bits of [`add_entry_listener::Entry::event_type`], and of the flags by which a listener says what it wants.
pub mod event_type {
    /// A key that was not there.
    pub const ADDED: i32 = 1;
    /// A key is gone.
    pub const REMOVED: i32 = 1 << 1;
    /// A key has another value.
    pub const UPDATED: i32 = 1 << 2;
    /// A key made room.
    pub const EVICTED: i32 = 1 << 3;
    /// A key's time is over.
    pub const EXPIRED: i32 = 1 << 4;
    /// All keys made room.
    pub const EVICT_ALL: i32 = 1 << 5;
    /// All keys are gone.
    pub const CLEAR_ALL: i32 = 1 << 6;
    /// A value of another cluster was taken.
    pub const MERGED: i32 = 1 << 7;
    /// What a near cache holds is old.
    pub const INVALIDATION: i32 = 1 << 8;
    /// A value came from behind the map.
    pub const LOADED: i32 = 1 << 9;
}

messages! { "map":
    /// A key gets a value; answered with the former one.
    Put put = 0x010100:
        ([thread: i64, ttl: i64] (name: Text, key: Data, value: Data)) => ([] (former: Option<Data>));
    /// The value of a key.
    Get get = 0x010200: ([thread: i64] (name: Text, key: Data)) => ([] (value: Option<Data>));
    /// A key goes; answered with its value.
    Remove remove = 0x010300: ([thread: i64] (name: Text, key: Data)) => ([] (former: Option<Data>));
    /// A key that is there gets a value.
    Replace replace = 0x010400:
        ([thread: i64] (name: Text, key: Data, value: Data)) => ([] (former: Option<Data>));
    /// A key that has a value gets another.
    ReplaceIfSame replace_if_same = 0x010500:
        ([thread: i64] (name: Text, key: Data, expected: Data, value: Data)) => ([replaced: bool] ());
    /// Whether a key is there.
    ContainsKey contains_key = 0x010600: ([thread: i64] (name: Text, key: Data)) => ([contained: bool] ());
    /// Whether a value is there.
    ContainsValue contains_value = 0x010700: ([] (name: Text, value: Data)) => ([contained: bool] ());
    /// A key that has a value goes.
    RemoveIfSame remove_if_same = 0x010800:
        ([thread: i64] (name: Text, key: Data, value: Data)) => ([removed: bool] ());
    /// A key goes.
    Delete delete = 0x010900: ([thread: i64] (name: Text, key: Data)) => ([] () + [deleted: bool] ());
    /// What waits for a store behind the map is written there.
    Flush flush = 0x010a00: ([] (name: Text)) => ([] ());
    /// A key goes, if it is not locked for that long.
    TryRemove try_remove = 0x010b00:
        ([thread: i64, timeout: i64] (name: Text, key: Data)) => ([removed: bool] ());
    /// A key gets a value, if it is not locked for that long.
    TryPut try_put = 0x010c00:
        ([thread: i64, timeout: i64] (name: Text, key: Data, value: Data)) => ([put: bool] ());
    /// A key gets a value that no store behind the map sees.
    PutTransient put_transient = 0x010d00:
        ([thread: i64, ttl: i64] (name: Text, key: Data, value: Data)) => ([] ());
    /// A key that is not there gets a value.
    PutIfAbsent put_if_absent = 0x010e00:
        ([thread: i64, ttl: i64] (name: Text, key: Data, value: Data)) => ([] (present: Option<Data>));
    /// A key gets a value.
    Set set = 0x010f00: ([thread: i64, ttl: i64] (name: Text, key: Data, value: Data)) => ([] ());
    /// A key is the thread's alone, for at most `ttl`.
    Lock lock = 0x011000: ([thread: i64, ttl: i64, reference: i64] (name: Text, key: Data)) => ([] ());
    /// The same, if it can be had in time.
    TryLock try_lock = 0x011100:
        ([thread: i64, lease: i64, timeout: i64, reference: i64] (name: Text, key: Data)) => ([locked: bool] ());
    /// Whether a key is locked.
    IsLocked is_locked = 0x011200: ([] (name: Text, key: Data)) => ([locked: bool] ());
    /// A key is free again.
    Unlock unlock = 0x011300: ([thread: i64, reference: i64] (name: Text, key: Data)) => ([] ());
    /// To be told of one key, where a predicate holds.
    AddEntryListenerToKeyWithPredicate add_entry_listener_to_key_with_predicate = 0x011600:
        ([include_value: bool, flags: i32, local_only: bool] (name: Text, key: Data, predicate: Data))
        => ([registration: Uuid] ()),
        Entry = 0x011602:
            ([event_type: i32, member: Uuid, affected: i32]
             (key: Option<Data>, value: Option<Data>, former: Option<Data>, merging: Option<Data>));
    /// To be told where a predicate holds.
    AddEntryListenerWithPredicate add_entry_listener_with_predicate = 0x011700:
        ([include_value: bool, flags: i32, local_only: bool] (name: Text, predicate: Data))
        => ([registration: Uuid] ()),
        Entry = 0x011702:
            ([event_type: i32, member: Uuid, affected: i32]
             (key: Option<Data>, value: Option<Data>, former: Option<Data>, merging: Option<Data>));
    /// To be told of one key.
    AddEntryListenerToKey add_entry_listener_to_key = 0x011800:
        ([include_value: bool, flags: i32, local_only: bool] (name: Text, key: Data)) => ([registration: Uuid] ()),
        Entry = 0x011802:
            ([event_type: i32, member: Uuid, affected: i32]
             (key: Option<Data>, value: Option<Data>, former: Option<Data>, merging: Option<Data>));
    /// To be told of all keys.
    AddEntryListener add_entry_listener = 0x011900:
        ([include_value: bool, flags: i32, local_only: bool] (name: Text)) => ([registration: Uuid] ()),
        Entry = 0x011902:
            ([event_type: i32, member: Uuid, affected: i32]
             (key: Option<Data>, value: Option<Data>, former: Option<Data>, merging: Option<Data>));
    /// Not to be told any more.
    RemoveEntryListener remove_entry_listener = 0x011a00:
        ([registration: Uuid] (name: Text)) => ([removed: bool] ());
    /// To be told of partitions of the map of which all replicas are lost.
    AddPartitionLostListener add_partition_lost_listener = 0x011b00:
        ([local_only: bool] (name: Text)) => ([registration: Uuid] ()),
        PartitionLost = 0x011b02: ([partition: i32, member: Uuid] ());
    /// Not to be told any more.
    RemovePartitionLostListener remove_partition_lost_listener = 0x011c00:
        ([registration: Uuid] (name: Text)) => ([removed: bool] ());
    /// What is known of a key beside its value.
    GetEntryView get_entry_view = 0x011d00:
        ([thread: i64] (name: Text, key: Data)) => ([max_idle: i64] (view: Option<EntryView>));
    /// A key leaves RAM.
    Evict evict = 0x011e00: ([thread: i64] (name: Text, key: Data)) => ([evicted: bool] ());
    /// All keys that are not locked leave RAM.
    EvictAll evict_all = 0x011f00: ([] (name: Text)) => ([] ());
    /// All keys come from the store behind the map.
    LoadAll load_all = 0x012000: ([replace: bool] (name: Text)) => ([] ());
    /// The same of these keys.
    LoadGivenKeys load_given_keys = 0x012100: ([replace: bool] (name: Text, keys: Vec<Data>)) => ([] ());
    /// All keys.
    KeySet key_set = 0x012200: ([] (name: Text)) => ([] (keys: Vec<Data>));
    /// The values of some keys.
    GetAll get_all = 0x012300: ([] (name: Text, keys: Vec<Data>)) => ([] (entries: Vec<(Data, Data)>));
    /// All values.
    Values values = 0x012400: ([] (name: Text)) => ([] (values: Vec<Data>));
    /// All entries.
    EntrySet entry_set = 0x012500: ([] (name: Text)) => ([] (entries: Vec<(Data, Data)>));
    /// The keys where a predicate holds.
    KeySetWithPredicate key_set_with_predicate = 0x012600:
        ([] (name: Text, predicate: Data)) => ([] (keys: Vec<Data>));
    /// The values where a predicate holds.
    ValuesWithPredicate values_with_predicate = 0x012700:
        ([] (name: Text, predicate: Data)) => ([] (values: Vec<Data>));
    /// The entries where a predicate holds.
    EntriesWithPredicate entries_with_predicate = 0x012800:
        ([] (name: Text, predicate: Data)) => ([] (entries: Vec<(Data, Data)>));
    /// An index over attributes of values.
    AddIndex add_index = 0x012900: ([] (name: Text, index: IndexConfig)) => ([] ());
    /// How many keys there are.
    Size size = 0x012a00: ([] (name: Text)) => ([size: i32] ());
    /// Whether there are none.
    IsEmpty is_empty = 0x012b00: ([] (name: Text)) => ([empty: bool] ());
    /// Entries of one partition.
    PutAll put_all = 0x012c00:
        ([] (name: Text, entries: Vec<(Data, Data)>) + [trigger_map_loader: bool] ()) => ([] ());
    /// All keys go.
    Clear clear = 0x012d00: ([] (name: Text)) => ([] ());
    /// A key is free again, whoever locked it.
    ForceUnlock force_unlock = 0x013300: ([reference: i64] (name: Text, key: Data)) => ([] ());
    /// One page of keys.
    KeySetWithPagingPredicate key_set_with_paging_predicate = 0x013400:
        ([] (name: Text, predicate: PagingPredicate)) => ([] (keys: Vec<Data>, anchors: AnchorDataList));
    /// One page of values.
    ValuesWithPagingPredicate values_with_paging_predicate = 0x013500:
        ([] (name: Text, predicate: PagingPredicate)) => ([] (values: Vec<Data>, anchors: AnchorDataList));
    /// One page of entries.
    EntriesWithPagingPredicate entries_with_paging_predicate = 0x013600:
        ([] (name: Text, predicate: PagingPredicate)) => ([] (entries: Vec<(Data, Data)>, anchors: AnchorDataList));
    /// The next keys of a partition, from where the pointers are.
    FetchKeys fetch_keys = 0x013700:
        ([batch: i32] (name: Text, pointers: Vec<(i32, i32)>)) => ([] (pointers: Vec<(i32, i32)>, keys: Vec<Data>));
    /// The next entries of a partition.
    FetchEntries fetch_entries = 0x013800:
        ([batch: i32] (name: Text, pointers: Vec<(i32, i32)>))
        => ([] (pointers: Vec<(i32, i32)>, entries: Vec<(Data, Data)>));
    /// One value made of all entries.
    Aggregate aggregate = 0x013900: ([] (name: Text, aggregator: Data)) => ([] (result: Option<Data>));
    /// One value made of the entries where a predicate holds.
    AggregateWithPredicate aggregate_with_predicate = 0x013a00:
        ([] (name: Text, aggregator: Data, predicate: Data)) => ([] (result: Option<Data>));
    /// Something made of each entry.
    Project project = 0x013b00: ([] (name: Text, projection: Data)) => ([] (results: Vec<Option<Data>>));
    /// Something made of each entry where a predicate holds.
    ProjectWithPredicate project_with_predicate = 0x013c00:
        ([] (name: Text, projection: Data, predicate: Data)) => ([] (results: Vec<Option<Data>>));
    /// How far invalidations of near caches are, by map and partition.
    FetchNearCacheInvalidationMetadata fetch_near_cache_invalidation_metadata = 0x013d00:
        ([member: Uuid] (names: Vec<Text>))
        => ([] (sequences: Vec<(Text, Vec<(i32, i64)>)>, partitions: Vec<(i32, Uuid)>));
    /// The entries where a predicate holds go.
    RemoveAll remove_all = 0x013e00: ([] (name: Text, predicate: Data)) => ([] ());
    /// To be told what a near cache may not hold any more.
    AddNearCacheInvalidationListener add_near_cache_invalidation_listener = 0x013f00:
        ([flags: i32, local_only: bool] (name: Text)) => ([registration: Uuid] ()),
        Invalidation = 0x013f02: ([source: Uuid, partition: Uuid, sequence: i64] (key: Option<Data>)),
        BatchInvalidation = 0x013f03:
            ([] (keys: Vec<Data>, sources: Vec<Uuid>, partitions: Vec<Uuid>, sequences: Vec<i64>));
    /// The next entries of a partition where a predicate holds, projected.
    FetchWithQuery fetch_with_query = 0x014000:
        ([batch: i32] (name: Text, pointers: Vec<(i32, i32)>, projection: Data, predicate: Data))
        => ([] (results: Vec<Option<Data>>, pointers: Vec<(i32, i32)>));
    /// Where the journal of a partition begins and ends.
    EventJournalSubscribe event_journal_subscribe = 0x014100: ([] (name: Text)) => ([oldest: i64, newest: i64] ());
    /// The journal of a partition from a sequence on.
    EventJournalRead event_journal_read = 0x014200:
        ([start: i64, least: i32, most: i32] (name: Text, predicate: Option<Data>, projection: Option<Data>))
        => ([read: i32, next: i64] (items: Vec<Data>, sequences: Option<Vec<i64>>));
    /// A key lives that long from now on.
    SetTtl set_ttl = 0x014300: ([ttl: i64] (name: Text, key: Data)) => ([set: bool] ());
    /// As `put`, with a bound for how long nobody asks.
    PutWithMaxIdle put_with_max_idle = 0x014400:
        ([thread: i64, ttl: i64, max_idle: i64] (name: Text, key: Data, value: Data)) => ([] (former: Option<Data>));
    /// As `put_transient`, with a bound for how long nobody asks.
    PutTransientWithMaxIdle put_transient_with_max_idle = 0x014500:
        ([thread: i64, ttl: i64, max_idle: i64] (name: Text, key: Data, value: Data)) => ([] (former: Option<Data>));
    /// As `put_if_absent`, with a bound for how long nobody asks.
    PutIfAbsentWithMaxIdle put_if_absent_with_max_idle = 0x014600:
        ([thread: i64, ttl: i64, max_idle: i64] (name: Text, key: Data, value: Data)) => ([] (present: Option<Data>));
    /// As `set`, with a bound for how long nobody asks.
    SetWithMaxIdle set_with_max_idle = 0x014700:
        ([thread: i64, ttl: i64, max_idle: i64] (name: Text, key: Data, value: Data)) => ([] (former: Option<Data>));
    /// Entries with all that is known of them.
    PutAllWithMetadata put_all_with_metadata = 0x014900: ([] (name: Text, entries: Vec<EntryView>)) => ([] ());
}
