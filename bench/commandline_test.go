package bench_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/watchkv/watchkv/bench"
)

func TestCommandLine(t *testing.T) {
	assert.Equal(t, `watchbench max --slo 'notify.p99<20ms' --seed=7 -s notify,slow 'it'\''s' '' ~/data`,
		bench.CommandLine([]string{"watchbench", "max", "--slo", "notify.p99<20ms", "--seed=7", "-s", "notify,slow", "it's", "", "~/data"}))
}
