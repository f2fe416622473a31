package main

// The calls of a map. Law: each is one call of the client's public interface. Must not know: what is expected.

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/hazelcast/hazelcast-go-client"
	"github.com/hazelcast/hazelcast-go-client/types"
)

// Call is one step: the map, the context that owns its locks, and what the check gives.
type Call struct {
	player *Player
	by     string
	name   string
	m      *hazelcast.Map
	ctx    context.Context
	given  []any
}

func (c Call) at(i int) any         { return read(c.given[i]) }
func (c Call) has(i int) bool       { return len(c.given) > i }
func (c Call) text(i int) string    { return c.given[i].(string) }
func (c Call) whole(i int) int      { return int(integer(c.given[i], 32)) }
func (c Call) label() string        { return c.text(0) }
func lasts(inner any) time.Duration { return time.Duration(integer(inner, 64)) * time.Millisecond }

func (c Call) lives(i int) (ttl, idle time.Duration, hasTTL, hasIdle bool) {
	if !c.has(i) {
		return
	}
	options := c.given[i].(tagged)
	if given, has := options["ttl"]; has {
		ttl, hasTTL = lasts(given), true
	}
	if given, has := options["maxIdle"]; has {
		idle, hasIdle = lasts(given), true
	}
	return
}

func value(answer any, err error) any {
	must(err)
	return told(answer)
}

func plain(answer any, err error) any {
	must(err)
	return answer
}

func nothing(err error) any {
	must(err)
	return nil
}

func pairs(entries []types.Entry, err error) any {
	must(err)
	list := make([]any, len(entries))
	for i, entry := range entries {
		list[i] = []any{told(entry.Key), told(entry.Value)}
	}
	return list
}

func all(values []any, err error) any {
	must(err)
	return toldAll(values)
}

func put(c Call) any {
	ttl, idle, hasTTL, hasIdle := c.lives(2)
	switch {
	case hasTTL && hasIdle:
		return value(c.m.PutWithTTLAndMaxIdle(c.ctx, c.at(0), c.at(1), ttl, idle))
	case hasTTL:
		return value(c.m.PutWithTTL(c.ctx, c.at(0), c.at(1), ttl))
	case hasIdle:
		return value(c.m.PutWithMaxIdle(c.ctx, c.at(0), c.at(1), idle))
	}
	return value(c.m.Put(c.ctx, c.at(0), c.at(1)))
}

// It has no way to give an idle time alone to set; a time to live of 0 is for ever.
func set(c Call) any {
	ttl, idle, hasTTL, hasIdle := c.lives(2)
	switch {
	case hasIdle:
		return nothing(c.m.SetWithTTLAndMaxIdle(c.ctx, c.at(0), c.at(1), ttl, idle))
	case hasTTL:
		return nothing(c.m.SetWithTTL(c.ctx, c.at(0), c.at(1), ttl))
	}
	return nothing(c.m.Set(c.ctx, c.at(0), c.at(1)))
}

func putIfAbsent(c Call) any {
	ttl, idle, hasTTL, hasIdle := c.lives(2)
	switch {
	case hasIdle:
		return value(c.m.PutIfAbsentWithTTLAndMaxIdle(c.ctx, c.at(0), c.at(1), ttl, idle))
	case hasTTL:
		return value(c.m.PutIfAbsentWithTTL(c.ctx, c.at(0), c.at(1), ttl))
	}
	return value(c.m.PutIfAbsent(c.ctx, c.at(0), c.at(1)))
}

func putTransient(c Call) any {
	ttl, idle, hasTTL, hasIdle := c.lives(2)
	switch {
	case hasTTL && hasIdle:
		return nothing(c.m.PutTransientWithTTLAndMaxIdle(c.ctx, c.at(0), c.at(1), ttl, idle))
	case hasTTL:
		return nothing(c.m.PutTransientWithTTL(c.ctx, c.at(0), c.at(1), ttl))
	case hasIdle:
		return nothing(c.m.PutTransientWithMaxIdle(c.ctx, c.at(0), c.at(1), idle))
	}
	return nothing(c.m.PutTransient(c.ctx, c.at(0), c.at(1)))
}

