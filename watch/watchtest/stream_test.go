package watchtest_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
	"github.com/watchkv/watchkv/watch/watchtest"
)

func to(id int64, r watch.Response) watch.Response { r.WatchID = id; return r }

func refused(err error) watch.Response {
	return watch.Response{WatchID: watch.NoWatch, Created: true, Canceled: true, Err: err}
}

// A right stream of several watches, refusals, an id used again, and
// requested progress.
func TestStream_AcceptsWhatIsRight(t *testing.T) {
	w := newWorld(t, abc...)
	s := watchtest.NewStream(w.history, 0)
	// Responses may be received before the requester says what they are for.
	require.NoError(t, s.Deliver([]watch.Response{to(0, live(1)), to(0, events(w.ev("a", 2)))}))
	_, err := s.Expect(0, key("a"), nil)
	require.NoError(t, err)
	_, err = s.Expect(5, modify(prefix("a", "c", 2), func(r *watch.Request) { r.ID = 5 }), nil)
	require.NoError(t, err)
	require.NoError(t, s.Refused(watch.Request{Key: []byte("b"), End: []byte("a")}, watch.ErrEmptyRange))
	require.NoError(t, s.Deliver([]watch.Response{refused(watch.ErrEmptyRange), to(5, created(6)), to(0, events(w.ev("a", 4)))}))

	s.CancelAsked(0)
	_, err = s.Expect(0, key("b"), nil)
	require.NoError(t, err)
	require.NoError(t, s.Deliver([]watch.Response{to(0, events(w.ev("a", 6))), to(0, canceled(6)), to(0, live(6))}))

	s.ProgressAsked(6)
	require.NoError(t, s.Deliver([]watch.Response{
		to(5, events(w.ev("a", 2), w.ev("b", 3), w.ev("a", 4), w.ev("a", 6))), to(5, caughtUp(6)), to(watch.NoWatch, progress(6)),
	}))
	assert.Zero(t, s.Owes())
	// An id used again may be told to have ended before Expect.
	w.history.Compacting(3)
	s.CancelAsked(0)
	require.NoError(t, s.Deliver([]watch.Response{to(0, canceled(6)), to(0, created(6)), to(0, compacted(6, 3))}))
	_, err = s.Expect(0, keyFrom("c", 2), nil)
	require.NoError(t, err)
	// Of two requests the first answer may cover both, or each gets one.
	s.ProgressAsked(6)
	s.ProgressAsked(6)
	require.NoError(t, s.Deliver([]watch.Response{to(watch.NoWatch, progress(6))}))
	s.ProgressAsked(7)
	require.NoError(t, s.Deliver([]watch.Response{to(watch.NoWatch, progress(6)), to(watch.NoWatch, progress(7))}))
	assert.Zero(t, s.Owes())
	require.NoError(t, s.Finish(6))

	counts := s.Counts()
	assert.Equal(t, int64(4), counts.Created)
	assert.Equal(t, int64(2), counts.Reused)
	assert.Equal(t, int64(1), counts.Refused)
	assert.Equal(t, int64(7), counts.Matched)
	assert.Equal(t, int64(5), counts.Progress, "an answer counts for both open watches")
}

