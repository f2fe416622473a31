#!/usr/bin/env python3
"""Plays steps of the checks with the official Python client: one step a line comes in, what was seen goes out.

Law: it judges nothing; each operation is one call of the client's public interface. Must not know: what is expected.
Usage: player.py ADDRESSES CLUSTER
"""
import json
import logging
import sys
import traceback

import hazelcast
from hazelcast.config import IndexType, InMemoryFormat
from load import Load
from people import PersonSerializer
from predicates import aggregation, projected, wanted
from race import Race
from values import INTEGERS, Lacks, integer_type, read, told

# Longer than a full stop and return, shorter than the runner's patience.
CALL_WITHIN = 60
# The client `one` knows the first member alone, and does not wait long for it.
OF_ONE_WITHIN = 10
EVENT_NAMES = {1: "added", 2: "removed", 4: "updated", 8: "evicted", 16: "expired", 32: "evictAll", 64: "clearAll"}
LISTENS_TO = {
    "added": "added_func", "removed": "removed_func", "updated": "updated_func", "evicted": "evicted_func",
    "expired": "expired_func", "evictAll": "evict_all_func", "clearAll": "clear_all_func",
}  # fmt: skip


def seconds(milliseconds):
    return None if milliseconds is None else milliseconds / 1000


def lives(options):
    options = options[0] if options else {}
    return {"ttl": seconds(options.get("ttl")), "max_idle": seconds(options.get("maxIdle"))}


def event_told(event):
    told_ = {"type": EVENT_NAMES[event.event_type]}
    for name in ("key", "value", "old_value", "merging_value"):
        if getattr(event, name) is not None:
            told_[name.replace("_value", "")] = told(getattr(event, name))
    if event.event_type in (32, 64):
        told_["count"] = event.number_of_affected_entries
    return told_


