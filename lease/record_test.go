package lease

import (
	"encoding/hex"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/mvcc"
)

// The bytes are those of etcd's own type, against which peers/leases holds
// them.
func TestRecord_GoldenBytes(t *testing.T) {
	for _, test := range []struct {
		lease      stored
		key, value string
	}{
		{stored{id: 1, ttl: 2}, "0000000000000001", "08011002"},
		{stored{id: 4097, ttl: 3600, remaining: 300}, "0000000000001001", "088120" + "10901c" + "18ac02"},
		{stored{id: math.MaxInt64, ttl: mostTTL}, "7fffffffffffffff", "08ffffffffffffffff7f" + "1080b4c4c321"},
		{stored{id: -1, ttl: 5}, "ffffffffffffffff", "08ffffffffffffffffff01" + "1005"},
	} {
		require.Equal(t, test.key, hex.EncodeToString(recordKey(test.lease.id)))
		require.Equal(t, test.value, hex.EncodeToString(test.lease.encode()))
		got, err := decode(recordKey(test.lease.id), test.lease.encode())
		require.NoError(t, err)
		require.Equal(t, test.lease, got)
	}
}

// R5: a record that is not a lease is damage that names its place; what a
// newer etcd may add is passed over.
func TestRecord_Damage(t *testing.T) {
	good := stored{id: 7, ttl: 10}
	for name, entry := range map[string][2]string{
		"short key":     {"07", hex.EncodeToString(good.encode())},
		"other id":      {hex.EncodeToString(recordKey(8)), hex.EncodeToString(good.encode())},
		"no id":         {hex.EncodeToString(recordKey(0)), "100a"},
		"cut":           {hex.EncodeToString(recordKey(7)), "080710"},
		"cut tag":       {hex.EncodeToString(recordKey(7)), "0807" + "80"},
		"cut new field": {hex.EncodeToString(recordKey(7)), "0807" + "2205aa"},
	} {
		t.Run(name, func(t *testing.T) {
			key, err := hex.DecodeString(entry[0])
			require.NoError(t, err)
			value, err := hex.DecodeString(entry[1])
			require.NoError(t, err)
			engine := memEngine(t)
			var b backend.Batch
			b.Put(backend.SpaceLease, key, value)
			require.NoError(t, engine.Apply(&b, backend.Sync))
			s, err := mvcc.Open(engine, mvcc.Config{})
			require.NoError(t, err)
			_, err = Verify(s)
			require.ErrorIs(t, err, mvcc.ErrDamaged)
			_, err = Open(s, Config{})
			require.ErrorIs(t, err, mvcc.ErrDamaged)
			require.ErrorContains(t, err, "key "+entry[0])
			require.NoError(t, s.Close())
		})
	}
	got, err := decode(recordKey(7), append(good.encode(), 0x22, 0x01, 0xaa, 0x28, 0x05))
	require.NoError(t, err)
	require.Equal(t, good, got)
}

func FuzzDecode(f *testing.F) {
	f.Add(recordKey(7), stored{id: 7, ttl: 10, remaining: 3}.encode())
	f.Fuzz(func(t *testing.T, key, value []byte) {
		got, err := decode(key, value)
		if err != nil {
			require.ErrorIs(t, err, mvcc.ErrDamaged)
			return
		}
		again, err := decode(key, got.encode())
		require.NoError(t, err)
		require.Equal(t, got, again)
	})
}
