//! Which request is answered how.
//!
//! Law: one row for each request that is offered; what has none is told so by its name, and the connection goes on. What
//! a connection asks to be told of is kept here and bounded. Must not know: how an answer is found, sockets.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use jet_map::{Owner, Query, Reply};
use jet_protocol::error::ErrorCode;
use jet_protocol::frames::Message;
use jet_protocol::message::{self, Answer, Body, RequestError, client, map, put_answer, put_event};
use tokio::sync::watch;
use tracing::error;
use uuid::Uuid;

use super::door::Session;
use super::fault::Fault;
use super::keyed::{At, Does, Lives, entry_view};
use super::listeners::{Entries, Listeners, Registered};
use super::maps::{Going, Maps, former, value, was, yes};
use super::objects::{MAP_SERVICE, Objects};
use super::order::Order;
use super::queries::{self, Queries};
use super::schemas::Schemas;
use super::sql::Sql;
use super::values::told;
use super::views::View;
use crate::cluster::Node;
use crate::map::{Connected, MapService};
use crate::ports::{Cluster, Jobs};

/// The longest that a lock is waited for by who says for how long.
const LONGEST_PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);
/// Of requests that say no thread.
const NO_THREAD: i64 = Owner::ANY_THREAD;

/// How far a request is.
pub enum Begun {
    /// Its answer is written.
    Answered,
    /// Its answer is this.
    Waits(BoxFuture<'static, BytesMut>),
    /// The same, and it waits for what other requests do.
    Parks(BoxFuture<'static, BytesMut>),
    /// The same, and it may be large.
    Large(BoxFuture<'static, BytesMut>),
}

/// What one connection has asked for.
pub struct Caller {
    /// Who.
    pub session: Arc<Session>,
    /// Who asked for the cluster's views, and which it was told last.
    views: Option<(i64, i32, i32)>,
    /// What it listens to.
    pub listeners: Listeners,
    /// Of its changes of a key.
    pub order: Order,
    _here: Connected,
}

impl Caller {
    /// Nothing yet.
    fn new(session: Arc<Session>, maps: &Maps, member: Uuid) -> Self {
        let listeners = Listeners::new(maps.clone(), member, session.cluster);
        let _here = maps.client_is_here(session.owner);
        Self { session, views: None, listeners, order: Order::default(), _here }
    }

    /// Tells what is new of the cluster.
    pub fn tell(&mut self, view: &View, out: &mut BytesMut) {
        let Some((correlation, members, partitions)) = &mut self.views else { return };
        let mut told = Ok(());
        if *members < view.members_version {
            *members = view.members_version;
            told = told.and(put_event(&view.members(self.session.own), *correlation, out));
            told = told.and(put_event(&view.groups(), *correlation, out));
        }
        if *partitions < view.partitions_version {
            *partitions = view.partitions_version;
            told = told.and(put_event(&view.partitions(), *correlation, out));
        }
        if let Err(too_long) = told {
            error!(%too_long, "a client is not told of the cluster");
        }
    }

    fn watch_cluster(&mut self, correlation: i64, view: &View, out: &mut BytesMut) {
        self.views = Some((correlation, 0, 0));
        if let Err(too_long) = put_event(&View::version(), correlation, out) {
            error!(%too_long, "a client is not told of the cluster");
        }
        self.tell(view, out);
    }
}

/// All that is asked of a member.
pub struct Calls {
    maps: Maps,
    objects: Objects,
    schemas: Schemas,
    member: Uuid,
    queries: Queries,
    sql: Sql,
}

/// Where an answer goes: to which request, behind what.
struct To<'a> {
    correlation: i64,
    /// That the request named.
    partition: i32,
    out: &'a mut BytesMut,
}

impl To<'_> {
    fn now<A: Answer>(self, answer: Result<A, Fault>) -> Begun {
        write(answer, self.correlation, self.out);
        Begun::Answered
    }

    /// What is known at once is answered at once.
    fn going<T: Send + 'static, A: Answer>(
        self,
        going: Going<T>,
        answer: impl FnOnce(T) -> Result<A, Fault> + Send + 'static,
    ) -> Begun {
        match going {
            Going::Now(known) => self.now(known.and_then(answer)),
            Going::Later(known) => self.later(async move { known.await.and_then(answer) }),
        }
    }

