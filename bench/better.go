package bench

import "strings"

// Direction says which way of a metric is the better one.
type Direction int

// The directions.
const (
	Neither Direction = iota // it depends, or it is the same for all
	Less
	More
)

// betterOf has the metrics whose unit does not tell: times and bytes are
// better when there is less of them, rates when there is more, and how many
// events there were is the same for all.
var betterOf = map[string]Direction{
	"ack_to_event.negative_ratio": Neither,
	"catchup.history_bytes":       Neither,
	"catchup.memory_ratio":        Neither,
	"catchup.index_ratio":         Neither,
	"catchup.scan_ratio":          Neither,
	"replay.passes":               More,
	"replay.watches_done":         More,
	"mixed.deletes_per_s":         Neither,
	"mixed.objects":               Neither,
	"mixed.object_bytes":          Neither,
	"churn.ended":                 Neither,
	"compaction.cuts":             Neither,
	"compaction.told":             Neither,
	"compaction.told_again":       Neither,
	"compaction.others_told":      Less,
	"open.keys":                   Neither,
	"done_ratio":                  More,
	"victims":                     Less,
	"victims_per_s":               Less,
	"victims_ratio":               Less,
	"generator.backlog_ratio":     Less,
	"latency_above_1h":            Less,
	"cpu.cores":                   Less,
	"cpu.busy_ratio":              Less,
	"prevkv.absent":               Neither,
	"put.unanswered":              Less,
	"put.refused":                 Less,
	"server.cpu_cores":            Less,
	"server.slow_watchers_max":    Less,
	"server.fsyncs_per_s":         Neither,
	"commit.puts_per_group":       Neither,
	"measured_ns":                 Neither,
}

// events ends the names of metrics that count them.
const events = ".events"

// Better says which way of a metric is the better one.
func Better(metric string) Direction {
	if d, listed := betterOf[metric]; listed {
		return d
	}
	if strings.HasSuffix(metric, events) {
		return Neither
	}
	switch UnitOf(metric) {
	case Nanoseconds, Bytes:
		return Less
	case PerS, BytesPerS:
		return More
	}
	return Neither
}
