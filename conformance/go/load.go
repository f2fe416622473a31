package main

// Writers that keep a ledger while members are killed: what was acknowledged must be readable afterwards.
//
// Law: each writer owns its keys and counts up; what was read must lie between the last acknowledged and the last tried. A put
// that failed is unknown: it may be there. Must not know: what is done to the members.

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/hazelcast/hazelcast-go-client"
)

const (
	keysEach     = 20
	afterTrouble = 50 * time.Millisecond
)

type Load struct {
	entries             *hazelcast.Map
	lock                sync.Mutex
	tried, acknowledged map[string]int
	puts, unknown       int64
	trouble             any
	ending              chan struct{}
	writers             sync.WaitGroup
}

func startLoad(entries *hazelcast.Map, writers int) *Load {
	load := &Load{entries: entries, tried: map[string]int{}, acknowledged: map[string]int{}, ending: make(chan struct{})}
	for writer := range writers {
		load.writers.Go(func() { load.write(writer) })
	}
	return load
}

func (l *Load) write(writer int) {
	for value := 1; ; value++ {
		select {
		case <-l.ending:
			return
		default:
		}
		key := fmt.Sprintf("w%d-%d", writer, value%keysEach)
		l.lock.Lock()
		l.tried[key] = value
		l.lock.Unlock()
		err := l.entries.Set(context.Background(), key, strconv.Itoa(value))
		l.lock.Lock()
		if err == nil {
			l.acknowledged[key] = value
			l.puts++
		} else {
			l.unknown++
			if l.trouble == nil {
				l.trouble = err.Error()
			}
		}
		l.lock.Unlock()
		if err != nil {
			time.Sleep(afterTrouble)
		}
	}
}

func (l *Load) count() any {
	l.lock.Lock()
	defer l.lock.Unlock()
	return number(l.puts)
}

func (l *Load) stop() any {
	close(l.ending)
	l.writers.Wait()
	return tagged{"acknowledged": l.puts, "unknown": l.unknown, "trouble": l.trouble}
}

func (l *Load) lost(ctx context.Context) any {
	wrong := []string{}
	for key, least := range l.acknowledged {
		value, err := l.entries.Get(ctx, key)
		must(err)
		found, isText := value.(string)
		seen, err := strconv.Atoi(found)
		if !isText || err != nil || seen < least || seen > l.tried[key] {
			wrong = append(wrong, fmt.Sprintf("%s: %d was acknowledged, %d tried, %v is there", key, least, l.tried[key], value))
		}
	}
	return wrong
}
