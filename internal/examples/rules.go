package examples

import (
	"regexp"
	"strings"
)

// Rule says how the commands are run that it matches. The first that matches
// counts.
type Rule struct {
	Match   string   // regular expression, over the command as it stands
	Append  string   // flags that make it small: the last one given wins
	Replace []string // old and new by turns: placeholders, what cannot be had
	Instead string   // a smaller command, where flags do not make it small enough
	Before  string   // a command that makes what the example takes for granted
	Exit    []int    // codes that are right; none is 0
	Says    string   // what the output has to contain
	Serves  string   // it goes on for ever: it is left running when it said this

	// Where is the test that runs it: nowhere, with the reason in Why, or with
	// the built program, in the module peers, or there beside a real etcd.
	Where Where
	Why   string // of Nowhere, Exit and Instead
	// Whole: a full run leaves the command as it stands.
	Whole bool
}

// Where is the place in which a command can be run.
type Where int

// The places.
const (
	Here    Where = iota // by the test of this package
	Peers                // in the module peers
	Etcd                 // in the module peers, with an etcd server
	Etcdctl              // in the module peers, which builds etcdctl, on the document's watchd
	Mention              // nowhere: a command named in a sentence; its help must exist
	Steps                // nowhere: steps of .ci/run, which must exist
	Nowhere              // nowhere, as Why says
)

var endpoint = regexp.MustCompile(`etcds?://[\w.:,-]+`)

// RuleFor returns the rule of a command, and false if there is none. A command
// that names an endpoint, or works in the folder peers, belongs to its test;
// localhost:2379 is the watchd that the document started before.
func RuleFor(e Example) (Rule, bool) {
	if e.Inline && named.MatchString(e.Text) {
		return Rule{Match: named.String(), Where: Mention}, true
	}
	for _, r := range rules {
		if !regexp.MustCompile(r.Match).MatchString(e.Text) {
			continue
		}
		if r.Where == Here && strings.HasPrefix(e.Text, "cd peers") {
			r.Where = Peers
		}
		if r.Where == Here && endpoint.MatchString(e.Text) && !strings.Contains(e.Text, localhost) {
			r.Where = Etcd
		}
		return r, true
	}
	return Rule{}, false
}

// named is a command without arguments: "watchbench compare does this".
var named = regexp.MustCompile(`^watchbench (compare|diff|max|report|verify|run|top|completion)$|^watchd (snapshot|snapshot restore|snapshot status|migrate|verify|version|help|completion)$`)

// Sizes for a test. What a scenario has no use for may not be given.
const (
	smallTimed  = "-w 40 --streams 4 -d 600ms --warmup 100ms --count 1"
	smallFilled = "-w 40 --streams 4 --history 300 --count 1"
	smallAll    = smallTimed + " --history 300"
)

// twoResults makes the files of a branch and of what it came from.
const twoResults = "for f in main pr; do [ -e $f.json ] || watchbench run -q -b mem -s notify --shape one-key -w 20 --streams 2 -d 300ms --warmup 0s --count 6 --json $f.json; done"

// served is what a watchd in a test is given: a port that is free, a log that
// is read.
const served = "--listen-client-urls http://127.0.0.1:0 --log-format json --log-outputs stderr"

const ready = "ready to serve client requests"

// snapDB is a snapshot that an etcd made.
const snapDB = `cp "$REPO/mvcc/testdata/etcd/snapshot.db" snap.db`

// restored makes a data directory, once, of a snapshot.
func restored(dir, engine string) string {
	return "[ -e " + dir + ` ] || watchd snapshot restore "$REPO/mvcc/testdata/etcd/snapshot.db" --data-dir ` + dir + " --backend " + engine
}

