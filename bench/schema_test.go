package bench_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/bench"
)

// schemaOf describes a type as JSON Schema. Fields that it does not know are
// allowed: they may come at any time.
func schemaOf(t reflect.Type, path string, meaning map[string][3]string) map[string]any {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return map[string]any{"type": "string", "format": "date-time"}
	case t.Kind() == reflect.Pointer:
		return schemaOf(t.Elem(), path, meaning)
	case t.Kind() == reflect.Slice:
		return map[string]any{"type": "array", "items": schemaOf(t.Elem(), path+"[]", meaning)}
	case t.Kind() == reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": schemaOf(t.Elem(), path+"{}", meaning)}
	case t.Kind() != reflect.Struct:
		return map[string]any{"type": wordOf(t)}
	}
	properties, required := map[string]any{}, []string{}
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous && f.Tag.Get("json") == "" {
			inner := schemaOf(f.Type, path, meaning)
			maps.Copy(properties, inner["properties"].(map[string]any))
			required = append(required, inner["required"].([]string)...)
			continue
		}
		name, rest, _ := strings.Cut(f.Tag.Get("json"), ",")
		below := strings.TrimPrefix(path+"."+name, ".")
		one := schemaOf(f.Type, below, meaning)
		one["description"] = meaning[below][1]
		if strings.Contains(rest, "omitempty") {
			one["description"] = meaning[below][1] + " (absent: " + meaning[below][2] + ")"
		} else {
			required = append(required, name)
			if f.Type.Kind() == reflect.Pointer {
				one["type"] = []string{"object", "null"}
			}
		}
		properties[name] = one
	}
	return map[string]any{"type": "object", "properties": properties, "required": required}
}

// The schema for programs is made of the types and the page for people, and
// what was ever written fits it.
func TestResultsFitTheirSchema(t *testing.T) {
	fields, _ := documented(t)
	schema := schemaOf(reflect.TypeFor[bench.Result](), "", fields)
	schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	schema["title"] = bench.Schema
	schema["properties"].(map[string]any)["schema"].(map[string]any)["const"] = bench.Schema
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetIndent("", " ")
	enc.SetEscapeHTML(false)
	require.NoError(t, enc.Encode(schema))
	if *update {
		require.NoError(t, os.WriteFile(resultsSchema, text.Bytes(), 0o644))
	}
	written, err := os.ReadFile(resultsSchema)
	require.NoError(t, err)
	assert.Equal(t, text.String(), string(written), "go test ./bench -run TestResultsFitTheirSchema -update writes it")

	c := jsonschema.NewCompiler()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(written))
	require.NoError(t, err)
	require.NoError(t, c.AddResource("results.schema.json", document))
	compiled, err := c.Compile("results.schema.json")
	require.NoError(t, err)
	fits := func(name string, data []byte) error {
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		require.NoError(t, err, name)
		return compiled.Validate(value)
	}
	files, err := filepath.Glob("testdata/result-*.json")
	require.NoError(t, err)
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.NoError(t, fits(file, data), file)
	}
	for _, res := range []*bench.Result{measured(t), {Schema: bench.Schema}} {
		var data bytes.Buffer
		require.NoError(t, res.WriteJSON(&data))
		assert.NoError(t, fits("written", data.Bytes()))
		assert.NotContains(t, strings.ReplaceAll(data.String(), `"cut_short": null`, ""), "null")
	}
	assert.Error(t, fits("foreign", []byte(`{"schema": "watchbench.result/1", "runs": {}}`)))
}

// measured is a result of two scenarios, as they come.
func measured(t *testing.T) *bench.Result {
	t.Helper()
	plan := small(t, bench.Notify, bench.CatchUp)
	plan.Scenarios = append(plan.Scenarios[:1:1], plan.Scenarios[len(plan.Scenarios)-1])
	plan.Scenarios[0].Duration = 1100 * time.Millisecond // a series takes a second
	res, err := bench.Measure(t.Context(), plan, bench.Options{Kind: &fakeKind{}, Dir: t.TempDir()})
	require.NoError(t, err)
	return res
}
