package main

import (
	"fmt"
	"strings"

	"github.com/agext/levenshtein"
)

// Exit codes. A second signal ends with 128 and its number.
const (
	exitStopped = 0 // ended because it was told to
	exitFailed  = 1 // could not start, or ended for another reason
	exitUse     = 2 // the command line, a variable or the config file is wrong
)

// exitError ends the program with a code.
type exitError struct {
	code int
	text string
}

func (e *exitError) Error() string { return e.text }

// misused is a mistake of who started the program.
func misused(format string, args ...any) error {
	return &exitError{exitUse, fmt.Sprintf(format, args...)}
}

// failed is what keeps the program from working.
func failed(format string, args ...any) error {
	return &exitError{exitFailed, fmt.Sprintf(format, args...)}
}

// nearest is the known word that given most likely stands for, or "".
func nearest(given string, known []string) string {
	best, distance := "", 1+len(given)/4
	for _, word := range known {
		if d := levenshtein.Distance(given, word, nil); d <= min(distance, 4) && (best == "" || d < distance) {
			best, distance = word, d
		}
	}
	if best != "" {
		return best
	}
	for _, word := range known {
		if len(given) >= 3 && (strings.HasPrefix(word, given) || strings.HasPrefix(given, word)) {
			return word
		}
	}
	return ""
}

// didYouMean adds the nearest known word to a sentence, if there is one.
func didYouMean(given string, known []string) string {
	if word := nearest(given, known); word != "" {
		return fmt.Sprintf("; did you mean %q?", word)
	}
	return ""
}

// oneLine is a text of others' making as one line.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}
