package page_test

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/bench"
)

//go:embed testdata/look.js
var lookScript string

// browser is one headless Chromium with one tab.
type browser struct {
	tab context.Context

	mu    sync.Mutex // guards heard
	heard []string   // requests, console messages and violations since the last look
}

// openBrowser starts what is installed of Chromium. Where there is none the
// test is skipped; CI installs it and takes a skipped test for a failed one.
func openBrowser(t *testing.T) *browser {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Skip("SKIP: no chromium on the path; the page is not looked at in a browser")
	}
	options := append([]chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-component-update", true), chromedp.WSURLReadTimeout(time.Minute),
	}, chromedp.DefaultExecAllocatorOptions[:]...)
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	allocated, free := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(free)
	tab, done := chromedp.NewContext(allocated)
	t.Cleanup(done)
	b := &browser{tab: tab}
	require.NoError(t, chromedp.Do(tab))
	require.NoError(t, chromedp.Listen(tab, b.listen))
	_, err := chromedp.Call(tab, network.Enable, network.EnableParams{})
	require.NoError(t, err)
	_, err = chromedp.Call(tab, log.Enable, cdp.Empty{})
	require.NoError(t, err)
	_, err = chromedp.Call(tab, runtime.Enable, cdp.Empty{})
	require.NoError(t, err)
	return b
}

func (b *browser) listen(event any) {
	text := ""
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if !strings.HasPrefix(e.Request.URL, "file:") || e.Type != network.ResourceTypeDocument {
			text = "request " + e.Request.URL
		}
	case *log.EventEntryAdded:
		text = "log " + e.Entry.Text
	case *runtime.EventConsoleAPICalled:
		text = fmt.Sprintf("console %s", e.Type)
	case *runtime.EventExceptionThrown:
		text = "exception " + e.ExceptionDetails.Text
	}
	if text != "" {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.heard = append(b.heard, text)
	}
}

// looked is what the script found.
type looked struct {
	Faults []string `json:"faults"`
	Dark   bool     `json:"dark"`
	Texts  int      `json:"texts"`
}

// look opens a page at a width and in a colour scheme.
func (b *browser) look(t *testing.T, page string, width int64, scheme string) looked {
	t.Helper()
	file := filepath.Join(t.TempDir(), "page.html")
	require.NoError(t, os.WriteFile(file, []byte(page), 0o644))
	b.mu.Lock()
	b.heard = nil
	b.mu.Unlock()
	_, err := chromedp.Call(b.tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	require.NoError(t, err)
	require.NoError(t, chromedp.Do(b.tab, chromedp.EmulateViewport(width, 900), chromedp.Navigate("file://"+filepath.ToSlash(file))))
	seen, err := chromedp.Run(b.tab, chromedp.Evaluate[looked](lookScript))
	require.NoError(t, err)
	b.mu.Lock()
	defer b.mu.Unlock()
	seen.Faults = append(seen.Faults, b.heard...)
	return seen
}

func TestPageInABrowser(t *testing.T) {
	b := openBrowser(t)
	long := sampled(t, "pebble", 1, 1)
	long.Target.Engine = "an-engine-with-a-very-long-name-that-somebody-gave-it"
	long.Command = []string{"watchbench", "run", strings.Repeat("--a-flag-without-end", 20)}
	failed := sampled(t, "badger", 1, 40)
	failed.Complete, failed.Failed, failed.Runs = false, "target died: "+strings.Repeat("x", 200), failed.Runs[:3]
	for _, c := range []struct {
		name string
		page string
	}{
		{"four targets", written(t, sampled(t, "pebble", 6, 1), sampled(t, "bolt", 6, 1.02), sampled(t, "badger", 6, 1.6), served(t, 6))},
		{"one target", written(t, sampled(t, "mem", 1, 1))},
		{"two of one engine", written(t, sampled(t, "bolt", 2, 1), relaxed(t))},
		{"broken", written(t, brokenResult(t))},
		{"broken beside others", written(t, sampled(t, "pebble", 1, 1), brokenResult(t), failed)},
		{"long names", written(t, long, sampled(t, "pebble", 1, 90))},
	} {
		for _, width := range []int64{390, 1280} {
			for _, scheme := range []string{"light", "dark"} {
				seen := b.look(t, c.page, width, scheme)
				what := fmt.Sprintf("%s, %d px, %s", c.name, width, scheme)
				assert.Empty(t, seen.Faults, what)
				assert.Equal(t, scheme == "dark", seen.Dark, what)
				assert.Greater(t, seen.Texts, 50, what)
			}
		}
	}
}

func relaxed(t *testing.T) *bench.Result {
	t.Helper()
	res := sampled(t, "bolt", 2, 0.3)
	res.Target.Durability = "relaxed:100ms"
	return res
}

// What the look is for, it finds.
func TestLookFindsFaults(t *testing.T) {
	b := openBrowser(t)
	whole := written(t, sampled(t, "pebble", 1, 1))
	for name, spoil := range map[string]struct{ old, new, want string }{
		"too wide":          {"</main>", `<p style="width:3000px">wide</p></main>`, "px wide on"},
		"outside":           {"</main>", `<p style="position:fixed;left:-40px">outside</p></main>`, "outside the screen"},
		"cut off":           {"</main>", `<p style="width:30px;overflow:hidden;white-space:nowrap">cut off here</p></main>`, "cut off"},
		"pale":              {"--ink:#1B1F23", "--ink:#aaa", "contrast"},
		"overlap":           {".xt{position:absolute;", ".xt{position:absolute;margin-left:0;left:10px!important;", "overlap"},
		"two headings":      {"</main>", "<h1>Again</h1></main>", "not one h1"},
		"no table":          {"<details>", "<div>", "without a table"},
		"request":           {"</main>", `<img src="http://127.0.0.1:9/x.png"></main>`, "127.0.0.1"},
		"script":            {"</main>", "<script>1</script></main>", "log "},
		"link":              {`href="#words"`, `href="#nowhere"`, "nowhere"},
		"chart has no name": {`role="img" aria-label="`, `role="img" data-x="`, "without a name"},
	} {
		page := strings.ReplaceAll(whole, spoil.old, spoil.new)
		require.NotEqual(t, whole, page, name)
		seen := b.look(t, page, 390, "light")
		assert.Contains(t, strings.Join(seen.Faults, "\n"), spoil.want, name)
	}
}
