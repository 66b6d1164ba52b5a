// Package bench measures how fast, and how faithfully, a store tells its
// watchers. It is the library under the command watchbench.
//
// # Types
//
//   - [Settings] is what somebody asks for, [Plan] the same with every default
//     filled in: a list of [Scenario]. The workload follows from the plan alone.
//   - [Kind] opens stores, [Target] and [Stream] are an open one and a
//     consumer of it. [Embedded] is the kind of an engine in this process.
//   - [Measure] takes a plan and gives a [Result], which is written as JSON;
//     [Report] is a view of it for people.
//   - A server that others use too is a Kind of package bench/etcd. Its targets
//     are [Prefixed]: they write under a prefix and nowhere else.
//
// # The life of a measurement
//
// Each scenario opens a store of its own. Its watches are dealt out to
// streams; each stream has a consumer, a goroutine that receives, gives every
// response to the checker of its watch and reads the clock. Puts come from
// writers that share an open-loop schedule ([Pacer]): put n is due at a time
// that nothing can delay. The due time travels in the head of the value, so
// that the consumer knows it at once; values too short for it are timed by
// their revision once the put is answered. At the end every stream is asked to
// confirm that it delivered everything, then the checkers give their verdict.
//
// # What the figures mean
//
//   - Notify latency runs from the time a put was due to the moment the
//     consumer has the event. It is never corrected and never clamped.
//   - An event is delivered when the consumer has read its key, revision and
//     value length for that watch. Events per second count that, per watch.
//   - From answer to event may be negative: watchers may know first. Both
//     sides of zero are kept.
//   - The phase of a latency is that of its due time, so that what a stall
//     delays is charged to the stall.
//   - Memory and processor time are those of this process: the generator and
//     the checker are in them.
//
// A run that breaks a promise has no figures: see [Broken].
//
// # Goroutines
//
// All are started and awaited inside Measure.
//
//	consumer   one a stream      wakes on responses         ends with the scenario
//	writer     Scenario.Writers  wakes when a put is due    ends with the load
//	sampler    one               wakes ten times a second   ends with the measurement; calls Options.Observe
//	replay     one a stream of interference's second half   ends with it
//	opener     one a stream of storm, while it is opened    ends when its watches are begun
//	churner    one a stream of churn's visitors, wakes when a watch is due   ends with the load
//	curve      one               wakes at most 1000 a second  ends with the catching up
//
// # Locks
//
// A lane's mutex guards the histograms that a few workers share; it is a leaf,
// held while one batch of latencies is added. The mutex of a consumer's visits
// guards the table of its watches that come and go; a leaf too.
package bench
