package backendtest

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
)

func viewCases() []testCase {
	return []testCase{
		{"FrozenView", "A view sees every Apply that returned before it was opened and nothing of a later one.", func(t *testing.T, f *fixture) {
			f.open()
			f.put("a", "1", "b", "1")
			v, err := f.engine.View()
			require.NoError(t, err)
			f.put("a", "2", "c", "2")
			var b backend.Batch
			b.Delete(backend.SpaceKey, []byte("b"))
			require.NoError(t, f.engine.Apply(&b, backend.Sync))
			assert.Equal(t, []string{"a", "1", "b", "1"}, scan(t, v, backend.SpaceKey, nil, nil))
			value, ok, err := v.Get(backend.SpaceKey, nil, []byte("a"))
			require.NoError(t, err)
			assert.True(t, ok)
			assert.Equal(t, "1", string(value))
			_, ok, err = v.Get(backend.SpaceKey, nil, []byte("c"))
			require.NoError(t, err)
			assert.False(t, ok)
			require.NoError(t, v.Close())
			assert.Equal(t, []string{"a", "2", "c", "2"}, f.contents(backend.SpaceKey))
		}},
		{"ScanBounds", "A scan visits keys in ascending byte order from lo, included, to hi, excluded; a nil hi means to the end of the space.", func(t *testing.T, f *fixture) {
			f.open()
			f.put("b\x00", "2", "b", "1", "d", "4", "c", "3", "\xff", "5", "\xff\xff\xff", "6")
			f.withView(func(v backend.View) {
				for _, c := range []struct {
					name   string
					lo, hi []byte
					want   string
				}{
					{"all", nil, nil, "123456"},
					{"empty lo", []byte{}, nil, "123456"},
					{"lo is a key", []byte("b"), nil, "123456"},
					{"lo between", []byte("b\x00\x00"), nil, "3456"},
					{"hi is a key", nil, []byte("c"), "12"},
					{"hi between", nil, []byte("cc"), "123"},
					{"both", []byte("b\x00"), []byte("d"), "23"},
					{"one key", []byte("c"), []byte("c\x00"), "3"},
					{"to the last byte", []byte("d"), []byte("\xff\xff"), "45"},
					{"from above", []byte("\xff\xff\xff\xff"), nil, ""},
					{"lo equals hi", []byte("c"), []byte("c"), ""},
					{"lo above hi", []byte("d"), []byte("b"), ""},
					{"hi empty, not nil", nil, []byte{}, ""},
				} {
					got := ""
					err := v.Scan(backend.SpaceKey, c.lo, c.hi, func(key, value []byte) bool {
						got += string(value)
						return true
					})
					require.NoError(t, err, c.name)
					assert.Equal(t, c.want, got, c.name)
				}
			})
		}},
		{"ScanStops", "Scan visits keys until visit returns false.", func(t *testing.T, f *fixture) {
			f.open()
			f.put("a", "1", "b", "2", "c", "3")
			f.withView(func(v backend.View) {
				for want := 1; want <= 3; want++ {
					visited := 0
					require.NoError(t, v.Scan(backend.SpaceKey, nil, nil, func(key, value []byte) bool {
						visited++
						return visited < want
					}))
					assert.Equal(t, want, visited)
				}
			})
		}},
		{"ScanPassesPanics", "A panic of visit is the caller's: it passes, and the view still closes.", func(t *testing.T, f *fixture) {
			f.open()
			f.put("a", "1")
			v, err := f.engine.View()
			require.NoError(t, err)
			assert.PanicsWithValue(t, "mine", func() {
				_ = v.Scan(backend.SpaceKey, nil, nil, func(key, value []byte) bool { panic("mine") })
			})
			assert.Equal(t, []string{"a", "1"}, scan(t, v, backend.SpaceKey, nil, nil))
			require.NoError(t, v.Close())
		}},
		{"GetIsTheCallers", "The value that Get returns belongs to the caller.", func(t *testing.T, f *fixture) {
			f.open()
			f.put("a", "first", "b", "second")
			var a, both []byte
			f.withView(func(v backend.View) {
				var err error
				a, _, err = v.Get(backend.SpaceKey, nil, []byte("a"))
				require.NoError(t, err)
				both, _, err = v.Get(backend.SpaceKey, []byte("a+"), []byte("b"))
				require.NoError(t, err)
				a[0] = 'F' // must not reach the store
			})
			f.put("a", "other", "b", "other")
			assert.Equal(t, "First", string(a))
			assert.Equal(t, "a+second", string(both))
			f.put("a", "first")
			f.withView(func(v backend.View) {
				dst := make([]byte, 0, 64)
				got, ok, err := v.Get(backend.SpaceKey, dst, []byte("a"))
				require.NoError(t, err)
				assert.True(t, ok)
				assert.Equal(t, "first", string(got))
				assert.Equal(t, "first", string(dst[:5]), "Get appends in place where dst has room")
			})
		}},
		{"WholeBatches", "A batch is seen whole or not at all, by views; a view never blocks the writer, and the writer never blocks a view.", wholeBatches},
		{"GrowUnderView", "A view never blocks the writer, whatever the store must grow by.", func(t *testing.T, f *fixture) {
			f.open()
			f.put("a", "1")
			v, err := f.engine.View()
			require.NoError(t, err)
			// Same goroutine: an engine that waits for v here never returns.
			value := make([]byte, 64<<10)
			for i := range 32 {
				var b backend.Batch
				for j := range 32 {
					b.Append(backend.SpaceKey, fmt.Appendf(nil, "b%03d%03d", i, j), value)
				}
				require.NoError(t, f.engine.Apply(&b, backend.NoSync))
			}
			assert.Equal(t, []string{"a", "1"}, scan(t, v, backend.SpaceKey, nil, nil))
			require.NoError(t, v.Close())
		}},
		{"OpenViews", "OpenViews is the number of views not closed yet.", func(t *testing.T, f *fixture) {
			f.open()
			a, err := f.engine.View()
			require.NoError(t, err)
			b, err := f.engine.View()
			require.NoError(t, err)
			assert.Equal(t, 2, f.engine.Stats().OpenViews)
			require.NoError(t, a.Close())
			assert.Equal(t, 1, f.engine.Stats().OpenViews)
			require.NoError(t, b.Close())
			assert.Zero(t, f.engine.Stats().OpenViews)
		}},
		{"ClosedView", "A view must be closed; a second Close is an error.", func(t *testing.T, f *fixture) {
			f.open()
			f.put("a", "1")
			v, err := f.engine.View()
			require.NoError(t, err)
			require.NoError(t, v.Close())
			require.ErrorIs(t, v.Close(), backend.ErrClosed)
			_, _, err = v.Get(backend.SpaceKey, nil, []byte("a"))
			require.ErrorIs(t, err, backend.ErrClosed)
			err = v.Scan(backend.SpaceKey, nil, nil, func(k, v []byte) bool { return true })
			require.ErrorIs(t, err, backend.ErrClosed)
			assert.Zero(t, f.engine.Stats().OpenViews)
		}},
	}
}

