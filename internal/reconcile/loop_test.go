package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// list is a Source that delivers one list after a while, then what comes through a channel.
type list struct {
	after time.Duration
	keys  []string
	more  chan []string
	full  bool
	sent  bool
}

func (l *list) Next(ctx context.Context) ([]string, bool, error) {
	if !l.sent {
		select {
		case <-time.After(l.after):
			l.sent = true
			return l.keys, true, nil
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
	}
	select {
	case keys, ok := <-l.more:
		if !ok {
			return nil, false, errors.New("source is gone")
		}
		return keys, l.full, nil
	case <-ctx.Done():
		return nil, false, ctx.Err()
	}
}

// journal notes what happens, with the seconds since the start.
type journal struct {
	mu    sync.Mutex
	start time.Time
	lines []string
}

func (j *journal) note(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	at := time.Since(j.start).Seconds()
	j.lines = append(j.lines, fmt.Sprintf("%g ", at)+fmt.Sprintf(format, args...))
}

func (j *journal) want(t *testing.T, want ...string) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	if diff := cmp.Diff(want, j.lines); diff != "" {
		t.Errorf("journal (-want +got):\n%s", diff)
	}
	j.lines = nil
}

// play runs a loop inside a bubble of false time.
func play(t *testing.T, each func(j *journal, key string) (Result, error), opts Options[string], sources []Source[string], story func(l *Loop[string], j *journal)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		j := &journal{start: time.Now()}
		for _, src := range sources {
			src.(*list).more = make(chan []string) // a channel made outside the bubble would stop its clock
		}
		opts.Log = slog.New(slog.DiscardHandler)
		l := New(Func[string]{
			Title:   "test",
			Each:    func(_ context.Context, key string) (Result, error) { return each(j, key) },
			Sweeper: func(context.Context) error { j.note("sweep"); return nil },
		}, opts, sources...)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- l.Run(ctx) }()
		story(l, j)
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func ok(j *journal, key string) (Result, error) {
	j.note("%s", key)
	return Result{}, nil
}

func TestSweepWaitsForEveryListAndItsKeys(t *testing.T) {
	fail := 1
	each := func(j *journal, key string) (Result, error) {
		j.note("%s", key)
		if key == "b" && fail > 0 {
			fail--
			return Result{}, errors.New("not yet")
		}
		return Result{}, nil
	}
	sources := []Source[string]{
		&list{keys: []string{"a"}},
		&list{after: 5 * time.Second, keys: []string{"a", "b"}},
	}
	play(t, each, Options[string]{SweepEvery: time.Minute}, sources, func(l *Loop[string], j *journal) {
		time.Sleep(4 * time.Second)
		if l.Status().Ready {
			t.Error("ready before the second list")
		}
		time.Sleep(2 * time.Second)
		if !l.Status().Ready {
			t.Error("not ready")
		}
		j.mu.Lock()
		lines := slices.Clone(j.lines)
		j.lines = nil
		j.mu.Unlock()
		if len(lines) != 5 || lines[0] != "0 a" || lines[3] != "5 sweep" || !strings.HasSuffix(lines[4], " b") {
			t.Errorf("journal: %q", lines)
		}
		time.Sleep(time.Minute)
		j.want(t, "65 sweep")
	})
}

func TestSourceThatStartsOverIsSwept(t *testing.T) {
	src := &list{full: true}
	play(t, ok, Options[string]{SweepEvery: -1}, []Source[string]{src}, func(_ *Loop[string], j *journal) {
		time.Sleep(time.Hour)
		j.want(t, "0 sweep")
		src.more <- []string{"x"}
		synctest.Wait()
		slices.Sort(j.lines)
		j.want(t, "3600 sweep", "3600 x")
	})
}

func TestKeysAreSerialAndDeduplicated(t *testing.T) {
	each := func(j *journal, key string) (Result, error) {
		j.note("%s begins", key)
		time.Sleep(time.Second)
		j.note("%s ends", key)
		return Result{}, nil
	}
	play(t, each, Options[string]{Workers: 4, SweepEvery: -1}, nil, func(l *Loop[string], j *journal) {
		synctest.Wait()
		l.Add("a", "a", "a")
		synctest.Wait()
		l.Add("a")
		l.Add("a")
		time.Sleep(10 * time.Second)
		j.want(t, "0 sweep", "0 a begins", "1 a ends", "1 a begins", "2 a ends")
		if _, pending := l.Explain("a"); pending {
			t.Error("a is still pending")
		}
	})
}

