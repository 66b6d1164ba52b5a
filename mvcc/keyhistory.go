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

// keyEntry is what the index has of a key, 72 bytes without a pointer. The
// newest version stands inline, because most keys are asked for nothing else;
// the older ones in a chain of blocks, each half as large as those before it
// together: a history grows without being moved, which would leave behind
// runs that no other history asks for.
type keyEntry struct {
	newest version

	// create and count are create revision and version number of newest; 0
	// when that is a tombstone. Kept here so that a put reads no record.
	create int64
	count  int64

	keyRun   run
	last     run // the newest block
	keyLen   uint32
	olderLen uint32 // versions before newest
	base     uint32 // versions in the blocks before the newest one
	room     uint32 // for versions in the newest block; 0: there is none
	before   uint32 // number of the block before, in index.blocks; 0: none
	next     uint32 // id of the next key with the same hash
}

// block is a full one of a key's older versions: all blocks but the newest.
type block struct {
	run    run
	base   uint32 // versions in the blocks before it
	before uint32 // as in keyEntry
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

// stretch is older versions that stand in one block: those from first on.
type stretch struct {
	first    int
	versions []version
	before   uint32 // the block before, 0: none
}

// newestStretch is the end of the older versions.
func (h keyHistory) newestStretch() stretch {
	return stretch{int(h.base), h.x.versions.at(h.last, int(h.olderLen-h.base)), h.before}
}

// stretchBefore is what stands before a stretch, which is not the first.
func (x *index) stretchBefore(s stretch) stretch {
	b := x.blocks.At(s.before)
	return stretch{int(b.base), x.versions.at(b.run, s.first-int(b.base)), b.before}
}

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
	h.x.live -= h.living()
	if !h.empty() {
		if h.olderLen-h.base == h.room {
			h.addBlock()
		}
		h.x.versions.at(h.last, int(h.room))[h.olderLen-h.base] = h.newest
		h.olderLen++
	}
	h.newest = makeVersion(kr)
	h.x.live += h.living()
}

// addBlock makes room for more older versions; the newest block is full.
func (h keyHistory) addBlock() {
	if h.room > 0 {
		h.before = h.x.blocks.Add(block{run: h.last, base: h.base, before: h.before})
	}
	h.base = h.olderLen
	to, room := h.x.versions.alloc(int(h.olderLen)/2 + 1)
	h.last, h.room = to, uint32(room)
}

// dropBlock lets go of the newest block.
func (h keyHistory) dropBlock() {
	h.x.versions.release(h.last, int(h.room))
	if h.before == 0 {
		h.last, h.room, h.base = run{}, 0, 0
		return
	}
	b := *h.x.blocks.At(h.before)
	h.x.blocks.Remove(h.before)
	h.last, h.room, h.base, h.before = b.run, h.base-b.base, b.base, b.before
}

func (h keyHistory) dropOlder() {
	for h.room > 0 {
		h.dropBlock()
	}
	h.olderLen = 0
}

// keepOlder forgets the older versions before the i-th.
func (h keyHistory) keepOlder(i int) {
	n := int(h.olderLen) - i
	to, room := h.x.versions.alloc(n)
	kept := h.x.versions.at(to, n)
	for s, end := h.newestStretch(), n; end > 0; {
		from := max(i-s.first, 0)
		end -= copy(kept[end-len(s.versions)+from:end], s.versions[from:])
		if end > 0 {
			s = h.x.stretchBefore(s)
		}
	}
	h.dropOlder()
	h.last, h.room, h.olderLen = to, uint32(room), uint32(n)
}

// undo takes back the newest version.
func (h keyHistory) undo(l life) {
	h.create, h.count = l.create, l.count
	h.x.live -= h.living()
	if h.olderLen == 0 {
		h.newest = version{}
		return
	}
	h.newest = h.at(int(h.olderLen) - 1)
	h.x.live += h.living()
	if h.olderLen--; h.olderLen == h.base {
		h.dropBlock()
	}
}

// empty: revision 0 is never assigned.
func (h *keyEntry) empty() bool { return h.newest.main == 0 }

// living is 1 if the key has a value now, 0 otherwise.
func (h *keyEntry) living() int {
	if h.empty() || h.newest.tombstone() {
		return 0
	}
	return 1
}

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
	s := h.newestStretch()
	for i < s.first {
		s = h.x.stretchBefore(s)
	}
	return s.versions[i-s.first]
}

// search returns the index of the first version with main >= rev.
func (h keyHistory) search(rev int64) int {
	if h.empty() || h.newest.main < rev {
		return h.len()
	}
	s := h.newestStretch()
	for s.first > 0 && s.versions[0].main >= rev {
		s = h.x.stretchBefore(s)
	}
	return s.first + sort.Search(len(s.versions), func(i int) bool { return s.versions[i].main >= rev })
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
		h.keepOlder(keep)
	}
	return keep
}
