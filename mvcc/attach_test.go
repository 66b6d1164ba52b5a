package mvcc

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend/backendtest"
)

func putLeased(s *Store, key string, lease int64) error {
	_, err := s.Update(ctx, func(tx *WriteTx) error { return tx.Put([]byte(key), nil, lease) })
	return err
}

// A key is attached to the lease of its last put, and to none after a delete
// or a put without; an error takes that back.
func TestLeaseKeys_FollowThePuts(t *testing.T) {
	eachDurability(t, func(t *testing.T, cfg Config) {
		s := openMem(t, cfg)
		require.Empty(t, s.LeaseKeys(1))
		require.NotNil(t, s.LeaseKeys(1))
		for _, key := range []string{"c", "a", "b"} {
			require.NoError(t, putLeased(s, key, 1))
		}
		require.Equal(t, []string{"a", "b", "c"}, texts(s.LeaseKeys(1)))
		require.NoError(t, putLeased(s, "a", 2))
		put(t, s, "b", "")
		_, err := s.Update(ctx, func(tx *WriteTx) error {
			_, err := tx.DeleteRange([]byte("a"), []byte{0})
			require.Empty(t, tx.LeaseKeys(1))
			require.Empty(t, tx.LeaseKeys(2))
			// Readers are shown nothing of the transaction.
			require.Equal(t, []string{"c"}, texts(s.LeaseKeys(1)))
			return errors.Join(err, errDisk)
		})
		require.ErrorIs(t, err, errDisk)
		require.Equal(t, []string{"c"}, texts(s.LeaseKeys(1)))
		require.Equal(t, []string{"a"}, texts(s.LeaseKeys(2)))
		del(t, s, "c")
		require.Empty(t, s.LeaseKeys(1))
		require.Empty(t, s.attached.keys[1])
		require.Len(t, s.attached.of, 1)
		require.Len(t, s.attached.keys, 1)
	})
}

// G7: a reader sees the attachments of the visible revision, not what is
// staged above it; also for good, if that can never become visible.
func TestLeaseKeys_NotBeforeVisible(t *testing.T) {
	slow := &slowEngine{Engine: memEngine(t)}
	faulty := backendtest.NewFaulty(slow)
	s := openOn(t, faulty, Config{})
	require.NoError(t, putLeased(s, "a", 1))
	require.NoError(t, putLeased(s, "b", 1))
	faulty.Inject(backendtest.Fault{Call: backendtest.CallApply, N: 2, Err: errDisk})
	release := slow.hold()
	done := make(chan error, 3)
	go func() { done <- putLeased(s, "a", 2) }()
	slow.awaitApply(4) // with that of Open
	for i, key := range []string{"b", "c"} {
		go func() { done <- putLeased(s, key, 2) }()
		awaitStaged(s, int64(5+i))
	}
	require.Equal(t, []string{"a", "b"}, texts(s.LeaseKeys(1)))
	require.Empty(t, s.LeaseKeys(2))
	release()
	require.NoError(t, <-done)
	require.ErrorIs(t, <-done, ErrFailed)
	require.ErrorIs(t, <-done, ErrFailed)
	require.EqualValues(t, 4, s.Rev())
	require.Equal(t, []string{"b"}, texts(s.LeaseKeys(1)))
	require.Equal(t, []string{"a"}, texts(s.LeaseKeys(2)))
}

// Txn inside a closure: on what was written before, by etcd's rule for
// writing a key twice only if nothing was; its error ends the whole.
func TestUpdate_Txn(t *testing.T) {
	s := openMem(t, Config{})
	put(t, s, "a", "1")
	op := func(typ OpType, key string) Op { return Op{Type: typ, Key: []byte(key)} }
	// etcd lets a nested put pass that a later nested transaction deletes.
	twice := Txn{Then: []Op{
		{Type: OpTxn, Txn: &Txn{Then: []Op{op(OpPut, "x")}}},
		{Type: OpTxn, Txn: &Txn{Then: []Op{op(OpDeleteRange, "x")}}},
	}}
	var res TxnResult
	rev, err := s.Update(ctx, func(tx *WriteTx) (err error) {
		if res, err = tx.Txn(twice); err != nil {
			return err
		}
		require.ErrorIs(t, tx.Put([]byte("x"), nil, 0), ErrDuplicateKey)
		return tx.Put([]byte("y"), nil, 0)
	})
	require.NoError(t, err)
	require.EqualValues(t, 3, rev)
	require.EqualValues(t, 3, res.Results[1].Txn.Rev)
	require.Equal(t, []string{"a=1@2", "y=@3"}, all(t, s, 0))

	_, err = s.Update(ctx, func(tx *WriteTx) error {
		require.NoError(t, tx.Put([]byte("z"), nil, 0))
		_, err := tx.Txn(twice)
		require.ErrorIs(t, err, ErrDuplicateKey)
		return nil // not heeded
	})
	require.ErrorIs(t, err, ErrDuplicateKey)
	_, err = s.Update(ctx, func(tx *WriteTx) error {
		// "y" is gone once the first operation ran, which etcd's check of
		// writes does not see.
		_, err := tx.Txn(Txn{Then: []Op{{Type: OpDeleteRange, Key: []byte("y"), End: []byte{0}}, {Type: OpPut, Key: []byte("y"), IgnoreValue: true}}})
		require.ErrorIs(t, err, ErrKeyMissing)
		return nil
	})
	require.ErrorIs(t, err, ErrKeyMissing)
	require.Equal(t, []string{"a=1@2", "y=@3"}, all(t, s, 0))

	rev, err = s.Update(ctx, func(tx *WriteTx) (err error) {
		require.NoError(t, tx.Put([]byte("b"), []byte("new"), 0))
		res, err = tx.Txn(Txn{
			If:   []Compare{{Target: TargetValue, Key: []byte("b"), Value: []byte("new")}},
			Then: []Op{op(OpRange, "b")},
		})
		return err
	})
	require.NoError(t, err)
	require.True(t, res.Succeeded)
	require.Equal(t, rev, res.Rev)
	require.Equal(t, []string{"b=new@4"}, show(res.Results[0].Range.KVs))
}

