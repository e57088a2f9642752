// Package reconcile is the one loop of Neargate: it takes keys from sources, calls a reconciler for each until what is
// wanted is so, and sweeps away what nobody wants any more.
//
// It is not a scheduler and holds no state of the things it reconciles: a key says "look", never what happened. All
// waiting, retrying and timing is here, so reconcilers contain none.
//
// Start at [Reconciler], then [New] and [Loop.Run]. queue.go has the life of a key.
package reconcile

import (
	"context"
	"log/slog"
	"time"
)

// Reconciler makes one thing so. Reconcile is called for one key at a time per key, for several keys at once if
// Options.Workers allows it, and never at the same time as Sweep.
type Reconciler[K comparable] interface {
	Name() string
	// Reconcile looks at the key and does what is missing; it is idempotent. An error is retried with a growing pause.
	Reconcile(ctx context.Context, key K) (Result, error)
	// Sweep removes what is ours and wanted by no key. It is first called when every source has delivered its complete
	// list and each of those keys has been tried, then periodically, and whenever a source had to start over.
	Sweep(ctx context.Context) error
}

// Result is the outcome of a Reconcile that did what it could.
type Result struct {
	After  time.Duration // look again after this time, even if nothing changes; 0: not needed
	Reason string        // what it waits for, for Explain; set it together with After
}

// Source delivers keys to look at. Changes of the store are one.
type Source[K comparable] interface {
	// Next waits for keys. full reports that this is the complete list of the source's keys (the first call), or that
	// the source had lost track and has found it again.
	Next(ctx context.Context) (keys []K, full bool, err error)
}

// Options tune a Loop. The zero value is one worker, no resync, a sweep every ten minutes.
type Options[K comparable] struct {
	Workers int
	// Resync is how often all keys of List are looked at although nothing changed; 0: never.
	Resync time.Duration
	List   func(yield func(K) bool)
	// SweepEvery is the time between sweeps; negative: only the first, and after a source has started over.
	SweepEvery time.Duration
	MinBackoff time.Duration // first pause after an error, 100 ms if not set
	MaxBackoff time.Duration // longest pause, 30 s if not set
	Log        *slog.Logger
}

func (o Options[K]) withDefaults() Options[K] {
	if o.Workers <= 0 {
		o.Workers = 1
	}
	if o.SweepEvery == 0 {
		o.SweepEvery = 10 * time.Minute
	}
	if o.MinBackoff <= 0 {
		o.MinBackoff = 100 * time.Millisecond
	}
	if o.MaxBackoff <= 0 {
		o.MaxBackoff = 30 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return o
}

// Func makes a Reconciler of functions; Sweeper may be nil.
type Func[K comparable] struct {
	Title   string
	Each    func(ctx context.Context, key K) (Result, error)
	Sweeper func(ctx context.Context) error
}

// Name returns the title.
func (f Func[K]) Name() string { return f.Title }

// Reconcile calls Each.
func (f Func[K]) Reconcile(ctx context.Context, key K) (Result, error) { return f.Each(ctx, key) }

// Sweep calls Sweeper.
func (f Func[K]) Sweep(ctx context.Context) error {
	if f.Sweeper == nil {
		return nil
	}
	return f.Sweeper(ctx)
}
