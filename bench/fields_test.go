package bench_test

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/bench"
)

// field is one field of a document as JSON.
type field struct {
	path     string // "runs[].metrics{}": [] for each of a list, {} for each of a map
	typ      string // string, integer, number, boolean, time, object, list of, map of
	optional bool
	null     bool // null where there is none
}

const (
	resultsDoc    = "../docs/results.md"
	resultsSchema = "../docs/results.schema.json"
)

// documented reads the rows of the tables of fields: a path and its type, then
// the description.
func documented(t *testing.T) (result, comparison map[string][3]string) {
	t.Helper()
	text, err := os.ReadFile(resultsDoc)
	require.NoError(t, err)
	result, comparison = map[string][3]string{}, map[string][3]string{}
	into := (map[string][3]string)(nil)
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "## Metrics"), strings.HasPrefix(line, "## Other views"):
			into = nil
		case line == "## Comparisons":
			into = comparison
		case strings.HasPrefix(line, "## "):
			into = result
		case into != nil && strings.HasPrefix(line, "| `"):
			cells := strings.Split(strings.Trim(line, "|"), "|")
			require.Len(t, cells, 4, "field, type, meaning, absent when: %s", line)
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			path := strings.Trim(cells[0], "`")
			require.NotContains(t, into, path, "twice")
			into[path] = [3]string{cells[1], cells[2], cells[3]}
		}
	}
	return result, comparison
}

// Every field of a result is in docs/results.md with its type, its meaning and
// when it is absent; and nothing is there that a result does not have.
func TestFieldsAreDocumented(t *testing.T) {
	result, comparison := documented(t)
	var missing []string
	for path, row := range result {
		if !slices.ContainsFunc(fieldsOf(reflect.TypeFor[bench.Result](), ""), func(f field) bool { return f.path == path }) {
			t.Errorf("%s documents `%s`, which no result has: %v", resultsDoc, path, row)
		}
	}
	for _, f := range fieldsOf(reflect.TypeFor[bench.Result](), "") {
		row, ok := result[f.path]
		if !ok {
			missing = append(missing, fmt.Sprintf("| `%s` | %s | WHAT IT IS | WHEN IT IS ABSENT |", f.path, f.typ))
			continue
		}
		typ := f.typ
		if f.null {
			typ += " or null"
		}
		assert.Equal(t, typ, row[0], "type of %s", f.path)
		assert.NotEmpty(t, row[1], "meaning of %s", f.path)
		assert.Equal(t, f.optional || f.null, row[2] != "", "%s: when it is absent must be said if and only if it can be", f.path)
	}
	assert.Empty(t, missing, "rows to be added to %s", resultsDoc)
	fields := fieldsOf(reflect.TypeFor[bench.Comparison](), "")
	assert.Len(t, comparison, 2)
	assert.Contains(t, comparison, fields[0].path)
	assert.Contains(t, comparison, fields[1].path)
}

// The table of metrics is the list of metrics.
func TestMetricsAreDocumented(t *testing.T) {
	var want strings.Builder
	want.WriteString("| metric | unit | better | meaning |\n|---|---|---|---|\n")
	for _, m := range bench.Metrics() {
		assert.NotEmpty(t, m.Text, m.Name)
		unit := strings.Trim(strings.ReplaceAll(string(bench.UnitOf(m.Name)), "_per_s", "/s"), "_")
		better := map[bench.Direction]string{bench.Less: "less", bench.More: "more"}[bench.Better(m.Name)]
		fmt.Fprintf(&want, "| `%s` | %s | %s | %s |\n", m.Name, unit, better, m.Text)
	}
	text, err := os.ReadFile(resultsDoc)
	require.NoError(t, err)
	begin, rest, ok := strings.Cut(string(text), "-update -->\n")
	require.True(t, ok)
	table, end, ok := strings.Cut(rest, "<!-- end of metrics -->")
	require.True(t, ok)
	if *update {
		require.NoError(t, os.WriteFile(resultsDoc, []byte(begin+"-update -->\n"+want.String()+"<!-- end of metrics -->"+end), 0o644))
		table = want.String()
	}
	assert.Equal(t, want.String(), table, "go test ./bench -run TestMetricsAreDocumented -update writes it")
}

// fieldsOf walks the type of a document.
func fieldsOf(t reflect.Type, prefix string) (all []field) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous && f.Tag.Get("json") == "" {
			all = append(all, fieldsOf(f.Type, prefix)...)
			continue
		}
		name, rest, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			panic(fmt.Sprintf("%s.%s has no name in JSON", t, f.Name))
		}
		optional := strings.Contains(rest, "omitempty")
		typ, below := f.Type, ""
		words := ""
		null := f.Type.Kind() == reflect.Pointer && !optional
		for {
			if typ.Kind() == reflect.Pointer {
				typ = typ.Elem()
				continue
			}
			if typ.Kind() == reflect.Slice {
				typ, below, words = typ.Elem(), below+"[]", words+"list of "
				continue
			}
			if typ.Kind() == reflect.Map {
				typ, below, words = typ.Elem(), below+"{}", words+"map of "
				continue
			}
			break
		}
		path := prefix + name
		word := wordOf(typ)
		all = append(all, field{path, words + word, optional, null})
		if word == "object" {
			all = append(all, fieldsOf(typ, path+below+".")...)
		}
	}
	return all
}

func wordOf(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return "time"
	case t.Kind() == reflect.Struct:
		return "object"
	case t.Kind() == reflect.String:
		return "string"
	case t.Kind() == reflect.Bool:
		return "boolean"
	case t.Kind() == reflect.Float64:
		return "number"
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64:
		return "integer"
	}
	panic(fmt.Sprintf("a field of type %s", t))
}
