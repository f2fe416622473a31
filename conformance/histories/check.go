package main

// Whether each key of a history behaved as one register: there is an order of its operations, each at a moment between its call
// and its return, in which every answer is right.
//
// Law: an operation whose outcome is not known may stand anywhere after its call, also after everything else, which is as if it
// was never done. A key that is not decided within the time is told as undecided, never as good.

import (
	"math"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"
)

type Verdict struct {
	Linearizable bool     `json:"linearizable"`
	Operations   int      `json:"operations"`
	Keys         int      `json:"keys"`
	Undecided    []string `json:"undecided,omitempty"`
	Witness      *Witness `json:"witness,omitempty"`
}

// Witness is the longest order that was found for a key, and what fits nowhere behind it.
type Witness struct {
	Key     string   `json:"key"`
	Order   []string `json:"order"`
	LeftOut []string `json:"left_out"`
}

var register = porcupine.Model{
	Init: func() any { return Value{Absent: true} },
	Step: func(state, input, _ any) (bool, any) {
		return step(state.(Value), input.(Line))
	},
	DescribeOperation: func(input, _ any) string { return told(input.(Line)) },
}

func step(state Value, line Line) (bool, any) {
	switch line.Op {
	case "get":
		return line.Return == nil || line.Value.Value == state, state
	case "put":
		right := line.Return == nil || line.Before == nil || line.Before.Value == state
		return right, line.Value.Value
	}
	matches := line.Old.Value == state
	if line.Return != nil && *line.Done != matches {
		return false, state
	}
	if matches {
		return true, line.Value.Value
	}
	return true, state
}

func operation(line Line) porcupine.Operation {
	returned := int64(math.MaxInt64)
	if line.Return != nil {
		returned = *line.Return
	}
	return porcupine.Operation{ClientId: line.Client, Input: line, Call: *line.Call, Return: returned}
}

func byKey(lines []Line) map[string][]porcupine.Operation {
	keys := map[string][]porcupine.Operation{}
	for _, line := range lines {
		// It says nothing and changes nothing, but each one would double the orders that are tried.
		if line.Op == "get" && line.Return == nil {
			continue
		}
		keys[*line.Key] = append(keys[*line.Key], operation(line))
	}
	return keys
}

func check(lines []Line, within time.Duration) Verdict {
	keys := byKey(lines)
	names := make([]string, 0, len(keys))
	for name := range keys {
		names = append(names, name)
	}
	slices.Sort(names)
	verdict := Verdict{Linearizable: true, Operations: len(lines), Keys: len(keys)}
	until := time.Now().Add(within)
	for _, name := range names {
		// A time of 0 would mean for ever.
		left := max(time.Until(until), time.Millisecond)
		result, found := porcupine.CheckOperationsVerbose(register, keys[name], left)
		switch result {
		case porcupine.Unknown:
			verdict.Linearizable = false
			verdict.Undecided = append(verdict.Undecided, name)
		case porcupine.Illegal:
			verdict.Linearizable = false
			verdict.Witness = witness(name, keys[name], found)
			return verdict
		}
	}
	return verdict
}

func witness(key string, all []porcupine.Operation, found porcupine.LinearizationInfo) *Witness {
	longest := []int{}
	for _, orders := range found.PartialLinearizations() {
		for _, order := range orders {
			if len(order) > len(longest) {
				longest = order
			}
		}
	}
	told := &Witness{Key: key, Order: []string{}, LeftOut: []string{}}
	for _, id := range longest {
		told.Order = append(told.Order, describe(all[id]))
	}
	for id, each := range all {
		if !slices.Contains(longest, id) {
			told.LeftOut = append(told.LeftOut, describe(each))
		}
	}
	return told
}

func describe(operation porcupine.Operation) string { return told(operation.Input.(Line)) }
