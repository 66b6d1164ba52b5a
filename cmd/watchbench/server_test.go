package main

import (
	"bytes"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestStruck(t *testing.T) {
	given := []string{"run", "--user", "ann:secret", "--password", "secret", "--password=secret", "--user=bob:secret", "--user", "eve", "-s", "notify:x"}
	assert.Equal(t, []string{"run", "--user", "ann:***", "--password", "***", "--password=***", "--user=bob:***", "--user", "eve", "-s", "notify:x"}, struck(given))
	assert.Contains(t, given, "ann:secret", "the caller's stays as it is")
}

// A login in an address is in no recorded command and no error.
func TestWithoutLogin(t *testing.T) {
	for given, want := range map[string]string{
		"http://u:p@h/metrics":                  "http://***@h/metrics",
		"--server-metrics=http://u:p@h/metrics": "--server-metrics=http://***@h/metrics",
		"https://token@h":                       "https://***@h",
		"etcd://u:p/?#@q@h:1":                   "etcd://***@h:1",
		"u:p@h:1":                               "***@h:1",
		"http://127.0.0.1:2379/metrics":         "http://127.0.0.1:2379/metrics",
	} {
		assert.Equal(t, want, withoutLogin(given))
	}
	assert.Equal(t, []string{"--server-metrics", "http://***@h/metrics", "--server-metrics=http://***@h/"},
		struck([]string{"--server-metrics", "http://u:secret@h/metrics", "--server-metrics=http://u:secret@h/"}))
	for _, args := range [][]string{
		{"run", "--target", "etcd://root:secret@h:1"},
		{"run", "--target", "root:secret@h:1"},
		{"run", "--target", "http://root:secret@h:1"},
		{"run", "--target", "etcd://h:1", "--server-metrics", "http://root:secret@127.0.0.1:1/metrics"},
		{"run", "--target", "etcd://h:1", "--server-metrics", "root:secret@h"},
		{"compare", "pebble", "etcd://root:secret@h:1"},
		{"compare", "pebble", "root:secret@h:1"},
		{"compare", "etcd://root:secret@h:1"},
		{"run", "etcd://root:secret@h:1"},
	} {
		root := newRoot(quietTerminal(&bytes.Buffer{}), append([]string{"watchbench"}, args...))
		root.SetArgs(args)
		err := root.Execute()
		require.Error(t, err, args)
		assert.NotContains(t, err.Error(), "secret", args)
		assert.Contains(t, err.Error(), "***", args)
	}
}

func TestTyped(t *testing.T) {
	for n, want := range map[int64]string{1: "1MiB", 1 << 20: "1MiB", 1<<20 + 1: "2MiB", 5 << 30: "5.0GiB", 5<<30 + 1: "5.1GiB"} {
		assert.Equal(t, want, typed(n))
	}
}

// The variables of etcdctl are taken where a flag is not given, and named.
func TestServerFlags_Variables(t *testing.T) {
	r := &runCommand{}
	set := pflag.NewFlagSet("run", pflag.ContinueOnError)
	r.store.define(set)
	r.store.server.getenv = func(name string) string {
		return map[string]string{
			"ETCDCTL_USER": "ann", "ETCDCTL_PASSWORD": "secret", "ETCDCTL_COMMAND_TIMEOUT": "7s", "ETCDCTL_DIAL_TIMEOUT": "3s",
		}[name]
	}
	require.NoError(t, set.Parse([]string{"--dial-timeout", "2s"}))
	c, err := r.store.server.config("--target", "etcd://h:1", nil)
	require.NoError(t, err)
	assert.Equal(t, "ann", c.User)
	assert.Equal(t, "secret", c.Password)
	assert.Equal(t, "2s", c.DialTimeout.String())
	assert.Equal(t, "7s", c.CommandTimeout.String())
	assert.Equal(t, []string{"ETCDCTL_COMMAND_TIMEOUT", "ETCDCTL_USER", "ETCDCTL_PASSWORD"}, r.store.server.taken)
	assert.Nil(t, c.TLS)
}
