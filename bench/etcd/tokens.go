package etcd

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// tokens authenticate the raw connections. clientv3's own way asks for a token
// with each stream, and a server spends a tenth of a second on each.
type tokens struct {
	client         *clientv3.Client
	user, password string

	mu    sync.Mutex
	token string
	since time.Time
}

// tokenAge is how long a token is used for new streams: well below the five
// minutes that etcd's tokens live.
const tokenAge = time.Minute

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (t *tokens) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.since.IsZero() || time.Since(t.since) > tokenAge {
		r, err := t.client.Authenticate(ctx, t.user, t.password)
		switch {
		case errors.Is(err, rpctypes.ErrAuthNotEnabled):
			t.token = ""
		case err != nil:
			return nil, err
		default:
			t.token = r.Token
		}
		t.since = time.Now()
	}
	if t.token == "" {
		return nil, nil
	}
	return map[string]string{rpctypes.TokenFieldNameGRPC: t.token}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials: as in
// etcd's own client, plain connections may carry tokens.
func (t *tokens) RequireTransportSecurity() bool { return false }
