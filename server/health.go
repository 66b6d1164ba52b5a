package server

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// healthService is grpc's health service. It answers for the server as a
// whole, the service with the empty name.
type healthService struct {
	healthpb.UnimplementedHealthServer
	server *Server
}

// healthInterval is how late a Watch may be.
const healthInterval = time.Second

func (h *healthService) status() healthpb.HealthCheckResponse_ServingStatus {
	if h.server.stopping.Err() != nil || h.server.parts.Store.Stats().Failed != "" {
		return healthpb.HealthCheckResponse_NOT_SERVING
	}
	return healthpb.HealthCheckResponse_SERVING
}

// Check implements grpc_health_v1.HealthServer.
func (h *healthService) Check(_ context.Context, r *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	if r.Service != "" {
		return nil, status.Error(codes.NotFound, "unknown service")
	}
	return &healthpb.HealthCheckResponse{Status: h.status()}, nil
}

// List implements grpc_health_v1.HealthServer.
func (h *healthService) List(context.Context, *healthpb.HealthListRequest) (*healthpb.HealthListResponse, error) {
	return &healthpb.HealthListResponse{Statuses: map[string]*healthpb.HealthCheckResponse{"": {Status: h.status()}}}, nil
}

// Watch implements grpc_health_v1.HealthServer: the present status, and what
// it changes to, until the server stops.
func (h *healthService) Watch(r *healthpb.HealthCheckRequest, stream healthpb.Health_WatchServer) error {
	now := h.status
	if r.Service != "" {
		now = func() healthpb.HealthCheckResponse_ServingStatus { return healthpb.HealthCheckResponse_SERVICE_UNKNOWN }
	}
	ticker := time.NewTicker(healthInterval)
	defer ticker.Stop()
	sent := healthpb.HealthCheckResponse_UNKNOWN
	for {
		stopping := h.server.stopping.Err() != nil
		if s := now(); s != sent {
			if err := stream.Send(&healthpb.HealthCheckResponse{Status: s}); err != nil {
				return err
			}
			sent = s
		}
		if stopping {
			return status.Error(codes.Unavailable, "etcdserver: server stopped")
		}
		select {
		case <-ticker.C:
		case <-h.server.stopping.Done():
		case <-stream.Context().Done():
			return status.FromContextError(stream.Context().Err()).Err()
		}
	}
}
