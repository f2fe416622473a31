// histories: reads histories and tells whether they are linearizable, key by key; if not, a witness.
//
// Prints one JSON line; exits with 0 for yes, 1 for no, 2 where it is not decided or a line cannot be read.
// Usage: histories [-within 60s] FILE...   (or a history on standard input)
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"time"
)

const defaultTime = time.Minute

func told(line Line) string {
	when := fmt.Sprintf("client %d, %d to ", line.Client, *line.Call)
	if line.Return == nil {
		when += "unknown"
	} else {
		when += fmt.Sprint(*line.Return)
	}
	switch {
	case line.Op == "get" && line.Value != nil:
		return fmt.Sprintf("get: %v (%s)", line.Value.Value, when)
	case line.Op == "get":
		return fmt.Sprintf("get (%s)", when)
	case line.Op == "put" && line.Before != nil:
		return fmt.Sprintf("put %v over %v (%s)", line.Value.Value, line.Before.Value, when)
	case line.Op == "put":
		return fmt.Sprintf("put %v (%s)", line.Value.Value, when)
	case line.Done == nil:
		return fmt.Sprintf("cas %v to %v (%s)", line.Old.Value, line.Value.Value, when)
	}
	return fmt.Sprintf("cas %v to %v: %v (%s)", line.Old.Value, line.Value.Value, *line.Done, when)
}

func histories(names []string) ([]Line, error) {
	if len(names) == 0 {
		return readHistory(os.Stdin)
	}
	all := []Line{}
	for _, name := range names {
		lines, err := ofFile(name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, lines...)
	}
	return all, nil
}

func ofFile(name string) ([]Line, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	return readHistory(file)
}

func code(verdict Verdict) int {
	switch {
	case verdict.Linearizable:
		return 0
	case verdict.Witness != nil:
		return 1
	}
	return 2
}

func run(names []string, within time.Duration, out io.Writer) int {
	lines, err := histories(names)
	if err != nil {
		fmt.Fprintln(os.Stderr, "histories:", err)
		return 2
	}
	verdict := check(lines, within)
	if err := json.NewEncoder(out).Encode(verdict); err != nil {
		fmt.Fprintln(os.Stderr, "histories:", err)
		return 2
	}
	return code(verdict)
}

func main() {
	within := flag.Duration("within", defaultTime, "how long all keys may take")
	flag.Parse()
	os.Exit(run(flag.Args(), *within, os.Stdout))
}
