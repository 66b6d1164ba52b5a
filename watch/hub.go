package watch

import (
	"context"

	"github.com/watchkv/watchkv/mvcc"
)

// Hub distributes the revisions of one store to watchers.
type Hub struct{ source *mvcc.Store }

// NewHub starts a hub over a store. The store must outlive it.
func NewHub(source *mvcc.Store, cfg Config) (*Hub, error) { return nil, cfg.validate() }

// Close ends all streams and waits for the hub's goroutines.
func (h *Hub) Close() error { return nil }

// NewStream opens a stream: one consumer with many watches. The name is for
// introspection only.
func (h *Hub) NewStream(name string) (*Stream, error) { return nil, nil }

// Stats reads the hub's figures.
func (h *Hub) Stats() Stats { return Stats{} }

// Watches describes every watch.
func (h *Hub) Watches() []WatchInfo { return nil }

// Stream is one consumer.
type Stream struct{}

// Watch begins a watch and returns its id. Its first response is Created. A
// refused watch is both an error here and a Created and Canceled response
// with id NoWatch.
func (s *Stream) Watch(r Request) (id int64, err error) { return 0, nil }

// Cancel ends a watch; ErrNoWatch if there is none of that id.
func (s *Stream) Cancel(id int64) error { return nil }

// RequestProgress asks for one progress notification with id NoWatch, owed
// until every watch of the stream is synced.
func (s *Stream) RequestProgress() error { return nil }

// Recv waits until there is something for the stream and returns what is
// there, at least one response. The slice is valid until the next Recv; the
// events in it stay valid. One caller at a time.
func (s *Stream) Recv(ctx context.Context) ([]Response, error) { return nil, nil }

// Close ends the stream and all its watches.
func (s *Stream) Close() error { return nil }
