package mvcc

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/backendtest"
)

// smallSteps reserves few revisions at a time and works in small batches.
var smallSteps = tuning{ceilingStep: 10, partBytes: 4 << 20, deleteBatch: 2, compactChunk: 3}

// R1: after an unclean stop in Relaxed no revision number is used again;
// those who saw what was lost are told, and only they.
func TestOpen_UncleanRelaxedLeavesAGap(t *testing.T) {
	faulty := backendtest.NewFaulty(memEngine(t))
	relaxed := Config{Durability: Relaxed(hour)}
	s := openTuned(t, faulty, relaxed, smallSteps)
	put(t, s, "a", "1")
	put(t, s, "a", "2")
	flushed(t, s)
	require.EqualValues(t, 4, put(t, s, "a", "lost"))
	require.EqualValues(t, 5, put(t, s, "b", "lost"))
	crash(t, s, faulty)

	const tail, ceiling = 3, 11 // opened at revision 1, 10 reserved
	check := func(s *Store) {
		t.Helper()
		for rev, want := range map[int64]error{
			2:           nil,
			tail + 1:    nil,
			tail + 2:    &CompactedError{tail + 2, ceiling + 1},
			ceiling:     &CompactedError{ceiling, ceiling + 1},
			ceiling + 1: nil,
		} {
			require.Equal(t, want, s.CheckStart(rev), "watch from %d", rev)
		}
		for rev, want := range map[int64]error{
			tail:        nil,
			tail + 1:    &CompactedError{tail + 1, ceiling + 1},
			ceiling - 1: &CompactedError{ceiling - 1, ceiling + 1},
			ceiling:     nil,
		} {
			_, err := s.Range([]byte("a"), nil, RangeOptions{Rev: rev})
			require.Equal(t, want, err, "read at %d", rev)
		}
		require.Equal(t, []string{"a=2@3"}, all(t, s, ceiling))
	}
	for _, cfg := range []Config{{ReadOnly: true}, {}, relaxed} {
		s = openTuned(t, faulty, cfg, smallSteps)
		require.EqualValues(t, ceiling, s.Rev())
		check(s)
		require.NoError(t, s.Close())
	}
	s = openTuned(t, faulty, relaxed, smallSteps)
	require.EqualValues(t, ceiling+1, put(t, s, "a", "3"))
	require.Equal(t, []string{"put a=1@2", "put a=2@3", "put a=3@12"}, history(t, s, 2))
	check(s)
	prev, missing, err := s.Previous(ctx, nil, []*Event{{KV: KeyValue{Key: []byte("a"), ModRevision: 12}}})
	require.NoError(t, err)
	require.Zero(t, missing)
	require.Equal(t, []byte("2"), prev[0].Value)
	// A second unclean stop makes a second gap; compaction forgets both.
	crash(t, s, faulty)
	s = openTuned(t, faulty, relaxed, smallSteps)
	check(s)
	require.Len(t, *s.gaps.Load(), 2)
	require.NoError(t, s.Compact(ctx, s.Rev()))
	require.NoError(t, s.Close())
	s = openTuned(t, faulty, relaxed, smallSteps)
	require.LessOrEqual(t, len(*s.gaps.Load()), 1)
	require.Equal(t, []string{"a=3@12"}, all(t, s, 0))
}

// R1: a clean close records the exact end, so nothing is lost or skipped.
func TestOpen_CleanCloseIsExact(t *testing.T) {
	eachDurability(t, func(t *testing.T, cfg Config) {
		engine := memEngine(t)
		for i := range 3 {
			s := openTuned(t, engine, cfg, smallSteps)
			require.EqualValues(t, 2+i, put(t, s, "a", fmt.Sprint(i)))
			require.NoError(t, s.Close())
			require.NotContains(t, metaKeys(t, engine), string(metaCeiling))
		}
		s := openTuned(t, engine, cfg, smallSteps)
		require.NoError(t, s.CheckStart(2))
		require.Equal(t, []string{"put a=0@2", "put a=1@3", "put a=2@4"}, history(t, s, 1))
		kv, _, err := s.Get([]byte("a"), 0)
		require.NoError(t, err)
		require.Equal(t, KeyValue{Key: []byte("a"), Value: []byte("2"), CreateRevision: 2, ModRevision: 4, Version: 3}, kv)
	})
}

// The ceiling is raised ahead of what is assigned; a put that reaches it waits.
func TestRelaxed_CeilingIsRaised(t *testing.T) {
	engine := memEngine(t)
	s := openTuned(t, engine, Config{Durability: Relaxed(hour)}, smallSteps)
	for i := range 200 {
		rev := put(t, s, "a", fmt.Sprint(i))
		reserved := int64(binary.BigEndian.Uint64([]byte(metaKeys(t, engine)[string(metaCeiling)])))
		require.Less(t, rev, reserved)
	}
	require.EqualValues(t, 201, s.Rev())
}

// At the bound of what is pending a put waits, and goes on as soon as a part
// is durable.
func TestRelaxed_PendingIsBounded(t *testing.T) {
	engine := &slowEngine{Engine: memEngine(t)}
	s := openOn(t, engine, Config{Durability: Relaxed(hour), PendingBytes: 1})
	release := engine.hold()
	put(t, s, "a", "1") // fills it
	done := make(chan error)
	go func() { _, err := s.Put(ctx, []byte("b"), nil); done <- err }()
	await(func() bool { return s.room.parked.Load() == 1 })
	require.EqualValues(t, 2, s.Rev())
	require.Equal(t, []string{"a=1@2"}, all(t, s, 0))
	release()
	require.NoError(t, <-done)
	require.EqualValues(t, 3, s.Rev())
}

