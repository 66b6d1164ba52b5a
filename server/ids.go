package server

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/mvcc"
)

// ids are who the server is, for ever: clients keep what they know of a member
// by them, and etcd's refuse to mix two clusters.
type ids struct{ cluster, member uint64 }

// idsKey holds them beside history: both in 8 bytes, big endian.
var idsKey = []byte("watchkv_server_ids")

// loadIDs reads the ids, and makes them at the first start. A store that takes
// no writes gets some that last until it is closed.
func loadIDs(ctx context.Context, store *mvcc.Store) (id ids, kept bool, err error) {
	var value []byte
	err = store.ScanBeside(backend.SpaceMeta, func(k, v []byte) bool {
		if bytes.Equal(k, idsKey) {
			value = bytes.Clone(v)
		}
		return value == nil
	})
	switch {
	case err != nil:
		return ids{}, false, fmt.Errorf("reading the ids of member and cluster: %w", err)
	case value == nil:
		id = newIDs()
		_, err = store.Update(ctx, func(tx *mvcc.WriteTx) error {
			return tx.PutBeside(backend.SpaceMeta, idsKey, id.encode())
		})
		return id, err == nil, nil
	case len(value) != 16:
		return ids{}, false, fmt.Errorf("meta %s is %x, 16 bytes expected: %w", idsKey, value, mvcc.ErrDamaged)
	}
	return ids{binary.BigEndian.Uint64(value), binary.BigEndian.Uint64(value[8:])}, true, nil
}

// newIDs are random and not 0, which stands for no member.
func newIDs() (id ids) {
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails
	id = ids{binary.BigEndian.Uint64(random[:]), binary.BigEndian.Uint64(random[8:])}
	id.cluster, id.member = max(id.cluster, 1), max(id.member, 1)
	return id
}

func (id ids) encode() []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, id.cluster), id.member)
}
