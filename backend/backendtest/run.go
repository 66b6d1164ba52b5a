// Package backendtest proves that an engine keeps the contract of package
// backend.
//
// Run is the suite: an engine's own test is one call to it. Each case carries
// the sentence of the contract that it proves and prints it when it fails.
// Faulty wraps an engine and fails the call that a test picks. Bench measures what every
// engine is asked for most.
package backendtest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
)

// testCase is one promise and its proof.
type testCase struct {
	name string
	says string // the sentence of the contract
	run  func(t *testing.T, f *fixture)
}

// Run proves the contract on the driver's engine, in fresh directories of
// t.TempDir.
func Run(t *testing.T, d backend.Driver) {
	t.Helper()
	var cases []testCase
	cases = append(cases, applyCases()...)
	cases = append(cases, viewCases()...)
	cases = append(cases, lifeCases()...)
	if !d.Volatile {
		cases = append(cases, diskCases()...)
	}
	cases = append(cases, abilityCases()...)
	cases = append(cases, testCase{"Model", "An engine is an ordered byte store with atomic batches and frozen views.", checkModel})
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("%s breaks: %s", d.Name, c.says)
				}
			})
			f := &fixture{t: t, driver: d, path: t.TempDir()}
			c.run(t, f)
			if f.engine != nil {
				require.NoError(t, f.engine.Close())
			}
		})
	}
}

// fixture is one store on disk and the engine open on it, if any.
type fixture struct {
	t      *testing.T
	driver backend.Driver
	path   string
	engine backend.Engine // nil while closed
}

// open opens the store; Run closes it at the end of the case.
func (f *fixture) open() backend.Engine {
	f.t.Helper()
	return f.openWith(backend.Options{})
}

func (f *fixture) openWith(o backend.Options) backend.Engine {
	f.t.Helper()
	require.Nil(f.t, f.engine, "one engine at a time")
	e, err := f.driver.Open(f.path, o)
	require.NoError(f.t, err)
	f.engine = e
	return e
}

func (f *fixture) close() {
	f.t.Helper()
	e := f.engine
	f.engine = nil
	require.NoError(f.t, e.Close())
}

// put applies one batch of puts into SpaceKey, as key, value, key, value...
func (f *fixture) put(pairs ...string) {
	f.t.Helper()
	var b backend.Batch
	for i := 0; i < len(pairs); i += 2 {
		b.Put(backend.SpaceKey, []byte(pairs[i]), []byte(pairs[i+1]))
	}
	require.NoError(f.t, f.engine.Apply(&b, backend.Sync))
}

// withView runs fn on a view and closes it.
func (f *fixture) withView(fn func(v backend.View)) {
	f.t.Helper()
	v, err := f.engine.View()
	require.NoError(f.t, err)
	fn(v)
	require.NoError(f.t, v.Close())
}

// contents returns a whole space as key, value, key, value...
func (f *fixture) contents(s backend.Space) []string {
	f.t.Helper()
	var got []string
	f.withView(func(v backend.View) { got = scan(f.t, v, s, nil, nil) })
	return got
}

// count returns the number of entries in a space.
func (f *fixture) count(s backend.Space) (n int) {
	f.t.Helper()
	f.withView(func(v backend.View) {
		require.NoError(f.t, v.Scan(s, nil, nil, func(key, value []byte) bool {
			n++
			return true
		}))
	})
	return n
}

// scan returns [lo, hi) of a space as key, value, key, value...
func scan(t *testing.T, v backend.View, s backend.Space, lo, hi []byte) []string {
	t.Helper()
	got := []string{}
	require.NoError(t, v.Scan(s, lo, hi, func(key, value []byte) bool {
		got = append(got, string(key), string(value))
		return true
	}))
	return got
}