// rawPut writes one entry as no store would.
func rawPut(t *testing.T, engine backend.Engine, space backend.Space, key, value []byte) {
	t.Helper()
	var b backend.Batch
	b.Put(space, key, value)
	require.NoError(t, engine.Apply(&b, backend.Sync))
}

// R5: damage is an error that names place and key, never a panic.
func TestOpen_Damage(t *testing.T) {
	good := func(key string, mod int64) []byte {
		_, b := encodeRecord(KeyValue{Key: []byte(key), CreateRevision: mod, ModRevision: mod, Version: 1})
		return b
	}
	number := func(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
	for _, test := range []struct {
		name       string
		space      backend.Space
		key, value []byte
		want       error
		says       string
	}{
		{"short record key", backend.SpaceKey, []byte("x"), good("k", 2), ErrDamaged, "record key 78 has 1 bytes"},
		{"separator", backend.SpaceKey, make([]byte, 17), good("k", 2), ErrDamaged, "is no revision"},
		{"tombstone mark", backend.SpaceKey, append(firstKeyOf(2), 'x'), good("k", 2), ErrDamaged, "is no revision"},
		{"revision 0", backend.SpaceKey, firstKeyOf(0), good("k", 0), ErrDamaged, "revision 0"},
		{"no protobuf", backend.SpaceKey, firstKeyOf(2), []byte{0x0a, 0xff}, ErrDamaged, "field 1"},
		{"no key", backend.SpaceKey, firstKeyOf(2), nil, ErrDamaged, "has no key"},
		{"other mod revision", backend.SpaceKey, firstKeyOf(3), good("k", 2), ErrDamaged, `key "k" has mod revision 2`},
		{"version 0", backend.SpaceKey, firstKeyOf(2), []byte("\x0a\x01k\x10\x02\x18\x02"), ErrDamaged, `key "k" has version 0`},
		{"create above mod", backend.SpaceKey, firstKeyOf(2), []byte("\x0a\x01k\x10\x03\x18\x02\x20\x01"), ErrDamaged, "create revision 3"},
		{"newer format", backend.SpaceMeta, metaFormat, number(2), ErrFormat, "format 2, this program reads up to 1"},
		{"short number", backend.SpaceMeta, metaEnd, []byte{1}, ErrDamaged, "watchkv_end"},
		{"end is lost", backend.SpaceMeta, metaEnd, number(9), ErrDamaged, "history ends at revision 1, it was closed at 9"},
		{"compact mark", backend.SpaceMeta, metaFinished, []byte{1}, ErrDamaged, "finishedCompactRev"},
		{"gaps", backend.SpaceMeta, metaGaps, number(1), ErrDamaged, "watchkv_gaps"},
		{"a gap that shrinks", backend.SpaceMeta, metaGaps, append(number(5), number(4)...), ErrDamaged, "gap from 5 to 4"},
	} {
		t.Run(test.name, func(t *testing.T) {
			engine := memEngine(t)
			rawPut(t, engine, test.space, test.key, test.value)
			_, err := Open(engine, Config{})
			require.ErrorIs(t, err, test.want)
			require.ErrorContains(t, err, test.says)
		})
	}
	t.Run("put and tombstone at one revision", func(t *testing.T) {
		engine := memEngine(t)
		rawPut(t, engine, backend.SpaceKey, firstKeyOf(2), good("k", 2))
		rawPut(t, engine, backend.SpaceKey, append(firstKeyOf(2), 't'), []byte("\x0a\x01k"))
		_, err := Open(engine, Config{})
		require.ErrorIs(t, err, ErrDamaged)
	})
	t.Run("record missing while open", func(t *testing.T) {
		engine := memEngine(t)
		s := openOn(t, engine, Config{RecentBytes: 1})
		put(t, s, "a", "1")
		put(t, s, "b", "1")
		var b backend.Batch
		b.Delete(backend.SpaceKey, firstKeyOf(2))
		require.NoError(t, engine.Apply(&b, backend.Sync))
		_, _, err := s.Get([]byte("a"), 0)
		require.ErrorIs(t, err, ErrDamaged)
		require.ErrorContains(t, err, "revision 2/0")
	})
}

// The faults of an engine come out as errors, whatever call fails.
func TestOpen_EngineErrors(t *testing.T) {
	for _, call := range []backendtest.Call{backendtest.CallApply, backendtest.CallView, backendtest.CallGet, backendtest.CallScan} {
		faulty := backendtest.NewFaulty(memEngine(t), backendtest.Fault{Call: call, N: 1, Err: errDisk})
		_, err := Open(faulty, Config{})
		require.ErrorIs(t, err, errDisk)
	}
}

func TestConfig_Validate(t *testing.T) {
	for _, cfg := range []Config{
		{RecentBytes: -1}, {PendingBytes: -1}, {MaxRecordBytes: -1}, {Durability: Relaxed(-1)},
		{AutoCompact: AutoCompact{Age: -1}}, {AutoCompact: AutoCompact{Interval: 1}},
	} {
		_, err := Open(memEngine(t), cfg)
		require.ErrorContains(t, err, "mvcc: Config.")
	}
	got := openMem(t, Config{}).Config()
	require.EqualValues(t, 32<<20, got.RecentBytes)
	require.NotNil(t, got.Logger)
}
