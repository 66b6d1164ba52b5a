package metamorphic

import (
	"fmt"
	"strings"

	"github.com/watchkv/watchkv/mvcc"
)

// The texts below are how answers are compared: whole, and readable when they
// differ. An empty value and a missing one look the same, as on the wire.

func kvText(kv mvcc.KeyValue) string {
	value := string(kv.Value)
	if len(value) > 50 {
		value = fmt.Sprintf("%s... %d bytes", value[:20], len(value))
	}
	return fmt.Sprintf("%s=%s (create %d mod %d version %d lease %d)", kv.Key, value, kv.CreateRevision, kv.ModRevision, kv.Version, kv.Lease)
}

func kvsText(kvs []mvcc.KeyValue) string {
	var s strings.Builder
	for _, kv := range kvs {
		s.WriteString(kvText(kv) + "; ")
	}
	return s.String()
}

func eventText(e mvcc.Event) string { return fmt.Sprintf("%v %s", e.Type, kvText(e.KV)) }

func rangeText(r mvcc.RangeResult) string {
	return fmt.Sprintf("%d more %t: %s", r.Count, r.More, kvsText(r.KVs))
}

func txnText(t mvcc.TxnResult) string {
	var s strings.Builder
	fmt.Fprintf(&s, "succeeded %t [", t.Succeeded)
	for _, r := range t.Results {
		switch r.Type {
		case mvcc.OpRange:
			fmt.Fprintf(&s, "range %s| ", rangeText(r.Range))
		case mvcc.OpPut:
			fmt.Fprintf(&s, "put, before %s| ", kvsText(r.Prev))
		case mvcc.OpDeleteRange:
			fmt.Fprintf(&s, "deleted %d, before %s| ", r.Deleted, kvsText(r.Prev))
		case mvcc.OpTxn:
			fmt.Fprintf(&s, "%s| ", txnText(*r.Txn))
		}
	}
	return s.String() + "]"
}
