package metamorphic

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
)

// Op is one operation. Do names it; the other fields are its arguments, as
// far as it has them. Revisions are given as a distance back from the current
// one, so that a list makes sense whatever was left out of it.
type Op struct {
	Do     string   `json:"do"`
	Key    string   `json:"key,omitempty"`
	End    string   `json:"end,omitempty"`
	Value  string   `json:"value,omitempty"`
	Lease  int64    `json:"lease,omitempty"`
	Back   int64    `json:"back,omitempty"` // below the current revision; above it if negative
	Stream int      `json:"stream,omitempty"`
	N      int      `json:"n,omitempty"`
	Fail   bool     `json:"fail,omitempty"`
	Writes []Op     `json:"writes,omitempty"` // of update
	Txn    *TxnText `json:"txn,omitempty"`
	Watch  *Request `json:"watch,omitempty"`
}

// TxnText is a declarative transaction as text.
type TxnText struct {
	If   []CompareText `json:"if,omitempty"`
	Then []Op          `json:"then,omitempty"`
	Else []Op          `json:"else,omitempty"`
}

// CompareText is one condition.
type CompareText struct {
	Target   string `json:"target"`
	Relation string `json:"is"`
	Key      string `json:"key"`
	End      string `json:"end,omitempty"`
	Value    string `json:"value,omitempty"`
	Int      int64  `json:"int,omitempty"`
	Back     int64  `json:"back,omitempty"` // Int is the current revision less this
}

// Request is a watch as text.
type Request struct {
	ID       int64  `json:"id,omitempty"`
	Key      string `json:"key"`
	End      string `json:"end,omitempty"`
	FromNow  bool   `json:"from_now,omitempty"`
	Negative bool   `json:"negative_start,omitempty"`
	PrevKV   bool   `json:"prevkv,omitempty"`
	Progress bool   `json:"progress,omitempty"`
	NoPut    bool   `json:"noput,omitempty"`
	NoDelete bool   `json:"nodelete,omitempty"`
	Policy   string `json:"policy,omitempty"`
	MaxLag   int64  `json:"max_lag,omitempty"`
}

// Format writes a list as text, one operation a line.
func Format(ops []Op) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for _, op := range ops {
		_ = enc.Encode(op) // strings and numbers into a buffer: cannot fail
	}
	return b.Bytes()
}

// Parse reads what Format wrote. Empty lines and lines that begin with # are
// passed over.
func Parse(text []byte) ([]Op, error) {
	var ops []Op
	for n, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		var op Op
		if err := json.Unmarshal([]byte(line), &op); err != nil {
			return nil, fmt.Errorf("line %d: %w", n+1, err)
		}
		ops = append(ops, op)
	}
	return ops, nil
}

func (op Op) String() string { return strings.TrimSpace(string(Format([]Op{op}))) }

var targets = map[string]mvcc.Target{
	"version": mvcc.TargetVersion, "create": mvcc.TargetCreate, "mod": mvcc.TargetMod,
	"value": mvcc.TargetValue, "lease": mvcc.TargetLease,
}

var relations = map[string]mvcc.Relation{"=": mvcc.Equal, ">": mvcc.Greater, "<": mvcc.Less, "!=": mvcc.NotEqual}

// txn is the transaction at a current revision.
func (t *TxnText) txn(rev int64) mvcc.Txn {
	out := mvcc.Txn{Then: txnOps(t.Then, rev), Else: txnOps(t.Else, rev)}
	for _, c := range t.If {
		m := mvcc.Compare{Target: targets[c.Target], Relation: relations[c.Relation], Key: []byte(c.Key), End: []byte(c.End), Value: []byte(c.Value), Int: c.Int}
		if c.Target == "create" || c.Target == "mod" {
			m.Int = rev - c.Back
		}
		out.If = append(out.If, m)
	}
	return out
}

func txnOps(ops []Op, rev int64) []mvcc.Op {
	var out []mvcc.Op
	for _, op := range ops {
		m := mvcc.Op{Key: []byte(op.Key), End: []byte(op.End), Value: []byte(op.Value), Lease: op.Lease, PrevKV: op.N%2 == 1}
		switch op.Do {
		case "put":
			m.Type, m.End = mvcc.OpPut, nil
		case "delete":
			m.Type = mvcc.OpDeleteRange
		case "range":
			m.Type, m.Range = mvcc.OpRange, mvcc.RangeOptions{Limit: int64(op.N)}
		case "txn":
			nested := op.Txn.txn(rev)
			m.Type, m.Txn = mvcc.OpTxn, &nested
		}
		out = append(out, m)
	}
	return out
}

// request is the watch at a current revision.
func (op *Op) request(rev int64) watch.Request {
	w := op.Watch
	r := watch.Request{
		ID: w.ID, Key: []byte(w.Key), End: []byte(w.End), StartRevision: max(1, rev-op.Back),
		PrevKV: w.PrevKV, Progress: w.Progress, NoPut: w.NoPut, NoDelete: w.NoDelete, MaxLagRevisions: w.MaxLag,
	}
	switch {
	case w.FromNow:
		r.StartRevision = 0
	case w.Negative:
		r.StartRevision = -1
	}
	switch w.Policy {
	case "latest":
		r.Policy = watch.Latest
	case "cancel":
		r.Policy = watch.Cancel
	}
	return r
}
