package watchd

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/watchkv/watchkv/peers/process"
)

// Whatever comes in at the port, the server goes on serving others.
func TestHostile_Bytes(t *testing.T) {
	server := serveWatchd(t, "mem")
	r := rand.New(rand.NewPCG(1, 1))
	noise := make([]byte, 1<<16)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	const preface = http2.ClientPreface
	for name, sent := range map[string][]byte{
		"nothing":               nil,
		"one byte":              {'P'},
		"noise":                 noise,
		"noise after a preface": append([]byte(preface), noise...),
		"a TLS hello":           append([]byte{0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3}, noise[:512]...),
		"HTTP of no kind":       []byte("GET / NONSENSE\r\n\r\n"),
		"endless header":        append([]byte("GET /health HTTP/1.1\r\nX: "), bytes.Repeat([]byte("x"), 2<<20)...),
		"body without end":      []byte("POST /v3/kv/put HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n{"),
		"frame of 16 MiB":       append([]byte(preface), 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1),
		"unary, cut message":    oneCall("/etcdserverpb.KV/Put", []byte{0, 0, 0, 0, 200, 1, 2}),
		"unary, huge message":   oneCall("/etcdserverpb.KV/Put", []byte{0, 0xff, 0xff, 0xff, 0xff, 1, 2}),
		"unary, compressed":     oneCall("/etcdserverpb.KV/Put", []byte{1, 0, 0, 0, 2, 1, 2}),
		"unary, no message":     oneCall("/etcdserverpb.KV/Put", nil),
		"unary, bad message":    oneCall("/etcdserverpb.KV/Put", []byte{0, 0, 0, 0, 2, 0xff, 0xff}),
		"watch, bad message":    oneCall("/etcdserverpb.Watch/Watch", []byte{0, 0, 0, 0, 2, 0xff, 0xff}),
		"no such method":        oneCall("/etcdserverpb.KV/Nothing", []byte{0, 0, 0, 0, 0}),
		"no method":             oneCall("", []byte{0, 0, 0, 0, 0}),
		"resets":                resets(2000),
		"pings":                 pings(2000),
		"settings":              settings(2000),
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", server.Endpoint())
			require.NoError(t, err)
			go func() { _, _ = io.Copy(io.Discard, conn) }() // ends with conn
			_, _ = conn.Write(sent)                          // the server may hang up
			answered(t, server)
			require.NoError(t, conn.Close())
			answered(t, server)
		})
	}
	assert.NotContains(t, server.Log(), "panic")
	assert.NotContains(t, server.Log(), "goroutine ")
}

// answered puts a key, over a connection of its own.
func answered(t *testing.T, server *process.Server) {
	ctx, cancel := context.WithTimeout(t.Context(), programTimeout)
	defer cancel()
	client := dial(t, server.Endpoint())
	defer client.Close()
	_, err := client.Put(ctx, "k", "v")
	require.NoError(t, err)
}

// frames is what an HTTP/2 client sends.
func frames(write func(f *http2.Framer, headers func(path string) []byte)) []byte {
	var out, block bytes.Buffer
	out.WriteString(http2.ClientPreface)
	f := http2.NewFramer(&out, nil)
	if err := f.WriteSettings(); err != nil {
		panic(err) // a buffer takes everything
	}
	encoder := hpack.NewEncoder(&block)
	write(f, func(path string) []byte {
		block.Reset()
		for _, h := range [][2]string{
			{":method", "POST"}, {":scheme", "http"}, {":path", path}, {":authority", "a"},
			{"content-type", "application/grpc"}, {"te", "trailers"},
		} {
			if err := encoder.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]}); err != nil {
				panic(err)
			}
		}
		return block.Bytes()
	})
	return out.Bytes()
}

// oneCall is a call whose message, with its length in front, is data.
func oneCall(path string, data []byte) []byte {
	return frames(func(f *http2.Framer, headers func(string) []byte) {
		_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: headers(path), EndHeaders: true})
		_ = f.WriteData(1, true, data)
	})
}

// resets begins calls and takes them back at once.
func resets(n int) []byte {
	return frames(func(f *http2.Framer, headers func(string) []byte) {
		for i := range n {
			id := uint32(2*i + 1)
			_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: headers("/etcdserverpb.Watch/Watch"), EndHeaders: true})
			_ = f.WriteRSTStream(id, http2.ErrCodeCancel)
		}
	})
}

func pings(n int) []byte {
	return frames(func(f *http2.Framer, _ func(string) []byte) {
		for range n {
			_ = f.WritePing(false, [8]byte{})
		}
	})
}

