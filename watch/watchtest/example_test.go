package watchtest_test

import (
	"fmt"

	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
	"github.com/watchkv/watchkv/watch/watchtest"
)

// A writer says what it was answered; the consumer's responses are held
// against that.
func Example() {
	history := watchtest.NewHistory(watchtest.HistoryConfig{})
	for rev := int64(2); rev <= 4; rev++ {
		if err := history.Put(rev, []byte("k"), []byte("v")); err != nil {
			fmt.Println(err)
		}
	}
	put := func(rev, version int64) mvcc.Event {
		return mvcc.Event{KV: mvcc.KeyValue{Key: []byte("k"), Value: []byte("v"), CreateRevision: 2, ModRevision: rev, Version: version}}
	}

	check := watchtest.NewWatch(watch.Request{Key: []byte("k"), StartRevision: 2}, watchtest.Options{History: history, ID: 7})
	for _, r := range []watch.Response{
		{Created: true, Revision: 4},
		{Events: []mvcc.Event{put(2, 1)}, Revision: 2},
		{Events: []mvcc.Event{put(4, 3)}, Revision: 4}, // where is revision 3?
		{CaughtUp: true, Revision: 4},
	} {
		if err := check.Deliver(&r); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println(check.Finish(4))
	// Output: G3 reliable: PUT "k" at revision 3 was left out (watch 7, key "k", from revision 2)
}
