package main

// topic is what help and the reference page say of a command, beside its flags.
type topic struct {
	name     string
	use      string // its arguments
	files    bool   // they are result files
	brief    string // in the list of commands
	about    string // what it does, in whole sentences
	examples []example
	notes    string // below the flags, a line each
}

// example is a command line and what it is for.
type example struct{ line, what string }

const helpAbout = "watchbench measures how fast, and how faithfully, a store tells its watchers."

var helpExamples = []example{
	{"watchbench run", "this machine, a minute, nothing to set up"},
	{"watchbench run --target etcd://127.0.0.1:2379", "the etcd you have; writes under its own prefix"},
	{"watchbench run --etcd-file snap.db", "a real etcd's history, replayed"},
	{"watchbench compare pebble bolt badger", "side by side, with significance"},
	{"watchbench verify --target etcd://127.0.0.1:2379", "only the promises: kept, broken, not checked"},
}

const helpReadOn = "Read on: watchbench help run · help metrics (names for --gate and --slo) · help words"

const exitCodes = "Exit: 0 measured · 1 promise broken · 2 wrong use · 3 could not measure · 130 Ctrl-C"

// commandTopics are in the order of the list of commands. A command that is
// not there is not told of.
var commandTopics = []topic{
	{
		name: "run", brief: "measure one target",
		about: "Measure one target: load it with puts, watch with thousands of watchers, check every event.",
		examples: []example{
			{"watchbench run -s slow -w 20k --streams 200 -r 5k -d 1m", ""},
			{"watchbench run -b bolt -s catchup --json catchup.json", ""},
			{"watchbench run --target etcd://127.0.0.1:2379 -s notify,slow", ""},
		},
		notes: `(1) 1000 in catchup and interference, 15 in mixed   (2) 707 in mixed; on a shared prefix <= 1M events/s
(3) 30s for slow, interference, churn, compaction; 60s for mixed; catchup takes until all are synced
Counts take 5k and 1M, sizes 4KiB and 1MiB (KB and MB are decimal), times 500ms, 10s, 1m30s.
Short form (no -s, no -d): notify in three shapes, 4 s each after 1 s warm-up, catchup over 20,000 revisions, slow and interference 12 s each.
` + exitCodes,
	},
	{
		name: "compare", use: "TARGET TARGET...", brief: "several targets side by side",
		about: "Measure several targets in turn, under the same plan and seed, and say what differs.",
		examples: []example{
			{"watchbench compare pebble bolt badger", ""},
			{"watchbench compare pebble bolt badger etcd://127.0.0.1:2379 -s notify,catchup --count 6", ""},
			{"watchbench compare pebble pebble/relaxed:50ms mem -s notify --shape one-key --json three.json", ""},
		},
		notes: `TARGET is an engine (mem, bolt, pebble, badger), with /relaxed or /relaxed:50ms behind it if not sync, or a server, etcd://HOST:PORT. A server is reached over gRPC, engines in this process: the table says so.
A repetition of every target comes before the next; who begins changes, by the seed. Changes are against the first target, and shown when chance does not explain them (Mann-Whitney, p<0.05). Medians have 95% intervals from six repetitions on; fewer tell large differences only.
(1) 1000 in catchup and interference   (2) on a shared prefix no more than gives 1M events/s
(3) 12s for slow and interference; catchup takes until all are synced, or --longest
` + exitCodes,
	},
	{
		name: "diff", use: "OLD.json NEW.json", files: true, brief: "two results, gates for CI",
		about: "Hold a result against an older one: what changed, and what must not have.",
		examples: []example{
			{"watchbench diff main.json pr.json", ""},
			{"watchbench diff main.json pr.json --gate 'notify.p99 +10%' --gate 'put.max<250ms'", ""},
		},
		notes: `GATE is METRIC +N% (may grow by it), METRIC -N% (may fall by it), METRIC<VALUE or METRIC>VALUE. METRIC is notify.p99, which binds every shape that both files have, or notify/prefix.p99 for one; put/interference.max names a scenario. All names: watchbench help metrics.
A relative gate breaks when the change is beyond N% and chance does not explain it (Mann-Whitney, p<0.05). With one run a side it goes by the figure alone and says so; so it does with fewer than 6 where one side is always 0 and the other never. A metric that a file lacks is an error, never a pass.
Exit: 0 all gates hold · 1 a gate or a promise is broken · 2 wrong use, or files too unlike · 3 a figure is missing`,
	},
	{
		name: "max", brief: "largest load within an objective",
		about: "Find the largest put rate, or number of watchers, that holds an objective, and print the search.",
		examples: []example{
			{"watchbench max --slo 'notify.p99<20ms'", ""},
			{"watchbench max --slo 'notify.p99<20ms' --target etcd://127.0.0.1:2379", ""},
			{"watchbench max --slo 'notify.p99<20ms' --slo 'put.p99<50ms' --vary watchers -r 500", ""},
		},
		notes: `A load is held when all objectives are, the intended rate was reached within 1% and no backlog grew. The search climbs by 4, halves the gap to 5% and repeats the answer twice. Where the generator gives out first it says so: "at least 60,000: the client is the limit".
` + exitCodes,
	},
	{
		name: "verify", brief: "the promises alone",
		about: "Provoke every promise that can be seen from outside, and say of each: kept, broken, or not checked and why. No load, no figures; less than a minute.",
		examples: []example{
			{"watchbench verify", ""},
			{"watchbench verify -b bolt -v", "every rule on a line of its own"},
			{"watchbench verify --target etcd://127.0.0.1:2379 --plan", "what would be written"},
			{"watchbench verify --target etcd://127.0.0.1:2379 --allow-broken X5", ""},
		},
		notes: `A broken promise is shown with the shortest record that shows it. Ours are promises of watchkv alone: on a server they are shown and never count as broken. Rules by number: docs/guarantees.md.
Exit: 0 nothing broken, or only what is allowed · 1 broken · 2 wrong use · 3 could not be looked at · 130 Ctrl-C`,
	},
	{
		name: "top", brief: "the watches of a server, live",
		about: "Show who watches what on a server, in which state and how far behind, until q. The watch that is furthest behind comes first.",
		examples: []example{
			{"watchbench top --target etcd://127.0.0.1:2379", ""},
			{"watchbench top --target etcd://127.0.0.1:2379 --state behind --once", "a table, and no more"},
		},
		notes: `A watchd tells of each watch, on its page /debug/watchers. Any other etcd tells totals only, on its page /metrics.
Keys: s sorts by behind, queue or events/s; e shows every watch or only those behind; / filters by a part of range or client; q quits.
BEHIND is in revisions, FOR since the first of them was written, as far as seen from here. QUEUE and EVENTS/S are of the stream, with all its watches. A victim waits for its reader: its outbox was full. An unsynced one reads history.
Exit: 0 shown · 2 wrong use · 3 the server does not answer, or has no such page`,
	},
	{
		name: "report", use: "[FILE...]", brief: "results shown again", files: true,
		about: "Show results again. Without a file: the newest of the last ten that run kept.",
		examples: []example{
			{"watchbench report", ""},
			{"watchbench report main.json pr.json", ""},
			{"watchbench report --html report.html main.json", "one page that opens anywhere"},
			{"watchbench report --bench main.json > main.txt", "for benchstat, which can put engines side by side"},
		},
		notes: `FILE is a result or a comparison of --json; - is standard input. One view at a time; without one: the tables that run printed.
Exit: 0 shown · 2 wrong use, or a file that is no result · 3 could not be written`,
	},
	{
		name: "scenarios", use: "[NAME...]", brief: "what each scenario models",
		about: "List the scenarios, explain some, or print a file of them to change and run.",
		examples: []example{
			{"watchbench scenarios", ""},
			{"watchbench scenarios storm", "what it models, at length"},
			{"watchbench scenarios slow --yaml > slow.yaml", "a file of it, to change and run"},
		},
	},
	{
		name: "env", brief: "machine, disk, versions; no load",
		about: "Print machine, disk and versions. It writes 1 MiB to the temporary directory.",
	},
	{
		name: "completion", use: "bash|zsh|fish|powershell", brief: "for your shell",
		about: "Print what a shell needs to complete commands, flags and their values.",
		examples: []example{
			{"source <(watchbench completion bash)", "bash and, with its name, zsh: this session, or in .bashrc"},
			{"watchbench completion fish > ~/.config/fish/completions/watchbench.fish", ""},
			{"watchbench completion powershell | Out-String | Invoke-Expression", ""},
		},
	},
	{
		name: "help", use: "TOPIC", brief: "on a command, metrics, words",
		about: "Explain a command, or a matter: metrics are the names in results, words what the words mean.",
		examples: []example{
			{"watchbench help run", ""},
			{"watchbench help metrics", ""},
		},
	},
	{
		name: "version", brief: "of this program",
		about: "Print the version of this program.",
	},
}
