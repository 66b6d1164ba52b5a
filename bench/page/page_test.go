package page_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
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

// texts are what elements of a kind say, in order.
func texts(t *testing.T, page, element string) (all []string) {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(page))
	require.NoError(t, err)
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode || n.Data != element {
			continue
		}
		all = append(all, textOf(n))
	}
	return all
}

// says looks for words among what a page shows.
func says(t *testing.T, page string, wanted ...string) {
	t.Helper()
	shown := strings.Join(texts(t, page, "body"), " ")
	for _, want := range wanted {
		assert.True(t, strings.Contains(shown, want), "the page does not say %q", want)
	}
}

func TestHeadlineOfSeveral(t *testing.T) {
	fast, slow := sampled(t, "pebble", 6, 1), sampled(t, "bolt", 6, 2)
	text := written(t, fast, slow)
	assert.Equal(t, []string{"Pebble catches up fastest, takes the most puts and has the lowest notify latency."}, texts(t, text, "h1"))
	assert.Equal(t, []string{"What was asked", "May I trust it?", "Which engine?", "Where does it hurt?", "Latency in full", "Run it again", "Words"}, texts(t, text, "h2"))
	says(t, text, "reference", "p=0.002", "One run of each", "Yes: the figures were looked over")
}

func TestHeadlineWithoutDifference(t *testing.T) {
	text := written(t, sampled(t, "pebble", 6, 1), sampled(t, "badger", 6, 1))
	says(t, text, "do not differ measurably")
	assert.Contains(t, texts(t, text, "h1")[0], "In catch\u2011up", "no line ends within the word")
	assert.NotContains(t, strings.Join(texts(t, text, "main"), ""), "\u2011", "elsewhere a search finds it")
	assert.Contains(t, text, `<span class="nd">no difference</span>`)
}

// What not all targets ran is said of those that did.
func TestHeadlineOfSome(t *testing.T) {
	without := sampled(t, "badger", 6, 3)
	without.Runs = slices.DeleteFunc(without.Runs, func(r bench.Run) bool { return r.Planned == 2 })
	text := written(t, sampled(t, "pebble", 6, 1), sampled(t, "bolt", 6, 2), without)
	assert.Contains(t, texts(t, text, "h1")[0], "Pebble catches up fastest (of 2 targets)")
	says(t, text, "catchup/whole was not run, with these settings, on badger/sync.")
}

// Too few runs name nobody the best.
func TestHeadlineOfFewRuns(t *testing.T) {
	text := written(t, sampled(t, "pebble", 3, 1), sampled(t, "bolt", 3, 4))
	assert.Equal(t, []string{"Pebble and bolt side by side, with too few runs to tell who is best."}, texts(t, text, "h1"))
	says(t, text, "n=3 is few.")
}

func TestSingle(t *testing.T) {
	text := written(t, sampled(t, "pebble", 1, 1))
	assert.Contains(t, texts(t, text, "h1")[0], "On pebble/sync 99 of 100 events reach their watcher within ")
	assert.Contains(t, texts(t, text, "h1")[0], ", with 5,000 watchers.")
	assert.Contains(t, texts(t, text, "h2"), "What came out?")
	assert.NotContains(t, text, "Which engine?")
	assert.NotContains(t, text, "reference</span>")
	says(t, text, "Each figure is of a single run.")
}

func TestServerIsNotComparableInside(t *testing.T) {
	text := written(t, sampled(t, "pebble", 6, 1), served(t, 6))
	says(t, text, "etcd is reached over the network", "n/a: not visible from outside", "not promised by this target",
		"fsync n/a: the disk of a server is not seen from here", "its own; watchbench does not set it")
}

// A broken promise takes the place of headline, cards and figures.
func TestBroken(t *testing.T) {
	text := written(t, brokenResult(t))
	assert.Equal(t, []string{"BROKEN G6 bookmarkable: progress at revision 4218 ran ahead of an event"}, texts(t, text, "h1"))
	assert.Equal(t, []string{"What was asked", "May I trust it?", "The figures", "Run it again", "Words"}, texts(t, text, "h2"))
	assert.NotContains(t, text, `class="cards"`)
	assert.NotContains(t, text, "<svg")
	says(t, text, "To see it again: watchbench run --backend bolt --count 6 --seed 7")

	unseeded := brokenResult(t)
	unseeded.Command = []string{"watchbench", "run"}
	says(t, written(t, unseeded), "To see it again: watchbench run --seed 7")
	says(t, text, "came after it")
	says(t, text, "No figures are shown for a run that broke a promise.")
}

// It spoils the figures of its own target alone.
func TestBrokenBesideOthers(t *testing.T) {
	text := written(t, sampled(t, "pebble", 6, 1), brokenResult(t), sampled(t, "badger", 6, 2))
	assert.Equal(t, []string{"BROKEN G6 bookmarkable on bolt/sync: progress at revision 4218 ran ahead of an event"}, texts(t, text, "h1"))
	assert.NotContains(t, text, `class="cards"`)
	says(t, text, "BROKEN G6")
	assert.Contains(t, texts(t, text, "h2"), "Which engine?")
}