func settings(n int) []byte {
	return frames(func(f *http2.Framer, _ func(string) []byte) {
		for range n {
			_ = f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1})
		}
	})
}

// Watch streams that are opened and dropped leave nothing behind: goroutines
// come back to where they were, and memory stays bounded.
func TestHostile_DroppedStreams(t *testing.T) {
	streams := 1000
	if *whole {
		streams = 10_000
	}
	server := serveWatchd(t, "mem")
	answered(t, server)
	before := gauge(t, server, "go_goroutines")
	for range 2 {
		drop(t, server, streams)
		require.Eventually(t, func() bool { return gauge(t, server, "go_goroutines") <= before+20 }, programTimeout, 5*poll,
			"goroutines: %v before", before)
		require.Eventually(t, func() bool { return gauge(t, server, "etcd_debugging_mvcc_watcher_total") == 0 }, programTimeout, 5*poll)
	}
	// Each stream cost what WIRE's measurements say, and not once more in the
	// second round.
	require.Less(t, resident(t, server), int64(64<<20)+int64(streams)*64<<10)
	answered(t, server)
}

// drop opens streams with a watch each, a hundred to a connection, and hangs
// up: every other connection without a word.
func drop(t *testing.T, server *process.Server, streams int) {
	const each = 100
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for range streams / each {
		conn, err := grpc.NewClient(server.Endpoint(), grpc.WithTransportCredentials(insecure.NewCredentials()))
		require.NoError(t, err)
		defer conn.Close()
		for i := range each {
			stream, err := pb.NewWatchClient(conn).Watch(ctx)
			require.NoError(t, err)
			key := []byte(fmt.Sprintf("dropped/%d", i))
			require.NoError(t, stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: &pb.WatchCreateRequest{Key: key}}}))
			created, err := stream.Recv()
			require.NoError(t, err)
			require.True(t, created.Created)
		}
	}
}

// V2, V4: clients that never read cost bounded memory, and one that reads is
// told everything meanwhile.
func TestHostile_SlowReaders(t *testing.T) {
	const readers, puts, size = 200, 200, 64 << 10
	server := serveWatchd(t, "mem")
	ctx, cancel := context.WithTimeout(t.Context(), 2*programTimeout)
	defer cancel()
	for range readers / 20 {
		conn, err := grpc.NewClient(server.Endpoint(), grpc.WithTransportCredentials(insecure.NewCredentials()))
		require.NoError(t, err)
		defer conn.Close()
		for range 20 {
			stream, err := pb.NewWatchClient(conn).Watch(ctx)
			require.NoError(t, err)
			require.NoError(t, stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: &pb.WatchCreateRequest{
				Key: []byte{0}, RangeEnd: []byte{0}, PrevKv: true,
			}}}))
			created, err := stream.Recv()
			require.NoError(t, err)
			require.True(t, created.Created)
		}
	}
	before := resident(t, server)
	client := dial(t, server.Endpoint())
	answers := client.Watch(ctx, "slow/", clientv3.WithPrefix(), clientv3.WithCreatedNotify())
	require.True(t, (<-answers).Created)
	value := strings.Repeat("v", size)
	for i := range puts {
		_, err := client.Put(ctx, fmt.Sprintf("slow/%d", i%10), value)
		require.NoError(t, err)
	}
	for seen := 0; seen < puts; {
		answer, ok := <-answers
		require.True(t, ok)
		require.NoError(t, answer.Err())
		seen += len(answer.Events)
	}
	// 13 MB of history, shared; if each reader had its own of the events it did
	// not read, it were 5 GB.
	grown := resident(t, server) - before
	require.Less(t, grown, int64(300<<20), "memory grew")
	t.Logf("%d readers that never read: memory grew by %d MiB over %d MiB of puts", readers, grown>>20, puts*size>>20)
}

// gauge reads one metric without labels.
func gauge(t *testing.T, server *process.Server, name string) float64 {
	answer, err := http.Get("http://" + server.Endpoint() + "/metrics")
	require.NoError(t, err)
	defer answer.Body.Close()
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			value, err := strconv.ParseFloat(text, 64)
			require.NoError(t, err)
			return value
		}
	}
	require.Fail(t, "no metric", name)
	return 0
}

// resident is the memory of the server's process in bytes.
func resident(t *testing.T, server *process.Server) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", server.PID()))
	require.NoError(t, err)
	pages, err := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	require.NoError(t, err)
	return pages * int64(os.Getpagesize())
}
