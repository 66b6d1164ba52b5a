package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// gathered is what was given, before anything is made of it.
type gathered struct {
	config *config
	notes  []note // for the log, once there is one
}

// note is a line for the log about how the program was started.
type note struct {
	text string
	args []any
}

// given is one setting as somebody wrote it.
type given struct {
	value string
	from  string // how an error names it: --name, ETCD_NAME, FILE: name
}

// gather makes the config of flags, variables and a config file, with etcd's
// precedence: a flag counts, or the variable if there is none; both are a
// mistake. With a config file etcd's flags and variables do not count; those
// that etcd does not have still do, before the file.
func gather(flags *pflag.FlagSet, environ []string) (gathered, error) {
	table := settings()
	byFlag := givenFlags(flags)
	byEnv, notes, err := givenVariables(table, environ)
	if err != nil {
		return gathered{}, err
	}
	file, ok := byFlag["config-file"]
	if variable, set := byEnv["config-file"]; !ok && set {
		file, ok = variable, true
	}
	var byFile map[string]given
	if ok {
		if byFile, err = readConfigFile(table, file.value); err != nil {
			return gathered{}, err
		}
	}
	g := gathered{config: defaults(), notes: notes}
	var unheard, ignoredNames []string
	for _, s := range table {
		flag, isFlag := byFlag[s.name]
		variable, isVariable := byEnv[s.name]
		from, isFile := byFile[s.name]
		if byFile != nil && s.origin != ofOurs && s.name != "config-file" {
			if isFlag {
				unheard = append(unheard, flag.from)
			}
			if isVariable {
				unheard = append(unheard, variable.from)
			}
			isFlag, isVariable = false, false
		}
		switch {
		case isFlag && isVariable:
			return g, misused("%s and %s: given twice; leave the flag out or unset the variable", flag.from, variable.from)
		case isFlag:
			from = flag
		case isVariable:
			from = variable
		case !isFile:
			continue
		}
		if s.origin == ignored {
			ignoredNames = append(ignoredNames, from.from)
		}
		if s.take != nil {
			if err := s.take(g.config, from.value); err != nil {
				return g, misused("%s %q: %v", from.from, from.value, err)
			}
		}
		g.config.given[s.name] = from.from
	}
	if len(unheard) > 0 {
		g.notes = append(g.notes, note{"a config file stands alone, as in etcd: these flags and variables do not count", []any{"config-file", file.value, "given", strings.Join(unheard, " ")}})
	}
	if len(ignoredNames) > 0 {
		g.notes = append(g.notes, note{"settings of etcd that have no meaning here are ignored", []any{"ignored", strings.Join(ignoredNames, " ")}})
	}
	return g, g.config.check()
}

func givenFlags(flags *pflag.FlagSet) map[string]given {
	all := map[string]given{}
	flags.Visit(func(f *pflag.Flag) {
		if v, ok := f.Value.(*flagValue); ok {
			all[f.Name] = given{v.text, "--" + f.Name}
		}
	})
	return all
}

// givenVariables finds the settings in an environment. An empty variable is
// none, as in etcd; an unknown one is told and does no harm.
func givenVariables(table []setting, environ []string) (map[string]given, []note, error) {
	byName := map[string]setting{}
	var names []string
	for _, s := range table {
		if s.word != fileOnly {
			byName[s.env()] = s
			names = append(names, s.env())
		}
	}
	all := map[string]given{}
	var unknown []string
	for _, line := range slices.Sorted(slices.Values(environ)) {
		name, value, _ := strings.Cut(line, "=")
		if !strings.HasPrefix(name, "ETCD_") && !strings.HasPrefix(name, "WATCHD_") || value == "" {
			continue
		}
		s, ok := byName[name]
		if !ok {
			if strings.HasPrefix(name, "WATCHD_") {
				return nil, nil, misused("%s: no such setting%s", name, didYouMeanBare(name, names))
			}
			unknown = append(unknown, name+didYouMeanBare(name, names))
			continue
		}
		all[s.name] = given{value, name}
	}
	var notes []note
	if len(unknown) > 0 {
		notes = append(notes, note{"unrecognized environment variable", []any{"variables", strings.Join(unknown, ", ")}})
	}
	return all, notes, nil
}

func didYouMeanBare(given string, known []string) string {
	if word := nearest(given, known); word != "" {
		return fmt.Sprintf(" (did you mean %s?)", word)
	}
	return ""
}

// flagValue is a flag that was given. What it says is read later, when it is
// known what counts.
type flagValue struct {
	setting setting
	text    string
}

func (v *flagValue) String() string { return v.text }

// Set keeps the text; a switch alone is "true".
func (v *flagValue) Set(text string) error {
	v.text = text
	return nil
}

func (v *flagValue) Type() string { return v.setting.word }

// addFlags defines a flag for each setting that may be one.
func addFlags(flags *pflag.FlagSet) {
	flags.SortFlags = false
	for _, s := range settings() {
		if s.word == fileOnly {
			continue
		}
		f := flags.VarPF(&flagValue{setting: s}, s.name, "", s.text)
		if s.form == onOff {
			f.NoOptDefVal = "true"
		}
		f.Hidden = s.origin == ignored
	}
}

// normal writes long flags with two dashes where one was given, as Go's flag
// package and so etcd takes them. What belongs to a flag as its value stays.
func normal(args []string, flags *pflag.FlagSet) []string {
	out := slices.Clone(args)
	for i := 0; i < len(out); i++ {
		name, single := strings.CutPrefix(out[i], "-")
		if out[i] == "--" || !single {
			break // commands and their arguments follow
		}
		if double, ok := strings.CutPrefix(name, "-"); ok {
			name = double
		} else if bare, _, _ := strings.Cut(name, "="); len(bare) > 1 {
			out[i] = "-" + out[i]
		}
		name, _, hasValue := strings.Cut(name, "=")
		if f := flags.Lookup(name); f != nil && !hasValue && f.NoOptDefVal == "" {
			i++ // the next is its value, whatever it looks like
		}
	}
	return out
}
