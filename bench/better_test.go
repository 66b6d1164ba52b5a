package bench

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestEveryMetricHasADirection(t *testing.T) {
	assert.Equal(t, Less, Better("notify.p99_ns"))
	assert.Equal(t, More, Better("catchup.events_per_s"))
	assert.Equal(t, Less, Better("victims_per_s"))
	assert.Equal(t, Neither, Better("catchup.events"))
	for _, name := range MetricNames() {
		if _, listed := betterOf[name]; !listed && !strings.HasSuffix(name, events) && (UnitOf(name) == Plain || UnitOf(name) == Ratio) {
			t.Errorf("%s: its unit does not tell which way is better; add a row to better.go", name)
		}
	}
}
