package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
)

func TestLogSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		interceptor := logSlow(300*time.Millisecond, slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{ReplaceAttr: likeEtcd})))
		call := func(takes time.Duration, err error) {
			_, got := interceptor(t.Context(), &pb.PutRequest{Key: []byte("key")}, &grpc.UnaryServerInfo{FullMethod: "/etcdserverpb.KV/Put"},
				func(context.Context, any) (any, error) {
					<-time.After(takes)
					return nil, err
				})
			assert.Equal(t, err, got)
		}
		call(300*time.Millisecond, nil)
		assert.Empty(t, out.String())
		call(301*time.Millisecond, errors.New("no"))
		assert.Regexp(t, `^{"ts":"2000-01-01T00:00:00.601000Z","level":"warn","msg":"request stats","response type":"/etcdserverpb.KV/Put",`+
			`"start time":"[^"]+","time spent":"301ms","request size":5,"response size":0,"code":"Unknown","error":"no"}\n$`, out.String())
	})
}
