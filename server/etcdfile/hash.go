package etcdfile

import (
	"bytes"
	"context"
	"fmt"
	"hash"
	"hash/crc32"
	"slices"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/mvcc"
)

// Hash is etcd's Hash: CRC-32 (Castagnoli) over all that Build would write,
// but for raft's figures and the storage version. It tells two members of one
// origin apart; HashKV compares stores.
func Hash(ctx context.Context, store *mvcc.Store, id Identity) (sum uint32, rev int64, err error) {
	h := &hasher{identity: id, hash: crc32.New(crc32.MakeTable(crc32.Castagnoli)), beside: map[backend.Space][]entry{}}
	if err := store.Export(ctx, h); err != nil {
		return 0, 0, fmt.Errorf("etcdfile: %w", err)
	}
	h.records() // if there were none
	h.rest()
	return h.hash.Sum32(), h.rev, nil
}

// hasher is an mvcc.Exporter. Buckets count in the order of their names; the
// records come last from the store, and stand in the middle.
type hasher struct {
	identity Identity
	hash     hash.Hash32
	rev      int64
	beside   map[backend.Space][]entry
	begun    bool // the records' bucket
}

// Begin implements mvcc.Exporter.
func (h *hasher) Begin(info mvcc.ExportInfo) error {
	h.rev = info.Rev
	around, err := h.identity.around()
	if err != nil {
		return err
	}
	for _, m := range []struct {
		key []byte
		rev int64
	}{{metaScheduled, info.Scheduled}, {metaFinished, info.Finished}} {
		if m.rev > 0 {
			around = append(around, entry{backend.SpaceMeta, m.key, mark(m.rev)})
		}
	}
	for _, e := range around {
		if !slices.ContainsFunc([][]byte{metaConsistentIndex, metaTerm, metaStorageVersion}, func(key []byte) bool { return bytes.Equal(key, e.key) }) {
			h.beside[e.space] = append(h.beside[e.space], e)
		}
	}
	return nil
}

// Entries implements mvcc.Exporter.
func (h *hasher) Entries(space backend.Space, entries []mvcc.Entry) error {
	if space != backend.SpaceKey {
		for _, e := range entries {
			h.beside[space] = append(h.beside[space], entry{space, bytes.Clone(e.Key), bytes.Clone(e.Value)})
		}
		return nil
	}
	h.records()
	for _, e := range entries {
		h.write(e.Key, e.Value)
	}
	return nil
}

// records hashes the buckets up to that of the records, once.
func (h *hasher) records() {
	if h.begun {
		return
	}
	h.begun = true
	for _, name := range bucketsByName() {
		if name >= "key" {
			break
		}
		h.bucket(name)
	}
	h.write([]byte("key"))
}

func (h *hasher) rest() {
	for _, name := range bucketsByName() {
		if name > "key" {
			h.bucket(name)
		}
	}
}

func (h *hasher) bucket(name string) {
	h.write([]byte(name))
	for _, info := range spaces() {
		if info.Name != name {
			continue
		}
		entries := h.beside[info.Space]
		slices.SortFunc(entries, func(a, b entry) int { return bytes.Compare(a.key, b.key) })
		for _, e := range entries {
			h.write(e.key, e.value)
		}
	}
}

func (h *hasher) write(parts ...[]byte) {
	for _, p := range parts {
		_, _ = h.hash.Write(p) // a hash never fails
	}
}

func bucketsByName() (names []string) {
	for _, info := range spaces() {
		names = append(names, info.Name)
	}
	slices.Sort(names)
	return names
}
