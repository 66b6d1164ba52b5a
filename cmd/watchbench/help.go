package main

import (
	"fmt"
	"strings"

	"github.com/watchkv/watchkv/backend/engines"
	"github.com/watchkv/watchkv/bench"
)

const helpRoot = `watchbench measures how fast, and how faithfully, a store tells its watchers.
  watchbench run                                     this machine, a minute, nothing to set up
  watchbench run -b bolt -s catchup -w 1000          one engine, one scenario
  watchbench run --etcd-file snap.db                 a real etcd's history, replayed
Commands
  run       measure one engine                     report      results shown again
  scenarios what each scenario models              env         machine, disk, versions; no load
  completion, version
Read on: watchbench help run · help metrics (names in --json) · help words
`

// helpRun has a place for the engines' names.
const helpRun = `Measure one engine: load it with puts, watch with thousands of watchers, check every event.
  watchbench run -s slow -w 20k --streams 200 -r 5k -d 1m
  watchbench run -b bolt -s catchup --json catchup.json
What to measure                                                             default
  -b, --backend %-25sengine, in this process            %s
      --durability sync|relaxed[:100ms]  on disk before the answer, or not  sync
      --etcd-file FILE                   replay a real etcd file or snapshot; never changed
  -s, --scenario NAME[,NAME]             see 'watchbench scenarios'         the short form
How much
  -w, --watchers N      5000 (1)         -r, --rate N|max   intended puts/s 2000 (2)
      --streams N       50                   --writers N                    64
      --keys N          10000                --value-size SIZE              256
      --history N       100000 revisions -d, --duration T   per scenario    10s (3)
      --warmup T        2s                   --seed N                       random, printed
      --shape one-key|prefix|ranges|all  -c, --count N      repetitions     1
Where
      --dir DIR         data; kept       temporary, removed
      --json FILE|-     result           -q, --quiet  no progress    -v  rules, settings one by one
      --plan            only print what would be done      --no-keep  do not remember the result
      --color auto|always|never
(1) 1000 in catchup and interference   (2) on a shared prefix no more than gives 1M events/s
(3) 30s for slow and interference; catchup takes until all are synced
Counts take 5k and 1M, sizes 4KiB and 1MiB (KB and MB are decimal), times 500ms, 10s, 1m30s.
Short form (no -s, no -d): notify in three shapes, 4 s each after 1 s warm-up, catchup over 20,000
revisions, slow and interference 12 s each.
Exit: 0 measured · 1 promise broken · 2 wrong use · 3 could not measure · 130 Ctrl-C
`

const helpReport = `Show results again. Without a file: the newest of the last ten that run kept.
  watchbench report
  watchbench report main.json pr.json
Views                                                                       default
  (none)                what run printed: tables, 80 columns
      --color auto|always|never   -v  rules, settings one by one
FILE is a result of --json; - is standard input.
Exit: 0 shown · 2 wrong use, or a file that is no result · 3 could not be written
`

// helpWidth is how many columns a help text may take.
const helpWidth = 100

var helpTexts = map[string]func() string{
	"watchbench": func() string { return helpRoot },
	"run": func() string {
		var names []string
		for _, d := range engines.All() {
			names = append(names, d.Name)
		}
		return fmt.Sprintf(helpRun, strings.Join(names, "|"), defaultBackend)
	},
	"report":    func() string { return helpReport },
	"words":     func() string { return bench.WordsText(helpWidth) },
	"metrics":   helpMetrics,
	"scenarios": func() string { return "watchbench scenarios lists what each scenario models and how long it takes.\n" },
	"env": func() string {
		return "watchbench env prints machine, disk and versions. It writes 1 MiB to the temporary directory.\n"
	},
	"version": func() string { return "watchbench version prints the version of this program.\n" },
	"completion": func() string {
		return "watchbench completion bash|zsh|fish|powershell prints the completion for a shell.\n"
	},
}

// helpOf is the text on a topic, "" if there is none.
func helpOf(topic string) string {
	if text, ok := helpTexts[topic]; ok {
		return text()
	}
	return ""
}

func helpTopics() (topics []string) {
	for topic := range helpTexts {
		topics = append(topics, topic)
	}
	return topics
}

func helpMetrics() string {
	var b strings.Builder
	b.WriteString("Metrics of a result (--json). The unit ends the name; what was not measured is in not_measured.\n")
	for _, m := range bench.Metrics() {
		fmt.Fprintf(&b, "  %-30s %s\n", m.Name, m.Text)
	}
	return b.String()
}
