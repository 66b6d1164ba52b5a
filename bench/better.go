package bench

// Direction says which way of a metric is the better one.
type Direction int

// The directions.
const (
	Neither Direction = iota // it depends, or it is the same for all
	Less
	More
)

// betterOf has the metrics whose unit does not tell: times and bytes are
// better when there is less of them, rates when there is more.
var betterOf = map[string]Direction{
	"ack_to_event.negative_ratio": Neither,
	"catchup.events":              Neither,
	"catchup.history_bytes":       Neither,
	"catchup.memory_ratio":        Neither,
	"catchup.index_ratio":         Neither,
	"catchup.scan_ratio":          Neither,
	"replay.passes":               More,
	"replay.watches_done":         More,
	"fanout.events":               Neither,
	"open.keys":                   Neither,
	"done_ratio":                  More,
	"victims":                     Less,
	"victims_per_s":               Less,
	"victims_ratio":               Less,
	"generator.backlog_ratio":     Less,
	"latency_above_1h":            Less,
	"cpu.cores":                   Less,
	"commit.puts_per_group":       Neither,
	"measured_ns":                 Neither,
}

// Better says which way of a metric is the better one.
func Better(metric string) Direction {
	if d, listed := betterOf[metric]; listed {
		return d
	}
	switch UnitOf(metric) {
	case Nanoseconds, Bytes:
		return Less
	case PerS, BytesPerS:
		return More
	}
	return Neither
}
