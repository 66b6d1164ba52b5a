package mvcc

import (
	"time"

	"github.com/watchkv/watchkv/backend"
)

// Stats are figures of a store. They are read without stopping it, so they
// need not be of one moment.
type Stats struct {
	Rev        int64 // visible
	Applied    int64 // last revision that is durable in the engine
	CompactRev int64
	Keys       int   // keys in the index, deleted ones with history included
	Revisions  int64 // versions in the index

	RecentBytes     int64 // records in the recent log
	RecentRevisions int64
	PendingBytes    int64 // visible and not durable yet; 0 in Sync

	Groups int64 // group commits acknowledged
	Puts   int64 // puts and deletes in them
	Txns   int64 // transactions in them that made a revision

	Applies      int64 // batches given to the engine
	ApplyTime    time.Duration
	ApplyLongest time.Duration

	Compactions      int64
	CompactedRecords int64

	// Failed is the text of the error that ended writing; empty while all is
	// well.
	Failed string

	// ScanNanosPerEntry and GetNanosPerRead are moving averages measured on
	// this engine while it runs: what an entry of History and a point read
	// cost. Before anything was measured they hold an estimate.
	ScanNanosPerEntry float64
	GetNanosPerRead   float64

	Engine backend.Stats
}
