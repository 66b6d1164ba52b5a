package mvcc

import "sort"

// version is one entry of a key's history, 16 bytes: main revision, and sub
// revision with the tombstone flag in its lowest bit.
type version struct {
	main    int64
	subFlag int64
}

const maxSub = 1<<62 - 1

func makeVersion(kr KeyRev) version {
	v := version{main: kr.Main, subFlag: kr.Sub << 1}
	if kr.Tombstone {
		v.subFlag |= 1
	}
	return v
}

func (v version) tombstone() bool { return v.subFlag&1 == 1 }

func (v version) keyRev() KeyRev {
	return KeyRev{Main: v.main, Sub: v.subFlag >> 1, Tombstone: v.tombstone()}
}

// keyEntry is what the index has of a key, 64 bytes without a pointer. The
// newest version stands inline, because most keys are asked for nothing else.
type keyEntry struct {
	newest version

	// create and count are create revision and version number of newest; 0
	// when that is a tombstone. Kept here so that a put reads no record.
	create int64
	count  int64

	keyRun    run
	olderRun  run
	keyLen    uint32
	olderLen  uint32 // versions before newest
	olderRoom uint32
	next      uint32 // id of the next key with the same hash
}

// keyHistory is one key's versions in ascending order. Two versions may have
// the same main: a put and the delete that a later operation of the same
// transaction made. A history is never empty while it is in the index. It is
// good as long as its key is in the index, and what it hands out of the
// index's memory no longer than that.
type keyHistory struct {
	*keyEntry
	x  *index
	id uint32
}

func (h keyHistory) key() []byte { return h.x.keys.at(h.keyRun, int(h.keyLen)) }

func (h keyHistory) older() []version { return h.x.versions.at(h.olderRun, int(h.olderLen)) }

// life is what put and delete overwrite and undo restores.
type life struct{ create, count int64 }

// put adds a put and returns create revision and version number of it.
func (h keyHistory) put(kr KeyRev) (create, count int64) {
	if h.empty() || h.newest.tombstone() {
		h.create, h.count = kr.Main, 0
	}
	h.count++
	h.add(kr)
	return h.create, h.count
}

// delete adds a tombstone.
func (h keyHistory) delete(kr KeyRev) {
	h.create, h.count = 0, 0
	h.add(kr)
}

// restored adds a version read from disk, which brings its own numbers.
func (h keyHistory) restored(kr KeyRev, l life) {
	h.create, h.count = l.create, l.count
	h.add(kr)
}

func (h keyHistory) add(kr KeyRev) {
	if !h.empty() {
		n := int(h.olderLen)
		if h.olderLen == h.olderRoom {
			h.moveOlder(0, n+n/2+1)
		}
		h.olderLen++
		h.older()[n] = h.newest
	}
	h.newest = makeVersion(kr)
}

// moveOlder moves the older versions from the i-th on to where there is room
// for n.
func (h keyHistory) moveOlder(i, n int) {
	to, room := h.x.versions.alloc(n)
	kept := copy(h.x.versions.at(to, n), h.older()[i:])
	h.dropOlder()
	h.olderRun, h.olderLen, h.olderRoom = to, uint32(kept), uint32(room)
}

func (h keyHistory) dropOlder() {
	if h.olderRoom > 0 {
		h.x.versions.release(h.olderRun, int(h.olderRoom))
	}
	h.olderRun, h.olderLen, h.olderRoom = run{}, 0, 0
}

// undo takes back the newest version.
func (h keyHistory) undo(l life) {
	h.create, h.count = l.create, l.count
	n := h.olderLen
	if n == 0 {
		h.newest = version{}
		return
	}
	h.newest = h.older()[n-1]
	h.olderLen = n - 1
}

// empty: revision 0 is never assigned.
func (h *keyEntry) empty() bool { return h.newest.main == 0 }

// len counts the versions.
func (h *keyEntry) len() int {
	if h.empty() {
		return 0
	}
	return int(h.olderLen) + 1
}

// at returns the i-th version, oldest first.
func (h keyHistory) at(i int) version {
	if i == int(h.olderLen) {
		return h.newest
	}
	return h.older()[i]
}

// search returns the index of the first version with main >= rev.
func (h keyHistory) search(rev int64) int {
	if h.empty() {
		return 0
	}
	older := h.older()
	i := sort.Search(len(older), func(i int) bool { return older[i].main >= rev })
	if i == len(older) && h.newest.main < rev {
		i++
	}
	return i
}

// versionAt is the newest version with main <= rev, a tombstone included.
func (h keyHistory) versionAt(rev int64) (version, bool) {
	if h.empty() {
		return version{}, false
	}
	if h.newest.main <= rev {
		return h.newest, true
	}
	i := h.search(rev + 1)
	if i == 0 {
		return version{}, false
	}
	return h.at(i - 1), true
}

// liveAt is the version that a reader at rev sees.
func (h keyHistory) liveAt(rev int64) (version, bool) {
	v, ok := h.versionAt(rev)
	return v, ok && !v.tombstone()
}

// holds reports whether exactly this version is in the history.
func (h keyHistory) holds(kr KeyRev) bool {
	want := makeVersion(kr)
	for i := h.search(kr.Main); i < h.len() && h.at(i).main == kr.Main; i++ {
		if h.at(i) == want {
			return true
		}
	}
	return false
}

// compact forgets what nobody at rev or later can see and returns how many
// versions that were. Kept are: everything with main >= rev, tombstones
// included, so that the events of revision rev survive; and, when nothing has
// main == rev, the newest version below it unless it is a tombstone. The
// history may be empty afterwards.
func (h keyHistory) compact(rev int64) int {
	keep := h.search(rev)
	n := h.len()
	if keep > 0 && (keep == n || h.at(keep).main > rev) && !h.at(keep-1).tombstone() {
		keep--
	}
	switch {
	case keep == 0:
		return 0
	case keep == n:
		h.dropOlder()
		h.newest, h.create, h.count = version{}, 0, 0
	case keep == n-1:
		h.dropOlder()
	default:
		h.moveOlder(keep, n-1-keep)
	}
	return keep
}
