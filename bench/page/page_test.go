package page_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/page"
)

// golden is the result that every program must be able to read.
func golden(t *testing.T) *bench.Result {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "testdata", "result-1.json"))
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	res, err := bench.ReadResult(f)
	require.NoError(t, err)
	return res
}

func written(t *testing.T, results ...*bench.Result) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, page.Write(&b, results, page.Options{}))
	return b.String()
}

func TestNothingToShow(t *testing.T) {
	require.ErrorIs(t, page.Write(&bytes.Buffer{}, nil, page.Options{}), page.ErrNothing)
}

func TestExtractGivesBackWhatWasWritten(t *testing.T) {
	res := golden(t)
	files, err := page.Extract(strings.NewReader(written(t, res, res)))
	require.NoError(t, err)
	require.Len(t, files, 2)
	var want bytes.Buffer
	require.NoError(t, res.WriteJSON(&want))
	for _, f := range files {
		assert.Equal(t, want.String(), string(f.JSON), f.Name)
	}
	assert.NotEqual(t, files[0].Name, files[1].Name)
}

func TestExtractOfSomethingElse(t *testing.T) {
	for _, text := range []string{"", "{}", "<html><body>hello</body></html>", `<script id="results"></script>`, `<script id="other">{}</script>`} {
		_, err := page.Extract(strings.NewReader(text))
		require.ErrorIs(t, err, page.ErrNoResults, text)
	}
	_, err := page.Extract(strings.NewReader(`<script type="application/json" id="results">{"schema":"watchbench.page/9"}</script>`))
	require.ErrorContains(t, err, "watchbench.page/9")
}

// A page refers to nothing outside itself and has no script that runs.
func TestPageStandsAlone(t *testing.T) {
	text := written(t, golden(t))
	doc, err := html.Parse(strings.NewReader(text))
	require.NoError(t, err)
	policies := 0
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		assert.NotContains(t, []string{"link", "img", "iframe", "object", "embed", "base", "audio", "video", "form"}, n.Data)
		for _, a := range n.Attr {
			assert.NotContains(t, []string{"src", "srcset", "action", "xlink:href", "data"}, a.Key)
			assert.False(t, strings.HasPrefix(a.Key, "on"), a.Key)
			if a.Key == "href" {
				assert.True(t, strings.HasPrefix(a.Val, "#"), a.Val)
			}
			if n.Data == "script" && a.Key == "type" {
				assert.Equal(t, "application/json", a.Val)
			}
			if a.Key == "content" && strings.Contains(a.Val, "default-src") {
				policies++
				assert.Equal(t, "default-src 'none'; style-src 'unsafe-inline'", a.Val)
			}
		}
	}
	assert.Equal(t, 1, policies)
	assert.NotContains(t, text, "url(")
	assert.NotContains(t, text, "@import")
}
