package watch

// plan is the way chosen for a seat whose history is not in memory, kept
// until it is synced; only from the index to the scan it may still change.
// The zero value is not chosen yet.
type plan struct {
	chosen bool
	way    Way
	demand     // by the index: what is left
	turns  int // steps that served it by the index
}

// costs are what reading costs on the engine in use, in nanoseconds.
type costs struct {
	entry float64 // an entry of a scan
	get   float64 // a point read
}

// lookKey is what it costs, in nanoseconds, to look at one key of the index
// for the revisions it has.
const lookKey = 100

// demand is what one seat needs from history.
type demand struct {
	matches int  // revisions that match it
	exact   bool // false: there are more, the count was cut
}

// choose picks the way for a cohort as a whole: point reads for all if they
// cost less than one scan over entries that serves everybody. One seat whose
// matches could not be counted within the cost of the scan decides for it.
func choose(c costs, entries int64, demands []demand) Way {
	scan := c.entry * float64(entries)
	gets := 0.0
	for _, d := range demands {
		if !d.exact {
			return WayScan
		}
		gets += c.get*float64(d.matches) + lookKey
		if gets > scan {
			return WayScan
		}
	}
	return WayIndex
}

// bounds are how far counting the matches of one seat may go: beyond either,
// a scan of entries is cheaper than what the index would have to do.
func bounds(c costs, entries int64) (maxKeys, maxMatches int) {
	scan := c.entry * float64(entries)
	return int(scan/lookKey) + 1, int(scan/c.get) + 1
}