class Player:
    def __init__(self, addresses, cluster):
        self.addresses, self.cluster = addresses, cluster
        self.clients, self.seen, self.registrations, self.pages, self.loads, self.states = {}, {}, {}, {}, {}, {}
        self.races = {}

    def client(self, label, integers=None):
        name = f"{label}/{integers}" if integers else label
        if name not in self.clients:
            self.clients[name] = self.connect(name, integers, self.cluster)
        return self.clients[name]

    def connect(self, name, integers, cluster, within=CALL_WITHIN):
        near = {"near-*": {"in_memory_format": InMemoryFormat.BINARY}}
        states = self.states.setdefault(name, [])
        of_one = name.startswith("one")
        return hazelcast.HazelcastClient(
            cluster_members=self.addresses[:1] if of_one else self.addresses, cluster_name=cluster, cluster_connect_timeout=within,
            invocation_timeout=OF_ONE_WITHIN if of_one else CALL_WITHIN, near_caches={} if not name.startswith("near") else near,
            default_int_type=INTEGERS[integers or "int"], lifecycle_listeners=[states.append],
            retry_initial_backoff=0.1, retry_max_backoff=0.5, compact_serializers=[PersonSerializer()],
            smart_routing=not name.startswith(("uni", "one")),
            # Else the clients acknowledge what a backup has not confirmed in time.
            fail_on_indeterminate_operation_state=True,
        )  # fmt: skip

    def play(self, step):
        op, *arguments = step["do"]
        of_client = getattr(self, f"client_{op}", None)
        if of_client:
            return of_client(step["by"], *arguments)
        action = getattr(self, f"map_{op}", None)
        if not action:
            raise Lacks(f"this player has no {op}")
        client = self.client(step["by"], integer_type(arguments))
        self.map_name, self.by = step["map"], step["by"]
        return action(client.get_map(step["map"]).blocking(), *arguments)

    # Clients

    def client_connect(self, by, options):
        client = self.connect(f"{by}/{len(self.clients)}", None, options.get("cluster", self.cluster), 3)
        client.shutdown()
        return "connected"

    def client_disconnect(self, by):
        for name in [name for name in self.clients if name.split("/")[0] == by]:
            self.clients.pop(name).shutdown()

    def client_members(self, by):
        members = self.client(by).cluster_service.get_members()
        return sorted(
            ({"address": f"{m.address.host}:{m.address.port}", "uuid": str(m.uuid), "lite": m.lite_member} for m in members),
            key=lambda member: member["address"],
        )

    def client_partitions(self, by):
        return {"number": str(self.client(by).partition_service.get_partition_count())}

    def client_objects(self, by, prefix):
        return [p.name for p in self.client(by).get_distributed_objects() if p.name.startswith(prefix)]

    def client_listenObjects(self, by, label):
        seen = self.seen[label] = []
        note = lambda event: seen.append({"type": event.event_type.lower(), "name": event.name, "service": event.service_name})
        self.registrations[label] = self.client(by).add_distributed_object_listener(note).result()

    def client_unlistenObjects(self, by, label):
        return self.client(by).remove_distributed_object_listener(self.registrations[label]).result()

    def client_objectEvents(self, by, label, prefix):
        return [event for event in self.seen[label] if event["name"].startswith(prefix)]

    def client_states(self, by):
        self.client(by)
        return [state.lower() for state in self.states[by]]

    def client_sql(self, by, statement, *parameters):
        result = self.client(by, integer_type(list(parameters))).sql.execute(statement, *[read(p) for p in parameters]).result()
        if not result.is_row_set():
            return {"updated": result.update_count()}
        columns = [column.name for column in result.get_row_metadata().columns]
        return {"columns": columns, "rows": [[told(row.get_object_with_index(i)) for i in range(len(columns))] for row in result]}

    # Maps

    def map_put(self, entries, key, value, *options):
        return told(entries.put(read(key), read(value), **lives(options)))

    def map_set(self, entries, key, value, *options):
        entries.set(read(key), read(value), **lives(options))

    def map_putIfAbsent(self, entries, key, value, *options):
        return told(entries.put_if_absent(read(key), read(value), **lives(options)))

    def map_putTransient(self, entries, key, value, *options):
        entries.put_transient(read(key), read(value), **lives(options))

    def map_tryPut(self, entries, key, value, timeout):
        return entries.try_put(read(key), read(value), seconds(timeout))

    def map_tryRemove(self, entries, key, timeout):
        return entries.try_remove(read(key), seconds(timeout))

    def map_get(self, entries, key):
        return told(entries.get(read(key)))

    def map_remove(self, entries, key):
        return told(entries.remove(read(key)))

    def map_removeIfSame(self, entries, key, value):
        return entries.remove_if_same(read(key), read(value))

    def map_delete(self, entries, key):
        entries.delete(read(key))

    def map_replace(self, entries, key, value):
        return told(entries.replace(read(key), read(value)))

    def map_replaceIfSame(self, entries, key, old, new):
        return entries.replace_if_same(read(key), read(old), read(new))

    def map_putAll(self, entries, pairs):
        entries.put_all({read(key): read(value) for key, value in pairs})

    def map_fill(self, entries, count, size):
        entries.put_all({f"k{number}": f"v{number}".ljust(size, ".") for number in range(count)})

    def map_getAll(self, entries, keys):
        return [[told(key), told(value)] for key, value in entries.get_all([read(key) for key in keys]).items()]

    def map_containsKey(self, entries, key):
        return entries.contains_key(read(key))

    def map_containsValue(self, entries, value):
        return entries.contains_value(read(value))

    def map_size(self, entries):
        return {"number": str(entries.size())}

    def map_isEmpty(self, entries):
        return entries.is_empty()

    def map_clear(self, entries):
        entries.clear()

    def predicate(self, specs):
        """One paging predicate is used again by its label, so that it goes on where it was."""
        if not specs:
            return None
        [spec] = specs
        if spec[0] != "page":
            return wanted(spec)
        _, label, page, inner, size = spec
        predicate = self.pages.setdefault(label, wanted(["paging", inner, size]))
        predicate.page = page
        return predicate

    def map_keySet(self, entries, *predicate):
        return [told(key) for key in entries.key_set(self.predicate(predicate))]

    def map_values(self, entries, *predicate):
        return [told(value) for value in entries.values(self.predicate(predicate))]

    def map_entrySet(self, entries, *predicate):
        return [[told(key), told(value)] for key, value in entries.entry_set(self.predicate(predicate))]

    def map_removeAll(self, entries, predicate):
        entries.remove_all(wanted(predicate))

    def map_aggregate(self, entries, spec, *predicate):
        return told(entries.aggregate(aggregation(*spec), wanted(predicate[0]) if predicate else None))

    def map_project(self, entries, attributes, *predicate):
        return [told(each) for each in entries.project(projected(*attributes), wanted(predicate[0]) if predicate else None)]

    def map_addIndex(self, entries, kind, attribute):
        entries.add_index(attributes=[attribute], index_type=getattr(IndexType, kind.upper()), name=f"{kind}-{attribute}")

    def map_iterate(self, entries):
        raise Lacks("this client has no iterator over a map")

    def map_setTtl(self, entries, key, ttl):
        entries.set_ttl(read(key), seconds(ttl))

    def map_view(self, entries, key):
        view = entries.get_entry_view(read(key))
        if view is None:
            return None
        names = {
            "creation": view.creation_time, "expiration": view.expiration_time, "hits": view.hits, "accessed": view.last_access_time,
            "stored": view.last_stored_time, "updated": view.last_update_time, "version": view.version, "ttl": view.ttl,
            "maxIdle": view.max_idle,
        }  # fmt: skip
        return {"key": told(view.key), "value": told(view.value)} | names

    def map_evict(self, entries, key):
        return entries.evict(read(key))

    def map_evictAll(self, entries):
        entries.evict_all()

    def map_flush(self, entries):
        entries.flush()

    def map_loadAll(self, entries):
        entries.load_all()

    def map_lock(self, entries, key, *lease):
        entries.lock(read(key), *map(seconds, lease))

    def map_tryLock(self, entries, key, timeout=0, lease=None):
        return entries.try_lock(read(key), lease_time=seconds(lease), timeout=seconds(timeout))

    def map_isLocked(self, entries, key):
        return entries.is_locked(read(key))

    def map_unlock(self, entries, key):
        entries.unlock(read(key))

    def map_forceUnlock(self, entries, key):
        entries.force_unlock(read(key))

    def map_listen(self, entries, label, options):
        seen = self.seen[label] = []
        note = lambda event: seen.append(event_told(event))
        self.registrations[label] = entries.add_entry_listener(
            include_value=options["values"],
            key=read(options.get("key")),
            predicate=wanted(options["where"]) if "where" in options else None,
            **{LISTENS_TO[kind]: note for kind in options.get("kinds") or LISTENS_TO},
        )

    def map_unlisten(self, entries, label):
        return entries.remove_entry_listener(self.registrations[label])

    def map_events(self, entries, label):
        return list(self.seen[label])

    def map_nearHits(self, entries):
        raise Lacks("this client tells no figures of a near cache")

    def map_destroy(self, entries):
        entries.destroy()

    def map_loadStart(self, entries, writers):
        self.loads[self.map_name] = Load(self.client(self.by).get_map(self.map_name), writers)

    def map_loadPuts(self, entries):
        return {"number": str(self.loads[self.map_name].puts)}

    def map_loadStop(self, entries):
        return self.loads[self.map_name].stop()

    def map_loadPutsSinceMark(self, entries):
        load = self.loads[self.map_name]
        return {"number": str(load.puts - load.puts_at_mark)}

    def map_loadMark(self, entries):
        self.loads[self.map_name].mark()

    def map_loadLost(self, entries):
        return self.loads[self.map_name].lost()

    def map_loadLostSinceMark(self, entries):
        return self.loads[self.map_name].lost_since_mark()

    def map_raceStart(self, entries, shared, workers):
        first = 1000 + 10 * len(self.races)
        self.races[self.map_name, self.by] = Race(self.client(self.by).get_map(shared).blocking(), workers, first)

    def map_raceStop(self, entries, directory):
        return self.races[self.map_name, self.by].stop(f"{directory}/python-{self.by}.jsonl")


def main():
    logging.basicConfig(stream=sys.stderr, level=logging.INFO)
    player = Player(sys.argv[1].split(","), sys.argv[2])
    for line in sys.stdin:
        try:
            answer = {"is": player.play(json.loads(line))}
        except Lacks as lack:
            answer = {"lacks": str(lack)}
        except Exception as error:
            traceback.print_exc()
            answer = {"error": type(error).__name__, "says": str(error)}
        print(json.dumps(answer), flush=True)
    for client in player.clients.values():
        client.shutdown()


main()