func putAll(c Call) any {
	entries := []types.Entry{}
	for _, pair := range c.given[0].([]any) {
		both := pair.([]any)
		entries = append(entries, types.NewEntry(read(both[0]), read(both[1])))
	}
	return nothing(c.m.PutAll(c.ctx, entries...))
}

func fill(c Call) any {
	entries := []types.Entry{}
	for n := range c.whole(0) {
		text := fmt.Sprintf("v%d", n)
		entries = append(entries, types.NewEntry(fmt.Sprintf("k%d", n), text+strings.Repeat(".", max(0, c.whole(1)-len(text)))))
	}
	return nothing(c.m.PutAll(c.ctx, entries...))
}

func lock(c Call) any {
	if c.has(1) {
		return nothing(c.m.LockWithLease(c.ctx, c.at(0), lasts(c.given[1])))
	}
	return nothing(c.m.Lock(c.ctx, c.at(0)))
}

func tryLock(c Call) any {
	if c.has(2) {
		return plain(c.m.TryLockWithLeaseAndTimeout(c.ctx, c.at(0), lasts(c.given[2]), lasts(c.given[1])))
	}
	if c.has(1) {
		return plain(c.m.TryLockWithTimeout(c.ctx, c.at(0), lasts(c.given[1])))
	}
	return plain(c.m.TryLock(c.ctx, c.at(0)))
}

func keySet(c Call) any {
	if c.has(0) {
		return all(c.m.GetKeySetWithPredicate(c.ctx, wanted(c.given[0])))
	}
	return all(c.m.GetKeySet(c.ctx))
}

func values(c Call) any {
	if c.has(0) {
		return all(c.m.GetValuesWithPredicate(c.ctx, wanted(c.given[0])))
	}
	return all(c.m.GetValues(c.ctx))
}

func entrySet(c Call) any {
	if c.has(0) {
		return pairs(c.m.GetEntrySetWithPredicate(c.ctx, wanted(c.given[0])))
	}
	return pairs(c.m.GetEntrySet(c.ctx))
}

func aggregated(c Call) any {
	if c.has(1) {
		return value(c.m.AggregateWithPredicate(c.ctx, aggregation(c.given[0]), wanted(c.given[1])))
	}
	return value(c.m.Aggregate(c.ctx, aggregation(c.given[0])))
}

func addIndex(c Call) any {
	kinds := map[string]types.IndexType{"sorted": types.IndexTypeSorted, "hash": types.IndexTypeHash}
	name := c.text(0) + "-" + c.text(1)
	return nothing(c.m.AddIndex(c.ctx, types.IndexConfig{Name: name, Type: kinds[c.text(0)], Attributes: []string{c.text(1)}}))
}

func view(c Call) any {
	view, err := c.m.GetEntryView(c.ctx, c.at(0))
	must(err)
	if view == nil {
		return nil
	}
	return tagged{
		"key": told(view.Key), "value": told(view.Value), "creation": number(view.CreationTime), "expiration": number(view.ExpirationTime),
		"hits": number(view.Hits), "accessed": number(view.LastAccessTime), "stored": number(view.LastStoredTime),
		"updated": number(view.LastUpdateTime), "version": number(view.Version), "ttl": number(view.TTL), "maxIdle": number(view.MaxIdle),
	}
}

func lacks(what string) func(Call) any {
	return func(Call) any { panic(Lack("this client has no " + what)) }
}

