package faults

import (
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/mvcc"
)

var (
	damageFlips = flag.Int("faults.flips", 8, "bits flipped for each engine, closed and killed")
	damageEvery = flag.Int("faults.every", 4, "of all kinds of damage each how-manyth is done; 1: all")
	damageSeed  = flag.Uint64("faults.damageseed", 1, "seed of the places of damage")
)

// harm is one way to damage a directory.
type harm struct {
	name string
	file string // what it is done to
	do   func(t *testing.T, path string)
}

const harmPage = 4096

// harms lists the damage that is done to a specimen, each on a copy.
func harms(t *testing.T, s *specimen, r *rand.Rand) (all []harm) {
	t.Helper()
	entries, err := os.ReadDir(s.dir)
	require.NoError(t, err)
	var files []string
	used := map[string]int64{}
	for _, entry := range entries {
		name := entry.Name()
		files = append(files, name)
		used[name] = int64(len(readUsed(t, filepath.Join(s.dir, name))))
		all = append(all, harm{name: "missing", file: name, do: remove}, harm{name: "empty", file: name, do: cut(0)})
		for _, end := range []struct {
			name string
			size int64
		}{{"less 1", used[name] - 1}, {"less 100", used[name] - 100}, {"less half a page", used[name] - harmPage/2}, {"half", used[name] / 2}} {
			if end.size > 0 {
				all = append(all, harm{name: "cut to " + end.name, file: name, do: cut(end.size)})
			}
		}
		if pages := used[name] / harmPage; pages > 0 {
			for _, page := range []int64{0, pages / 2, pages - 1} {
				all = append(all, harm{name: fmt.Sprintf("page %d of %d zeroed", page, pages), file: name, do: zero(page * harmPage)})
			}
		}
	}
	for range *damageFlips {
		name := files[r.IntN(len(files))]
		if used[name] == 0 {
			name = slices.MaxFunc(files, func(a, b string) int { return int(used[a] - used[b]) })
		}
		at, bit := r.Int64N(used[name]), r.IntN(8)
		all = append(all, harm{name: fmt.Sprintf("bit %d of byte %d flipped", bit, at), file: name, do: flip(at, bit)})
	}
	return append(all, harm{name: "foreign file", do: func(t *testing.T, dir string) {
		require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(dir), "letter.txt"), []byte("Dear all"), 0o600))
	}}, harm{name: "nothing", do: func(*testing.T, string) {}})
}

func remove(t *testing.T, path string) { require.NoError(t, os.Remove(path)) }

func cut(size int64) func(*testing.T, string) {
	return func(t *testing.T, path string) { require.NoError(t, os.Truncate(path, size)) }
}

func zero(at int64) func(*testing.T, string) {
	return func(t *testing.T, path string) { overwrite(t, path, at, make([]byte, harmPage)) }
}

func flip(at int64, bit int) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		var b [1]byte
		file, err := os.Open(path)
		require.NoError(t, err)
		_, err = file.ReadAt(b[:], at)
		require.NoError(t, err)
		require.NoError(t, file.Close())
		overwrite(t, path, at, []byte{b[0] ^ 1<<bit})
	}
}

func overwrite(t *testing.T, path string, at int64, data []byte) {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = file.WriteAt(data, at)
	require.NoError(t, err)
	require.NoError(t, file.Close())
}

// R5: whatever is damaged, the data that come are those that were written, or
// an error says whose data it is, where they stand and what to do. The process
// lives. What an engine has no means to see is counted apart, and only where
// its documentation says so.
func TestDamage(t *testing.T) {
	onDisk(t, func(t *testing.T, d backend.Driver) {
		for _, s := range makeSpecimens(t, d) {
			t.Run(s.String()[len(d.Name)+1:], func(t *testing.T) { damageAll(t, s) })
		}
	})
}

func damageAll(t *testing.T, s *specimen) {
	t.Logf("seed %d", *damageSeed)
	r := rand.New(rand.NewPCG(*damageSeed, 0))
	var all []harm
	for i, h := range harms(t, s, r) {
		if (uint64(i)+*damageSeed)%uint64(*damageEvery) == 0 {
			all = append(all, h)
		}
	}
	var dirs []judgeDir
	parent := t.TempDir()
	for i, h := range all {
		dir := filepath.Join(parent, fmt.Sprint(i))
		copyDir(t, dir, s.dir)
		h.do(t, filepath.Join(dir, h.file))
		dirs = append(dirs, judgeDir{Dir: dir})
	}
	counts := map[string]int{}
	for i, v := range judgeAll(t, s, dirs) {
		h := all[i]
		name := fmt.Sprintf("%s, %s %s", s, h.file, h.name)
		counts[outcome(t, s, &h, name, dirs[i].Dir, &v)]++
	}
	t.Logf("%s: %v", s, counts)
}

