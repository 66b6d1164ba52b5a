// Package gate judges results by what somebody demands of them: for CI, that a
// figure is not worse than in an older result or within a limit; for a search
// of the largest load, that it is within a limit.
//
// [Parse] reads a demand, [Judge] applies several to two results,
// [Differences] says why two results should not be held against each other.
package gate

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/figure"
)

// Demand is what a gate demands of a figure.
type Demand int

// The demands.
const (
	MayGrow Demand = iota // by Limit, a share of the old figure
	MayFall               // by Limit, a share of the old figure
	Below                 // Limit, in the metric's own unit
	Above
)

// Gate is one demand of one metric: "notify.p99 +10%", "put.max<250ms".
type Gate struct {
	bench.Selector
	Demand
	Limit float64
}

// relative is a metric, a sign and percents. A name may have a sign inside:
// "notify/one-key.p99".
var relative = regexp.MustCompile(`^(.*?)\s*([+-])\s*([^\s%+-]*)\s*%$`)

// errForm is what a text is told that has no demand in it.
var errForm = errors.New("not a gate; write 'notify.p99 +10%', 'catchup.events_per_s -5%' or 'put.max<250ms'")

// Parse reads a gate. An unknown metric is a *bench.SelectorError; other
// errors are for people and say what is allowed.
func Parse(text string) (Gate, error) {
	text = strings.TrimSpace(text)
	if strings.ContainsAny(text, "<>") {
		return ParseObjective(text)
	}
	parts := relative.FindStringSubmatch(text)
	if parts == nil {
		if _, err := bench.ParseSelector(text); err == nil {
			return Gate{}, fmt.Errorf("a demand is missing; write '%s +10%%', '%s -10%%', or a limit behind < or >", text, text)
		}
		return Gate{}, errForm
	}
	g := Gate{Demand: MayGrow}
	if parts[2] == "-" {
		g.Demand = MayFall
	}
	var err error
	if g.Selector, err = bench.ParseSelector(parts[1]); err != nil {
		return Gate{}, err
	}
	percent, err := strconv.ParseFloat(parts[3], 64)
	switch {
	case err != nil || math.IsNaN(percent) || math.IsInf(percent, 0) || strings.ContainsAny(parts[3], "xXpP_eE"):
		return Gate{}, fmt.Errorf("%q is no number of percents; write +10%% or -5%%", parts[3])
	case g.Demand == MayFall && percent >= 100:
		return Gate{}, fmt.Errorf("nothing falls by more than 100%%; write less, or a limit: %s>0", g.Selector)
	}
	g.Limit = percent / 100
	return g, nil
}

// ParseObjective reads a gate that is a limit: a metric below or above a value.
func ParseObjective(text string) (g Gate, err error) {
	at := strings.IndexAny(text, "<>")
	if at < 0 {
		return g, errors.New("not an objective; write 'notify.p99<20ms' or 'catchup.events_per_s>1M'")
	}
	g.Demand = Below
	if text[at] == '>' {
		g.Demand = Above
	}
	value := strings.TrimSpace(text[at+1:])
	if g.Selector, err = bench.ParseSelector(strings.TrimSpace(text[:at])); err != nil {
		return Gate{}, err
	}
	if strings.HasPrefix(value, "=") {
		return Gate{}, errors.New("there is only < and >; figures are never that equal")
	}
	if value == "" {
		return Gate{}, fmt.Errorf("a value is missing after %c", text[at])
	}
	if g.Limit, err = bench.UnitOf(g.Metric).Parse(value); err != nil {
		return Gate{}, fmt.Errorf("%q: %w", value, err)
	}
	return g, nil
}

// Limited tells whether a figure is within a gate's limit; a relative gate has
// none.
func (g Gate) Limited(v float64) bool {
	switch g.Demand {
	case Below:
		return v < g.Limit
	case Above:
		return v > g.Limit
	}
	return true
}

// Allowed writes the demand alone: "+10%", "<250ms".
func (g Gate) Allowed() string {
	switch g.Demand {
	case MayGrow:
		return "+" + percent(g.Limit)
	case MayFall:
		return "-" + percent(g.Limit)
	case Below:
		return "<" + strings.ReplaceAll(g.Value(), " ", "")
	}
	return ">" + strings.ReplaceAll(g.Value(), " ", "")
}

// String writes the gate so that Parse reads it.
func (g Gate) String() string {
	switch g.Demand {
	case MayGrow, MayFall:
		sign := map[Demand]string{MayGrow: "+", MayFall: "-"}[g.Demand]
		return g.Selector.String() + " " + sign + strconv.FormatFloat(100*g.Limit, 'f', -1, 64) + "%"
	}
	return g.Selector.String() + g.Allowed()
}

// Value is a limit as people write it: "20 ms".
func (g Gate) Value() string {
	text := bench.UnitOf(g.Metric).Format(g.Limit)
	number := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyzµABCDEFGHIJKLMNOPQRSTUVWXYZ/% ")
	if unit := text[len(number):]; strings.Contains(number, ".") {
		return strings.TrimRight(strings.TrimRight(number, "0"), ".") + unit
	}
	return text
}

// percent writes a share in as many digits as it was given with, nearly.
func percent(share float64) string {
	if p := 100 * share; p >= 10_000 {
		return figure.Plain(p) + "%"
	}
	return strconv.FormatFloat(math.Round(1e4*100*share)/1e4, 'f', -1, 64) + "%"
}
