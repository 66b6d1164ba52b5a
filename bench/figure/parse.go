package figure

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// What a text that is no figure lacks; for people, after the text itself.
var (
	ErrCount    = errors.New("not a count; write 500, 5k or 1M")
	ErrSize     = errors.New("not a size; write 256, 4KiB or 1MiB")
	ErrDuration = errors.New("not a time; write 10s, 1m30s or 500ms")
)

// ParseCount reads 500, 5k, 1.5M or 2G.
func ParseCount(s string) (int64, error) {
	digits, scale := s, 1.0
	for _, u := range []struct {
		suffix string
		scale  float64
	}{{"k", 1e3}, {"K", 1e3}, {"M", 1e6}, {"G", 1e9}} {
		if cut, ok := strings.CutSuffix(s, u.suffix); ok {
			digits, scale = cut, u.scale
		}
	}
	return scaled(strings.ReplaceAll(digits, ",", ""), scale, ErrCount)
}

// ParseSize reads 256, 256B, 4KiB, 1MiB, 1GiB, and KB, MB, GB as decimal.
func ParseSize(s string) (int64, error) {
	digits, scale := s, 1.0
	for _, u := range []struct {
		suffix string
		scale  float64
	}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"KB", 1e3}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1}} {
		if cut, ok := strings.CutSuffix(s, u.suffix); ok {
			digits, scale = cut, u.scale
			break
		}
	}
	return scaled(strings.TrimSpace(digits), scale, ErrSize)
}

// ParseDuration reads a Go duration; a number alone is told what it lacks.
func ParseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err == nil {
		return d, nil
	}
	if _, numErr := strconv.ParseFloat(s, 64); numErr == nil {
		return 0, errors.New("unit is missing; write " + s + "s or " + s + "m")
	}
	return 0, ErrDuration
}

func scaled(digits string, scale float64, bad error) (int64, error) {
	v, err := strconv.ParseFloat(digits, 64)
	v *= scale
	switch {
	case err != nil, math.IsNaN(v), v < 0, v > math.MaxInt64/2, v != math.Trunc(v), strings.ContainsAny(digits, "xXpPeE+_"):
		return 0, bad
	}
	return int64(v), nil
}
