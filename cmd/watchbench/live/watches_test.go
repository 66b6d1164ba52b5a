package live_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/watchkv/watchkv/cmd/watchbench/live"
)

var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// watched is a server with watches in every state, after so many seconds.
func watched(seconds int64) live.Sample {
	p := &live.Watchers{Matching: 5000, Limit: 3}
	p.Server.Program, p.Server.Engine, p.Server.Durability = "watchd 0.3.0", "bbolt v1.5.0", "sync"
	p.Total.Revision, p.Total.Streams, p.Total.Watches = 20_000+1000*seconds, 50, 5000
	p.Total.Synced, p.Total.Unsynced, p.Total.Victims = 4986, 4, 10
	p.Total.QueuedBytes, p.Total.PinnedBytes, p.Total.VictimsEver, p.Total.EventsSent = 1_992_294, 64<<20, 514, 2000*seconds
	p.Watches = []live.Watch{
		{State: "victim", Stream: 31, ID: 4, Range: "registry/pods/*", Next: 20_001, Lag: 1000 * seconds, Queued: 1_468_006, Client: "10.0.0.7:50412", Sent: 7},
		{State: "unsynced", Stream: 12, ID: 0, Range: "registry/*", Next: 20_500 + 1000*seconds, Lag: 500, Queued: 96 << 10, Client: "10.0.0.8:40001", Sent: 211_000 * seconds},
		{State: "synced", Stream: 7, ID: 2, Range: "registry/leases/a-node-with-a-name-that-is-far-too-long/grün", Next: 20_001 + 1000*seconds, Client: "10.0.0.8:40002", Sent: seconds},
	}
	return live.Sample{At: noon.Add(time.Duration(seconds) * time.Second), Page: p}
}

func top(samples ...live.Sample) live.TopView {
	v := live.TopView{Target: "etcd://10.0.0.9:2379"}
	for _, s := range samples {
		v = v.With(s)
	}
	return v
}

func totals(seconds int64) live.Sample {
	return live.Sample{At: noon.Add(time.Duration(seconds) * time.Second), Totals: &live.Totals{
		Version: "3.7.3", Streams: 50, Watches: 5000, Slow: 14, PendingEvents: 128, Revision: 4218, Event: float64(2000 * seconds),
	}}
}

var refused = live.Sample{At: noon.Add(9 * time.Second), Failed: errors.New("connection refused; is watchd running there?")}

func tops() map[string]live.TopView {
	filtered := top(watched(0), watched(2))
	filtered.Filter, filtered.Behind, filtered.Order = "10.0.0.8", true, live.ByEvents
	typing := top(watched(0), watched(2))
	typing.Filter, typing.Typing = "nobody", true
	empty := watched(1)
	empty.Page.Watches, empty.Page.Matching, empty.Page.Total.Watches = nil, 0, 0
	return map[string]live.TopView{
		"watches": top(watched(0), watched(2), watched(7)), "first": top(watched(0)), "gone": top(watched(0), watched(2), refused),
		"never": top(refused), "totals": top(totals(0), totals(2)), "filtered": filtered, "typing": typing, "empty": top(empty),
	}
}

func TestTopGolden(t *testing.T) {
	for name, v := range tops() {
		for _, size := range [][2]int{{120, 12}, {80, 12}, {50, 8}} {
			name := fmt.Sprintf("top-%s-%dx%d", name, size[0], size[1])
			t.Run(name, func(t *testing.T) {
				got := v.Screen(size[0], size[1], live.Style{})
				golden(t, name, got)
				fits(t, got, size[0], size[1], live.Style{})
			})
		}
	}
	golden(t, "top-watches-color", top(watched(0), watched(2), watched(7)).Screen(120, 12, live.Style{Color: true}))
	golden(t, "top-table", top(watched(0)).Table(100, 1<<20, live.Style{}))
}

func TestTopFitsEverySize(t *testing.T) {
	for name, v := range tops() {
		for _, width := range []int{1, 9, 20, 40, 79, 80, 100, 220} {
			for _, height := range []int{1, 2, 3, 5, 24} {
				style := live.Style{ASCII: true}
				v.Target = "etcd://10.0.0.9:2379"
				got := v.Screen(width, height, style)
				if name != "totals" && name != "never" && name != "empty" { // the name of a range may hold what is not ASCII
					style.ASCII = false
				}
				fits(t, got, width, height, style)
				if t.Failed() {
					t.Fatalf("%s at %dx%d", name, width, height)
				}
			}
		}
	}
}

// A server that begins anew has neither rates nor a past.
func TestTop_AfterARestart(t *testing.T) {
	text := top(watched(5), watched(9), watched(1)).Table(200, 100, live.Style{})
	assert.Contains(t, text, "n/a")
	assert.NotContains(t, text, "-2")
}
