package backend

import "fmt"

// Space is a keyspace inside an engine, 1 to 254. Its number is part of the
// bytes on disk on engines that have one keyspace only (they use it as a key
// prefix), its name on engines that have named ones (bbolt maps it to a
// bucket).
type Space byte

// The spaces of watchkv. Names are etcd's bucket names, so that an etcd bbolt
// file opens as it is; numbers are ours and never change.
const (
	SpaceKey   Space = 1 // revision -> record
	SpaceMeta  Space = 2 // compaction marks, format version, reserved ceiling
	SpaceLease Space = 3 // lease id -> lease
	SpaceAlarm Space = 4 // alarms raised
)

// maxSpace leaves a prefix byte above every space: the end of its scans.
const maxSpace Space = 254

// SpaceInfo registers a Space with its name.
type SpaceInfo struct {
	Space Space
	Name  string
}

// DefaultSpaces returns the spaces an engine registers when Options.Spaces is
// nil.
func DefaultSpaces() []SpaceInfo {
	return []SpaceInfo{{SpaceKey, "key"}, {SpaceMeta, "meta"}, {SpaceLease, "lease"}, {SpaceAlarm, "alarm"}}
}

// SpaceSet is the set of registered spaces, for engines. The zero value is
// empty.
type SpaceSet [256]bool

// Check answers ErrUnknownSpace for a space outside the set.
func (set *SpaceSet) Check(s Space) error {
	if !set[s] {
		return fmt.Errorf("space %d: %w", s, ErrUnknownSpace)
	}
	return nil
}

// RegisteredSpaces returns Options.Spaces, or the default, as a list and as a
// set. Numbers outside 1 to 254, empty names and doubles are errors.
func (o Options) RegisteredSpaces() ([]SpaceInfo, SpaceSet, error) {
	infos := o.Spaces
	if infos == nil {
		infos = DefaultSpaces()
	}
	var set SpaceSet
	names := make(map[string]Space, len(infos))
	for _, info := range infos {
		if info.Space == 0 || info.Space > maxSpace || info.Name == "" {
			return nil, set, fmt.Errorf("backend: space %d named %q: want a number from 1 to %d and a name", info.Space, info.Name, maxSpace)
		}
		if other, taken := names[info.Name]; taken || set[info.Space] {
			return nil, set, fmt.Errorf("backend: space %d named %q is registered twice (name taken by space %d)", info.Space, info.Name, other)
		}
		names[info.Name] = info.Space
		set[info.Space] = true
	}
	return infos, set, nil
}