// A transaction without writes reads what is visible, while a write is stuck
// and after writing has ended; one whose chosen branches only read answers on
// a store that takes no writes.
func TestTxn_ReadsWithoutTheWriter(t *testing.T) {
	slow := &slowEngine{Engine: memEngine(t)}
	faulty := backendtest.NewFaulty(slow)
	s := openOn(t, faulty, Config{})
	put(t, s, "a", "1")
	cond := func(target Target, n int64) []Compare {
		return []Compare{{Target: target, Key: []byte("a"), Int: n}}
	}
	read := []Op{{Type: OpRange, Key: []byte("a")}}
	faulty.Inject(backendtest.Fault{Call: backendtest.CallApply, N: 1, Err: errDisk, After: true})
	release := slow.hold()
	done := make(chan error, 1)
	go func() {
		_, err := s.Put(ctx, []byte("a"), []byte("2"))
		done <- err
	}()
	slow.awaitApply(3) // with that of Open
	check := func() {
		t.Helper()
		for target, n := range map[Target]int64{TargetMod: 2, TargetCreate: 2, TargetVersion: 1, TargetLease: 0} {
			res, err := s.Txn(ctx, Txn{If: cond(target, n), Then: read})
			require.NoError(t, err)
			require.True(t, res.Succeeded, "target %d", target)
			require.EqualValues(t, 2, res.Rev)
			require.Equal(t, []string{"a=1@2"}, show(res.Results[0].Range.KVs))
		}
		res, err := s.Txn(ctx, Txn{If: []Compare{{Target: TargetVersion, Key: []byte("none")}}})
		require.NoError(t, err)
		require.True(t, res.Succeeded)
		_, err = s.Txn(ctx, Txn{Then: []Op{{Type: OpRange, Key: []byte("a"), Range: RangeOptions{Rev: 3}}}})
		require.ErrorIs(t, err, ErrFutureRevision)
	}
	check()
	release()
	require.ErrorIs(t, <-done, ErrFailed)
	check()
	writes := []Op{{Type: OpPut, Key: []byte("a")}}
	_, err := s.Txn(ctx, Txn{If: cond(TargetMod, 2), Then: writes})
	require.ErrorIs(t, err, ErrFailed)
	res, err := s.Txn(ctx, Txn{If: cond(TargetMod, 2), Then: read, Else: writes})
	require.NoError(t, err)
	require.Equal(t, []string{"a=1@2"}, show(res.Results[0].Range.KVs))
	require.Error(t, s.Close())
	_, err = s.Txn(ctx, Txn{Then: read})
	require.ErrorIs(t, err, ErrClosed)

	s = openOn(t, slow, Config{ReadOnly: true})
	_, err = s.Txn(ctx, Txn{If: cond(TargetMod, 2), Then: read, Else: writes})
	require.ErrorIs(t, err, ErrReadOnly)
	res, err = s.Txn(ctx, Txn{If: cond(TargetMod, 3), Then: read, Else: writes})
	require.NoError(t, err)
	require.Equal(t, []string{"a=2@3"}, show(res.Results[0].Range.KVs))
}

// StartCompact answers when the revision is compacted for everybody, and the
// deleting behind it ends also across a restart.
func TestStartCompact(t *testing.T) {
	engine := &slowEngine{Engine: memEngine(t)}
	s := openTuned(t, engine, Config{}, smallSteps)
	for i := range 20 {
		put(t, s, "k", fmt.Sprint(i))
	}
	engine.mu.Lock()
	engine.from = engine.entered + 2 // the mark passes, the deletes wait
	engine.mu.Unlock()
	release := engine.hold()
	require.NoError(t, s.StartCompact(ctx, 20))
	require.EqualValues(t, 20, s.CompactRev())
	_, _, err := s.Get([]byte("k"), 19)
	require.ErrorIs(t, err, ErrCompacted)
	release()
	_, err = s.HashKV(ctx, 0) // waits for the compaction
	require.NoError(t, err)
	require.EqualValues(t, 1, s.Stats().Compactions)
	require.ErrorIs(t, s.StartCompact(ctx, 20), ErrCompacted)
	require.ErrorIs(t, s.StartCompact(ctx, 99), ErrFutureRevision)
	require.NoError(t, s.Close())
	require.ErrorIs(t, s.StartCompact(ctx, 21), ErrClosed)
	require.Equal(t, []string{"k=19@21"}, all(t, openOn(t, engine, Config{}), 0))
}
