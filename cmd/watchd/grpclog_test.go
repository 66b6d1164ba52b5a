package main

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestLogGRPC: clients who leave are no news, trouble is.
func TestLogGRPC(t *testing.T) {
	var out bytes.Buffer
	g := grpcLog{slog.New(slog.NewTextHandler(&out, nil))}
	g.Infoln("connected")
	g.Warning("odd")
	g.Errorf("Failed to send response chunk: %v", "gone")
	require.Empty(t, out.String())
	g.Errorf("Flush not supported in %T", g)
	require.Contains(t, out.String(), `level=WARN msg="Flush not supported in main.grpcLog" source=grpc`)
}
