package live

import (
	"fmt"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/figure"
)

func (v view) notify() string {
	t := v.s.Tick
	if !v.s.Begun || t.P99 < 0 {
		why := "n/a: no event of a timed put in the last second"
		if v.s.Tick.Stage == bench.StageFilling {
			why = "n/a: nobody watches while the history is written"
		} else if sc := v.scenario(); v.s.Begun && sc.RatePerS == 0 && !sc.FullSpeed {
			why = "n/a: nothing is put while history is read"
		}
		return line(v.width, " "+v.bold("NOTIFY")+"   "+v.dim(why), "")
	}
	cell := func(name, value string) string { return fmt.Sprintf("%s %-11s", name, value) }
	left := " " + v.bold("NOTIFY") + "   " + cell("p50", latency(t.P50)) + cell("p99", latency(t.P99)) + cell("max", latency(t.Max))
	return line(v.width, left, v.dim("intended put to event"))
}

// puts is the rate, and a line for what is wrong with it.
func (v view) puts() []string {
	t, sc := v.s.Tick, v.scenario()
	name := " " + v.bold("PUTS") + "     "
	switch {
	case !v.s.Begun:
		return []string{name, ""}
	case t.Stage == bench.StageFilling:
		return []string{name + figure.Rate(t.Puts) + "/s into the history", ""}
	case sc.RatePerS == 0 && !sc.FullSpeed:
		return []string{name + v.dim("none are planned"), ""}
	}
	late := ""
	if t.Late >= 0 {
		late = "late p99 " + roughly(t.Late)
	}
	if t.Intended == 0 {
		return []string{line(v.width, name+fmt.Sprintf("intended full speed    achieved %s/s", figure.Rate(t.Puts)), late), ""}
	}
	reached := t.Puts / t.Intended
	text := name + fmt.Sprintf("intended %-12sachieved %-10s", figure.Rate(t.Intended)+"/s", figure.Rate(t.Puts)+"/s")
	if v.width >= barsWidth {
		text += fmt.Sprintf("%-26s ", bar(min(reached, 1), 26))
	}
	text += figure.Percent(float64(int(reached*100+0.5)) / 100)
	return []string{line(v.width, text, late), v.warning()}
}

// warning says in one line what is wrong with the second.
func (v view) warning() string {
	t := v.s.Tick
	var texts []string
	for _, r := range marks(t) {
		switch {
		case r.kind == "rate" && t.Into >= 2*time.Second: // before, it has only begun
			texts = append(texts, "rate missed")
		case r.kind == "late":
			texts = append(texts, fmt.Sprintf("generator late by %s, %s of p99", roughly(t.Late), figure.Percent(float64(t.Late)/float64(t.P99))))
		}
	}
	if len(texts) == 0 {
		return ""
	}
	return "          " + v.yellow("! "+strings.Join(texts, "; "))
}

const watcherBar = 36

// watchers are the watches by state, what they get and how far behind they
// are.
func (v view) watchers() []string {
	t := v.s.Tick
	head := " " + v.bold("WATCHERS")
	if !v.s.Begun || t.Stage == bench.StageFilling {
		return []string{head + v.dim("  none yet"), "", "", "", ""}
	}
	if t.Synced < 0 {
		return v.watchersOfServer(head)
	}
	total := max(1, t.Synced+t.Unsynced+t.Victims)
	catchUp := t.CatchUp[0] + t.CatchUp[1] + t.CatchUp[2]
	row := func(name string, n int, events float64, behind int64) string {
		text := fmt.Sprintf("   %-9s%7s  ", name, figure.Count(int64(n)))
		if v.width >= barsWidth {
			text += fmt.Sprintf("%-*s ", watcherBar, bar(float64(n)/float64(total), watcherBar))
		}
		text += fmt.Sprintf("%8s   ", figure.Rate(events))
		if n == 0 {
			return text
		}
		if behind == 1 {
			return text + "1 revision"
		}
		return text + figure.Count(behind) + " revisions"
	}
	return []string{
		v.watchersHead(head),
		row("synced", t.Synced, t.Live, t.SyncedBehind),
		row("unsynced", t.Unsynced, catchUp, t.UnsyncedBehind),
		row("victim", t.Victims, 0, t.VictimBehind),
		v.ways(),
	}
}

