//! Connections, the cluster as clients see it, schemas.
//!
//! Must not know: who is let in.

use bytes::Bytes;
use uuid::Uuid;

use crate::fields::{Secret, Text};
use crate::structure::{Address, DistributedObject, MemberInfo, MigrationState, Schema, Version};

/// What [`authentication::Answer::status`] says.
pub mod status {
    /// Welcome.
    pub const AUTHENTICATED: i8 = 0;
    /// Wrong cluster name, user or password.
    pub const CREDENTIALS_FAILED: i8 = 1;
    /// Serialization of another version.
    pub const SERIALIZATION_VERSION_MISMATCH: i8 = 2;
    /// Not in this cluster: the client shall try its next one.
    pub const NOT_ALLOWED_IN_CLUSTER: i8 = 3;
}

messages! { "client":
    /// Who the client is, and for which cluster.
    Authentication authentication = 0x000100:
        ([uuid: Option<Uuid>, serialization_version: i8]
         (cluster_name: Text, username: Option<Text>, password: Option<Secret<Text>>, client_type: Text,
          client_version: Text, client_name: Text, labels: Vec<Text>)
         + [routing_mode: i8, cp_direct_to_leader: bool] ())
        => ([status: i8, member: Option<Uuid>, serialization_version: i8, partition_count: i32, cluster: Uuid,
             failover_supported: bool]
            (address: Option<Address>, server_version: Text)
            + [member_list_version: i32, partition_list_version: i32]
              (tpc_ports: Option<Vec<i32>>, tpc_token: Option<Bytes>, members: Vec<MemberInfo>,
               partitions: Vec<(Uuid, Vec<i32>)>, key_value_pairs: Vec<(Text, Text)>));
    /// The same with credentials of one's own.
    AuthenticationCustom authentication_custom = 0x000200:
        ([uuid: Option<Uuid>, serialization_version: i8]
         (cluster_name: Text, credentials: Secret<Bytes>, client_type: Text, client_version: Text, client_name: Text,
          labels: Vec<Text>)
         + [routing_mode: i8, cp_direct_to_leader: bool] ())
        => ([status: i8, member: Option<Uuid>, serialization_version: i8, partition_count: i32, cluster: Uuid,
             failover_supported: bool]
            (address: Option<Address>, server_version: Text)
            + [member_list_version: i32, partition_list_version: i32]
              (tpc_ports: Option<Vec<i32>>, tpc_token: Option<Bytes>, members: Option<Vec<MemberInfo>>,
               partitions: Option<Vec<(Uuid, Vec<i32>)>>, key_value_pairs: Vec<(Text, Text)>));
    /// To be told of members, partitions and versions.
    AddClusterViewListener add_cluster_view_listener = 0x000300: ([] ()) => ([] ()),
        MembersView = 0x000302: ([version: i32] (members: Vec<MemberInfo>)),
        PartitionsView = 0x000303: ([version: i32] (partitions: Vec<(Uuid, Vec<i32>)>)),
        MemberGroupsView = 0x000304: ([version: i32] (groups: Vec<Vec<Uuid>>)),
        ClusterVersion = 0x000305: ([] (version: Version));
    /// A map, or another object, is going to be used.
    CreateProxy create_proxy = 0x000400: ([] (name: Text, service: Text)) => ([] ());
    /// An object and all that is in it goes.
    DestroyProxy destroy_proxy = 0x000500: ([] (name: Text, service: Text)) => ([] ());
    /// To be told of partitions of which all replicas are lost.
    AddPartitionLostListener add_partition_lost_listener = 0x000600:
        ([local_only: bool] ()) => ([registration: Uuid] ()),
        PartitionLost = 0x000602: ([partition: i32, lost_backups: i32, source: Option<Uuid>] ());
    /// Not to be told any more.
    RemovePartitionLostListener remove_partition_lost_listener = 0x000700:
        ([registration: Uuid] ()) => ([removed: bool] ());
    /// Which objects there are.
    GetDistributedObjects get_distributed_objects = 0x000800: ([] ()) => ([] (objects: Vec<DistributedObject>));
    /// To be told of objects that come and go.
    AddDistributedObjectListener add_distributed_object_listener = 0x000900:
        ([local_only: bool] ()) => ([registration: Uuid] ()),
        DistributedObjectChanged = 0x000902: ([source: Uuid] (name: Text, service: Text, change: Text));
    /// Not to be told any more.
    RemoveDistributedObjectListener remove_distributed_object_listener = 0x000a00:
        ([registration: Uuid] ()) => ([removed: bool] ());
    /// Whether the member is there.
    Ping ping = 0x000b00: ([] ()) => ([] ());
    /// What the client says of itself.
    Statistics statistics = 0x000c00: ([timestamp: i64] (attributes: Text, metrics: Bytes)) => ([] ());
    /// Several objects are going to be used: name and service of each.
    CreateProxies create_proxies = 0x000e00: ([] (proxies: Vec<(Text, Text)>)) => ([] ());
    /// To be told of backups that were made.
    LocalBackupListener local_backup_listener = 0x000f00: ([] ()) => ([registration: Uuid] ()),
        Backup = 0x000f02: ([invocation: i64] ());
    /// Partitions are to have owners.
    TriggerPartitionAssignment trigger_partition_assignment = 0x001000: ([] ()) => ([] ());
    /// To be told of partitions that move.
    AddMigrationListener add_migration_listener = 0x001100: ([local_only: bool] ()) => ([registration: Uuid] ()),
        Migration = 0x001102: ([change: i32] (state: MigrationState)),
        ReplicaMigration = 0x001103:
            ([partition: i32, replica: i32, source: Option<Uuid>, destination: Option<Uuid>, success: bool,
              elapsed: i64]
             (state: MigrationState));
    /// Not to be told any more.
    RemoveMigrationListener remove_migration_listener = 0x001200: ([registration: Uuid] ()) => ([removed: bool] ());
    /// A schema of Compact values; answered with the members that keep it.
    SendSchema send_schema = 0x001300: ([] (schema: Schema)) => ([] (members: Vec<Uuid>));
    /// The schema that a value names.
    FetchSchema fetch_schema = 0x001400: ([schema: i64] ()) => ([] (schema: Option<Schema>));
    /// All schemas that a client knows.
    SendAllSchemas send_all_schemas = 0x001500: ([] (schemas: Vec<Schema>)) => ([] ());
}
