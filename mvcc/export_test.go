package mvcc

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/backendtest"
	"github.com/watchkv/watchkv/backend/engines"
	"github.com/watchkv/watchkv/backend/mem"
)

// copying is an Exporter that loads another engine.
type copying struct {
	info  ExportInfo
	to    *Loader
	pause func() // called at the first records
}

func (c *copying) Begin(info ExportInfo) error {
	c.info = info
	for key, rev := range map[string]int64{"scheduledCompactRev": info.Scheduled, "finishedCompactRev": info.Finished} {
		if rev > 0 {
			op := putMark([]byte(key), rev)
			c.to.batch.Put(op.Space, op.Key, op.Value)
		}
	}
	return nil
}

func (c *copying) Entries(space backend.Space, entries []Entry) error {
	if c.pause != nil && space == backend.SpaceKey {
		c.pause()
		c.pause = nil
	}
	for _, e := range entries {
		if err := c.to.Put(space, e.Key, e.Value); err != nil {
			return err
		}
	}
	return nil
}

func exportTo(t require.TestingT, s *Store, engine backend.Engine, pause func()) ExportInfo {
	l, err := NewLoader(ctx, engine)
	require.NoError(t, err)
	c := &copying{to: l, pause: pause}
	require.NoError(t, s.Export(ctx, c))
	require.NoError(t, l.Finish())
	return c.info
}

func freshMem(t require.TestingT) backend.Engine {
	engine, err := mem.Driver().Open("", backend.Options{})
	require.NoError(t, err)
	return engine
}

// R5: from every engine to another, what is handed out at one revision
// hashes the same, whatever was written meanwhile; a compaction waits.
func TestExport_IsOneRevisionOnEveryEngine(t *testing.T) {
	all := engines.All()
	for i, from := range all {
		for _, to := range []backend.Driver{all[(i+1)%len(all)], all[0]} {
			t.Run(from.Name+" to "+to.Name, func(t *testing.T) {
				s := openOn(t, openEngine(t, from, t.TempDir()), Config{})
				for i := range 300 {
					_, err := s.Put(ctx, fmt.Appendf(nil, "k%02d", i%40), make([]byte, i))
					require.NoError(t, err)
				}
				_, err := s.DeleteRange(ctx, []byte("k1"), []byte("k2"))
				require.NoError(t, err)
				require.NoError(t, s.Compact(ctx, 150))
				target := openEngine(t, to, t.TempDir())
				compacted := make(chan error, 1)
				info := exportTo(t, s, target, func() {
					require.NotZero(t, s.Stats().ExportingFor)
					_, err := s.Put(ctx, []byte("meanwhile"), nil)
					require.NoError(t, err)
					go func() { compacted <- s.Compact(ctx, 200) }()
				})
				require.EqualValues(t, 302, info.Rev)
				require.NoError(t, <-compacted)
				require.Zero(t, s.Stats().ExportingFor)
				loaded := openOn(t, target, Config{})
				require.Equal(t, info.Rev, loaded.Rev())
				require.EqualValues(t, 150, loaded.CompactRev())
				require.NoError(t, loaded.Compact(ctx, 200))
				want, err := s.HashKV(ctx, info.Rev)
				require.NoError(t, err)
				got, err := loaded.HashKV(ctx, info.Rev)
				require.NoError(t, err)
				require.Equal(t, want.Hash, got.Hash)
				_, err = loaded.Verify(ctx)
				require.NoError(t, err)
			})
		}
	}
}

// An export in Relaxed has what was visible when it was asked for.
func TestExport_RelaxedFlushesFirst(t *testing.T) {
	s := openOn(t, freshMem(t), Config{Durability: Relaxed(time.Hour)})
	for range 10 {
		_, err := s.Put(ctx, []byte("a"), []byte("b"))
		require.NoError(t, err)
	}
	require.EqualValues(t, 11, exportTo(t, s, freshMem(t), nil).Rev)
}

// R1: what an unclean stop lost is told, so that a copy can say it too.
func TestExport_TellsOfAGap(t *testing.T) {
	engine := freshMem(t)
	s := openTuned(t, engine, Config{Durability: Relaxed(time.Hour)}, tuning{ceilingStep: 100, partBytes: 4096, deleteBatch: 20, compactChunk: 50})
	_, err := s.Put(ctx, []byte("a"), nil)
	require.NoError(t, err)
	require.NoError(t, s.flush(2))
	ceiling := s.ceiling
	// As after a crash: the ceiling is still there.
	second := openOn(t, engine, Config{})
	info := exportTo(t, second, freshMem(t), nil)
	require.Equal(t, ceiling, info.GapEnd)
	require.Equal(t, ceiling, info.Rev)
}

// An error of the Exporter or the end of the context ends it, and the next
// compaction and export go on.
func TestExport_EndsOnErrors(t *testing.T) {
	s := openOn(t, freshMem(t), Config{})
	for range 3 * exportChunkLen / 2 {
		_, err := s.Put(ctx, []byte("a"), []byte("b"))
		require.NoError(t, err)
	}
	l, err := NewLoader(ctx, freshMem(t))
	require.NoError(t, err)
	bounded, cancel := context.WithCancel(ctx)
	require.ErrorIs(t, s.Export(bounded, &copying{to: l, pause: cancel}), context.Canceled)
	broken := errors.New("broken")
	require.ErrorIs(t, s.Export(ctx, brokenExporter{broken}), broken)
	require.NoError(t, s.Compact(ctx, 100))
	require.NoError(t, s.Close())
	require.ErrorIs(t, s.Export(ctx, brokenExporter{broken}), ErrClosed)
}

