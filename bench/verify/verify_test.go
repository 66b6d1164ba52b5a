package verify_test

import (
	"strings"
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
			report, err := verify.Run(t.Context(), subject, verify.Options{})
			require.NoError(t, err)
			require.Empty(t, report.Left)
			require.NoError(t, subject.Close())
			show(t, report)
			assert.Empty(t, report.Of(verify.Broken))
		})
	}
}

// show logs a report.
func show(t *testing.T, report *verify.Report) {
	var text strings.Builder
	require.NoError(t, verify.Text(&text, report, verify.TextOptions{Allow: "--allow-broken"}))
	t.Log("\n" + text.String())
}