// wholeBatches writes the same number to many keys in each batch while
// readers look for a view with two different numbers, or one that goes back.
func wholeBatches(t *testing.T, f *fixture) {
	e := f.open()
	const keys, batches, readers = 20, 100, 3
	write := func(n int) {
		var b backend.Batch
		for k := range keys {
			b.Put(backend.SpaceKey, fmt.Appendf(nil, "key%02d", k), fmt.Appendf(nil, "%06d", n))
		}
		b.Put(backend.SpaceMeta, []byte("n"), fmt.Appendf(nil, "%06d", n))
		require.NoError(t, e.Apply(&b, backend.NoSync))
	}
	write(0)
	done := make(chan struct{})
	var reading sync.WaitGroup
	for range readers {
		reading.Go(func() {
			last := ""
			for open := true; open; {
				select {
				case <-done:
					open = false // one more round
				default:
				}
				v, err := e.View()
				if !assert.NoError(t, err) {
					return
				}
				mark, _, err := v.Get(backend.SpaceMeta, nil, []byte("n"))
				assert.NoError(t, err)
				seen := 0
				err = v.Scan(backend.SpaceKey, nil, nil, func(key, value []byte) bool {
					seen++
					return assert.Equal(t, string(mark), string(value), "%s", key)
				})
				assert.NoError(t, err)
				assert.Equal(t, keys, seen)
				assert.GreaterOrEqual(t, string(mark), last, "a later view shows an earlier state")
				last = string(mark)
				assert.NoError(t, v.Close())
				if t.Failed() {
					return
				}
			}
		})
	}
	for n := 1; n <= batches && !t.Failed(); n++ {
		write(n)
	}
	close(done)
	reading.Wait()
}
