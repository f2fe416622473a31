package main

// What listeners hear, kept by their label in the order in which it came.

import (
	"sync"

	"github.com/hazelcast/hazelcast-go-client"
	"github.com/hazelcast/hazelcast-go-client/types"
)

type Heard struct {
	lock         sync.Mutex
	events       []any
	registration types.UUID
}

func (h *Heard) note(event any) {
	h.lock.Lock()
	defer h.lock.Unlock()
	h.events = append(h.events, event)
}

func (h *Heard) soFar() []any {
	h.lock.Lock()
	defer h.lock.Unlock()
	return append([]any{}, h.events...)
}

func eventTold(kind string, event *hazelcast.EntryNotified) any {
	seen := tagged{"type": kind}
	for name, value := range map[string]any{"key": event.Key, "value": event.Value, "old": event.OldValue, "merging": event.MergingValue} {
		if value != nil {
			seen[name] = told(value)
		}
	}
	if kind == "evictAll" || kind == "clearAll" {
		seen["count"] = event.NumberOfAffectedEntries
	}
	return seen
}

func listener(heard *Heard, chosen func(string) bool) hazelcast.MapListener {
	of := func(kind string) func(*hazelcast.EntryNotified) {
		if !chosen(kind) {
			return nil
		}
		return func(event *hazelcast.EntryNotified) { heard.note(eventTold(kind, event)) }
	}
	return hazelcast.MapListener{
		EntryAdded: of("added"), EntryRemoved: of("removed"), EntryUpdated: of("updated"), EntryEvicted: of("evicted"),
		EntryExpired: of("expired"), MapEvicted: of("evictAll"), MapCleared: of("clearAll"),
	}
}

func listen(c Call) any {
	options := c.given[1].(tagged)
	heard := &Heard{}
	c.player.heard[c.label()] = heard
	kinds, some := options["kinds"].([]any)
	wants := listener(heard, func(kind string) bool {
		for _, each := range kinds {
			if each == kind {
				return true
			}
		}
		return !some
	})
	values := options["values"].(bool)
	var err error
	key, ofKey := options["key"]
	where, ofSome := options["where"]
	switch {
	case ofSome && ofKey:
		heard.registration, err = c.m.AddListenerWithPredicateAndKey(c.ctx, wants, wanted(where), read(key), values)
	case ofSome:
		heard.registration, err = c.m.AddListenerWithPredicate(c.ctx, wants, wanted(where), values)
	case ofKey:
		heard.registration, err = c.m.AddListenerWithKey(c.ctx, wants, read(key), values)
	default:
		heard.registration, err = c.m.AddListener(c.ctx, wants, values)
	}
	return nothing(err)
}

func events(c Call) any { return c.player.heard[c.label()].soFar() }

func unlisten(c Call) any {
	return nothing(c.m.RemoveListener(c.ctx, c.player.heard[c.label()].registration))
}
