package page

import (
	"fmt"

	"github.com/watchkv/watchkv/bench/stat"
)

// spread is the larger arm of a median's 95% interval, as a share of it; empty
// without an interval.
func spread(s stat.Summary) string {
	ratio, ok := s.Spread()
	switch {
	case !ok:
		return ""
	case ratio > 1:
		return "±>100%"
	}
	return fmt.Sprintf("±%.0f%%", 100*ratio)
}

// pText is the p of a change; empty with too few runs for one.
func pText(c stat.Change) string {
	switch {
	case c.Few() || c.Verdict == stat.Unknown:
		return ""
	case c.P < 0.001:
		return "p<0.001"
	case c.P < 0.0095:
		return fmt.Sprintf("p=%.3f", c.P)
	}
	return fmt.Sprintf("p=%.2f", c.P)
}
