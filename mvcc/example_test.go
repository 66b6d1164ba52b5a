package mvcc_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/mem"
	"github.com/watchkv/watchkv/mvcc"
)

func ExampleOpen() {
	engine, err := mem.Open("", backend.Options{})
	if err != nil {
		panic(err)
	}
	defer engine.Close()
	store, err := mvcc.Open(engine, mvcc.Config{Durability: mvcc.Relaxed(100 * time.Millisecond)})
	if err != nil {
		panic(err)
	}
	defer store.Close()

	ctx := context.Background()
	first, _ := store.Put(ctx, []byte("greeting"), []byte("hello"))
	store.Put(ctx, []byte("greeting"), []byte("good evening"))

	now, _, _ := store.Get([]byte("greeting"), 0)
	then, _, _ := store.Get([]byte("greeting"), first)
	fmt.Printf("%s (version %d), before: %s\n", now.Value, now.Version, then.Value)
	// Output: good evening (version 2), before: hello
}

func ExampleStore_Update() {
	engine, _ := mem.Open("", backend.Options{})
	defer engine.Close()
	store, _ := mvcc.Open(engine, mvcc.Config{})
	defer store.Close()
	ctx := context.Background()
	store.Put(ctx, []byte("from"), []byte("x"))

	rev, err := store.Update(ctx, func(tx *mvcc.WriteTx) error {
		kv, ok, err := tx.Get([]byte("from"))
		if err != nil || !ok {
			return err
		}
		if _, err := tx.DeleteRange([]byte("from"), nil); err != nil {
			return err
		}
		return tx.Put([]byte("to"), kv.Value, 0)
	})
	fmt.Println(rev, err)
	commits, _, _ := store.Recent(nil, rev, 1)
	for _, e := range commits[0].Events {
		fmt.Printf("%v %s\n", e.Type, e.KV.Key)
	}
	// Output:
	// 3 <nil>
	// DELETE from
	// PUT to
}

func ExampleStore_Txn() {
	engine, _ := mem.Open("", backend.Options{})
	defer engine.Close()
	store, _ := mvcc.Open(engine, mvcc.Config{})
	defer store.Close()

	lock := mvcc.Txn{
		If:   []mvcc.Compare{{Target: mvcc.TargetCreate, Relation: mvcc.Equal, Key: []byte("lock"), Int: 0}},
		Then: []mvcc.Op{{Type: mvcc.OpPut, Key: []byte("lock"), Value: []byte("mine")}},
		Else: []mvcc.Op{{Type: mvcc.OpRange, Key: []byte("lock")}},
	}
	for range 2 {
		res, _ := store.Txn(context.Background(), lock)
		fmt.Println(res.Succeeded, res.Rev)
	}
	// Output:
	// true 2
	// false 2
}

// What an operator runs on a copy or at night: the report says in words what
// was looked at, and what this engine has no means to see.
func ExampleStore_Verify() {
	engine, err := mem.Open("", backend.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer engine.Close()
	store, err := mvcc.Open(engine, mvcc.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	if _, err := store.Put(context.Background(), []byte("k"), []byte("v")); err != nil {
		log.Fatal(err)
	}
	report, err := store.Verify(context.Background())
	if err != nil {
		log.Fatal(err) // names engine, place and key if it wraps mvcc.ErrDamaged
	}
	fmt.Printf("up to revision %d: %d records, %d keys\n", report.Rev, report.Records, report.Keys)
	for _, what := range report.Checked {
		fmt.Println("checked:", what)
	}
	for _, what := range report.Unchecked {
		fmt.Println("not checked:", what)
	}
	// Output:
	// up to revision 2: 1 records, 1 keys
	// checked: order and form of all records
	// checked: no revision and no change of one is missing in kept history
	// checked: create revisions and versions along the life of each key
	// checked: every record of kept history is in the index, and every version of the index has its record
	// checked: the newest records against what memory holds of them
	// checked: compaction marks, gaps, recorded end and intent
	// not checked: structures of the engine: it has no check of its own
}
