package page

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/html"

	"github.com/watchkv/watchkv/bench"
)

// File is a result file inside a page.
type File struct {
	Name string // without folders
	JSON []byte // as the file was
}

// ErrNoResults: a page holds no result files.
var ErrNoResults = errors.New("no result files inside; is it a page of watchbench report --html?")

// enclosure is how a page holds the files.
type enclosure struct {
	Schema string     `json:"schema"`
	Files  []enclosed `json:"files"`
}

type enclosed struct {
	Name string `json:"name"`
	Data string `json:"gzip_base64"`
}

const (
	enclosureSchema = "watchbench.page/1"
	enclosureID     = "results"

	// largestFile bounds what a page may unpack to.
	largestFile = 1 << 30
)

// enclose packs results for the page.
func enclose(names []string, results []*bench.Result) ([]byte, error) {
	all := enclosure{Schema: enclosureSchema, Files: []enclosed{}}
	for i, res := range results {
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		if err := errors.Join(res.WriteJSON(z), z.Close()); err != nil {
			return nil, fmt.Errorf("page: pack %s: %w", names[i], err)
		}
		all.Files = append(all.Files, enclosed{names[i], base64.StdEncoding.EncodeToString(packed.Bytes())})
	}
	text, err := json.Marshal(all)
	if err != nil {
		return nil, fmt.Errorf("page: pack: %w", err)
	}
	return text, nil
}

// maxData is how much of the 2 MB of a page its results may take.
const maxData = 2_000_000 - 120_000

// enclosedSmall packs results; where they take more than maxData, their series
// are thinned to maxPoints.
func enclosedSmall(names []string, results []*bench.Result) (data []byte, thinner bool, err error) {
	data, err = enclose(names, results)
	if err != nil || len(data) <= maxData {
		return data, false, err
	}
	small := make([]*bench.Result, len(results))
	for i, res := range results {
		var changed bool
		small[i], changed = withThinSeries(res)
		thinner = thinner || changed
	}
	if !thinner {
		return data, false, nil
	}
	data, err = enclose(names, small)
	return data, true, err
}

// withThinSeries is a copy of a result whose series have at most maxPoints.
// It is the result itself if they have no more.
func withThinSeries(res *bench.Result) (_ *bench.Result, changed bool) {
	thin := *res
	thin.Runs = slices.Clone(res.Runs)
	for i := range thin.Runs {
		run := &thin.Runs[i]
		if run.Series == nil || len(run.Series.NotifyP99) <= maxPoints {
			continue
		}
		s := *run.Series
		s.Interval = s.Interval * time.Duration(len(s.NotifyP99)) / maxPoints
		s.PutsPerS, s.EventsPerS, s.VictimsPerS = thinSeries(s.PutsPerS), thinSeries(s.EventsPerS), thinSeries(s.VictimsPerS)
		s.NotifyP50, s.NotifyP99, s.NotifyMax = thinSeries(s.NotifyP50), thinSeries(s.NotifyP99), thinSeries(s.NotifyMax)
		s.LateP99, s.HeapBytes = thinSeries(s.LateP99), thinSeries(s.HeapBytes)
		s.VictimWatchers, s.UnsyncedWatcher = thinSeries(s.VictimWatchers), thinSeries(s.UnsyncedWatcher)
		run.Series, changed = &s, true
	}
	if !changed {
		return res, false
	}
	return &thin, true
}

// thinSeries keeps the smallest and the largest of each stretch, in their
// order, so that the points stay evenly spread.
func thinSeries[T int | int64 | float64](series []T) []T {
	n := len(series)
	if n <= maxPoints {
		return series
	}
	const stretches = maxPoints / 2
	thin := make([]T, 0, maxPoints)
	for k := range stretches {
		low, high := k*n/stretches, k*n/stretches
		for i := low; i < (k+1)*n/stretches; i++ {
			if series[i] < series[low] {
				low = i
			}
			if series[i] > series[high] {
				high = i
			}
		}
		thin = append(thin, series[min(low, high)], series[max(low, high)])
	}
	return thin
}

// Extract gets the result files out of a page that Write made. A page without
// any is ErrNoResults. The names have no folders, whatever the page says, and
// stand once each.
func Extract(r io.Reader) ([]File, error) {
	text, err := enclosedText(r)
	if err != nil {
		return nil, err
	}
	var all enclosure
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return nil, fmt.Errorf("page: its results cannot be read: %w", err)
	}
	if all.Schema != enclosureSchema {
		return nil, fmt.Errorf("page: schema %q of its results is not known here (%s)", all.Schema, enclosureSchema)
	}
	files := make([]File, 0, len(all.Files))
	for i, f := range all.Files {
		data, err := unpack(f.Data)
		if err != nil {
			return nil, fmt.Errorf("page: %s: %w", f.Name, err)
		}
		files = append(files, File{Name: safeName(f.Name, i), JSON: data})
	}
	unique(len(files), func(i int) *string { return &files[i].Name })
	return files, nil
}

func unpack(data string) ([]byte, error) {
	z, err := gzip.NewReader(base64.NewDecoder(base64.StdEncoding, strings.NewReader(data)))
	if err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	out, err := io.ReadAll(io.LimitReader(z, largestFile+1))
	if err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	if len(out) > largestFile {
		return nil, fmt.Errorf("unpack: more than %d bytes", largestFile)
	}
	return out, nil
}

// enclosedText finds the script element that holds the results.
func enclosedText(r io.Reader) (string, error) {
	z := html.NewTokenizer(r)
	for {
		switch z.Next() {
		case html.ErrorToken:
			if err := z.Err(); !errors.Is(err, io.EOF) {
				return "", fmt.Errorf("page: read: %w", err)
			}
			return "", fmt.Errorf("page: %w", ErrNoResults)
		case html.StartTagToken:
			token := z.Token()
			if token.Data != "script" || !hasID(token, enclosureID) {
				continue
			}
			if z.Next() != html.TextToken {
				return "", fmt.Errorf("page: %w", ErrNoResults)
			}
			return string(z.Raw()), nil
		}
	}
}

func hasID(t html.Token, id string) bool {
	for _, a := range t.Attr {
		if a.Key == "id" && a.Val == id {
			return true
		}
	}
	return false
}

// safeName is a name that can be written into a folder.
func safeName(name string, i int) string {
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	var b strings.Builder
	for _, r := range name {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' || r == '_' {
			b.WriteRune(r)
		} else {
			b.WriteByte('_')
		}
	}
	name = strings.TrimLeft(b.String(), ".")
	if name == "" {
		return fmt.Sprintf("result-%d.json", i+1)
	}
	return name
}
