package main

// Good histories pass; each way in which one is spoiled fails with a witness that names the key.

import (
	"bytes"
	"fmt"
	"math/rand"
	"strings"
	"testing"
	"time"
)

const seeds = 50

func history(t *testing.T, lines ...string) []Line {
	t.Helper()
	read, err := readHistory(strings.NewReader(strings.Join(lines, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	return read
}

func pointer[T any](value T) *T { return &value }

// randomly is a history of clients that met a real register: each operation takes effect at one moment between its call and its
// return. Some do not know what became of theirs, whether it was done or not.
func randomly(seed int64) []Line {
	dice := rand.New(rand.NewSource(seed))
	state := map[string]Value{}
	lines := []Line{}
	for at := int64(0); at < 400; at += 5 {
		key := fmt.Sprintf("k%d", dice.Intn(4))
		now, there := state[key]
		if !there {
			now = Value{Absent: true}
		}
		value := Value{Text: fmt.Sprint(at)}
		line := Line{Client: dice.Intn(8), Key: &key, Call: pointer(at - int64(dice.Intn(40))), Return: pointer(at + int64(dice.Intn(40)))}
		unknown, done := dice.Intn(8) == 0, true
		switch dice.Intn(3) {
		case 0:
			line.Op, line.Value = "get", &given{now}
		case 1:
			line.Op, line.Value = "put", &given{value}
			if dice.Intn(2) == 0 {
				line.Before = &given{now}
			}
		case 2:
			line.Op, line.Value = "cas", &given{value}
			line.Old = &given{[]Value{now, {Text: "never"}}[dice.Intn(2)]}
			done = line.Old.Value == now
			line.Done = pointer(done)
		}
		if unknown {
			line.Return, line.Done, line.Before = nil, nil, nil
			done = done && dice.Intn(2) == 0
		}
		if line.Op != "get" && done {
			state[key] = value
		}
		lines = append(lines, line)
	}
	return lines
}

func TestGoodHistoriesPass(t *testing.T) {
	for seed := range int64(seeds) {
		if verdict := check(randomly(seed), time.Minute); !verdict.Linearizable {
			t.Fatalf("seed %d: %+v", seed, verdict.Witness)
		}
	}
}

// spoiled says of each seed's history whether it could be spoiled that way, and was caught.
func spoiled(t *testing.T, spoil func(lines []Line, dice *rand.Rand) bool) {
	t.Helper()
	for seed := range int64(seeds) {
		lines := randomly(seed)
		if !spoil(lines, rand.New(rand.NewSource(seed))) {
			t.Fatalf("seed %d has nothing to spoil", seed)
		}
		verdict := check(lines, time.Minute)
		if verdict.Linearizable || verdict.Witness == nil || len(verdict.Witness.LeftOut) == 0 {
			t.Fatalf("seed %d was not caught: %+v", seed, verdict)
		}
	}
}

func which(lines []Line, dice *rand.Rand, fits func(Line) bool) *Line {
	found := []int{}
	for i, line := range lines {
		if fits(line) {
			found = append(found, i)
		}
	}
	if len(found) == 0 {
		return nil
	}
	return &lines[found[dice.Intn(len(found))]]
}

func TestAReadOfWhatNobodyWroteIsCaught(t *testing.T) {
	spoiled(t, func(lines []Line, dice *rand.Rand) bool {
		line := which(lines, dice, func(line Line) bool { return line.Op == "get" && line.Return != nil })
		if line == nil {
			return false
		}
		line.Value = &given{Value{Text: "nobody's"}}
		return true
	})
}

func TestAWriteThatWasReadAndIsDeniedIsCaught(t *testing.T) {
	spoiled(t, func(lines []Line, dice *rand.Rand) bool {
		read := map[Value]bool{}
		for _, line := range lines {
			if line.Op == "get" && line.Return != nil {
				read[line.Value.Value] = true
			}
		}
		line := which(lines, dice, func(line Line) bool { return line.Op == "put" && read[line.Value.Value] })
		if line == nil {
			return false
		}
		line.Value = &given{Value{Text: "another"}}
		return true
	})
}

func TestAStaleReadIsCaught(t *testing.T) {
	lines := history(t,
		`{"client":1,"op":"put","key":"k","value":"1","call":0,"return":10}`,
		`{"client":1,"op":"put","key":"k","value":"2","call":20,"return":30}`,
		`{"client":2,"op":"get","key":"k","value":"1","call":31,"return":40}`)
	if verdict := check(lines, time.Minute); verdict.Linearizable {
		t.Fatal("a read of what was before passed")
	}
}

func TestALostWriteIsCaught(t *testing.T) {
	lines := history(t,
		`{"client":1,"op":"put","key":"k","value":"1","call":0,"return":10}`,
		`{"client":2,"op":"put","key":"k","value":"2","before":"1","call":20,"return":30}`,
		`{"client":1,"op":"get","key":"k","value":"2","call":40,"return":50}`,
		`{"client":1,"op":"get","key":"k","value":null,"call":60,"return":70}`)
	verdict := check(lines, time.Minute)
	if verdict.Linearizable || verdict.Witness.Key != "k" || len(verdict.Witness.Order) != 3 {
		t.Fatalf("%+v", verdict)
	}
}

func TestTwoWhoBothSwapTheSameIsCaught(t *testing.T) {
	lines := history(t,
		`{"client":1,"op":"put","key":"k","value":"1","call":0,"return":10}`,
		`{"client":1,"op":"cas","key":"k","old":"1","value":"2","done":true,"call":20,"return":40}`,
		`{"client":2,"op":"cas","key":"k","old":"1","value":"3","done":true,"call":25,"return":35}`)
	if verdict := check(lines, time.Minute); verdict.Linearizable {
		t.Fatal("two swaps of one value passed")
	}
}

func TestAPutThatAnswersWithTheWrongOldValueIsCaught(t *testing.T) {
	lines := history(t,
		`{"client":1,"op":"put","key":"k","value":"1","before":null,"call":0,"return":10}`,
		`{"client":2,"op":"put","key":"k","value":"2","before":null,"call":20,"return":30}`)
	if verdict := check(lines, time.Minute); verdict.Linearizable {
		t.Fatal("the second put found nothing, and passed")
	}
}

func TestWhatIsUnknownMayBeDoneLateOrNever(t *testing.T) {
	put := `{"client":1,"op":"put","key":"k","value":"1","call":0,"return":10}`
	unknown := `{"client":2,"op":"put","key":"k","value":"2","call":20,"return":null}`
	get := func(value string, at int) string {
		return fmt.Sprintf(`{"client":3,"op":"get","key":"k","value":%s,"call":%d,"return":%d}`, value, at, at+5)
	}
	for _, good := range [][]string{
		{put, unknown, get(`"1"`, 30), get(`"1"`, 1000)},
		{put, unknown, get(`"1"`, 30), get(`"2"`, 1000)},
		{put, unknown, get(`"2"`, 30)},
	} {
		if verdict := check(history(t, good...), time.Minute); !verdict.Linearizable {
			t.Fatalf("%v: %+v", good, verdict.Witness)
		}
	}
	undone := []string{put, unknown, get(`"2"`, 30), get(`"1"`, 1000)}
	if verdict := check(history(t, undone...), time.Minute); verdict.Linearizable {
		t.Fatal("what was seen was taken back, and passed")
	}
}

func TestKeysAreJudgedApart(t *testing.T) {
	lines := history(t,
		`{"client":1,"op":"put","key":"a","value":"1","call":0,"return":10}`,
		`{"client":1,"op":"get","key":"b","value":"1","call":20,"return":30}`)
	verdict := check(lines, time.Minute)
	if verdict.Linearizable || verdict.Witness.Key != "b" {
		t.Fatalf("%+v", verdict)
	}
}

func TestALineThatCannotBeReadIsRefusedWithItsNumber(t *testing.T) {
	good := `{"client":1,"op":"get","key":"a","value":null,"call":0,"return":1}`
	for bad, says := range map[string]string{
		`{`: "unexpected EOF",
		`{"client":1,"op":"get","key":"a","call":0,"return":1}`:                          "has a `value`",
		`{"client":1,"op":"get","key":"a","value":"1","call":5,"return":1}`:              "before its call",
		`{"client":1,"op":"get","key":"a","value":"1","call":0}`:                         "`return` is missing",
		`{"client":1,"op":"add","key":"a","value":"1","call":0,"return":1}`:              "get, put or cas",
		`{"client":1,"op":"cas","key":"a","value":"1","call":0,"return":1}`:              "has `old` and `value`",
		`{"client":1,"op":"cas","key":"a","old":"0","value":"1","call":0,"return":1}`:    "whether it was `done`",
		`{"client":1,"op":"put","key":"a","value":"1","call":0,"return":1,"and":"more"}`: "unknown field",
	} {
		_, err := readHistory(strings.NewReader(good + "\n" + bad))
		if err == nil || !strings.Contains(err.Error(), "line 2") || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestTheProgramTellsYesNoAndUndecided(t *testing.T) {
	var out bytes.Buffer
	if code := run([]string{"testdata/good.jsonl"}, time.Minute, &out); code != 0 || !strings.Contains(out.String(), `"linearizable":true`) {
		t.Fatalf("%d %s", code, out.String())
	}
	out.Reset()
	if code := run([]string{"testdata/spoiled.jsonl"}, time.Minute, &out); code != 1 || !strings.Contains(out.String(), `"left_out":["get: 1`) {
		t.Fatalf("%d %s", code, out.String())
	}
	if code := run([]string{"testdata/absent.jsonl"}, time.Minute, &out); code != 2 {
		t.Fatalf("%d", code)
	}
}
