package backendtest

import (
	"context"
	"io"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
)

func lifeCases() []testCase {
	return []testCase{
		{"Closed", "After Close every call answers ErrClosed.", func(t *testing.T, f *fixture) {
			e := f.open()
			f.put("a", "1")
			f.close()
			var b backend.Batch
			b.Put(backend.SpaceKey, []byte("a"), []byte("2"))
			require.ErrorIs(t, e.Apply(&b, backend.Sync), backend.ErrClosed)
			_, err := e.View()
			require.ErrorIs(t, err, backend.ErrClosed)
			require.ErrorIs(t, e.Close(), backend.ErrClosed)
			ctx := context.Background()
			if a, ok := e.(backend.Backuper); ok {
				require.ErrorIs(t, a.Backup(ctx, io.Discard), backend.ErrClosed)
			}
			if a, ok := e.(backend.Reclaimer); ok {
				require.ErrorIs(t, a.Reclaim(ctx), backend.ErrClosed)
			}
			if a, ok := e.(backend.Verifier); ok {
				_, err := a.Verify(ctx)
				require.ErrorIs(t, err, backend.ErrClosed)
			}
			assert.Zero(t, e.Stats().OpenViews)
		}},
		{"CloseWaits", "Close waits for open views.", func(t *testing.T, f *fixture) {
			e := f.open()
			f.put("a", "1")
			v, err := e.View()
			require.NoError(t, err)
			f.engine = nil
			closed := make(chan error, 1)
			go func() { closed <- e.Close() }()
			// Newcomers are turned away as soon as Close has begun.
			for {
				late, err := e.View()
				if err != nil {
					require.ErrorIs(t, err, backend.ErrClosed)
					break
				}
				require.NoError(t, late.Close())
			}
			assert.Equal(t, []string{"a", "1"}, scan(t, v, backend.SpaceKey, nil, nil))
			select {
			case err := <-closed:
				t.Fatalf("Close returned %v before the view was closed", err)
			default:
			}
			require.NoError(t, v.Close())
			require.NoError(t, <-closed)
		}},
		{"CloseUnderLoad", "After Close every call answers ErrClosed, also calls that run meanwhile.", closeUnderLoad},
		{"Stats", "Stats reads figures the engine keeps; a figure an engine cannot know is -1.", func(t *testing.T, f *fixture) {
			f.openWith(backend.Options{CacheBytes: 8 << 20})
			f.put("a", "1")
			s := f.engine.Stats()
			assert.GreaterOrEqual(t, s.DiskBytes, int64(1))
			assert.GreaterOrEqual(t, s.InUseBytes, int64(-1))
			assert.GreaterOrEqual(t, s.MaxBatchBytes, int64(0))
			assert.GreaterOrEqual(t, s.MaxBatchOps, 0)
			assert.Contains(t, []int64{0, 8 << 20}, s.CacheBytes)
			assert.Contains(t, s.Version, f.driver.Name)
		}},
		{"SpacesChecked", "Spaces outside 1 to 254, without a name or doubled are refused.", func(t *testing.T, f *fixture) {
			for _, spaces := range [][]backend.SpaceInfo{
				{{Space: 0, Name: "zero"}},
				{{Space: 255, Name: "last"}},
				{{Space: 7, Name: ""}},
				{{Space: 7, Name: "a"}, {Space: 7, Name: "b"}},
				{{Space: 7, Name: "a"}, {Space: 8, Name: "a"}},
			} {
				e, err := f.driver.Open(f.path, backend.Options{Spaces: spaces})
				if !assert.Error(t, err, "%v", spaces) {
					require.NoError(t, e.Close())
				}
			}
			f.openWith(backend.Options{Spaces: []backend.SpaceInfo{{Space: 254, Name: "highest"}}})
			var b backend.Batch
			b.Put(254, []byte{0xff}, []byte("1"))
			require.NoError(t, f.engine.Apply(&b, backend.Sync))
			assert.Equal(t, []string{"\xff", "1"}, f.contents(254))
		}},
	}
}

// closeUnderLoad closes while a writer and readers are at work: each sees
// success until it sees ErrClosed, and nothing panics.
func closeUnderLoad(t *testing.T, f *fixture) {
	e := f.open()
	f.put("a", "1")
	f.engine = nil
	var working, started sync.WaitGroup
	started.Add(4)
	work := func(step func() error) {
		working.Go(func() {
			first := true
			for {
				err := step()
				if first {
					started.Done()
					first = false
				}
				if err != nil {
					assert.ErrorIs(t, err, backend.ErrClosed)
					return
				}
			}
		})
	}
	work(func() error {
		var b backend.Batch
		b.Put(backend.SpaceKey, []byte("a"), []byte("2"))
		return e.Apply(&b, backend.NoSync)
	})
	for range 2 {
		work(func() error {
			v, err := e.View()
			if err != nil {
				return err
			}
			if _, _, err := v.Get(backend.SpaceKey, nil, []byte("a")); err != nil {
				return err
			}
			return v.Close()
		})
	}
	work(func() error {
		e.Stats()
		v, err := e.View()
		if err != nil {
			return err
		}
		return v.Close()
	})
	started.Wait()
	require.NoError(t, e.Close())
	working.Wait()
}
