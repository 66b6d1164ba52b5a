package etcdfile_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/engines"
	"github.com/watchkv/watchkv/backend/mem"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/server/etcdfile"
)

var ctx = context.Background()

func openEngine(t *testing.T, d backend.Driver) backend.Engine {
	engine, err := d.Open(t.TempDir(), backend.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, engine.Close()) })
	return engine
}

func openStore(t *testing.T, engine backend.Engine) *mvcc.Store {
	s, err := mvcc.Open(engine, mvcc.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// fill writes a history with tombstones, a compaction and a large value.
func fill(t *testing.T, s *mvcc.Store) {
	for i := range 200 {
		_, err := s.Put(ctx, fmt.Appendf(nil, "k%02d", i%30), bytes.Repeat([]byte{byte(i)}, i))
		require.NoError(t, err)
	}
	_, err := s.DeleteRange(ctx, []byte("k0"), []byte("k1"))
	require.NoError(t, err)
	_, err = s.Put(ctx, []byte("large"), make([]byte, 3<<20))
	require.NoError(t, err)
	require.NoError(t, s.Compact(ctx, 100))
	_, err = s.DeleteRange(ctx, []byte("k2"), []byte("k3"))
	require.NoError(t, err)
}

var identity = etcdfile.Identity{MemberID: 0xabc, Name: "me", ClientURLs: []string{"http://127.0.0.1:2379"}, Index: 9, Term: 2}

// build writes the file of a store, hash and all, and returns its name. Others
// may write meanwhile.
func build(t *testing.T, s *mvcc.Store) string {
	scratch, before := t.TempDir(), s.Rev()
	built, err := etcdfile.Build(ctx, s, etcdfile.BuildConfig{Dir: scratch, Identity: identity})
	require.NoError(t, err)
	require.GreaterOrEqual(t, built.Facts.Rev, before)
	path := filepath.Join(t.TempDir(), "snap.db")
	body, err := io.ReadAll(built)
	require.NoError(t, err)
	require.EqualValues(t, built.Facts.Size, len(body))
	require.NoError(t, built.Close())
	writeHashed(t, path, body)
	left, err := os.ReadDir(scratch)
	require.NoError(t, err)
	require.Empty(t, left, "nothing stays behind")
	return path
}

func writeHashed(t require.TestingT, path string, body []byte) {
	sum := sha256.Sum256(body)
	require.NoError(t, os.WriteFile(path, append(append([]byte(nil), body...), sum[:]...), 0o600))
}

func open(t *testing.T, path string, c etcdfile.OpenConfig) *etcdfile.File {
	f, err := etcdfile.Open(ctx, path, c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	return f
}

func requireEqualStores(t require.TestingT, want, got *mvcc.Store) {
	require.Equal(t, want.Rev(), got.Rev())
	require.Equal(t, want.CompactRev(), got.CompactRev())
	a, err := want.HashKV(ctx, 0)
	require.NoError(t, err)
	b, err := got.HashKV(ctx, 0)
	require.NoError(t, err)
	require.Equal(t, a, b)
	_, err = got.Verify(ctx)
	require.NoError(t, err)
}

// R5: a store of any engine through the file into any engine is the same
// store.
func TestFile_FromAndToEveryEngine(t *testing.T) {
	all := engines.All()
	for i, d := range all {
		t.Run(d.Name, func(t *testing.T) {
			t.Parallel()
			s := openStore(t, openEngine(t, d))
			fill(t, s)
			f := open(t, build(t, s), etcdfile.OpenConfig{})
			info := f.Info()
			require.True(t, info.Hashed)
			require.Equal(t, "3.7.0", info.StorageVersion)
			require.Equal(t, "3.7.0", info.ClusterVersion)
			require.EqualValues(t, 9, info.ConsistentIndex)
			require.EqualValues(t, 100, info.Finished)
			require.Nil(t, info.WAL)
			st, err := f.Status(ctx)
			require.NoError(t, err)
			require.Equal(t, s.Rev(), st.Revision)
			require.Equal(t, 11, st.TotalKey)
			for _, target := range []backend.Driver{d, all[(i+1)%len(all)]} {
				engine := openEngine(t, target)
				loaded, err := f.Load(ctx, engine, etcdfile.LoadConfig{Origin: "here"})
				require.NoError(t, err)
				require.Equal(t, s.Rev(), loaded.Rev)
				requireEqualStores(t, s, openStore(t, engine))
				origin, err := etcdfile.OriginOf(engine)
				require.NoError(t, err)
				require.Equal(t, "here", origin)
				_, err = f.Load(ctx, engine, etcdfile.LoadConfig{})
				require.ErrorIs(t, err, mvcc.ErrNotEmpty)
			}
		})
	}
}

// etcdFixture is a file that a real etcd wrote, and what it answered.
func etcdFixture(t *testing.T, name string) (path string, rev, compact int64, hash uint32) {
	dir := filepath.Join("..", "..", "mvcc", "testdata", "etcd")
	facts := "facts.json"
	if name == "leases.db" {
		facts = "leases.json"
	}
	b, err := os.ReadFile(filepath.Join(dir, facts))
	require.NoError(t, err)
	var answered struct {
		Rev     int64 `json:"current_revision"`
		Compact int64 `json:"compact_revision"`
		Hashes  []struct {
			Asked int64  `json:"asked"`
			Hash  uint32 `json:"hash"`
		} `json:"hashes"`
	}
	require.NoError(t, json.Unmarshal(b, &answered))
	require.Zero(t, answered.Hashes[0].Asked)
	return filepath.Join(dir, name), answered.Rev, answered.Compact, answered.Hashes[0].Hash
}

// R5: a snapshot and a member's own file of a real etcd, leases included.
func TestFile_OfARealEtcd(t *testing.T) {
	for _, name := range []string{"snapshot.db", "member.db", "leases.db"} {
		t.Run(name, func(t *testing.T) {
			path, rev, compact, hash := etcdFixture(t, name)
			_, err := etcdfile.Open(ctx, path, etcdfile.OpenConfig{})
			if name == "snapshot.db" {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, etcdfile.ErrNoHash)
			}
			f := open(t, path, etcdfile.OpenConfig{SkipHashCheck: true})
			engine := openEngine(t, mem.Driver())
			loaded, err := f.Load(ctx, engine, etcdfile.LoadConfig{})
			require.NoError(t, err)
			s := openStore(t, engine)
			require.Equal(t, rev, s.Rev())
			require.Equal(t, max(compact, 0), s.CompactRev())
			got, err := s.HashKV(ctx, 0)
			require.NoError(t, err)
			require.Equal(t, hash, got.Hash)
			if name == "leases.db" {
				require.Equal(t, 2, loaded.Leases)
			}
		})
	}
}

// edit changes a file as etcd's tools might have.
func edit(t *testing.T, path string, fn func(tx *bbolt.Tx) error) string {
	body, err := os.ReadFile(path)
	require.NoError(t, err)
	edited := filepath.Join(t.TempDir(), "edited.db")
	require.NoError(t, os.WriteFile(edited, body[:len(body)-sha256.Size], 0o600))
	db, err := bbolt.Open(edited, 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(fn))
	require.NoError(t, db.Close())
	return edited
}

func bucketPut(bucket string, key, value []byte) func(tx *bbolt.Tx) error {
	return func(tx *bbolt.Tx) error { return tx.Bucket([]byte(bucket)).Put(key, value) }
}

func revKey(rev int64) []byte {
	return append(append(binary.BigEndian.AppendUint64(nil, uint64(rev)), '_'), make([]byte, 8)...)
}

// A file with authentication on is refused unless told otherwise.
func TestLoad_AuthEnabled(t *testing.T) {
	s := openStore(t, openEngine(t, mem.Driver()))
	fill(t, s)
	path := edit(t, build(t, s), func(tx *bbolt.Tx) error {
		return errors.Join(bucketPut("auth", []byte("authEnabled"), []byte{1})(tx), bucketPut("authUsers", []byte("root"), nil)(tx))
	})
	f := open(t, path, etcdfile.OpenConfig{SkipHashCheck: true})
	engine := openEngine(t, mem.Driver())
	_, err := f.Load(ctx, engine, etcdfile.LoadConfig{})
	require.ErrorIs(t, err, etcdfile.ErrAuthEnabled)
	require.ErrorContains(t, err, "1 users")
	_, err = f.Load(ctx, engine, etcdfile.LoadConfig{DiscardAuth: true})
	require.NoError(t, err)
	requireEqualStores(t, s, openStore(t, engine))
}

// R4: a file that `etcdutl snapshot restore --bump-revision` wrote.
func TestLoad_BumpedByEtcdutl(t *testing.T) {
	s := openStore(t, openEngine(t, mem.Driver()))
	fill(t, s)
	path := edit(t, build(t, s), func(tx *bbolt.Tx) error {
		return errors.Join(
			bucketPut("key", revKey(5000), []byte{})(tx), bucketPut("meta", []byte("scheduledCompactRev"), revKey(5000))(tx))
	})
	engine := openEngine(t, mem.Driver())
	loaded, err := open(t, path, etcdfile.OpenConfig{SkipHashCheck: true}).Load(ctx, engine, etcdfile.LoadConfig{})
	require.NoError(t, err)
	require.Equal(t, 1, loaded.Bumps)
	bumped := openStore(t, engine)
	require.EqualValues(t, 5000, bumped.Rev())
	require.EqualValues(t, 5000, bumped.CompactRev())
	require.ErrorIs(t, bumped.CheckStart(s.Rev()), mvcc.ErrCompacted)

	path = edit(t, build(t, s), bucketPut("key", revKey(5000), []byte{}))
	_, err = open(t, path, etcdfile.OpenConfig{SkipHashCheck: true}).Load(ctx, openEngine(t, mem.Driver()), etcdfile.LoadConfig{})
	require.ErrorIs(t, err, mvcc.ErrDamaged, "without the mark it is damage")
}

// R4: a restore that bumps tells old watchers, and all keys are there.
func TestLoad_Bump(t *testing.T) {
	s := openStore(t, openEngine(t, mem.Driver()))
	fill(t, s)
	f := open(t, build(t, s), etcdfile.OpenConfig{})
	engine := openEngine(t, mem.Driver())
	_, err := f.Load(ctx, engine, etcdfile.LoadConfig{Bump: 1 << 62})
	require.ErrorIs(t, err, mvcc.ErrExhausted)
	loaded, err := f.Load(ctx, engine, etcdfile.LoadConfig{Bump: 1000})
	require.NoError(t, err)
	require.Equal(t, s.Rev()+1000, loaded.Rev)
	bumped := openStore(t, engine)
	require.Equal(t, loaded.Rev, bumped.Rev())
	require.Equal(t, loaded.Rev, bumped.CompactRev())
	for rev := s.Rev() - 1; rev < s.Rev()+3; rev++ {
		require.ErrorIs(t, bumped.CheckStart(rev), mvcc.ErrCompacted)
	}
	want, err := s.Range([]byte{0}, []byte{0}, mvcc.RangeOptions{})
	require.NoError(t, err)
	got, err := bumped.Range([]byte{0}, []byte{0}, mvcc.RangeOptions{})
	require.NoError(t, err)
	require.Equal(t, want.KVs, got.KVs)
}

// Alarms of space are dropped, those of damage kept.
func TestLoad_Alarms(t *testing.T) {
	s := openStore(t, openEngine(t, mem.Driver()))
	fill(t, s)
	alarm := func(kind pb.AlarmType) []byte {
		b, err := proto.Marshal(&pb.AlarmMember{MemberID: 7, Alarm: kind})
		require.NoError(t, err)
		return b
	}
	path := edit(t, build(t, s), func(tx *bbolt.Tx) error {
		return errors.Join(bucketPut("alarm", alarm(pb.AlarmType_NOSPACE), nil)(tx), bucketPut("alarm", alarm(pb.AlarmType_CORRUPT), nil)(tx))
	})
	f := open(t, path, etcdfile.OpenConfig{SkipHashCheck: true})
	require.Len(t, f.Info().Alarms, 2)
	loaded, err := f.Load(ctx, openEngine(t, mem.Driver()), etcdfile.LoadConfig{})
	require.NoError(t, err)
	require.Equal(t, 1, loaded.AlarmsDropped)
	require.Equal(t, 1, loaded.AlarmsKept)
}

// R5: what the entries say that no store writes is an error with place and
// key.
func TestLoad_Damage(t *testing.T) {
	s := openStore(t, openEngine(t, mem.Driver()))
	fill(t, s)
	good := build(t, s)
	for _, c := range []struct {
		name, says string
		change     func(tx *bbolt.Tx) error
	}{
		{"record without fields", "record key", bucketPut("key", revKey(150), []byte("\xff\xff"))},
		{"record at another revision", `key "a"`, bucketPut("key", revKey(150), []byte("\x0a\x01a\x10\x02\x18\x09\x20\x03"))},
		{"record key too short", "010203", bucketPut("key", []byte{1, 2, 3}, []byte("x"))},
		{"lease of another id", "lease 0000000000000001", bucketPut("lease", binary.BigEndian.AppendUint64(nil, 1), []byte("\x08\x02"))},
		{"lease key too short", "bucket lease", bucketPut("lease", []byte("x"), nil)},
		{"compaction mark", "scheduledCompactRev", bucketPut("meta", []byte("scheduledCompactRev"), []byte("x"))},
		{"consistent index", "consistent_index", bucketPut("meta", []byte("consistent_index"), []byte("x"))},
		{"alarm", "bucket alarm", bucketPut("alarm", []byte("\xff"), nil)},
		{"history with a hole", "have no record", func(tx *bbolt.Tx) error { return tx.Bucket([]byte("key")).Delete(revKey(150)) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := edit(t, good, c.change)
			engine := openEngine(t, mem.Driver())
			f, err := etcdfile.Open(ctx, path, etcdfile.OpenConfig{SkipHashCheck: true})
			if err == nil {
				_, err = f.Load(ctx, engine, etcdfile.LoadConfig{})
				require.NoError(t, f.Close())
			}
			require.ErrorIs(t, err, mvcc.ErrDamaged)
			require.ErrorContains(t, err, c.says)
			// What was refused never opens, and gives way to a whole file.
			_, err = open(t, good, etcdfile.OpenConfig{}).Load(ctx, engine, etcdfile.LoadConfig{})
			require.NoError(t, err)
			requireEqualStores(t, s, openStore(t, engine))
		})
	}
}

// The trailing hash catches every flipped or lost byte; a file that is none is
// refused.
func TestOpen_Refuses(t *testing.T) {
	s := openStore(t, openEngine(t, mem.Driver()))
	fill(t, s)
	path := build(t, s)
	body, err := os.ReadFile(path)
	require.NoError(t, err)
	refused := func(b []byte, c etcdfile.OpenConfig) error {
		p := filepath.Join(t.TempDir(), "f")
		require.NoError(t, os.WriteFile(p, b, 0o600))
		_, err := etcdfile.Open(ctx, p, c)
		require.Error(t, err)
		return err
	}
	for _, at := range []int{0, 30, 5000, len(body) / 2, len(body) - 40, len(body) - 1} {
		flipped := bytes.Clone(body)
		flipped[at] ^= 4
		require.ErrorIs(t, refused(flipped, etcdfile.OpenConfig{}), mvcc.ErrDamaged)
	}
	require.ErrorIs(t, refused(body[:len(body)-512], etcdfile.OpenConfig{}), mvcc.ErrDamaged)
	require.ErrorIs(t, refused(body[:len(body)-100], etcdfile.OpenConfig{}), etcdfile.ErrNoHash)
	require.ErrorIs(t, refused(body[:len(body)/2], etcdfile.OpenConfig{SkipHashCheck: true}), mvcc.ErrDamaged)
	require.ErrorIs(t, refused(nil, etcdfile.OpenConfig{SkipHashCheck: true}), mvcc.ErrDamaged)
	require.ErrorIs(t, refused([]byte("\x1f\x8b gzipped"), etcdfile.OpenConfig{SkipHashCheck: true}), mvcc.ErrDamaged)
	_, err = etcdfile.Open(ctx, filepath.Join(t.TempDir(), "none"), etcdfile.OpenConfig{})
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = etcdfile.Open(ctx, t.TempDir(), etcdfile.OpenConfig{})
	require.ErrorContains(t, err, "member/snap/db")

	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second})
	require.NoError(t, err)
	_, err = etcdfile.Open(ctx, path, etcdfile.OpenConfig{SkipHashCheck: true})
	require.ErrorIs(t, err, etcdfile.ErrInUse)
	require.NoError(t, db.Close())
}