var rules = []Rule{
	{Match: `^(go run \./cmd/)?watchd( --(backend|data-dir|durability) \S+)+$`, Replace: []string{"/var/lib/watchd", "watchd", "/tmp/x", "x", "DIR", "dir"}, Append: served, Serves: ready},
	{Match: `^watchd .*--from-etcd snap\.db$`, Before: snapDB, Replace: []string{"/var/lib/watchd", "from-etcd.watchd"}, Append: served, Serves: ready},
	{Match: `^watchd migrate --from bolt:old\.watchd`, Before: restored("old.watchd", "bolt"), Whole: true},
	{Match: `^watchd (verify|snapshot save snap\.db) --data-dir default\.watchd`, Before: "rm -f snap.db; " + restored("default.watchd", "pebble"), Whole: true},
	{Match: `^watchd snapshot (restore|status) snap\.db`, Before: snapDB, Whole: true},
	{Match: `^watchd --auto-tls `, Replace: []string{"/var/lib/watchd", "watchd", "https://0.0.0.0:2379", "https://127.0.0.1:0,https://0.0.0.0:0"}, Append: "--log-format json", Serves: ready},
	{Match: `^etcdctl watch `, Serves: "PUT", Where: Etcdctl},
	{Match: `^(etcdctl|curl) `, Replace: []string{"/var/lib/watchd", "watchd"}, Where: Etcdctl},
	{Match: `^watchbench top --target etcd://localhost:2379`, Says: "watches", Whole: true},
	{Match: `^watchbench top --target \S+`, Says: "totals only", Whole: true},
	{Match: `^watchbench verify --target etcd://localhost:2379`, Says: "all promises kept", Whole: true},

	{Match: `^\.ci/run`, Where: Steps, Why: "it runs this test, among others"},
	{Match: `^(cd peers && )?go (build|vet|test) \./\.\.\.`, Where: Nowhere, Why: "steps of .ci/run do this"},
	{Match: `^go install `, Replace: []string{"github.com/watchkv/watchkv/cmd/watchbench@latest", "./cmd/watchbench"}, Whole: true},
	{Match: `^go run \./examples/embed-\w+`, Whole: true},
	{Match: `^go test \./watch .*-bench Idle`, Instead: "go test ./watch -list BenchmarkIdleWatchers | grep ^Benchmark", Why: "millions of watches", Whole: true},
	{Match: `^go test \./mvcc .*-bench 'Open/pebble`, Instead: "go test ./mvcc -list BenchmarkOpen | grep ^Benchmark", Why: "a million revisions", Whole: true},
	{Match: `^go test \./\w+ `, Append: "-benchtime 1x -count 1 -timeout 5m", Whole: true},

	// What compares with etcd's own store, in the module peers.
	// Those of an hour end at a last word that nothing knows: all before it was
	// understood.
	{Match: `go run \. contract`, Append: "zz", Exit: []int{2}, Says: " zz: not understood", Where: Peers, Why: "minutes to an hour; the module's tests run rows"},
	{Match: `go run \. matrix`, Append: "zz", Exit: []int{2}, Says: `scenario "zz": unknown`, Where: Peers, Why: "minutes"},
	{Match: `go run \. curves`, Append: "zz", Exit: []int{2}, Says: `curve "zz": unknown`, Where: Peers, Why: "half an hour"},
	{Match: `go run \. compare -h`, Exit: []int{2}, Says: "usage: go run . compare", Where: Peers, Why: "help of the flag package"},
	{Match: `go run \. compare -s catchup`, Append: "-w 20 --history 2k --pairs 1", Where: Peers},
	{Match: `go run \. compare -s notify`, Append: "-w 20 -d 500ms --warmup 100ms -r 500 --pairs 1", Where: Peers},
	{Match: `go run \./cmd/etcdfixture -out`, Where: Peers, Whole: true},
	{Match: `go run \./cmd/etcdfixture -revisions`, Append: "-revisions 500", Replace: []string{"/tmp/large.db", "large.db"}, Where: Peers, Whole: true},

	{Match: `^go generate \./cmd/watchbench$`, Instead: "go vet ./cmd/watchbench", Why: "it would write to the clone; TestReference compares what it writes"},
	{Match: `watchbench completion powershell`, Instead: "watchbench completion powershell", Why: "bash runs it"},
	{Match: `watchbench completion fish`, Before: "mkdir -p ~/.config/fish/completions", Whole: true},
	{Match: `watchbench completion bash`, Whole: true},
	{Match: `^watchbench report`, Replace: []string{"broken-TIME.json", "main.json"}, Before: twoResults + "; watchbench run -q -b mem -s catchup -w 20 --streams 2 --history 100", Whole: true},
	{Match: `watchbench (help|scenarios|env|version)( \w+)*$`, Whole: true},
	{Match: `watchbench scenarios slow --yaml > slow\.yaml$`, Whole: true},
	{Match: `watchbench run -f slow\.yaml`, Append: smallTimed, Before: "watchbench scenarios slow --yaml > slow.yaml"},

	{Match: `watchbench run .*--etcd-file snap\.db`, Append: "-w 20", Before: `cp "$REPO/mvcc/testdata/etcd/snapshot.db" snap.db`, Whole: true},
	{Match: `watchbench run .*--plan$`, Says: "nothing was", Whole: true},
	{Match: `watchbench run .*--like (main|storm)\.json`, Append: "-q", Before: twoResults, Whole: true},
	{Match: `watchbench run .*-s (catchup|storm)( |$)`, Append: smallFilled, Replace: []string{"ENGINE", "badger"}},
	{Match: `watchbench run .*-s (notify,catchup|interference)`, Append: smallAll, Replace: []string{"ENGINE", "mem"}},
	{Match: `watchbench run .*-s (notify|slow)`, Append: smallTimed, Replace: []string{"ENGINE", "bolt"}},
	{Match: `watchbench run( --target \S+)?$`, Append: smallAll, Whole: true},

	{Match: `^watchbench compare .*-s notify( |$)`, Append: "-w 20 --streams 2 -d 200ms --warmup 0s --count 1"},
	{Match: `^watchbench compare `, Append: "--shape one-key -w 20 --streams 2 -d 200ms --warmup 0s --history 100 --count 1"},
	{Match: `^watchbench diff main\.json pr\.json`, Before: twoResults, Exit: []int{0, 1}, Whole: true, Why: "two short runs may differ by more than the gate"},
	{Match: `^watchbench max `, Append: "-w 20 --streams 2 -d 200ms --warmup 0s --steps 3"},
	{Match: `^watchbench verify .*--allow-broken X5$`, Says: "nothing broken but X5, which is allowed", Whole: true},
	{Match: `^watchbench verify .*--plan$`, Says: "nothing was written: --plan", Whole: true},
	{Match: `^watchbench verify --target \S+$`, Exit: []int{1}, Says: "BROKEN", Whole: true, Why: "etcd breaks promises of its own, and it is the point to show that"},
	{Match: `^watchbench verify`, Whole: true},
}
