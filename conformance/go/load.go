package main

// Writers that keep a ledger while members are killed and cut off: what was acknowledged must be there.
//
// Law: each writer owns its keys and counts up, and each put says what was there before: the last acknowledged value, or one of
// those whose put failed, which may be done at any time. What was acknowledged when the ledger was marked is the least that
// must be there even where a map may lose its last moments. Must not know: what is done to the members.

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"sync"
	"time"

	"github.com/hazelcast/hazelcast-go-client"
)

const (
	keysEach     = 20
	afterTrouble = 50 * time.Millisecond
	// As many lines as a person reads.
	toldMost = 20
	// No value: writers count from 1.
	absent = 0
)

type Load struct {
	entries               *hazelcast.Map
	lock                  sync.Mutex
	acknowledged, marked  map[string]int
	unknown               map[string]map[int]bool
	wrong, wrongSinceMark []string
	puts, failed          int64
	putsAtMark            int64
	trouble               any
	ending                chan struct{}
	writers               sync.WaitGroup
}

func startLoad(entries *hazelcast.Map, writers int) *Load {
	load := &Load{
		entries: entries, acknowledged: map[string]int{}, unknown: map[string]map[int]bool{}, marked: map[string]int{},
		wrong: []string{}, wrongSinceMark: []string{}, ending: make(chan struct{}),
	}
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
		before, err := l.entries.Put(context.Background(), key, strconv.Itoa(value))
		l.note(key, value, before, err)
		if err != nil {
			time.Sleep(afterTrouble)
		}
	}
}

func (l *Load) note(key string, value int, before any, err error) {
	l.lock.Lock()
	defer l.lock.Unlock()
	if err == nil {
		l.judge(key, before)
		l.acknowledged[key] = value
		l.puts++
		return
	}
	if l.unknown[key] == nil {
		l.unknown[key] = map[int]bool{}
	}
	l.unknown[key][value] = true
	l.failed++
	if l.trouble == nil {
		l.trouble = err.Error()
	}
}

func (l *Load) judge(key string, seen any) {
	value := absent
	if seen != nil {
		var err error
		value, err = strconv.Atoi(seen.(string))
		must(err)
	}
	if value == l.acknowledged[key] || l.unknown[key][value] {
		return
	}
	words := fmt.Sprintf("%s: %d was acknowledged, %d is there", key, l.acknowledged[key], value)
	if len(l.wrong) < toldMost {
		l.wrong = append(l.wrong, words)
	}
	if least, marked := l.marked[key]; marked && value < least && len(l.wrongSinceMark) < toldMost {
		l.wrongSinceMark = append(l.wrongSinceMark, fmt.Sprintf("%s, %d was marked", words, least))
	}
}

func (l *Load) mark() any {
	l.lock.Lock()
	defer l.lock.Unlock()
	l.marked, l.putsAtMark = maps.Clone(l.acknowledged), l.puts
	return nil
}

func (l *Load) count() any {
	l.lock.Lock()
	defer l.lock.Unlock()
	return number(l.puts)
}

func (l *Load) countSinceMark() any {
	l.lock.Lock()
	defer l.lock.Unlock()
	return number(l.puts - l.putsAtMark)
}

func (l *Load) stop() any {
	close(l.ending)
	l.writers.Wait()
	return tagged{"acknowledged": l.puts, "unknown": l.failed, "trouble": l.trouble}
}

func (l *Load) lost(ctx context.Context) any {
	for key := range l.acknowledged {
		value, err := l.entries.Get(ctx, key)
		must(err)
		l.judge(key, value)
	}
	return l.wrong
}

func (l *Load) lostSinceMark(ctx context.Context) any {
	l.lost(ctx)
	return l.wrongSinceMark
}
