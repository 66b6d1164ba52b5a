package verify

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/watchkv/watchkv/mvcc"
)

// txnCase is a transaction and whether it is refused as writing a key twice.
type txnCase struct {
	name    string
	refused bool
	txn     func(s *scene) mvcc.Txn
}

func then(ops ...mvcc.Op) mvcc.Txn { return mvcc.Txn{Then: ops} }

func nested(t mvcc.Txn) mvcc.Op { return mvcc.Op{Type: mvcc.OpTxn, Txn: &t} }

// txnCases are etcd's recursive check: puts of a level against each other,
// against its deletes and against what nested transactions do, those behind a
// nested transaction left out.
var txnCases = []txnCase{
	{"put a, put a", true, func(s *scene) mvcc.Txn { return then(s.opPut("a", "1"), s.opPut("a", "2")) }},
	{"put a, put b", false, func(s *scene) mvcc.Txn { return then(s.opPut("a", "1"), s.opPut("b", "2")) }},
	{"put a, delete a", true, func(s *scene) mvcc.Txn { return then(s.opPut("a", "1"), s.opDelete("a")) }},
	{"delete a, put a", true, func(s *scene) mvcc.Txn { return then(s.opDelete("a"), s.opPut("a", "1")) }},
	{"delete a..c, put b", true, func(s *scene) mvcc.Txn { return then(s.opDeleteTo("a", "c"), s.opPut("b", "1")) }},
	{"delete a..c, put c", false, func(s *scene) mvcc.Txn { return then(s.opDeleteTo("a", "c"), s.opPut("c", "1")) }},
	{"delete a..c, delete b..d", false, func(s *scene) mvcc.Txn { return then(s.opDeleteTo("a", "c"), s.opDeleteTo("b", "d")) }},
	{"then put a, else put a", false, func(s *scene) mvcc.Txn {
		return mvcc.Txn{Then: []mvcc.Op{s.opPut("a", "1")}, Else: []mvcc.Op{s.opPut("a", "2")}}
	}},
	{"put a twice in the branch that does not run", true, func(s *scene) mvcc.Txn {
		return mvcc.Txn{Then: []mvcc.Op{s.opPut("a", "1")}, Else: []mvcc.Op{s.opPut("b", "1"), s.opPut("b", "2")}}
	}},
	{"put a, nested put a", true, func(s *scene) mvcc.Txn { return then(s.opPut("a", "1"), nested(then(s.opPut("a", "2")))) }},
	{"two nested put a", true, func(s *scene) mvcc.Txn {
		return then(nested(then(s.opPut("a", "1"))), nested(then(s.opPut("a", "2"))))
	}},
	{"nested: then put a, else put a", false, func(s *scene) mvcc.Txn {
		return then(nested(mvcc.Txn{Then: []mvcc.Op{s.opPut("a", "1")}, Else: []mvcc.Op{s.opPut("a", "2")}}))
	}},
	{"nested delete a, then nested put a", true, func(s *scene) mvcc.Txn {
		return then(nested(then(s.opDelete("a"))), nested(then(s.opPut("a", "1"))))
	}},
	{"nested put a, then nested delete a", false, func(s *scene) mvcc.Txn {
		return then(nested(then(s.opPut("a", "1"))), nested(then(s.opDelete("a"))))
	}},
	{"nested put a, delete a beside it", true, func(s *scene) mvcc.Txn {
		return then(nested(then(s.opPut("a", "1"))), s.opDelete("a"))
	}},
}

// probeTransactions: what a declarative transaction may write, and that reads
// and comparisons see what was acknowledged.
func probeTransactions(s *scene) {
	for _, c := range txnCases {
		if s.failed() {
			return
		}
		_, err := s.subject.Txn(s.ctx, c.txn(s))
		refused := errors.Is(err, mvcc.ErrDuplicateKey)
		if err != nil && !refused {
			s.fail("transaction", err)
			return
		}
		s.tally.saw("E2", 1)
		if refused != c.refused {
			answer := map[bool]string{true: "refused as a duplicate key", false: "granted"}
			s.broke("E2", fmt.Sprintf("%s: %s, want %s", c.name, answer[refused], answer[c.refused]),
				Line{What: "txn", Text: c.name}, Line{Mark: true, What: "answer", Text: answer[refused], Note: "want " + answer[c.refused]})
		}
	}
	if s.readYourWrites() {
		s.counter()
	}
}

// readYourWrites: what was acknowledged is read. It reports whether it was.
func (s *scene) readYourWrites() bool {
	for i := range 20 {
		want := fmt.Sprint(i)
		rev := s.put("read", want)
		if s.failed() {
			return false
		}
		r, err := s.subject.Range(s.ctx, s.key("read"), nil, mvcc.RangeOptions{})
		if s.must("read", err); err != nil {
			return false
		}
		s.tally.saw("G9", 1)
		if len(r.KVs) != 1 || string(r.KVs[0].Value) != want || r.KVs[0].ModRevision != rev || r.Rev < rev {
			s.broke("G9", fmt.Sprintf("a read after the answer at revision %d does not see it", rev),
				Line{What: "put", Text: fmt.Sprintf("read=%s@%d", want, rev)},
				Line{Mark: true, What: "read", Text: fmt.Sprintf("%d keys at revision %d", len(r.KVs), r.Rev)})
			return false
		}
	}
	return true
}

const (
	counters   = 4
	increments = 12
)

// counter: several raise one number, each by comparing first. None may be
// lost.
func (s *scene) counter() {
	var group sync.WaitGroup
	for range counters {
		group.Go(func() {
			for range increments {
				if err := s.increment(s.ctx); err != nil {
					s.fail("raise a counter", err)
					return
				}
			}
		})
	}
	group.Wait()
	if s.failed() {
		return
	}
	r, err := s.subject.Range(s.ctx, s.key("counter"), nil, mvcc.RangeOptions{})
	if s.must("read", err); err != nil {
		return
	}
	want := fmt.Sprint(counters * increments)
	s.tally.saw("G9", counters*increments)
	if len(r.KVs) != 1 || string(r.KVs[0].Value) != want || r.KVs[0].Version != counters*increments {
		got := "nothing"
		if len(r.KVs) > 0 {
			got = fmt.Sprintf("%s, version %d", r.KVs[0].Value, r.KVs[0].Version)
		}
		s.broke("G9", fmt.Sprintf("a counter raised %s times reads %s", want, got),
			Line{What: "txn", Text: "if counter is what was read, put counter + 1", Note: want + " times granted"},
			Line{Mark: true, What: "read", Text: got})
	}
}

func (s *scene) increment(ctx context.Context) error {
	for {
		r, err := s.subject.Range(ctx, s.key("counter"), nil, mvcc.RangeOptions{})
		if err != nil {
			return err
		}
		n, mod := 0, int64(0)
		if len(r.KVs) > 0 {
			mod = r.KVs[0].ModRevision
			if _, err := fmt.Sscan(string(r.KVs[0].Value), &n); err != nil {
				return err
			}
		}
		res, err := s.subject.Txn(ctx, mvcc.Txn{
			If:   []mvcc.Compare{{Target: mvcc.TargetMod, Key: s.key("counter"), Int: mod}},
			Then: []mvcc.Op{s.opPut("counter", fmt.Sprint(n+1))},
		})
		if err != nil || res.Succeeded {
			return err
		}
	}
}
