package mvcc

// RangeOptions says what a Range wants. The zero value wants every key of the
// range, with values, as of now.
type RangeOptions struct {
	// Rev is the revision to read at; 0 or less is the current one.
	Rev int64
	// Limit bounds the keys returned; 0 or less: all.
	Limit int64
	// CountOnly returns Count and no keys.
	CountOnly bool
	// KeysOnly returns keys without values and leases, mostly from the index.
	KeysOnly bool
	// NoCount does not look beyond the keys returned: Count is then their
	// number, and one more if there are more.
	NoCount bool
	// MaxBytes ends the answer with the key whose record, or with KeysOnly
	// whose name, reaches it; 0: no bound. At least one key is returned.
	MaxBytes int
}

// RangeResult is the answer to a Range.
type RangeResult struct {
	KVs   []KeyValue // ascending by key, frozen
	Count int64      // keys in the range, whatever the limit
	More  bool       // the limit or MaxBytes cut the answer
	Rev   int64      // current revision when it was answered
}

// HistoryQuery says which part of history a chunk shall cover.
type HistoryQuery struct {
	From  int64                 // first revision wanted
	To    int64                 // last revision wanted; cut to what is applied
	Match func(key []byte) bool // nil: every key; must not keep the slice
	// MaxEvents bounds the matched events, MaxScan the entries looked at,
	// MaxBytes the bytes of matched records. Each 0: no bound. A chunk covers
	// at least one revision whatever the bounds.
	MaxEvents int
	MaxScan   int
	MaxBytes  int64
	// Expect is about how many events there will be, 0 if nobody knows: their
	// memory is taken at once.
	Expect int
	// Apart gives each event memory of its own instead of one arena for all:
	// for who hands them to many that keep them for different times.
	Apart bool
}

// Chunk is a part of history.
type Chunk struct {
	// Events holds every matched event of [From, Next), ascending. Their
	// bytes lie in one arena that belongs to the chunk, unless Apart.
	Events []Event
	// Next is the first revision not covered; a chunk ends between revisions.
	Next         int64
	Scanned      int   // entries looked at
	ScannedBytes int64 // their bytes
	Bytes        int64 // bytes of the matched records
}

// KeyRev is one version of one key, as the index knows it.
type KeyRev struct {
	Main, Sub int64
	Tombstone bool
}

// RevLimits bounds a look through the index. 0: no bound.
type RevLimits struct {
	MaxKeys int // keys visited
	MaxRevs int // revisions returned
}

// HashResult is the answer to HashKV.
type HashResult struct {
	Hash       uint32
	Rev        int64 // current revision
	CompactRev int64 // -1 if never compacted, as etcd answers
	HashRev    int64 // the revision hashed
}
