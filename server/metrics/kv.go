package metrics

import (
	"context"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// ops count operations as etcd does: a put that wants the previous value is a
// put and a range, and what is more than one operation is a transaction too.
type ops struct {
	ranges, puts, deletes, txns prometheus.Counter
	putBytes                    prometheus.Gauge
	rangeTook                   *prometheus.HistogramVec
}

func (o *ops) define(b *book) {
	o.ranges = b.counter("etcd_mvcc_range_total", "Total number of ranges seen by this member.")
	o.puts = b.counter("etcd_mvcc_put_total", "Total number of puts seen by this member.")
	o.deletes = b.counter("etcd_mvcc_delete_total", "Total number of deletes seen by this member.")
	o.txns = b.counter("etcd_mvcc_txn_total", "Total number of txns seen by this member.")
	o.rangeTook = b.histograms("etcd_server_range_duration_seconds", "The latency distributions of txn.Range", prometheus.ExponentialBuckets(0.0001, 2, 20), "success")
	o.putBytes = b.gauge("etcd_debugging_mvcc_total_put_size_in_bytes", "The total size of put kv pairs seen by this member.")
}

// tally is what one transaction of the store did.
type tally struct {
	ranges, puts, deletes, putBytes int
}

func (o *ops) add(t tally) {
	if t.ranges+t.puts+t.deletes > 1 {
		o.txns.Inc()
	}
	o.ranges.Add(float64(t.ranges))
	o.puts.Add(float64(t.puts))
	o.deletes.Add(float64(t.deletes))
	o.putBytes.Add(float64(t.putBytes))
}

// Deleted counts keys that one transaction deleted one by one, such as those
// of a lease.
func (m *Metrics) Deleted(keys int) { m.ops.add(tally{deletes: keys}) }

// KV is the service, counted. Whoever calls it from within the server counts
// too.
func (m *Metrics) KV(service pb.KVServer) pb.KVServer { return &countedKV{service, m} }

type countedKV struct {
	pb.KVServer
	m *Metrics
}

// Range implements etcdserverpb.KVServer.
func (c *countedKV) Range(ctx context.Context, r *pb.RangeRequest) (*pb.RangeResponse, error) {
	began := time.Now()
	resp, err := c.KVServer.Range(ctx, r)
	c.m.ops.ranged(began, err)
	return resp, err
}

// RangeStream implements etcdserverpb.KVServer: every chunk is a range.
func (c *countedKV) RangeStream(r *pb.RangeRequest, stream pb.KV_RangeStreamServer) error {
	counted := &countedRangeStream{KV_RangeStreamServer: stream, m: c.m, began: time.Now()}
	err := c.KVServer.RangeStream(r, counted)
	if err != nil {
		c.m.ops.ranged(counted.began, err)
	}
	return err
}

type countedRangeStream struct {
	pb.KV_RangeStreamServer
	m     *Metrics
	began time.Time // of the next chunk
}

// Send implements etcdserverpb.KV_RangeStreamServer.
func (s *countedRangeStream) Send(r *pb.RangeStreamResponse) error {
	s.m.ops.ranged(s.began, nil)
	err := s.KV_RangeStreamServer.Send(r)
	s.began = time.Now()
	return err
}

// ranged counts a range that began then, unless it never reached the store.
func (o *ops) ranged(began time.Time, err error) {
	if err != nil && !is(err, rpctypes.ErrGRPCCompacted, rpctypes.ErrGRPCFutureRev) {
		return
	}
	o.add(tally{ranges: 1})
	o.rangeTook.WithLabelValues(strconv.FormatBool(err == nil)).Observe(time.Since(began).Seconds())
}

// Put implements etcdserverpb.KVServer.
func (c *countedKV) Put(ctx context.Context, r *pb.PutRequest) (*pb.PutResponse, error) {
	resp, err := c.KVServer.Put(ctx, r)
	var t tally
	if err == nil {
		t.put(r)
	}
	if (err == nil || is(err, rpctypes.ErrGRPCKeyNotFound)) && looksBack(r) {
		t.ranges++
	}
	c.m.ops.add(t)
	return resp, err
}

// DeleteRange implements etcdserverpb.KVServer.
func (c *countedKV) DeleteRange(ctx context.Context, r *pb.DeleteRangeRequest) (*pb.DeleteRangeResponse, error) {
	resp, err := c.KVServer.DeleteRange(ctx, r)
	if err == nil {
		var t tally
		t.delete(r)
		c.m.ops.add(t)
	}
	return resp, err
}

// Txn implements etcdserverpb.KVServer. With etcd the conditions and the check
// of what will run are a transaction of their own before that which writes.
func (c *countedKV) Txn(ctx context.Context, r *pb.TxnRequest) (*pb.TxnResponse, error) {
	resp, err := c.KVServer.Txn(ctx, r)
	if err != nil {
		return resp, err
	}
	var before, run tally
	walk(r, resp, &before, &run)
	if readOnly(r) {
		before.ranges += run.ranges
		run = tally{}
	}
	c.m.ops.add(before)
	c.m.ops.add(run)
	return resp, err
}

// Compact implements etcdserverpb.KVServer. The revision of its answer etcd
// finds by a range.
func (c *countedKV) Compact(ctx context.Context, r *pb.CompactionRequest) (*pb.CompactionResponse, error) {
	resp, err := c.KVServer.Compact(ctx, r)
	if err == nil {
		c.m.ops.add(tally{ranges: 1})
	}
	return resp, err
}

// walk counts the branches that ran.
func walk(r *pb.TxnRequest, resp *pb.TxnResponse, before, run *tally) {
	before.ranges += len(r.Compare)
	branch := r.Failure
	if resp.Succeeded {
		branch = r.Success
	}
	for i, op := range branch {
		switch u := op.Request.(type) {
		case *pb.RequestOp_RequestRange:
			run.ranges++
		case *pb.RequestOp_RequestPut:
			run.put(u.RequestPut)
			if looksBack(u.RequestPut) {
				before.ranges++
				run.ranges++
			}
		case *pb.RequestOp_RequestDeleteRange:
			run.delete(u.RequestDeleteRange)
		case *pb.RequestOp_RequestTxn:
			if nested := resp.Responses[i].GetResponseTxn(); nested != nil {
				walk(u.RequestTxn, nested, before, run)
			}
		}
	}
}

func (t *tally) put(r *pb.PutRequest) {
	t.puts++
	t.putBytes += len(r.Key) + len(r.Value)
}

func (t *tally) delete(r *pb.DeleteRangeRequest) {
	t.deletes++
	if r.PrevKv {
		t.ranges++
	}
}

// looksBack tells whether a put reads the key first.
func looksBack(r *pb.PutRequest) bool { return r.PrevKv || r.IgnoreValue || r.IgnoreLease }

// readOnly tells whether no branch of a transaction may write.
func readOnly(r *pb.TxnRequest) bool {
	for _, branch := range [2][]*pb.RequestOp{r.Success, r.Failure} {
		for _, op := range branch {
			switch u := op.Request.(type) {
			case *pb.RequestOp_RequestPut, *pb.RequestOp_RequestDeleteRange:
				return false
			case *pb.RequestOp_RequestTxn:
				if !readOnly(u.RequestTxn) {
					return false
				}
			}
		}
	}
	return true
}
