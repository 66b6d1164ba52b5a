package main

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCompletion(t *testing.T) {
	for _, c := range []struct {
		typed string   // the last word is the one to complete
		want  []string // among what is offered
		not   string
	}{
		{"watchbench ", []string{"run", "report", "scenarios", "help"}, "reference"},
		{"watchbench run --b", []string{"--backend"}, "--dir"},
		{"watchbench run -b ", []string{"mem", "bolt", "pebble", "badger"}, ""},
		{"watchbench run --durability ", []string{"sync", "relaxed:100ms"}, ""},
		{"watchbench run -s ", []string{"notify", "catchup"}, "notify,slow"},
		{"watchbench run -s notify,", []string{"notify,slow", "notify,catchup"}, "notify,notify"},
		{"watchbench run --shape ", []string{"one-key", "prefix", "ranges", "all"}, ""},
		{"watchbench run --color ", []string{"never"}, ""},
		{"watchbench run --json ", []string{"json"}, ""}, // an extension
		{"watchbench report ", []string{"json"}, ""},
		{"watchbench diff ", []string{"json"}, ""},
		{"watchbench diff --gate ", []string{"notify.p99", "catchup.events_per_s", "victims"}, "notify.p99_ns"},
		{"watchbench max --slo ", []string{"notify.p99"}, ""},
		{"watchbench max --vary ", []string{"rate", "watchers"}, ""},
		{"watchbench compare ", []string{"pebble", "bolt/relaxed", "etcd://"}, ""},
		{"watchbench verify --allow-broken ", []string{"X5"}, ""},
		{"watchbench top --state ", []string{"victim", "behind"}, ""},
		{"watchbench scenarios ", []string{"storm"}, ""},
		{"watchbench run -f ", []string{"yaml"}, ""}, // an extension
		{"watchbench help ", []string{"run", "metrics", "words"}, ""},
		{"watchbench completion ", []string{"bash", "zsh", "fish", "powershell"}, "ksh"},
	} {
		var out strings.Builder
		words := strings.Split(c.typed, " ")
		args := append([]string{"watchbench", "__complete"}, words[1:]...)
		require.Equal(t, 0, execute(&terminal{out: &out, err: &out, rawOut: &out}, args), c.typed)
		var offered []string
		for line := range strings.Lines(out.String()) {
			value, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
			offered = append(offered, value)
		}
		assert.Subset(t, offered, c.want, c.typed)
		if c.not != "" {
			assert.NotContains(t, offered, c.not, c.typed)
		}
	}
}

// Shells read the scripts; bash completes by its own. What bash-completion,
// which it may need, does for it is a function here.
func TestCompletion_Shells(t *testing.T) {
	tried := 0
	for shell, script := range map[string]string{
		"bash": `
_get_comp_words_by_ref() { cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words=("${COMP_WORDS[@]}") cword=$COMP_CWORD; }
__ltrim_colon_completions() { :; }
source <(watchbench completion bash)
try() { COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*" COMP_POINT=${#COMP_LINE} COMP_TYPE=9; COMPREPLY=(); __start_watchbench; echo "${COMPREPLY[@]}"; }
try watchbench run -b peb
try watchbench run -s inter
try watchbench comp
complete -p watchbench`,
		"zsh":  `watchbench completion zsh > c.zsh && zsh -n c.zsh && echo pebble interference completion`,
		"fish": `watchbench completion fish | source; complete -C "watchbench run -b peb"; complete -C "watchbench run -s inter"; complete -C "watchbench comp"`,
	} {
		path, err := exec.LookPath(shell)
		if err != nil {
			t.Logf("%s is not installed", shell)
			continue
		}
		tried++
		cmd := exec.Command(path, "-c", script)
		cmd.Dir = t.TempDir()
		cmd.Env = append(cmd.Environ(), "HOME="+cmd.Dir)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s: %s", shell, out)
		for _, want := range []string{"pebble", "interference", "completion"} {
			assert.Contains(t, string(out), want, shell)
		}
	}
	t.Logf("%d shells", tried)
}
