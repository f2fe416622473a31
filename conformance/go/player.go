// Plays steps of the checks with the official Go client: one step a line comes in, what was seen goes out.
//
// Law: it judges nothing. Must not know: what is expected. Usage: player ADDRESSES CLUSTER
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/hazelcast/hazelcast-go-client"
	"github.com/hazelcast/hazelcast-go-client/hzerrors"
	"github.com/hazelcast/hazelcast-go-client/logger"
	"github.com/hazelcast/hazelcast-go-client/nearcache"
	"github.com/hazelcast/hazelcast-go-client/sql"
	"github.com/hazelcast/hazelcast-go-client/types"
)

const (
	// Longer than a full stop and return, shorter than the runner's patience.
	callWithin = 60 * time.Second
	// The client "one" knows the first member alone, and does not wait long for it.
	ofOneWithin = 10 * time.Second
	// A cluster that does not take us is not asked for longer.
	refusedWithin = 3 * time.Second
	// A step may be a putAll of 8 MiB.
	longestStep = 1 << 24
)

type Step struct {
	By  string `json:"by"`
	Map string `json:"map"`
	Do  []any  `json:"do"`
}

type Player struct {
	addresses []string
	cluster   string
	clients   map[string]*hazelcast.Client
	contexts  map[string]context.Context
	heard     map[string]*Heard
	loads     map[string]*Load
	races     map[string]*Race
	lock      sync.Mutex
	states    map[string][]any
}

func (p *Player) connect(by, cluster string, within time.Duration) (*hazelcast.Client, error) {
	config := hazelcast.Config{}
	config.Logger.CustomLogger = toStderr{}
	config.Cluster.Name = cluster
	config.Cluster.Unisocket = by == "uni"
	config.Serialization.Compact.SetSerializers(personSerializer{})
	config.Cluster.Network.SetAddresses(p.addresses...)
	config.Cluster.InvocationTimeout = types.Duration(callWithin)
	if by == "one" {
		config.Cluster.Unisocket = true
		config.Cluster.Network.SetAddresses(p.addresses[0])
		config.Cluster.InvocationTimeout = types.Duration(ofOneWithin)
	}
	config.Cluster.ConnectionStrategy.Timeout = types.Duration(within)
	config.Cluster.ConnectionStrategy.Retry.InitialBackoff = types.Duration(100 * time.Millisecond)
	config.Cluster.ConnectionStrategy.Retry.MaxBackoff = types.Duration(500 * time.Millisecond)
	if by == "near" {
		config.AddNearCache(nearcache.Config{Name: "near-*"})
	}
	config.AddLifecycleListener(func(event hazelcast.LifecycleStateChanged) {
		p.lock.Lock()
		defer p.lock.Unlock()
		name := strings.ReplaceAll(strings.ToLower(event.State.String()), " ", "_")
		p.states[by] = append(p.states[by], strings.TrimPrefix(name, "client_"))
	})
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	return hazelcast.StartNewClientWithConfig(ctx, config)
}

func (p *Player) client(by string) *hazelcast.Client {
	if p.clients[by] == nil {
		client, err := p.connect(by, p.cluster, callWithin)
		must(err)
		p.clients[by] = client
	}
	return p.clients[by]
}

// bounded is a call's own context with the owner of its client's locks.
type bounded struct {
	context.Context
	owner context.Context
}

func (b bounded) Value(key any) any { return b.owner.Value(key) }

// owner is the context under which all locks of this client are taken.
func (p *Player) owner(by string, m *hazelcast.Map) context.Context {
	if p.contexts[by] == nil {
		p.contexts[by] = m.NewLockContext(context.Background())
	}
	return p.contexts[by]
}

func (p *Player) play(step Step) any {
	op, given := step.Do[0].(string), step.Do[1:]
	if call, known := clientCalls[op]; known {
		return call(p, step.By, given)
	}
	call, known := calls[op]
	if !known {
		panic(Lack("this player has no " + op))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*callWithin)
	defer cancel()
	m, err := p.client(step.By).GetMap(ctx, step.Map)
	must(err)
	return call(Call{p, step.By, step.Map, m, bounded{ctx, p.owner(step.By, m)}, given})
}

