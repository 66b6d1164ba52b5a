package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// readConfigFile reads etcd's YAML (or JSON, which is YAML) into what was
// given, by name of the setting.
func readConfigFile(table []setting, path string) (map[string]given, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, misused("--config-file %q: %v", path, bare(err))
	}
	var document yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil {
		return nil, misused("--config-file %q: %s", path, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	f := configFile{path: path, places: map[string]setting{}, found: map[string]given{}}
	for _, s := range table {
		if s.name == "config-file" {
			continue // it cannot name another one
		}
		f.places[s.place()] = s
		f.names = append(f.names, s.place())
		if s.place() != s.name && s.origin != ignored {
			// Also by the flag's name, which those try who read the help.
			f.places[s.name] = s
		}
	}
	if len(document.Content) == 0 {
		return f.found, nil // an empty file
	}
	return f.found, f.mapping("", document.Content[0])
}

type configFile struct {
	path   string
	places map[string]setting
	names  []string
	found  map[string]given
}

func (f *configFile) wrong(node *yaml.Node, format string, args ...any) error {
	return misused("%s:%d: %s", f.path, node.Line, fmt.Sprintf(format, args...))
}

// mapping reads keys; those below it have its own before them.
func (f *configFile) mapping(above string, node *yaml.Node) error {
	if node.Kind != yaml.MappingNode {
		return f.wrong(node, "%snot a mapping; write KEY: VALUE lines", strings.TrimSuffix(above, ".")+strings.Repeat(": ", min(1, len(above))))
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if value.Kind == yaml.AliasNode {
			value = value.Alias
		}
		name := above + key.Value
		s, known := f.places[name]
		isParent := slices.ContainsFunc(f.names, func(n string) bool { return strings.HasPrefix(n, name+".") })
		switch {
		case (known || isParent) && value.Tag == "!!null":
			continue
		case known && s.origin == ignored:
			f.found[s.name] = given{value.Value, name}
			continue
		case !known && isParent:
			if err := f.mapping(name+".", value); err != nil {
				return err
			}
			continue
		case !known:
			return f.wrong(key, "no such setting %q%s", name, didYouMean(name, f.names))
		}
		text, err := textOf(s, value)
		if err != nil {
			return f.wrong(value, "%s: %v", name, err)
		}
		if _, twice := f.found[s.name]; twice {
			return f.wrong(key, "%s: given twice", name)
		}
		f.found[s.name] = given{text, fmt.Sprintf("%s:%d: %s", f.path, value.Line, name)}
	}
	return nil
}

// textOf is a value as a flag would have it.
func textOf(s setting, node *yaml.Node) (string, error) {
	switch node.Kind {
	case yaml.ScalarNode:
		if s.form == duration && node.Tag == "!!int" {
			n, err := strconv.ParseInt(node.Value, 0, 64)
			if err != nil {
				return "", errors.New("not a number of nanoseconds")
			}
			return time.Duration(n).String(), nil
		}
		return node.Value, nil
	case yaml.SequenceNode:
		if s.form != list {
			return "", errors.New("a list, but one value is wanted")
		}
		var parts []string
		for _, item := range node.Content {
			if item.Kind != yaml.ScalarNode {
				return "", errors.New("not a list of texts")
			}
			parts = append(parts, item.Value)
		}
		return strings.Join(parts, ","), nil
	}
	return "", errors.New("keys below it, but one value is wanted")
}

// bare is an error without the path, which the message has already.
func bare(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
