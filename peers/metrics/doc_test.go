package metrics_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// document is what docs/metrics.md says of etcd's names: the reason by name.
type document struct {
	absent map[string]string   // not here
	unlike map[string]string   // here, with another value
	points map[string][]string // the labels for which it has another value
}

// readDoc reads the tables under the two headings.
func readDoc(t *testing.T) document {
	text, err := os.ReadFile("../../docs/metrics.md")
	require.NoError(t, err)
	d := document{absent: map[string]string{}, unlike: map[string]string{}, points: map[string][]string{}}
	into := map[string]map[string]string{"## Not here": d.absent, "## Other values": d.unlike}
	var table map[string]string
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "## ") {
			table = into[line]
			continue
		}
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if table == nil || len(cells) != 2 || !strings.HasPrefix(cells[0], "`") {
			continue
		}
		for name := range strings.SplitSeq(cells[0], ", ") {
			name, label, labelled := strings.Cut(strings.Trim(name, "`}"), "{")
			if labelled {
				d.points[name] = append(d.points[name], label)
				continue
			}
			require.NotContains(t, table, name)
			require.NotEmpty(t, cells[1])
			table[name] = cells[1]
		}
	}
	require.NotEmpty(t, d.absent)
	require.NotEmpty(t, d.unlike)
	return d
}
