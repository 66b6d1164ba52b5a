// Package scenariofile reads and writes scenario files: what a run of
// watchbench should measure, as YAML that people share, quote and repeat.
//
//	seed: 7
//	scenarios:
//	  - name: slow
//	    watchers: 20k
//	    streams: 200
//	    rate: 5k
//	    duration: 1m
//
// Settings have the names and the units of the flags. What is left out has
// the scenario's default. A scenario may come more than once.
//
// [Parse] is strict: a field that is not known, that comes twice or whose
// value is not of its kind is an [*Error] with the file and the line. [Write]
// is its inverse: a plan with every default spelled out and explained.
package scenariofile
