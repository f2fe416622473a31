//! What travels inside messages about caches.
//!
//! Must not know: what a configuration does.

use crate::data::Data;
use crate::fields::Text;

structures! {
    /// What happened to a key.
    CacheEvent (
        [event_type: i32, former_available: bool]
        (name: Text, key: Option<Data>, value: Option<Data>, former: Option<Data>)
    );
    /// All that is configured of a cache.
    CacheConfig (
        [backup_count: i32, async_backup_count: i32, read_through: bool, write_through: bool, store_by_value: bool,
         management_enabled: bool, statistics_enabled: bool, no_invalidation_of_entries: bool]
        (name: Text, manager_prefix: Option<Text>, uri: Option<Text>, in_memory_format: Text, eviction: EvictionConfig,
         wan_replication: Option<WanReplicationRef>, key_class: Text, value_class: Text, loader_factory: Option<Data>,
         writer_factory: Option<Data>, expiry_policy_factory: Data, hot_restart: Option<HotRestartConfig>,
         event_journal: Option<EventJournalConfig>, split_brain_protection: Option<Text>,
         listeners: Option<Vec<Data>>, merge_policy: MergePolicyConfig,
         partition_lost_listeners: Option<Vec<ListenerConfig>>)
        + [] (merkle_tree: Option<MerkleTreeConfig>, data_persistence: DataPersistenceConfig,
              user_code_namespace: Option<Text>)
    );
    /// When what goes.
    EvictionConfig (
        [size: i32]
        (max_size_policy: Text, eviction_policy: Text, comparator_class: Option<Text>, comparator: Option<Data>)
    );
    /// To which other cluster.
    WanReplicationRef ([republishing: bool] (name: Text, merge_policy_class: Text, filters: Option<Vec<Text>>));
    /// Whether it outlives a restart, by the older name.
    HotRestartConfig ([enabled: bool, fsync: bool] ());
    /// Whether changes can be read later.
    EventJournalConfig ([enabled: bool, capacity: i32, time_to_live_seconds: i32] ());
    /// Which of two values wins.
    MergePolicyConfig ([batch_size: i32] (policy: Text));
    /// Who is told.
    ListenerConfig (
        [listener_type: i32, include_value: bool, local: bool]
        (implementation: Option<Data>, class_name: Option<Text>)
    );
    /// How differences between clusters are found.
    MerkleTreeConfig ([enabled: bool, depth: i32] () + [enabled_is_set: bool] ());
    /// Whether it outlives a restart.
    DataPersistenceConfig ([enabled: bool, fsync: bool] ());
}
