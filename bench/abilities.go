package bench

import (
	"fmt"
)

// RefusedError says why a scenario cannot be measured on a target. Nothing was
// written then.
type RefusedError struct {
	Scenario, Reason string
}

func (e *RefusedError) Error() string { return e.Scenario + ": " + e.Reason }

// able refuses a plan that has a scenario which the target cannot do.
func able(p Plan, target Target) error {
	for _, sc := range p.Scenarios {
		reason, err := lacks(sc, target)
		if err != nil {
			return err
		}
		if reason != "" {
			return &RefusedError{Scenario: sc.Name, Reason: reason}
		}
	}
	return nil
}

// lacks says what a scenario needs and the target has not; "" if it has all.
func lacks(sc Scenario, target Target) (reason string, err error) {
	if _, ok := target.(Filler); sc.History > 0 && sc.Name != Replay && !ok {
		return "needs a history, and this target cannot be filled with one", nil
	}
	switch sc.Name {
	case Compaction:
		if _, ok := target.(Compactor); !ok {
			return "would cut the history that all clients of this server share; --allow-compaction allows it", nil
		}
	case Mixed:
		if _, ok := target.(Deleter); !ok {
			return "needs to delete keys, and this target cannot", nil
		}
		if _, ok := target.(Reader); !ok {
			return "needs to read, and this target cannot be read", nil
		}
	case Churn:
		return cancels(target)
	}
	return "", nil
}

// cancels looks at a stream, since it is those that can cancel.
func cancels(target Target) (reason string, err error) {
	stream, err := target.NewStream("a look at what streams can do")
	if err != nil {
		return "", fmt.Errorf("open stream: %w", err)
	}
	if _, ok := stream.(Canceler); !ok {
		reason = "needs watches that can be cancelled, and this target has none"
	}
	return reason, stream.Close()
}