// unseen says whether the package documentation of an engine says that it has
// no means to see this.
func unseen(s *specimen, h *harm, v *verdict) bool {
	switch s.driver.Name {
	case "bolt":
		// No checksums: a bit in a value. And a directory without the file is
		// one that was never used.
		return v.Says == "values" && strings.Contains(h.name, "flipped") || v.Says == "new" && h.name == "missing"
	case "badger":
		// A killed store's log without its end, or no log at all.
		return !s.clean && strings.HasSuffix(h.file, ".mem") && v.Says == "prefix"
	case "pebble":
		return !s.clean && strings.HasSuffix(h.file, ".log") && v.Says == "prefix"
	}
	return false
}

// outcome judges one verdict and says what to count it as.
func outcome(t *testing.T, s *specimen, h *harm, name, dir string, v *verdict) string {
	t.Helper()
	switch {
	case v.Died != "":
		assert.Fail(t, "the process died", "%s: %s", name, v.Died)
		return "died"
	case v.Says == "same":
		return "same"
	case v.Says == "error":
		assert.NotEmpty(t, v.Kinds, "%s: at %s: %s", name, v.Stage, v.Err)
		assert.Contains(t, v.Err, s.driver.Name, "%s: at %s", name, v.Stage)
		assert.Contains(t, v.Err, dir, "%s: at %s", name, v.Stage)
		t.Logf("%s: at %s: %s", name, v.Stage, strings.ReplaceAll(v.Err, dir, "DIR"))
		return "error at " + v.Stage
	case unseen(s, h, v):
		t.Logf("%s: %s, by design", name, v.Says)
		return "unseen by design: " + v.Says
	default:
		assert.Fail(t, "not what was written, and no error", "%s: %s", name, v.Says)
		return "silent"
	}
}

// R5: data that are another's, or of a later version, are refused with a text
// that names them, and not a byte of them changes.
func TestForeign(t *testing.T) {
	dirs := map[string]string{}
	onDisk(t, func(t *testing.T, d backend.Driver) {
		dir, err := os.MkdirTemp("", "foreign")
		require.NoError(t, err)
		dirs[d.Name] = dir
		engine, err := d.Open(dir, backend.Options{})
		require.NoError(t, err)
		store, err := mvcc.Open(engine, mvcc.Config{})
		require.NoError(t, err)
		_, err = store.Put(t.Context(), []byte("k"), []byte("v"))
		require.NoError(t, err)
		require.NoError(t, store.Close())
		require.NoError(t, engine.Close())
	})
	t.Cleanup(func() {
		for _, dir := range dirs {
			require.NoError(t, os.RemoveAll(dir))
		}
	})
	onDisk(t, func(t *testing.T, d backend.Driver) {
		for other, dir := range dirs {
			if other == d.Name {
				continue
			}
			before := filesOf(t, dir)
			for _, readOnly := range []bool{false, true} {
				_, err := d.Open(dir, backend.Options{ReadOnly: readOnly})
				require.ErrorIs(t, err, backend.ErrDamaged, "%s opens %s", d.Name, other)
				require.ErrorContains(t, err, d.Name+": open "+dir)
				require.ErrorContains(t, err, "nothing of this engine")
			}
			require.Equal(t, before, filesOf(t, dir))
		}
		t.Run("newer format", func(t *testing.T) {
			dir := t.TempDir()
			copyDir(t, dir, dirs[d.Name])
			engine, err := d.Open(dir, backend.Options{})
			require.NoError(t, err)
			defer func() { require.NoError(t, engine.Close()) }()
			var b backend.Batch
			b.Put(backend.SpaceMeta, []byte("watchkv_format"), binary.BigEndian.AppendUint64(nil, 2))
			require.NoError(t, engine.Apply(&b, backend.Sync))
			for _, readOnly := range []bool{false, true} {
				_, err = mvcc.Open(engine, mvcc.Config{ReadOnly: readOnly})
				require.ErrorIs(t, err, mvcc.ErrFormat)
				require.ErrorContains(t, err, "format 2, this program reads up to 1")
				require.ErrorContains(t, err, d.Name)
				require.ErrorContains(t, err, dir)
			}
		})
	})
}

// filesOf maps the names in a directory to the content.
func filesOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	files := map[string]string{}
	for _, entry := range entries {
		files[entry.Name()] = string(readUsed(t, filepath.Join(dir, entry.Name())))
	}
	return files
}
