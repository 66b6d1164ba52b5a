package main

import (
	"fmt"
	"strings"

	"github.com/agext/levenshtein"
)

// Exit codes.
const (
	exitMeasured    = 0
	exitBroken      = 1
	exitUse         = 2
	exitUnmeasured  = 3
	exitInterrupted = 130
)

// exitError ends the program with a code. An empty text was said already.
type exitError struct {
	code int
	text string
}

func (e *exitError) Error() string { return e.text }

// misused is a mistake in the command line.
func misused(format string, args ...any) error {
	return &exitError{exitUse, fmt.Sprintf(format, args...)}
}

// unmeasured is a reason why nothing, or not everything, could be measured.
func unmeasured(format string, args ...any) error {
	return &exitError{exitUnmeasured, fmt.Sprintf(format, args...)}
}

// nearest is the known word that given most likely stands for, or "".
func nearest(given string, known []string) string {
	best, distance := "", 3
	if len(given) < 4 {
		distance = 2
	}
	for _, word := range known {
		if d := levenshtein.Distance(given, word, nil); d < distance {
			best, distance = word, d
		}
	}
	if best != "" {
		return best
	}
	for _, word := range known {
		if given != "" && (strings.HasPrefix(word, given) || strings.HasPrefix(given, word)) {
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
