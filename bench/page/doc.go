// Package page writes results as one HTML page for people who were not there.
//
// The page needs nothing else: style, drawings and the result files are in it,
// it opens offline, makes no request and runs no script, which its
// Content-Security-Policy enforces. [Write] makes it, [Extract] gets the result
// files out again.
//
// # From results to a page
//
// Results of one target, that is of one name, version, setting, program and
// machine, are repetitions of each other and make a subject. Runs of scenarios
// that are equal in every setting make a scene, with the runs of each subject;
// nothing else is compared. What says most about a scene are its measures.
// Package stat tells what the repetitions of a measure allow to say; the page
// adds words and places, no statistics of its own. The template only shows.
//
// # What the page holds to
//
//   - The answer comes first, its doubts next. The headline names the best only
//     where all have runs enough for a test, and the test tells.
//   - A broken promise takes the place of headline and cards; its target has no
//     figures, the others keep theirs.
//   - What was not measured is n/a with its reason, never 0 or blank.
//   - Each drawing is an image with a sentence that tells its finding, and its
//     figures stand in a table beside it. Labels are text beside a drawing that
//     is stretched to the width, so that one serves all widths.
//   - Colour never says anything alone: dash, mark or word says it again.
//   - Without the results a page of five targets has less than 120 kB, with
//     them less than 2 MB; series that would make it larger are thinned to 600
//     points, the smallest and the largest of each stretch among them, and the
//     page says so.
//
// A result may come from anywhere: no text of it becomes markup, and no number
// of it makes the page fail.
package page
