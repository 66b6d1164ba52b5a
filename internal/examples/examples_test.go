package examples

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var whole = flag.Bool("examples.whole", false, "run examples as they stand where that takes a bounded time")

// Every example of every document runs, but those that the module peers runs.
func TestExamples(t *testing.T) {
	repo, program := clone(t), build(t)
	documents, err := Documents(repo, program)
	require.NoError(t, err)
	var ran sync.Map // commands of any document
	for _, doc := range documents {
		t.Run(doc.Name, func(t *testing.T) {
			t.Parallel()
			box, err := NewSandbox(t.TempDir(), repo, program)
			require.NoError(t, err)
			defer func() { assert.NoError(t, box.Stop()) }()
			for _, e := range doc.Examples {
				rule, ok := RuleFor(e)
				if !assert.True(t, ok, "%s\nno rule of internal/examples/rules.go says how this is run in a test", e) {
					continue
				}
				switch rule.Where {
				case Here:
					if _, again := ran.LoadOrStore(e.Text, true); again && !writes.MatchString(e.Text) && rule.Serves == "" {
						continue
					}
					began := time.Now()
					assert.NoError(t, box.Run(t.Context(), e, rule, "", *whole))
					t.Logf("%5.1f s  %s", time.Since(began).Seconds(), e)
				case Peers, Etcd, Etcdctl: // peers/examples_test.go
				default:
					assert.NoError(t, CheckNowhere(e, rule, repo, program))
				}
			}
		})
	}
}

// writes is what later examples of a document may need.
var writes = regexp.MustCompile(`--json|--html|>`)

// A rule that nothing needs any more is removed.
func TestRules_AreUsed(t *testing.T) {
	documents, err := Documents(clone(t), build(t))
	require.NoError(t, err)
	for _, r := range rules {
		used := false
		for _, doc := range documents {
			for _, e := range doc.Examples {
				rule, ok := RuleFor(e)
				used = used || ok && rule.Match == r.Match
			}
		}
		assert.True(t, used, "no example matches %q, or an earlier rule does", r.Match)
		assert.Equal(t, len(r.Exit) > 0 || r.Instead != "" || r.Where == Nowhere || r.Where == Steps, r.Why != "", "%q: a reason, if one is needed", r.Match)
	}
}

func clone(t *testing.T) string {
	repo, err := filepath.Abs("../..")
	require.NoError(t, err)
	return repo
}

var built = sync.OnceValues(func() (Programs, error) {
	dir, err := os.MkdirTemp("", "examples-*")
	if err != nil {
		return Programs{}, err
	}
	p := Programs{Watchbench: filepath.Join(dir, "watchbench"), Watchd: filepath.Join(dir, "watchd")}
	out, err := exec.Command("go", "build", "-o", dir, "../../cmd/watchbench", "../../cmd/watchd").CombinedOutput()
	if err != nil {
		os.Stderr.Write(out)
	}
	return p, err
})

func TestMain(m *testing.M) {
	code := m.Run()
	if p, err := built(); err == nil {
		os.RemoveAll(filepath.Dir(p.Watchd))
	}
	os.Exit(code)
}

// build makes the programs once for all tests.
func build(t *testing.T) Programs {
	p, err := built()
	require.NoError(t, err)
	return p
}
