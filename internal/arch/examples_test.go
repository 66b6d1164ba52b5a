package arch

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A program that embeds one engine links that engine alone. What the engine's
// own library links is its own affair (pebble: prometheus for its metrics,
// badger: otel for its traces); we add nothing of the kind.
func TestExamplesLinkOneEngine(t *testing.T) {
	p := load(t)
	for engine, lib := range engineLibs {
		t.Run("embed-"+engine, func(t *testing.T) {
			example, ok := p.all[module+"/examples/embed-"+engine]
			require.True(t, ok, "the example is missing")
			assert.Contains(t, example.Deps, module+"/backend/"+engine)
			assert.Contains(t, example.Deps, lib)
			for other, otherLib := range engineLibs {
				// The core itself keeps its index in google/btree.
				if other == engine {
					continue
				}
				assert.NotContains(t, example.Deps, module+"/backend/"+other)
				if other != "mem" {
					assert.Empty(t, under(otherLib, example.Deps))
				}
			}
			for _, bad := range outer {
				assert.Empty(t, added(p, example, lib, bad), "linked beside %s", lib)
			}
		})
	}
}

// Bolt and mem link nothing outer at all, and no engine links grpc or a
// command library, whoever asked for it.
func TestExamplesLinkNoServerNorCommand(t *testing.T) {
	p := load(t)
	for engine := range engineLibs {
		example, ok := p.all[module+"/examples/embed-"+engine]
		require.True(t, ok, "example embed-%s is missing", engine)
		forbidden := []string{"google.golang.org/grpc", "github.com/spf13/cobra", "github.com/spf13/pflag", "go.uber.org/zap"}
		if engine == "bolt" || engine == "mem" {
			forbidden = outer
		}
		for _, bad := range forbidden {
			assert.Empty(t, under(bad, example.Deps), "embed-%s links %s", engine, bad)
		}
	}
}

// added returns what pkg links of a library although lib, which pkg is
// allowed to link, does not.
func added(p *program, pkg *listed, lib, of string) []string {
	allowed := map[string]bool{}
	for path, dep := range p.all {
		if path == lib || strings.HasPrefix(path, lib+"/") {
			if !slices.Contains(pkg.Deps, path) {
				continue
			}
			for _, d := range dep.Deps {
				allowed[d] = true
			}
		}
	}
	var more []string
	for _, path := range under(of, pkg.Deps) {
		if !allowed[path] {
			more = append(more, path)
		}
	}
	return more
}
