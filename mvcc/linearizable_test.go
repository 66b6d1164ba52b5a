package mvcc_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/mem"
	"github.com/watchkv/watchkv/mvcc"
)

// request is one operation of a client: a transaction that writes value to
// all of keys if keys[0] has the value expect ("*": whatever it has), and
// reads them otherwise; or a read outside any transaction.
type request struct {
	keys   string // one letter a key
	expect string
	value  string
	read   bool
}

type answer struct {
	ok   bool   // the write happened
	seen string // what the keys had, if it did not
	rev  int64
}

// registers is what the model knows: the values and the revision.
type registers struct {
	values string // "a=1,b=2," in order
	rev    int64
}

func (r registers) with(keys, value string) registers {
	next := registers{rev: r.rev + 1}
	for _, k := range "ab" {
		v := r.get(string(k))
		for _, w := range keys {
			if w == k {
				v = value
			}
		}
		next.values += fmt.Sprintf("%c=%s,", k, v)
	}
	return next
}

func (r registers) get(key string) string {
	var a, b string
	fmt.Sscanf(r.values, "a=%1s,b=%1s,", &a, &b)
	if key == "a" {
		return a
	}
	return b
}

func (r registers) show(keys string) string {
	out := ""
	for _, k := range keys {
		out += r.get(string(k))
	}
	return out
}

var registerModel = porcupine.Model{
	Init: func() any { return registers{values: "a=0,b=0,", rev: 2} },
	Step: func(state, input, output any) (bool, any) {
		r, in, out := state.(registers), input.(request), output.(answer)
		if in.read {
			return out.seen == r.show(in.keys) && out.rev == r.rev, r
		}
		if in.expect != "*" && r.get(in.keys[:1]) != in.expect {
			return !out.ok && out.seen == r.show(in.keys) && out.rev == r.rev, r
		}
		next := r.with(in.keys, in.value)
		return out.ok && out.rev == next.rev, next
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v -> %+v", input, output) },
}

func (in request) run(s *mvcc.Store) (answer, error) {
	if in.read {
		res, err := s.Range([]byte("a"), []byte("c"), mvcc.RangeOptions{})
		out := answer{rev: res.Rev}
		for _, kv := range res.KVs {
			out.seen += string(kv.Value)
		}
		return out, err
	}
	var t mvcc.Txn
	if in.expect != "*" {
		t.If = []mvcc.Compare{{Target: mvcc.TargetValue, Relation: mvcc.Equal, Key: []byte(in.keys[:1]), Value: []byte(in.expect)}}
	}
	for _, k := range in.keys {
		key := []byte(string(k))
		t.Then = append(t.Then, mvcc.Op{Type: mvcc.OpPut, Key: key, Value: []byte(in.value)})
		t.Else = append(t.Else, mvcc.Op{Type: mvcc.OpRange, Key: key})
	}
	res, err := s.Txn(ctx, t)
	out := answer{ok: res.Succeeded, rev: res.Rev}
	if !res.Succeeded {
		for _, r := range res.Results {
			for _, kv := range r.Range.KVs {
				out.seen += string(kv.Value)
			}
		}
	}
	return out, err
}

// G9: concurrent transactions and reads have an order that explains every
// answer, its revision included, and agrees with real time.
func TestTransactions_Linearizable(t *testing.T) {
	const clients, perClient = 6, 15
	for _, durability := range []mvcc.Durability{mvcc.Sync(), mvcc.Relaxed(time.Millisecond)} {
		t.Run(durability.String(), func(t *testing.T) {
			for seed := range uint64(5) {
				engine, err := mem.Open("", backend.Options{})
				require.NoError(t, err)
				s, err := mvcc.Open(engine, mvcc.Config{Durability: durability})
				require.NoError(t, err)
				_, err = s.Update(ctx, func(tx *mvcc.WriteTx) error {
					if err := tx.Put([]byte("a"), []byte("0"), 0); err != nil {
						return err
					}
					return tx.Put([]byte("b"), []byte("0"), 0)
				})
				require.NoError(t, err)
				history := runClients(t, s, seed, clients, perClient)
				result := porcupine.CheckOperationsTimeout(registerModel, history, time.Minute)
				require.Equal(t, porcupine.Ok, result, "seed %d", seed)
				require.NoError(t, s.Close())
				require.NoError(t, engine.Close())
			}
		})
	}
}

func runClients(t *testing.T, s *mvcc.Store, seed uint64, clients, perClient int) []porcupine.Operation {
	start := time.Now()
	var mu sync.Mutex
	var history []porcupine.Operation
	var wg sync.WaitGroup
	for client := range clients {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, uint64(client)))
			for range perClient {
				in := request{
					keys:   []string{"a", "b", "ab", "ba"}[rnd.IntN(4)],
					expect: []string{"*", "0", "1", "2"}[rnd.IntN(4)],
					value:  fmt.Sprint(rnd.IntN(3)),
				}
				if rnd.IntN(3) == 0 {
					in = request{keys: "ab", read: true}
				}
				op := porcupine.Operation{ClientId: client, Input: in, Call: int64(time.Since(start))}
				out, err := in.run(s)
				op.Output, op.Return = out, int64(time.Since(start))
				mu.Lock()
				history = append(history, op)
				mu.Unlock()
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return history
}
