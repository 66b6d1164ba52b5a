package arch

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	root       = "../.."
	maxLines   = 500
	longReason = "over 500 lines because" // stands in the first comment of a longer file
)

var bannedNames = []string{"util", "utils", "common", "base", "helper", "helpers", "types", "manager", "misc"}

func TestSourceFiles(t *testing.T) {
	files := 0
	eachFile(t, func(name string, src []byte) {
		if strings.HasSuffix(name, ".go") && !strings.Contains(name, "testdata/") {
			files++
			for _, fault := range faults(name, src) {
				t.Error(fault)
			}
		}
	})
	require.Greater(t, files, 20, "the walk met the tree")
}

// A file that names a place on one machine is wrong on all others.
func TestNoPlacesOfOneMachine(t *testing.T) {
	places := []string{"/wo" + "rk/", "/ro" + "ot/", "/ho" + "me/", "/Us" + "ers/"}
	eachFile(t, func(name string, src []byte) {
		if !utf8.Valid(src) {
			return // a database
		}
		for _, place := range places {
			assert.False(t, bytes.Contains(src, []byte(place)), "%s names %s", name, place)
		}
	})
}

// eachFile reads every file of the repository but git's and rapid's own.
func eachFile(t *testing.T, visit func(name string, src []byte)) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "rapid"):
			return fs.SkipDir // rapid keeps its failures in testdata, traces and all
		case !d.Type().IsRegular():
			return nil
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		visit(filepath.ToSlash(name), src)
		return nil
	}))
}

func TestFaultsAreFound(t *testing.T) {
	long := strings.Repeat("\n", 501)
	for _, row := range []struct {
		name, file, src string
		want            string // part of the one fault; empty: none
	}{
		{"clean", "mvcc/store.go", "package mvcc\n", ""},
		{"init", "mvcc/store.go", "package mvcc\nfunc init() {}\n", "init"},
		{"method called init", "mvcc/store.go", "package mvcc\ntype s int\nfunc (s) init() {}\n", ""},
		{"blank import", "mvcc/store.go", "package mvcc\nimport _ \"embed\"\n", "blank import"},
		{"blank import in a test", "mvcc/store_test.go", "package mvcc\nimport _ \"embed\"\n", ""},
		{"dot import", "mvcc/store_test.go", "package mvcc\nimport . \"fmt\"\nvar _ = Sprint()\n", "dot import"},
		{"long", "mvcc/store.go", "package mvcc\n" + long, "lines"},
		{"long with its reason", "mvcc/store.go", "// This file is over 500 lines because so.\npackage mvcc\n" + long, ""},
		{"long with a reason too late", "mvcc/store.go", "package mvcc\n\n// over 500 lines because\n" + long, "lines"},
		{"banned package", "mvcc/x.go", "package util\n", "util"},
		{"banned file", "mvcc/helpers.go", "package mvcc\n", "helpers"},
		{"banned test file", "mvcc/common_test.go", "package mvcc\n", "common"},
		{"print in a library", "watch/hub.go", "package watch\nimport \"fmt\"\nfunc f() { fmt.Println() }\n", "fmt.Println"},
		{"print in a command", "cmd/watchbench/main.go", "package main\nimport \"fmt\"\nfunc f() { fmt.Println() }\n", ""},
		{"exit in a library", "bench/run.go", "package bench\nimport \"os\"\nfunc f() { os.Exit(1) }\n", "os.Exit"},
		{"log in a library", "backend/bolt/x.go", "package bolt\nimport \"log\"\nfunc f() { log.Print() }\n", "log.Print"},
		{"skip", "mvcc/x_test.go", "package mvcc\nimport \"testing\"\nfunc f(t *testing.T) { t.Skip() }\n", "Skip"},
		{"skip for want of a browser", browser, "package page\nimport \"testing\"\nfunc f(t *testing.T) { t.Skip() }\n", ""},
		{"skip for want of privileges", privileges, "package faults\nimport \"testing\"\nfunc f(t *testing.T) { t.Skip() }\n", ""},
		{"short", "mvcc/x_test.go", "package mvcc\nimport \"testing\"\nvar _ = testing.Short()\n", "testing.Short"},
		{"environment", "mvcc/x_test.go", "package mvcc\nimport \"os\"\nvar _ = os.Getenv(\"X\")\n", "os.Getenv"},
		{"sleep", "mvcc/x_test.go", "package mvcc\nimport \"time\"\nfunc f() { time.Sleep(1) }\n", "time.Sleep"},
		{"sleep on a fake clock", "mvcc/x_test.go",
			"package mvcc\nimport (\n\"testing/synctest\"\n\"time\"\n)\nfunc f() { time.Sleep(1); synctest.Wait() }\n", ""},
		{"to do", "mvcc/x.go", "package mvcc\n\n// TO" + "DO: later\n", "TO" + "DO"},
		{"damaged", "mvcc/x.go", "packag\n", "expected"},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := faults(row.file, []byte(row.src))
			if row.want == "" {
				assert.Empty(t, got)
				return
			}
			require.Len(t, got, 1)
			assert.Contains(t, got[0], row.want)
			assert.Contains(t, got[0], row.file)
		})
	}
}

