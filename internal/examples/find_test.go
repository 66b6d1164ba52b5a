package examples

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFind(t *testing.T) {
	document := strings.ReplaceAll(`# Title

Type 'watchbench run -b
bolt', or 'watchbench compare'; '-w 5' and 'watchbench' are no commands, nor is 'etcdctl put a b'.

    watchbench run        # a remark
    cd peers
    go run . contract

- an item

    watchbench continues the item

'''
$ watchbench run -s slow \
    -w 5
watchbench 0.1.0   pebble/sync
$ NO_COLOR=1 watchbench env && watchbench report
'''
'''text
watchbench run in output
'''
'''yaml
- run: watchbench diff a.json b.json --gate 'notify.p99 +10%'
'''
'''sh
for e in bolt mem; do watchbench run -b $e; done
source <(watchbench completion bash)
.ci/run smoke
etcdctl put a b
curl http://localhost:2379/health
'''
`, "'''", "```")
	document = strings.ReplaceAll(document, "'watchbench run -b\nbolt'", "`watchbench run -b\nbolt`")
	document = strings.ReplaceAll(document, "'watchbench compare'", "`watchbench compare`")
	type found struct {
		line   int
		text   string
		inline bool
	}
	var got []found
	for _, e := range Find("doc.md", document) {
		got = append(got, found{e.Line, e.Text, e.Inline})
	}
	assert.Equal(t, []found{
		{3, "watchbench run -b bolt", true},
		{4, "watchbench compare", true},
		{6, "watchbench run", false},
		{8, "cd peers && go run . contract", false},
		{15, "watchbench run -s slow -w 5", false},
		{18, "NO_COLOR=1 watchbench env && watchbench report", false},
		{24, "watchbench diff a.json b.json --gate 'notify.p99 +10%'", false},
		{27, "for e in bolt mem; do watchbench run -b $e; done", false},
		{28, "source <(watchbench completion bash)", false},
		{29, ".ci/run smoke", false},
		{30, "etcdctl put a b", false},
		{31, "curl http://localhost:2379/health", false},
	}, got)
}

func TestFindInHelp(t *testing.T) {
	got := FindInHelp("watchbench", "run", "Title\n  watchbench run -s slow   what it does\nwatchbench help run\n  -b, --backend\n")
	assert.Equal(t, []Example{{Doc: "watchbench help run", Line: 2, Text: "watchbench run -s slow"}}, got)
}

// What no rule matches, and what does not work, fails.
func TestSandbox_Fails(t *testing.T) {
	_, ok := RuleFor(Example{Text: "watchbench frobnicate --hard"})
	assert.False(t, ok)

	box, err := NewSandbox(t.TempDir(), clone(t), build(t))
	require.NoError(t, err)
	wrong := Example{Doc: "doc.md", Line: 3, Text: "watchbench run -b rocksdb"}
	err = box.Run(t.Context(), wrong, Rule{}, "", false)
	assert.ErrorContains(t, err, "doc.md:3: watchbench run -b rocksdb")
	assert.ErrorContains(t, err, "exit code 2, not [0]")
	assert.ErrorContains(t, err, "not an engine here")
	assert.NoError(t, box.Run(t.Context(), wrong, Rule{Exit: []int{2}}, "", false))
	assert.Error(t, CheckNowhere(Example{Text: "watchbench bottom"}, Rule{Where: Mention}, clone(t), build(t)))
	assert.Error(t, CheckNowhere(Example{Text: ".ci/run smoke nothing"}, Rule{Where: Steps}, clone(t), build(t)))
	assert.Error(t, CheckNowhere(Example{Text: "go test ./..."}, Rule{Where: Nowhere}, clone(t), build(t)))
}
