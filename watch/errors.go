package watch

import "errors"

// Sentinels. The first four are why a create was refused and come both from
// Stream.Watch and in a Created and Canceled response with id NoWatch; their
// texts are etcd's where etcd has one.
var (
	// ErrEmptyRange: the key is not below the range's end.
	ErrEmptyRange = errors.New("mvcc: watcher range is empty")
	// ErrDuplicateID: the id asked for is in use on this stream.
	ErrDuplicateID = errors.New("mvcc: duplicate watch ID provided on the WatchStream")
	// ErrNegativeID: the id asked for is below 0.
	ErrNegativeID = errors.New("watch: watch ID must not be negative")
	// ErrTooManyWatches: Config.MaxWatches or MaxWatchesPerStream is reached.
	ErrTooManyWatches = errors.New("watch: too many watches")

	// ErrNoWatch: no watch of that id is on this stream.
	ErrNoWatch = errors.New("watch: no such watch on this stream")
	// ErrLagging: a watch with Policy Cancel fell behind its bound.
	ErrLagging = errors.New("watch: consumer is too slow")
	// ErrStreamClosed: the stream was closed, or its hub was.
	ErrStreamClosed = errors.New("watch: stream is closed")
	// ErrHubClosed: the hub is closed.
	ErrHubClosed = errors.New("watch: hub is closed")
)