    /// The same of what may wait for another client, and so must not keep that one's requests from being read.
    fn going_parked<T: Send + 'static, A: Answer>(
        self,
        going: Going<T>,
        answer: impl FnOnce(T) -> Result<A, Fault> + Send + 'static,
    ) -> Begun {
        match self.going(going, answer) {
            Begun::Waits(answer) => Begun::Parks(answer),
            other => other,
        }
    }

    /// Whether it was done: not, where somebody else held the lock all the time.
    fn trying<A: Answer + 'static>(self, going: Going<Reply>, answer: fn(bool) -> A) -> Begun {
        let tried = move |done: Result<Reply, Fault>| match done {
            Ok(_) => Ok(answer(true)),
            Err(fault) if fault.is_locked => Ok(answer(false)),
            Err(fault) => Err(fault),
        };
        match going {
            Going::Now(done) => self.now(tried(done)),
            Going::Later(done) => match self.later(async move { tried(done.await) }) {
                Begun::Waits(answer) => Begun::Parks(answer),
                other => other,
            },
        }
    }

    /// The same of what may have a large answer, and is begun when most of those before it was taken.
    fn large<A: Answer>(self, answer: impl Future<Output = Result<A, Fault>> + Send + 'static) -> Begun {
        match self.later(answer) {
            Begun::Waits(answer) => Begun::Large(answer),
            other => other,
        }
    }

    /// A listener is answered when it is there.
    fn registered<A: Answer + 'static>(self, registered: Result<Registered, Fault>, answer: fn(Uuid) -> A) -> Begun {
        match registered {
            Ok(Registered { registration, known: Some(known) }) => self.later(async move {
                known.await;
                Ok(answer(registration))
            }),
            Ok(Registered { registration, known: None }) => self.now(Ok(answer(registration))),
            Err(fault) => self.now::<A>(Err(fault)),
        }
    }

    fn later<A: Answer>(self, answer: impl Future<Output = Result<A, Fault>> + Send + 'static) -> Begun {
        let correlation = self.correlation;
        Begun::Waits(Box::pin(async move {
            let mut out = BytesMut::new();
            write(answer.await, correlation, &mut out);
            out
        }))
    }
}

fn write<A: Answer>(answer: Result<A, Fault>, correlation: i64, out: &mut BytesMut) {
    let fault = match answer {
        Ok(answer) => match put_answer(&answer, correlation, out) {
            Ok(()) => return,
            Err(too_long) => Fault::new(ErrorCode::QueryResultSizeExceeded, too_long.to_string()),
        },
        Err(fault) => fault,
    };
    // An error of a sentence is never too long.
    let _ = put_answer(&fault.answer(), correlation, out);
}

/// In the original's words.
fn no_store() -> Fault {
    let why = "First you should configure a map store; this member offers none: put what is to be there";
    Fault::new(ErrorCode::IllegalArgument, why)
}

impl Calls {
    /// To this member's maps.
    pub fn new(service: MapService, jobs: Arc<dyn Jobs>, node: Arc<Node>, view: watch::Receiver<Arc<View>>) -> Self {
        let (maps, member) = (Maps::new(service, view), node.me().0);
        let schemas = Schemas::new(maps.clone(), node.clone());
        let queries = Queries::new(maps.clone(), schemas.clone());
        let sql = Sql::new(maps.clone(), queries.clone(), node, jobs);
        Self { member, objects: Objects::new(maps.clone()), schemas, queries, sql, maps }
    }

    /// A client that has asked for nothing yet.
    pub fn caller(&self, session: Arc<Session>) -> Caller {
        Caller::new(session, &self.maps, self.member)
    }

    /// Begins what a message asks.
    pub fn begin(&self, message: &Message, caller: &mut Caller, view: &View, out: &mut BytesMut) -> Begun {
        let to = To { correlation: message.correlation(), partition: message.partition(), out };
        match message::Request::take(message) {
            Ok(message::Request::Map(request)) => self.listener(request, caller, to),
            Ok(message::Request::Client(request)) => self.client(request, caller, view, to),
            Ok(message::Request::Sql(request)) => self.statement(request, to),
            Ok(other) => to.now::<client::ping::Answer>(Err(Fault::unsupported(other.name()))),
            Err(error) => to.now::<client::ping::Answer>(Err(not_understood(&error))),
        }
    }

