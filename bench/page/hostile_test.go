package page_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/page"
)

// spoil puts a text into every string below v.
func spoil(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			spoil(v.Elem(), text)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				spoil(v.Field(i), text)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			spoil(v.Index(i), text)
		}
	case reflect.Map:
		if v.Type().Elem().Kind() == reflect.String {
			for _, key := range v.MapKeys() {
				v.SetMapIndex(key, reflect.ValueOf(text).Convert(v.Type().Elem()))
			}
		}
	case reflect.String:
		v.SetString(v.String() + text)
	}
}

// harmless checks that a page has no element or attribute that only a result
// could have brought in.
func harmless(t *testing.T, text string) {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(text))
	require.NoError(t, err)
	scripts := 0
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if n.Data == "script" {
			scripts++
		}
		assert.NotContains(t, []string{"img", "iframe", "a.b", "object", "form", "base", "link"}, n.Data)
		for _, a := range n.Attr {
			assert.False(t, strings.HasPrefix(a.Key, "on"), "attribute %s", a.Key)
			if a.Key == "style" {
				assert.NotContains(t, a.Val, "url")
				assert.NotContains(t, a.Val, "expression")
			}
		}
	}
	assert.Equal(t, 1, scripts)
}

func TestHostileStrings(t *testing.T) {
	for _, evil := range []string{
		`</script><script>alert(1)</script>`,
		`"><img src=x onerror=alert(1)>`,
		`' onmouseover='alert(1)`,
		`</style><style>*{background:url(http://127.0.0.1)}</style>`,
		`<!--`, `]]>`, `{{.Style}}`, "\x00\xff\u2028", `javascript:alert(1)`, "../../etc/passwd",
	} {
		whole, broken := sampled(t, "pebble", 1, 1), brokenResult(t)
		whole.Failed, whole.Source = "died", &bench.Source{File: "snap.db"}
		whole.CutShort = &bench.CutShort{Scenario: "notify", NotRun: []string{"slow"}}
		for i := range whole.Runs {
			delete(whole.Runs[i].Metrics, "victims")
			whole.Runs[i].NotMeasured["victims"] = "why"
		}
		spoil(reflect.ValueOf(whole), evil)
		spoil(reflect.ValueOf(broken), evil)
		harmless(t, written(t, whole, broken))
		harmless(t, written(t, whole))

		// Names alone: the scenarios stay known, so that everything is drawn.
		named := sampled(t, "pebble", 1, 1)
		spoil(reflect.ValueOf(&named.Target), evil)
		spoil(reflect.ValueOf(&named.Command), evil)
		text := written(t, named)
		harmless(t, text)
		files, err := page.Extract(strings.NewReader(text))
		require.NoError(t, err)
		assert.Equal(t, filepath.Base(files[0].Name), files[0].Name)
		assert.False(t, strings.HasPrefix(files[0].Name, "."))
	}
}

// Whatever is a result, a page can show.
func FuzzWrite(f *testing.F) {
	golden, err := os.ReadFile(filepath.Join("..", "testdata", "result-1.json"))
	require.NoError(f, err)
	f.Add(golden)
	for _, text := range []string{
		`{"schema":"watchbench.result/1"}`,
		`{"schema":"watchbench.result/1","plan":{"scenarios":[{"name":"notify","shape":"one-key","stalled_streams":1,"stall_ns":-1}]},"runs":[{"plan_index":0,"metrics":{"notify.p99_ns":1e308,"put.p99_ns":-1e308,"catchup.synced_ns":5e-324,"catchup.events":0},"series":{"interval_ns":-5,"notify_p99_ns":[1,-1,9223372036854775807],"victims_per_s":[1e308,-1]},"histograms":{"notify_ns":{"hdr_v2_base64":"HISTFAAA"}}}]}`,
		`{"schema":"watchbench.result/1","plan":{"scenarios":[{"name":"catchup","shape":"prefix"},{"name":"slow"}]},"runs":[{"plan_index":0,"metrics":{"catchup.synced_ns":1,"catchup.events":5,"catchup.events_per_s":0,"catchup.scan_ratio":-7},"catchup_curve":{"at_ns":[1,2,3],"events":[5]}},{"plan_index":1,"metrics":{}}]}`,
		`{"schema":"watchbench.comparison/1","results":[{"schema":"watchbench.result/1","broken":{"rule":"G6"}},{"schema":"watchbench.result/1","failed":"x"}]}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		results, err := bench.ReadResults(bytes.NewReader(document))
		if err != nil {
			return
		}
		var b bytes.Buffer
		require.NoError(t, page.Write(&b, results, page.Options{}))
		harmless(t, b.String())
		files, err := page.Extract(&b)
		require.NoError(t, err)
		require.Len(t, files, len(results))
		for _, file := range files {
			require.True(t, json.Valid(file.JSON))
		}
	})
}

func FuzzExtract(f *testing.F) {
	f.Add([]byte(`<script type="application/json" id="results">{"schema":"watchbench.page/1","files":[{"name":"../a","gzip_base64":"H4sIAAAAAAAC/wAAAP//AQAA//8AAAAAAAAAAA=="}]}</script>`))
	f.Fuzz(func(t *testing.T, document []byte) {
		files, err := page.Extract(bytes.NewReader(document))
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, file := range files {
			require.Equal(t, filepath.Base(file.Name), file.Name)
			require.False(t, seen[file.Name], "twice")
			seen[file.Name] = true
		}
	})
}