func (v view) watchersHead(head string) string {
	gap := len("   synced  ") + 7 - len(" WATCHERS") + 1
	if v.width >= barsWidth {
		gap += watcherBar + 1
	}
	return head + v.dim(strings.Repeat(" ", gap)+fmt.Sprintf("%8s   behind", "events/s"))
}

// watchersOfServer are all watches together, and what the server tells.
func (v view) watchersOfServer(head string) []string {
	t := v.s.Tick
	all := fmt.Sprintf("   %-9s%7s  ", "all", figure.Count(int64(v.scenario().Watchers)))
	if v.width >= barsWidth {
		all += strings.Repeat(" ", watcherBar+1)
	}
	state := v.dim("by state, behind n/a: a server does not show the states of its watches")
	server := v.dim("server CPU, memory n/a: no --server-pid and no --server-metrics")
	if u := t.Server; u != nil {
		if u.SlowWatchers >= 0 {
			state = fmt.Sprintf("slow     %7s  ", figure.Count(u.SlowWatchers)) + v.dim("not synced, by etcd's own gauge")
		}
		cpu, memory := "n/a", "n/a"
		if u.CPU >= 0 {
			cpu = fmt.Sprintf("%.1f cores", u.CPU)
		}
		if u.MemoryBytes >= 0 {
			memory = figure.Bytes(u.MemoryBytes)
		}
		server = fmt.Sprintf("server CPU %s   memory %s", cpu, memory)
	}
	return []string{
		v.watchersHead(head),
		all + fmt.Sprintf("%8s   n/a", figure.Rate(t.Events)),
		"   " + state,
		"   " + v.dim("victims so far, catch-up by way n/a: not visible from outside"),
		"   " + server,
	}
}

// ways says how catch-up reads.
func (v view) ways() string {
	t := v.s.Tick
	text := fmt.Sprintf("   victims so far %-12scatch-up  memory %s   index %s   scan %s events/s",
		figure.Count(t.VictimsSoFar), figure.Rate(t.CatchUp[0]), figure.Rate(t.CatchUp[1]), figure.Rate(t.CatchUp[2]))
	if len(text) > v.width {
		return "   " + strings.Join(strings.Fields(text), " ")
	}
	return text
}

func (v view) promises() string {
	name := " " + v.bold("PROMISES") + " "
	switch t := v.s.Tick; {
	case !v.s.Begun:
		return name
	case t.Checked == 0 && len(v.s.Broken) == 0:
		return name + v.dim("nothing to check yet")
	case t.Checked < 0:
		return name + v.yellow("not checked: the checker is left out")
	default:
		verdict := "all kept so far"
		if len(v.s.Broken) > 0 {
			verdict = v.red("BROKEN") + " " + strings.Join(v.s.Broken, ", ")
		}
		return name + verdict + fmt.Sprintf(", %s events checked", figure.Count(t.Checked))
	}
}

// machine is what the process uses.
func (v view) machine() string {
	t := v.s.Tick
	if !v.s.Begun {
		return ""
	}
	cpu, disk, memory := "n/a on this system", "n/a on this system", figure.Bytes(t.MemoryBytes)
	if t.CPU >= 0 {
		cpu = fmt.Sprintf("%.1f of %d cores", t.CPU, v.s.Run.Cores)
	}
	if t.DiskBytesPerS >= 0 {
		disk = figure.Plain(t.DiskBytesPerS/1e6) + " MB/s"
	}
	if t.OutboxBytes >= 0 && t.Stage != bench.StageFilling {
		memory += fmt.Sprintf(" (outboxes %s)", figure.Bytes(t.OutboxBytes))
	}
	errors := fmt.Sprintf("errors %d", t.Errors)
	if t.Errors > 0 {
		errors = v.red(errors)
	}
	if v.s.Run.Target.Server() {
		return fmt.Sprintf(" this client: CPU %s   memory %s   %s", cpu, memory, errors)
	}
	text := fmt.Sprintf(" CPU %s   memory %s   disk %s   ", cpu, memory, disk)
	if ansi.StringWidth(text+errors) > v.width {
		return line(v.width, strings.ReplaceAll(text, "   ", "  "), errors)
	}
	return text + errors
}
