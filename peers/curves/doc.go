// Package curves measures how figures change with one quantity at a time, and
// which engine does what how well. Each [Curve] becomes a data file and a
// picture, the [Matrix] a table.
//
// Every point is a measurement of package bench: consumers that receive, a
// checker that checks. A point is the median of several, its bar the smallest
// and the largest of them.
package curves
