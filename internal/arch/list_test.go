package arch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// listed is what go list says of a package.
type listed struct {
	ImportPath   string
	Name         string
	Dir          string
	Standard     bool
	Imports      []string
	TestImports  []string
	XTestImports []string
	Deps         []string
}

// below returns the path of one of our packages under the module.
func (p listed) below() string { return strings.TrimPrefix(p.ImportPath, module+"/") }

// program is every package of the module and all they link or test with.
type program struct {
	ours []*listed
	all  map[string]*listed
}

// loadProgram runs go list once for all tests.
var loadProgram = sync.OnceValues(func() (*program, error) {
	found, err := list("-deps", module+"/...")
	if err != nil {
		return nil, err
	}
	p := &program{all: map[string]*listed{}}
	for _, pkg := range found {
		p.all[pkg.ImportPath] = pkg
		if strings.HasPrefix(pkg.ImportPath, module+"/") {
			p.ours = append(p.ours, pkg)
		}
	}
	return p, nil
})

func load(t *testing.T) *program {
	t.Helper()
	p, err := loadProgram()
	require.NoError(t, err)
	require.NotEmpty(t, p.ours)
	return p
}

// list runs go list -json with the arguments.
func list(args ...string) ([]*listed, error) {
	fields := "-json=ImportPath,Name,Dir,Standard,Imports,TestImports,XTestImports,Deps"
	cmd := exec.Command("go", append([]string{"list", fields}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list %v: %w: %s", args, err, stderr.String())
	}
	var all []*listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		p := new(listed)
		switch err := d.Decode(p); {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, fmt.Errorf("go list %v: %w", args, err)
		}
		all = append(all, p)
	}
}

// isStandard reports whether path is of the standard library, by the dot that
// the host name of any other path has.
func isStandard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}