var clientCalls = map[string]func(p *Player, by string, given []any) any{
	"connect": func(p *Player, by string, given []any) any {
		cluster, another := given[0].(tagged)["cluster"].(string)
		if !another {
			cluster = p.cluster
		}
		client, err := p.connect("asked", cluster, refusedWithin)
		must(err)
		must(client.Shutdown(context.Background()))
		return "connected"
	},
	"disconnect": func(p *Player, by string, given []any) any {
		if client := p.clients[by]; client != nil {
			must(client.Shutdown(context.Background()))
		}
		delete(p.clients, by)
		delete(p.contexts, by)
		return nil
	},
	"members": func(p *Player, by string, given []any) any {
		seen := []tagged{}
		for _, member := range hazelcast.NewClientInternal(p.client(by)).OrderedMembers() {
			seen = append(seen, tagged{"address": string(member.Address), "uuid": member.UUID.String(), "lite": member.LiteMember})
		}
		sort.Slice(seen, func(i, j int) bool { return seen[i]["address"].(string) < seen[j]["address"].(string) })
		return seen
	},
	"partitions": func(p *Player, by string, given []any) any {
		return number(int64(hazelcast.NewClientInternal(p.client(by)).PartitionCount()))
	},
	"objects": func(p *Player, by string, given []any) any {
		objects, err := p.client(by).GetDistributedObjectsInfo(context.Background())
		must(err)
		names := []string{}
		for _, object := range objects {
			if strings.HasPrefix(object.Name, given[0].(string)) {
				names = append(names, object.Name)
			}
		}
		return names
	},
	"listenObjects": func(p *Player, by string, given []any) any {
		heard := &Heard{}
		p.heard[given[0].(string)] = heard
		registration, err := p.client(by).AddDistributedObjectListener(context.Background(), func(event hazelcast.DistributedObjectNotified) {
			heard.note(tagged{"type": strings.ToLower(string(event.EventType)), "name": event.ObjectName, "service": event.ServiceName})
		})
		heard.registration = registration
		return nothing(err)
	},
	"unlistenObjects": func(p *Player, by string, given []any) any {
		must(p.client(by).RemoveDistributedObjectListener(context.Background(), p.heard[given[0].(string)].registration))
		return true
	},
	"objectEvents": func(p *Player, by string, given []any) any {
		some := []any{}
		for _, event := range p.heard[given[0].(string)].soFar() {
			if strings.HasPrefix(event.(tagged)["name"].(string), given[1].(string)) {
				some = append(some, event)
			}
		}
		return some
	},
	"states": func(p *Player, by string, given []any) any {
		p.client(by)
		p.lock.Lock()
		defer p.lock.Unlock()
		return append([]any{}, p.states[by]...)
	},
	"sql": func(p *Player, by string, given []any) any {
		result, err := p.client(by).SQL().Execute(context.Background(), given[0].(string), each(any(given[1:]), read)...)
		must(err)
		if !result.IsRowSet() {
			return tagged{"updated": number(result.UpdateCount())}
		}
		return rowsOf(result)
	},
}

func rowsOf(result sql.Result) any {
	metadata, err := result.RowMetadata()
	must(err)
	columns, rows := []string{}, [][]any{}
	for _, column := range metadata.Columns() {
		columns = append(columns, column.Name())
	}
	found, err := result.Iterator()
	must(err)
	for found.HasNext() {
		row, err := found.Next()
		must(err)
		cells := make([]any, len(columns))
		for i := range columns {
			cells[i] = value(row.Get(i))
		}
		rows = append(rows, cells)
	}
	return tagged{"columns": columns, "rows": rows}
}

var errorNames = map[string]error{
	"IllegalMonitorState": hzerrors.ErrIllegalMonitorState, "IllegalState": hzerrors.ErrIllegalState,
	"IllegalArgument": hzerrors.ErrIllegalArgument, "HazelcastSerialization": hzerrors.ErrHazelcastSerialization,
	"NullPointer": hzerrors.ErrNilPointer, "OperationTimeout": hzerrors.ErrOperationTimeout, "ClassCast": hzerrors.ErrClassCast,
	"UnsupportedOperation": hzerrors.ErrUnsupportedOperation, "ClientOffline": hzerrors.ErrClientOffline,
	"Authentication": hzerrors.ErrAuthentication, "TargetDisconnected": hzerrors.ErrTargetDisconnected,
	"Query": hzerrors.ErrQuery, "Timeout": hzerrors.ErrTimeout, "IO": hzerrors.ErrIO,
}

func errorTold(err error) any {
	var refused *sql.Error
	if errors.As(err, &refused) {
		return tagged{"error": "HazelcastSql", "says": refused.Message, "code": refused.Code}
	}
	for name, known := range errorNames {
		if errors.Is(err, known) {
			return tagged{"error": name, "says": err.Error()}
		}
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return tagged{"error": "Client", "says": "cluster: " + err.Error()}
	}
	return tagged{"error": fmt.Sprintf("%T", err), "says": err.Error()}
}

func (p *Player) answer(line []byte) (answer any) {
	defer func() {
		switch caught := recover().(type) {
		case nil:
		case Lack:
			answer = tagged{"lacks": string(caught)}
		case error:
			fmt.Fprintf(os.Stderr, "%v\n%s\n", caught, debug.Stack())
			answer = errorTold(caught)
		default:
			answer = tagged{"error": "Panic", "says": fmt.Sprint(caught)}
		}
	}()
	var step Step
	decoder := json.NewDecoder(strings.NewReader(string(line)))
	decoder.UseNumber()
	must(decoder.Decode(&step))
	return tagged{"is": p.play(step)}
}

type toStderr struct{}

func (toStderr) Log(weight logger.Weight, text func() string) {
	if weight <= logger.WeightInfo {
		fmt.Fprintln(os.Stderr, time.Now().Format(time.RFC3339Nano), text())
	}
}

func main() {
	player := &Player{
		addresses: strings.Split(os.Args[1], ","), cluster: os.Args[2], clients: map[string]*hazelcast.Client{},
		contexts: map[string]context.Context{}, heard: map[string]*Heard{}, loads: map[string]*Load{}, races: map[string]*Race{}, states: map[string][]any{},
	}
	out := json.NewEncoder(os.Stdout)
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, longestStep)
	for lines.Scan() {
		must(out.Encode(player.answer(lines.Bytes())))
	}
	for _, client := range player.clients {
		_ = client.Shutdown(context.Background())
	}
}
