package mvcc

import (
	"bytes"
	"encoding/hex"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"
)

func TestRevKey_GoldenBytes(t *testing.T) {
	for _, test := range []struct {
		kr  KeyRev
		hex string
	}{
		{KeyRev{Main: 1}, "0000000000000001" + "5f" + "0000000000000000"},
		{KeyRev{Main: 0x0102, Sub: 3}, "0000000000000102" + "5f" + "0000000000000003"},
		{KeyRev{Main: math.MaxInt64, Sub: 1, Tombstone: true}, "7fffffffffffffff" + "5f" + "0000000000000001" + "74"},
	} {
		got := appendRevKey(nil, test.kr)
		require.Equal(t, test.hex, hex.EncodeToString(got))
		back, err := parseRevKey(got)
		require.NoError(t, err)
		require.Equal(t, test.kr, back)
	}
}

func TestRevKey_OrderIsRevisionOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) KeyRev {
			return KeyRev{
				Main:      rapid.Int64Range(0, math.MaxInt64).Draw(t, name),
				Sub:       rapid.Int64Range(0, maxSub).Draw(t, name+" sub"),
				Tombstone: rapid.Bool().Draw(t, name+" tombstone"),
			}
		}
		a, b := draw("a"), draw("b")
		require.Equal(t, compareKeyRevs(a, b) < 0, bytes.Compare(appendRevKey(nil, a)[:revKeyLen], appendRevKey(nil, b)[:revKeyLen]) < 0)
		require.Equal(t, a, makeVersion(a).keyRev())
	})
}

// FuzzRevisionKey: whatever parses is what is written back.
func FuzzRevisionKey(f *testing.F) {
	f.Add(appendRevKey(nil, KeyRev{Main: 7, Sub: 1}))
	f.Add(appendRevKey(nil, KeyRev{Main: 7, Sub: 1, Tombstone: true}))
	f.Add([]byte("x"))
	f.Fuzz(func(t *testing.T, b []byte) {
		kr, err := parseRevKey(b)
		if err != nil {
			require.ErrorIs(t, err, ErrDamaged)
			return
		}
		require.Equal(t, b, appendRevKey(nil, kr))
	})
}

func TestRecord_GoldenBytes(t *testing.T) {
	kv, b := encodeRecord(KeyValue{Key: []byte("key"), Value: []byte("value"), CreateRevision: 2, ModRevision: 300, Version: 4, Lease: -1})
	require.Equal(t, "0a036b6579"+"1002"+"18ac02"+"2004"+"2a0576616c7565"+"30ffffffffffffffffff01", hex.EncodeToString(b))
	require.Equal(t, len(b), cap(b))
	require.Equal(t, "key", string(kv.Key))
	require.Equal(t, "value", string(kv.Value))
	_, b = encodeRecord(KeyValue{Key: []byte("key")})
	require.Equal(t, "0a036b6579", hex.EncodeToString(b))
}

// Records are the bytes of the generated type, both ways.
func TestRecord_EqualsGeneratedType(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.OneOf(rapid.Just(int64(0)), rapid.Int64())
		kv := KeyValue{
			Key:            rapid.SliceOf(rapid.Byte()).Draw(t, "key"),
			Value:          rapid.SliceOf(rapid.Byte()).Draw(t, "value"),
			CreateRevision: number.Draw(t, "create"),
			ModRevision:    number.Draw(t, "mod"),
			Version:        number.Draw(t, "version"),
			Lease:          number.Draw(t, "lease"),
		}
		theirs := &mvccpb.KeyValue{
			Key: kv.Key, Value: kv.Value, CreateRevision: kv.CreateRevision,
			ModRevision: kv.ModRevision, Version: kv.Version, Lease: kv.Lease,
		}
		want, err := proto.MarshalOptions{Deterministic: true}.Marshal(theirs)
		require.NoError(t, err)
		aliased, got := encodeRecord(kv)
		require.Equal(t, string(want), string(got))
		require.Equal(t, string(kv.Key), string(aliased.Key))
		require.Equal(t, string(kv.Value), string(aliased.Value))
		checkAgainstGenerated(t, want)
		head, err := decodeHead(got)
		require.NoError(t, err)
		require.Equal(t, string(kv.Key), string(head.Key))
		require.Equal(t, [4]int64{kv.CreateRevision, kv.ModRevision, kv.Version, kv.Lease}, [4]int64{head.CreateRevision, head.ModRevision, head.Version, head.Lease})
		require.Nil(t, head.Value)
		_, plain := plainHead(got)
		require.True(t, plain, "what is written here is read the short way")
	})
}

func checkAgainstGenerated(t require.TestingT, b []byte) {
	var want mvccpb.KeyValue
	wantErr := proto.Unmarshal(b, &want)
	got, err := decodeRecord(b)
	key, keyErr := recordKey(b)
	if wantErr != nil {
		require.ErrorIs(t, err, ErrDamaged)
		return
	}
	require.NoError(t, err)
	require.NoError(t, keyErr)
	require.Equal(t, string(want.Key), string(got.Key))
	require.Equal(t, string(want.Value), string(got.Value))
	require.Equal(t,
		[4]int64{want.CreateRevision, want.ModRevision, want.Version, want.Lease},
		[4]int64{got.CreateRevision, got.ModRevision, got.Version, got.Lease})
	_ = key
}

// FuzzRecord: never a panic on any bytes, and what the generated decoder
// accepts is accepted equally, no more and no less.
func FuzzRecord(f *testing.F) {
	_, b := encodeRecord(KeyValue{Key: []byte("key"), Value: []byte("value"), CreateRevision: 2, ModRevision: 3, Version: 4, Lease: 5})
	f.Add(b)
	f.Add([]byte{0x0a, 0xff})
	f.Add(append(b, 0x2a, 0x00))                        // the value again
	f.Add(append(b, 0x30, 0x85, 0))                     // the lease again, not as short as it could be
	f.Add([]byte("\x2a\x01v\x0a\x01k\x0a\x02kk"))       // other order, key twice
	f.Add([]byte("\x0a\x01k\x3a\x01u\x08\x01\x12\x00")) // unknown fields and kinds
	f.Add([]byte("\x0b\x0c"))                           // a group
	f.Fuzz(func(t *testing.T, b []byte) {
		checkAgainstGenerated(t, b)
		kv, err := decodeRecord(b)
		head, headErr := decodeHead(b)
		require.Equal(t, err, headErr)
		if err == nil {
			kv.Value = nil
			require.Equal(t, kv, head)
		}
		_, _, _ = restoreRecord(firstKeyOf(3), b)
		_, _ = eventOf(KeyRev{Main: 3}, b)
	})
}
