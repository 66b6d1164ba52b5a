package bench

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// A curve that becomes too long keeps its begin and what is evenly spread.
func TestCurveThins(t *testing.T) {
	var c Curve
	for i := range 7 {
		c.add(time.Duration(i), int64(10*i), i)
	}
	c.thin()
	assert.Equal(t, Curve{At: []time.Duration{0, 2, 4, 6}, Events: []int64{0, 20, 40, 60}, Synced: []int{0, 2, 4, 6}}, c)
}
