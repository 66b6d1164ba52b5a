package snapshot

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/server/v3/lease"
	etcdbackend "go.etcd.io/etcd/server/v3/storage/backend"
	etcdmvcc "go.etcd.io/etcd/server/v3/storage/mvcc"
	"go.uber.org/zap"
	"pgregory.net/rapid"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/mem"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/server/etcdfile"
)

// R5: etcd's own store opens the file of any history and hashes it as ours
// does, at every revision that both still have.
func TestRandomHistories(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		engine, err := mem.Driver().Open("", backend.Options{})
		require.NoError(rt, err)
		s, err := mvcc.Open(engine, mvcc.Config{})
		require.NoError(rt, err)
		defer s.Close()
		scribble(rt, s)
		built, err := etcdfile.Build(background(), s, etcdfile.BuildConfig{Dir: dir, Identity: etcdfile.Identity{MemberID: 1}})
		require.NoError(rt, err)
		path := hashedFile(rt, dir, built)
		require.NoError(rt, built.Close())
		info, err := os.Stat(path)
		require.NoError(rt, err)
		require.NoError(rt, os.Truncate(path, info.Size()-32))

		be := etcdbackend.NewDefaultBackend(zap.NewNop(), path)
		theirs := etcdmvcc.NewStore(zap.NewNop(), be, &lease.FakeLessor{}, etcdmvcc.StoreConfig{})
		defer func() { require.NoError(rt, errors.Join(theirs.Close(), be.Close())) }()
		for rev := max(s.CompactRev(), 1); rev <= s.Rev(); rev++ {
			want, current, err := theirs.HashStorage().HashByRev(rev)
			require.NoError(rt, err)
			require.Equal(rt, current, s.Rev())
			got, err := s.HashKV(background(), rev)
			require.NoError(rt, err)
			require.Equal(rt, want.Hash, got.Hash, "revision %d", rev)
			require.Equal(rt, want.CompactRevision, got.CompactRev)
		}
	})
}

// scribble writes a random history.
func scribble(rt *rapid.T, s *mvcc.Store) {
	var err error
	for range rapid.IntRange(0, 40).Draw(rt, "steps") {
		key := fmt.Appendf(nil, "%d", rapid.IntRange(0, 4).Draw(rt, "key"))
		switch rapid.IntRange(0, 7).Draw(rt, "op") {
		case 0:
			if rev := rapid.Int64Range(1, s.Rev()).Draw(rt, "rev"); rev > s.CompactRev() {
				err = s.Compact(background(), rev)
			}
		case 1:
			_, err = s.DeleteRange(background(), key, []byte{0})
		case 2:
			_, err = s.Update(background(), func(tx *mvcc.WriteTx) error {
				_, err := tx.DeleteRange(key, nil)
				return errors.Join(err, tx.Put([]byte("other"), key, 0))
			})
		default:
			_, err = s.Put(background(), key, rapid.SliceOfN(rapid.Byte(), 0, 9).Draw(rt, "value"))
		}
		require.NoError(rt, err)
	}
}
