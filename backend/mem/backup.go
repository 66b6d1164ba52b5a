package mem

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/watchkv/watchkv/backend"
)

// A backup is the magic, then for each entry
//
//	space      1 byte, never 0
//	key size   4 bytes, little endian
//	value size 4 bytes, little endian
//	key, value
//
// in order of space and key, then one byte 0 and the CRC-32C of all before
// the CRC, 4 bytes little endian.
const backupMagic = "watchkv mem 1\n"

// maxValue bounds what a damaged size can make restore allocate.
const maxValue = 1 << 30

// checkEvery is the number of entries between two looks at the context.
const checkEvery = 1024

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Backup writes one view.
func (e *engine) Backup(ctx context.Context, w io.Writer) error {
	v, err := e.View()
	if err != nil {
		return fmt.Errorf("mem: backup: %w", err)
	}
	err = writeBackup(ctx, w, v, &e.spaces)
	if err := errors.Join(err, v.Close()); err != nil {
		return fmt.Errorf("mem: backup: %w", err)
	}
	return nil
}

func writeBackup(ctx context.Context, w io.Writer, v backend.View, spaces *backend.SpaceSet) error {
	out := bufio.NewWriterSize(w, 64<<10)
	sum := crc32.New(castagnoli)
	both := io.MultiWriter(out, sum)
	io.WriteString(both, backupMagic) // bufio keeps the first error for Flush
	n := 0
	for s := range spaces {
		if !spaces[s] {
			continue
		}
		var head [9]byte
		head[0] = byte(s)
		err := v.Scan(backend.Space(s), nil, nil, func(key, value []byte) bool {
			binary.LittleEndian.PutUint32(head[1:], uint32(len(key)))
			binary.LittleEndian.PutUint32(head[5:], uint32(len(value)))
			both.Write(head[:])
			both.Write(key)
			both.Write(value)
			n++
			return n%checkEvery != 0 || ctx.Err() == nil
		})
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
	}
	both.Write([]byte{0})
	var tail [4]byte
	binary.LittleEndian.PutUint32(tail[:], sum.Sum32())
	out.Write(tail[:])
	return out.Flush()
}

func restore(ctx context.Context, path string, r io.Reader, o backend.Options) (backend.Engine, error) {
	if o.ReadOnly {
		return nil, fmt.Errorf("mem: restore: %w", backend.ErrReadOnly)
	}
	e, err := open(o)
	if err != nil {
		return nil, err
	}
	if err := readBackup(ctx, r, e); err != nil {
		return nil, errors.Join(fmt.Errorf("mem: restore: %w", err), e.Close())
	}
	return e, nil
}

func readBackup(ctx context.Context, r io.Reader, e *engine) error {
	sum := crc32.New(castagnoli)
	in := bufio.NewReaderSize(r, 64<<10)
	tee := io.TeeReader(in, sum)
	magic := make([]byte, len(backupMagic))
	if _, err := io.ReadFull(tee, magic); err != nil || !bytes.Equal(magic, []byte(backupMagic)) {
		return fmt.Errorf("starts with %q: %w", magic, errors.Join(backend.ErrDamaged, err))
	}
	var batch backend.Batch
	var head [9]byte
	for n := 0; ; n++ {
		if _, err := io.ReadFull(tee, head[:1]); err != nil {
			return fmt.Errorf("entry %d: %w", n, errors.Join(backend.ErrDamaged, err))
		}
		if head[0] == 0 {
			break
		}
		key, value, err := readEntry(tee, head[1:])
		if err != nil {
			return fmt.Errorf("entry %d: %w", n, err)
		}
		batch.Append(backend.Space(head[0]), key, value)
		if n%checkEvery == 0 {
			if err := errors.Join(ctx.Err(), e.Apply(&batch, backend.Sync)); err != nil {
				return err
			}
			batch.Reset()
		}
	}
	want := sum.Sum32()
	var tail [4]byte
	if _, err := io.ReadFull(in, tail[:]); err != nil || binary.LittleEndian.Uint32(tail[:]) != want {
		return fmt.Errorf("checksum %x, computed %08x: %w", tail, want, errors.Join(backend.ErrDamaged, err))
	}
	return e.Apply(&batch, backend.Sync)
}

func readEntry(r io.Reader, sizes []byte) (key, value []byte, err error) {
	if _, err := io.ReadFull(r, sizes); err != nil {
		return nil, nil, errors.Join(backend.ErrDamaged, err)
	}
	k, v := binary.LittleEndian.Uint32(sizes), binary.LittleEndian.Uint32(sizes[4:])
	if k == 0 || k > backend.MaxKeyBytes || v > maxValue {
		return nil, nil, fmt.Errorf("sizes %d and %d: %w", k, v, backend.ErrDamaged)
	}
	buf := make([]byte, int(k)+int(v))
	if _, err := io.ReadFull(r, buf); err != nil {
		return nil, nil, errors.Join(backend.ErrDamaged, err)
	}
	return buf[:k:k], buf[k:], nil
}