type brokenExporter struct{ err error }

func (f brokenExporter) Begin(ExportInfo) error               { return nil }
func (f brokenExporter) Entries(backend.Space, []Entry) error { return f.err }

// R6: a store that failed still hands out what is visible, and nothing of the
// batch that failed, although it is on disk. Every call of the engine may fail.
func TestExport_OfAFailedStore(t *testing.T) {
	faulty := backendtest.NewFaulty(memEngine(t))
	s := openOn(t, faulty, Config{})
	put(t, s, "a", "1")
	faulty.Inject(backendtest.Fault{Call: backendtest.CallApply, N: 1, Err: errDisk, After: true})
	_, err := s.Put(ctx, []byte("b"), nil)
	require.ErrorIs(t, err, ErrFailed)
	target := memEngine(t)
	require.EqualValues(t, 2, exportTo(t, s, target, nil).Rev)
	loaded := openOn(t, target, Config{})
	require.EqualValues(t, 2, loaded.Rev())

	for n := range 3 {
		faulty.Inject(backendtest.Fault{Call: backendtest.CallView, N: n + 1, Err: errDisk})
		l, err := NewLoader(ctx, freshMem(t))
		require.NoError(t, err)
		if err = s.Export(ctx, &copying{to: l}); n < 2 {
			require.ErrorIs(t, err, errDisk)
		}
	}
}

// R5: damage never gets into a copy.
func TestExport_RefusesDamage(t *testing.T) {
	engine := freshMem(t)
	s := openOn(t, engine, Config{})
	for range 5 {
		_, err := s.Put(ctx, []byte("a"), []byte("b"))
		require.NoError(t, err)
	}
	var b backend.Batch
	b.Put(backend.SpaceKey, appendRevKey(nil, KeyRev{Main: 4}), []byte("\x0a\x01a\x10\x02\x18\x09\x20\x03"))
	require.NoError(t, engine.Apply(&b, backend.Sync))
	err := s.Export(ctx, brokenExporter{})
	require.ErrorIs(t, err, ErrDamaged)
	require.ErrorContains(t, err, `"a"`)
}

// What was not finished does not open, and is begun anew.
func TestLoader_UnfinishedNeverOpens(t *testing.T) {
	for _, d := range engines.All() {
		t.Run(d.Name, func(t *testing.T) {
			engine := openEngine(t, d, t.TempDir())
			l, err := NewLoader(ctx, engine)
			require.NoError(t, err)
			put := func(rev int64) {
				require.NoError(t, l.Put(backend.SpaceKey, firstKeyOf(rev), fmt.Appendf(nil, "\x0a\x01a\x10%c\x18%c\x20\x01\x2a\x00", rune(rev), rune(rev))))
			}
			put(2)
			require.NoError(t, l.Put(backend.SpaceLease, []byte("12345678"), nil))
			require.NoError(t, l.apply(backend.Sync))
			_, err = Open(engine, Config{})
			require.ErrorIs(t, err, ErrUnfinished)
			l, err = NewLoader(ctx, engine)
			require.NoError(t, err)
			put(2)
			require.ErrorIs(t, l.Put(backend.SpaceKey, firstKeyOf(2), nil), ErrDamaged)
			require.NoError(t, l.Finish())
			s := openOn(t, engine, Config{})
			require.EqualValues(t, 2, s.Rev())
			require.NoError(t, s.Close())
			_, err = NewLoader(ctx, engine)
			require.ErrorIs(t, err, ErrNotEmpty)
		})
	}
}

// Random histories: the copy answers as the original does.
func TestExport_RandomHistories(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		engine := freshMem(rt)
		s, err := Open(engine, Config{})
		require.NoError(rt, err)
		defer s.Close()
		for range rapid.IntRange(0, 60).Draw(rt, "steps") {
			key := fmt.Appendf(nil, "%d", rapid.IntRange(0, 5).Draw(rt, "key"))
			switch rapid.IntRange(0, 9).Draw(rt, "op") {
			case 0:
				if rev := rapid.Int64Range(1, s.Rev()).Draw(rt, "rev"); rev > s.CompactRev() {
					require.NoError(rt, s.Compact(ctx, rev))
				}
			case 1:
				_, err = s.DeleteRange(ctx, key, []byte{0})
				require.NoError(rt, err)
			case 2:
				require.NoError(rt, s.Bump(ctx, rapid.Int64Range(1, 9).Draw(rt, "bump")))
			default:
				_, err = s.Put(ctx, key, rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(rt, "value"))
				require.NoError(rt, err)
			}
		}
		target := freshMem(rt)
		exportTo(rt, s, target, nil)
		loaded, err := Open(target, Config{})
		require.NoError(rt, err)
		defer loaded.Close()
		want, err := s.HashKV(ctx, 0)
		require.NoError(rt, err)
		got, err := loaded.HashKV(ctx, 0)
		require.NoError(rt, err)
		require.Equal(rt, want, got)
	})
}
