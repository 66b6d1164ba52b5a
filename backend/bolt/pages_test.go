package bolt

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/watchkv/watchkv/backend"
)

// Every flipped bit in the head of a page and the elements behind it is seen.
// What is not stands in keys, values and room that is not used: all entries are
// there then, in order.
func TestEveryBitOfStructure(t *testing.T) {
	const entries = 400 // several leaves and a branch
	dir := t.TempDir()
	path := filepath.Join(dir, fileName)
	e, err := Open(dir, backend.Options{})
	require.NoError(t, err)
	var b backend.Batch
	for i := range entries {
		b.Append(backend.SpaceKey, []byte{byte(i >> 8), byte(i)}, bytes.Repeat([]byte("x"), 100))
	}
	b.Put(backend.SpaceMeta, []byte("m"), []byte("in a page inside its bucket's entry"))
	require.NoError(t, e.Apply(&b, backend.Sync))
	require.NoError(t, e.Close())
	require.NoError(t, checkTree(path))
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	require.NoError(t, err)
	defer file.Close()
	page, seen, unseen := os.Getpagesize(), 0, 0
	for number := 2; number < len(whole)/page; number++ {
		for bit := range 8 * 64 {
			at := number*page + bit/8
			_, err := file.WriteAt([]byte{whole[at] ^ 1<<(bit%8)}, int64(at))
			require.NoError(t, err)
			if err := checkTree(path); err != nil {
				require.ErrorIs(t, err, backend.ErrDamaged)
				require.ErrorContains(t, err, "page ")
				seen++
			} else if unseen++; bit == 0 {
				break // nothing is as sure to be seen as this: the page is free
			} else if unseen%8 == 0 {
				require.Contains(t, []int{0, entries}, countOf(t, path), "bit %d of page %d", bit, number)
			}
			_, err = file.WriteAt(whole[at:at+1], int64(at))
			require.NoError(t, err)
		}
		_, err := file.WriteAt(whole[number*page:number*page+1], int64(number*page))
		require.NoError(t, err)
	}
	t.Logf("%d bits seen, %d not", seen, unseen)
	require.Greater(t, seen, 5000)
}

// A file cut short while its pages are checked is an error, not the end of the
// process.
func TestTruncated_WhileChecked(t *testing.T) {
	path := filepath.Join(t.TempDir(), fileName)
	page := os.Getpagesize()
	require.NoError(t, os.WriteFile(path, make([]byte, 3*page), 0o600))
	file, err := os.Open(path)
	require.NoError(t, err)
	defer file.Close()
	pages, err := openPages(file, uint64(3*page))
	require.NoError(t, err)
	require.NoError(t, os.Truncate(path, int64(page)))
	err = func() (err error) {
		defer watch(&err, "check", path)()
		tree := tree{pages: pages, meta: meta{pageSize: uint32(page), highWater: 3}, used: make([]bool, 3)}
		return tree.page(2, 0, nil, nil)
	}()
	require.Error(t, err)
	require.NoError(t, pages.close())
}

// countOf is the number of entries of the space key, 0 if the name of its
// bucket was damaged.
func countOf(t *testing.T, path string) (n int) {
	t.Helper()
	db, err := bbolt.Open(path, 0, &bbolt.Options{ReadOnly: true})
	require.NoError(t, err)
	require.NoError(t, db.View(func(tx *bbolt.Tx) error {
		bucket := tx.Bucket([]byte("key"))
		if bucket == nil {
			return nil
		}
		return bucket.ForEach(func(_, _ []byte) error { n++; return nil })
	}))
	require.NoError(t, db.Close())
	return n
}

// A file of another program has none of our buckets; so has one in which a bit
// of the bucket's name was flipped. A database without any bucket is new.
func TestForeignBuckets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "other.db")
	db, err := bbolt.Open(path, 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	for _, bucket := range []string{"", "users", "meta"} {
		if bucket != "" {
			db, err := bbolt.Open(path, 0o600, nil)
			require.NoError(t, err)
			require.NoError(t, db.Update(func(tx *bbolt.Tx) error {
				_, err := tx.CreateBucketIfNotExists([]byte(bucket))
				return err
			}))
			require.NoError(t, db.Close())
		}
		before, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, readOnly := range []bool{true, false} {
			e, err := Open(path, backend.Options{ReadOnly: readOnly})
			if bucket == "" {
				require.NoError(t, err)
				require.NoError(t, e.Close())
				require.NoError(t, os.WriteFile(path, before, 0o600))
				continue
			}
			require.ErrorIs(t, err, backend.ErrDamaged)
			require.ErrorContains(t, err, path)
			require.ErrorContains(t, err, `no bucket "key" beside "`)
			after, err := os.ReadFile(path)
			require.NoError(t, err)
			require.True(t, bytes.Equal(before, after))
		}
	}
}