    /// Whether a request may come to wait for what other clients do.
    pub fn may_park(message: &Message) -> bool {
        use map::{lock, try_lock, try_put, try_remove};
        let kinds = [lock::Request::KIND, try_lock::Request::KIND, try_put::Request::KIND, try_remove::Request::KIND];
        kinds.contains(&message.kind())
    }

    /// Too many wait already: nothing of it is done.
    pub fn refuse(&self, message: &Message, most: usize, out: &mut BytesMut) {
        let why = format!(
            "requests of this connection wait for locks already, {most} or many bytes of them: nothing was done; ask again"
        );
        write::<client::ping::Answer>(Err(Fault::new(ErrorCode::Overload, why)), message.correlation(), out);
    }

    fn client(&self, request: client::Request, caller: &mut Caller, view: &View, to: To<'_>) -> Begun {
        use client::Request as R;
        use client::*;
        match request {
            R::Ping(_) => to.now(Ok(ping::Answer {})),
            R::Statistics(_) => to.now(Ok(statistics::Answer {})),
            R::AddClusterViewListener(_) => {
                let correlation = to.correlation;
                write(Ok(add_cluster_view_listener::Answer {}), correlation, to.out);
                caller.watch_cluster(correlation, view, to.out);
                Begun::Answered
            }
            R::LocalBackupListener(_) => {
                let registered = caller.listeners.silent(to.correlation);
                to.registered(registered, |registration| local_backup_listener::Answer { registration })
            }
            R::AddPartitionLostListener(_) => {
                let registered = caller.listeners.silent(to.correlation);
                to.registered(registered, |registration| add_partition_lost_listener::Answer { registration })
            }
            R::RemovePartitionLostListener(ask) => {
                let removed = caller.listeners.remove(ask.registration);
                to.now(Ok(remove_partition_lost_listener::Answer { removed }))
            }
            R::AddMigrationListener(_) => {
                let registered = caller.listeners.silent(to.correlation);
                to.registered(registered, |registration| add_migration_listener::Answer { registration })
            }
            R::RemoveMigrationListener(ask) => {
                let removed = caller.listeners.remove(ask.registration);
                to.now(Ok(remove_migration_listener::Answer { removed }))
            }
            R::AddDistributedObjectListener(ask) => {
                let registered = caller.listeners.objects(to.correlation, ask.local_only);
                to.registered(registered, |registration| add_distributed_object_listener::Answer { registration })
            }
            R::RemoveDistributedObjectListener(ask) => {
                let removed = caller.listeners.remove(ask.registration);
                to.now(Ok(remove_distributed_object_listener::Answer { removed }))
            }
            R::TriggerPartitionAssignment(_) => to.now(Ok(trigger_partition_assignment::Answer {})),
            R::CreateProxy(ask) => to.later(self.objects.clone().create(ask)),
            R::CreateProxies(ask) => to.later(self.objects.clone().create_all(ask)),
            R::DestroyProxy(ask) => to.later(self.objects.clone().destroy(ask)),
            R::GetDistributedObjects(_) => to.later(self.objects.clone().list()),
            R::SendSchema(ask) => to.later(self.schemas.clone().send(ask)),
            R::SendAllSchemas(ask) => to.later(self.schemas.clone().send_all(ask)),
            R::FetchSchema(ask) => to.later(self.schemas.clone().fetch(ask)),
            other => to.now::<ping::Answer>(Err(Fault::unsupported(other.name()))),
        }
    }

