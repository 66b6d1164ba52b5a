package metamorphic

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// streamCount is how many streams a list uses; the even ones are read all the
// time, the odd ones only by recv operations.
const streamCount = 4

// Generate makes n operations from a seed. A longer list of the same seed
// begins with the shorter one.
func Generate(seed uint64, n int) []Op {
	g := &generator{rand.New(rand.NewPCG(seed, 0x77617463686b76))}
	ops := make([]Op, n)
	for i := range ops {
		ops[i] = g.op()
	}
	return ops
}

type generator struct{ *rand.Rand }

// weights says how often each operation comes.
var weights = []struct {
	weight int
	make   func(g *generator) Op
}{
	{34, (*generator).put},
	{7, (*generator).deletes},
	{9, func(g *generator) Op { return Op{Do: "txn", Txn: g.txn(2)} }},
	{7, (*generator).update},
	{5, (*generator).ranges},
	{10, (*generator).watch},
	{4, func(g *generator) Op { return Op{Do: "cancel", Stream: g.IntN(streamCount), N: g.IntN(100)} }},
	{3, func(g *generator) Op {
		op := g.watch()
		op.Do, op.N = "rewatch", g.IntN(100)
		return op
	}},
	{4, func(g *generator) Op { return Op{Do: "progress", Stream: g.IntN(streamCount)} }},
	{10, func(g *generator) Op { return Op{Do: "recv", Stream: 1 + 2*g.IntN(streamCount/2), N: 1 + g.IntN(4)} }},
	{2, func(g *generator) Op { return Op{Do: "compact", Back: g.Int64N(60)} }},
	{1, func(g *generator) Op { return Op{Do: "hash", Back: g.Int64N(5)} }},
	{1, func(g *generator) Op { return Op{Do: "settle"} }},
	{1, func(g *generator) Op {
		if g.IntN(3) > 0 {
			return Op{Do: "reopen"}
		}
		return Op{Do: "bump", N: 1 + g.IntN(5)}
	}},
}

func (g *generator) op() Op {
	total := 0
	for _, w := range weights {
		total += w.weight
	}
	pick := g.IntN(total)
	for _, w := range weights {
		if pick -= w.weight; pick < 0 {
			return w.make(g)
		}
	}
	panic("metamorphic: weights do not add up")
}

func (g *generator) key() string {
	if g.IntN(3) == 0 {
		return fmt.Sprintf("p/%d", g.IntN(6))
	}
	return string(rune('a' + g.IntN(8)))
}

// span is a range as etcd writes it: a key, a range, all from a key on, all.
func (g *generator) span() (key, end string) {
	switch g.IntN(8) {
	case 0:
		return "\x00", "\x00"
	case 1:
		return g.key(), "\x00"
	case 2:
		return "p/", "p0"
	case 3, 4:
		key, end = g.key(), g.key()
		if key > end {
			key, end = end, key
		}
		return key, end + "~"
	}
	return g.key(), ""
}

func (g *generator) value() string {
	switch g.IntN(12) {
	case 0:
		return ""
	case 1:
		return strings.Repeat(fmt.Sprint(g.IntN(10)), 1000+g.IntN(2000))
	}
	return strings.Repeat(fmt.Sprint(g.IntN(10)), 1+g.IntN(40))
}

func (g *generator) lease() int64 {
	if g.IntN(10) == 0 {
		return g.Int64N(5)
	}
	return 0
}

func (g *generator) put() Op {
	return Op{Do: "put", Key: g.key(), Value: g.value()}
}

func (g *generator) deletes() Op {
	key, end := g.span()
	return Op{Do: "delete", Key: key, End: end}
}

func (g *generator) update() Op {
	op := Op{Do: "update", Fail: g.IntN(6) == 0}
	for range 1 + g.IntN(5) {
		w := g.put()
		w.Lease = g.lease()
		switch g.IntN(6) {
		case 0:
			w = g.deletes()
		case 1:
			w = g.ranges()
			w.Back = 0
		}
		op.Writes = append(op.Writes, w)
	}
	return op
}

func (g *generator) ranges() Op {
	key, end := g.span()
	op := Op{Do: "range", Key: key, End: end, N: g.IntN(4)}
	if g.IntN(2) == 0 {
		op.Back = g.Int64N(40) - 1
	}
	return op
}

func (g *generator) txn(depth int) *TxnText {
	t := &TxnText{}
	for range g.IntN(3) {
		t.If = append(t.If, g.compare())
	}
	for range g.IntN(4) {
		t.Then = append(t.Then, g.txnOp(depth))
	}
	for range g.IntN(3) {
		t.Else = append(t.Else, g.txnOp(depth))
	}
	return t
}

func (g *generator) txnOp(depth int) Op {
	switch k := g.IntN(10); {
	case k < 5:
		return Op{Do: "put", Key: g.key(), Value: g.value(), Lease: g.lease(), N: g.IntN(2)}
	case k < 7:
		key, end := g.span()
		if end == "\x00" {
			end = ""
		}
		return Op{Do: "delete", Key: key, End: end, N: g.IntN(2)}
	case k < 8 || depth == 0:
		op := g.ranges()
		op.Back = 0
		return op
	default:
		return Op{Do: "txn", Txn: g.txn(depth - 1)}
	}
}

func (g *generator) compare() CompareText {
	c := CompareText{Key: g.key(), Relation: []string{"=", ">", "<", "!="}[g.IntN(4)]}
	if g.IntN(3) == 0 {
		c.Key, c.End = g.span()
	}
	switch g.IntN(5) {
	case 0:
		c.Target, c.Value = "value", g.value()
	case 1:
		c.Target, c.Int = "version", g.Int64N(4)
	case 2:
		c.Target, c.Back = "create", g.Int64N(20)
	case 3:
		c.Target, c.Back = "mod", g.Int64N(20)
	default:
		c.Target, c.Int = "lease", g.Int64N(3)
	}
	return c
}

func (g *generator) watch() Op {
	w := &Request{PrevKV: g.IntN(3) == 0, Progress: g.IntN(3) == 0, NoPut: g.IntN(8) == 0, NoDelete: g.IntN(8) == 0}
	w.Key, w.End = g.span()
	op := Op{Do: "watch", Stream: g.IntN(streamCount), Watch: w}
	switch k := g.IntN(10); {
	case k < 3:
		w.FromNow = true
	case k < 8:
		op.Back = g.Int64N(120)
	case k < 9:
		op.Back = -g.Int64N(4)
	default:
		op.Back = g.Int64N(1000)
	}
	switch g.IntN(8) {
	case 0, 1:
		w.Policy = "latest"
	case 2:
		w.Policy, w.MaxLag = "cancel", 1+g.Int64N(30)
	}
	switch g.IntN(25) { // what must be refused
	case 0:
		w.Key, w.End = "d", "b"
	case 1:
		w.ID = -1 - g.Int64N(3)
	case 2:
		w.Negative, w.FromNow = true, false
	case 3, 4, 5:
		w.ID = 100 + g.Int64N(4)
	}
	return op
}
