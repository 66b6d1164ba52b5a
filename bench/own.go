package bench

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/watchkv/watchkv/bench/figure"
)

// Own are settings that one scenario has, or two; zero stands for the default.
// They have no flags: a scenario file sets them.
type Own struct {
	StalledStreams int           // slow
	Stall          time.Duration // slow
	Bystanders     int           // interference, storm
	Quiet          time.Duration // interference, churn
	Visitors       int           // churn
	ChurnPerS      float64       // churn
	Behind         int           // compaction
	Cuts           int           // compaction
}

// ownSetting is one field of Own.
type ownSetting struct {
	name      string
	scenarios []string
	given     string // "" if it is the default
	low, top  float64
	value     float64
	unit      func(float64) string
}

func (o Own) settings(sc Scenario) []ownSetting {
	count := func(v float64) string { return figure.Count(int64(v)) }
	length := func(v float64) string { return figure.Short(time.Duration(v)) }
	all := []ownSetting{
		{name: "stalled-streams", scenarios: []string{Slow}, low: 1, top: float64(sc.Streams), value: float64(o.StalledStreams), unit: count},
		{name: "stall", scenarios: []string{Slow}, low: float64(time.Millisecond), top: float64(sc.Duration) * .9, value: float64(o.Stall), unit: length},
		{name: "bystanders", scenarios: []string{Interference, Storm}, low: 1, top: float64(sc.Keys), value: float64(o.Bystanders), unit: count},
		{name: "quiet", scenarios: []string{Interference, Churn}, low: float64(time.Millisecond), top: float64(sc.Duration) * .9, value: float64(o.Quiet), unit: length},
		{name: "visitors", scenarios: []string{Churn}, low: 1, top: 1e6, value: float64(o.Visitors), unit: count},
		{name: "churn-rate", scenarios: []string{Churn}, low: 0.01, top: 1e6, value: o.ChurnPerS, unit: figure.Rate},
		{name: "behind", scenarios: []string{Compaction}, low: 1, top: 1e6, value: float64(o.Behind), unit: count},
		{name: "cuts", scenarios: []string{Compaction}, low: 1, top: 1000, value: float64(o.Cuts), unit: count},
	}
	for i := range all {
		if all[i].value != 0 {
			all[i].given = all[i].unit(all[i].value)
		}
	}
	return all
}

// apply sets what was given, once everything else is.
func (o Own) apply(sc *Scenario) error {
	for _, s := range o.settings(*sc) {
		switch {
		case s.given == "":
		case !slices.Contains(s.scenarios, sc.Name):
			return &SettingError{s.name, s.given, sc.Name + " has no use for it, only " + strings.Join(s.scenarios, " and ") + "; leave it out"}
		case s.value < s.low || s.value > s.top:
			return &SettingError{s.name, s.given, fmt.Sprintf("from %s to %s is possible", s.unit(s.low), s.unit(s.top))}
		}
	}
	sc.StalledStreams = either(o.StalledStreams, sc.StalledStreams)
	sc.Stall = either(o.Stall, sc.Stall)
	sc.Bystanders = either(o.Bystanders, sc.Bystanders)
	sc.Quiet = either(o.Quiet, sc.Quiet)
	sc.Visitors = either(o.Visitors, sc.Visitors)
	sc.ChurnPerS = either(o.ChurnPerS, sc.ChurnPerS)
	sc.Behind = either(o.Behind, sc.Behind)
	sc.Cuts = either(o.Cuts, sc.Cuts)
	return nil
}
