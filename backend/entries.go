package backend

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// For engines without a backup form of their own that is of one moment and
// knows its end: the entries of a view as a stream. It is a line of text, the
// head, then for each entry, in order of space and key,
//
//	space      1 byte, never 0
//	key size   4 bytes, little endian
//	value size 4 bytes, little endian
//	key, value
//
// then one byte 0 and the CRC-32C of all before it, 4 bytes little endian.

const (
	// entryHead is the size of what stands before a key.
	entryHead = 9
	// maxEntryValue bounds what a damaged size can make ReadEntries allocate.
	maxEntryValue = 1 << 30
	// entriesPerLook is the number of entries between two looks at the context.
	entriesPerLook = 1024
	// readBatchBytes is what ReadEntries puts in a batch, unless one entry
	// alone is larger.
	readBatchBytes = 1 << 20
)

// WriteEntries writes all that v shows of the spaces in the set.
func WriteEntries(ctx context.Context, w io.Writer, head string, v View, spaces *SpaceSet) error {
	out := bufio.NewWriterSize(&ContextWriter{Context: ctx, W: w}, 64<<10)
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	both := io.MultiWriter(out, sum)
	_, broken := io.WriteString(both, head)
	n := 0
	for s := range spaces {
		if !spaces[s] {
			continue
		}
		var sizes [entryHead]byte
		sizes[0] = byte(s)
		err := v.Scan(Space(s), nil, nil, func(key, value []byte) bool {
			binary.LittleEndian.PutUint32(sizes[1:], uint32(len(key)))
			binary.LittleEndian.PutUint32(sizes[5:], uint32(len(value)))
			for _, part := range [][]byte{sizes[:], key, value} {
				if _, broken = both.Write(part); broken != nil {
					return false
				}
			}
			n++
			return n%entriesPerLook != 0 || ctx.Err() == nil
		})
		if err := errors.Join(broken, err, ctx.Err()); err != nil {
			return err
		}
	}
	if _, err := both.Write([]byte{0}); err != nil {
		return err
	}
	if _, err := out.Write(binary.LittleEndian.AppendUint32(nil, sum.Sum32())); err != nil {
		return err
	}
	return out.Flush()
}

// ReadEntries applies what WriteEntries wrote under the same head to an empty
// engine. What is not whole is an error wrapping ErrDamaged; the entries
// before the damage may be there by then.
func ReadEntries(ctx context.Context, r io.Reader, head string, e Engine) error {
	in := bufio.NewReaderSize(&ContextReader{Context: ctx, R: r}, 64<<10)
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	tee := io.TeeReader(in, sum)
	found := make([]byte, len(head))
	if _, err := io.ReadFull(tee, found); err != nil {
		return cutShort(0, err)
	}
	if !bytes.Equal(found, []byte(head)) {
		return fmt.Errorf("begins with %q, not %q: %w", found, head, ErrDamaged)
	}
	var batch Batch
	var sizes [entryHead]byte
	for n := 0; ; n++ {
		if _, err := io.ReadFull(tee, sizes[:1]); err != nil {
			return cutShort(n, err)
		}
		if sizes[0] == 0 {
			break
		}
		key, value, err := readEntry(tee, sizes[1:])
		if err != nil {
			return cutShort(n, err)
		}
		if batch.Len() > 0 && batch.Size()+int64(len(key)+len(value)) > readBatchBytes {
			if err := e.Apply(&batch, NoSync); err != nil {
				return err
			}
			batch.Reset()
		}
		batch.Append(Space(sizes[0]), key, value)
	}
	want := sum.Sum32()
	var tail [4]byte
	if _, err := io.ReadFull(in, tail[:]); err != nil {
		return cutShort(-1, err)
	}
	if got := binary.LittleEndian.Uint32(tail[:]); got != want {
		return fmt.Errorf("checksum %08x, computed %08x: %w", got, want, ErrDamaged)
	}
	return e.Apply(&batch, Sync)
}

func readEntry(r io.Reader, sizes []byte) (key, value []byte, err error) {
	if _, err := io.ReadFull(r, sizes); err != nil {
		return nil, nil, err
	}
	k, v := binary.LittleEndian.Uint32(sizes), binary.LittleEndian.Uint32(sizes[4:])
	if k == 0 || k > MaxKeyBytes || v > maxEntryValue {
		return nil, nil, fmt.Errorf("sizes %d and %d: %w", k, v, ErrDamaged)
	}
	buf := make([]byte, int(k)+int(v))
	if _, err := io.ReadFull(r, buf); err != nil {
		return nil, nil, err
	}
	return buf[:k:k], buf[k:], nil
}

// cutShort says where a stream broke; an early end is damage, an error of the
// reader or the context is itself.
func cutShort(entry int, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("cut short: %w", ErrDamaged)
	}
	if entry < 0 {
		return fmt.Errorf("checksum: %w", err)
	}
	return fmt.Errorf("entry %d: %w", entry, err)
}
