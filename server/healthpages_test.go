package server_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/backendtest"
	"github.com/watchkv/watchkv/backend/mem"
	"github.com/watchkv/watchkv/server"
)

// page asks for a page and returns status, content type and text.
func (s *serving) page(method, target string) (code int, contentType, text string) {
	mux := http.NewServeMux()
	for path, page := range s.server.HealthPages() {
		mux.Handle(path, page)
	}
	mux.Handle("/version", s.server.VersionPage())
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(method, target, nil))
	return w.Code, w.Header().Get("Content-Type"), w.Body.String()
}

func TestHealthPages(t *testing.T) {
	s := serve(t, server.Config{})
	const plain = "text/plain; charset=utf-8"
	for _, c := range []struct {
		target, contentType, text string
	}{
		{"/health", plain, `{"health":"true","reason":""}`},
		{"/health?serializable=true", plain, `{"health":"true","reason":""}`},
		{"/livez", plain, "ok\n"},
		{"/livez?verbose", plain, "[+]serializable_read ok\nok\n"},
		{"/livez/serializable_read", plain, "ok\n"},
		{"/readyz", plain, "ok\n"},
		{"/readyz?verbose", plain, "[+]data_corruption ok\n[+]serializable_read ok\n[+]linearizable_read ok\n[+]non_learner ok\nok\n"},
		{"/readyz?verbose&exclude=linearizable_read&exclude=non_learner&exclude=unknown", plain, "[+]data_corruption ok\n[+]serializable_read ok\nok\n"},
		{"/readyz/data_corruption?verbose", plain, "[+]data_corruption ok\nok\n"},
		{"/version", "application/json", `{"etcdserver":"3.7.3","etcdcluster":"3.7.0","storage":"3.7.0"}`},
	} {
		code, contentType, text := s.page(http.MethodGet, c.target)
		require.Equal(t, http.StatusOK, code, c.target)
		require.Equal(t, c.text, text, c.target)
		require.Equal(t, c.contentType, contentType, c.target)
	}
	for _, target := range []string{"/health", "/livez", "/readyz/non_learner", "/version"} {
		code, _, text := s.page(http.MethodPost, target)
		require.Equal(t, http.StatusMethodNotAllowed, code)
		require.Equal(t, "Method Not Allowed\n", text)
	}
	code, _, _ := s.page(http.MethodGet, "/livez/data_corruption")
	require.Equal(t, http.StatusNotFound, code)
}

// TestHealthOfAFailedStore: R6: it still reads, which is what a serializable
// read asks for, and is not healthy.
func TestHealthOfAFailedStore(t *testing.T) {
	engine, err := mem.Driver().Open("", backend.Options{})
	require.NoError(t, err)
	faulty := backendtest.NewFaulty(engine)
	s := serveOver(t, faulty, server.Config{})
	faulty.Inject(backendtest.Fault{Call: backendtest.CallApply, N: 1, Err: errors.New("disk is gone")})
	_, err = s.store.Put(t.Context(), []byte("a"), nil)
	require.Error(t, err)

	code, _, text := s.page(http.MethodGet, "/health")
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Contains(t, text, `{"health":"false","reason":"RANGE ERROR:`)
	code, _, _ = s.page(http.MethodGet, "/health?serializable=true")
	require.Equal(t, http.StatusOK, code)
	code, _, _ = s.page(http.MethodGet, "/livez")
	require.Equal(t, http.StatusOK, code)
	code, _, text = s.page(http.MethodGet, "/readyz")
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Contains(t, text, "[+]serializable_read ok\n[-]linearizable_read failed: ")
}

// TestHealthUnderAlarm: an alarm is not healthy unless it is excluded, and
// damage is not ready.
func TestHealthUnderAlarm(t *testing.T) {
	s := serve(t, server.Config{})
	maintenance := pb.NewMaintenanceClient(s.conn(t))
	for _, c := range []struct {
		alarm pb.AlarmType
		ready string
	}{
		{alarm: pb.AlarmType_NOSPACE},
		{alarm: pb.AlarmType_CORRUPT, ready: "[-]data_corruption failed: alarm activated: CORRUPT\n"},
	} {
		do := func(action pb.AlarmRequest_AlarmAction) {
			_, err := maintenance.Alarm(t.Context(), &pb.AlarmRequest{Action: action, Alarm: c.alarm})
			require.NoError(t, err)
		}
		do(pb.AlarmRequest_ACTIVATE)
		code, contentType, text := s.page(http.MethodGet, "/health")
		require.Equal(t, http.StatusServiceUnavailable, code)
		require.Equal(t, "text/plain; charset=utf-8", contentType)
		require.Equal(t, `{"health":"false","reason":"ALARM `+c.alarm.String()+`"}`+"\n", text)
		code, _, _ = s.page(http.MethodGet, "/health?exclude="+c.alarm.String())
		require.Equal(t, http.StatusOK, code)
		code, _, text = s.page(http.MethodGet, "/readyz")
		if c.ready == "" {
			require.Equal(t, http.StatusOK, code)
		} else {
			require.Equal(t, http.StatusServiceUnavailable, code)
			require.Contains(t, text, c.ready)
			code, _, _ = s.page(http.MethodGet, "/readyz/data_corruption")
			require.Equal(t, http.StatusServiceUnavailable, code)
			code, _, _ = s.page(http.MethodGet, "/readyz?exclude=data_corruption")
			require.Equal(t, http.StatusOK, code)
		}
		code, _, _ = s.page(http.MethodGet, "/livez")
		require.Equal(t, http.StatusOK, code)
		do(pb.AlarmRequest_DEACTIVATE)
	}
	code, _, _ := s.page(http.MethodGet, "/health")
	require.Equal(t, http.StatusOK, code)
}
