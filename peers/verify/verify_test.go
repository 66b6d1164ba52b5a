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
	for _, rule := range strings.Fields(kept) {
		known[rule] = verify.Kept
	}
	for _, v := range report.Verdicts {
		want, ok := known[v.Rule]
		delete(known, v.Rule)
		if late := strings.Contains(v.Reason, "no answer within") || strings.Contains(v.Reason, "no time was left"); ok && !late {
			assert.Equal(t, want, v.Outcome, "%s %s", v.Rule, v.Reason)
		}
	}
	assert.Empty(t, known, "without a verdict")
	assert.GreaterOrEqual(t, len(report.Of(verify.Kept)), 30)
}

// kept are rules that etcd keeps and that are looked at whatever the machine,
// if there is time. The others need a scene that may not come about.
const kept = "G1 G2 G3 G4 G5 G6 G8 G9 C1 C2 C3 C6 C7 C8 C9 C10 C11 C13 C15 C17 C18 X1 X2 X3 " +
	"E1 E2 E3 E4 E5 E6 E7 E8 P1 F1 F2 S1 S2 S3 S4 N2 N3 N5 N6"

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
