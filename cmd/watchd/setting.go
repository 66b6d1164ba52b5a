package main

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/watchkv/watchkv/mvcc"
)

// setting is one thing that can be set, and all that people read of it. The
// table of them (settings.go) makes the flags, the environment variables, the
// keys of the config file, the help and docs/watchd.md.
type setting struct {
	name   string // of the flag, and of the variable and the key where those are not given
	group  string
	origin origin
	word   string // stands for the value; "" for a switch
	unset  string // what holds without it, as people read it
	text   string // what it does, or why it is ignored
	more   string // for which only the reference has room
	key    string // its place in the config file, dots between levels; "" is the name
	form   form
	values []string // all that are allowed, if they can be listed

	// take reads a value into the config. Nil if the setting is ignored.
	take func(c *config, text string) error
}

// origin tells whose setting it is.
type origin int

const (
	ofEtcd  origin = iota // same name and same meaning as in etcd
	ofOurs                // not known to etcd
	ignored               // etcd's; accepted, and nothing comes of it
)

// form is what flag parsers and YAML have to know of a value.
type form int

const (
	text     form = iota
	onOff         // a switch: --name alone is true
	duration      // an integer in a config file is nanoseconds, as in etcd's
	list          // by comma; in a config file also a sequence
)

// env is the variable that sets it.
func (s setting) env() string {
	prefix := "ETCD_"
	if s.origin == ofOurs {
		prefix = "WATCHD_"
	}
	return prefix + strings.ToUpper(strings.ReplaceAll(s.name, "-", "_"))
}

// place is where a config file has it.
func (s setting) place() string {
	if s.key != "" {
		return s.key
	}
	return s.name
}

// Readers of values. The error says what is allowed; who calls puts the name
// of the setting and the value before it.

func toText(field func(*config) *string) func(*config, string) error {
	return func(c *config, text string) error {
		*field(c) = text
		return nil
	}
}

func toOneOf(values []string, field func(*config) *string) func(*config, string) error {
	return func(c *config, text string) error {
		if !slices.Contains(values, text) {
			return fmt.Errorf("unknown; one of %s%s", strings.Join(values, ", "), didYouMean(text, values))
		}
		*field(c) = text
		return nil
	}
}

func toSwitch(field func(*config) *bool) func(*config, string) error {
	return func(c *config, text string) (err error) {
		if *field(c), err = strconv.ParseBool(text); err != nil {
			return errors.New("not a switch; true or false")
		}
		return nil
	}
}

func toDuration(least time.Duration, field func(*config) *time.Duration) func(*config, string) error {
	return func(c *config, text string) error {
		d, err := time.ParseDuration(text)
		if err != nil {
			return errors.New("not a duration; write 500ms, 10s or 1m30s")
		}
		if d < least {
			return fmt.Errorf("too short; at least %v", least)
		}
		*field(c) = d
		return nil
	}
}

// toBytes reads 1572864 or 1.5MiB; below least only if negative values mean
// something (least is below 0).
func toBytes(least int64, field func(*config) *int64) func(*config, string) error {
	return func(c *config, text string) error {
		n, err := parseBytes(text)
		if err != nil {
			return errors.New("not a size; write 1048576 or 1MiB")
		}
		if n < least {
			return fmt.Errorf("too small; at least %d", least)
		}
		*field(c) = n
		return nil
	}
}

func parseBytes(text string) (int64, error) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, nil
	}
	n, err := humanize.ParseBytes(text)
	if err != nil {
		return 0, err
	}
	if n > math.MaxInt64 {
		return 0, strconv.ErrRange
	}
	return int64(n), nil
}

func toCount(least, most int64, field func(*config) *int64) func(*config, string) error {
	return func(c *config, text string) error {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < least || n > most {
			if most == math.MaxInt64 {
				return fmt.Errorf("not a number of at least %d", least)
			}
			return fmt.Errorf("not a number from %d to %d", least, most)
		}
		*field(c) = n
		return nil
	}
}

func toList(field func(*config) *[]string) func(*config, string) error {
	return func(c *config, text string) error {
		*field(c) = splitList(text)
		return nil
	}
}

func toURLs(field func(*config) *[]*url.URL) func(*config, string) error {
	return func(c *config, text string) (err error) {
		*field(c), err = parseURLs(text)
		return err
	}
}

// splitList parts by comma; empty parts are dropped.
func splitList(text string) (parts []string) {
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" && !slices.Contains(parts, part) {
			parts = append(parts, part)
		}
	}
	return parts
}

func toDurability(c *config, text string) error {
	name, interval, given := strings.Cut(text, ":")
	switch {
	case name == "sync" && !given:
		c.durability = mvcc.Sync()
		return nil
	case name == "relaxed" && !given:
		c.durability = mvcc.Relaxed(relaxedInterval)
		return nil
	case name == "relaxed":
		if d, err := time.ParseDuration(interval); err == nil && d >= time.Millisecond {
			c.durability = mvcc.Relaxed(d)
			return nil
		}
		return errors.New("the interval is no duration of at least 1ms; write relaxed:100ms")
	}
	return errors.New("unknown; sync, or relaxed:100ms, which answers before it is on disk")
}

// relaxedInterval is what "relaxed" alone means.
const relaxedInterval = 100 * time.Millisecond