var calls = map[string]func(Call) any{
	"put": put, "set": set, "putIfAbsent": putIfAbsent, "putTransient": putTransient, "putAll": putAll, "fill": fill,
	"lock": lock, "tryLock": tryLock, "keySet": keySet, "values": values, "entrySet": entrySet, "view": view,
	"aggregate": aggregated, "addIndex": addIndex, "listen": listen, "events": events, "unlisten": unlisten,
	"iterate": lacks("iterator over a map"), "project": lacks("projections"),
	"tryPut":            func(c Call) any { return plain(c.m.TryPutWithTimeout(c.ctx, c.at(0), c.at(1), lasts(c.given[2]))) },
	"tryRemove":         func(c Call) any { return plain(c.m.TryRemoveWithTimeout(c.ctx, c.at(0), lasts(c.given[1]))) },
	"get":               func(c Call) any { return value(c.m.Get(c.ctx, c.at(0))) },
	"remove":            func(c Call) any { return value(c.m.Remove(c.ctx, c.at(0))) },
	"removeIfSame":      func(c Call) any { return plain(c.m.RemoveIfSame(c.ctx, c.at(0), c.at(1))) },
	"delete":            func(c Call) any { return nothing(c.m.Delete(c.ctx, c.at(0))) },
	"replace":           func(c Call) any { return value(c.m.Replace(c.ctx, c.at(0), c.at(1))) },
	"replaceIfSame":     func(c Call) any { return plain(c.m.ReplaceIfSame(c.ctx, c.at(0), c.at(1), c.at(2))) },
	"getAll":            func(c Call) any { return pairs(c.m.GetAll(c.ctx, each(c.given[0], read)...)) },
	"containsKey":       func(c Call) any { return plain(c.m.ContainsKey(c.ctx, c.at(0))) },
	"containsValue":     func(c Call) any { return plain(c.m.ContainsValue(c.ctx, c.at(0))) },
	"isEmpty":           func(c Call) any { return plain(c.m.IsEmpty(c.ctx)) },
	"clear":             func(c Call) any { return nothing(c.m.Clear(c.ctx)) },
	"setTtl":            func(c Call) any { return nothing(c.m.SetTTL(c.ctx, c.at(0), lasts(c.given[1]))) },
	"evict":             func(c Call) any { return plain(c.m.Evict(c.ctx, c.at(0))) },
	"evictAll":          func(c Call) any { return nothing(c.m.EvictAll(c.ctx)) },
	"flush":             func(c Call) any { return nothing(c.m.Flush(c.ctx)) },
	"loadAll":           func(c Call) any { return nothing(c.m.LoadAllReplacing(c.ctx)) },
	"isLocked":          func(c Call) any { return plain(c.m.IsLocked(c.ctx, c.at(0))) },
	"unlock":            func(c Call) any { return nothing(c.m.Unlock(c.ctx, c.at(0))) },
	"forceUnlock":       func(c Call) any { return nothing(c.m.ForceUnlock(c.ctx, c.at(0))) },
	"removeAll":         func(c Call) any { return nothing(c.m.RemoveAll(c.ctx, wanted(c.given[0]))) },
	"destroy":           func(c Call) any { return nothing(c.m.Destroy(c.ctx)) },
	"nearHits":          func(c Call) any { return number(c.m.LocalMapStats().NearCacheStats.Hits) },
	"loadPuts":          func(c Call) any { return c.player.loads[c.name].count() },
	"loadStop":          func(c Call) any { return c.player.loads[c.name].stop() },
	"loadMark":          func(c Call) any { return c.player.loads[c.name].mark() },
	"loadLost":          func(c Call) any { return c.player.loads[c.name].lost(c.ctx) },
	"loadPutsSinceMark": func(c Call) any { return c.player.loads[c.name].countSinceMark() },
	"loadLostSinceMark": func(c Call) any { return c.player.loads[c.name].lostSinceMark(c.ctx) },
	"size": func(c Call) any {
		size, err := c.m.Size(c.ctx)
		must(err)
		return number(int64(size))
	},
	"raceStart": func(c Call) any {
		shared, err := c.player.client(c.by).GetMap(c.ctx, c.text(0))
		must(err)
		c.player.races[c.name+" "+c.by] = startRace(shared, c.whole(1), 3000+10*len(c.player.races))
		return nil
	},
	"raceStop": func(c Call) any { return c.player.races[c.name+" "+c.by].stop(c.text(0) + "/go-" + c.by + ".jsonl") },
	"loadStart": func(c Call) any {
		c.player.loads[c.name] = startLoad(c.m, c.whole(0))
		return nil
	},
}