    /// To be told of a map, or not any more.
    fn listener(&self, request: map::Request, caller: &mut Caller, to: To<'_>) -> Begun {
        use map::Request as R;
        use map::*;
        let (listeners, correlation) = (&mut caller.listeners, to.correlation);
        macro_rules! entries {
            ($ask:ident, $key:expr) => {{
                let (include_value, flags, local_only) = ($ask.include_value, $ask.flags, $ask.local_only);
                listeners
                    .entries(correlation, &Entries { map: &$ask.name, key: $key, include_value, flags, local_only })
            }};
        }
        match request {
            R::AddEntryListener(ask) => {
                to.registered(entries!(ask, None), |registration| add_entry_listener::Answer { registration })
            }
            R::AddEntryListenerToKey(ask) => {
                let registered = entries!(ask, Some(&ask.key));
                to.registered(registered, |registration| add_entry_listener_to_key::Answer { registration })
            }
            R::RemoveEntryListener(ask) => {
                let removed = listeners.remove(ask.registration);
                to.now(Ok(remove_entry_listener::Answer { removed }))
            }
            R::AddPartitionLostListener(_) => {
                let registered = listeners.silent(correlation);
                to.registered(registered, |registration| add_partition_lost_listener::Answer { registration })
            }
            R::RemovePartitionLostListener(ask) => {
                let removed = listeners.remove(ask.registration);
                to.now(Ok(remove_partition_lost_listener::Answer { removed }))
            }
            R::AddNearCacheInvalidationListener(ask) => {
                let registered = listeners.near_cache(correlation, &ask.name, ask.local_only);
                to.registered(registered, |registration| add_near_cache_invalidation_listener::Answer { registration })
            }
            R::FetchNearCacheInvalidationMetadata(ask) => {
                let names: Vec<String> = ask.names.iter().map(|name| name.as_str().to_owned()).collect();
                let (sequences, partitions) = listeners.near_cache_metadata(ask.member, &names);
                let sequences = sequences.into_iter().map(|(name, of)| (name.into(), of)).collect();
                to.now(Ok(fetch_near_cache_invalidation_metadata::Answer { sequences, partitions }))
            }
            other => self.value(other, caller, to),
        }
    }

    /// In SQL.
    fn statement(&self, request: message::sql::Request, to: To<'_>) -> Begun {
        use message::sql::Request as R;
        let sql = self.sql.clone();
        match request {
            R::Execute(ask) => to.later(sql.execute(ask)),
            R::Fetch(ask) => to.later(sql.fetch(ask)),
            R::Close(ask) => to.now(Ok(sql.close(&ask))),
            R::MappingDdl(ask) => to.later(sql.mapping_ddl(ask)),
        }
    }

    /// To one key, answered with what is or was there.
    fn value(&self, request: map::Request, caller: &Caller, to: To<'_>) -> Begun {
        use map::Request as R;
        use map::*;
        let maps = &self.maps;
        macro_rules! at {
            ($ask:ident) => {
                At {
                    name: &$ask.name,
                    key: &$ask.key,
                    client: caller.session.owner,
                    thread: $ask.thread,
                    order: &caller.order,
                }
            };
        }
        macro_rules! lives {
            ($ask:ident) => {
                Lives { ttl: $ask.ttl, idle: $ask.max_idle }
            };
        }
        match request {
            R::Get(ask) => {
                let found = maps.question(&ask.name, &ask.key, |map, key| Query::Get { map, key });
                to.going(found, |found| Ok(get::Answer { value: value(found)?.map(told) }))
            }
            R::Put(ask) => {
                let done = maps.keyed(&at!(ask), &Does::Set(&ask.value), Lives::ttl(ask.ttl));
                to.going(done, |done| Ok(put::Answer { former: former(done)?.map(told) }))
            }
            R::PutWithMaxIdle(ask) => {
                let done = maps.keyed(&at!(ask), &Does::Set(&ask.value), lives!(ask));
                to.going(done, |done| Ok(put_with_max_idle::Answer { former: former(done)?.map(told) }))
            }
            R::Set(ask) => {
                let done = maps.keyed(&at!(ask), &Does::Set(&ask.value), Lives::ttl(ask.ttl));
                to.going(done, |_| Ok(set::Answer {}))
            }
            R::SetWithMaxIdle(ask) => {
                let done = maps.keyed(&at!(ask), &Does::Set(&ask.value), lives!(ask));
                to.going(done, |_| Ok(set_with_max_idle::Answer { former: None }))
            }
            // Behind a map there is no store that something could be kept from.
            R::PutTransient(ask) => {
                let done = maps.keyed(&at!(ask), &Does::Set(&ask.value), Lives::ttl(ask.ttl));
                to.going(done, |_| Ok(put_transient::Answer {}))
            }
            R::PutTransientWithMaxIdle(ask) => {
                let done = maps.keyed(&at!(ask), &Does::Set(&ask.value), lives!(ask));
                to.going(done, |_| Ok(put_transient_with_max_idle::Answer { former: None }))
            }
            R::PutIfAbsent(ask) => {
                let done = maps.keyed(&at!(ask), &Does::IfAbsent(&ask.value), Lives::ttl(ask.ttl));
                to.going(done, |done| Ok(put_if_absent::Answer { present: former(done)?.map(told) }))
            }
            R::PutIfAbsentWithMaxIdle(ask) => {
                let done = maps.keyed(&at!(ask), &Does::IfAbsent(&ask.value), lives!(ask));
                to.going(done, |done| Ok(put_if_absent_with_max_idle::Answer { present: former(done)?.map(told) }))
            }
            R::Replace(ask) => {
                let done = maps.keyed(&at!(ask), &Does::IfPresent(&ask.value), Lives::AS_CONFIGURED);
                to.going(done, |done| Ok(replace::Answer { former: former(done)?.map(told) }))
            }
            R::Remove(ask) => {
                let done = maps.keyed(&at!(ask), &Does::Remove, Lives::AS_CONFIGURED);
                to.going(done, |done| Ok(remove::Answer { former: former(done)?.map(told) }))
            }
            R::Delete(ask) => {
                let done = maps.keyed(&at!(ask), &Does::Delete, Lives::AS_CONFIGURED);
                to.going(done, |done| Ok(delete::Answer { deleted: Some(was(done)?) }))
            }
            R::GetEntryView(ask) => {
                let (key, seen) = (ask.key.clone(), maps.question(&ask.name, &ask.key, view_of));
                to.going(seen, move |seen| {
                    let (view, max_idle) = entry_view(seen, key)?;
                    Ok(get_entry_view::Answer { max_idle, view })
                })
            }
            other => self.decision(other, caller, to),
        }
    }

