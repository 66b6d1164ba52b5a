package page_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/watchkv/watchkv/bench"
)

// breaking is a result with a promise that broke and was allowed to.
func breaking(t *testing.T) *bench.Result {
	t.Helper()
	res := sampled(t, "pebble", 6, 1)
	run := &res.Runs[3]
	run.Allowed = []bench.Allowed{{Broken: bench.Broken{Rule: "C7", Name: "started", Detail: "created at revision 12, event at 12", Scenario: run.Scenario}, Watches: 3}}
	run.Promises = append(promises(), bench.Promise{Rule: "C7", Name: "started", Class: "etcd", Verdict: "broken", Checked: 40})
	return res
}

// A promise that broke and was allowed to is broken wherever the page speaks
// of promises.
func TestAllowedBreak(t *testing.T) {
	text := written(t, breaking(t))
	says(t, text, "broken C7, allowed", "BROKEN, as it was allowed to be: C7. Every other guarantee",
		"With one reservation.", "Pebble/sync broke C7 started, which was allowed.", "Created at revision 12, event at 12.",
		"It was broken on 3 watches (slow); they were checked no further.", "those of a watch until it broke what was allowed")
	for _, untrue := range []string{"all kept", "Every guarantee", "nothing was found", "Every event of every watcher"} {
		assert.NotContains(t, text, untrue)
	}
	assert.NotContains(t, text, `<span class="good">broken`)

	text = written(t, sampled(t, "bolt", 6, 2), breaking(t))
	says(t, text, "broken C7, allowed", "BROKEN, as it was allowed to be: C7 on pebble/sync.")
	assert.NotContains(t, text, "all kept")
}

// A verdict is enough, without the record of the break.
func TestAllowedBreakWithoutRecord(t *testing.T) {
	res := breaking(t)
	res.Runs[3].Allowed = nil
	says(t, written(t, res), "broken C7, allowed", "Pebble/sync broke C7 started, which was allowed.")
}