// A build that finds no room or is cancelled leaves nothing.
func TestBuild_LeavesNothingBehind(t *testing.T) {
	s := openStore(t, openEngine(t, mem.Driver()))
	fill(t, s)
	dir := t.TempDir()
	_, err := etcdfile.Build(ctx, s, etcdfile.BuildConfig{Dir: dir, Floor: 1 << 60})
	require.ErrorIs(t, err, backend.ErrNoSpace)
	done, cancel := context.WithCancel(ctx)
	cancel()
	_, err = etcdfile.Build(done, s, etcdfile.BuildConfig{Dir: dir})
	require.ErrorIs(t, err, context.Canceled)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)

	crashed := filepath.Join(dir, ".watchd-snapshot-123")
	kept := filepath.Join(dir, "other")
	require.NoError(t, os.WriteFile(crashed, nil, 0o600))
	require.NoError(t, os.WriteFile(kept, nil, 0o600))
	require.NoError(t, etcdfile.RemoveScratch(dir))
	require.NoFileExists(t, crashed)
	require.FileExists(t, kept)
}

// Random histories come through whole.
func TestFile_RandomHistories(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		engine, err := mem.Driver().Open("", backend.Options{})
		require.NoError(rt, err)
		s, err := mvcc.Open(engine, mvcc.Config{})
		require.NoError(rt, err)
		defer s.Close()
		for range rapid.IntRange(0, 40).Draw(rt, "steps") {
			key := fmt.Appendf(nil, "%d", rapid.IntRange(0, 4).Draw(rt, "key"))
			switch rapid.IntRange(0, 7).Draw(rt, "op") {
			case 0:
				if rev := rapid.Int64Range(1, s.Rev()).Draw(rt, "rev"); rev > s.CompactRev() {
					require.NoError(rt, s.Compact(ctx, rev))
				}
			case 1:
				_, err = s.DeleteRange(ctx, key, []byte{0})
			default:
				_, err = s.Put(ctx, key, rapid.SliceOfN(rapid.Byte(), 0, 9).Draw(rt, "value"))
			}
			require.NoError(rt, err)
		}
		built, err := etcdfile.Build(ctx, s, etcdfile.BuildConfig{Dir: dir, Identity: identity})
		require.NoError(rt, err)
		body, err := io.ReadAll(built)
		require.NoError(rt, errors.Join(err, built.Close()))
		path := filepath.Join(dir, "snap.db")
		writeHashed(rt, path, body)
		f, err := etcdfile.Open(ctx, path, etcdfile.OpenConfig{})
		require.NoError(rt, err)
		target, err := mem.Driver().Open("", backend.Options{})
		require.NoError(rt, err)
		_, err = f.Load(ctx, target, etcdfile.LoadConfig{})
		require.NoError(rt, errors.Join(err, f.Close()))
		loaded, err := mvcc.Open(target, mvcc.Config{})
		require.NoError(rt, err)
		defer loaded.Close()
		requireEqualStores(rt, s, loaded)
	})
}