    /// To one key, answered with yes or no.
    fn decision(&self, request: map::Request, caller: &Caller, to: To<'_>) -> Begun {
        use map::Request as R;
        use map::*;
        let maps = &self.maps;
        let client = caller.session.owner;
        macro_rules! at {
            ($ask:ident, $thread:expr) => {
                At { name: &$ask.name, key: &$ask.key, client, thread: $thread, order: &caller.order }
            };
        }
        let configured = Lives::AS_CONFIGURED;
        match request {
            R::ContainsKey(ask) => {
                let found = maps.question(&ask.name, &ask.key, |map, key| Query::ContainsKey { map, key });
                to.going(found, |found| Ok(contains_key::Answer { contained: yes(found)? }))
            }
            R::ReplaceIfSame(ask) => {
                let does = Does::IfSame(&ask.expected, &ask.value);
                let done = maps.keyed(&at!(ask, ask.thread), &does, configured);
                to.going(done, |done| Ok(replace_if_same::Answer { replaced: was(done)? }))
            }
            R::RemoveIfSame(ask) => {
                let done = maps.keyed(&at!(ask, ask.thread), &Does::RemoveIfSame(&ask.value), configured);
                to.going(done, |done| Ok(remove_if_same::Answer { removed: was(done)? }))
            }
            R::Evict(ask) => {
                let done = maps.keyed(&at!(ask, ask.thread), &Does::Evict, configured);
                to.going(done, |done| Ok(evict::Answer { evicted: was(done)? }))
            }
            R::SetTtl(ask) => {
                let done = maps.keyed(&at!(ask, NO_THREAD), &Does::Limit, Lives::ttl(ask.ttl));
                to.going(done, |done| Ok(set_ttl::Answer { set: was(done)? }))
            }
            R::TryPut(ask) => {
                let (at, does) = (at!(ask, ask.thread), Does::Set(&ask.value));
                let done = maps.keyed_within(&at, &does, configured, patience(ask.timeout));
                to.trying(done, |put| try_put::Answer { put })
            }
            R::TryRemove(ask) => {
                let at = at!(ask, ask.thread);
                let done = maps.keyed_within(&at, &Does::Remove, configured, patience(ask.timeout));
                to.trying(done, |removed| try_remove::Answer { removed })
            }
            R::Lock(ask) => {
                to.going_parked(maps.lock(&at!(ask, ask.thread), ask.ttl, ask.reference, None), |_| Ok(lock::Answer {}))
            }
            R::TryLock(ask) => {
                let within = Some(patience(ask.timeout));
                let done = maps.lock(&at!(ask, ask.thread), ask.lease, ask.reference, within);
                to.trying(done, |locked| try_lock::Answer { locked })
            }
            R::IsLocked(ask) => {
                let found = maps.question(&ask.name, &ask.key, |map, key| Query::IsLocked { map, key });
                to.going(found, |found| Ok(is_locked::Answer { locked: yes(found)? }))
            }
            R::Unlock(ask) => {
                let done = maps.unlock(&at!(ask, ask.thread), ask.reference, false);
                to.going(done, |_| Ok(unlock::Answer {}))
            }
            R::ForceUnlock(ask) => {
                let done = maps.unlock(&at!(ask, NO_THREAD), ask.reference, true);
                to.going(done, |_| Ok(force_unlock::Answer {}))
            }
            other => self.whole(other, client, to),
        }
    }