// privileges is the one file whose tests may be skipped: where they need what
// only root may do.
const privileges = "internal/faults/privileges_test.go"

// browser is the file whose tests look at the page of results in Chromium, and
// are skipped where there is none; CI has one, and fails on a skip.
const browser = "bench/page/browser_test.go"

// faults returns a line for each thing a source file may not contain.
func faults(name string, src []byte) (all []string) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, src, parser.ParseComments)
	if err != nil {
		return []string{err.Error()}
	}
	isTest := strings.HasSuffix(name, "_test.go")
	report := func(pos token.Pos, format string, args ...any) {
		all = append(all, fmt.Sprintf("%s: %s", fset.Position(pos), fmt.Sprintf(format, args...)))
	}

	if lines := fset.File(file.Pos()).LineCount(); lines > maxLines && !reasoned(file) && !ast.IsGenerated(file) {
		report(file.Package, "%d lines; split it, or say in the first comment that it is %s", lines, longReason)
	}
	stem := strings.TrimSuffix(strings.TrimSuffix(filepath.Base(name), ".go"), "_test")
	for _, banned := range []string{stem, strings.TrimSuffix(file.Name.Name, "_test")} {
		if slices.Contains(bannedNames, banned) {
			report(file.Package, "%q says nothing of what is inside", banned)
		}
	}
	for _, i := range file.Imports {
		switch {
		case i.Name == nil:
		case i.Name.Name == "." || i.Name.Name == "_" && !isTest:
			report(i.Pos(), "%s import of %s", map[string]string{".": "dot", "_": "blank"}[i.Name.Name], i.Path.Value)
		}
	}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" && !isTest {
			report(f.Pos(), "an init function runs without being asked")
		}
	}
	for _, group := range file.Comments {
		if strings.Contains(group.Text(), "TO"+"DO") {
			report(group.Pos(), "a TO"+"DO without an end")
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if why := forbidden(name, isTest, file, s); why != "" {
				report(s.Pos(), "%s", why)
			}
		}
		return true
	})
	return all
}

// reasoned reports whether the first comment says why the file is long.
func reasoned(file *ast.File) bool {
	return len(file.Comments) > 0 && file.Comments[0].Pos() < file.Package &&
		strings.Contains(strings.Join(strings.Fields(file.Comments[0].Text()), " "), longReason)
}

// forbidden says why a selector such as fmt.Println may not stand in a file.
func forbidden(name string, isTest bool, file *ast.File, s *ast.SelectorExpr) string {
	x, ok := s.X.(*ast.Ident)
	if !ok {
		return ""
	}
	called := x.Name + "." + s.Sel.Name
	if isTest {
		switch called {
		case "t.Skip", "t.Skipf", "t.SkipNow", "b.Skip", "b.Skipf", "b.SkipNow", "testing.Short":
			if name != privileges && name != browser {
				return called + ": a test runs or does not exist"
			}
		case "os.Getenv", "os.LookupEnv", "os.Setenv", "t.Setenv":
			return called + ": what a test does is not chosen by the environment"
		case "time.Sleep":
			if !imports(file, "testing/synctest") {
				return called + " is no synchronisation"
			}
		}
		return ""
	}
	switch called {
	case "fmt.Print", "fmt.Printf", "fmt.Println", "os.Exit", "os.Stdout", "os.Stderr",
		"log.Print", "log.Printf", "log.Println", "log.Fatal", "log.Fatalf", "log.Fatalln":
		if isLibrary(name) {
			return called + ": a library returns errors and logs to the logger it was given"
		}
	}
	return ""
}

func isLibrary(name string) bool {
	top, _, _ := strings.Cut(name, "/")
	return slices.Contains([]string{"backend", "mvcc", "watch", "bench", "internal"}, top)
}

func imports(file *ast.File, path string) bool {
	return slices.ContainsFunc(file.Imports, func(i *ast.ImportSpec) bool { return i.Path.Value == `"`+path+`"` })
}