func TestIncomplete(t *testing.T) {
	res := sampled(t, "pebble", 1, 1)
	res.Complete, res.Failed, res.Runs = false, "target died 21 s into slow: EOF", res.Runs[:2]
	text := written(t, res)
	says(t, text, "pebble/sync ended before its time.")
	says(t, text, "Target died 21 s into slow: EOF")
	says(t, text, "kept until then")

	res = sampled(t, "pebble", 1, 1)
	res.Complete, res.Runs = false, nil
	res.CutShort = &bench.CutShort{NotRun: []string{"notify/one-key", "slow"}}
	text = written(t, res)
	assert.Equal(t, []string{"Nothing was measured."}, texts(t, text, "h1"))
	says(t, text, "Not run: notify/one-key and slow.")

	res = sampled(t, "pebble", 1, 1)
	res.Unchecked = true
	says(t, written(t, res), "nothing is known about the promises")
}

// Results without series, curves and histograms leave out what needs them.
func TestWithoutDrawings(t *testing.T) {
	res := sampled(t, "pebble", 1, 1)
	for i := range res.Runs {
		res.Runs[i].Series, res.Runs[i].Histograms, res.Runs[i].CatchUp = nil, nil, nil
	}
	text := written(t, res)
	assert.NotContains(t, text, `id="hurt"`)
	assert.NotContains(t, text, `id="latency"`)
	assert.NotContains(t, text, `href="#hurt"`)
}

// Two programs, or two machines, are two targets even under one name.
func TestOneNameTwoTargets(t *testing.T) {
	old, now := sampled(t, "pebble", 6, 1), sampled(t, "pebble", 6, 1.5)
	now.MadeBy.Commit = "fedcba9876543210"
	text := written(t, old, now)
	says(t, text, "pebble/sync (watchbench 0.4.0 01234567 go1.26.8)")
	says(t, text, "pebble/sync (watchbench 0.4.0 fedcba98 go1.26.8)")
	assert.Contains(t, texts(t, text, "h2"), "Which of them?")

	text = written(t, old, sampled(t, "pebble", 6, 1))
	says(t, text, "12 runs of each")
}

// Every chart has a sentence for those who do not see it, and a table.
func TestChartsSpeak(t *testing.T) {
	doc, err := html.Parse(strings.NewReader(written(t, sampled(t, "pebble", 6, 1), sampled(t, "bolt", 6, 2), served(t, 6))))
	require.NoError(t, err)
	charts, tables := 0, 0
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if attr(n, "role") == "img" {
			charts++
			name := attr(n, "aria-label")
			assert.True(t, strings.HasSuffix(name, "."), name)
			assert.Greater(t, len(strings.Fields(name)), 5, name)
			assert.NotContains(t, name, ": .", "says nothing")
		}
		if n.Data == "figure" {
			next := n.NextSibling
			for next != nil && next.Type != html.ElementNode {
				next = next.NextSibling
			}
			require.NotNil(t, next)
			assert.Equal(t, "details", next.Data)
			tables++
		}
	}
	assert.GreaterOrEqual(t, charts, 7)
	assert.Equal(t, 4, tables)
}

var update = flag.Bool("update", false, "rewrite the golden files")

// The structure of a page: landmarks, headings, links, charts and tables by
// their names, in order.
func TestOutline(t *testing.T) {
	for name, page := range map[string]string{
		"compared": written(t, sampled(t, "pebble", 6, 1), sampled(t, "bolt", 6, 1.02), sampled(t, "badger", 6, 1.6), served(t, 6)),
		"single":   written(t, sampled(t, "pebble", 1, 1)),
		"broken":   written(t, brokenResult(t)),
	} {
		got, golden := outline(t, page), filepath.Join("testdata", name+".outline")
		if *update {
			require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
		}
		want, err := os.ReadFile(golden)
		require.NoError(t, err)
		assert.Equal(t, string(want), got, name)
	}
}

// figures depend on how a machine rounds; the outline does not.
var figures = regexp.MustCompile(`\d[\d.,]*[kMG]?( [nµm]?s\b)?`)

func outline(t *testing.T, page string) string {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(page))
	require.NoError(t, err)
	var b strings.Builder
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		switch n.Data {
		case "header", "nav", "main", "footer":
			fmt.Fprintf(&b, "%s\n", n.Data)
		case "section":
			fmt.Fprintf(&b, "section #%s\n", attr(n, "id"))
		case "a":
			fmt.Fprintf(&b, "  link %s %s\n", attr(n, "href"), textOf(n))
		case "h1", "h2", "h3", "caption", "figcaption", "summary", "th", "dt":
			fmt.Fprintf(&b, "  %s %s\n", n.Data, textOf(n))
		case "svg", "div":
			if role := attr(n, "role"); role == "img" || role == "table" {
				fmt.Fprintf(&b, "  %s %s\n", role, figures.ReplaceAllString(attr(n, "aria-label"), "N"))
			}
		}
	}
	return b.String()
}

func textOf(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}
