//! Caches, as Java's JCache has them.
//!
//! Law: keys, values and expiry policies are [`Data`], never looked into here. Must not know: how a cache is a map.

use uuid::Uuid;

use crate::data::Data;
use crate::fields::Text;
use crate::structure::cache::{CacheConfig, CacheEvent};

messages! { "cache":
    /// To be told of all keys.
    AddEntryListener add_entry_listener = 0x130100:
        ([local_only: bool] (name: Text)) => ([registration: Uuid] ()),
        Changed = 0x130102: ([event_type: i32, completion: i32] (events: Vec<CacheEvent>));
    /// All keys go, and nobody is told.
    Clear clear = 0x130200: ([] (name: Text)) => ([] ());
    /// Some keys go.
    RemoveAllKeys remove_all_keys = 0x130300: ([completion: i32] (name: Text, keys: Vec<Data>)) => ([] ());
    /// All keys go.
    RemoveAll remove_all = 0x130400: ([completion: i32] (name: Text)) => ([] ());
    /// Whether a key is there.
    ContainsKey contains_key = 0x130500: ([] (name: Text, key: Data)) => ([contained: bool] ());
    /// A cache is made; answered with the configuration that it has.
    CreateConfig create_config = 0x130600:
        ([also_on_others: bool] (config: Box<CacheConfig>)) => ([] (config: Option<Box<CacheConfig>>));
    /// A cache and all that is in it goes.
    Destroy destroy = 0x130700: ([] (name: Text)) => ([] ());
    /// Code of a client on a key.
    EntryProcessor entry_processor = 0x130800:
        ([completion: i32] (name: Text, key: Data, processor: Data, arguments: Vec<Data>))
        => ([] (result: Option<Data>));
    /// The values of some keys.
    GetAll get_all = 0x130900:
        ([] (name: Text, keys: Vec<Data>, expiry_policy: Option<Data>)) => ([] (entries: Vec<(Data, Data)>));
    /// A key goes; answered with its value.
    GetAndRemove get_and_remove = 0x130a00:
        ([completion: i32] (name: Text, key: Data)) => ([] (former: Option<Data>));
    /// A key that is there gets a value; answered with the former one.
    GetAndReplace get_and_replace = 0x130b00:
        ([completion: i32] (name: Text, key: Data, value: Data, expiry_policy: Option<Data>))
        => ([] (former: Option<Data>));
    /// How a cache is configured.
    GetConfig get_config = 0x130c00: ([] (name: Text, simple_name: Text)) => ([] (config: Option<Box<CacheConfig>>));
    /// The value of a key.
    Get get = 0x130d00: ([] (name: Text, key: Data, expiry_policy: Option<Data>)) => ([] (value: Option<Data>));
    /// The next keys of a partition.
    Iterate iterate = 0x130e00:
        ([batch: i32] (name: Text, pointers: Vec<(i32, i32)>)) => ([] (pointers: Vec<(i32, i32)>, keys: Vec<Data>));
    /// Who is told, from now on or no longer.
    ListenerRegistration listener_registration = 0x130f00:
        ([register: bool, member: Uuid] (name: Text, listener: Data)) => ([] ());
    /// Some keys come from behind the cache.
    LoadAll load_all = 0x131000: ([replace: bool] (name: Text, keys: Vec<Data>)) => ([] ());
    /// Whether statistics or management are wanted.
    ManagementConfig management_config = 0x131100:
        ([statistics: bool, enabled: bool, member: Uuid] (name: Text)) => ([] ());
    /// A key that is not there gets a value.
    PutIfAbsent put_if_absent = 0x131200:
        ([completion: i32] (name: Text, key: Data, value: Data, expiry_policy: Option<Data>)) => ([put: bool] ());
    /// A key gets a value; answered with the former one, if that is wanted.
    Put put = 0x131300:
        ([get: bool, completion: i32] (name: Text, key: Data, value: Data, expiry_policy: Option<Data>))
        => ([] (former: Option<Data>));
    /// Not to be told any more.
    RemoveEntryListener remove_entry_listener = 0x131400:
        ([registration: Uuid] (name: Text)) => ([removed: bool] ());
    /// Not to be told any more.
    RemoveInvalidationListener remove_invalidation_listener = 0x131500:
        ([registration: Uuid] (name: Text)) => ([removed: bool] ());
    /// A key goes, if it has that value.
    Remove remove = 0x131600:
        ([completion: i32] (name: Text, key: Data, expected: Option<Data>)) => ([removed: bool] ());
    /// A key that is there, or has that value, gets another.
    Replace replace = 0x131700:
        ([completion: i32]
         (name: Text, key: Data, expected: Option<Data>, value: Data, expiry_policy: Option<Data>))
        => ([] (result: Option<Data>));
    /// How many keys there are.
    Size size = 0x131800: ([] (name: Text)) => ([size: i32] ());
    /// To be told of partitions of the cache of which all replicas are lost.
    AddPartitionLostListener add_partition_lost_listener = 0x131900:
        ([local_only: bool] (name: Text)) => ([registration: Uuid] ()),
        PartitionLost = 0x131902: ([partition: i32, member: Uuid] ());
    /// Not to be told any more.
    RemovePartitionLostListener remove_partition_lost_listener = 0x131a00:
        ([registration: Uuid] (name: Text)) => ([removed: bool] ());
    /// Entries.
    PutAll put_all = 0x131b00:
        ([completion: i32] (name: Text, entries: Vec<(Data, Data)>, expiry_policy: Option<Data>)) => ([] ());
    /// The next entries of a partition.
    IterateEntries iterate_entries = 0x131c00:
        ([batch: i32] (name: Text, pointers: Vec<(i32, i32)>))
        => ([] (pointers: Vec<(i32, i32)>, entries: Vec<(Data, Data)>));
    /// To be told what a near cache may not hold any more.
    AddNearCacheInvalidationListener add_near_cache_invalidation_listener = 0x131d00:
        ([local_only: bool] (name: Text)) => ([registration: Uuid] ()),
        Invalidation = 0x131d02:
            ([source: Option<Uuid>, partition: Uuid, sequence: i64] (name: Text, key: Option<Data>)),
        BatchInvalidation = 0x131d03:
            ([] (name: Text, keys: Vec<Data>, sources: Vec<Uuid>, partitions: Vec<Uuid>, sequences: Vec<i64>));
    /// How far invalidations of near caches are, by cache and partition.
    FetchNearCacheInvalidationMetadata fetch_near_cache_invalidation_metadata = 0x131e00:
        ([member: Uuid] (names: Vec<Text>))
        => ([] (sequences: Vec<(Text, Vec<(i32, i64)>)>, partitions: Vec<(i32, Uuid)>));
    /// Where the journal of a partition begins and ends.
    EventJournalSubscribe event_journal_subscribe = 0x131f00: ([] (name: Text)) => ([oldest: i64, newest: i64] ());
    /// The journal of a partition from a sequence on.
    EventJournalRead event_journal_read = 0x132000:
        ([start: i64, least: i32, most: i32] (name: Text, predicate: Option<Data>, projection: Option<Data>))
        => ([read: i32, next: i64] (items: Vec<Data>, sequences: Option<Vec<i64>>));
    /// Some keys expire otherwise from now on.
    SetExpiryPolicy set_expiry_policy = 0x132100:
        ([] (name: Text, keys: Vec<Data>, expiry_policy: Data)) => ([set: bool] ());
}