func TestErrorsBackOffAndExplain(t *testing.T) {
	broken := true
	each := func(j *journal, key string) (Result, error) {
		j.note("%s", key)
		if broken {
			return Result{}, errors.New("no image")
		}
		return Result{}, nil
	}
	opts := Options[string]{MinBackoff: time.Second, MaxBackoff: 8 * time.Second, SweepEvery: -1}
	play(t, each, opts, nil, func(l *Loop[string], j *journal) {
		l.Add("a")
		time.Sleep(60 * time.Second)
		j.mu.Lock()
		runs := len(j.lines) - 1 // and a sweep
		j.mu.Unlock()
		if runs < 9 || runs > 14 { // pauses of 1, 2, 4, 8, 8... seconds, each up to a quarter shorter
			t.Errorf("%d runs in a minute", runs)
		}
		why, pending := l.Explain("a")
		if !pending || why.State != "retrying" || why.Err.Error() != "no image" || why.Tries != runs || time.Since(why.Since) != time.Minute {
			t.Errorf("explained as %v", why)
		}
		if s := l.Status(); len(s.Failing) != 1 || s.Waiting != 1 || s.Failed != uint64(runs) {
			t.Errorf("status %+v", s)
		}
		broken = false
		l.Add("a") // a change ends the pause
		time.Sleep(time.Second)
		if _, pending := l.Explain("a"); pending {
			t.Error("a is still pending")
		}
	})
}

func TestFailureThatTriggersItselfDoesNotSpin(t *testing.T) {
	var l *Loop[string]
	var runs atomic.Int32
	each := func(_ *journal, key string) (Result, error) {
		runs.Add(1)
		l.Add(key) // as its own status report would
		return Result{}, errors.New("no")
	}
	play(t, each, Options[string]{SweepEvery: -1}, nil, func(loop *Loop[string], _ *journal) {
		l = loop
		l.Add("a")
		time.Sleep(10 * time.Second)
		if n := runs.Load(); n < 10 || n > 101 {
			t.Errorf("%d runs in ten seconds", n)
		}
	})
}

func TestAfterAndReason(t *testing.T) {
	each := func(j *journal, key string) (Result, error) {
		j.note("%s", key)
		return Result{After: 10 * time.Second, Reason: "NAT gateway is pending"}, nil
	}
	play(t, each, Options[string]{SweepEvery: -1}, nil, func(l *Loop[string], j *journal) {
		synctest.Wait()
		l.Add("a")
		time.Sleep(15 * time.Second)
		l.Add("a") // looked at now, and ten seconds from now
		time.Sleep(14 * time.Second)
		j.want(t, "0 sweep", "0 a", "10 a", "15 a", "25 a")
		if why, _ := l.Explain("a"); why.State != "waiting" || why.Reason != "NAT gateway is pending" {
			t.Errorf("explained as %v", why)
		}
	})
}

func TestPanicIsAnError(t *testing.T) {
	each := func(_ *journal, key string) (Result, error) { panic("broken " + key) }
	play(t, each, Options[string]{MinBackoff: time.Second, SweepEvery: -1}, nil, func(l *Loop[string], _ *journal) {
		l.Add("a")
		synctest.Wait()
		if why, _ := l.Explain("a"); why.Err == nil || !strings.Contains(why.Err.Error(), "panic: broken a") {
			t.Errorf("explained as %v", why)
		}
	})
}

func TestResyncLooksAtAllKeys(t *testing.T) {
	opts := Options[string]{Resync: time.Minute, List: slices.Values([]string{"a", "b"}), SweepEvery: -1}
	play(t, ok, opts, nil, func(_ *Loop[string], j *journal) {
		time.Sleep(61 * time.Second)
		j.want(t, "0 sweep", "60 a", "60 b")
	})
}

func TestSweepRunsAloneAndIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, sweeps int
		l := New(Func[string]{
			Title: "test",
			Each: func(context.Context, string) (Result, error) {
				running++
				time.Sleep(time.Second)
				running--
				return Result{After: time.Millisecond}, nil
			},
			Sweeper: func(context.Context) error {
				if running != 0 {
					t.Error("sweep beside a reconcile")
				}
				if sweeps++; sweeps < 3 {
					return errors.New("busy")
				}
				return nil
			},
		}, Options[string]{SweepEvery: -1, Log: slog.New(slog.DiscardHandler)}, &list{keys: []string{"a"}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- l.Run(ctx) }()
		time.Sleep(10 * time.Second)
		if s := l.Status(); sweeps != 3 || s.SweepErr != nil || s.SweptAt.IsZero() {
			t.Errorf("%d sweeps, status %+v", sweeps, s)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestRunEndsWithItsSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &list{more: make(chan []string)}
		close(src.more)
		err := New(Func[string]{Title: "test"}, Options[string]{}, src).Run(t.Context())
		if err == nil || !strings.Contains(err.Error(), "source is gone") {
			t.Errorf("Run: %v", err)
		}
	})
}
