package etcd

import (
	"context"
	"fmt"
	"slices"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Status is what one endpoint says of itself.
type Status struct {
	Endpoint string
	Version  string
	Revision int64
	// DBBytes is the size of its file, InUseBytes the part that holds data.
	DBBytes, InUseBytes int64
	// QuotaBytes is 0 where the server does not tell it, which it does since
	// 3.6, and negative where it has none.
	QuotaBytes int64
	Leads      bool
	HasLeader  bool
	Learner    bool
	// Alarms that are raised, such as NOSPACE.
	Alarms []string
}

// statusOf asks one endpoint.
func statusOf(ctx context.Context, client *clientv3.Client, url, endpoint string) (Status, error) {
	r, err := client.Status(ctx, url)
	if err != nil {
		return Status{}, err
	}
	s := Status{
		Endpoint: endpoint, Version: r.Version, Revision: r.Header.GetRevision(),
		DBBytes: r.DbSize, InUseBytes: r.DbSizeInUse, QuotaBytes: r.DbSizeQuota,
		Leads: r.Leader != 0 && r.Leader == r.Header.GetMemberId(), HasLeader: r.Leader != 0, Learner: r.IsLearner,
	}
	for _, text := range r.Errors {
		// "memberID:10501334649042878790 alarm:NOSPACE", and "etcdserver: no
		// leader", which HasLeader says already.
		if _, alarm, found := strings.Cut(text, "alarm:"); found {
			text = strings.TrimSpace(alarm)
		} else if s.HasLeader {
			text = strings.TrimPrefix(text, "etcdserver: ")
		} else {
			continue
		}
		if !slices.Contains(s.Alarms, text) {
			s.Alarms = append(s.Alarms, text)
		}
	}
	return s, nil
}

// FreeBytes is the room below the quota of the endpoint that has least; known
// is false where one does not tell its quota. Without a quota there is no
// bound: free is then negative.
func FreeBytes(all []Status) (free int64, known bool) {
	free = -1
	for _, s := range all {
		switch {
		case s.QuotaBytes == 0:
			return 0, false
		case s.QuotaBytes < 0:
			continue
		}
		if left := max(0, s.QuotaBytes-s.DBBytes); free < 0 || left < free {
			free = left
		}
	}
	return free, true
}

// Unfit says why a server must not be loaded, or "".
func Unfit(all []Status) string {
	for _, s := range all {
		switch {
		case !s.HasLeader:
			return s.Endpoint + " has no leader"
		case s.Learner:
			return s.Endpoint + " is a learner, which takes no writes; name the voting members"
		case len(s.Alarms) > 0:
			return fmt.Sprintf("%s raises the alarm %s", s.Endpoint, strings.Join(s.Alarms, ", "))
		}
	}
	return ""
}
