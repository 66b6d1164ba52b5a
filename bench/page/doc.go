// Package page writes results as one HTML page that needs nothing else: it
// opens offline, loads nothing and runs no script.
package page
