package arch

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Libraries that serve, measure, log or parse commands. A store that is
// embedded must not bring them along.
var outer = []string{
	"google.golang.org/grpc",
	"github.com/prometheus",
	"github.com/spf13/cobra",
	"github.com/spf13/pflag",
	"go.uber.org/zap",
	"go.opentelemetry.io",
	"github.com/sirupsen/logrus",
	"net/http",
}

// The library of each engine, by the folder below backend.
var engineLibs = map[string]string{
	"bolt":   "go.etcd.io/bbolt",
	"pebble": "github.com/cockroachdb/pebble/v2",
	"badger": "github.com/dgraph-io/badger/v4",
	"mem":    "github.com/google/btree",
}

func TestEveryPackageHasARule(t *testing.T) {
	for _, pkg := range load(t).ours {
		_, ok := ruleFor(pkg.below())
		assert.True(t, ok, "%s: no rule; add a row to rules_test.go", pkg.ImportPath)
	}
}

func TestImportsFollowTheRules(t *testing.T) {
	for _, pkg := range load(t).ours {
		r, _ := ruleFor(pkg.below())
		for _, path := range pkg.Imports {
			if !isStandard(path) {
				assert.True(t, r.allows(path), "%s may not import %s", pkg.ImportPath, path)
			}
		}
		if !r.isTest {
			assert.NotContains(t, pkg.Imports, "testing", "%s is no test package", pkg.ImportPath)
		}
	}
}

// A test may use more than the code beside it, but data still flows one way:
// a lower package's tests never know a higher package. Our internal tools are
// for everybody, and their own tests know what their code may know.
func TestTestsDoNotLookUp(t *testing.T) {
	for _, pkg := range load(t).ours {
		for _, path := range slices.Concat(pkg.TestImports, pkg.XTestImports) {
			below, ours := strings.CutPrefix(path, module+"/")
			if !ours || path == pkg.ImportPath || strings.HasPrefix(below, "internal/") {
				continue
			}
			allowed := layer(below) <= layer(pkg.below())
			if r, _ := ruleFor(pkg.below()); strings.HasPrefix(pkg.below(), "internal/") {
				allowed = r.allows(path)
			}
			assert.True(t, allowed, "tests of %s may not import %s", pkg.ImportPath, path)
		}
	}
}

// layer grows from the engine to the programs.
func layer(pkg string) int {
	top, _, _ := strings.Cut(pkg, "/")
	return slices.Index([]string{"backend", "mvcc", "lease", "watch", "bench", "server", "cmd", "examples"}, top)
}

// The core runs on any engine, so it links none, and nothing that serves,
// measures, logs or parses commands.
func TestCoreLinksNoEngineAndNothingOuter(t *testing.T) {
	p := load(t)
	for _, name := range []string{"backend", "mvcc", "watch", "watch/watchtest"} {
		pkg, ok := p.all[module+"/"+name]
		require.True(t, ok, "package %s is missing", name)
		for _, bad := range slices.Concat(outer, []string{engineLibs["bolt"], engineLibs["pebble"], engineLibs["badger"], "go.etcd.io/etcd"}) {
			assert.Empty(t, under(bad, pkg.Deps), "%s links %s", name, bad)
		}
		for engine := range engineLibs {
			assert.NotContains(t, pkg.Deps, module+"/backend/"+engine, name)
		}
	}
}

// The measurement takes a driver, so it too links no engine.
func TestBenchLinksNoEngine(t *testing.T) {
	pkg, ok := load(t).all[module+"/bench"]
	require.True(t, ok)
	for engine := range engineLibs {
		assert.NotContains(t, pkg.Deps, module+"/backend/"+engine)
	}
}

func TestRuleMatching(t *testing.T) {
	r, ok := ruleFor("backend/bolt")
	require.True(t, ok)
	assert.True(t, r.allows(module+"/backend"))
	assert.True(t, r.allows("go.etcd.io/bbolt/errors"))
	assert.False(t, r.allows("go.etcd.io/bboltx"), "a longer name is another library")
	assert.False(t, r.allows(module+"/mvcc"))
	assert.False(t, r.allows(module+"/backend/mem"))
	assert.False(t, r.allows("github.com/stretchr/testify/assert"))
	_, ok = ruleFor("util")
	assert.False(t, ok)
}

// under returns the paths that are lib or below it.
func under(lib string, paths []string) []string {
	var found []string
	for _, path := range paths {
		if path == lib || strings.HasPrefix(path, lib+"/") {
			found = append(found, path)
		}
	}
	return found
}
