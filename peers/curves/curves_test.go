package curves_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/peers/curves"
)

// small makes the measurements of a curve short; what they are stays.
func small(c curves.Curve) curves.Curve {
	for i := range c.Lines {
		l := &c.Lines[i]
		l.Xs = l.Xs[:1]
		scenario := l.Scenario
		l.Scenario = func(x float64) bench.Scenario {
			sc := scenario(x)
			sc.Watchers, sc.Streams = min(sc.Watchers, 10), min(sc.Streams, 2)
			sc.History = min(sc.History, 2000)
			sc.Parts = min(sc.Parts, 10)
			sc.Puts = min(sc.Puts, 50)
			sc.Keys = min(sc.Keys, 100)
			if sc.Duration > 0 {
				sc.Warmup, sc.Duration = 50*time.Millisecond, 300*time.Millisecond
			}
			return sc
		}
	}
	return c
}

// Every curve can be measured, kept and drawn.
func TestCurves(t *testing.T) {
	for _, c := range curves.All() {
		t.Run(c.Name, func(t *testing.T) {
			points, err := small(c).Measure(t.Context(), curves.Options{Count: 1, Dir: t.TempDir()})
			require.NoError(t, err)
			require.Len(t, points, len(c.Lines))
			for _, p := range points {
				assert.Greater(t, p.Median, 0.0, p.Line)
				assert.Equal(t, 1, p.Count)
			}
			var data, picture bytes.Buffer
			require.NoError(t, curves.WriteData(&data, points))
			back, err := curves.ReadData(&data)
			require.NoError(t, err)
			require.Len(t, back, len(points))
			for i := range back {
				assert.Equal(t, points[i].Line, back[i].Line)
				assert.InEpsilon(t, points[i].Median, back[i].Median, 1e-4)
			}
			require.NoError(t, c.WritePicture(&picture, back))
			assert.Contains(t, picture.String(), "</svg>")
			for _, line := range c.Lines {
				assert.Contains(t, picture.String(), line.Name, "the legend names every line")
			}
		})
	}
}

func TestNamed(t *testing.T) {
	all, err := curves.Named(nil)
	require.NoError(t, err)
	assert.Len(t, all, len(curves.All()))
	some, err := curves.Named([]string{"lag", "idle"})
	require.NoError(t, err)
	assert.Equal(t, "lag", some[0].Name)
	_, err = curves.Named([]string{"lagg"})
	assert.ErrorContains(t, err, "one of idle concerned lag")
}

func TestReadData_Bad(t *testing.T) {
	for name, text := range map[string]string{
		"empty":        "",
		"another file": "a,b\n1,2\n",
		"not a number": "line,x,median,min,max,count\npebble,ten,1,1,1,1\n",
	} {
		_, err := curves.ReadData(strings.NewReader(text))
		assert.Error(t, err, name)
	}
}

// The pictures in the documentation are of the data beside them.
func TestPublished(t *testing.T) {
	const dir = "../../docs/performance"
	for _, c := range curves.All() {
		data, err := os.ReadFile(filepath.Join(dir, c.Name+".csv"))
		require.NoError(t, err)
		points, err := curves.ReadData(bytes.NewReader(data))
		require.NoError(t, err)
		var drawn bytes.Buffer
		require.NoError(t, c.WritePicture(&drawn, points))
		kept, err := os.ReadFile(filepath.Join(dir, c.Name+".svg"))
		require.NoError(t, err)
		assert.Equal(t, drawn.String(), string(kept), "%s: draw it anew with: go run . curves --draw", c.Name)
	}
}

// A row for each engine and durability, a cell for each column.
func TestWriteMatrix(t *testing.T) {
	cells := []curves.Cell{
		{Engine: "mem", Durability: "sync", Column: "notify p50", Median: 1500, Count: 3},
		{Engine: "mem", Durability: "sync", Column: "disk", Missing: "keeps nothing"},
		{Engine: "bolt", Durability: "sync", Column: "notify p50", Median: 2.5e6, Count: 3},
		{Engine: "bolt", Durability: "sync", Column: "disk", Median: 1 << 20, Count: 3},
	}
	var out strings.Builder
	require.NoError(t, curves.WriteMatrix(&out, cells))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Len(t, lines, 4)
	assert.Equal(t, "| mem | sync | 1.50 µs | - |", lines[2])
	assert.Equal(t, "| bolt | sync | 2.50 ms | 1.00 MiB |", lines[3])
}
