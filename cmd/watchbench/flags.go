package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/watchkv/watchkv/bench"
)

// option is all that people read of one flag. It is written where the flag is
// defined; help, the reference page and what shells complete are made of it.
type option struct {
	name, short string
	word        string // stands for the value; "" for a switch
	text        string // what it does, short enough for help
	unset       string // what holds without it
	more        string // sentences for which only the reference page has room
	values      []string
	list        bool     // several values by comma
	begins      bool     // what the shell offers is only its beginning
	files       []string // extensions of the files it takes; {""} is any file
	dir         bool     // it takes a directory
}

// Groups of flags, as help heads them.
const (
	groupWhat   = "What to measure"
	groupHow    = "How much"
	groupWhere  = "Where"
	groupServer = "Server"
	groupViews  = "Views"
	groupShown  = "What is shown"
	groupGates  = "What must hold"
)

// groupOrder is how help orders the groups.
var groupOrder = []string{groupWhat, groupShown, groupHow, groupWhere, groupServer, groupViews}

// options defines the flags of a group.
type options struct {
	set   *pflag.FlagSet
	group string
}

// text defines a flag with a value. What to holds is its default.
func (g options) text(to *string, o option) {
	g.set.StringVarP(to, o.name, o.short, *to, o.text)
	g.describe(o)
}

// texts defines a flag that may be given several times.
func (g options) texts(to *[]string, o option) {
	g.set.StringArrayVarP(to, o.name, o.short, nil, o.text)
	g.describe(o)
}

// on defines a switch.
func (g options) on(to *bool, o option) {
	g.set.BoolVarP(to, o.name, o.short, false, o.text)
	g.describe(o)
}

// setUnset changes what holds without a flag, for a command that shares the
// flag and has its own default.
func setUnset(set *pflag.FlagSet, name, unset string) {
	set.Lookup(name).Value.(*described).option.unset = unset
}

// hide leaves a flag out of help, for a command that shares it and refuses it.
func hide(set *pflag.FlagSet, name string) { set.Lookup(name).Hidden = true }

// setMore says otherwise what only the reference page has room for.
func setMore(set *pflag.FlagSet, name, more string) {
	set.Lookup(name).Value.(*described).more = more
}

func (g options) describe(o option) {
	g.set.SortFlags = false // help has them in the order in which they are defined
	flag := g.set.Lookup(o.name)
	flag.Value = &described{Value: flag.Value, option: o, group: g.group}
}

// described is the value of a flag that knows what people read of it.
type described struct {
	pflag.Value
	option
	group string
}

// optionsOf returns the options of a command by group, both in the order in
// which they were defined, and the flags that have no description.
func optionsOf(cmd *cobra.Command) (groups []string, byGroup map[string][]option, bare []string) {
	byGroup = map[string][]option{}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		d, ok := f.Value.(*described)
		switch {
		case f.Name == "help" || f.Name == "version" || f.Hidden: // cobra's own; not for this command
		case !ok:
			bare = append(bare, f.Name)
		default:
			if byGroup[d.group] == nil {
				groups = append(groups, d.group)
			}
			byGroup[d.group] = append(byGroup[d.group], d.option)
		}
	})
	slices.SortStableFunc(groups, func(a, b string) int { return slices.Index(groupOrder, a) - slices.Index(groupOrder, b) })
	return groups, byGroup, bare
}

// completeFlags tells the shell what the values of a command's flags may be.
func completeFlags(cmd *cobra.Command) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if d, ok := f.Value.(*described); ok {
			// Fails only for a flag that the command does not have.
			_ = cmd.RegisterFlagCompletionFunc(f.Name, d.complete)
		}
	})
}

func (o option) complete(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	switch {
	case o.dir:
		return nil, cobra.ShellCompDirectiveFilterDirs
	case slices.Equal(o.files, []string{""}):
		return nil, cobra.ShellCompDirectiveDefault
	case len(o.files) > 0:
		return o.files, cobra.ShellCompDirectiveFilterFileExt
	case o.begins:
		return o.values, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	case o.list:
		return completeList(o.values, typed), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
	return o.values, cobra.ShellCompDirectiveNoFileComp
}

// completeList continues a list by what is not in it yet.
func completeList(values []string, typed string) (all []string) {
	before := ""
	if at := strings.LastIndexByte(typed, ','); at >= 0 {
		before = typed[:at+1]
	}
	given := strings.Split(before, ",")
	for _, value := range values {
		if !slices.Contains(given, value) {
			all = append(all, before+value)
		}
	}
	return all
}

// metricNames are the metrics as gates and objectives name them.
func metricNames() (names []string) {
	for _, name := range bench.MetricNames() {
		names = append(names, bench.ShortName(name))
	}
	return names
}
