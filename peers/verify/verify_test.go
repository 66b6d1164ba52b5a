// Package verify_test looks at what a real etcd server keeps of its promises.
package verify_test

import (
	"testing"
	"time"

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
	report, err := verify.Run(t.Context(), wire.New(conn, "etcd "+etcd.Version()), verify.Options{Compaction: true, Began: func(p string) { t.Log(time.Now().Format("05.000"), p) }})
	require.NoError(t, err)
	require.NoError(t, report.CleanUp)
	show(t, report)
	assert.Equal(t, []string{"C12", "X5"}, names(report.Of(verify.Broken)), "%+v", report.Of(verify.Broken))
	assert.Equal(t, []string{"C11 header revision", "C14", "S5", "N3 owed answer", "N7"}, names(report.Of(verify.OursBroken)))
}

func names(verdicts []verify.Verdict) (out []string) {
	for _, v := range verdicts {
		out = append(out, v.Rule)
	}
	return out
}

// show logs a report.
func show(t *testing.T, report *verify.Report) {
	for _, v := range report.Verdicts {
		t.Logf("%-20s %-12s %6d %s", v.Rule, v.Outcome, v.Times, v.Reason)
		if v.Break != nil {
			t.Logf("  %s, %d times", v.Break.Detail, v.Break.Times)
			for _, l := range v.Break.Record {
				t.Logf("    %v %-9s %s   %s", l.Mark, l.What, l.Text, l.Note)
			}
		}
	}
	t.Log(report.Took)
}
