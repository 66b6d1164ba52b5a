package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/mvcc"
)

// alarm is one alarm of one member. After a restore the member may be another
// one than this.
type alarm struct {
	member uint64
	kind   pb.AlarmType
}

// alarms are what stays wrong until somebody has looked: NOSPACE is raised
// when the quota or the floor of free space is met, CORRUPT when damage is
// found. They are kept in the store and outlive a restart.
type alarms struct {
	store  *mvcc.Store
	member uint64
	log    *slog.Logger

	// noSpace and corrupt: there is such an alarm, of any member. Every
	// request that writes looks here.
	noSpace, corrupt atomic.Bool

	mu     sync.Mutex // leaf, also under the store's writer: guards active
	active []alarm    // ascending
}

// openAlarms reads the alarms that are kept.
func openAlarms(store *mvcc.Store, member uint64, log *slog.Logger) (*alarms, error) {
	a := &alarms{store: store, member: member, log: log}
	var bad error
	err := store.ScanBeside(backend.SpaceAlarm, func(key, _ []byte) bool {
		var m pb.AlarmMember
		if err := proto.Unmarshal(key, &m); err != nil {
			bad = fmt.Errorf("server: space alarm: key %x: %w: %w", key, err, mvcc.ErrDamaged)
			return false
		}
		a.set(alarm{m.MemberID, m.Alarm})
		return true
	})
	if err := errors.Join(bad, err); err != nil {
		return nil, err
	}
	for _, m := range a.get(pb.AlarmType_NONE) {
		log.Warn("an alarm is active: disarm it once its cause is gone", "alarm", m.Alarm.String(), "member-id", fmt.Sprintf("%x", m.MemberID))
	}
	return a, nil
}

// get lists alarms of a kind, NONE for all.
func (a *alarms) get(kind pb.AlarmType) (list []*pb.AlarmMember) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, m := range a.active {
		if kind == pb.AlarmType_NONE || kind == m.kind {
			list = append(list, m.message())
		}
	}
	return list
}

// activeAlarms are all that are raised.
func (s *Server) activeAlarms() []*pb.AlarmMember { return s.alarms.get(pb.AlarmType_NONE) }

func (m alarm) message() *pb.AlarmMember { return &pb.AlarmMember{MemberID: m.member, Alarm: m.kind} }

// key is etcd's: the whole message, and no value.
func (m alarm) key() ([]byte, error) { return proto.Marshal(m.message()) }

// set takes note of an alarm; false if it was there.
func (a *alarms) set(m alarm) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if slices.Contains(a.active, m) {
		return false
	}
	a.active = append(a.active, m)
	slices.SortFunc(a.active, func(x, y alarm) int {
		if x.kind != y.kind {
			return int(x.kind) - int(y.kind)
		}
		return int(min(max(int64(x.member)-int64(y.member), -1), 1))
	})
	a.noteLocked()
	return true
}

// clear forgets an alarm; false if there was none.
func (a *alarms) clear(m alarm) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := slices.Index(a.active, m)
	if i < 0 {
		return false
	}
	a.active = slices.Delete(a.active, i, i+1)
	a.noteLocked()
	return true
}

func (a *alarms) noteLocked() {
	has := func(kind pb.AlarmType) bool {
		return slices.ContainsFunc(a.active, func(m alarm) bool { return m.kind == kind })
	}
	a.noSpace.Store(has(pb.AlarmType_NOSPACE))
	a.corrupt.Store(has(pb.AlarmType_CORRUPT))
}

// activate raises an alarm and keeps it. It is in force also if it cannot be
// kept. What is in force changes while the store's writer stages, so that the
// order there is the order on disk.
func (a *alarms) activate(ctx context.Context, m alarm) error {
	if a.has(m) {
		return nil
	}
	key, err := m.key()
	if err != nil {
		return err
	}
	began := false
	_, err = a.store.Update(ctx, func(tx *mvcc.WriteTx) error {
		if began = a.set(m); !began {
			return nil
		}
		return tx.PutBeside(backend.SpaceAlarm, key, nil)
	})
	if err != nil {
		began = a.set(m) || began
	}
	if began {
		a.log.Warn("alarm raised", "alarm", m.kind.String(), "member-id", fmt.Sprintf("%x", m.member))
	}
	return err
}

// deactivate disarms an alarm; false if there was none. One that cannot be
// forgotten stays in force.
func (a *alarms) deactivate(ctx context.Context, m alarm) (was bool, err error) {
	key, err := m.key()
	if err != nil {
		return false, err
	}
	_, err = a.store.Update(ctx, func(tx *mvcc.WriteTx) error {
		if was = a.clear(m); !was {
			return nil
		}
		return tx.DeleteBeside(backend.SpaceAlarm, key)
	})
	if err != nil && was {
		a.set(m)
		return true, err
	}
	if was {
		a.log.Warn("alarm disarmed", "alarm", m.kind.String(), "member-id", fmt.Sprintf("%x", m.member))
	}
	return was, err
}

func (a *alarms) has(m alarm) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Contains(a.active, m)
}

// keepPatience is how long a request that was refused waits until the alarm it
// raised is kept.
const keepPatience = 5 * time.Second

// observe raises what the answer to a request tells of.
func (a *alarms) observe(ctx context.Context, err error) {
	if err == nil {
		return
	}
	var damage caused
	switch {
	case err == errNoSpaceAlarm, a.noSpace.Load():
		// The answer of an alarm, not of a full store.
	case status.Code(err) == codes.ResourceExhausted && errors.Is(err, rpctypes.ErrGRPCNoSpace):
		a.raise(ctx, pb.AlarmType_NOSPACE)
	}
	if errors.As(err, &damage) {
		a.raise(ctx, pb.AlarmType_CORRUPT)
	}
}

// raise activates an alarm of this member.
func (a *alarms) raise(ctx context.Context, kind pb.AlarmType) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepPatience)
	defer cancel()
	if err := a.activate(ctx, alarm{a.member, kind}); err != nil {
		a.log.Warn("an alarm could not be kept and ends with this process", "alarm", kind.String(), "error", err)
	}
}

// admit answers what an alarm says to a request that writes.
func (a *alarms) admit(w writing) error {
	switch {
	case a.corrupt.Load():
		return rpctypes.ErrGRPCCorrupt
	case w == writingPuts && a.noSpace.Load():
		return errNoSpaceAlarm
	}
	return nil
}

// errNoSpaceAlarm is rpctypes.ErrGRPCNoSpace to clients; here it tells the
// refusal of an alarm from that of a full store.
var errNoSpaceAlarm = status.Error(codes.ResourceExhausted, status.Convert(rpctypes.ErrGRPCNoSpace).Message())

// writing is what a request may do to the store.
type writing uint8

const (
	writingNoPuts writing = iota // deletes, compaction, what frees room
	writingPuts
)

// writingOf reports whether a transaction may put something in some branch.
func writingOf(r *pb.TxnRequest) writing {
	for _, branch := range [2][]*pb.RequestOp{r.Success, r.Failure} {
		for _, op := range branch {
			if op.GetRequestPut() != nil {
				return writingPuts
			}
			if nested := op.GetRequestTxn(); nested != nil && writingOf(nested) == writingPuts {
				return writingPuts
			}
		}
	}
	return writingNoPuts
}
