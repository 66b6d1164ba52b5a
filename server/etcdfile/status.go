package etcdfile

import (
	"bytes"
	"context"
	"encoding/binary"
	"hash/crc32"

	"go.etcd.io/bbolt"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/protobuf/proto"
)

// Status is what `etcdutl snapshot status` answers, with its names.
type Status struct {
	Hash      uint32 `json:"hash"` // CRC-32 (Castagnoli) of every bucket's name, keys and values
	Revision  int64  `json:"revision"`
	TotalKey  int    `json:"totalKey"`
	TotalSize int64  `json:"totalSize"` // bytes, without a trailing hash
	Version   string `json:"version"`   // of the schema; empty before etcd 3.6
}

// Status reads the whole file. Open has checked its structure.
func (f *File) Status(ctx context.Context) (Status, error) {
	db, err := bbolt.Open(f.path, 0o400, &bbolt.Options{ReadOnly: true})
	if err != nil {
		return Status{}, err
	}
	st := Status{Version: f.info.StorageVersion}
	err = db.View(func(tx *bbolt.Tx) error {
		st.TotalSize = tx.Size()
		return st.read(ctx, tx)
	})
	if closeErr := db.Close(); err == nil {
		err = closeErr
	}
	return st, err
}

func (st *Status) read(ctx context.Context, tx *bbolt.Tx) error {
	h := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	alive := map[string]struct{}{}
	n := 0
	err := tx.ForEach(func(name []byte, bucket *bbolt.Bucket) error {
		if bucket == nil {
			return damage("%q is no bucket", name)
		}
		_, _ = h.Write(name) // a hash never fails
		records := bytes.Equal(name, []byte("key"))
		return bucket.ForEach(func(key, value []byte) error {
			if n++; n%lookEvery == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			_, _ = h.Write(key)
			_, _ = h.Write(value)
			if !records {
				return nil
			}
			return st.count(alive, key, value)
		})
	})
	st.Hash, st.TotalKey = h.Sum32(), len(alive)
	return err
}

func (st *Status) count(alive map[string]struct{}, key, value []byte) error {
	if len(key) != revBytes && len(key) != revBytes+1 {
		return damage("bucket key: key %x: %d bytes of a revision expected", key, revBytes)
	}
	var kv mvccpb.KeyValue
	if err := proto.Unmarshal(value, &kv); err != nil {
		return damage("bucket key: record %x: %v", key, err)
	}
	st.Revision = int64(binary.BigEndian.Uint64(key))
	if len(key) > revBytes {
		delete(alive, string(kv.Key))
	} else {
		alive[string(kv.Key)] = struct{}{}
	}
	return nil
}
