package main

// A history: what clients asked and were told, one JSON object a line.
//
//	{"client": 1, "op": "put", "key": "k", "value": "2", "call": 100, "return": 180}
//	{"client": 2, "op": "get", "key": "k", "value": "2", "call": 110, "return": 150}
//	{"client": 1, "op": "cas", "key": "k", "old": "2", "value": "3", "done": true, "call": 200, "return": 230}
//	{"client": 3, "op": "put", "key": "k", "value": "4", "call": 210, "return": null}
//
// `value` null is an absent entry, so a remove is a put of null. `before` in a put is what it answered with, where the client
// was told. `return` null: the client does not know whether it was done. Times are of one clock, in any unit.
// Law: a line that does not say one thing only is refused with its number; what was certainly refused by the cluster has no line.

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// A value is at most as long as a test's, not as a map's.
const longestLine = 1 << 20

// Value is what a key has, or that it has nothing.
type Value struct {
	Text   string
	Absent bool
}

func (v Value) String() string {
	if v.Absent {
		return "nothing"
	}
	return v.Text
}

func (v *Value) UnmarshalJSON(raw []byte) error {
	if string(raw) == "null" {
		*v = Value{Absent: true}
		return nil
	}
	return json.Unmarshal(raw, &v.Text)
}

// Line is one operation. Pointers are what a line may leave out; a get that returned has a value, null or not.
type Line struct {
	Client int     `json:"client"`
	Op     string  `json:"op"`
	Key    *string `json:"key"`
	Value  *given  `json:"value"`
	Old    *given  `json:"old"`
	Before *given  `json:"before"`
	Done   *bool   `json:"done"`
	Call   *int64  `json:"call"`
	Return *int64  `json:"return"`
}

// given tells null from left out: encoding/json gives a pointer no call for null.
type given struct{ Value }

func parse(text string) (Line, error) {
	var line Line
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&line); err != nil {
		return line, err
	}
	var present map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &present); err != nil {
		return line, err
	}
	for name, field := range map[string]**given{"value": &line.Value, "old": &line.Old, "before": &line.Before} {
		if raw, there := present[name]; there && string(raw) == "null" {
			*field = &given{Value{Absent: true}}
		}
	}
	if _, there := present["return"]; !there {
		return line, fmt.Errorf("`return` is missing: write null where it is not known")
	}
	return line, line.sound()
}

func (l Line) sound() error {
	known := l.Return != nil
	switch {
	case l.Key == nil:
		return fmt.Errorf("`key` is missing")
	case l.Call == nil:
		return fmt.Errorf("`call` is missing")
	case known && *l.Return < *l.Call:
		return fmt.Errorf("it returned at %d, before its call at %d", *l.Return, *l.Call)
	case l.Op == "get" && known && l.Value == nil:
		return fmt.Errorf("a get that returned has a `value`")
	case l.Op == "put" && l.Value == nil:
		return fmt.Errorf("a put has a `value`")
	case l.Op == "cas" && (l.Old == nil || l.Value == nil):
		return fmt.Errorf("a cas has `old` and `value`")
	case l.Op == "cas" && known && l.Done == nil:
		return fmt.Errorf("a cas that returned says whether it was `done`")
	case l.Op != "get" && l.Op != "put" && l.Op != "cas":
		return fmt.Errorf("`op` is %q: get, put or cas", l.Op)
	}
	return nil
}

func readHistory(from io.Reader) ([]Line, error) {
	lines := []Line{}
	scanner := bufio.NewScanner(from)
	scanner.Buffer(nil, longestLine)
	for number := 1; scanner.Scan(); number++ {
		text := strings.TrimSpace(scanner.Text())
		if text == "" {
			continue
		}
		line, err := parse(text)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		lines = append(lines, line)
	}
	return lines, scanner.Err()
}