    /// To a whole map, or several keys.
    fn whole(&self, request: map::Request, client: Uuid, to: To<'_>) -> Begun {
        use map::Request as R;
        let maps = self.maps.clone();
        match request {
            R::PutAll(ask) => to.later(maps.put_all(ask, Owner { client, thread: NO_THREAD })),
            R::GetAll(ask) => to.large(maps.get_all(ask)),
            R::Size(ask) => to.later(maps.size(ask)),
            R::IsEmpty(ask) => to.later(maps.is_empty(ask)),
            R::Clear(ask) => to.later(maps.clear(ask)),
            R::EvictAll(ask) => to.later(maps.evict_all(ask)),
            R::LoadAll(_) => to.now::<map::load_all::Answer>(Err(no_store())),
            R::LoadGivenKeys(_) => to.now::<map::load_given_keys::Answer>(Err(no_store())),
            R::KeySet(ask) => to.large(maps.key_set(ask)),
            R::Values(ask) => to.large(maps.values(ask)),
            R::EntrySet(ask) => to.large(maps.entry_set(ask)),
            R::ContainsValue(ask) => to.later(maps.contains_value(ask)),
            R::FetchKeys(ask) => {
                let partition = to.partition;
                to.later(maps.fetch_keys(ask, partition))
            }
            R::FetchEntries(ask) => {
                let partition = to.partition;
                to.later(maps.fetch_entries(ask, partition))
            }
            // There is no store behind a map that something could wait for.
            R::Flush(_) => to.now(Ok(map::flush::Answer {})),
            other => self.queried(other, client, to),
        }
    }

    /// About what is in the values of a map.
    fn queried(&self, request: map::Request, client: Uuid, to: To<'_>) -> Begun {
        use map::Request as R;
        let queries = self.queries.clone();
        match request {
            R::KeySetWithPredicate(ask) => to.large(queries.keys(ask)),
            R::ValuesWithPredicate(ask) => to.large(queries.values(ask)),
            R::EntriesWithPredicate(ask) => to.large(queries.entries(ask)),
            R::KeySetWithPagingPredicate(ask) => to.large(queries.page_of_keys(ask)),
            R::ValuesWithPagingPredicate(ask) => to.large(queries.page_of_values(ask)),
            R::EntriesWithPagingPredicate(ask) => to.large(queries.page_of_entries(ask)),
            R::Project(ask) => to.large(queries.project(ask)),
            R::ProjectWithPredicate(ask) => to.large(queries.project_some(ask)),
            R::Aggregate(ask) => to.later(queries.aggregate(ask)),
            R::AggregateWithPredicate(ask) => to.later(queries.aggregate_some(ask)),
            R::RemoveAll(ask) => to.later(queries.remove_all(ask, Owner { client, thread: NO_THREAD })),
            R::AddIndex(ask) => to.now(queries::index(&ask)),
            other => to.now::<client::ping::Answer>(Err(Fault::unsupported(other.name()))),
        }
    }
}

fn view_of(map: String, key: Bytes) -> Query {
    Query::View { map, key }
}

/// How long a lock is waited for, of a request that says it.
fn patience(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0)).min(LONGEST_PATIENCE)
}

fn not_understood(error: &RequestError) -> Fault {
    Fault::new(error.code(), error.to_string())
}

/// Whether an object is a map; what else there is in the original is not offered.
pub fn is_map(service: &str) -> Result<(), Fault> {
    if service == MAP_SERVICE {
        return Ok(());
    }
    Err(Fault::unsupported(&format!("an object of the service '{service}' (only maps, '{MAP_SERVICE}')")))
}