// R1: what an unclean stop in Relaxed lost is told by the file as compacted:
// etcd knows no gaps.
func TestBuild_Gap(t *testing.T) {
	engine := openEngine(t, mem.Driver())
	lost, err := mvcc.Open(engine, mvcc.Config{Durability: mvcc.Relaxed(10 * time.Millisecond)})
	require.NoError(t, err)
	t.Cleanup(func() { _ = lost.Close() })
	rev, err := lost.Put(ctx, []byte("a"), []byte("b"))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return lost.Stats().Applied == rev }, 10*time.Second, time.Millisecond)
	s, err := mvcc.Open(engine, mvcc.Config{}) // as after a crash: the other was not closed
	require.NoError(t, err)
	end := s.Rev()
	require.Greater(t, end, rev, "numbers that may have been shown are not used again")
	for range 2 {
		f := open(t, build(t, s), etcdfile.OpenConfig{})
		target := openEngine(t, mem.Driver())
		_, err = f.Load(ctx, target, etcdfile.LoadConfig{})
		require.NoError(t, err)
		loaded := openStore(t, target)
		require.Equal(t, s.Rev(), loaded.Rev())
		require.ErrorIs(t, loaded.CheckStart(rev+2), mvcc.ErrCompacted)
		require.ErrorIs(t, loaded.CheckStart(end-1), mvcc.ErrCompacted)
		kv, ok, err := loaded.Get([]byte("a"), 0)
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, "b", string(kv.Value))
		_, err = s.Put(ctx, []byte("c"), nil) // the gap is not at the end any more
		require.NoError(t, err)
	}
}
