package main

// Writers and readers of keys that all languages share, and what each was told: a history for `histories`.
//
// Law: times are of the machine's one monotonic clock, as in each other language; what failed has no return, and what is not
// offered has no line. Must not know: whether it was right.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand"
	"os"
	"sync"
	"time"

	"github.com/hazelcast/hazelcast-go-client"
	"github.com/hazelcast/hazelcast-go-client/hzerrors"
	"golang.org/x/sys/unix"
)

const (
	raceKeys = 24
	// As many operations a key as can be judged.
	racePace = 20 * time.Millisecond
)

type Race struct {
	entries *hazelcast.Map
	lock    sync.Mutex
	lines   []tagged
	ending  chan struct{}
	workers sync.WaitGroup
}

func now() int64 {
	var at unix.Timespec
	must(unix.ClockGettime(unix.CLOCK_MONOTONIC, &at))
	return at.Nano()
}

func startRace(entries *hazelcast.Map, workers, first int) *Race {
	race := &Race{entries: entries, ending: make(chan struct{})}
	for worker := range workers {
		race.workers.Go(func() { race.run(first + worker) })
	}
	return race
}

func (r *Race) run(client int) {
	seen := map[string]any{}
	for number := 1; ; number++ {
		select {
		case <-r.ending:
			return
		case <-time.After(racePace):
		}
		key := fmt.Sprintf("k%d", rand.Intn(raceKeys))
		line := wish(seen[key], fmt.Sprintf("%d-%d", client, number))
		line["client"], line["key"] = client, key
		line["call"], line["return"] = now(), nil
		err := r.call(line)
		if errors.Is(err, hzerrors.ErrUnsupportedOperation) {
			continue
		}
		if err == nil {
			line["return"] = now()
			seen[key] = line["value"]
			if line["op"] == "cas" && line["done"] == false {
				seen[key] = nil
			}
		}
		r.lock.Lock()
		r.lines = append(r.lines, line)
		r.lock.Unlock()
	}
}

func wish(old any, value string) tagged {
	ops := []string{"get", "put", "cas"}
	if old == nil {
		ops = ops[:2]
	}
	switch op := ops[rand.Intn(len(ops))]; op {
	case "get":
		return tagged{"op": op}
	case "put":
		return tagged{"op": op, "value": value}
	default:
		return tagged{"op": op, "value": value, "old": old}
	}
}

func (r *Race) call(line tagged) error {
	ctx, key := context.Background(), line["key"]
	var name string
	var answer any
	var err error
	switch line["op"] {
	case "get":
		name = "value"
		answer, err = r.entries.Get(ctx, key)
	case "put":
		name = "before"
		answer, err = r.entries.Put(ctx, key, line["value"])
	default:
		name = "done"
		answer, err = r.entries.ReplaceIfSame(ctx, key, line["old"], line["value"])
	}
	if err == nil {
		line[name] = answer
	}
	return err
}

func (r *Race) stop(path string) any {
	close(r.ending)
	r.workers.Wait()
	file, err := os.Create(path)
	must(err)
	defer func() { must(file.Close()) }()
	out, unknown := json.NewEncoder(file), 0
	for _, line := range r.lines {
		must(out.Encode(line))
		if line["return"] == nil {
			unknown++
		}
	}
	return tagged{"told": len(r.lines) - unknown, "unknown": unknown}
}
