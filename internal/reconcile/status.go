package reconcile

import (
	"fmt"
	"slices"
	"time"
)

// KeyStatus says what a key that is not content is waiting for.
type KeyStatus[K comparable] struct {
	Key    K
	State  string    // queued, running, waiting (for Result.After), retrying (after an error)
	Since  time.Time // when it was first found not content
	Reason string    // what it waits for, as its reconciler says
	Err    error     // of the last run
	Tries  int       // failures in a row
	Next   time.Time // next run, for waiting and retrying
}

// String returns the status in words.
func (s KeyStatus[K]) String() string {
	text := fmt.Sprintf("%v: %s since %s", s.Key, s.State, s.Since.UTC().Format(time.RFC3339))
	if s.Reason != "" {
		text += ", " + s.Reason
	}
	if s.Err != nil {
		text += fmt.Sprintf(", %d failures, the last: %v", s.Tries, s.Err)
	}
	return text
}

// Status says how a loop fares.
type Status[K comparable] struct {
	Name     string
	Ready    bool // each source has delivered its list and each of its keys was tried
	Queued   int
	Running  int
	Waiting  int
	Failing  []KeyStatus[K] // keys whose last run failed, oldest first
	Done     uint64         // runs without and with error
	Failed   uint64
	SweptAt  time.Time // last sweep that worked
	SweepErr error     // of the last sweep, if it failed
}

// Explain says why a key is pending; ok is false for a key that is content or unknown.
func (l *Loop[K]) Explain(key K) (status KeyStatus[K], ok bool) {
	l.q.mu.Lock()
	defer l.q.mu.Unlock()
	it := l.q.items[key]
	if it == nil {
		return KeyStatus[K]{}, false
	}
	return it.status(), true
}

// Status returns how the loop fares now.
func (l *Loop[K]) Status() Status[K] {
	l.mu.Lock()
	s := Status[K]{Name: l.rec.Name(), Ready: l.ready, SweptAt: l.swept, SweepErr: l.sweepErr}
	l.mu.Unlock()
	l.q.mu.Lock()
	defer l.q.mu.Unlock()
	s.Done, s.Failed = l.q.done, l.q.failed
	for _, it := range l.q.items {
		switch {
		case it.running:
			s.Running++
		case it.queued:
			s.Queued++
		default:
			s.Waiting++
		}
		if it.err != nil {
			s.Failing = append(s.Failing, it.status())
		}
	}
	slices.SortFunc(s.Failing, func(a, b KeyStatus[K]) int { return a.Since.Compare(b.Since) })
	return s
}

// status returns the item's status. queue.mu is held.
func (it *item[K]) status() KeyStatus[K] {
	s := KeyStatus[K]{Key: it.key, Since: it.since, Reason: it.reason, Err: it.err, Tries: it.tries}
	switch {
	case it.running:
		s.State = "running"
	case it.queued:
		s.State = "queued"
	case it.err != nil:
		s.State, s.Next = "retrying", it.next
	default:
		s.State, s.Next = "waiting", it.next
	}
	return s
}