func TestStream_NamesTheBrokenPromise(t *testing.T) {
	w := newWorld(t, abc...)
	for _, c := range []struct {
		rule, name string
		run        func(s *watchtest.Stream) error
	}{
		{"C3", "an empty range is granted", func(s *watchtest.Stream) error {
			_, err := s.Expect(0, watch.Request{Key: []byte("b"), End: []byte("a")}, nil)
			return err
		}},
		{"C3", "an empty range is refused for another reason", func(s *watchtest.Stream) error {
			return s.Refused(watch.Request{Key: []byte("b"), End: []byte("a")}, watch.ErrDuplicateID)
		}},
		{"C6", "a negative start is granted", func(s *watchtest.Stream) error {
			_, err := s.Expect(0, keyFrom("a", -1), nil)
			return err
		}},
		{"C6", "a negative start is refused with a compact revision", func(s *watchtest.Stream) error {
			require.NoError(t, s.Refused(keyFrom("a", -1), mvcc.ErrCompacted))
			r := refused(mvcc.ErrCompacted)
			r.CompactRevision = 3
			return s.Deliver([]watch.Response{r})
		}},
		{"C13", "another id is granted", func(s *watchtest.Stream) error {
			_, err := s.Expect(4, modify(key("a"), func(r *watch.Request) { r.ID = 3 }), nil)
			return err
		}},
		{"C13", "a refusal without a reason", func(s *watchtest.Stream) error {
			require.NoError(t, s.Refused(modify(key("a"), func(r *watch.Request) { r.ID = 3 }), watch.ErrDuplicateID))
			return s.Deliver([]watch.Response{refused(nil)})
		}},
		{"C14", "a negative id is granted", func(s *watchtest.Stream) error {
			_, err := s.Expect(-3, modify(key("a"), func(r *watch.Request) { r.ID = -3 }), nil)
			return err
		}},
		{"C15", "a watch nobody asked for", func(s *watchtest.Stream) error {
			if err := s.Deliver([]watch.Response{to(9, live(6))}); err != nil {
				return err
			}
			return s.Finish(6)
		}},
		{"X1", "a response after the end", func(s *watchtest.Stream) error {
			_, err := s.Expect(0, keyFrom("a", 2), nil)
			require.NoError(t, err)
			s.CancelAsked(0)
			return s.Deliver([]watch.Response{to(0, created(6)), to(0, canceled(6)), to(0, events(w.ev("a", 2)))})
		}},
		{"X5", "the old watch's events under a new one", func(s *watchtest.Stream) error {
			_, err := s.Expect(0, key("a"), nil)
			require.NoError(t, err)
			s.CancelAsked(0)
			_, err = s.Expect(0, key("b"), nil)
			require.NoError(t, err)
			return s.Deliver([]watch.Response{to(0, live(1)), to(0, canceled(6)), to(0, live(1)), to(0, events(w.ev("a", 2)))})
		}},
		{"N3", "an answer nobody asked for", func(s *watchtest.Stream) error {
			return s.Deliver([]watch.Response{to(watch.NoWatch, progress(6))})
		}},
		{"N3", "an answer below the request", func(s *watchtest.Stream) error {
			s.ProgressAsked(6)
			return s.Deliver([]watch.Response{to(watch.NoWatch, progress(5))})
		}},
		{"G6", "an answer before an event", func(s *watchtest.Stream) error {
			_, err := s.Expect(0, keyFrom("a", 2), nil)
			require.NoError(t, err)
			s.ProgressAsked(6)
			return s.Deliver([]watch.Response{to(0, created(6)), to(0, events(w.ev("a", 2))), to(watch.NoWatch, progress(6))})
		}},
	} {
		t.Run(c.rule+" "+c.name, func(t *testing.T) {
			s := watchtest.NewStream(w.history, 0)
			err := c.run(s)
			var b *watchtest.Broken
			require.ErrorAs(t, err, &b)
			assert.Equal(t, c.rule, b.ID, b.Error())
			assert.Equal(t, err, s.Deliver([]watch.Response{to(0, live(1))}), "a break is repeated")
			assert.Equal(t, err, s.Finish(6), "a break is repeated")
		})
	}
}

func TestVerdicts(t *testing.T) {
	c := watchtest.Counts{Events: 44, Matched: 44, EventResponses: 10, Progress: 3}
	verdicts := watchtest.Verdicts(c, &watchtest.Broken{Rule: watchtest.Rule{ID: "G4"}})
	require.Len(t, verdicts, len(watchtest.Rules()))
	outcome := map[string]watchtest.Verdict{}
	for _, v := range verdicts {
		outcome[v.ID] = v
	}
	assert.Equal(t, watchtest.Kept, outcome["G1"].Outcome)
	assert.Equal(t, int64(44), outcome["G1"].Checked)
	assert.Equal(t, watchtest.BrokenOnce, outcome["G4"].Outcome)
	assert.Equal(t, watchtest.NotChecked, outcome["P1"].Outcome)

	promises := map[string]watchtest.Verdict{}
	for _, p := range watchtest.Promises(verdicts) {
		promises[p.Name] = p
	}
	assert.Equal(t, watchtest.Kept, promises["ordered"].Outcome)
	assert.Equal(t, "G1 G8", promises["ordered"].ID)
	assert.Equal(t, watchtest.BrokenOnce, promises["atomic"].Outcome)
	assert.Equal(t, watchtest.NotChecked, promises["prevkv"].Outcome)
}
