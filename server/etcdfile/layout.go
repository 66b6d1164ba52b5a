package etcdfile

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/watchkv/watchkv/backend"
)

// Spaces of an etcd file, by etcd's bucket names. The first four are ours too,
// with their numbers.
const (
	spaceCluster        backend.Space = 5
	spaceMembers        backend.Space = 10
	spaceMembersRemoved backend.Space = 11
	spaceAuth           backend.Space = 20
	spaceAuthUsers      backend.Space = 21
	spaceAuthRoles      backend.Space = 22
)

// spaces lists every bucket of an etcd file.
func spaces() []backend.SpaceInfo {
	return append(backend.DefaultSpaces(),
		backend.SpaceInfo{Space: spaceCluster, Name: "cluster"},
		backend.SpaceInfo{Space: spaceMembers, Name: "members"},
		backend.SpaceInfo{Space: spaceMembersRemoved, Name: "members_removed"},
		backend.SpaceInfo{Space: spaceAuth, Name: "auth"},
		backend.SpaceInfo{Space: spaceAuthUsers, Name: "authUsers"},
		backend.SpaceInfo{Space: spaceAuthRoles, Name: "authRoles"},
	)
}

// Keys that etcd looks for.
var (
	metaScheduled       = []byte("scheduledCompactRev")
	metaFinished        = []byte("finishedCompactRev")
	metaConsistentIndex = []byte("consistent_index")
	metaTerm            = []byte("term")
	metaConfState       = []byte("confState")
	metaStorageVersion  = []byte("storageVersion")
	clusterVersionKey   = []byte("clusterVersion")
	authEnabledKey      = []byte("authEnabled")
	authRevisionKey     = []byte("authRevision")
)

// StorageVersion is what files say they are: the schema of etcd 3.7.
const StorageVersion = "3.7.0"

// Identity is who a file says it comes from. etcd's tools replace it.
type Identity struct {
	MemberID   uint64
	Name       string
	ClientURLs []string
	// Index and Term are raft's, as Status tells them.
	Index, Term uint64
}

// entry is one entry of a bucket.
type entry struct {
	space      backend.Space
	key, value []byte
}

// around are the entries beside records, leases, alarms and compaction marks.
func (id Identity) around() ([]entry, error) {
	member, err := json.Marshal(struct {
		ID         uint64   `json:"id"`
		PeerURLs   []string `json:"peerURLs"`
		Name       string   `json:"name,omitempty"`
		ClientURLs []string `json:"clientURLs,omitempty"`
	}{id.MemberID, []string{}, id.Name, id.ClientURLs})
	if err != nil {
		return nil, fmt.Errorf("etcdfile: the member as JSON: %w", err)
	}
	return []entry{
		{spaceAuth, authRevisionKey, number(1)},
		{spaceCluster, clusterVersionKey, []byte(StorageVersion)},
		{spaceMembers, strconv.AppendUint(nil, id.MemberID, 16), member},
		{backend.SpaceMeta, metaConfState, fmt.Appendf(nil, `{"voters":[%d],"auto_leave":false}`, id.MemberID)},
		{backend.SpaceMeta, metaConsistentIndex, number(max(id.Index, 1))},
		{backend.SpaceMeta, metaStorageVersion, []byte(StorageVersion)},
		{backend.SpaceMeta, metaTerm, number(max(id.Term, 1))},
	}, nil
}

func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// revBytes is the length of a record's key, one more if it is a tombstone's.
const revBytes = 17

// mark is a compaction mark's value: the record key of the revision.
func mark(rev int64) []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(rev))
	b = append(b, '_')
	return binary.BigEndian.AppendUint64(b, 0)
}
