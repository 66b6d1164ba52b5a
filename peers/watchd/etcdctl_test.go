package watchd

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/peers/process"
)

// Every command of etcdctl says the same of watchd as of a real etcd, which
// the transcripts in testdata are from; but for ids, ports, times and sizes,
// and for what differing lists.
func TestEtcdctl(t *testing.T) {
	scripts, err := filepath.Glob("testdata/etcdctl/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, scripts)
	for i, path := range scripts {
		name := strings.TrimSuffix(filepath.Base(path), ".txt")
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		golden := strings.TrimSuffix(path, ".txt") + ".golden"
		t.Run(name, func(t *testing.T) {
			t.Run("etcd", func(t *testing.T) {
				t.Parallel()
				got := transcript(t, string(text), func(t *testing.T) *process.Server { return serveEtcd(t) })
				if *update {
					require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
				}
				want, err := os.ReadFile(golden)
				require.NoError(t, err)
				assert.Equal(t, string(want), got)
			})
			on := engines
			if !*whole {
				on = engines[i%len(engines) : i%len(engines)+1] // each script on one of them
			}
			for _, engine := range on {
				t.Run(engine, func(t *testing.T) {
					if *update {
						return
					}
					t.Parallel()
					want, err := os.ReadFile(golden)
					require.NoError(t, err)
					got := transcript(t, string(text), func(t *testing.T) *process.Server { return serveWatchd(t, engine) })
					assert.Equal(t, foresee(t, name, string(want)), got)
				})
			}
		})
	}
}

// transcript plays a script against servers that start makes.
func transcript(t *testing.T, text string, start func(*testing.T) *process.Server) string {
	server := start(t)
	s := &script{
		t: t, beside: map[string]*program{},
		env: map[string]string{"ENDPOINT": server.Endpoint(), "TMP": t.TempDir()},
	}
	if strings.Contains(text, "$OTHER") {
		s.env["OTHER"] = start(t).Endpoint()
	}
	ids := s.ids()
	text = s.run(text)
	for id, name := range ids {
		text = strings.ReplaceAll(text, id, name)
	}
	for name, value := range s.env {
		text = strings.ReplaceAll(text, value, "<"+name+">")
		if id, err := strconv.ParseUint(value, 16, 64); err == nil {
			text = strings.ReplaceAll(text, strconv.FormatUint(id, 10), "<"+name+">")
		}
	}
	for _, w := range neutralWords {
		text = w.pattern.ReplaceAllString(text, w.with)
	}
	return text
}

var (
	// captured is what "=> NAME" finds: the id of a lease or a member.
	captured = regexp.MustCompile(`\b[0-9a-f]{11,16}\b`)

	// neutralWords replace what cannot be equal: ids of the cluster, the member
	// and leases, and times.
	neutralWords = []struct {
		pattern *regexp.Regexp
		with    string
	}{
		{regexp.MustCompile(`"raft_term":\d+`), `"raft_term":<TERM>`},
		{regexp.MustCompile(`"RaftTerm" : \d+`), `"RaftTerm" : <TERM>`},
		{regexp.MustCompile(`took( = |\s)\S+`), "took$1<TIME>"},
		{regexp.MustCompile(`remaining\(\d+s\)`), "remaining(<S>)"},
		{regexp.MustCompile(`http://127\.0\.0\.1:0\b`), "<PEER>"},
		{captured, "<ID>"},
		{regexp.MustCompile(`\b\d{15,20}\b`), "<ID>"},
		{regexp.MustCompile(`"took":"[^"]+"`), `"took":"<TIME>"`},
		{regexp.MustCompile(`[\d.]+ [kM]?B, [\d.]+ [kM]?B, \d+%`), "<SIZE>, <SIZE>, <PART>"},
		// etcdutl hashes the whole file, with what is etcd's own.
		{regexp.MustCompile(`(?m)^[0-9a-f]{7,8}, (\d+, \d+), \d+ [kM]B, `), "<HASH>, $1, <SIZE>, "},
		{regexp.MustCompile(`"dbSizeInUse":\d+,`), ""},
		// In the order of ids; a short one has a blank before it.
		{regexp.MustCompile(`ETCD_INITIAL_CLUSTER=".*"`), "ETCD_INITIAL_CLUSTER=<MEMBERS>"},
		{regexp.MustCompile(`Member +<`), "Member <"},
		{regexp.MustCompile(`"(dbSize|totalSize|raftIndex|raftAppliedIndex)":\d+`), `"$1":<N>`},
		{regexp.MustCompile(`"(DBSize|DBSizeInUse|RaftIndex|RaftAppliedIndex)" : \d+`), `"$1" : <N>`},
		{regexp.MustCompile(`(true|false, 2), \d+, \d+, `), "$1, <N>, <N>, "},
		{regexp.MustCompile(`"TTL" : \d+`), `"TTL" : <S>`},
		// The columns of tables are as wide as ids.
		{regexp.MustCompile(`─+`), "─"},
		{regexp.MustCompile(` *│ *`), "│"},
		// etcdutl's log.
		{regexp.MustCompile(`(?m)^20\d\d-\S+Z\t.*\n`), ""},
	}
)

// ids are those of the cluster and the member, in both notations; none from a
// server that does not tell them.
func (s *script) ids() map[string]string {
	out, code := s.ran("", "member list -w json", "")
	if code != 0 {
		return nil
	}
	var list struct {
		Header struct {
			Cluster uint64 `json:"cluster_id"`
			Member  uint64 `json:"member_id"`
		}
	}
	require.NoError(s.t, json.Unmarshal([]byte(out), &list), out)
	ids := map[string]string{}
	for name, id := range map[string]uint64{"<CLUSTER>": list.Header.Cluster, "<MEMBER>": list.Header.Member} {
		ids[strconv.FormatUint(id, 10)] = name
		ids[fmt.Sprintf("%x", id)] = name
	}
	return ids
}

// differing is what watchd says otherwise to a command of a script, and why.
// With a pattern only what that matches of etcd's words is replaced.
var differing = []struct{ script, command, pattern, says, why string }{
	{
		script: "watch", command: ">w watch k --rev 4 -w json", pattern: `"raft_term":<TERM>`, says: `"revision":8,"raft_term":<TERM>`,
		why: "C11: whoever is told of compaction hears the current revision too",
	},
	{script: "cluster", command: "> member list", pattern: "<PEER>", why: noPeers},
	{script: "cluster", command: "> member list -w json", pattern: `"peerURLs":\["<PEER>"\],`, why: noPeers},
	{script: "cluster", command: "> member list -w fields", pattern: `"PeerURL" : "<PEER>"\n`, why: noPeers},
	{script: "cluster", command: "> member list -w table", pattern: "<PEER>", why: noPeers},
	{script: "cluster", command: "> member list --consistency s", pattern: "<PEER>", why: noPeers},
	{script: "cluster", command: "> member list => M", pattern: "<PEER>", why: noPeers},
	{
		script: "cluster", command: "> downgrade validate 3.6", says: "Error: etcdserver: invalid downgrade target version\n[exit 1]\n",
		why: "there is no earlier release whose form of data could be gone back to",
	},
	{
		script: "cluster", command: "> member add other --peer-urls http://127.0.0.1:1",
		says: "Error: etcdserver: re-configuration failed due to not enough started members\n[exit 1]\n", why: noPeers,
	},
	{
		script: "history", command: "> endpoint hashkv --rev 3",
		says: "Failed to get the hash of endpoint <ENDPOINT> (etcdserver: mvcc: required revision has been compacted)\n" +
			"Error: etcdserver: mvcc: required revision has been compacted\n[exit 1]\n",
		why: "etcd keeps the hashes that it took at its last compactions",
	},
	{
		script: "kv", command: "> get a/ --prefix --stream --sort-by VALUE", says: "a/x\n10\na/y\n9\na/z\n\n",
		why: "etcd refuses to sort a stream, but sorts each part of it if no order is named",
	},
	{script: "auth", command: "> user add u:p", says: noUsers, why: "there is no authentication"},
	{script: "auth", command: "> user add v --no-password", says: noUsers, why: "there is no authentication"},
	{script: "auth", command: "> role add r", says: noUsers, why: "there is no authentication"},
}

const (
	noPeers = "a member that stands alone has no peers"
	noUsers = "Error: rpc error: code = Unimplemented desc = etcdserver: watchd keeps no users and no roles\n[exit 1]\n"
)

// foresee is what watchd should say where etcd says text.
func foresee(t *testing.T, script, text string) string {
	for _, d := range differing {
		if d.script != script {
			continue
		}
		at := strings.Index(text, d.command+"\n")
		require.GreaterOrEqual(t, at, 0, "%s: no %s", script, d.command)
		after := at + len(d.command) + 1
		end := len(text)
		if next := nextCommand.FindStringIndex(text[after:]); next != nil {
			end = after + next[0]
		}
		says := d.says
		if d.pattern != "" {
			p := regexp.MustCompile(d.pattern)
			require.Regexp(t, p, text[after:end], d.command)
			says = p.ReplaceAllLiteralString(text[after:end], d.says)
		}
		text = text[:after] + says + text[end:]
	}
	return text
}

// nextCommand is where the next command of a transcript begins, or what stands
// before it.
var nextCommand = regexp.MustCompile(`(?m)^(\w*>|\?|\n?#)`)
