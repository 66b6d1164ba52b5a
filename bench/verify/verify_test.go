package verify_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend/engines"
	"github.com/watchkv/watchkv/bench/verify"
	"github.com/watchkv/watchkv/mvcc"
)

// Nothing is broken on watchkv, whatever the engine.
func TestRun_EmbeddedKeepsEverything(t *testing.T) {
	for _, driver := range engines.All() {
		t.Run(driver.Name, func(t *testing.T) {
			subject, err := verify.Embedded(driver, mvcc.Relaxed(10*time.Millisecond), t.TempDir())
			require.NoError(t, err)
			report, err := verify.Run(t.Context(), subject, verify.Options{Began: func(p string) { t.Log(time.Now().Format("05.000"), p) }})
			require.NoError(t, err)
			require.NoError(t, report.CleanUp)
			require.NoError(t, subject.Close())
			show(t, report)
			assert.Empty(t, report.Of(verify.Broken))
		})
	}
}

// show logs a report.
func show(t *testing.T, report *verify.Report) {
	for _, v := range report.Verdicts {
		t.Logf("%-20s %-12s %6d %s", v.Rule, v.Outcome, v.Times, v.Reason)
		if v.Break != nil {
			t.Logf("  %s, %d times", v.Break.Detail, v.Break.Times)
			for _, l := range v.Break.Record {
				t.Logf("    %v %-9s %s   %s", l.Mark, l.What, l.Text, l.Note)
			}
		}
	}
	t.Log(report.Took)
}
