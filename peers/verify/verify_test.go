// Package verify_test looks at what a real etcd server keeps of its promises.
package verify_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/watchkv/watchkv/bench/verify"
	"github.com/watchkv/watchkv/bench/verify/wire"
	"github.com/watchkv/watchkv/peers/etcd"
)

// Everything that etcd is known to break is found, and nothing else.
func TestRun_OnEtcd(t *testing.T) {
	server, err := etcd.Start(t.Context(), etcd.Config{Dir: t.TempDir(), NoFsync: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, server.Stop()) }()
	conn, err := grpc.NewClient(server.Client.Endpoints()[0][len("http://"):], append(wire.DialOptions(), grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	require.NoError(t, err)
	defer conn.Close()
	report, err := verify.Run(t.Context(), wire.New(conn, "etcd "+etcd.Version()), verify.Options{Compaction: true})
	require.NoError(t, err)
	require.Empty(t, report.Left)
	show(t, report)
	// etcd makes a watch and then reads the revision for its Created: now and
	// then a write comes between, C7 header revision.
	known := map[string]verify.Outcome{
		"C12": verify.Broken, "X5": verify.Broken,
		"C11 header revision": verify.OursBroken, "C14": verify.OursBroken, "S5": verify.OursBroken,
		"N3 owed answer": verify.OursBroken, "N7": verify.OursBroken,
	}
	assert.Subset(t, []string{"C12", "X5"}, names(report.Of(verify.Broken)))
	assert.Subset(t, []string{"C7 header revision", "C11 header revision", "C14", "S5", "N3 owed answer", "N7"}, names(report.Of(verify.OursBroken)))
	for _, v := range report.Verdicts {
		want, ok := known[v.Rule]
		if late := strings.Contains(v.Reason, "no answer within") || strings.Contains(v.Reason, "no time was left"); ok && !late {
			assert.Equal(t, want, v.Outcome, "%s %s", v.Rule, v.Reason)
		}
	}
}

func names(verdicts []verify.Verdict) (out []string) {
	for _, v := range verdicts {
		out = append(out, v.Rule)
	}
	return out
}

// show logs a report.
func show(t *testing.T, report *verify.Report) {
	var text strings.Builder
	require.NoError(t, verify.Text(&text, report, verify.TextOptions{Allow: "--allow-broken"}))
	t.Log("\n" + text.String())
}
