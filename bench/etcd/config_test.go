package etcd

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseTarget(t *testing.T) {
	for _, c := range []struct {
		text      string
		endpoints []string
		secure    bool
		wrong     string
	}{
		{"etcd://127.0.0.1:2379", []string{"127.0.0.1:2379"}, false, ""},
		{"etcd://127.0.0.1:2379/", []string{"127.0.0.1:2379"}, false, ""},
		{"etcds://a:1,b:2,etcds://c:3", []string{"a:1", "b:2", "c:3"}, true, ""},
		{"etcd://[::1]:2379", []string{"[::1]:2379"}, false, ""},
		{"", nil, false, "a server is missing"},
		{"127.0.0.1:2379", nil, false, "scheme is missing; write etcd://127.0.0.1:2379"},
		{"https://h:1", nil, false, "a server is named by etcds://h:1"},
		{"redis://h:1", nil, false, `scheme "redis" is unknown`},
		{"etcd://h", nil, false, "port is missing; write etcd://h:2379"},
		{"etcds://h", nil, false, "port is missing; write etcds://h:2379"},
		{"etcd://", nil, false, "a host is missing"},
		{"etcd://a:1,", nil, false, "a host is missing"},
		{"etcd://::1:2379", nil, false, "is not HOST:PORT"},
		{"etcd://u:p@h:1", nil, false, "a user is given by --user"},
		{"u:p@h:1", nil, false, "a user is given by --user"},
		{"https://u:p@h:1", nil, false, "a user is given by --user"},
		{"etcd://h:1/metrics", nil, false, "only hosts and ports go here"},
		{"etcd://a:1,etcds://b:2", nil, false, "endpoints of one server have one scheme"},
	} {
		endpoints, secure, err := ParseTarget(c.text)
		if c.wrong != "" {
			assert.ErrorContains(t, err, c.wrong, c.text)
			continue
		}
		require.NoError(t, err, c.text)
		assert.Equal(t, c.endpoints, endpoints, c.text)
		assert.Equal(t, c.secure, secure, c.text)
	}
}

func TestFreeBytes(t *testing.T) {
	for _, c := range []struct {
		what  string
		all   []Status
		free  int64
		known bool
	}{
		{"the fullest counts", []Status{{QuotaBytes: 100, DBBytes: 10}, {QuotaBytes: 100, DBBytes: 40}}, 60, true},
		{"over its quota", []Status{{QuotaBytes: 100, DBBytes: 140}}, 0, true},
		{"one does not tell", []Status{{QuotaBytes: 100}, {}}, 0, false},
		{"none set", []Status{{QuotaBytes: -1, DBBytes: 40}}, -1, true},
		{"one has none", []Status{{QuotaBytes: -1}, {QuotaBytes: 100}}, 100, true},
	} {
		free, known := FreeBytes(c.all)
		assert.Equal(t, c.free, free, c.what)
		assert.Equal(t, c.known, known, c.what)
	}
}

func TestUnfit(t *testing.T) {
	well := Status{Endpoint: "h:1", HasLeader: true}
	assert.Empty(t, Unfit([]Status{well, well}))
	for want, spoil := range map[string]func(*Status){
		"h:1 has no leader":                 func(s *Status) { s.HasLeader = false },
		"h:1 is a learner":                  func(s *Status) { s.Learner = true },
		"h:1 raises the alarm NOSPACE, odd": func(s *Status) { s.Alarms = []string{"NOSPACE", "odd"} },
	} {
		bad := well
		spoil(&bad)
		assert.Contains(t, Unfit([]Status{well, bad}), want)
	}
}
