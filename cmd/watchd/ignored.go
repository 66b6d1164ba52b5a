package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// why says of etcd's settings that are accepted why nothing comes of them.
var why = []struct {
	reason string
	names  string // a name that ends in ! is a switch, one that ends in = is known to config files alone
}{
	{"watchd stands alone: no peers, no elections, no raft log", `
		listen-peer-urls initial-advertise-peer-urls initial-cluster initial-cluster-state initial-cluster-token
		heartbeat-interval election-timeout initial-election-tick-advance! pre-vote! raft-read-timeout raft-write-timeout
		strict-reconfig-check! force-new-cluster! max-learners downgrade-check-time
		snapshot-count snapshot-catchup-entries max-snapshots max-wals wal-dir
		discovery discovery-token discovery-endpoints discovery-dial-timeout discovery-request-timeout
		discovery-keepalive-time discovery-keepalive-timeout discovery-insecure-transport!
		discovery-insecure-skip-tls-verify! discovery-cert discovery-key discovery-cacert discovery-user
		discovery-password discovery-fallback discovery-proxy discovery-srv discovery-srv-name discovery-config=
		proxy= proxy-failure-wait= proxy-refresh-interval= proxy-dial-timeout= proxy-write-timeout= proxy-read-timeout=`},
	{"there are no peers to be secured against", `
		peer-cert-file peer-key-file peer-client-cert-auth! peer-client-cert-file peer-client-key-file
		peer-trusted-ca-file peer-cert-allowed-cn peer-cert-allowed-hostname peer-auto-tls! peer-crl-file
		peer-skip-client-san-verification! peer-transport-security=`},
	{"the JSON gateway does not go over the network, so it needs no certificate", `client-cert-file client-key-file`},
	{"users are not there yet", `auth-token bcrypt-cost auth-token-ttl`},
	{"writes are committed in groups by themselves; --durability says when they are answered", `
		backend-batch-interval backend-batch-limit unsafe-no-fsync!`},
	{"the engine sees to it", `
		backend-bbolt-freelist-type memory-mlock! bootstrap-defrag-threshold-megabytes
		compaction-batch-limit compaction-sleep-interval`},
	{"data are checked when they are read, and by watchd verify", `corrupt-check-time compact-hash-check-time`},
	{"none of etcd's features of today changes what clients see", `feature-gates`},
	{"logs are written by Go's slog; files are for logrotate (copytruncate)", `
		logger enable-log-rotation! log-rotation-config-json`},
	{"there is no tracing", `
		enable-distributed-tracing! distributed-tracing-address distributed-tracing-service-name
		distributed-tracing-instance-id distributed-tracing-sampling-rate`},
	{"the store of etcd v2 is not there", `v2-deprecation`},
}

// fileOnly are settings that are no flags.
const fileOnly = "="

func ignoredSettings() (all []setting) {
	for _, group := range why {
		for _, name := range strings.Fields(group.names) {
			s := setting{name: strings.TrimRight(name, "!="), group: groupIgnored, origin: ignored, word: "VALUE", text: group.reason}
			switch {
			case strings.HasSuffix(name, "!"):
				s.form, s.word = onOff, ""
			case strings.HasSuffix(name, fileOnly):
				s.word = fileOnly
			case strings.HasPrefix(name, "client-"):
				s.key = tlsKey + name
			case name == "feature-gates":
				s.take = checkGates
			}
			all = append(all, s)
		}
	}
	return all
}

// gates are those of etcd 3.7.
var gates = []string{
	"AllAlpha", "AllBeta", "CompactHashCheck", "FastLeaseKeepAlive", "InitialCorruptCheck", "LeaseCheckpoint",
	"LeaseCheckpointPersist", "PriorityRequest", "SetMemberLocalAddr", "StopGRPCServiceOnDefrag", "TxnModeWriteWithSharedBuffer",
}

// checkGates refuses what etcd would refuse.
func checkGates(_ *config, text string) error {
	for _, gate := range splitList(text) {
		name, value, _ := strings.Cut(gate, "=")
		if !slices.Contains(gates, name) {
			return fmt.Errorf("unrecognized feature gate %q%s", name, didYouMeanOr(name, gates, "; one of "+strings.Join(gates, ", ")))
		}
		if _, err := strconv.ParseBool(value); err != nil {
			return fmt.Errorf("%s is neither true nor false; write %s=true", name, name)
		}
	}
	return nil
}
